import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { type Part, ValueFramer } from '../rdb/value-framer.js';
import { HEAD_EDITED, SOURCE_DB } from '../kernels/layout.js';
import { Spill } from './spill.js';

/** Where the parts of a large value come from. */
export interface PartSource {
  /** The next part, borrowed until the one after it; undefined after the last one. Rejects with what is wrong with it. */
  next(): Promise<Part | undefined>;
  /** The parts are cut as a framer cuts them; otherwise their bytes count, and nothing else. */
  readonly framed: boolean;
}

/**
 * A record whose value is too large to come whole: its head, and parts that whoever takes it pulls, straight from their source.
 *
 *     for await (const { kind, frame } of value.parts()) reader.frame(kind, frame);
 *
 * Each part is pulled once, unless the value is held: then its parts are put aside (see Spill), and every loop begins anew. What nobody
 * pulls is for the owner to `end`. One loop at a time.
 */
export class LargeValue {
  /** Key, database, type and modifiers, and the offset of the value. The key is valid as long as the value, `headBytes` until a part is pulled. */
  readonly head = new Frame();
  /** The database that the key has in its source. */
  sourceDb: number;
  /** The modifiers in `head` are not those in `headBytes`. */
  edited = false;
  /** The key is refused, for a reason that was told. */
  dropped = false;
  /** Bytes of the value that were pulled. */
  size = 0;
  private held: Spill | undefined;
  private holds = false;
  /** There is nothing left to pull. */
  private over = false;
  /** What passes made of the head, for parts that are pulled. */
  private edits: Partial<Frame> | undefined;
  private readonly part = new Frame();

  constructor(
    /** The first part, or a frame without one. */
    frame: Frame,
    private readonly source: PartSource,
    /** Where values are cut that are framed again. */
    readonly limit: number | undefined,
  ) {
    Object.assign(this.head, frame);
    this.sourceDb = frame.db;
  }

  /** Takes over what passes have made of the head in a row of a batch. */
  edit(batch: Batch, row: number): void {
    const { head } = this;
    const { table } = batch;
    const frame = new Frame();
    batch.read(row, frame);
    const { db, expireAt, expireHi, expireLo, hasExpire } = frame;
    this.edited = table.has(row, HEAD_EDITED);
    this.sourceDb = table.word(row, SOURCE_DB);
    if (!this.edited && db === head.db) return;
    this.edits = { db, expireAt, expireHi, expireLo, hasExpire };
    Object.assign(head, this.edits);
  }

  /** From now on, parts are put aside as they are pulled. Before the first one is, or where the value is held already. */
  hold(): void {
    this.holds = true;
    if (this.held !== undefined) return;
    this.held = new Spill();
    const { head } = this;
    const { headBytes, headEnd, headStart, typeAt } = head;
    Object.assign(head, {
      headBytes: headBytes.slice(headStart, headEnd),
      headStart: 0,
      typeAt: typeAt - headStart,
      headEnd: headEnd - headStart,
    });
  }

  /** Whether the size of the value is within bounds: it is held until that is known. */
  async fits(minSize: number, maxSize: number): Promise<boolean> {
    if (minSize === 0 && maxSize === Infinity) return true;
    this.hold();
    await this.pull(maxSize === Infinity ? minSize - 1 : maxSize);
    this.letGo();
    return this.size >= minSize && this.size <= maxSize;
  }

  /** What was put aside is given out once more, and nothing else is put aside. */
  letGo(): void {
    this.holds = false;
  }

  /** Pulls parts until more than `most` bytes of the value were pulled, or all of them. */
  async pull(most = Infinity): Promise<void> {
    while (this.size <= most && (await this.next()) !== undefined);
  }

  private async next(): Promise<Part | undefined> {
    if (this.over) return undefined;
    const part = await this.source.next();
    this.over = part?.frame.last !== false;
    if (part === undefined) return undefined;
    const { frame } = part;
    const { bytes, end, keyBytes, keyEnd, keyStart, start } = frame;
    this.size += end - start;
    if (this.holds) this.held?.add(bytes, start, end);
    if (this.source.framed) Object.assign(this.head, { keyBytes, keyStart, keyEnd });
    return this.edits === undefined ? part : { kind: part.kind, frame: Object.assign(this.part, frame, this.edits) };
  }

  /** The parts, from the first one that is still to be had. */
  async *parts(): AsyncGenerator<Part, void, void> {
    if (this.source.framed && (this.held === undefined || this.size === 0)) {
      for (let part = await this.next(); part !== undefined; part = await this.next()) yield part;
      return;
    }
    const framer = new ValueFramer(this.head, this.limit);
    for await (const piece of this.pieces()) yield* framer.parts(piece);
  }

  /** The same as bare bytes, in pieces that are each valid until the next one. */
  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    if (this.held !== undefined) for (const piece of this.holds ? this.held.read() : this.held.drain()) yield piece;
    for (let part = await this.next(); part !== undefined; part = await this.next()) {
      const { bytes, end, start } = part.frame;
      yield bytes.subarray(start, end);
    }
  }

  /** All of it, put aside: whoever takes that closes it, and the value has no more parts. */
  async takeHeld(): Promise<Spill> {
    this.hold();
    await this.pull();
    const held = this.held ?? new Spill();
    this.held = undefined;
    return held;
  }

  /** Pulls what is left, without keeping any of it. */
  async end(): Promise<void> {
    this.close();
    await this.pull();
  }

  /** Forgets what was put aside. */
  close(): void {
    this.holds = false;
    this.held?.close();
    this.held = undefined;
  }
}
