import { expect, test } from 'vitest';
import { bytes, change, copyText, count, date, percent, pieces, scaled, seconds, short, visible, words } from '../../src/page/format.js';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

test('amounts have three digits, and their unit', () => {
  expect([0, 999, 999.5, 8050, 99_960, 5.4e8, 3.82e10, 7e18, -1500].map(bytes).map(plain)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '8.05 kB',
    '100 kB',
    '540 MB',
    '38.2 GB',
    '7000 PB',
    '−1.50 kB',
  ]);
  expect([0, 9999, 10_000, 1_234_567, 4e13, -20_000].map(short).map(plain)).toEqual([
    '0',
    '9,999',
    '10.0 k',
    '1.23 M',
    '40.0 T',
    '−20.0 k',
  ]);
  expect([0, 1234, 12_412_345, -5].map(count)).toEqual(['0', '1,234', '12,412,345', '−5']);
  expect([999, 999_499, 999_500, 12_412_345, 1e9].map(words)).toEqual(['999', '999,499', '1 million', '12.4 million', '1 billion']);
  expect(['7.50 GB', '10.0 GB', '100 kB', '2.05 M', '0', '20.0 k'].map(scaled)).toEqual([
    '7.5 GB',
    '10 GB',
    '100 kB',
    '2.05 M',
    '0',
    '20 k',
  ]);
});

test('parts never look like none or all when they are not', () => {
  expect([0, 0.0001, 0.001, 0.0716, 0.71, 0.994, 0.9996, 1, NaN].map(percent).map(plain)).toEqual([
    '0 %',
    '< 0.1 %',
    '0.1 %',
    '7.2 %',
    '71 %',
    '99.4 %',
    '> 99.9 %',
    '100 %',
    '–',
  ]);
  expect(
    [
      [1, 1],
      [0, 5],
      [100, 112],
      [100, 50],
      [1, 25],
    ]
      .map(([before, after]) => change(before, after))
      .map(plain),
  ).toEqual(['±0 %', 'new', '+12 %', '−50 %', '× 25']);
});

test('times', () => {
  expect([0, 0.25, 59, 60, 3600, 86_400, 100_000, 7 * 86_400, 365 * 86_400].map(seconds).map(plain)).toEqual([
    '0 s',
    '250 ms',
    '59 s',
    '1 min',
    '1 h',
    '24 h',
    '27.8 h',
    '7 d',
    '1 y',
  ]);
  expect(date(1_773_453_900_000)).toBe('2026-03-14 02:05 UTC');
  expect(date(1e20)).toBe('100000000000000000000 ms');
});

test('nothing in a text is hidden', () => {
  const hidden = 'a\u0000b\u202ec\u200bd\u2028e\ud800f\u00a0g\ue000h\u{e0041}i\ufeff\t\r\n';
  expect(visible(hidden)).toBe('a\\u0000b\\u202ec\\u200bd\\u2028e\\ud800f\\u00a0g\\ue000h\\udb40\\udc41i\\ufeff\\t\\r\\n');
  expect(pieces('x\ny')).toEqual(['x', '\\n', 'y']);
  expect(pieces('\n')).toEqual(['', '\\n', '']);
  expect(visible('user:1 é 鍵 🔑')).toBe('user:1 é 鍵 🔑');
});

test('a copied text is itself, or JSON that cannot do harm in a shell', () => {
  expect(copyText('user:"1"')).toBe('user:"1"');
  expect(copyText('rm -rf\n')).toBe('"rm -rf\\n"');
  expect(JSON.parse(copyText('\u202e\u0000"\u2028'))).toBe('\u202e\u0000"\u2028');
});
