import { describe, expect, test } from 'vitest';
import { Kernels } from '../../src/kernels/kernels.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { Batch } from '../../src/rdb/batch.js';
import { sourceFile } from '../../src/pipeline/sink.js';
import { parsePayload } from '../../src/rdb/payload.js';
import { Output } from '../../src/io/output.js';
import { RespSink, type RespSinkOptions } from '../../src/dump/resp-sink.js';
import { parseTarget } from '../../src/values/targets.js';
import { dumped, type Feeding, MemorySink, serverFile, SERVERS } from '../support/dump-support.js';
import { inTurn } from '../support/factor.js';
import { bytes, f64, feed, le, len, rdb, readingOf, str } from '../support/support.js';

const MAX = 512 << 20;
const resp = (rdbs: Uint8Array[], more: Partial<RespSinkOptions> = {}, feeding: Feeding = {}) =>
  dumped(rdbs, (output, options) => new RespSink(output, { ...options, maxPayload: MAX, now: 0, ...more }), feeding);

/** The commands, arguments as Latin-1. */
function commands(bytes: Uint8Array): string[][] {
  const text = Buffer.from(bytes).toString('latin1');
  const found: string[][] = [];
  let pos = 0;
  const number = (first: string): number => {
    expect(text[pos]).toBe(first);
    const end = text.indexOf('\r\n', pos);
    const value = Number(text.slice(pos + 1, end));
    pos = end + 2;
    return value;
  };
  while (pos < text.length) {
    found.push(
      Array.from({ length: number('*') }, () => {
        const size = number('$');
        pos += size + 2;
        expect(text.slice(pos - 2, pos)).toBe('\r\n');
        return text.slice(pos - 2 - size, pos - 2);
      }),
    );
  }
  return found;
}

/** A sink that counts the rows that a kernel took. */
class CountingSink extends RespSink {
  inRuns = 0;

  protected override run(batch: Batch, row: number): number {
    const next = super.run(batch, row);
    this.inRuns += next - row;
    return next;
  }
}

/** A file as commands, and how many rows a kernel wrote. */
async function respOf(file: Uint8Array, codec: Kernels | undefined): Promise<{ bytes: Uint8Array; inRuns: number }> {
  const memory = new MemorySink();
  const sink = new CountingSink(new Output(memory, { codec }), { codec, maxPayload: MAX, now: 0 });
  const batch = new Batch(codec ?? TS_CODEC, 100);
  const reading = readingOf([file.slice()], batch, { codec, buffer: codec?.allocate(4 << 20) });
  sink.fileBegin(sourceFile({ name: 'file', ofPayloads: false }, reading.framer));
  await feed(reading, sink, batch);
  await sink.end();
  return { bytes: memory.bytes, inRuns: sink.inRuns };
}

const EXPIRES = bytes(0xfc, le(5000, 8));
const PRE = 'REDIS0009';

describe('RESTORE', () => {
  const file = rdb(PRE, [0xfa, str('redis-ver'), str('5.0'), 0xfe, 2, EXPIRES, 0xf8, len(99), 0, str('k'), str('v'), 0xf9, 5, 0, str('l'), str('w')]);

  test('with absolute expiries, idle times and frequencies', async () => {
    const [select, first, second, ...rest] = commands((await resp([file])).bytes);
    expect(select).toEqual(['SELECT', '2']);
    expect([first[0], first[1], first[2], ...first.slice(4)]).toEqual(['RESTORE', 'k', '5000', 'REPLACE', 'ABSTTL', 'IDLETIME', '99']);
    expect(parsePayload(Buffer.from(first[3], 'latin1'))).toMatchObject({ type: 0, version: 9, checksum: 'ok', value: Buffer.from(str('v')) });
    expect([second[1], second[2], ...second.slice(4)]).toEqual(['l', '0', 'REPLACE', 'FREQ', '5']);
    expect(rest).toEqual([]);
  });

  test.each([
    ['4.0', 4000, [['RESTORE', '1000', 'REPLACE']]],
    ['3.0', 9000, [['RESTORE', '1', 'REPLACE']]],
    ['2.8', 4000, [['DEL'], ['RESTORE', '1000']]],
  ])('for redis %s, at %i', async (target, now, want) => {
    const all = commands((await resp([file], { target: parseTarget(target), now })).bytes);
    const about = all.filter((command) => command[1] === 'k');
    expect(about.map(([name, , ttl, , ...more]) => name === 'DEL' ? [name] : [name, ttl, ...more])).toEqual(want);
  });

  test('of files of real servers are the same from the kernels as from TypeScript', async () => {
    let inRuns = 0;
    for (const name of SERVERS) {
      const [codec, plain] = [await respOf(serverFile(name), Kernels.create()), await respOf(serverFile(name), undefined)];
      expect(Buffer.compare(codec.bytes, plain.bytes), name).toBe(0);
      inRuns += codec.inRuns;
    }
    expect(inRuns).toBeGreaterThan(100 * SERVERS.length);
  });

  test('functions are loaded, before 7.0 they are told', async () => {
    const library = rdb('REDIS0010', [0xf5, str('#!lua name=a\n'), 0xfe, 0, 0, str('k'), str('v')]);
    expect(commands((await resp([library])).bytes)[0]).toEqual(['FUNCTION', 'LOAD', 'REPLACE', '#!lua name=a\n']);
    const { bytes: old, problems } = await resp([library], { target: parseTarget('redis-6.2') });
    expect(commands(old).map(([name]) => name)).toEqual(['RESTORE']);
    expect(problems).toEqual([{ file: 'file-0', reason: 'the function library "a", which Redis 6.2 does not know' }]);
  });

  test.each(SERVERS)('%s comes to the same bytes in chunks and parts', async (name) => {
    const file = serverFile(name);
    const want = (await resp([file])).bytes;
    const feedings = [{ codec: true }, { chunks: 997, limit: 64 }, { chunks: 70_000, limit: 1000, codec: true }];
    for (const feeding of inTurn(feedings, SERVERS.indexOf(name))) {
      expect(Buffer.compare((await resp([file], {}, feeding)).bytes, want)).toBe(0);
    }
  });
});

describe('commands for values that are too large', () => {
  const plain = async (...record: Parameters<typeof bytes>) => commands((await resp([rdb('REDIS0012', record)], { maxPayload: 1 })).bytes);

  test.each([
    ['a string', [0, str('k'), str('v')], [['SET', 'k', 'v']]],
    ['an expiry', [EXPIRES, 0, str('k'), 0xc0, 7], [['SET', 'k', '7'], ['PEXPIREAT', 'k', '5000']]],
    ['a list', [1, str('k'), 2, str('a'), 0xc0, 1], [['RPUSH', 'k', 'a', '1']]],
    ['a set', [2, str('k'), 1, str('a')], [['SADD', 'k', 'a']]],
    ['a sorted set', [5, str('k'), 3, str('a'), f64(1.5), str('b'), f64(-Infinity), str('c'), f64(-0)], [['ZADD', 'k', '1.5', 'a', '-inf', 'b', '-0', 'c']]],
    ['a hash', [4, str('k'), 1, str('f'), str('v')], [['HMSET', 'k', 'f', 'v']]],
    [
      'field expiries',
      [24, str('k'), le(100, 8), 2, 1, str('f'), str('v'), 0, str('g'), str('w')],
      [['HMSET', 'k', 'f', 'v', 'g', 'w'], ['HPEXPIREAT', 'k', '100', 'FIELDS', '1', 'f']],
    ],
  ])('%s', async (_, record, want) => {
    expect(await plain(...record)).toEqual([['DEL', 'k'], ...want]);
  });

  test('large elements are written as they come, in any parts', async () => {
    const big = (letter: string): string => letter.repeat(3_000_000);
    const records: [Parameters<typeof bytes>[0], string[][]][] = [
      [[4, str('k'), 2, str('f'), str(big('v')), str('g'), str('w')], [['HMSET', 'k', 'f', big('v')], ['HMSET', 'k', 'g', 'w']]],
      [[5, str('k'), 2, str(big('m')), f64(2), str('n'), f64(3)], [['ZADD', 'k', '2', big('m')], ['ZADD', 'k', '3', 'n']]],
      [[24, str('k'), le(100, 8), 2, 1, str('f'), str(big('v')), 6, str(big('g')), str('w')],
        [['HMSET', 'k', 'f', big('v')], ['HMSET', 'k', big('g'), 'w'], ['HPEXPIREAT', 'k', '100', 'FIELDS', '1', 'f'], ['HPEXPIREAT', 'k', '105', 'FIELDS', '1', big('g')]]],
      [[1, str('k'), 2, str('a'), str(big('b'))], [['RPUSH', 'k', 'a'], ['RPUSH', 'k', big('b')]]],
    ];
    for (const [record, want] of records) {
      const { bytes: out } = await resp([rdb('REDIS0012', [record])], { maxPayload: 1000 }, { chunks: 300_000 });
      const short = (all: string[][]): string[][] => all.map((command) => command.map((arg) => `${arg.slice(0, 20)} ${arg.length}`));
      expect(short(commands(out))).toEqual(short([['DEL', 'k'], ...want]));
    }
    const string = commands((await resp([rdb('REDIS0012', [0, str('k'), str(big('s'))])], { maxPayload: 1000 }, { chunks: 300_000 })).bytes);
    expect(string.slice(1).every(([name, key]) => name === 'APPEND' && key === 'k')).toBe(true);
    expect(string.slice(1).map(([, , piece]) => piece).join('') === big('s')).toBe(true);
  });

  test('a module value has none, and is told', async () => {
    const { bytes: out, problems } = await resp([serverFile('redis-7.4.1-modules')], { maxPayload: 1 });
    expect(problems.filter(({ reason }) => reason.includes('no commands make a value of the type module')).length).toBeGreaterThan(0);
    expect(commands(out).every(([name]) => name !== 'RESTORE')).toBe(true);
  });
});
