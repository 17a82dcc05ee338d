import type { InputSource } from '../io/input.js';
import { END, NEED } from '../rdb/frame.js';
import { FrameReader } from './frame-reader.js';
import type { FramesOptions } from './options.js';

/**
 * Returned by decode and frames, for one `for await` loop. Leaving the loop (break, return, throw) closes the source, as does an
 * error; nothing is opened before the first `next`.
 */
export interface RecordIterator<R> {
  [Symbol.asyncIterator](): RecordIterator<R>;
  next(): Promise<IteratorResult<R, undefined>>;
  return(): Promise<IteratorResult<R, undefined>>;
}

type Result<R> = IteratorResult<R, undefined>;

const nothing = (): void => undefined;

/**
 * A hand-written async generator: records of the current chunk cost one promise each, where a generator takes three turns of the
 * microtask queue. Like a generator, it answers calls in order.
 */
export abstract class Iteration<R> implements RecordIterator<R> {
  protected readonly reader: FrameReader;
  /** Keys yielded. */
  protected keys = 0;
  private readonly limit: number;
  private readonly signal: AbortSignal | undefined;
  private finished = false;
  /** The last result of `reader.step`. */
  protected kind = NEED;
  /** Settles when all calls so far are answered; undefined when they are. */
  private tail: Promise<void> | undefined;

  constructor(source: InputSource, options: FramesOptions) {
    this.reader = new FrameReader(source, options);
    this.limit = options.limit ?? Infinity;
    this.signal = options.signal;
  }

  /** The next record from the bytes read so far; undefined if that takes waiting. */
  protected abstract take(): R | undefined;

  /** The next record of the large value that `reader.step` found; undefined after the last one. */
  protected abstract large(): Promise<R | undefined>;

  /** The record for the end of the input, if any. */
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
        const value = this.take() ?? (await this.wait());
        if (value !== undefined) return { done: false, value };
        if (this.kind !== END) continue;
        await this.reader.finish();
        this.finished = true;
        await this.reader.close();
        const last = this.atEnd();
        if (last !== undefined) return { done: false, value: last };
      }
    } catch (error) {
      return this.fail(error);
    }
    return { done: true, value: undefined };
  }

  /** Waits for what the next record needs: more bytes, or a large value. */
  private async wait(): Promise<R | undefined> {
    if (this.kind === NEED) await this.reader.fill();
    return this.kind === NEED || this.kind === END ? undefined : this.large();
  }

  /** The original error is reported, even if closing fails, too. */
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
