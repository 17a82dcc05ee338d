import type { TypeRow } from '../../rdb/types.js';
import { type Element, LARGE } from '../../encodings/element.js';
import type { Encoding, ValueWriter } from './encoding.js';

/** A string (0). */
export class StringWriter implements ValueWriter {
  readonly wantsStoredLarge = true;

  constructor(private readonly encoding: Encoding) {}

  open(): void {
    // one text is all
  }

  text(element: Element): void {
    if (element.kind !== LARGE) this.encoding.body.string(element);
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.encoding.body.bytes(bytes, start, end);
  }

  finish(): TypeRow {
    return this.encoding.choose('STRING');
  }
}
