import { ByteBuilder } from '../bytes/builder.js';
import type { Element } from './element.js';
import { highHalf, integerWidth, lowHalf } from './integer.js';

/**
 * Writes intsets (layout: intset.ts; redis intset.c, _intsetValueEncoding): all integers in the 2, 4 or 8 bytes
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
