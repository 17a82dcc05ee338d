import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeRandomly } from '../support/random-writer.js';
import { commandsOf } from '../support/random-writes.js';
import { RedisNode } from '../support/redis-node.js';
import { unlikeMapped, SeveralRun, type GivenSource } from '../support/several-run.js';

const MAP = new Map([
  [0, 4],
  [1, 5],
]);
test.each([1, 2, 3, 4, 5, 6])('several %s', async (round) => {
  const [a, b, target] = await Promise.all(Array.from({ length: 3 }, () => RedisNode.start('--repl-backlog-size', '64mb')));
  const spool = mkdtempSync(join(tmpdir(), 'rdbkit-tmp-'));
  const commands = await commandsOf(b.client);
  const rare = process.env.NORARE ? 1e9 : 1000;
  const own = { commands, databases: [0, 1], without: ['swapdb', 'function|load', 'function|flush', 'function|delete', 'function|restore'] };
  const write = (count: number, seed: number) => Promise.all([a, b].map(({port}, i) => writeRandomly({ ...own, count, port, seed: seed + i + round * 100, rareEvery: rare })));
  const both: GivenSource[] = [[a.url], [b.url, { dbMap: MAP }]];
  await write(3000, 1);
  if (!process.env.NOKILL) {
  const first = new SeveralRun(both, target.url, { spool, untilCaughtUp: false });
  await first.follows();
  await write(3000, 11);
  await first.abort();
  }
  await write(1000, 21);
  const second = new SeveralRun(both, target.url, { spool });
  await write(2000, 31);
  await second.done;
  await new SeveralRun(both, target.url, { spool }).done;
  const bad = [...await unlikeMapped([b], [target], MAP), ...await unlikeMapped([a], [target], new Map([[0,0],[1,1]]))];
  await Promise.all([a.stop(), b.stop(), target.stop()]);
  rmSync(spool, { recursive: true, force: true });
  expect(bad).toEqual([]);
});
