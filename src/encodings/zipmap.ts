import { hexByte, RdbError } from '../bytes/errors.js';
import { BYTES, type Element, uint32 } from './element.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';

/*
 * Zipmap (redis zipmap.c, hashes until 2.4): number of pairs (1 byte; 254 and up: not known), then per pair
 * length, field, length, free (1 byte), value, `free` unused bytes; FF at the end.
 * A length is 1 byte below 254, or FE and 4 bytes, little-endian.
 */
export const ZIPMAP_HEADER = 1;
const END = 0xff;
const LONG = 0xfe;

/** Checks the frame of the zipmap in `bytes[start, end)`. Returns its number of elements (fields and values), or -1. */
export function openZipmap(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size < 2) throw bad(start, 'a zipmap of 2 bytes or more', `${size} bytes`);
  if (bytes[end - 1] !== END) throw bad(end - 1, 'the end byte ff', hexByte(bytes[end - 1]));
  return zipmapElements(bytes, start);
}

/** How many fields and values the first byte of a zipmap says there are, -1 where they are too many for it. */
export function zipmapElements(bytes: Uint8Array, start: number): number {
  const pairs = bytes[start];
  return pairs < LONG ? pairs * 2 : -1;
}

/**
 * Reads the field (`phase` 0) or value (`phase` 1) at `pos`. Returns the position after it and its unused bytes, or -1
 * where it does not end before `end`.
 */
export function readZipmap(bytes: Uint8Array, pos: number, end: number, phase: number, element: Element): number {
  if (pos >= end) return -1;
  const first = bytes[pos];
  if (first === END) throw bad(pos, phase === 0 ? 'a field' : 'a value', 'the end byte ff');
  let start = pos + 1;
  let length = first;
  element.kind = BYTES;
  element.bytes = bytes;
  element.start = element.end = 0;
  if (first === LONG) {
    start = pos + 5;
    if (start > end) return -1;
    length = uint32(bytes, pos + 1);
  }
  let free = 0;
  if (phase === 1) {
    if (start >= end) return -1;
    free = bytes[start++];
  }
  element.start = start;
  element.end = start + length;
  const next = start + length + free;
  return next > end ? -1 : next;
}

function bad(within: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_ZIPMAP', { within, expected, got });
}

/** Number of pairs from which on the header does not say it. */
const UNCOUNTED = 254;

/** A zipmap (redis 7.0 zipmap.c, zipmapValidateIntegrity): lengths, end byte, count. Fields and values are visited in turn. */
export class ZipmapCheck extends PackedCheck {
  private stated = UNCOUNTED;

  constructor(report: Report, visit: Visit) {
    super(report, visit, ZIPMAP_HEADER, 1);
  }

  protected head(bytes: Uint8Array, start: number): void {
    this.stated = bytes[start];
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const { element } = this;
    let next: number;
    try {
      next = readZipmap(bytes, pos, stop, this.count % 2, element);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return this.lost(pos, error.expected ?? 'a zipmap entry', error.got ?? 'something else');
    }
    if (next < 0) {
      if (element.end > last) {
        return this.lost(pos, `a zipmap entry of at most ${last - element.start} bytes`, `${element.end - element.start}`);
      }
      return stop < last ? -1 : this.lost(pos, 'a zipmap entry', 'the end of the zipmap');
    }
    this.visit(element, this.count, pos + this.shift);
    return next;
  }

  protected closed(): void {
    const pairs = Math.floor(this.count / 2);
    if (this.stated !== UNCOUNTED && this.stated !== pairs) this.report(0, `a header that says ${pairs} pairs`, `${this.stated}`);
  }
}
