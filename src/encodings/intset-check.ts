import { uint32 } from './element.js';
import { highHalf, lowHalf } from './integer.js';
import { INTSET_HEADER, readIntset } from './intset.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';

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
