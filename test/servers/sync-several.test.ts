import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { writeRandomly } from '../support/random-writer.js';
import { commandsOf } from '../support/random-writes.js';
import { RedisNode } from '../support/redis-node.js';
import { expectMapped, type GivenSource, SeveralRun } from '../support/several-run.js';
import { SyncRun } from '../support/sync-run.js';
import { until } from '../support/until.js';

let a: RedisNode;
let b: RedisNode;
let target: RedisNode;
let spool: string;

beforeAll(async () => {
  [a, b, target] = await Promise.all([RedisNode.start(), RedisNode.start(), RedisNode.start()]);
  spool = mkdtempSync(join(tmpdir(), 'rdbkit-several-'));
});
afterAll(async () => {
  await Promise.all([a.stop(), b.stop(), target.stop()]);
  rmSync(spool, { recursive: true, force: true });
});
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

const keysOf = async (node: RedisNode): Promise<string[]> => (await node.client.keys('*')).filter((key) => !key.startsWith('rdbkit:')).sort();

/** Random writes to both, with FLUSHDB and FLUSHALL among them. */
async function write(count: number, seed: number): Promise<void> {
  const commands = await commandsOf(a.client);
  const own = { commands, count, databases: [0, 1], without: ['swapdb', 'function|load', 'function|flush', 'function|delete', 'function|restore'] };
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
