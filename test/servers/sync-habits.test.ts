import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { forgetSync } from '../../src/commands/sync.js';
import { HOLD } from '../../src/sync/settle.js';
import { RedisNode } from '../support/redis-node.js';
import { syncOptions, SyncRun } from '../support/sync-run.js';

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
