import { describe, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, RdbError } from '../../src/bytes/errors.js';
import { errorLine, exitOf, exitOfAll, hintOf } from '../../src/cli/errors.js';
import { HINTS } from '../../src/cli/hints.js';
import { bytesText, countText, longText, rateText, secondsText } from '../../src/cli/numbers.js';

test('every error code has a hint, and every hint a code', () => {
  expect(Object.keys(HINTS).sort()).toEqual(Object.keys(ERROR_CODES).sort());
  for (const hint of Object.values(HINTS)) expect(hint).toMatch(/^[A-Z].*\.$/);
});

describe('errors', () => {
  const line = (error: RdbError): string => errorLine(error, hintOf(error, 'decode'));

  test('one line with all that is known', () => {
    const error = new RdbError('BAD_LISTPACK', { file: 'a b.rdb', offset: 1000, within: 7, db: 3, key: 'k"\n', expected: 'an element', got: 'byte ff' });
    expect(line(error)).toBe(
      `BAD_LISTPACK: "a b.rdb", offset 1000, byte 7 of the packed value there, db 3, key "k\\"\\n": expected an element, got byte ff. ${HINTS.BAD_LISTPACK}`,
    );
  });

  test('one line with nothing known', () => {
    expect(line(new RdbError('CHECKSUM'))).toBe(`CHECKSUM: ${ERROR_CODES.CHECKSUM}. ${HINTS.CHECKSUM}`);
  });

  test('hints name options of the command alone', () => {
    const damaged = new RdbError('BAD_LZF');
    damaged.skippable = true;
    const hints = (error: RdbError): string[] => (['decode', 'diff'] as const).map((command) => hintOf(error, command));
    expect(hints(damaged)).toEqual([`${HINTS.BAD_LZF} --skip-damaged goes past such values.`, HINTS.BAD_LZF]);
    expect(hints(new RdbError('READ_FAILED'))).toEqual(['Name a readable file, or - for standard input.', 'Name a readable file.']);
    expect(hints(new RdbError('BAD_LINE'))).toEqual([HINTS.BAD_LINE, 'Fix the line (see docs/json-lines.md) or remove it.']);
  });

  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s is one line', (code) => {
    expect(line(new RdbError(code, { file: '\n\u001b', key: '\n', got: '\n', expected: '\u202e' }))).not.toMatch(/[\p{Cc}\p{Cf}]/u);
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
