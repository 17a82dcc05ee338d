import { expect, test } from 'vitest';
import { delimitersOf } from '../../src/inspect/delimiters.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { batchOf, type MadeKey } from '../support/inspect-support.js';

const found = (keys: readonly (MadeKey | string)[]): string | undefined => {
  const delimiters = delimitersOf(batchOf(TS_CODEC, keys.map((key) => (typeof key === 'string' ? { key } : key))));
  return delimiters === undefined ? undefined : Buffer.from(delimiters).toString();
};

test('punctuation that one of ten keys has, however often', () => {
  expect(found(['a/b', 'c/d'])).toBe('/');
  expect(found(['a:b-c', ...Array<string>(9).fill('a:b')])).toBe(':-');
  expect(found(['a:b----c', ...Array<string>(10).fill('a:b')])).toBe(':');
});

test('a colon where there is none, and nothing where there are no keys', () => {
  expect(found(['plain'])).toBe(':');
  expect(found([''])).toBe(':');
  expect(found([])).toBeUndefined();
  expect(found([{ key: 'a/b', dropped: true }])).toBeUndefined();
});

test('keys that are held apart count, too, and other rows do not', () => {
  expect(found([{ key: 'a|b', apart: true }, { key: 'a.b', dropped: true }])).toBe('|');
});
