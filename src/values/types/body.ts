import { blocks } from '../../bytes/blocks.js';
import { ByteBuilder } from '../../bytes/builder.js';
import { lzfCompress } from '../../bytes/lzf-compress.js';
import { type Element, EMPTY } from '../../encodings/element.js';
import { Spill } from '../../io/spill.js';
import { addBytes, addLength, addLzfHead, addString, LEAST_GAIN } from '../../rdb/write-string.js';

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

/** Bytes that are compressed at a time. */
const BLOCK = 1 << 18;
/** After this many literals, a byte counts the next ones. */
const LITERALS = 32;

/**
 * A string of `size` bytes compressed, or undefined where a server would leave it as it is. Its blocks are compressed one by
 * one: copies reach back at most 8 KiB, so little is lost, and the blocks joined are LZF as a whole.
 */
export function compressed(pieces: Iterable<Uint8Array>, size: number): Spill | undefined {
  const packed = new Spill();
  const out = new Uint8Array(BLOCK + BLOCK / LITERALS);
  for (const block of blocks(pieces, BLOCK)) {
    packed.add(out, 0, lzfCompress(block, 0, block.length, out));
    if (packed.size <= size - LEAST_GAIN) continue;
    packed.close();
    return undefined;
  }
  return packed;
}
