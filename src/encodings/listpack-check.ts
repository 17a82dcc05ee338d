import { hexByte } from '../bytes/errors.js';
import { uint32 } from './element.js';
import { backlen, LISTPACK_HEADER, readListpack } from './listpack.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';

const UNCOUNTED = 0xffff;
/** Bytes of a backward length. */
const LONGEST_BACKLEN = 5;

/** A listpack (redis 7.0 listpack.c, lpValidateIntegrity and lpValidateNext): header, encodings, backward lengths, end byte, count. */
export class ListpackCheck extends PackedCheck {
  private stated = UNCOUNTED;

  constructor(report: Report, visit: Visit) {
    super(report, visit, LISTPACK_HEADER, 1);
  }

  protected head(bytes: Uint8Array, start: number): void {
    const total = uint32(bytes, start);
    this.stated = bytes[start + 4] | (bytes[start + 5] << 8);
    if (total !== this.size) this.report(0, `a header that says ${this.size} bytes`, `${total}`);
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const length = bodyLength(bytes, pos, stop);
    if (length === CUT) return stop < last ? -1 : this.lost(pos, 'a listpack element', 'the end of the listpack');
    if (length < 0) return this.lost(pos, 'a listpack element', hexByte(bytes[pos]));
    const after = pos + length;
    if (after >= last) return this.lost(pos, `a listpack element of at most ${last - pos - 1} bytes`, `${length}`);
    if (after >= stop) return -1;
    const next = after + backlen(bytes, after, length);
    if (next > last) return this.lost(pos, 'a listpack element with its backward length', 'the end of the listpack');
    if (next > stop) return -1;
    const stated = backwards(bytes, next);
    if (stated !== length) {
      this.report(next - 1 + this.shift, `a backward length of ${length}`, stated < 0 ? 'one of too many bytes' : `${stated}`, this.count);
    }
    readListpack(bytes, pos, stop, this.element);
    this.visit(this.element, this.count, pos + this.shift);
    return next;
  }

  protected closed(): void {
    if (this.stated !== UNCOUNTED && this.stated !== this.count) {
      this.report(4, `a header that says ${this.count} elements`, `${this.stated}`);
    }
  }
}

/** The bytes end before an element says how long it is. */
export const CUT = -2;

/** Bytes of the element at `at` without the length after it; CUT, or -1 where there is no such encoding. */
export function bodyLength(bytes: Uint8Array, at: number, stop: number): number {
  if (at >= stop) return CUT;
  const left = stop - at;
  const first = bytes[at];
  if (first < 0x80) return 1;
  if (first < 0xc0) return 1 + (first & 0x3f);
  if (first < 0xe0) return 2;
  if (first < 0xf0) return left < 2 ? CUT : 2 + (((first & 0x0f) << 8) | bytes[at + 1]);
  if (first === 0xf0) return left < 5 ? CUT : 5 + uint32(bytes, at + 1);
  if (first < 0xf4) return first - 0xee;
  return first === 0xf4 ? 9 : -1;
}

/** The length that stands before `end`, read backwards (lpDecodeBacklen); -1 for one of too many bytes. */
export function backwards(bytes: Uint8Array, end: number): number {
  let length = 0;
  let weight = 1;
  for (let i = 1; i <= LONGEST_BACKLEN; i++) {
    const byte = bytes[end - i];
    length += (byte & 0x7f) * weight;
    if ((byte & 0x80) === 0) return length;
    weight *= 0x80;
  }
  return -1;
}
