import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import type { TypeRow } from '../rdb/types.js';
import { BitmapWriter } from '../values/writers/bitmaps.js';
import type { LineEncoding, ValueEncoder } from './value-encoder.js';
import { Fields } from './fields.js';
import { integer, IntegerPlace } from './number-places.js';
import { ArrayPlace, type Container, ObjectPlace, Place } from './places.js';

const MOST_LENGTH = 2n ** 60n - 1n;
const MOST_BIT = 2n ** 63n - 9n;
const LOW = 0xffffffffn;

const nothing = (): void => undefined;

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

export class BitmapEncoder implements ValueEncoder {
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
