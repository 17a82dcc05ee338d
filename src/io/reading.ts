import type { Batch } from '../rdb/batch.js';
import { type FramerOptions, FULL, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { Trailing } from '../rdb/trailing.js';
import type { Part } from '../rdb/value-framer.js';
import type { Input } from './input.js';
import { LargeValue, type PartSource } from './large-value.js';

export interface ReadingOptions extends FramerOptions {
  /** Called when all bytes of a chunk were read. */
  readonly onChunk?: () => void;
}

/**
 * Reads an input as batches of records, and large values, in file order.
 *
 *     for (;;) {
 *       const kind = await reading.next();
 *       use(batch);
 *       if (kind === END) break;
 *       if (kind !== FULL) await take(reading.large(kind)); // to its end
 *     }
 *     await reading.rest();
 */
export class Reading {
  readonly framer: Framer;
  /** What follows the RDB. */
  readonly trailing = new Trailing();
  private readonly chunks: AsyncGenerator<Uint8Array, void, void>;
  private begun = false;

  constructor(
    private readonly input: Input,
    private readonly batch: Batch,
    private readonly options: ReadingOptions,
  ) {
    this.framer = new Framer(options);
    this.chunks = input.chunks();
  }

  /**
   * Fills the batch. Returns FULL if more follows its rows; END; or the kind of the first part of a large value that follows them.
   * Throws RdbError with the place, also if the input ends too early.
   */
  async next(): Promise<number> {
    let kind = this.fill();
    while (kind === NEED) {
      await this.more();
      kind = this.fill();
    }
    return kind;
  }

  /** Like `next`, with the bytes of the current chunk: NEED if nothing is left of it and the batch has no row. */
  fill(): number {
    const kind = this.framer.fill(this.batch);
    return kind === NEED && this.batch.rows > 0 ? FULL : kind;
  }

  /** Gets the next chunk, after NEED. */
  async more(): Promise<void> {
    const { framer, input } = this;
    framer.release();
    const chunk = await this.chunk();
    if (chunk === undefined) {
      framer.finish();
      return;
    }
    framer.size = input.plainSize;
    framer.ofPayloads = input.ofPayloads;
    framer.push(chunk);
  }

  private async chunk(): Promise<Uint8Array | undefined> {
    if (this.begun) this.options.onChunk?.();
    this.begun = true;
    const { done, value } = await this.chunks.next();
    return done === true ? undefined : value;
  }

  /** The large value whose first part `next` found; it must be pulled to its end before anything else is read. */
  large(kind: number): LargeValue {
    return new LargeValue(this.framer.frame, this.partsFrom(kind), this.options.limit);
  }

  private partsFrom(kind: number): PartSource {
    const { framer } = this;
    let first: Part | undefined = { kind, frame: framer.frame };
    return {
      framed: true,
      next: async () => {
        const part = first ?? (await this.part());
        first = undefined;
        return part;
      },
    };
  }

  private async part(): Promise<Part> {
    const { framer } = this;
    let kind = framer.next();
    while (kind === NEED) {
      await this.more();
      kind = framer.next();
    }
    return { kind, frame: framer.frame };
  }

  /** Reads what follows the RDB, after END. */
  async rest(): Promise<void> {
    this.trailing.add(this.framer.rest());
    for (let chunk = await this.chunk(); chunk !== undefined; chunk = await this.chunk()) this.trailing.add(chunk);
  }

  /** Closes the source at any point. */
  async close(): Promise<void> {
    await this.chunks.return();
  }
}
