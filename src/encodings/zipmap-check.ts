import { RdbError } from '../bytes/errors.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';
import { readZipmap, ZIPMAP_HEADER } from './zipmap.js';

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
