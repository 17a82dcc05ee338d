import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBuilder } from '../../src/bytes/builder.js';
import { Element, EMPTY, LZF } from '../../src/encodings/element.js';
import { integerWidth, toInteger } from '../../src/encodings/integer.js';
import { INTSET_HEADER, IntsetWriter, readIntset } from '../../src/encodings/intset.js';
import { LISTPACK_HEADER, ListpackWriter, readListpack } from '../../src/encodings/listpack.js';
import { readZiplist, ZIPLIST_HEADER, ZiplistWriter } from '../../src/encodings/ziplist.js';
import { RECORD } from '../../src/rdb/frame.js';
import { Framer } from '../../src/rdb/framer.js';
import { readLength } from '../../src/rdb/length.js';
import { readString, Scratch } from '../../src/rdb/string.js';
import { addLength64, addString } from '../../src/rdb/write-string.js';
import { serverFile, SERVERS } from '../support/dump-support.js';
import { bytes, intset, intStr, len, listpack, lzfStr, type Packable, str, ziplist } from '../support/support.js';

const borders = (bits: number[]): bigint[] => bits.flatMap((n) => [2n ** BigInt(n) - 1n, 2n ** BigInt(n), -(2n ** BigInt(n)), -(2n ** BigInt(n)) - 1n]);
const integers = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt(-70_000n, 70_000n),
  fc.bigInt(-20n, 20n),
  fc.constantFrom(...borders([7, 12, 15, 23, 31, 32, 52, 53]), -(2n ** 63n), 2n ** 63n - 1n),
);
const blobs = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.constantFrom('', '-', '+1', '01', '-0', '-01', ' 1', '1 ', '1.0', '9223372036854775808', '-9223372036854775809', '99999999999999999999', '184467440737095516160').map((text) => bytes(text)),
  // strings at the borders of length encodings, of backward lengths, and of the length of the entry before
  fc.constantFrom(62, 63, 64, 124, 125, 126, 127, 248, 249, 250, 251, 252, 253, 254, 255, 4095, 4096, 16376, 16377, 16378, 16379, 16382, 16383, 16384, 70_000)
    .map((size) => new Uint8Array(size).fill(0x61)),
);
const items = fc.array(fc.oneof(integers, blobs), { maxLength: 40 });

const shape = /^(?:0|-?[1-9][0-9]{0,18})$/;

/** What servers make of a string: an integer, where it is the text of one. */
function canonical(item: Packable): Packable {
  if (typeof item === 'bigint') return item;
  const text = Buffer.from(item).toString('latin1');
  return shape.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? BigInt(text) : item;
}

function elementOf(item: Packable): Element {
  const element = new Element();
  if (typeof item === 'bigint') {
    element.setInt64(Number(item >> 32n), Number(item & 0xffffffffn));
  } else {
    element.bytes = bytes([7], item, [7]);
    element.start = 1;
    element.end = element.bytes.length - 1;
  }
  return element;
}

interface Writer {
  begin(): void;
  add(element: Element): void;
  finish(): Uint8Array;
}

/** What the writer makes of items as they are, and of integers as text; twice, since it is used again and again. */
function written(writer: Writer, list: readonly Packable[], asText: boolean): Uint8Array {
  const elements = list.map((item) => elementOf(asText && typeof item === 'bigint' ? item.toString() : item));
  writer.begin();
  for (const element of elements) writer.add(element);
  writer.finish();
  writer.begin();
  for (const element of elements) writer.add(element);
  return writer.finish();
}

function same(got: Uint8Array, want: Uint8Array): void {
  if (Buffer.compare(got, want) !== 0) expect(got).toEqual(want);
}

describe('writers of packed values', () => {
  const zip = new ZiplistWriter();
  const pack = new ListpackWriter();
  const wide = new ListpackWriter(true);
  const set = new IntsetWriter();

  test('ziplists, byte by byte', () => {
    fc.assert(fc.property(items, fc.boolean(), (list, asText) => same(written(zip, list, asText), ziplist(list.map(canonical)))), { numRuns: 300 });
  });

  test('listpacks, byte by byte', () => {
    fc.assert(
      fc.property(items, fc.boolean(), (list, asText) => {
        same(written(pack, list, asText), listpack(list.map(canonical)));
        same(written(wide, list, asText), listpack(list.map(canonical), true));
      }),
      { numRuns: 300 },
    );
  });

  test('listpacks with entries of every length around a border', () => {
    for (const border of [0x7f, 0x3fff, 0x1fffff]) {
      for (let size = border - 8; size <= border + 4; size++) {
        const list = [new Uint8Array(size), 1n];
        same(written(pack, list, false), listpack(list));
        same(written(wide, list, false), listpack(list, true));
      }
    }
  });

  test('more entries than a header can count', () => {
    const list = Array.from({ length: 65_536 }, (_, i) => BigInt(i));
    for (const length of [65_534, 65_535, 65_536]) {
      same(written(zip, list.slice(0, length), false), ziplist(list.slice(0, length)));
      same(written(pack, list.slice(0, length), false), listpack(list.slice(0, length)));
    }
  });

  test('intsets, byte by byte', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: fc.bigInt(-40_000n, 40_000n) }, integers), { maxLength: 30 }), (list) => {
        const sorted = [...list].sort((a, b) => (a < b ? -1 : 1));
        const width = ([2, 4, 8] as const).find((n) => list.every((item) => BigInt.asIntN(8 * n, item) === item)) ?? 8;
        expect(written(set, list, false)).toEqual(intset(width, sorted));
      }),
    );
  });

  test('integers are told from texts as servers do', () => {
    fc.assert(
      fc.property(fc.oneof(blobs, integers.map(String).map((text) => bytes(text)), fc.stringMatching(/^-?[0-9]{1,21}$/).map((text) => bytes(text))), (blob) => {
        const element = elementOf(blob);
        const want = canonical(blob);
        expect(toInteger(element)).toBe(typeof want === 'bigint');
        if (typeof want === 'bigint') expect(integerWidth(element)).toBe([1, 2, 3, 4, 8].find((n) => BigInt.asIntN(8 * n, want) === want));
      }),
      { numRuns: 1000 },
    );
  });
});

/** A compressed string as it would be otherwise. */
function decompressed(string: Uint8Array): Uint8Array {
  const element = new Element();
  readString(string, 0, string.length, element);
  new Scratch().inflate(element);
  return str(element.bytes.subarray(element.start, element.end));
}

describe('writers of strings and lengths', () => {
  const out = new ByteBuilder();

  test('strings', () => {
    fc.assert(
      fc.property(fc.oneof(integers, blobs), (item) => {
        out.clear();
        addString(out, elementOf(item));
        const plain = canonical(item);
        const size = typeof plain !== 'bigint' ? undefined : ([1, 2, 4] as const).find((n) => BigInt.asIntN(8 * n, plain) === plain);
        const plainly = size === undefined ? str(typeof item === 'bigint' ? item.toString() : item) : intStr(Number(plain), size);
        if (out.bytes[0] !== 0xc3) expect(out.view()).toEqual(plainly);
        else expect(decompressed(out.view())).toEqual(plainly);
      }),
    );
  });

  test('what is compressed stays so', () => {
    const packed = lzfStr('a'.repeat(100));
    const element = new Element();
    readString(packed, 0, packed.length, element);
    expect(element.kind).toBe(LZF);
    out.clear();
    addString(out, element);
    expect(out.view()).toEqual(packed);
  });

  test('lengths of 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 63n), (value, shift) => {
        const length = value >> shift;
        out.clear();
        addLength64(out, Number(length >> 32n), Number(length & 0xffffffffn));
        expect(out.view()).toEqual(len(length));
        const read = { value: 0, hi: 0, lo: 0 };
        expect(readLength(out.view(), 0, out.length, read)).toBe(out.length);
        expect((BigInt(read.hi) << 32n) | BigInt(read.lo)).toBe(length);
      }),
    );
  });
});

describe.each(SERVERS)('what %s wrote', (name) => {
  test('packed values come out again as they were', () => {
    let [same, other] = [0, 0];
    for (const { packed, form } of packedValues(serverFile(name))) {
      const again = rewritten(form, packed);
      if (Buffer.compare(again, packed) === 0) same++;
      else {
        other++;
        expect(again.length).toBeLessThan(packed.length); // deletions leave wide integers and long links behind
      }
    }
    expect(other).toBeLessThanOrEqual(same / 20);
  });
});

/** All packed values of lists, sets, sorted sets and hashes. */
function* packedValues(rdb: Uint8Array): Generator<{ packed: Uint8Array; form: string }> {
  const framer = new Framer({ limit: Infinity, meta: false });
  const { frame } = framer;
  const scratch = new Scratch();
  const element = new Element();
  const length = { value: 0, hi: 0, lo: 0 };
  framer.push(rdb);
  for (let kind = framer.next(); kind === RECORD; kind = framer.next()) {
    const { bytes: all, end, start, type } = frame;
    const form = type.form.replace(/^quicklist2$/, 'listpack').replace('quicklist', 'ziplist');
    if (!['ziplist', 'listpack', 'intset'].includes(form)) continue;
    let pos = type.form.startsWith('quicklist') ? readLength(all, start, end, length) : start;
    while (pos < end) {
      if (type.form === 'quicklist2') pos = readLength(all, pos, end, length);
      pos = readString(all, pos, end, element);
      if (type.form === 'quicklist2' && length.value === 1) continue;
      scratch.inflate(element);
      yield { packed: element.bytes.slice(element.start, element.end), form };
    }
  }
}

function rewritten(form: string, packed: Uint8Array): Uint8Array {
  const writer = form === 'ziplist' ? new ZiplistWriter() : form === 'listpack' ? new ListpackWriter() : new IntsetWriter();
  const header = form === 'ziplist' ? ZIPLIST_HEADER : form === 'listpack' ? LISTPACK_HEADER : INTSET_HEADER;
  const end = form === 'intset' ? packed.length : packed.length - 1;
  const element = new Element();
  element.bytes = EMPTY;
  writer.begin();
  for (let pos = header; pos < end; ) {
    if (form === 'ziplist') pos = readZiplist(packed, pos, end, element);
    else if (form === 'listpack') pos = readListpack(packed, pos, end, element);
    else pos = readIntset(packed, pos, end, packed[0], element);
    writer.add(element);
  }
  return writer.finish();
}
