import { ByteBuilder } from '../../bytes/builder.js';
import { type Element, EMPTY } from '../../encodings/element.js';
import { addBytes, addLength, addLzfHead, addString } from '../../rdb/write-string.js';
import { Spill } from '../../io/spill.js';
import { compressed } from './compressed.js';

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

  /** A string, with the choices of servers. */
  string(element: Element): void {
    addString(this.out, element);
    this.flushIfFull();
  }

  /** Bytes as they are, some of a large string. */
  bytes(bytes: Uint8Array, start: number, end: number): void {
    this.out.copy(bytes, start, end);
    this.flushIfFull();
  }

  /** A string that is put aside, with a head and a tail, with the choices of servers. Takes it away. */
  spilled(spilled: Spill, head: Uint8Array = EMPTY, tail: Uint8Array = EMPTY): void {
    const { out } = this;
    const size = head.length + spilled.size + tail.length;
    const packed = compressed(around(head, spilled, tail), size);
    if (packed === undefined) {
      addLength(out, size);
      out.copy(head, 0, head.length);
      this.append(spilled);
      out.copy(tail, 0, tail.length);
    } else {
      spilled.close();
      addLzfHead(out, packed.size, size);
      this.append(packed);
    }
  }

  private append(spill: Spill): void {
    if (this.spill === undefined) {
      this.before = this.out.view().slice();
      this.out.clear();
      this.spill = spill;
      return;
    }
    this.flush();
    for (const piece of spill.drain()) this.spill.add(piece, 0, piece.length);
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

function* around(head: Uint8Array, spilled: Spill, tail: Uint8Array): Generator<Uint8Array, void, void> {
  yield head;
  yield* spilled.read();
  yield tail;
}
