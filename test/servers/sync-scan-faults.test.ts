import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomFrom } from '../support/fault-proxy.js';
import { Running } from '../support/processes.js';
import { commandsOf, type ServerCommands } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { RedisNode } from '../support/redis-node.js';
import { endTargetConnections, roundsOf, SEED } from '../support/sync-rounds.js';
import { unlike } from '../support/sync-support.js';

let source: RedisNode;
let target: RedisNode;
let commands: ServerCommands;
const random = randomFrom(SEED);
const below = (most: number): number => Math.floor(random() * most);

beforeAll(async () => {
  [source, target] = [await RedisNode.start(), await RedisNode.start()];
  commands = await commandsOf(source.client);
  await writeRandomly({ port: source.port, commands, count: 3000, seed: SEED });
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const DATABASES = [0, 1, 2, 3];
const start = (): Running =>
  new Running([
    'sync',
    source.url,
    target.url,
    '--via',
    'scan',
    '--yes',
    '--settle',
    '100ms',
    '--id',
    'rounds',
    '--on-conflict',
    'replace',
  ]);

/** Ends the connections of the program to the source. */
async function endSourceConnections(): Promise<void> {
  const lines = String(await source.client.call('CLIENT', 'LIST')).split('\n');
  for (const line of lines)
    if (line.includes(' name=rdbkit')) await source.client.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '');
}

/** Writes at random until the fault is over; the server may go away meanwhile. */
async function writingDuring(seed: number, fault: () => Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const writing = writeRandomly({ port: source.port, commands, seed, perSecond: 4000, signal: over.signal }).catch(() => undefined);
  await delay(50 + below(300));
  await fault();
  await delay(50 + below(300));
  over.abort();
  await writing;
}

let run: Running;
const FAULTS: Readonly<Record<string, () => Promise<unknown>>> = {
  nothing: () => delay(1),
  'connections to the source': endSourceConnections,
  'kill -9': async () => {
    await run.kill();
    run = start();
  },
  'connections to the target': () => endTargetConnections(target),
  'restart of the source': async () => {
    await source.shutdown();
    await source.restart();
  },
  'another run': async () => {
    const before = run;
    run = start();
    expect((await before.ended).err).toContain('REPLACED');
  },
  'an empty source': async () => {
    await source.kill();
    await source.restart();
  },
  'restart of the target': async () => {
    await target.shutdown();
    await target.restart();
  },
  'an empty target': async () => {
    await target.kill();
    await target.restart();
  },
};

test('after any fault, what it says at its end is true', { timeout: 600_000 }, async () => {
  const names = Object.keys(FAULTS);
  const counts = new Map<string, number>();
  for (let round = 0; round < roundsOf(3); round++) {
    const name = names[(round + SEED) % names.length];
    run = start();
    if (below(3) > 0) await run.said(/applying the writes since/);
    await writingDuring(SEED * 1000 + round, FAULTS[name]);
    await run.said(/applying the writes since/);
    const { code, err, signal } = await run.kill('SIGTERM');
    expect(signal === null ? code : 143, err).toBe(143);
    const isWell = err.includes('Nothing is pending');
    counts.set(`${name}: ${isWell}`, (counts.get(`${name}: ${isWell}`) ?? 0) + 1);
    if (isWell) expect(await unlike([source], [target], { databases: DATABASES }), `${round} ${name}: ${err}`).toEqual([]);
    else expect(err).toMatch(/were written are not fetched|in doubt/);
  }
  if (process.env.RDBKIT_TEST_ROUNDS !== undefined) console.log(counts);
});
