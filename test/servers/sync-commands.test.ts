import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandArgs } from '../../src/redis/commands.js';
import { Effect, repeatable, withEffect } from '../../src/sync/commands/effects.js';
import { heldExpiry } from '../../src/sync/commands/expiries.js';
import { type CommandSpec, newKeyArgs } from '../../src/sync/commands/spec.js';
import { CommandTable } from '../../src/sync/commands/table.js';
import { COMMAND_SAMPLES } from '../support/command-samples.js';
import { TestServer } from '../support/redis-server.js';
import { streamCommand } from '../support/stream-commands.js';

const table = new CommandTable();
let server: TestServer;
/** The commands of the server that write, `xgroup|create` for parts. */
let known: Set<string>;

type Entry = [string, number, string[], number, number, number, ...unknown[]];
type Arg = string | Buffer;

beforeAll(async () => {
  server = await TestServer.start('--enable-debug-command', 'yes');
  const entries = (await server.client.call('COMMAND')) as Entry[];
  const all = entries.flatMap((entry) => [entry, ...((entry[9] ?? []) as Entry[])]);
  known = new Set(all.filter(([, , flags]) => flags.includes('write')).map(([name]) => name.toLowerCase()));
});
afterAll(() => server.stop());

const words = (line: string): string[] => line.split(' ').map((word) => (word === '""' ? '' : word));

function specOf(args: readonly Arg[]): CommandSpec {
  const spec = table.of(streamCommand(...args));
  if (spec === undefined) throw new Error(`${args[0].toString()} is unknown`);
  return spec;
}

const isKnown = (args: readonly Arg[]): boolean =>
  known.has(args[0].toString().toLowerCase()) || known.has(args.slice(0, 2).join('|').toLowerCase());

test('every command that writes is in the table', () => {
  const unknown = [...known].filter((name) => /^$|^quiet$/.test(table.of(streamCommand(...name.split('|')))?.kind ?? ''));
  expect(unknown).toEqual([]);
});

test('keys are where the server says', async () => {
  const lines = COMMAND_SAMPLES.map(words).filter(isKnown);
  expect(lines.length).toBeGreaterThan(100);
  const refused: string[] = [];
  for (const args of lines) {
    const found = newKeyArgs();
    expect(specOf(args).keys(streamCommand(...args), found)).toBe(true);
    const keys = (await server.client.call('COMMAND', 'GETKEYSANDFLAGS', ...args).catch(() => undefined)) as
      [string, string[]][] | undefined;
    if (keys === undefined) {
      refused.push(args.join(' '));
      continue;
    }
    // XREADGROUP moves a group on, and has the flag RO all the same
    const writes = keys.filter(([, flags]) => !flags.includes('RO') || args[0] === 'XREADGROUP').map(([key]) => key);
    const own = {
      writes: found.writes.map((arg) => args[arg]).sort(),
      keys: [...found.writes, ...found.reads].map((arg) => args[arg]).sort(),
    };
    expect([args.join(' '), own]).toEqual([args.join(' '), { writes: writes.sort(), keys: keys.map(([key]) => key).sort() }]);
  }
  // which 7.0 executes, or would
  expect(refused.filter((line) => !['PFMERGE k1', 'MIGRATE h 1  0 1 COPY AUTH p KEYS k1 k2'].includes(line))).toEqual([]);
});

/** As a source would send it: expiries absolute, without conditions. */
function asSent(args: readonly Arg[], shift: number, now: number): Arg[] {
  const command = streamCommand(...args);
  const held = heldExpiry(command, specOf(args), shift, now);
  return held === undefined ? [...args] : commandArgs(held, 0).map((arg) => Buffer.from(arg));
}

const call = (args: readonly Arg[]): Promise<unknown> =>
  server.client.callBuffer(args[0].toString(), ...args.slice(1)).catch((error: unknown) => error);

const FIELDS = ['FIELDS', '2', 'a', 'b'];

describe('held expiries', () => {
  const SHIFT = 2 ** 40;

  test.each([
    'SET k v EX 100',
    'SET k v PX 100000',
    'SET k v EXAT SECONDS',
    'SET k v GET PXAT MS',
    'SETEX k 100 v',
    'PSETEX k 100000 v',
    'EXPIRE k 100',
    'EXPIRE k 100 NX',
    'PEXPIRE k 100000',
    'EXPIREAT k SECONDS',
    'PEXPIREAT k MS NX',
    'GETEX k EX 100',
    'GETEX k PXAT MS',
    'RESTORE k 100000 DUMP REPLACE',
    'RESTORE k MS DUMP REPLACE ABSTTL',
    'HEXPIRE h 100 FIELDS 2 a b',
    'HPEXPIRE h 100000 NX FIELDS 2 a b',
    'HPEXPIREAT h MS NX FIELDS 1 a',
    'HEXPIREAT h SECONDS FIELDS 2 a b',
    'HGETEX h EX 100 FIELDS 2 a b',
    'HSETEX h EX 100 FIELDS 2 a 1 b 2',
    'HSETEX h PXAT MS FIELDS 2 a 1 b 2',
    'MSETEX 2 k v j v EX 100',
  ])('%s', async (line) => {
    const seconds = Math.floor(Date.now() / 1000) + 100;
    const now = (seconds - 100) * 1000;
    await call(['FLUSHALL']);
    await call(['SET', 'k', 'v']);
    await call(['HSET', 'h', 'a', '1', 'b', '2']);
    const dump = await server.client.dumpBuffer('k');
    const args = words(line.replace('SECONDS', `${seconds}`).replace('MS', `${seconds * 1000}`)).map((arg) =>
      arg === 'DUMP' ? dump : arg,
    );
    if (!isKnown(args)) return;
    const reply = await call(asSent(args, SHIFT, now));
    expect(reply).not.toBeInstanceOf(Error);
    const at = seconds * 1000 + SHIFT;
    const fields = args[1] === 'h' ? await call(['HPEXPIRETIME', 'h', ...FIELDS]) : [await call(['PEXPIRETIME', 'k'])];
    expect(new Set(fields as number[])).toEqual(new Set(line.includes('FIELDS 1') ? [at, -1] : [at]));
  });

  test('GETEX and HGETEX with PERSIST', async () => {
    await call(['SET', 'k', 'v', 'EX', '100']);
    await call(asSent(['GETEX', 'k', 'PERSIST'], SHIFT, 0));
    expect(await call(['PEXPIRETIME', 'k'])).toBe(-1);
    if (!known.has('hgetex')) return;
    await call(['HSETEX', 'h', 'EX', '100', 'FIELDS', '2', 'a', '1', 'b', '2']);
    await call(asSent(['HGETEX', 'h', 'PERSIST', ...FIELDS], SHIFT, 0));
    expect(await call(['HPEXPIRETIME', 'h', ...FIELDS])).toEqual([-1, -1]);
  });
});

/** Far enough for no test to see it pass. */
const FAR = 4_000_000_000_000;

/** Commands on a key K by what it may hold: they make, change and delete it, also in ways that are not repeatable. */
const POOLS: Readonly<Record<string, readonly string[]>> = {
  any: [
    'DEL K',
    'UNLINK K',
    'SET K v',
    `SET K w PXAT ${FAR}`,
    'SET K x KEEPTTL',
    'SET K n NX',
    'SET K y XX',
    'SETEX K 9999999 v',
    'PSETEX K 9999999999 v',
    'MSET K a',
    `PEXPIREAT K ${FAR + 1}`,
    `PEXPIREAT K ${FAR + 2} XX`,
    `EXPIREAT K ${FAR / 1000}`,
    'EXPIRE K 99999999',
    'PEXPIRE K 99999999999',
    'PERSIST K',
    'RESTORE K 0 DUMP REPLACE',
    `RESTORE K ${FAR} DUMP REPLACE ABSTTL`,
    'RESTORE K 0 DUMP',
    `MSETEX 1 K v PXAT ${FAR}`,
  ],
  string: [
    'SET K v GET',
    `SET K z PXAT ${FAR} GET`,
    'GETSET K 5',
    'GETDEL K',
    `GETEX K PXAT ${FAR + 3}`,
    'GETEX K PERSIST',
    'SETRANGE K 2 ab',
    'SETRANGE K 0 c',
    'SETBIT K 9 1',
    'SETBIT K 3 0',
    'APPEND K q',
    'INCR K',
    'SETNX K 1',
    'BITFIELD K SET u8 #1 200',
  ],
  hll: ['PFADD K a b', 'PFADD K c', 'PFADD K', 'PFCOUNT K', 'SETRANGE K 20 ab'],
  hash: [
    'HSET K a 1',
    'HSET K b 2 c 3',
    'HSET K a 4 b 5',
    'HMSET K c 6',
    'HDEL K a',
    'HDEL K b c',
    'HINCRBY K a 2',
    'HSETNX K c 7',
    `HPEXPIREAT K ${FAR + 4} FIELDS 1 a`,
    `HPEXPIREAT K ${FAR + 5} NX FIELDS 1 b`,
    `HPEXPIREAT K ${FAR + 6} GT FIELDS 2 a b`,
    `HEXPIREAT K ${FAR / 1000} FIELDS 3 a b c`,
    'HPERSIST K FIELDS 2 a b',
    `HGETEX K PXAT ${FAR + 7} FIELDS 2 b c`,
    'HGETEX K PERSIST FIELDS 1 a',
    `HSETEX K PXAT ${FAR + 8} FIELDS 1 a 8`,
    'HSETEX K KEEPTTL FIELDS 2 a 9 b 9',
    `HSETEX K FNX PXAT ${FAR} FIELDS 1 c 1`,
    'HGETDEL K FIELDS 2 a c',
    'HSETEX K FIELDS 1 b 4',
  ],
  set: ['SADD K a', 'SADD K b c', 'SADD K 1 2', 'SREM K a', 'SREM K b c', 'SREM K 1'],
  zset: [
    'ZADD K 1 a',
    'ZADD K CH 2 b 3 c',
    'ZADD K 5 a',
    'ZADD K GT 4 a',
    'ZADD K NX 1 c',
    'ZINCRBY K 2 a',
    'ZREM K a',
    'ZREM K b c',
    'ZREMRANGEBYSCORE K 2 3',
    'GEOADD K 1 2 a',
    'GEOADD K CH 3 4 d',
    'ZPOPMIN K',
  ],
  list: [
    'RPUSH K a b a',
    'LPUSH K c',
    'LSET K 0 d',
    'LSET K -1 e',
    'LSET K 0 a',
    'LREM K 0 a',
    'LREM K 0 c',
    'LREM K 1 b',
    'LTRIM K 0 1',
    'LPOP K',
  ],
  stream: [
    'XADD K 1-1 f v',
    'XADD K 2-1 f v',
    'XDEL K 1-1',
    'XTRIM K MAXLEN 1',
    'XGROUP CREATE K g 0',
    'XGROUP DESTROY K g',
    'XSETID K 5-5',
  ],
};

const TYPES = Object.keys(POOLS).filter((name) => name !== 'any');

/** First what makes the key, then a sequence that is mostly about one type. */
const sequences = fc.constantFrom(...TYPES).chain((type) => {
  const own = fc.constantFrom(...POOLS[type]);
  const mostly = fc.oneof(
    { weight: 5, arbitrary: own },
    { weight: 2, arbitrary: fc.constantFrom(...POOLS.any) },
    { weight: 1, arbitrary: fc.constantFrom(...TYPES.flatMap((name) => POOLS[name])) },
  );
  return fc.record({
    before: fc.array(mostly, { maxLength: 4 }),
    lines: fc.array(mostly, { minLength: 1, maxLength: 7 }),
    again: fc.nat(),
  });
});

/** Sequences that come to something else the second time: if they were repeatable, this test would fail by them. */
const TRAPS = [
  // empty for a moment the second time, so that the expiry is lost
  { before: ['SADD K a b', `PEXPIREAT K ${FAR}`], lines: ['SREM K a', 'SADD K a', 'SREM K b'] },
  { before: ['HSET K a 1 b 2', `PEXPIREAT K ${FAR}`], lines: ['HDEL K a', 'HSET K a 3', 'HDEL K b'] },
  { before: ['SET K 5'], lines: ['INCR K'] },
  { before: ['PFADD K a b'], lines: ['SETRANGE K 20 ab', 'PFADD K c'] },
  { before: ['HSET K a 1'], lines: [`HPEXPIREAT K ${FAR} FIELDS 2 a b`, 'HSETEX K KEEPTTL FIELDS 1 b 2', 'HINCRBY K b 1'] },
];

/** Each command alone, on a key that has what it changes. */
const ALONE = [
  ...Object.entries(POOLS).flatMap(([type, pool]) =>
    pool.map((line) => ({ before: [...(type === 'any' ? ['SET K 1'] : pool.slice(0, 3)), `PEXPIREAT K ${FAR}`], lines: [line] })),
  ),
  { before: ['HSET K a 1 b 2', `HPEXPIREAT K ${FAR} FIELDS 2 a b`], lines: ['HPERSIST K FIELDS 2 a b'] },
];

const EXAMPLES = [...TRAPS, ...ALONE].map((one): [typeof one & { again: number }] => [{ ...one, again: 0 }]);

/** Those of the pools that are repeatable without a WHOLE before them, or are one. */
const REPEATABLE =
  'del geoadd getdel getset hdel hgetdel hmset hpersist hpexpireat hset hsetex lrem lset mset msetex persist pexpireat pfadd restore sadd set setbit setrange srem unlink zadd zrem zremrangebyscore';

describe('repeatable commands', () => {
  const repeated = new Set<string>();
  let dump: Buffer;

  beforeAll(async () => {
    await call(['SET', 'other', 'restored']);
    dump = await server.client.dumpBuffer('other');
  });

  const on = (args: readonly Arg[], key: string): Arg[] =>
    args.map((arg) => (arg.toString() === 'K' ? key : arg.toString() === 'DUMP' ? dump : arg));

  /** Everything that a key is. */
  async function state(key: string): Promise<string> {
    const fields = known.has('hpexpireat') ? await call(['HPEXPIRETIME', key, 'FIELDS', '3', 'a', 'b', 'c']) : '';
    const parts = [
      await call(['DEBUG', 'DIGEST-VALUE', key]),
      await call(['PEXPIRETIME', key]),
      await call(['TYPE', key]),
      fields instanceof Error ? '' : fields,
    ];
    return parts.map(String).join(' ');
  }

  async function changes(): Promise<number> {
    return Number(/rdb_changes_since_last_save:(\d+)/.exec(await server.client.info('persistence'))?.[1]);
  }

  /** The commands that had an effect: a source sends only these. */
  async function effective(lines: readonly string[], key: string): Promise<Arg[][]> {
    const sent: Arg[][] = [];
    for (const line of lines.filter((one) => isKnown(words(one)))) {
      const before = await changes();
      const args = asSent(words(line), 0, Date.now());
      // its own milliseconds would be others than those sent
      const relative = (specOf(words(line)).effect(streamCommand(...words(line))) & Effect.RELATIVE) !== 0;
      const reply = await call(on(relative ? args : words(line), key));
      if (!(reply instanceof Error) && (await changes()) > before) sent.push(args);
    }
    return sent;
  }

  test('lead to the same state from any that they can have been left in', async () => {
    await fc.assert(
      fc.asyncProperty(sequences, async ({ before, lines, again }) => {
        await call(['FLUSHALL']);
        await effective(before, 'one');
        await call(['COPY', 'one', 'start']);
        const sent = await effective(lines, 'one');
        const effects = sent.map((args) => specOf(args).effect(streamCommand(...args)));
        if (sent.length === 0 || !repeatable(effects.reduce(withEffect, 0), true)) return;
        const from = Math.max(
          0,
          effects.findLastIndex((effect) => (effect & Effect.WHOLE) !== 0),
        );
        const expected = await state('one');
        for (const args of sent.slice(from)) repeated.add(args[0].toString().toLowerCase());
        for (let done = 0; done <= sent.length; done++) {
          await call(['DEL', 'two']);
          await call(['COPY', 'start', 'two']);
          // interrupted once, and from the beginning or the last WHOLE on
          const begin = again % 2 === 0 ? from : 0;
          const half = begin + (again % (sent.length - begin + 1));
          const replies = [];
          for (const args of [...sent.slice(0, done), ...sent.slice(begin, half), ...sent.slice(begin)])
            replies.push(await call(on(args, 'two')));
          const errors = replies.slice(begin === from ? done : -(sent.length - from)).filter((reply) => reply instanceof Error);
          expect([sent.map((args) => args.join(' ')), done, await state('two'), errors]).toEqual([
            sent.map((args) => args.join(' ')),
            done,
            expected,
            [],
          ]);
        }
      }),
      { numRuns: 400, examples: EXAMPLES },
    );
    expect(words(REPEATABLE).filter((name) => known.has(name) && !repeated.has(name))).toEqual([]);
  });
});
