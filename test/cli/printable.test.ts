import { describe, expect, test } from 'vitest';
import { printable, quoted, sourceName, word } from '../../src/cli/printable.js';

describe('what a terminal gets to see', () => {
  test.each([
    ['\u001b[31mred\u0007', '\\u001b[31mred\\u0007'],
    ['two\nlines\r\tand a tab', 'two\\nlines\\r\\tand a tab'],
    ['\u202eright to left\u2066\u200f\ufeff\u200b', '\\u202eright to left\\u2066\\u200f\\ufeff\\u200b'],
    ['\u009b31m\u007f\u0085\u2028\u2029', '\\u009b31m\\u007f\\u0085\\u2028\\u2029'],
    ['lone \ud800', 'lone \\ud800'],
    ['tag \u{e0041}', 'tag \\udb40\\udc41'],
    ['héllo 😀 日本', 'héllo 😀 日本'],
  ])('%j', (hostile, shown) => {
    expect(printable(hostile)).toBe(shown);
    expect(JSON.parse(quoted(hostile))).toBe(hostile);
    expect(printable(quoted(hostile))).toBe(quoted(hostile));
  });

  test('names are quoted where they could be mistaken', () => {
    expect(word('/var/lib/redis-7/dump_0.rdb')).toBe('/var/lib/redis-7/dump_0.rdb');
    expect(word('my dump.rdb')).toBe('"my dump.rdb"');
    expect(word('a, offset 5')).toBe('"a, offset 5"');
    expect(word('')).toBe('""');
    expect(sourceName('-')).toBe('standard input');
  });
});
