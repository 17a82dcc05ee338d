import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, rdbkit } from '../support/cli-support.js';
import { writeRandomly } from '../support/random-writer.js';
import { commandsOf } from '../support/random-writes.js';
import { RedisNode } from '../support/redis-node.js';
import { expectMapped, type GivenSource, severalNodes, SeveralRun } from '../support/several-run.js';
import { SyncRun } from '../support/sync-run.js';
import { until } from '../support/until.js';

let a: RedisNode;
let b: RedisNode;
let target: RedisNode;
let spool: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ a, b, spool, stop, target } = await severalNodes());
});
afterAll(() => stop());
beforeEach(async () => {
  await Promise.all([a, b, target].map(({ client }) => client.flushall()));
  await Promise.all([a, b, target].map(({ client }) => client.call('FUNCTION', 'FLUSH')));
  rmSync(spool, { recursive: true, force: true });
});

/** The databases of the second source are others on the target. */
const MAP = new Map([
  [0, 4],
  [1, 5],
]);
const SAME = new Map([
  [0, 0],
  [1, 1],
]);
/** `map`: whether databases are kept apart. */
const both = (map = true): readonly GivenSource[] => [[a.url], [b.url, map ? { dbMap: MAP } : {}]];
const run = (
  map = true,
  more: ConstructorParameters<typeof SeveralRun>[2] = {},
  own: ConstructorParameters<typeof SeveralRun>[3] = {},
): SeveralRun => new SeveralRun(both(map), target.url, { spool, ...more }, own);
/** `--id test`, for one of the sources alone. */
const idOf = ({ name }: RedisNode): string => `test.${name.replace(':', '-')}`;

/** As if the run was killed while it copied this source. */
async function unfinished(node: RedisNode): Promise<void> {
  const record = (await target.client.hget(`rdbkit:sync:${idOf(node)}`, '0')) ?? '';
  await target.client.hset(`rdbkit:sync:${idOf(node)}`, '0', record.replace('"phase":"changes"', '"phase":"full"'));
}

const keysOf = async (node: RedisNode): Promise<string[]> =>
  (await node.client.keys('*')).filter((key) => !key.startsWith('rdbkit:')).sort();

/** Random writes to both, with FLUSHDB and FLUSHALL among them. */
async function write(count: number, seed: number): Promise<void> {
  const commands = await commandsOf(a.client);
  const without = ['swapdb', 'function|load', 'function|flush', 'function|delete', 'function|restore'];
  const own = { commands, count, databases: [0, 1], without };
  await Promise.all([a, b].map(({ port }, i) => writeRandomly({ ...own, port, seed: seed + i, rareEvery: 1000 })));
}

describe('two servers, with databases of their own', () => {
  test('are what the target is, with random writes and flushes meanwhile; killed and resumed, too', async () => {
    await write(3000, 1);
    const first = run(true, { untilCaughtUp: false });
    await first.follows();
    await write(3000, 11);
    await first.abort(); // as if killed
    await write(1000, 21);
    const second = run(true);
    await write(2000, 31);
    const { sources } = await second.done;
    expect(sources.map(({ summary }) => [summary?.caughtUp, summary?.restored])).toEqual([
      [true, undefined],
      [true, undefined],
    ]);
    expect([second.problems, second.left, second.noticed]).toEqual([[], [], []]);
    const last = run(true);
    await last.done;
    await expectMapped([a], [target], SAME);
    await expectMapped([b], [target], MAP);
  });
});

describe('keys that both have', () => {
  beforeEach(async () => {
    await a.client.mset('a', 'of a', 'both', 'of a', 'count', 1);
    await b.client.mset('b', 'of b', 'both', 'of b', 'count', 10);
  });

  const values = (): Promise<(string | null)[]> => target.client.mget('a', 'b', 'both', 'count');

  const kept = 'are left to the first one, and later writes to them of the other are left out: %s';
  test.each(['error', 'skip'] as const)(kept, async (conflict) => {
    const first = run(false, { conflict, untilCaughtUp: false });
    await first.follows();
    expect(first.plan?.shared).toEqual([{ db: 0, kept: a.url, left: b.url, keys: 2, examples: expect.any(Array) as unknown }]);
    expect(first.left.sort()).toEqual([`0 both: ${b.url} leaves it to ${a.url}`, `0 count: ${b.url} leaves it to ${a.url}`]);
    expect(await values()).toEqual(['of a', 'of b', 'of a', '1']);
    const ofB = [b.client.incr('count'), b.client.set('both', 'again'), b.client.mset('b', 'new', 'both', '?')];
    await Promise.all([a.client.incr('count'), ...ofB]);
    await until('they are applied', async () => (await target.client.get('b')) === 'new');
    await first.stop();
    // whoever goes on, alone or together, leaves them, too
    await b.client.incr('count');
    await b.client.set('b', 'alone');
    const alone = new SyncRun(b.url, target.url, { spool, conflict, id: idOf(b) });
    expect((await alone.done).caughtUp).toBe(true);
    expect(await values()).toEqual(['of a', 'alone', 'of a', '2']);
    await b.client.del('both', 'count');
    await run(false, { conflict }).done;
    expect(await values()).toEqual(['of a', 'alone', 'of a', '2']);
  });

  test('are those of the last one with replace', async () => {
    const first = run(false, { conflict: 'replace', untilCaughtUp: false });
    await first.follows();
    expect(first.left.sort()).toEqual([`0 both: ${a.url} leaves it to ${b.url}`, `0 count: ${a.url} leaves it to ${b.url}`]);
    await Promise.all([a.client.incr('count'), b.client.incr('count'), a.client.del('both')]);
    await first.stop();
    expect(await values()).toEqual(['of a', 'of b', 'of b', '11']);
  });

  test('stay with the first one when the copy of the other is made again', async () => {
    await run(false, { conflict: 'skip' }).done;
    await a.client.incr('count');
    await unfinished(b);
    const again = run(false, { conflict: 'skip' });
    await again.done;
    expect(again.plan?.sources.map(({ goesOn }) => goesOn === undefined)).toEqual([false, true]);
    expect(await values()).toEqual(['of a', 'of b', 'of a', '2']);
  });

  test('are noticed when they come to be later', async () => {
    await b.client.del('both', 'count');
    const later = run(false, { untilCaughtUp: false });
    await later.follows();
    await b.client.set('both', 'of b');
    await until('it is noticed', () => later.noticed.length > 0);
    await later.stop();
    expect(later.noticed).toEqual([`0 both: ${b.url} wrote it, ${a.url} has it`]);
    expect(await values()).toEqual(['of a', 'of b', 'of b', '1']);
    expect((await later.done).noticed).toBe(1);
  });

  test('FLUSHALL in one source deletes its keys, and none of the other', async () => {
    await a.client.set('flushed', '1');
    const flushed = run(false, { conflict: 'skip', untilCaughtUp: false });
    await flushed.follows();
    await a.client.flushall();
    await b.client.set('last', '1');
    await until('it is applied', async () => !(await keysOf(target)).includes('flushed') && (await keysOf(target)).includes('last'));
    await flushed.stop();
    expect(await keysOf(target)).toEqual(['b', 'last']);
  });
});

describe('what one source does', () => {
  test('a second copy of one deletes what it has no more, and nothing of the other', async () => {
    await a.client.mset('a1', '1', 'a2', '2');
    await b.client.mset('b1', '1', 'b2', '2');
    await run(false).done;
    await b.client.del('b2');
    await unfinished(b);
    const again = run(false);
    await again.done;
    expect(again.events).toContain('a key of the target that the source does not have: they are deleted');
    expect(await keysOf(target)).toEqual(['a1', 'a2', 'b1']);
  });

  test('function libraries of the other stay', async () => {
    const library = (name: string): string => `#!lua name=${name}\nredis.register_function('of_${name}', function() return '${name}' end)`;
    await a.client.call('FUNCTION', 'LOAD', library('one'));
    await b.client.call('FUNCTION', 'LOAD', library('two'));
    await a.client.set('a', '1');
    const following = run(true, { untilCaughtUp: false });
    await following.follows();
    await a.client.call('FUNCTION', 'FLUSH');
    await b.client.call('FUNCTION', 'LOAD', library('three'));
    await a.client.call('FUNCTION', 'DELETE', 'three').catch(() => undefined);
    await a.client.set('last', '1');
    await until('it is applied', async () => (await target.client.get('last')) === '1');
    await following.stop();
    const there = (await target.client.call('FUNCTION', 'LIST')) as string[][];
    expect(there.map((fields) => fields[1]).sort()).toEqual(['three', 'two']);
  });

  test('SWAPDB cannot be followed, and ends both at a clean position', async () => {
    await a.client.set('a', '1');
    const following = run(true, { untilCaughtUp: false });
    await following.follows();
    await b.client.set('b', '1');
    await b.client.swapdb(0, 1);
    await a.client.set('last', '1');
    expect(await following.failure).toMatch(new RegExp(`${b.name}.*SWAPDB 0 1, which cannot be followed`));
    expect(following.notes.join()).toContain(`${b.url}: its sync has failed: those of the other sources end where they are`);
    const alone = new SyncRun(a.url, target.url, { spool, id: idOf(a) });
    expect((await alone.done).restored).toBe(undefined);
    expect(await target.client.get('last')).toBe('1');
  });
});

describe('what the target has', () => {
  test('keys of others need an agreement, those of the other sources do not', async () => {
    await a.client.set('a', '1');
    await b.client.set('b', '1');
    await target.client.set('other', 'mine');
    expect(await run().failure).toContain('the target has a key already');
    await target.client.flushall();
    await new SyncRun(a.url, target.url, { spool, id: idOf(a) }).done;
    await b.client.set('a', 'of b');
    const records: Promise<string | null>[] = [];
    const joined = run(false, {}, { onLeft: () => records.push(target.client.hget(`rdbkit:sync:${idOf(a)}`, '0')) });
    await joined.done;
    expect(joined.plan?.sources.map(({ goesOn }) => goesOn !== undefined)).toEqual([true, false]);
    expect(await keysOf(target)).toEqual(['a', 'b']);
    // before the other one is copied, its record does not say any more that the target is its own
    const [record] = (await Promise.all(records)).map((text) => JSON.parse(text ?? '{}') as object);
    expect(record).toMatchObject({ alone: false, among: true });
  });

  test('--flush deletes once, before all copies; not what a sync goes on with', async () => {
    await a.client.set('a', '1');
    await b.client.set('b', '1');
    await target.client.mset('other', 'mine');
    await run(false, { flush: true }).done;
    expect(await keysOf(target)).toEqual(['a', 'b']);
    await target.client.del(`rdbkit:sync:${idOf(b)}`);
    expect(await run(false, { flush: true }).failure).toContain('--flush would delete what an earlier run of this sync has brought');
  });

  test('expiries are released once all have ended, and held again', async () => {
    await a.client.set('a', '1', 'PX', 100_000_000);
    await b.client.set('b', '1', 'PX', 100_000_000);
    const first = await run(false).done;
    expect(first.sources.reduce((sum, { summary }) => sum + (summary?.released ?? 0), 0)).toBe(2);
    for (const [node, key] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      expect(await target.client.pexpiretime(key)).toBe(await node.client.pexpiretime(key));
    }
    for (const node of [a, b]) expect(await target.client.hget(`rdbkit:sync:${idOf(node)}`, '0')).toContain('"expiries":"released"');
    const second = run(false, { untilCaughtUp: false });
    await second.follows();
    await second.stop();
    expect(await target.client.pexpiretime('a')).toBeGreaterThan(Date.now() + 2 ** 39);
    expect((await run(false).done).sources.map(({ summary }) => summary?.caughtUp)).toEqual([true, true]);
    expect(await target.client.pexpiretime('b')).toBe(await b.client.pexpiretime('b'));
  });

  test('the same server twice is refused', async () => {
    const twice = new SeveralRun([[a.url], [a.url.replace('127.0.0.1', 'localhost')]], target.url, { spool });
    expect(await twice.failure).toContain(`it is the same server as ${a.url}`);
    const itself = new SeveralRun([[a.url], [target.url]], target.url, { spool });
    expect(await itself.failure).toContain('it is also the source');
  });
});

describe('files', () => {
  test('of --seed are given to their sources, by replication id; a source without one is copied', async () => {
    await Promise.all([a.client.set('a', '1'), b.client.set('b', '1')]);
    const file = join(mkdtempSync(join(tmpdir(), 'rdbkit-seed-')), 'b.rdb');
    expect((await rdbkit(['dump', b.url, '-o', file, '--via', 'replication'])).code).toBe(0);
    await b.client.set('b', '2');
    const seeded = run(true, { seed: [file] });
    const { sources } = await seeded.done;
    rmSync(dirname(file), { recursive: true });
    expect(sources.map(({ summary }) => summary?.restored?.plan.sources.map((head) => head?.source))).toEqual([[a.url], [file]]);
    await expectMapped([a], [target], SAME);
    await expectMapped([b], [target], MAP);
    const stray = await RedisNode.start();
    try {
      const other = new SeveralRun([[a.url], [stray.url]], target.url, { spool, seed: [FIXTURE], fresh: true, conflict: 'replace' });
      expect(await other.failure).toMatch(/which none of the sources has|does not say where it stands/);
    } finally {
      await stray.stop();
    }
  });

  test('--keep-rdb keeps one for each source, until its copy is done', async () => {
    await Promise.all([a.client.set('a', '1'), b.client.set('b', '1')]);
    const keeping = run(true, { keepRdb: true });
    expect((await keeping.done).sources.map(({ summary }) => summary?.caughtUp)).toEqual([true, true]);
    expect(keeping.events.filter((event) => event.includes('its RDB is kept')).length).toBe(2);
    await expectMapped([b], [target], MAP);
  });

  test('a gap in one of them: nothing is copied unless that is wanted, and then only its keys', async () => {
    await Promise.all([a.client.set('a', '1'), b.client.set('b', '1')]);
    await run().done;
    await b.client.call('DEBUG', 'CHANGE-REPL-ID');
    await b.client.set('b', '2');
    expect(await run().failure).toContain(b.name);
    expect(await target.client.get('a')).toBe('1');
    const again = run(true, { onGap: 'full' });
    const { sources } = await again.done;
    expect(sources.map(({ summary }) => summary?.restored === undefined)).toEqual([true, false]);
    await expectMapped([a], [target], SAME);
    await expectMapped([b], [target], MAP);
  });

  test('a source that is lost is waited for, and the other one goes on', async () => {
    await Promise.all([a.client.set('a', '1'), b.client.set('b', '1')]);
    const following = run(true, { untilCaughtUp: false });
    await following.follows();
    await b.kill();
    await a.client.set('a', '2');
    await until('a goes on', async () => (await target.client.get('a')) === '2');
    await until('it tells so', () => following.statuses.get(b.url)?.lanes[0].connected === false);
    await b.restart();
    await following.abort();
  });
});
