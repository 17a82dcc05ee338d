import { describe, expect, test } from 'vitest';
import { readOptions } from '../../src/cli/options/read.js';
import { filterOf } from '../../src/cli/sources.js';
import { UsageError } from '../../src/cli/usage.js';
import { parseLimit, parseSize } from '../../src/values/filter-args.js';
import { type FilterOptions } from '../../src/values/filters.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const filterOfWords = (words: Readonly<Record<string, string[]>>): FilterOptions => filterOf(readOptions('decode', words, {}));

describe('filters of a command line', () => {
  test('every option', () => {
    const words = {
      db: ['0,3', '5-7', '6'], prefix: ['user:', 'base64:/w=='], notPrefix: ['é'], match: ['a*'], notMatch: ['?,b'], regex: ['^a,b'],
      notRegex: ['c'], type: ['hash,zset', 'string'], notType: ['array'], slot: ['0-5460,7', '16383'], ttl: ['live'], minSize: ['1kb'], maxSize: ['1mb'],
    };
    expect(filterOfWords(words)).toEqual({
      db: [0, 3, 5, 6, 7], prefix: [utf8('user:'), latin1('\xff')], notPrefix: [utf8('é')], match: [utf8('a*')], notMatch: [utf8('?,b')],
      regex: [/^a,b/u], notRegex: [/c/u], type: ['hash', 'zset', 'string'], notType: ['array'], slot: [[0, 5460], [7, 7], [16383, 16383]],
      ttl: 'live', minSize: 1024, maxSize: 1048576,
    });
  });

  test.each([
    ['10', 10], ['10b', 10], ['10k', 10240], ['10kb', 10240], ['10KiB', 10240], ['1.5mb', 1572864], ['2GiB', 2 ** 31], ['1t', 2 ** 40],
    ['0', 0], ['0.3kb', 307],
  ])('size %s', (word, bytes) => {
    expect(parseSize('--min-size', word)).toBe(bytes);
  });

  test.each(['', '1.5', '1.5b', '-1', '1 kb', 'kb', '1eb', '1e3', '.5kb', '1.kb', '1bib', '9007199254740992', '9000t'])('no size: %j', (word) => {
    expect(() => parseSize('--min-size', word)).toThrow(/^--min-size .*: expected a number of bytes/);
  });

  test('limits', () => {
    expect(parseLimit('--limit', '1')).toBe(1);
    for (const word of ['0', '-1', '1.5', '', 'all', '1e3']) {
      expect(() => parseLimit('--limit', word)).toThrow(/^--limit .*: expected a whole number of keys, at least 1/);
    }
  });

  test.each([
    [{ db: ['x'] }, '--db x: expected database numbers from 0, like 0, 0,3 or 0-3'],
    [{ db: ['0,'] }, '--db "": expected database numbers'],
    [{ db: ['2147483648'] }, '--db 2147483648: expected database numbers'],
    [{ db: ['3-1'] }, '--db 3-1: expected a range from low to high, like 1-3'],
    [{ db: ['0-65536'] }, '--db 0-65536: expected ranges of at most 65536 databases'],
    [{ slot: ['16384'] }, '--slot 16384: expected slots from 0 to 16383, like 5 or 0-5460'],
    [{ slot: ['5-'] }, '--slot 5-: expected slots'],
    [{ prefix: ['base64:YQ'] }, '--prefix base64:YQ: base64 with 2 characters'],
    [{ notMatch: ['\ud800'] }, '--not-match \ud800: text with a lone surrogate'],
    [{ regex: ['('] }, '--regex (: not a JavaScript regular expression in Unicode mode (flag u): '],
    [{ type: ['hashes'] }, '--type hashes: expected one of string, list, set, zset, hash, stream, module, array, bitmap (did you mean hash?)'],
    [{ type: ['zst'] }, '(did you mean zset?)'],
    [{ type: ['STRING'] }, '(did you mean string?)'],
    [{ notType: ['str'] }, '--not-type str: expected one of'],
    [{ type: ['blob'] }, 'module, array'],
    [{ ttl: ['expire'] }, '--ttl expire: expected one of none, any, expired, live (did you mean expired?)'],
    [{ minSize: ['2kb'], maxSize: ['1kb'] }, '--min-size 2kb is above --max-size 1kb: no key could pass'],
  ])('refused: %j', (words, message) => {
    expect(() => filterOfWords(words)).toThrow(UsageError);
    expect(() => filterOfWords(words)).toThrow(message);
  });
});
