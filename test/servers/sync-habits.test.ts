import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { forgetSync } from '../../src/commands/sync.js';
import { HOLD } from '../../src/sync/settle.js';
import { rdbkit } from '../support/cli-support.js';
import { RedisNode } from '../support/redis-node.js';
import { syncOptions, SyncRun } from '../support/sync-run.js';
import { until } from '../support/until.js';

let source: RedisNode;
let target: RedisNode;
let spool: string;

beforeAll(async () => {
  [source, target] = await Promise.all([RedisNode.start(), RedisNode.start()]);
  spool = mkdtempSync(join(tmpdir(), 'rdbkit-habits-'));
});

afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  rmSync(spool, { recursive: true, force: true });
});

beforeEach(async () => {
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  for (const name of readdirSync(spool)) rmSync(join(spool, name), { recursive: true });
});

const run = (more: ConstructorParameters<typeof SyncRun>[2] = {}): SyncRun => new SyncRun(source.url, target.url, { spool, ...more });

const keysOf = async (node: RedisNode): Promise<string[]> => (await node.client.keys('*')).sort();

describe('--forget', () => {
  const forget = (): Promise<{ released: number; removed: number }> => forgetSync(syncOptions(source.url, target.url, { spool }));

  test('gives keys their expiries, and leaves nothing of the sync; again, there is nothing', async () => {
    await source.client.set('session', 'v', 'PXAT', 4e12);
    const copy = run({ untilCaughtUp: false });
    await copy.follows();
    await source.client.set('later', 'v', 'PXAT', 4e12 + 1);
    await copy.stop();
    expect(await target.client.pexpiretime('session')).toBe(4e12 + HOLD);
    expect(readdirSync(spool)).toHaveLength(1);
    expect(await forget()).toEqual({ released: 2, removed: 1 });
    expect([await target.client.pexpiretime('session'), await target.client.pexpiretime('later')]).toEqual([4e12, 4e12 + 1]);
    expect([await keysOf(target), readdirSync(spool)]).toEqual([['later', 'session'], []]);
    expect(await forget()).toEqual({ released: 0, removed: 0 });
  });

  test('not while a run is connected', async () => {
    const copy = run({ untilCaughtUp: false });
    await copy.follows();
    await expect(forget()).rejects.toThrow(`${target.name}: a run of this sync is connected to it: end that one first`);
    await copy.stop();
    expect(await forget()).toMatchObject({ removed: 1 });
    expect(existsSync(join(spool, 'lane-test-0'))).toBe(false);
  });
});

const RECORD = 'rdbkit:sync:test';

/** A record of another history. */
const ofAnother = (record: string): string => record.replace(/(?<="id":")./, (digit) => (digit === '0' ? '1' : '0'));

describe('phases', () => {
  test('--phase full: the copy with its expiries, and no writes since; then it goes on with those', async () => {
    await source.client.set('a', '1', 'PXAT', 4e12);
    const full = await run({ phase: 'full' }).done;
    expect([full.restored?.keys, full.released]).toEqual([1, 1]);
    expect(await target.client.pexpiretime('a')).toBe(4e12);
    await source.client.set('b', '2');
    expect(await run({ phase: 'full' }).failure).toContain('this sync has made its full copy already');
    expect(await keysOf(target)).toEqual(['a', RECORD]);
    const changes = await run({ phase: 'changes' }).done;
    expect([changes.restored, changes.caughtUp]).toEqual([undefined, true]);
    expect(await keysOf(target)).toEqual(['a', 'b', RECORD]);
  });

  test('--phase changes: an error where there is nothing to go on from, and no full copy for a gap', async () => {
    await source.client.set('a', '1');
    expect(await run({ phase: 'changes' }).failure).toContain(
      'the target has no position of this sync, so that there is nothing to go on from',
    );
    expect(await keysOf(target)).toEqual([]);
    await run().done;
    await target.client.hset(RECORD, '0', ((await target.client.hget(RECORD, '0')) ?? '').replace('"changes"', '"full"'));
    expect(await run({ phase: 'changes' }).failure).toContain('the full copy of this sync is not complete');
    await target.client.hset(RECORD, '0', ofAnother(((await target.client.hget(RECORD, '0')) ?? '').replace('"full"', '"changes"')));
    expect(await run({ phase: 'changes', onGap: 'full' }).failure).toMatch(/SyncGap.*it has another history/);
  });

  test('--fresh makes another full copy; --on-gap full, too', async () => {
    await source.client.set('a', '1');
    await run().done;
    expect((await run({ fresh: true }).done).restored?.keys).toBe(1);
    await target.client.hset(RECORD, '0', ofAnother((await target.client.hget(RECORD, '0')) ?? ''));
    rmSync(join(spool, 'lane-test-0'), { recursive: true });
    expect(await run().failure).toMatch(/SyncGap.*it has another history/);
    expect((await run({ onGap: 'full' }).done).restored?.keys).toBe(1);
    expect(await source.client.get('a')).toBe('1');
  });

  test('--dry-run shows the plan, of a copy and of going on, and changes nothing', async () => {
    await source.client.set('a', '1');
    const forks = async (): Promise<string> => /sync_full:\d+/.exec(await source.client.info('stats'))?.[0] ?? '';
    const before = await forks();
    const plans: unknown[] = [];
    const planned = {
      dryRun: true,
      onPlan: (plan: unknown) => Promise.resolve(plans.push(plan) > 0),
      onGoesOn: (lanes: unknown) => void plans.push(lanes),
    };
    expect((await run(planned).done).declined).toBe(true);
    expect([plans.length, await keysOf(target), readdirSync(spool), await forks()]).toEqual([1, [], [], before]);
    const first = run({ untilCaughtUp: false });
    await first.follows();
    expect((await run({ ...planned, spool: join(spool, 'other') }).done).restored).toBeUndefined();
    expect([plans.length, plans[1]]).toEqual([2, [{ name: source.url, offset: expect.any(Number) as number }]]);
    await source.client.set('b', '2');
    await first.stop();
    expect(await keysOf(target)).toEqual(['a', 'b', RECORD]);
  });
});

describe('keys of syncs', () => {
  test('of another one are left out: in the copy, in writes, in a comparison', async () => {
    await source.client.hset('rdbkit:sync:other', '0', '{}');
    await source.client.set('a', '1');
    const copy = run({ untilCaughtUp: false });
    await copy.follows();
    await source.client.hset('rdbkit:sync:other', '0', '{"id":"x"}');
    await source.client.multi().incr('a').hset('rdbkit:sync:other:fences', '0 0 a', '5').exec();
    await source.client.del('rdbkit:sync:other', 'a');
    await source.client.set('b', '2');
    await until('all is applied', async () => (await target.client.get('b')) === '2');
    const { lanes, restored } = await copy.stop();
    expect([restored?.filtered, lanes[0].counts.positions]).toEqual([1, 2]);
    expect(await keysOf(target)).toEqual(['b', RECORD]);
    const compared = await rdbkit(['diff', source.url, target.url, '--level', 'values']);
    expect([compared.code, compared.out]).toEqual([0, '']);
  });

  test('our own in the source end it; so does a sync from the target into the source', async () => {
    await source.client.set('a', '1');
    const first = run({ untilCaughtUp: false });
    await first.follows();
    await source.client.hset(RECORD, '0', 'x');
    expect(await first.failure).toMatch(/the positions of this sync come back in its writes \(key rdbkit:sync:test\)/);
    await source.client.del(RECORD);
    await target.client.flushall();
    const there = run({ fresh: true, untilCaughtUp: false });
    await there.follows();
    const back = new SyncRun(target.url, source.url, { id: 'back', conflict: 'replace', untilCaughtUp: false });
    // whichever of them sees the other one first
    const end = await Promise.race([there.failure, back.failure]);
    expect(end).toMatch(/another sync copies the target into it \(key rdbkit:sync:(?:back|test)\)/);
    await Promise.all([there.abort(), back.abort()]);
  });
});
