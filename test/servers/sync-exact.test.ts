import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HookProxy } from '../support/hook-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

let source: RedisNode;
let target: RedisNode;
let folder: string;

beforeAll(async () => {
  [source, target] = await Promise.all([
    RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '16mb'),
    RedisNode.start(),
  ]);
});

afterAll(() => Promise.all([source.stop(), target.stop()]));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rdbkit-exact-'));
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  return () => rmSync(folder, { recursive: true, force: true });
});

describe('commands that are refused within a transaction, and a run that ends before their keys are fetched', { timeout: 60_000 }, () => {
  const COUNT = 200;

  test.each([true, false])('the next one fetches them (a spool in files: %s)', async (hasFiles) => {
    const options = { spool: hasFiles ? folder : undefined };
    let [holds, held] = [false, 0];
    const proxy = await HookProxy.start(source.port, ([word]) => {
      if (!holds || word !== 'DUMP') return;
      held++;
      return new Promise(() => undefined);
    });
    const url = `redis://127.0.0.1:${proxy.port}`;
    for (let i = 0; i < COUNT; i++) await source.client.rpush(`list:${i}`, 'a');
    const run = new SyncRun(url, target.url, { ...options, untilCaughtUp: false });
    await run.follows();
    for (let i = 0; i < COUNT; i++) await target.client.set(`list:${i}`, 'spoiled');
    holds = true;
    const pipeline = source.client.pipeline();
    for (let i = 0; i < COUNT; i++) pipeline.rpush(`list:${i}`, 'b').rename(`list:${i}`, `moved:${i}`).incr('count');
    await pipeline.exec();
    await until('keys are about to be fetched', () => Promise.resolve(held > 0));
    await until('the target has the rest', async () => (await target.client.get('count')) === `${COUNT}`);
    await run.abort();
    await proxy.stop();

    const last = new SyncRun(source.url, target.url, options);
    expect([(await last.done).caughtUp, last.problems]).toEqual([true, []]);
    expect(await unlike([source], [target])).toEqual([]);
  });
});
