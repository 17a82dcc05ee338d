import type { InputSource } from '../io/input.js';
import { FrameReader } from './frame-reader.js';
import type { FramesOptions } from './options.js';

/**
 * What decode and frames return, for one `for await` loop. Leaving the loop (break, return, throw) closes the source, as does
 * an error; nothing is opened before the first `next`.
 */
export interface RecordIterator<R> {
  [Symbol.asyncIterator](): RecordIterator<R>;
  next(): Promise<IteratorResult<R, undefined>>;
  return(): Promise<IteratorResult<R, undefined>>;
}

type Result<R> = IteratorResult<R, undefined>;

const nothing = (): void => undefined;

/**
 * A hand-made async generator: records of the current chunk cost one promise each, where a generator
 * takes three turns of the microtask queue. Like one it answers calls in their order.
 */
export abstract class Iteration<R> implements RecordIterator<R> {
  protected readonly reader: FrameReader;
  /** Keys given out. */
  protected keys = 0;
  private readonly limit: number;
  private readonly signal: AbortSignal | undefined;
  private finished = false;
  /** Settles when the calls so far are answered; undefined when all are. */
  private tail: Promise<void> | undefined;

  constructor(source: InputSource, options: FramesOptions) {
    this.reader = new FrameReader(source, options);
    this.limit = options.limit ?? Infinity;
    this.signal = options.signal;
  }

  /** The next record in the buffered bytes; undefined if more are needed. */
  protected abstract take(): R | undefined;

  /** What stands for the end of the input, if anything. */
  protected abstract atEnd(): R | undefined;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result<R>> {
    if (this.tail === undefined && !this.finished && this.keys < this.limit && this.signal?.aborted !== true) {
      try {
        const value = this.take();
        if (value !== undefined) return Promise.resolve({ done: false, value });
      } catch (error) {
        return this.inTurn(() => this.fail(error));
      }
    }
    return this.inTurn(() => this.advance());
  }

  return(): Promise<Result<R>> {
    return this.inTurn(() => this.stop());
  }

  private inTurn(work: () => Promise<Result<R>>): Promise<Result<R>> {
    const turn = this.tail === undefined ? work() : this.tail.then(work);
    const tail = turn.then(nothing, nothing).then(() => {
      if (this.tail === tail) this.tail = undefined;
    });
    this.tail = tail;
    return turn;
  }

  private async advance(): Promise<Result<R>> {
    try {
      while (!this.finished) {
        this.signal?.throwIfAborted();
        if (this.keys >= this.limit) return await this.stop();
        const value = this.take();
        if (value !== undefined) return { done: false, value };
        if (await this.reader.fill()) continue;
        this.finished = true;
        const last = this.atEnd();
        if (last !== undefined) return { done: false, value: last };
      }
    } catch (error) {
      return this.fail(error);
    }
    return { done: true, value: undefined };
  }

  /** The error is what matters: that closing fails too is nothing new. */
  private async fail(error: unknown): Promise<never> {
    const placed = this.reader.placed(error);
    await this.stop().catch(nothing);
    throw placed;
  }

  private async stop(): Promise<Result<R>> {
    this.finished = true;
    await this.reader.close();
    return { done: true, value: undefined };
  }
}
