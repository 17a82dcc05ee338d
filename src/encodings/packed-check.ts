import { hexByte } from '../bytes/errors.js';
import { Element } from './element.js';

const END = 0xff;

/** Who is told of what is wrong in a packed value: `at` counts from its first byte, `element` from 0. */
export type Report = (at: number, expected: string, got: string, element?: number) => void;
/** Who is told of each element. It is borrowed: valid until it returns. */
export type Visit = (element: Element, index: number, at: number) => void;

/**
 * A packed value, looked at entry by entry and as strictly as servers do before they trust one (`sanitize-dump-payload yes`).
 * It may come in pieces, and what is wrong with one entry does not hide what is wrong with the next, as long as it is known where that
 * begins.
 *
 *     check.begin(size);
 *     for each piece: keep what stands after check.take(bytes, start, end), and give it again before the next piece
 *     check.finish();
 *
 * Nothing is allocated unless something is wrong.
 */
export abstract class PackedCheck {
  /** Entries so far. */
  count = 0;
  protected size = 0;
  /** Nothing can be said of the bytes that follow: an entry does not say where it ends. */
  broken = false;
  protected headed = false;
  /** Position in the packed value of index 0 of the current bytes. */
  protected shift = 0;
  protected readonly element = new Element();
  private done = 0;

  constructor(
    protected readonly report: Report,
    protected readonly visit: Visit,
    /** Bytes of the header, and after the last entry. */
    protected readonly header: number,
    private readonly footer: number,
  ) {}

  begin(size: number): void {
    this.size = size;
    this.count = this.done = 0;
    this.broken = this.headed = false;
  }

  /** Looks at the whole entries in `bytes[start, end)`. Returns where the first cut one begins. */
  take(bytes: Uint8Array, start: number, end: number): number {
    this.shift = this.done - start;
    let pos = start;
    if (!this.headed && !this.broken) {
      if (this.size < this.header + this.footer) this.lost(start, `${this.header + this.footer} bytes or more`, `${this.size}`);
      else if (end - start < this.header) return start;
      else this.head(bytes, start);
      this.headed = true;
      pos += this.header;
    }
    const last = this.size - this.footer - this.shift;
    const stop = Math.min(end, last);
    while (!this.broken && pos < stop) {
      const next = this.entry(bytes, pos, stop, last);
      if (next < 0) break;
      this.count++;
      pos = next;
    }
    if (!this.broken && pos === last && end > last) {
      if (this.footer > 0 && bytes[last] !== END) this.report(last + this.shift, 'the end byte ff', hexByte(bytes[last]));
      pos = end;
    }
    if (this.broken) pos = end;
    this.done += pos - start;
    return pos;
  }

  /** The end of its bytes. */
  finish(): void {
    if (this.broken) return;
    if (this.done === this.size && this.headed) this.closed();
    else this.report(this.done, 'a whole element', 'the end of the packed value', this.count);
  }

  /** What follows cannot be read. */
  protected lost(pos: number, expected: string, got: string): -1 {
    this.report(pos + this.shift, expected, got, this.headed ? this.count : undefined);
    this.broken = true;
    return -1;
  }

  protected abstract head(bytes: Uint8Array, start: number): void;
  /**
   * Looks at the entry at `pos`; returns where the next begins, or -1 where it does not end before `stop`. The entries of the value
   * end at `last`, which may come after `stop`.
   */
  protected abstract entry(bytes: Uint8Array, pos: number, stop: number, last: number): number;
  /** All entries were there. */
  protected abstract closed(): void;
}
