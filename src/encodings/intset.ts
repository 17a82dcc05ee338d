import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { type Element, int16, int32, uint32 } from './element.js';
import { highHalf, integerWidth, lowHalf } from './integer.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';

/*
 * Intset (redis intset.c): bytes per integer (4, little-endian: 2, 4 or 8), number of integers (4), the integers,
 * little-endian, ascending.
 */
export const INTSET_HEADER = 8;

/** Checks the header of the intset whose first 8 bytes are at `start`, `size` bytes long. Returns bytes per integer. */
export function openIntset(bytes: Uint8Array, start: number, size: number): number {
  if (size < INTSET_HEADER) throw bad(start, 'an intset of 8 bytes or more', `${size} bytes`);
  const width = uint32(bytes, start);
  if (width !== 2 && width !== 4 && width !== 8) throw bad(start, '2, 4 or 8 bytes an integer', `${width}`);
  const count = uint32(bytes, start + 4);
  if (INTSET_HEADER + count * width !== size) {
    throw bad(start, `${(size - INTSET_HEADER) / width} integers of ${width} bytes`, `a header that says ${count}`);
  }
  return width;
}

/** Reads the integer of `width` bytes at `pos`; returns the position after it, or -1 where it does not end before `end`. */
export function readIntset(bytes: Uint8Array, pos: number, end: number, width: number, element: Element): number {
  if (pos + width > end) return -1;
  if (width === 2) element.setInt(int16(bytes, pos));
  else if (width === 4) element.setInt(int32(bytes, pos));
  else element.setInt64(int32(bytes, pos + 4), uint32(bytes, pos));
  return pos + width;
}

function bad(within: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_INTSET', { within, expected, got });
}

/**
 * Writes intsets (redis intset.c, _intsetValueEncoding): all integers in the 2, 4 or 8 bytes
 * that the widest needs, ascending.
 */
export class IntsetWriter {
  private readonly out = new ByteBuilder();
  private values: bigint[] = [];
  private width = 2;

  begin(): void {
    this.values = [];
    this.width = 2;
  }

  /** Adds an INT or INT64 element that was not added before. */
  add(element: Element): void {
    const width = integerWidth(element);
    this.width = Math.max(this.width, width === 3 ? 4 : width);
    this.values.push((BigInt(highHalf(element)) << 32n) | BigInt(lowHalf(element)));
  }

  /** The whole intset: a view, until the next one. */
  finish(): Uint8Array {
    const { out, values, width } = this;
    out.clear();
    out.le(width, 4);
    out.le(values.length, 4);
    for (const value of BigInt64Array.from(values).sort()) {
      const lo = Number(value & 0xffffffffn);
      if (width === 8) out.le64(Number(value >> 32n), lo);
      else out.le(lo, width);
    }
    return out.view();
  }
}

/** An intset (redis 7.0 intset.c, intsetValidateIntegrity): width, count, ascending order. */
export class IntsetCheck extends PackedCheck {
  private width = 0;
  /** The integer before. */
  private hi = 0;
  private lo = 0;

  constructor(report: Report, visit: Visit) {
    super(report, visit, INTSET_HEADER, 0);
  }

  protected head(bytes: Uint8Array, start: number): void {
    const width = uint32(bytes, start);
    this.width = width;
    if (width !== 2 && width !== 4 && width !== 8) {
      this.lost(start, '2, 4 or 8 bytes per integer', `${width}`);
      return;
    }
    const count = (this.size - INTSET_HEADER) / width;
    const stated = uint32(bytes, start + 4);
    if (stated !== count) this.report(4, `a header that says ${count} integers of ${width} bytes`, `${stated}`);
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const { element } = this;
    const next = readIntset(bytes, pos, stop, this.width, element);
    if (next < 0) return stop < last ? -1 : this.lost(pos, `an integer of ${this.width} bytes`, 'the end of the intset');
    const [hi, lo] = [highHalf(element), lowHalf(element)];
    if (this.count > 0 && (hi < this.hi || (hi === this.hi && lo <= this.lo))) {
      this.report(pos + this.shift, 'a greater integer than the one before', 'the same or a lesser one', this.count);
    }
    this.hi = hi;
    this.lo = lo;
    this.visit(element, this.count, pos + this.shift);
    return next;
  }

  protected closed(): void {
    // its header was compared with its size
  }
}
