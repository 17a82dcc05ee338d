import { afterEach, describe, expect, test, vi } from 'vitest';
import { ERROR_CODES, type ErrorCode, RdbError } from '../../src/bytes/errors.js';
import { errorLine, exitOf, exitOfAll } from '../../src/cli/errors.js';
import { HINTS } from '../../src/cli/hints.js';
import { bytesText, countText, longText, rateText, secondsText } from '../../src/cli/numbers.js';
import { printable, quoted, sourceName, word } from '../../src/cli/printable.js';
import { BarProgress, barText } from '../../src/cli/progress-bar.js';
import { PlainProgress, progressParts } from '../../src/cli/progress.js';
import { Collector } from '../support/cli-support.js';

test('every error code has a hint, and every hint a code', () => {
  expect(Object.keys(HINTS).sort()).toEqual(Object.keys(ERROR_CODES).sort());
  for (const hint of Object.values(HINTS)) expect(hint).toMatch(/^[A-Z].*\.$/);
});

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

describe('errors', () => {
  test('one line with all that is known', () => {
    const error = new RdbError('BAD_LISTPACK', { file: 'a b.rdb', offset: 1000, within: 7, db: 3, key: 'k"\n', expected: 'an element', got: 'byte ff' });
    expect(errorLine(error)).toBe(
      `BAD_LISTPACK: "a b.rdb", offset 1000, byte 7 of the packed value there, db 3, key "k\\"\\n": expected an element, got byte ff. ${HINTS.BAD_LISTPACK}`,
    );
  });

  test('one line with nothing known', () => {
    expect(errorLine(new RdbError('CHECKSUM'))).toBe(`CHECKSUM: ${ERROR_CODES.CHECKSUM}. ${HINTS.CHECKSUM}`);
  });

  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s is one line', (code) => {
    expect(errorLine(new RdbError(code, { file: '\n\u001b', key: '\n', got: '\n', expected: '\u202e' }))).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test.each([
    ['ENOENT', 2], ['EACCES', 2], ['EISDIR', 2], ['EIO', 3], ['EMFILE', 3],
  ])('READ_FAILED for %s exits %i', (code, exit) => {
    const error = new RdbError('READ_FAILED', { cause: Object.assign(new Error('no'), { code }) });
    expect(exitOf(error)).toBe(exit);
  });

  test('of several errors the gravest counts', () => {
    const wrongPath = new RdbError('READ_FAILED', { got: 'a directory' });
    expect([exitOfAll([]), exitOfAll([wrongPath]), exitOfAll([wrongPath, new RdbError('TRUNCATED')])]).toEqual([0, 2, 3]);
  });
});

test('numbers', () => {
  expect([0, 999, 1000, 8051, 999_499, 999_500, 540_080_054, 1.5e12].map(bytesText)).toEqual([
    '0 B', '999 B', '1.00 kB', '8.05 kB', '999 kB', '1.00 MB', '540 MB', '1.50 TB',
  ]);
  expect([1, 999, 1000, 1234567].map(countText)).toEqual(['1', '999', '1,000', '1,234,567']);
  expect([rateText(1e6, 2), rateText(1, 0)]).toEqual(['500 kB/s', '0 B/s']);
  expect([0.004, 4.32, 59.99, 83].map(secondsText)).toEqual(['0.00 s', '4.3 s', '1 min 00 s', '1 min 23 s']);
  expect([5, 83, 3725].map(longText)).toEqual(['5 s', '1 min 23 s', '1 h 02 min']);
});

describe('progress', () => {
  afterEach(() => void vi.useRealTimers());
  const half = { bytesRead: 50e6, totalBytes: 100e6, keys: 1234 };

  test('says how far it is, or how much was read', () => {
    expect(progressParts(half, 2)).toEqual(['50%', '50.0 MB of 100 MB', '1,234 keys', '25.0 MB/s', '2 s left']);
    expect(progressParts({ ...half, totalBytes: undefined }, 2)).toEqual(['50.0 MB', '1,234 keys', '25.0 MB/s', '2 s']);
    expect(progressParts({ bytesRead: 0, totalBytes: 5, keys: 0 }, 0).at(-1)).toBe('starting');
  });

  test.each([200, 100, 80, 60, 40, 24, 10, 3, 0])('fits into %i columns', (width) => {
    const text = barText(progressParts(half, 2), 0.5, width);
    expect(text.length).toBeLessThanOrEqual(width);
    if (width >= 3) expect(text).toMatch(/^50%/);
    if (width >= 14) expect(text).toMatch(/2 s left$/);
    if (width >= 80) expect(text).toMatch(/^50% {2}\[=+ +\] {2}50.0 MB of 100 MB {2}1,234 keys {2}25.0 MB\/s {2}2 s left$/);
  });

  test('plain: a line every five seconds', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const err = new Collector();
    const progress = new PlainProgress(err);
    progress.update(half);
    vi.advanceTimersByTime(10_000);
    progress.stop();
    vi.advanceTimersByTime(10_000);
    expect(err.text).toBe(
      'rdbkit: 50%, 50.0 MB of 100 MB, 1,234 keys, 10.0 MB/s, 5 s left\nrdbkit: 50%, 50.0 MB of 100 MB, 1,234 keys, 5.00 MB/s, 10 s left\n',
    );
  });

  test('the bar comes late, moves below lines, and leaves nothing behind', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const err = Object.assign(new Collector(), { isTTY: true, columns: 100 });
    const progress = new BarProgress(err);
    progress.update(half);
    progress.line('early');
    vi.advanceTimersByTime(600);
    expect(err.text).toBe('early\n');
    vi.advanceTimersByTime(600);
    expect(err.text).toContain('50%  [=');
    progress.line('warning');
    progress.stop();
    progress.stop();
    const writes = err.text.length;
    vi.advanceTimersByTime(5000);
    expect(err.text.length).toBe(writes);
    expect(err.text).toContain('\u001b[2Kwarning\n');
    expect(err.text.endsWith('\u001b[2K')).toBe(true);
    expect(err.text).not.toMatch(/\u001b\[\?/); // neither the cursor nor wrapping is switched off
  });

  test('the bar redraws at most about ten times a second', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const err = Object.assign(new Collector(), { isTTY: true, columns: 100 });
    const progress = new BarProgress(err);
    for (let i = 0; i < 3000; i++) {
      progress.update({ ...half, bytesRead: i * 1e4 });
      vi.advanceTimersByTime(1);
    }
    progress.stop();
    expect(err.text.split('%').length).toBeLessThan(28);
  });
});
