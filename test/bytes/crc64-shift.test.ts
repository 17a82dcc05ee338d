import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Crc64 } from '../../src/bytes/crc64.js';
import { crc64Shift } from '../../src/bytes/crc64-shift.js';

test('a CRC-64 with zeros behind it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3000), (data, zeros) => {
      const { hi, lo } = new Crc64().update(data).update(new Uint8Array(zeros));
      expect(crc64Shift(new Crc64().update(data), zeros)).toMatchObject({ hi, lo });
    }),
  );
});
