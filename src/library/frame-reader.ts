import { setImmediate } from 'node:timers/promises';
import { RdbError } from '../bytes/errors.js';
import { type Input, type InputSource, openInput } from '../io/input.js';
import type { LargeValue } from '../io/large-value.js';
import { Reading } from '../io/reading.js';
import type { Codec } from '../kernels/codec.js';
import { DROPPED } from '../kernels/layout.js';
import { filterRows } from '../pipeline/passes.js';
import { END, Frame, FULL, META, NEED, RECORD } from '../rdb/frame.js';
import type { Framer } from '../rdb/framer.js';
import { AOF_BASE_TEXT, aofTailText } from '../rdb/trailing.js';
import type { Filter } from '../values/filters.js';
import { filterOf } from './filter-options.js';
import type { FramesOptions } from './options.js';
import { isMemory } from './source.js';
import { giveBack, takeWorkspace, type Workspace } from './workspace.js';

/** For fewer bytes, kernels are not worth their memory. */
const SMALL = 1 << 18;

/**
 * One input, framed and filtered: `step` finds the next record in the bytes read so far, `fill` reads more.
 *
 *     for (;;) {
 *       const kind = reader.step();
 *       if (kind === END) break;
 *       if (kind === NEED) await reader.fill();
 *       else if (kind === RECORD || kind === META) use(kind, reader.frame);
 *       else use(await reader.large());
 *     }
 *     await reader.finish();
 */
export class FrameReader {
  /** What `step` found: borrowed until its next call. */
  readonly frame = new Frame();
  private readonly filter: Filter;
  private readonly input: Input;
  private readonly reading: Reading;
  private readonly waits: boolean;
  private workspace: Workspace | undefined;
  private row = 0;
  /** What follows the rows of the batch. */
  private after = FULL;
  /** Whether the last frame is that of a row. */
  private inRow = false;
  /** The last large value: what it has put aside is closed with the reader. */
  private value: LargeValue | undefined;

  constructor(
    source: InputSource,
    private readonly options: FramesOptions,
  ) {
    const { checksum, filter = {}, meta = false, onWarning, partSize, signal, strict } = options;
    this.filter = filterOf(filter);
    this.waits = !isMemory(source);
    this.workspace = takeWorkspace(isMemory(source) && (source as ArrayBuffer).byteLength < SMALL);
    const { batch, buffer, chunks, codec } = this.workspace;
    this.input = openInput(source, { signal, allocate: chunks?.allocate });
    this.reading = new Reading(this.input, batch, {
      ...{ codec, buffer, meta, limit: partSize, roomBefore: chunks?.roomBefore },
      ...(checksum === undefined ? {} : { checksum }),
      ...(strict === undefined ? {} : { strict }),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
  }

  get framer(): Framer {
    return this.reading.framer;
  }

  get codec(): Codec | undefined {
    return this.workspace?.codec;
  }

  /** Returns RECORD or META, with `frame` filled; ITEMS_PART or STRING_PART, after which `large` must be called; NEED or END. */
  step(): number {
    const { filter, frame, reading, workspace } = this;
    if (workspace === undefined) return END;
    const { batch } = workspace;
    for (;;) {
      while (this.row < batch.rows) {
        const row = this.row++;
        if (batch.table.has(row, DROPPED)) continue;
        batch.row = row;
        batch.read(row, frame);
        this.inRow = true;
        return frame.opcode === undefined ? RECORD : META;
      }
      this.inRow = false;
      if (this.after !== FULL) return this.after;
      this.row = 0;
      const kind = reading.fill();
      if (kind === NEED) return NEED;
      this.after = kind;
      if (filter.active) filterRows(batch, filter);
    }
  }

  /** The large value that `step` found, which must be ended before the next step; undefined if the filter leaves it out. */
  async large(): Promise<LargeValue | undefined> {
    const value = (this.value = this.reading.large(this.after));
    const { maxSize, minSize } = this.filter;
    this.after = FULL;
    if (this.filter.head(value.head) && (await value.fits(minSize, maxSize))) return value;
    await value.end();
    return undefined;
  }

  /** Gets the next chunk, after NEED. */
  async fill(): Promise<void> {
    if (!this.waits) await setImmediate(); // otherwise timers and sockets would wait until the end of the input
    await this.reading.more();
  }

  /** Checks what follows the RDB, after END. */
  async finish(): Promise<void> {
    const { framer, reading } = this;
    await reading.rest();
    const tail = reading.trailing.check(this.options.strict === true, framer.offset, framer.endMark);
    const base = framer.aofMark === undefined ? undefined : AOF_BASE_TEXT[framer.aofMark];
    const warning = tail.aof > 0 ? aofTailText(tail.aof) : (tail.warning ?? base);
    if (warning !== undefined) this.options.onWarning?.(warning);
  }

  /** Adds the place to an error in reading the current frame. */
  placed(error: unknown): unknown {
    if (!(error instanceof RdbError)) return error;
    if (error.line === undefined) (this.inRow ? this.workspace?.batch : this.framer)?.failed(error);
    return error.at({ file: this.input.name });
  }

  /** Closes the source at any point, and gives the memory back. */
  async close(): Promise<void> {
    const { workspace } = this;
    this.workspace = undefined;
    this.value?.close();
    await this.reading.close();
    if (workspace !== undefined) giveBack(workspace);
  }
}
