import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shortened, Table, width, wrapped } from '../../src/cli/text-table.js';

describe('cells', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['…', 1],
    ['日本', 4],
    ['ｆ', 2],
    ['한', 2],
    ['𠮷', 2],
    ['😀', 2],
    ['é', 1],
    ['e\u0301', 1],
    ['❤\ufe0f', 2],
    ['กำ', 2],
    ['का', 2],
  ])('of %j: %i', (text, cells) => {
    expect(width(text)).toBe(cells);
  });
});

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ maxLength: 60 }),
  fc.constantFrom('日本語'.repeat(9), '😀'.repeat(30), `a${'\u0301'.repeat(30)}`),
);

test('a text is shortened in its middle', () => {
  expect(shortened('abcdefgh', 8)).toBe('abcdefgh');
  expect(shortened('abcdefghi', 8)).toBe('abcd…ghi');
  expect(shortened('日本語日本語', 7)).toBe('日本…語');
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 60 }), (text, cells) => {
      const short = shortened(text, cells);
      expect(width(short)).toBeLessThanOrEqual(cells);
      if (width(text) <= cells) expect(short).toBe(text);
    }),
  );
});

test('wrapped text has all of it, in lines that fit', () => {
  expect(wrapped('one two three', 8, '  ')).toEqual(['one two', '  three']);
  expect(wrapped('abcdefghij k', 6, '  ')).toEqual(['abcd', '  efgh', '  ij k']);
  fc.assert(
    fc.property(fc.array(anyText), fc.integer({ min: 20, max: 80 }), fc.constantFrom('', '  '), (words, columns, indent) => {
      const text = words.join(' ');
      const lines = wrapped(text, columns, indent);
      for (const line of lines) expect(width(line)).toBeLessThanOrEqual(columns);
      expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    }),
  );
});

describe('tables', () => {
  test('names to the left, numbers to the right', () => {
    const table = new Table(80, ['', 'keys']);
    table.row(['a', '1,000']);
    table.row(['日本', '5']);
    expect(table.lines).toEqual(['       keys', 'a     1,000', '日本      5']);
  });

  test('only names are shortened', () => {
    const table = new Table(20, ['', 'keys']);
    table.row(['a name that is rather long', '1,000']);
    expect(table.lines).toEqual(['                keys', 'a name…r long  1,000']);
    const narrow = new Table(10, ['', 'keys']);
    narrow.row(['a name that is rather long', '1,000']);
    expect(narrow.lines[1]).toBe('a na…ong  1,000');
  });
});
