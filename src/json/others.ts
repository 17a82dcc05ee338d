import type { ByteBuilder } from '../bytes/builder.js';
import { writeUint64 } from '../bytes/decimal.js';
import { RdbError } from '../bytes/errors.js';
import { Element } from '../encodings/element.js';
import type { Output } from '../io/output.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { ITEM } from '../values/layouts.js';
import { type ArrayItems, ArrayWriter } from '../values/types/arrays.js';
import { type BitmapItems, BitmapWriter } from '../values/types/bitmaps.js';
import {
  ArrayPlace,
  type Container,
  Fields,
  integer,
  IntegerPlace,
  IntegerTextPlace,
  MOST_UNSIGNED,
  ObjectPlace,
  Place,
  TextPlace,
} from './places.js';
import { elementOf, emptyValue, KeptElement, type LineEncoding, setInteger, type ValueEncoder } from './value-encoder.js';
import { ascii, type JsonWriter } from './writer.js';

/* Types that few files have, arrays and bitmaps: how they are written, for JsonValues, and how they are read. */

/** Their rows of VALUES. */
export const OTHER_VALUES = {
  array: [ascii(',"type":"array"'), ascii(',"value":{"elements":['), ascii('}}\n')],
  bitmap: [ascii(',"type":"bitmap"'), ascii(',"value":{"length":'), ascii(']}}\n')],
} as const satisfies Partial<Record<RedisType, readonly [Uint8Array, Uint8Array, Uint8Array]>>;

const COMMA = 0x2c;
const QUOTE = 0x22;
const OBJECT_END = 0x7d;
const ARRAY_BEGIN = 0x5b;
const ARRAY_END = 0x5d;

const BITS = ascii(',"bits":[');

/** Writes their values. JsonValues, which is made of it, writes all others. */
export abstract class OtherJsonValues implements ArrayItems, BitmapItems {
  /** Nothing stands before the next item. */
  first = true;
  /** The elements of an array may go on. */
  protected arrayOpen = false;

  constructor(
    protected readonly json: JsonWriter,
    protected readonly output: Output,
  ) {}

  protected comma(): void {
    if (this.first) this.first = false;
    else {
      this.output.room(16);
      this.json.byte(COMMA);
    }
  }

  protected quotedUnsigned(element: Element): void {
    this.json.byte(QUOTE);
    this.json.unsigned(element);
    this.json.byte(QUOTE);
  }

  arrayElement(index: Element, value: Element): void {
    const { json } = this;
    this.comma();
    json.raw('{"index":');
    this.quotedUnsigned(index);
    json.raw(',"value":');
    json.text(value);
    json.byte(OBJECT_END);
  }

  arrayInsertIndex(index: Element): void {
    this.json.raw('],"insertIndex":');
    this.quotedUnsigned(index);
    this.arrayOpen = false;
  }

  bitmap(lengthHi: number, lengthLo: number): void {
    this.output.room(64);
    this.big(lengthHi, lengthLo);
    this.json.bytes(BITS);
  }

  bits(hi: number, first: number, last: number): void {
    const { json, output } = this;
    output.room(64);
    this.comma();
    if (last > first) json.byte(ARRAY_BEGIN);
    this.big(hi, first);
    if (last === first) return;
    json.byte(COMMA);
    this.big(hi, last);
    json.byte(ARRAY_END);
  }

  private big(hi: number, lo: number): void {
    const { output } = this;
    output.length = writeUint64(hi, lo, output.bytes, output.length);
  }
}

const nothing = (): void => undefined;

class ArrayEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly writer: ArrayWriter;
  private count = 0;
  private index = 0n;
  private before = -1n;
  private readonly indexElement = new Element();
  /** It may come before its index. */
  private readonly value = new KeptElement();

  constructor(encoding: LineEncoding) {
    const { unknown } = encoding;
    const writer = (this.writer = new ArrayWriter(encoding));
    const element = new Fields(
      {
        index: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) => (this.index = index)),
        value: new TextPlace((text) => this.value.keep(elementOf(text, ITEM, writer, encoding))),
      },
      ['index', 'value'],
      unknown,
      () => this.add(),
    );
    const fields = new Fields(
      {
        elements: new ArrayPlace('an array of elements', new ObjectPlace('an element: an object', () => element.begin()), nothing, nothing),
        insertIndex: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) =>
          writer.arrayInsertIndex(setInteger(this.indexElement, index)),
        ),
      },
      ['elements'],
      unknown,
      nothing,
    );
    this.place = new ObjectPlace('a sparse array: an object', () => fields.begin());
  }

  begin(): void {
    this.writer.open();
    this.count = 0;
    this.before = -1n;
  }

  private add(): void {
    if (this.index <= this.before) throw new RdbError('BAD_LINE', { expected: 'indexes that rise', got: 'one that does not' });
    this.before = this.index;
    this.count++;
    this.writer.arrayElement(setInteger(this.indexElement, this.index), this.value.element);
  }

  finish(head: ByteBuilder): TypeRow {
    const type = this.writer.finish(head);
    if (this.count === 0) throw emptyValue('array');
    return type;
  }
}

const MOST_LENGTH = 2n ** 60n - 1n;
const MOST_BIT = 2n ** 63n - 9n;
const LOW = 0xffffffffn;

/** A bit, or the first and the last one of a run. */
class BitsPlace extends Place {
  private readonly pair: ArrayPlace;
  private ends: bigint[] = [];

  constructor(private readonly set: (first: bigint, last: bigint) => void) {
    super(`a bit: an integer from 0 to ${MOST_BIT}, or an array of the first and the last one of a run`);
    const end = new IntegerPlace('a bit', (bit) => this.ends.push(bit), 0n, MOST_BIT);
    this.pair = new ArrayPlace('a run', end, () => (this.ends = []), () => this.run());
  }

  override number(digits: string): void {
    const bit = integer(digits, 0n, MOST_BIT);
    if (bit === undefined) super.number(digits);
    else this.set(bit, bit);
  }

  override array(): Container {
    return this.pair.array();
  }

  private run(): void {
    const [first, last] = this.ends;
    if (this.ends.length !== 2 || first > last) throw this.wrong(`[${this.ends.slice(0, 3).join(',')}]`);
    this.set(first, last);
  }
}

class BitmapEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly writer: BitmapWriter;
  private length = 0n;
  private before = -1n;

  constructor(encoding: LineEncoding) {
    this.writer = new BitmapWriter(encoding);
    const fields = new Fields(
      {
        length: new IntegerPlace('a number of bytes', (length) => (this.length = length), 0n, MOST_LENGTH),
        bits: new ArrayPlace('an array of bits', new BitsPlace((first, last) => this.bits(first, last)), nothing, nothing),
      },
      ['length', 'bits'],
      encoding.unknown,
      () => this.check(),
    );
    this.place = new ObjectPlace('a bitmap: an object', () => fields.begin());
  }

  begin(): void {
    this.writer.open();
    this.before = -1n;
  }

  private bits(first: bigint, last: bigint): void {
    if (first <= this.before) throw new RdbError('BAD_LINE', { expected: 'bits that rise', got: `${first} after ${this.before}` });
    this.before = last;
    const [lastHi, lastLo] = [Number(last >> 32n), Number(last & LOW)];
    let lo = Number(first & LOW);
    for (let hi = Number(first >> 32n); hi <= lastHi && !this.writer.isTooLong; hi++) {
      this.writer.bits(hi, lo, hi === lastHi ? lastLo : Number(LOW));
      lo = 0;
    }
  }

  private check(): void {
    const { before, length } = this;
    if (before >= length * 8n)
      throw new RdbError('BAD_LINE', { expected: `bits below ${length * 8n}, as the length says`, got: `bit ${before}` });
    this.writer.bitmap(Number(length >> 32n), Number(length & LOW));
  }

  finish(head: ByteBuilder): TypeRow {
    return this.writer.finish(head);
  }
}

/** Their rows of ENCODERS. */
export const OTHER_ENCODERS = {
  array: (encoding: LineEncoding): ValueEncoder => new ArrayEncoder(encoding),
  bitmap: (encoding: LineEncoding): ValueEncoder => new BitmapEncoder(encoding),
} as const satisfies Partial<Record<RedisType, unknown>>;
