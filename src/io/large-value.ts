import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { type Part, ValueFramer } from '../rdb/value-framer.js';
import { DOUBTFUL, HEAD_EDITED, KEY_RENAMED, RENAMED_BY, SOURCE_DB } from '../kernels/layout.js';
import { Spill } from './spill.js';

/** The source of a large value's parts. */
export interface PartSource {
  /** The next part, borrowed until the one after it; undefined after the last one. Rejects with its error. */
  next(): Promise<Part | undefined>;
  /** Whether the parts are cut like a framer's; otherwise they are only bytes. */
  readonly framed: boolean;
}

/**
 * A record whose value is over the limit: its head, and the parts of its value, which the consumer pulls from the source.
 *
 *     for await (const { kind, frame } of value.parts()) reader.frame(kind, frame);
 *
 * Each part can be pulled once, unless the value is held: then its parts are spilled (see Spill), and every loop starts at the
 * first part. The owner must `end` a value, which pulls what is left. One loop at a time.
 */
export class LargeValue {
  /**
   * Key, database, type, modifiers, and the offset of the value. The key is valid as long as the value, `headBytes` until a part is
   * pulled.
   */
  readonly head = new Frame();
  /** The database of the key in its source. */
  sourceDb: number;
  /** Whether the modifiers in `head` differ from those in `headBytes`. */
  edited = false;
  /** The number of the pair of prefixes that the name of the key comes from; -1 if it is that of the source. */
  renamedBy = -1;
  /** See DOUBTFUL. */
  doubtful = false;
  /** The key is refused, and the reason was reported. */
  dropped = false;
  /** Bytes of the value pulled so far. */
  size = 0;
  /** Its source failed: where the value ends is not known. */
  broken = false;
  private held: Spill | undefined;
  private holds = false;
  /** Nothing is left to pull. */
  private over = false;
  /** Edits of the head by passes, for parts that are pulled. */
  private edits: Partial<Frame> | undefined;
  private readonly part = new Frame();

  constructor(
    /** The first part, or a frame without one. */
    frame: Frame,
    private readonly source: PartSource,
    /** Part size when held bytes are framed again. */
    readonly limit: number | undefined,
  ) {
    Object.assign(this.head, frame);
    this.sourceDb = frame.db;
  }

  /** Takes over the edits of the head in a row of a batch. */
  edit(batch: Batch, row: number): void {
    const { head } = this;
    const { table } = batch;
    const frame = new Frame();
    batch.read(row, frame);
    const { db, expireAt, expireHi, expireLo, hasExpire, headBytes, headEnd, headStart, keyBytes, keyEnd, keyStart, typeAt } = frame;
    this.edited = table.has(row, HEAD_EDITED);
    this.sourceDb = table.word(row, SOURCE_DB);
    this.doubtful = table.has(row, DOUBTFUL);
    if (table.has(row, KEY_RENAMED)) this.renamedBy = table.word(row, RENAMED_BY);
    if (!this.edited && db === head.db && this.renamedBy < 0) return;
    this.edits = { db, expireAt, expireHi, expireLo, hasExpire };
    if (this.renamedBy >= 0) Object.assign(this.edits, { headBytes, headEnd, headStart, keyBytes, keyEnd, keyStart, typeAt });
    Object.assign(head, this.edits);
  }

  /** From now on, pulled parts are spilled. Must be called before the first one is pulled, unless the value is held already. */
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

  /** Whether the size of the value is within bounds; the value is held until that is known. */
  async fits(minSize: number, maxSize: number): Promise<boolean> {
    if (minSize === 0 && maxSize === Infinity) return true;
    this.hold();
    await this.pull(maxSize === Infinity ? minSize - 1 : maxSize);
    this.letGo();
    return this.size >= minSize && this.size <= maxSize;
  }

  /** What was spilled is read once more, and nothing else is spilled. */
  letGo(): void {
    this.holds = false;
  }

  /** Pulls parts until more than `most` bytes, or all, were pulled. */
  async pull(most = Infinity): Promise<void> {
    while (this.size <= most && (await this.next()) !== undefined);
  }

  private async next(): Promise<Part | undefined> {
    if (this.over) return undefined;
    const part = await this.pulled();
    this.over = part?.frame.last !== false;
    if (part === undefined) return undefined;
    const { frame } = part;
    const { bytes, end, keyBytes, keyEnd, keyStart, start } = frame;
    this.size += end - start;
    if (this.holds) this.held?.add(bytes, start, end);
    if (this.source.framed && this.renamedBy < 0) Object.assign(this.head, { keyBytes, keyStart, keyEnd });
    return this.edits === undefined ? part : { kind: part.kind, frame: Object.assign(this.part, frame, this.edits) };
  }

  private async pulled(): Promise<Part | undefined> {
    try {
      return await this.source.next();
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  /** The parts, from the first that is not pulled, or if held, from the beginning. */
  async *parts(): AsyncGenerator<Part, void, void> {
    if (this.source.framed && (this.held === undefined || this.size === 0)) {
      for (let part = await this.next(); part !== undefined; part = await this.next()) yield part;
      return;
    }
    const framer = new ValueFramer(this.head, this.limit);
    for await (const piece of this.pieces()) yield* framer.parts(piece);
  }

  /** The same as bytes, in pieces, each valid until the next one. */
  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    if (this.held !== undefined) for (const piece of this.holds ? this.held.read() : this.held.drain()) yield piece;
    for (let part = await this.next(); part !== undefined; part = await this.next()) {
      const { bytes, end, start } = part.frame;
      yield bytes.subarray(start, end);
    }
  }

  /** The whole value as a spill, which the caller closes; the value has no more parts. */
  async takeHeld(): Promise<Spill> {
    this.hold();
    await this.pull();
    const held = this.held ?? new Spill();
    this.held = undefined;
    return held;
  }

  /** Pulls the rest without keeping it. */
  async end(): Promise<void> {
    this.close();
    await this.pull();
  }

  /** Closes the spill. */
  close(): void {
    this.holds = false;
    this.held?.close();
    this.held = undefined;
  }
}
