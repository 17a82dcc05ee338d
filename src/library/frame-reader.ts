import { setImmediate } from 'node:timers/promises';
import { RdbError } from '../bytes/errors.js';
import { END, type Frame, META, NEED, RECORD } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { type Input, type InputSource, openInput } from '../io/input.js';
import type { Filter } from '../values/filters.js';
import { filterOf } from './filter-options.js';
import type { FramesOptions } from './options.js';
import { isMemory } from './source.js';
import { AOF_BASE_TEXT, aofTailText, Trailing } from '../rdb/trailing.js';

/**
 * One input, framed and filtered: `step` finds the next frame in the buffered bytes, `fill` gets more.
 *
 *     for (;;) {
 *       const kind = reader.step();
 *       if (kind !== NEED && kind !== END) use(kind, reader.frame);
 *       else if (!(await reader.fill())) break;
 *     }
 */
export class FrameReader {
  readonly framer: Framer;
  readonly frame: Frame;
  /** Of a value in parts, its size is to be checked against this one by whoever takes the parts. */
  readonly filter: Filter;

  private readonly input: Input;
  private readonly chunks: AsyncGenerator<Uint8Array, void, void>;
  private readonly waits: boolean;
  private readonly trailing = new Trailing();
  private ended = false;

  constructor(
    source: InputSource,
    private readonly options: FramesOptions,
  ) {
    const { checksum, filter = {}, meta = false, onWarning, partSize, signal, strict } = options;
    this.filter = filterOf(filter);
    this.framer = new Framer({
      meta,
      ...(checksum === undefined ? {} : { checksum }),
      ...(strict === undefined ? {} : { strict }),
      ...(partSize === undefined ? {} : { limit: partSize }),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
    this.frame = this.framer.frame;
    this.input = openInput(source, { signal });
    this.chunks = this.input.chunks();
    this.waits = !isMemory(source);
  }

  /** RECORD, ITEMS_PART, STRING_PART or META, and `frame` is filled; else NEED or END. */
  step(): number {
    const { filter, frame, framer } = this;
    for (;;) {
      const kind = framer.next();
      if (kind === RECORD) {
        if (!filter.active || (filter.head(frame) && this.fits(frame.end - frame.start))) return kind;
      } else if (kind === NEED || kind === META) {
        return kind;
      } else if (kind === END) {
        if (!this.ended) this.trailing.add(framer.rest());
        this.ended = true;
        return kind;
      } else if (!frame.first || filter.head(frame)) {
        return kind;
      } else {
        framer.skip();
      }
    }
  }

  /** Whether a value of this many bytes passes. */
  fits(size: number): boolean {
    return size >= this.filter.minSize && size <= this.filter.maxSize;
  }

  /** Gets the next chunk. False at the end of the input, and all of it was good. */
  async fill(): Promise<boolean> {
    const { framer, input, trailing } = this;
    if (!this.waits) await setImmediate(); // else timers and sockets would have to wait until the end of the input
    const { done, value: chunk } = await this.chunks.next();
    if (done === true) {
      framer.finish();
      const tail = trailing.check(this.options.strict === true, framer.offset, framer.endMark);
      const base = framer.aofMark === undefined ? undefined : AOF_BASE_TEXT[framer.aofMark];
      const warning = tail.aof > 0 ? aofTailText(tail.aof) : (tail.warning ?? base);
      if (warning !== undefined) this.options.onWarning?.(warning);
      return false;
    }
    framer.size = input.plainSize;
    framer.ofPayloads = input.ofPayloads;
    if (framer.ended) trailing.add(chunk);
    else framer.push(chunk);
    return true;
  }

  /** Adds the place to an error in the current frame. */
  placed(error: unknown): unknown {
    return error instanceof RdbError ? (error.line === undefined ? this.framer.failed(error) : error).at({ file: this.input.name }) : error;
  }

  /** Closes the source, wherever it stands. */
  async close(): Promise<void> {
    await this.chunks.return();
  }
}
