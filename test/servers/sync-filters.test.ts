import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import type { RedisType } from '../../src/rdb/types.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { compileFilter, type FilterOptions } from '../../src/values/filters.js';
import { KeyPrefixes } from '../../src/values/key-prefixes.js';
import { commandsOf, type ServerCommands } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { everythingOf } from '../support/sync-support.js';
import { type Content, differences } from '../support/fault-data.js';

/** RDBKIT_TEST_WRITES may ask for more. */
const COUNT = Number(process.env.RDBKIT_TEST_WRITES ?? 5000);
const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

/** Bytes of a payload after its value. */
const FOOTER = 10;

interface Case {
  readonly filter?: FilterOptions;
  readonly dbMap?: ReadonlyMap<number, number>;
  readonly intoDb?: number;
  readonly names?: KeyPrefixes;
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const pair = (from: string, to: string) => ({ from: bytes(from), to: bytes(to) });

let commands: Pick<ServerCommands, 'all'>;
let source: RedisNode;

beforeAll(async () => {
  source = await RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '64mb');
  commands = await commandsOf(source.client);
});

afterAll(() => source.stop());

/** What the target should have: what the source has, chosen and with other names by another way than that of the program. */
async function expected({ dbMap, filter = {}, intoDb, names }: Case, databases: readonly number[]): Promise<Map<string, string>> {
  const { head, maxSize, minSize } = compileFilter(filter);
  const want = new Map<string, string>();
  for (const db of databases) {
    await source.client.select(db);
    for (const [id, value] of await everythingOf([source], { databases: [db] })) {
      const key = Buffer.from(id.slice(id.indexOf(' ') + 1), 'latin1');
      await source.client.select(db);
      const [type, payload] = [await source.client.type(key), await source.client.dumpBuffer(key)];
      if ((payload as Buffer | null) === null) continue; // it has expired
      const size = payload.length - 1 - FOOTER;
      const expireAt = Number(value.slice(value.indexOf(' ') + 1));
      const place = { keyBytes: new Uint8Array(key), keyStart: 0, keyEnd: key.length };
      const record = { db, redisType: type as RedisType, ...place, hasExpire: expireAt >= 0, expireAt };
      if (!head(record) || size < minSize || size > maxSize) continue;
      const renamed = names?.pairs.find(({ from }) => key.toString('latin1').startsWith(Buffer.from(from).toString('latin1')));
      const rest = key.subarray(renamed?.from.length ?? 0);
      const name = Buffer.concat([renamed?.to ?? Buffer.alloc(0), rest]).toString('latin1');
      want.set(`${intoDb ?? dbMap?.get(db) ?? db} ${name}`, value);
    }
  }
  await source.client.select(0);
  return want;
}

/** Keys that expire while they are compared do not count. */
function notAs(got: Content, want: Content): string[] {
  const now = Date.now();
  const lasting = (all: Content): Content =>
    new Map([...all].filter(([, value]) => [value.slice(value.indexOf(' ') + 1)].every((at) => at === '-1' || Number(at) > now)));
  return differences(lasting(got), lasting(want));
}

const BORDER = /[02468]$/;

/** Commands with keys on both sides of filters by the last digit. */
async function acrossBorder(): Promise<void> {
  const { client } = source;
  for (const db of [0, 1]) {
    const pipeline = client.pipeline();
    pipeline.select(db).mset('out:1', 'a', 'out:2', 'b', 'text:4', 'c', 'other:5', 'd').rename('out:1', 'in:2').rename('out:2', 'in:3');
    pipeline.sadd('in:set:2', 'a', 'b').sadd('out:set:1', 'b', 'c').sinterstore('in:set:4', 'in:set:2', 'out:set:1');
    pipeline.sunionstore('out:set:3', 'in:set:2', 'out:set:1').rename('out:set:3', 'in:set:6').append('in:set:none:8', 'x');
    pipeline.del('text:4', 'other:5').copy('in:2', 'out:7').copy('out:7', 'in:8').append('in:8', 'more').rpush('list:1', 'a', 'b', 'c');
    pipeline
      .lmove('list:1', 'list:2', 'LEFT', 'RIGHT')
      .lmove('list:2', 'list:3', 'LEFT', 'RIGHT')
      .rpush('list:4', '1')
      .copy('list:4', 'list:6');
    pipeline.copy('list:4', 'list:8', 'DB', db === 0 ? 1 : 0, 'REPLACE').sort('list:1', 'ALPHA', 'STORE', 'sorted:2');
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  }
  await client.select(0);
}

async function run(
  url: string,
  { dbMap, filter, intoDb, names }: Case,
  databases: readonly number[],
  without: readonly string[],
): Promise<SyncRun> {
  await source.client.flushall();
  const writes = { port: source.port, commands, databases, without };
  await writeRandomly({ ...writes, seed: SEED + 3, count: 2000 });
  const options: Partial<SyncOptions> = { filter, dbMap, keyPrefixMap: names, untilCaughtUp: false, functions: false, conflict: 'replace' };
  const to = intoDb === undefined ? url : `${url}/${intoDb}`;
  const running = new SyncRun(source.url, to, { ...options, url: parseServerUrl(to) });
  await running.follows();
  await writeRandomly({ ...writes, seed: SEED + 17, count: COUNT, rareEvery: 3000 });
  if (databases.length > 1) await acrossBorder();
  await running.stop();
  const last = new SyncRun(source.url, to, { ...options, untilCaughtUp: true });
  expect([(await last.done).caughtUp, running.problems, last.problems]).toEqual([true, [], []]);
  return running;
}

const CASES: readonly (readonly [string, Case])[] = [
  ['databases', { filter: { db: [0, 5] } }],
  ['names', { filter: { regex: [BORDER] } }],
  [
    'other names and databases',
    {
      filter: { notRegex: [/3$/] },
      names: new KeyPrefixes([pair('list', 'moved:'), pair('te', 'x'), pair('', 'all:')]),
      dbMap: new Map([
        [0, 3],
        [5, 0],
      ]),
    },
  ],
  ['types', { filter: { type: ['string', 'zset'] } }],
  ['sizes and expiries', { filter: { minSize: 12, maxSize: 400, ttl: 'none' } }],
  ['one database of one', { filter: { db: [1], match: [bytes('*[0-4]')] }, intoDb: 7 }],
];

describe('a server into a server, chosen by', () => {
  let target: RedisNode;

  beforeAll(async () => {
    target = await RedisNode.start();
  });

  afterAll(() => target.stop());

  test.each(CASES)('%s', async (_, options) => {
    await target.client.flushall();
    await run(target.url, options, [0, 1, 5], ['swapdb']);
    const got = await everythingOf([target], { databases: Array.from({ length: 16 }, (__, db) => db) });
    expect(notAs(got, await expected(options, [0, 1, 5]))).toEqual([]);
    expect(got.size).toBeGreaterThan(20);
  });
});

describe('a server into a cluster, chosen by', () => {
  let target: TestCluster;

  beforeAll(async () => {
    target = await TestCluster.start();
  });

  afterAll(() => target.stop());

  const cases: readonly (readonly [string, Case])[] = [
    ['names, with others there', { filter: { regex: [BORDER] }, names: new KeyPrefixes([pair('s', '{s}:'), pair('l', '')]) }],
    ['types', { filter: { notType: ['list'], slot: [[0, 9000]] } }],
  ];

  test.each(cases)('%s', async (_, options) => {
    await target.flush();
    const masters = await target.masters();
    await run(masters[0].url, options, [0], ['swapdb', 'move']);
    const got = await everythingOf(masters);
    expect(notAs(got, await expected(options, [0]))).toEqual([]);
    expect(got.size).toBeGreaterThan(20);
  });
});
