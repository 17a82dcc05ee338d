import fc from 'fast-check';
import { expect, test } from 'vitest';
import { idStart, isUuid } from '../../src/inspect/fold.js';

const folded = (segment: string): string => {
  const bytes = Buffer.from(segment);
  const at = idStart(bytes, 0, bytes.length);
  return at === bytes.length ? segment : `${segment.slice(0, at)}*`;
};

test.each([
  ['', ''],
  ['7', '*'],
  ['000', '*'],
  ['user', 'user'],
  ['v2', 'v2'],
  ['item0012', 'item*'],
  ['2024w', '2024w'],
  ['deadbeefcafe', 'deadbeefcafe'],
  ['deadbeefcaf1', '*'],
  ['deadbeefca1', 'deadbeefca1'],
  ['DEADbeef0123', '*'],
  ['d41d8cd98f00b204e9800998ecf8427e', '*'],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAV', '*'],
  ['01ARZ3NDEKTSV4RRFFQ69G5FA1', '*'],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAI', '01ARZ3NDEKTSV4RRFFQ69G5FAI'],
  ['01arz3ndektsv4rrffq69g5fav', '01arz3ndektsv4rrffq69g5fav'],
  ['１２３', '１２３'],
])('the segment %j becomes %j', (segment, name) => {
  expect(folded(segment)).toBe(name);
});

test('a UUID is 8-4-4-4-12 hex digits, and has to be there as a whole', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.nat(36), fc.string(), (uuid, at, tail) => {
      const bytes = Buffer.from(uuid + tail);
      expect(isUuid(bytes, 0, bytes.length)).toBe(true);
      expect(isUuid(bytes, 0, 35)).toBe(false);
      const spoilt = Buffer.from(bytes);
      spoilt[Math.min(at, 35)] = 0x7a;
      expect(isUuid(spoilt, 0, spoilt.length)).toBe(false);
    }),
  );
});

test('what is folded are digits at the end, or all of it', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40, unit: 'binary' }), (segment) => {
      const bytes = Buffer.from(segment);
      const at = idStart(bytes, 0, bytes.length);
      expect(at === 0 || /^\d*$/.test(bytes.toString('latin1', at))).toBe(true);
    }),
  );
});
