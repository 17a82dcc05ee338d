import { ByteBuilder } from '../../bytes/builder.js';
import { RdbError } from '../../bytes/errors.js';
import { Element, INT } from '../../encodings/element.js';
import { RoaringReader, RoaringWriter } from '../../encodings/roaring.js';
import { Spill } from '../../io/spill.js';
import type { Frame } from '../../rdb/frame.js';
import { type Length, lengthText, readLength } from '../../rdb/length.js';
import { readString, type Scratch } from '../../rdb/string.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength64, addStringOf } from '../../rdb/write-string.js';
import type { OwnForm } from '../own-form.js';
import { NotRepresentable } from '../target-limits.js';
import { targetName, typeFor } from '../targets.js';
import { Body } from './body.js';
import type { Encoding, ValueWriter } from './encoding.js';

/** What is told of a bitmap. */
export interface BitmapItems {
  /** Its length in bytes, as the halves of an integer of 64 bits, unsigned. */
  bitmap?(lengthHi: number, lengthLo: number): void;
  /** Set bits first to last, inclusive, of the 2^32 that begin at bit hi × 2^32: ascending, and runs that touch are one. */
  bits?(hi: number, first: number, last: number): void;
}

/** A bitmap (33, Redis 8.12): its length, and the numbers of its bits as a string (encodings/roaring.ts). */
export class BitmapForm implements OwnForm<BitmapItems> {
  private handler: BitmapItems = {};
  /** The first bit beyond the length: bit `lo` of the 2^32 that begin at bit hi × 2^32. */
  private readonly bitsEnd = { hi: 0, lo: 0 };
  private readonly roaring = new RoaringReader((hi, first, last) => this.bits(hi, first, last));
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly element = new Element();

  constructor(private readonly scratch: Scratch) {}

  readonly parts = {
    fragment: (handler: BitmapItems, bytes: Uint8Array, start: number, end: number): void => {
      this.head(handler, bytes, start, end);
      this.roaring.begin();
    },
    string: (handler: BitmapItems) => {
      this.handler = handler;
      return {
        bytes: (bytes: Uint8Array, start: number, end: number): void => this.roaring.add(bytes, start, end),
        end: (): void => this.roaring.end(),
      };
    },
  };

  whole(handler: BitmapItems, _: Frame, bytes: Uint8Array, start: number, end: number): void {
    const { element, roaring } = this;
    const pos = this.head(handler, bytes, start, end);
    const next = readString(bytes, pos, end, element);
    if (next !== end || element.kind === INT)
      throw new RdbError('BAD_BITMAP', { within: pos, expected: 'a serialised bitmap', got: 'an integer or nothing' });
    this.scratch.inflate(element);
    roaring.begin(start);
    roaring.add(element.bytes, element.start, element.end);
    roaring.end();
  }

  private head(handler: BitmapItems, bytes: Uint8Array, start: number, end: number): number {
    const { bitsEnd, length } = this;
    const pos = readLength(bytes, start, end, length);
    const { hi, lo } = length;
    if (hi >>> 28 !== 0) throw new RdbError('BAD_BITMAP', { within: start, expected: 'a length below 2^60', got: lengthText(length) });
    bitsEnd.hi = hi * 8 + (lo >>> 29);
    bitsEnd.lo = (lo << 3) >>> 0;
    this.handler = handler;
    handler.bitmap?.(hi, lo);
    return pos;
  }

  private bits(hi: number, first: number, last: number): void {
    const { bitsEnd, handler } = this;
    if (hi > bitsEnd.hi || (hi === bitsEnd.hi && last >= bitsEnd.lo)) {
      const bit = (BigInt(hi) << 32n) + BigInt(last);
      throw new RdbError('BAD_BITMAP', {
        expected: `bits below ${(BigInt(bitsEnd.hi) << 32n) + BigInt(bitsEnd.lo)}, as its length says`,
        got: `bit ${bit}`,
      });
    }
    handler.bits?.(hi, first, last);
  }
}

/** Bytes: servers have no longer strings (redis t_string.c, checkStringLength; proto-max-bulk-len may allow more). */
const LONGEST_STRING = 2 ** 29;
const PIECE = 1 << 16;
const ZEROS = new Uint8Array(PIECE);
const ONES = new Uint8Array(PIECE).fill(0xff);

/**
 * Writes bitmaps. Targets that have none get the string that one reads as: the first bit is the highest one of the first byte. The
 * length may come after the bits.
 */
export class BitmapWriter implements ValueWriter, BitmapItems {
  private readonly type: TypeRow | undefined;
  private lengthHi = 0;
  private lengthLo = 0;
  /** It is longer than a string may be; what comes is left out. */
  isTooLong = false;
  /** The string: the buckets so far, or the bytes before the current one. */
  private readonly body = new Body();
  private readonly containers = new Body();
  private readonly roaring = new RoaringWriter(this.containers, (head) => this.bucket(head));
  /** Of a target without bitmaps: the byte that the next bit may still change. */
  private byteAt = 0;
  private byte = 0;

  constructor(private readonly encoding: Encoding) {
    this.type = typeFor(encoding.target, 'BITMAP');
  }

  open(): void {
    this.body.clear();
    this.containers.clear();
    this.roaring.begin();
    this.lengthHi = this.lengthLo = this.byteAt = this.byte = 0;
    this.isTooLong = false;
  }

  bitmap(lengthHi: number, lengthLo: number): void {
    this.lengthHi = lengthHi;
    this.lengthLo = lengthLo;
    if (this.type === undefined && (lengthHi > 0 || lengthLo > LONGEST_STRING)) this.isTooLong = true;
  }

  bits(hi: number, first: number, last: number): void {
    if (!this.isTooLong) {
      if (this.type !== undefined) this.roaring.run(hi, first, last);
      else if (hi === 0) this.expand(first, last);
    }
    if (this.body.size + this.containers.size > LONGEST_STRING || (this.type === undefined && hi > 0)) this.isTooLong = true;
  }

  private bucket(head: Uint8Array): void {
    const { body, containers } = this;
    body.bytes(head, 0, head.length);
    body.add(containers);
    containers.clear();
  }

  private expand(first: number, last: number): void {
    const from = Math.floor(first / 8);
    const to = Math.floor(last / 8);
    this.pad(from);
    const head = 0xff >> (first & 7);
    const tail = (0xff << (7 - (last & 7))) & 0xff;
    if (from === to) {
      this.byte |= head & tail;
      return;
    }
    this.byte |= head;
    this.pad(from + 1);
    this.repeat(ONES, to - from - 1);
    this.byteAt = to;
    this.byte = tail;
  }

  /** Zeros up to this byte, which becomes the current one. */
  private pad(to: number): void {
    if (to <= this.byteAt) return;
    this.body.out.byte(this.byte);
    this.repeat(ZEROS, to - this.byteAt - 1);
    this.byteAt = to;
    this.byte = 0;
  }

  private repeat(bytes: Uint8Array, count: number): void {
    for (let left = count; left > 0; left -= PIECE) this.body.bytes(bytes, 0, Math.min(left, PIECE));
  }

  finish(head: ByteBuilder): TypeRow {
    const { lengthHi, lengthLo, roaring, type } = this;
    if (type === undefined) {
      if (!this.isTooLong) this.pad(lengthLo);
      this.check(`${targetName(this.encoding.target)} has no bitmaps, and no string of more than 512 MiB, which this one would be`);
      this.string([]);
      return this.encoding.choose('STRING');
    }
    roaring.finish();
    this.check('a bitmap of more than 512 MiB is loaded by no server');
    addLength64(head, lengthHi, lengthLo);
    const count = new ByteBuilder();
    count.le64(0, roaring.buckets);
    this.string([count.view()]);
    return type;
  }

  private check(reason: string): void {
    if (!this.isTooLong) return;
    this.body.clear();
    throw new NotRepresentable(reason);
  }

  /** All of it as one string. */
  private string(before: readonly Uint8Array[]): void {
    const { body, encoding } = this;
    if (body.inMemory) {
      const whole = Buffer.concat([...before, body.out.view()]);
      addStringOf(encoding.body.out, whole);
    } else {
      const spill = new Spill();
      for (const piece of before) spill.add(piece, 0, piece.length);
      for (const piece of body.pieces()) spill.add(piece, 0, piece.length);
      encoding.body.spilled(spill);
    }
    body.clear();
  }
}
