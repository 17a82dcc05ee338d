import { rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rdbkit, type Result } from '../support/cli-support.js';
import { Running } from '../support/processes.js';
import type { RedisNode } from '../support/redis-node.js';
import { severalNodes } from '../support/several-run.js';
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
  await a.client.mset('a', '1', 'both', 'of a');
  await b.client.mset('b', '1', 'both', 'of b');
  rmSync(spool, { recursive: true, force: true });
});

const words = (...more: string[]): string[] => ['sync', a.url, b.url, target.url, '--spool', spool, ...more];
const sync = (...more: string[]): Promise<Result> => rdbkit(words(...more));
const CAUGHT_UP = ['--until', 'caught-up', '--settle', '200ms'];

interface Status {
  readonly source: string;
  readonly sources: readonly string[];
  readonly lanes: readonly { readonly name: string; readonly from: string }[];
  readonly bySource: readonly { readonly source: string; readonly phase: string; readonly keys: number }[];
}

describe('the command', () => {
  test('a dry run says what both have, and writes nothing', async () => {
    const { code, err } = await sync('--dry-run');
    expect(code).toBe(0);
    expect(err).toContain(`rdbkit: ${a.url}: a full copy\nrdbkit: ${b.url}: a full copy\n`);
    const course = 'full copies one after another; each is followed by every write since, and all end together';
    expect(err).toContain(`rdbkit: 2 sources: ${course}\n`);
    const both = `1 key is in ${a.url} and in ${b.url} ("both")`;
    expect(err).toContain(`warning: database 0 of the target: ${both}: ${b.url} leaves it to ${a.url}.`);
    expect(err).toMatch(/rdbkit: dry run: nothing was written\.\n$/);
    expect(await target.client.dbsize()).toBe(0);
  });

  test('keys that both have are named, with exit code 1; databases keep them apart', async () => {
    const first = await sync(...CAUGHT_UP);
    expect(first.code).toBe(1);
    const why = `${a.url} has a key of this name for database 0 of the target, too`;
    expect(first.err).toContain(`NOT_SYNCED: ${b.url}, db 0, key "both": ${why}`);
    expect(first.err).toContain(`rdbkit: caught up with ${a.url}: offset `);
    expect(first.err).toContain(`rdbkit: caught up with ${b.url}: offset `);
    await target.client.flushall();
    const apart = await sync(...CAUGHT_UP, '--db-map', `${b.name}/0:4`);
    expect([apart.code, apart.err.includes('NOT_SYNCED')]).toEqual([0, false]);
    expect(apart.err).toContain(`rdbkit: ${b.url}: a full copy, database 0 to 4\n`);
    await target.client.select(4);
    expect(await target.client.mget('b', 'both')).toEqual(['1', 'of b']);
    await target.client.select(0);
    expect(await target.client.mget('a', 'both', 'b')).toEqual(['1', 'of a', null]);
  });

  test('--on-conflict skip: counted and named, with exit code 0', async () => {
    const skipped = await sync(...CAUGHT_UP, '--on-conflict', 'skip');
    expect(skipped.code).toBe(0);
    expect(skipped.err).toContain(`rdbkit: db 0, key "both": ${b.url} leaves it to ${a.url}, which has it, too.`);
    const json = await sync(...CAUGHT_UP, '--on-conflict', 'skip', '--json');
    type Last = { readonly caughtUp: boolean; readonly bySource: readonly { readonly source: string; readonly caughtUp: boolean }[] };
    const last = JSON.parse(json.err.trim().split('\n').at(-1) ?? '') as Last;
    expect([json.code, last.caughtUp, last.bySource.map(({ caughtUp, source }) => [source, caughtUp])]).toEqual([
      0,
      true,
      [
        [a.url, true],
        [b.url, true],
      ],
    ]);
  });

  test('one question, when --flush deletes; and --forget ends both', async () => {
    await target.client.mset('x', '1', 'y', '1');
    const refused = await sync(...CAUGHT_UP, '--flush');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--flush deletes keys')]);
    const flushed = await sync(...CAUGHT_UP, '--flush', '--yes', '--on-conflict', 'skip');
    expect(flushed.err).toContain('rdbkit: 2 keys to be deleted first\n');
    const keys = (await target.client.keys('*')).filter((key) => !key.startsWith('rdbkit:')).sort();
    expect([flushed.code, keys]).toEqual([0, ['a', 'b', 'both']]);
    const forgotten = await sync('--forget', '--yes');
    expect([forgotten.code, forgotten.err]).toEqual([0, expect.stringContaining('the sync is over: ')]);
    expect((await target.client.keys('rdbkit:*')).length).toBe(0);
  });

  test.each([
    [['--db-map', '1.2.3.4/0:1'], 'no source has this address'],
    [['--db-map', 'redis://x:1/0:1'], 'names a source by a URL: expected the address of a source before the /'],
  ])('%s is refused', async (more, text) => {
    expect(await sync(...more)).toMatchObject({ code: 2, err: expect.stringContaining(text) as string });
  });

  test('a source that is given twice, or is the target, is refused', async () => {
    expect(await rdbkit(['sync', a.url, a.url, target.url])).toMatchObject({
      code: 2,
      err: expect.stringContaining('is given twice') as string,
    });
    expect(await rdbkit(['sync', a.url, target.url, target.url])).toMatchObject({
      ...{ code: 2, err: expect.stringContaining('is a source, and the target') as string },
    });
  });
});

describe('as a process', () => {
  test('--status tells of both; SIGTERM ends them at clean positions, and kill -9 is made up for', async () => {
    const map = ['--db-map', `${b.name}/0:4`];
    const running = new Running(words(...map, '--status', '127.0.0.1:0'));
    await running.said(/all full copies are done/, 60_000);
    const [url] = /http:\S+/.exec(running.err) ?? [''];
    const status = async (): Promise<Status> => (await (await fetch(`${url}status`)).json()) as Status;
    await until('both follow', async () => (await status()).bySource.every(({ phase }) => phase === 'changes'));
    const { bySource, lanes, source, sources } = await status();
    expect([source, sources]).toEqual([`${a.url}, ${b.url}`, [a.url, b.url]]);
    expect(lanes.map(({ from, name }) => [from, name])).toEqual([
      [a.url, a.url],
      [b.url, b.url],
    ]);
    expect(bySource.map(({ keys }) => keys)).toEqual([2, 2]);
    const metrics = await (await fetch(`${url}metrics`)).text();
    expect(metrics).toContain(`rdbkit_sync_connected{source="${b.url}",master="${b.url}"} 1`);
    expect(metrics).toContain(`rdbkit_sync_copied_keys_total{source="${a.url}"} 2`);
    await Promise.all([a.client.incr('a'), b.client.incr('b')]);
    const { code, err } = await running.kill('SIGTERM');
    expect([code, err]).toEqual([143, expect.stringContaining('All that was received is applied.')]);

    const killed = new Running(words(...map));
    await killed.said(/every write since of each is applied/, 60_000);
    await Promise.all([a.client.incr('a'), b.client.incr('b')]);
    await killed.kill();
    await Promise.all([a.client.incr('a'), b.client.incr('b')]);
    expect((await sync(...map, ...CAUGHT_UP)).code).toBe(0);
    await target.client.select(4);
    expect(await target.client.get('b')).toBe('4');
    await target.client.select(0);
    expect(await target.client.get('a')).toBe('4');
  });
});
