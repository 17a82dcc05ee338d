import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import type { RedisNode } from '../support/redis-node.js';
import { RedisNode as Node } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

const nodes: RedisNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

async function started(...options: string[]): Promise<RedisNode> {
  const node = await Node.start(...options);
  nodes.push(node);
  return node;
}

const digest = async ({ client }: RedisNode): Promise<string> => String(await client.call('DEBUG', 'DIGEST'));

const byScan = (source: string, more: Partial<SyncOptions> = {}): Partial<SyncOptions> => ({
  source: { access: { url: parseServerUrl(source) }, via: 'scan' },
  ...{ spool: undefined, holdExpiries: false, roundEvery: 100, settle: 100, drainFor: 5000, untilCaughtUp: false },
  ...more,
});

async function follows(run: SyncRun): Promise<void> {
  await until('the sync follows', () => Promise.resolve(run.status?.phase === 'changes' && run.status.told !== undefined));
}

/** Another run of the sync, until it has caught up. */
async function caughtUp(source: RedisNode, target: RedisNode, more: Partial<SyncOptions> = {}): Promise<SyncRun> {
  const run = new SyncRun(source.url, target.url, byScan(source.url, { untilCaughtUp: true, ...more }));
  const summary = await run.done;
  expect([summary.caughtUp, summary.told?.doubts, run.problems]).toEqual([true, [], []]);
  return run;
}

test('random commands during copy and changes: digests are equal', async () => {
  const [source, target] = [await started(), await started()];
  const { client } = source;
  const commands = await commandsOf(client);
  await writeRandomly({ port: source.port, commands, count: 5000, seed: 1 });
  const run = new SyncRun(source.url, target.url, byScan(source.url, { untilCaughtUp: false }));
  const writing = writeRandomly({ port: source.port, commands, count: 30_000, seed: 2 });
  await follows(run);
  await writing;
  await delay(200);
  await run.stop();
  expect(run.problems).toEqual([]);
  await caughtUp(source, target);
  expect(await unlike([source], [target], { databases: [0, 1, 2, 3] })).toEqual([]);
  await target.client.del('rdbkit:sync:test');
  expect(await digest(target)).toBe(await digest(source));
});
