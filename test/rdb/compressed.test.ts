import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBuilder } from '../../src/bytes/builder.js';
import { Element, LZF } from '../../src/encodings/element.js';
import { readString } from '../../src/rdb/string.js';
import { addBytes } from '../../src/rdb/write-string.js';
import { inflated, plains } from '../support/lzf-texts.js';
import { bytes, noise, str } from '../support/support.js';

describe('strings are compressed as servers do', () => {
  const out = new ByteBuilder();
  const added = (plain: Uint8Array): Uint8Array => {
    out.clear();
    addBytes(out, plain, 0, plain.length);
    return out.view().slice();
  };

  test('from 21 bytes on, where it saves 4', () => {
    const text = 'abcdefghijklmnop';
    expect(added(new Uint8Array(20))).toEqual(str(new Uint8Array(20)));
    expect(added(new Uint8Array(21))).toEqual(bytes(0xc3, 5, 21, [0, 0, 0xe0, 11, 0]));
    expect(added(bytes(text, 'ABCDE', 'abcdef'))).toEqual(str(text, 'ABCDE', 'abcdef')); // 24 bytes for 27
    expect(added(bytes(text, 'ABCDE', 'abcdefg'))).toEqual(bytes(0xc3, 24, 28, 20, text, 'ABCDE', 0xa0, 20)); // 24 for 28
    expect(added(noise(500))).toEqual(str(noise(500)));
  });

  test('and come back', () => {
    fc.assert(
      fc.property(plains, (plain) => {
        const packed = added(plain);
        const element = new Element();
        expect(readString(packed, 0, packed.length, element)).toBe(packed.length);
        const size = element.end - element.start;
        const got = element.kind === LZF ? inflated(packed.subarray(element.start, element.end), element.num) : packed.subarray(element.start, element.end);
        expect(Buffer.compare(got, plain)).toBe(0);
        expect(size).toBeLessThanOrEqual(element.kind === LZF ? plain.length - 4 : plain.length);
      }),
    );
  });
});
