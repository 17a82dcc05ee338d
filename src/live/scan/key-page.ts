import type { KeySet } from '../../values/key-set.js';

const FIRST_KEYS = 256;
const FIRST_BYTES = 1 << 14;
/** 32-bit words of a digest. */
const WORDS = 4;
/** Bytes above which a buffer is not kept for the next page. */
const MOST_KEPT = 1 << 22;

/**
 * Keys that one reply of SCAN gave and that are wanted. Each is kept as the bulk string that it came as, `$5\r\nmykey\r\n`: so it
 * goes into commands.
 */
export class KeyPage {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES);
  length = 0;
  count = 0;
  /** By key: where its bulk string begins, and where the key begins in it. The bulk string ends where the next one begins. */
  bulks = new Int32Array(FIRST_KEYS + 1);
  starts = new Int32Array(FIRST_KEYS);
  /** By key, `WORDS` each: what a KeySet knows it by. */
  digests = new Uint32Array(FIRST_KEYS * WORDS);
  /** The cursor that goes on after this page; undefined if it is a part of another one. */
  next: string | undefined;
  /** How many keys may be asked for (their sizes are known, where they have to be), were asked for, and answered. */
  sized = 0;
  sent = 0;
  done = 0;
  /** By key: 1 if it is not read with DUMP, but in ranges. */
  ranged = new Uint8Array(FIRST_KEYS);

  clear(): void {
    this.length = this.count = this.sized = this.sent = this.done = 0;
    if (this.bytes.length > MOST_KEPT) this.bytes = new Uint8Array(FIRST_BYTES);
  }

  get unsent(): number {
    return this.sized - this.sent;
  }

  /** Where a key ends in `bytes`. */
  end(index: number): number {
    return this.bulks[index + 1] - 2;
  }

  key(index: number): Uint8Array {
    return this.bytes.subarray(this.starts[index], this.end(index));
  }

  /** Adds the bulk string `bytes[bulk, end)` whose key begins at `start`. */
  add(bytes: Uint8Array, bulk: number, start: number, end: number): void {
    const { count, length } = this;
    const size = end - bulk;
    if (count === this.starts.length) this.growTable();
    if (length + size > this.bytes.length) this.growBytes(length + size);
    if (size <= SHORT) for (let i = 0; i < size; i++) this.bytes[length + i] = bytes[bulk + i];
    else this.bytes.set(bytes.subarray(bulk, end), length);
    this.bulks[count] = length;
    this.ranged[count] = 0;
    this.starts[count] = length + start - bulk;
    this.length = length + size;
    this.count = count + 1;
    this.bulks[count + 1] = this.length;
  }

  /** Makes the digest of the last key. Returns whether `keys` has it. */
  isKnown(keys: KeySet, db: number): boolean {
    const last = this.count - 1;
    keys.digest(db, this.bytes, this.starts[last], this.end(last), this.digests, last * WORDS);
    return keys.hasDigest(this.digests, last * WORDS);
  }

  /** Adds a key to `keys`; returns whether it was new. */
  remember(keys: KeySet, index: number): boolean {
    return keys.addDigest(this.digests, index * WORDS);
  }

  /** Takes the last key back. */
  drop(): void {
    this.count--;
    this.length = this.bulks[this.count];
  }

  private growTable(): void {
    const size = this.starts.length * 2;
    this.bulks = grown(this.bulks, new Int32Array(size + 1));
    this.starts = grown(this.starts, new Int32Array(size));
    this.ranged = grown(this.ranged, new Uint8Array(size));
    this.digests = grown(this.digests, new Uint32Array(size * WORDS));
  }

  private growBytes(needed: number): void {
    this.bytes = grown(this.bytes, new Uint8Array(Math.max(needed, this.bytes.length * 2)));
  }
}

/** Below this a loop is faster than `set`, which needs a new view. */
const SHORT = 48;

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
