import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEFT_OUT, ONLY_IN_CLUSTERS } from '../support/random-commands.js';
import type { Word } from '../support/random-draw.js';
import { commandsOf, RandomWrites, uncovered } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { RedisNode } from '../support/redis-node.js';
import { digestOf } from '../support/restore-support.js';
import { until } from '../support/until.js';

/** RDBKIT_TEST_WRITES may ask for more. */
const COUNT = Number(process.env.RDBKIT_TEST_WRITES ?? 60_000);

/** Commands that took effect: calls without those that were refused or failed. */
async function succeeded({ client }: RedisNode): Promise<Set<string>> {
  const stats = await client.info('commandstats');
  const counts = stats.matchAll(/^cmdstat_(\S+?):calls=(\d+),.*rejected_calls=(\d+),failed_calls=(\d+)/gm);
  return new Set(
    [...counts].filter(([, , calls, rejected, failed]) => Number(calls) > Number(rejected) + Number(failed)).map(([, name]) => name),
  );
}

const offsetOf = async ({ client }: RedisNode): Promise<string> =>
  /master_repl_offset:(\d+)/.exec(await client.info('replication'))?.[1] ?? '';

describe('random writes', () => {
  let source: RedisNode;
  let replica: RedisNode;

  beforeAll(async () => {
    [source, replica] = await Promise.all([
      RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '3600'),
      RedisNode.start(),
    ]);
    await replica.client.call('REPLICAOF', '127.0.0.1', `${source.port}`);
    await until('the replica is online', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  });

  afterAll(() => Promise.all([source.stop(), replica.stop()]));

  test('cover all write commands of the server, and a replica becomes what the source is', async () => {
    const commands = await commandsOf(source.client);
    expect(uncovered(commands)).toEqual([]);
    const written = await writeRandomly({ port: source.port, commands, seed: 17, count: COUNT, rareEvery: 500 });
    expect(written.commands).toBeGreaterThanOrEqual(COUNT);
    const worked = await succeeded(source);
    const idle = [...Object.keys(LEFT_OUT), ...ONLY_IN_CLUSTERS];
    expect([...commands.writes].filter((name) => !worked.has(name) && !idle.includes(name))).toEqual([]);
    await until('the digests are equal', async () => {
      const [digest, other] = await Promise.all([digestOf(source), digestOf(replica)]);
      return digest === other;
    });
    const sizes = (await source.client.info('keyspace')).matchAll(/keys=(\d+)/g);
    expect([...sizes].reduce((sum, [, keys]) => sum + Number(keys), 0)).toBeGreaterThan(100);
  });

  test('take effect, most of them', async () => {
    const writes = new RandomWrites({ seed: 5, commands: await commandsOf(source.client) });
    let effects = 0;
    let before = await offsetOf(source);
    for (let i = 0; i < 2000; i++) {
      const unit: (readonly Word[])[] = [];
      writes.next({ command: (...words) => unit.push(words) });
      for (const [name, ...words] of unit) await source.client.call(String(name), ...words).catch(() => undefined);
      const after = await offsetOf(source);
      if (after !== before) effects++;
      before = after;
    }
    expect(effects / 2000).toBeGreaterThan(0.6);
  });

  test('are the same for the same seed', async () => {
    const commands = await commandsOf(source.client);
    const [one, other] = [1, 1].map((seed) => new RandomWrites({ seed, commands }));
    const made = (writes: RandomWrites): string => {
      const units: string[] = [];
      for (let i = 0; i < 1000; i++)
        writes.next({
          command: (...words) => units.push(words.map((word) => (typeof word === 'object' ? word.toString('latin1') : word)).join(' ')),
        });
      return units.join('\n');
    };
    expect(made(one).replaceAll(/\d{10,13}/g, 'time')).toBe(made(other).replaceAll(/\d{10,13}/g, 'time'));
  });
});
