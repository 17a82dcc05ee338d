/** Bytes of the stream as they were appended. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** After the bytes. */
  readonly offset: number;
}

/** What an array entry, an object and the head of a buffer take, about. */
const OVERHEAD = 200;

const beginOf = ({ bytes, offset }: Piece): number => offset - bytes.length;

/** The newest bytes of a stream, in the pieces that were appended. */
export class MemoryLog {
  private pieces: Piece[] = [];
  /** Those before it are gone. */
  private head = 0;
  /** The one after that which was read last. */
  private next = 0;
  /** Memory that it takes, in bytes. */
  used = 0;

  constructor(private after: number) {}

  /** Holds the bytes after this offset. */
  get begin(): number {
    return this.head < this.pieces.length ? beginOf(this.pieces[this.head]) : this.after;
  }

  get end(): number {
    return this.after;
  }

  /** Owns the bytes. */
  append(bytes: Uint8Array): void {
    this.after += bytes.length;
    this.pieces.push({ bytes, offset: this.after });
    this.used += bytes.length + OVERHEAD;
  }

  /** The bytes after an offset, up to the end of the piece in which they are; undefined if they are not here. */
  read(offset: number): Piece | undefined {
    if (offset >= this.after || offset < this.begin) return undefined;
    let at = this.next;
    if (at < this.head || at >= this.pieces.length || beginOf(this.pieces[at]) !== offset) at = this.find(offset);
    this.next = at + 1;
    const piece = this.pieces[at];
    const skip = offset - beginOf(piece);
    return skip === 0 ? piece : { bytes: piece.bytes.subarray(skip), offset: piece.offset };
  }

  /** The bytes after an offset that is held, at most `limit`, without a note of the reading. */
  gather(offset: number, limit: number): Uint8Array[] {
    const found: Uint8Array[] = [];
    let left = Math.min(limit, this.after - offset);
    for (let at = this.find(offset), skip = offset - beginOf(this.pieces[at]); left > 0; at++, skip = 0) {
      const { bytes } = this.pieces[at];
      const take = Math.min(left, bytes.length - skip);
      found.push(take === bytes.length ? bytes : bytes.subarray(skip, skip + take));
      left -= take;
    }
    return found;
  }

  /** The piece with the byte after an offset that is held. */
  private find(offset: number): number {
    let [low, high] = [this.head, this.pieces.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pieces[middle].offset > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Forgets the pieces that end at or before an offset, oldest first, while more than `memory` is used. `gone` gets them. */
  drop(offset: number, memory: number, gone: (piece: Piece) => void): void {
    for (; this.used > memory && this.head < this.pieces.length && this.pieces[this.head].offset <= offset; this.head++) {
      const piece = this.pieces[this.head];
      this.used -= piece.bytes.length + OVERHEAD;
      this.pieces[this.head] = NOTHING;
      gone(piece);
    }
    if (this.head < 1024 || this.head * 2 < this.pieces.length) return;
    this.pieces = this.pieces.slice(this.head);
    this.next = Math.max(0, this.next - this.head);
    this.head = 0;
  }

  /** Forgets the bytes after an offset that is not before `begin`. */
  truncate(offset: number): void {
    while (this.after > offset && this.head < this.pieces.length) {
      const last = this.pieces[this.pieces.length - 1];
      this.pieces.length--;
      this.used -= last.bytes.length + OVERHEAD;
      this.after = beginOf(last);
      if (this.after < offset) this.append(last.bytes.slice(0, offset - this.after));
    }
    this.next = this.head;
  }

  /** Forgets everything; what is appended comes after `offset`. */
  reset(offset: number): void {
    this.pieces = [];
    this.head = this.next = this.used = 0;
    this.after = offset;
  }
}

const NOTHING: Piece = { bytes: new Uint8Array(0), offset: 0 };
