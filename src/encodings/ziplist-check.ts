import { RdbError } from '../bytes/errors.js';
import { BYTES, uint32 } from './element.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';
import { readZiplist, ZIPLIST_HEADER } from './ziplist.js';

const UNCOUNTED = 0xffff;
const LONG = 0xfe;

/**
 * A ziplist (redis 7.0 ziplist.c, ziplistValidateIntegrity): header, encodings, the length of the entry before, offset of the last
 * entry, end byte, count.
 */
export class ZiplistCheck extends PackedCheck {
  private tail = 0;
  private stated = UNCOUNTED;
  /** Of the entry before. */
  private lastAt = 0;
  private lastSize = 0;

  constructor(report: Report, visit: Visit) {
    super(report, visit, ZIPLIST_HEADER, 1);
  }

  protected head(bytes: Uint8Array, start: number): void {
    const total = uint32(bytes, start);
    this.tail = uint32(bytes, start + 4);
    this.stated = bytes[start + 8] | (bytes[start + 9] << 8);
    this.lastAt = this.lastSize = 0;
    if (total !== this.size) this.report(0, `a header that says ${this.size} bytes`, `${total}`);
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const before = bytes[pos];
    if (before === LONG && pos + 5 > stop) return stop < last ? -1 : this.lost(pos, 'a ziplist entry', 'the end of the ziplist');
    const { element } = this;
    const next = this.read(bytes, pos, stop);
    if (this.broken) return -1;
    if (next < 0) {
      if (element.kind === BYTES && element.end > last) {
        return this.lost(pos, `a ziplist entry of at most ${last - element.start} bytes`, `${element.end - element.start}`);
      }
      return stop < last ? -1 : this.lost(pos, 'a ziplist entry', 'the end of the ziplist');
    }
    const stated = before === LONG ? uint32(bytes, pos + 1) : before;
    if (stated !== this.lastSize) {
      this.report(pos + this.shift, `${this.lastSize} as the length of the entry before`, `${stated}`, this.count);
    }
    this.lastAt = pos + this.shift;
    this.lastSize = next - pos;
    this.visit(element, this.count, this.lastAt);
    return next;
  }

  private read(bytes: Uint8Array, pos: number, stop: number): number {
    try {
      return readZiplist(bytes, pos, stop, this.element);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return this.lost(error.within ?? pos, error.expected ?? 'a ziplist entry', error.got ?? 'something else');
    }
  }

  protected closed(): void {
    const { count, lastAt, size, stated, tail } = this;
    if (count > 0 ? tail !== lastAt : tail >= size) {
      this.report(4, count > 0 ? `${lastAt} as the offset of the last entry` : 'an offset inside the ziplist', `${tail}`);
    }
    if (stated !== UNCOUNTED && stated !== count) this.report(8, `a header that says ${count} entries`, `${stated}`);
  }
}
