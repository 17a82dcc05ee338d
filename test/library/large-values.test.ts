import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decode, frames, type FramesOptions } from '../../src/index.js';
import { bytes, len, noise, type Part, rdb, str } from '../support/support.js';

const COUNT = 90_000;
const small = (key: string): Part => [0, str(key), str('v')];
const set = (key: string, count: number): Part => [2, str(key), len(count), Array.from({ length: count }, (_, i) => str(`member number ${i}`))];

describe('frames with a filter by size', () => {
  const string = noise(12 << 20);
  const file = rdb('REDIS0011', [small('a'), set('set', COUNT), [0, str('string'), str(string)], set('next', COUNT + 1), small('b')]);
  const size = new Map([['a', 2], ['b', 2], ['string', 5 + string.length], ['set', 0], ['next', 0]]);
  for (const [key, count] of [['set', COUNT], ['next', COUNT + 1]] as const) size.set(key, bytes(set(key, count)).length - 2 - key.length);

  /** Each value, its parts put together. */
  const read = async (filter: NonNullable<FramesOptions['filter']>): Promise<{ key: string; parts: number; value: Buffer }[]> => {
    const found: { key: string; parts: number; value: Buffer }[] = [];
    for await (const frame of frames(file, { filter })) {
      if (frame.first) found.push({ key: String(frame.key), parts: 0, value: Buffer.alloc(0) });
      const last = found.at(-1) as (typeof found)[number];
      last.parts++;
      last.value = Buffer.concat([last.value, frame.bytes]);
    }
    return found;
  };

  test.each([
    [{ minSize: 1 << 20 }, ['set', 'string', 'next']],
    [{ minSize: 2 << 20 }, ['string']],
    [{ minSize: 13 << 20 }, []],
    [{ maxSize: 1 << 20 }, ['a', 'b']],
    [{ maxSize: 2 << 20 }, ['a', 'set', 'next', 'b']],
    [{ maxSize: size.get('set') as number }, ['a', 'set', 'b']],
    [{ maxSize: 13 << 20 }, ['a', 'set', 'string', 'next', 'b']],
    [{ minSize: 3, maxSize: 5 + string.length }, ['set', 'string', 'next']],
  ])('%o: the same bytes, held until their size is known', async (filter, keys) => {
    const all = new Map((await read({})).map((each) => [each.key, each]));
    const found = await read(filter);
    expect(found.map(({ key }) => key)).toEqual(keys);
    for (const { key, parts, value } of found) {
      expect(value.length).toBe(size.get(key));
      expect(value.equals(all.get(key)?.value as Buffer)).toBe(true);
      expect(parts > 1).toBe(value.length > 1 << 20);
    }
  });

  test.skipIf(process.platform !== 'linux')('a loop that is left in the middle of held parts closes the temporary file', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    for await (const frame of frames(file, { filter: { minSize: 10 << 20 } })) {
      expect(frame.first).toBe(true);
      expect(open()).toBe(before + 1);
      break;
    }
    expect(open()).toBe(before);
  });
});

describe('one reading after another', () => {
  /** Large enough for the kernels, whose memory is used again. */
  const strings = (prefix: string, more: readonly Part[] = []): Uint8Array =>
    rdb('REDIS0011', [Array.from({ length: 6000 }, (_, i): Part => [0, str(`${prefix}:${i}`), str(`the value of ${prefix} number ${i}`)]), more]);
  const first = strings('first', [set('set', COUNT)]);
  const second = strings('second');

  const keysOf = async (file: Uint8Array): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key, value } of decode(file, { text: true })) {
      keys.push(value === `the value of ${key.replace(':', ' number ')}` ? key : `${key} with another value`);
    }
    return keys;
  };
  /** Reads to the end, or to the record at which the loop is left. */
  const readAll = async <R>(records: AsyncIterable<R>, leaves: (record: R, count: number) => boolean = () => false): Promise<void> => {
    let count = 0;
    for await (const record of records) if (leaves(record, ++count)) return;
  };
  const wanted = Array.from({ length: 6000 }, (_, i) => `second:${i}`);

  test.each([
    ['was left at the first key', () => readAll(decode(first), () => true)],
    ['was left in the middle', () => readAll(decode(first), (_, count) => count === 4567)],
    ['was left at its limit', () => readAll(decode(first, { limit: 5 }))],
    ['was left in a large value', () => readAll(frames(first), ({ last }) => !last)],
    ['ended with an error', () => expect(readAll(decode(first.slice(0, 300_000)))).rejects.toThrow('the input ends inside a record')],
    ['ended well', () => readAll(decode(first))],
  ])('has nothing of one that %s', async (_, before) => {
    for (let i = 0; i < 2; i++) {
      await before();
      expect(await keysOf(second)).toEqual(wanted);
    }
  });

  test('two at once do not disturb each other', async () => {
    expect(await Promise.all([keysOf(second), keysOf(second)])).toEqual([wanted, wanted]);
  });
});
