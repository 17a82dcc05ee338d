import { ByteBuilder } from '../bytes/builder.js';
import { EMPTY } from '../encodings/element.js';
import { addBytes, addLength, addString } from '../rdb/write-string.js';
import { Spill } from '../sinks/spill.js';
import type { Text } from './text.js';

/** Bytes held before they are put aside. */
const FULL = 1 << 20;

/**
 * Bytes of a value whose beginning, a count, is known at its end only: in memory while they are few, else put aside. Write to
 * `out`, and call `flushIfFull` between elements.
 */
export class Body {
  readonly out = new ByteBuilder();
  /** What stands before the spilled bytes. */
  private before = EMPTY;
  private spill: Spill | undefined;

  get size(): number {
    return this.before.length + (this.spill?.size ?? 0) + this.out.length;
  }

  flushIfFull(): void {
    if (this.out.length > FULL) this.flush();
  }

  private flush(): void {
    this.spill ??= new Spill();
    this.spill.add(this.out.bytes, 0, this.out.length);
    this.out.clear();
  }

  /** A string of an RDB, with the choices of servers. */
  string(text: Text): void {
    if (text.element !== undefined) {
      addString(this.out, text.element);
      this.flushIfFull();
      return;
    }
    addLength(this.out, text.spilled?.size ?? 0);
    this.rest(text);
  }

  /** The bytes of a text, without a length. */
  rest(text: Text): void {
    const { element, spilled } = text;
    if (element !== undefined) {
      this.out.copy(element.bytes, element.start, element.end);
      this.flushIfFull();
    } else if (spilled !== undefined && this.spill === undefined) {
      this.before = this.out.view().slice();
      this.out.clear();
      this.spill = text.take();
    } else if (spilled !== undefined) {
      this.flush();
      for (const piece of spilled.read()) this.spill?.add(piece, 0, piece.length);
    }
  }

  /** All of another one. */
  add(other: Body): void {
    for (const piece of other.pieces()) {
      this.out.copy(piece, 0, piece.length);
      this.flushIfFull();
    }
  }

  /** A packed value, which is one string. */
  packed(bytes: Uint8Array): void {
    addBytes(this.out, bytes, 0, bytes.length);
    this.flushIfFull();
  }

  /** Whether all of it is in `out`. */
  get inMemory(): boolean {
    return this.spill === undefined;
  }

  /** All of it, in pieces that are valid until the next one. */
  *pieces(): Generator<Uint8Array, void, void> {
    if (this.before.length > 0) yield this.before;
    if (this.spill !== undefined) yield* this.spill.read();
    if (this.out.length > 0) yield this.out.view();
  }

  clear(): void {
    this.spill?.close();
    this.spill = undefined;
    this.before = EMPTY;
    this.out.clear();
  }
}
