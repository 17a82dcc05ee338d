import { END, META, NEED } from '../rdb/frame.js';
import type { InputSource } from '../io/input.js';
import { copyOf } from '../values/value-texts.js';
import { checkOptions } from './checks.js';
import { type EndFrame, type FrameKey, MetaFrame, ValueFrame } from './frame-records.js';
import { Iteration, type RecordIterator } from './iteration.js';
import { FRAMES_CHECKS, type FramesOptions } from './options.js';
import { checkSource, type Source } from './source.js';

/**
 * Reads an RDB without decoding its values: gives out keys and the exact bytes of their values, in the order of the file.
 *
 *     for await (const frame of frames('dump.rdb')) …
 *
 * Memory stays bounded whatever a value weighs: one over `partSize` comes in parts. (A filter by size has to see parts before
 * it knows, and holds them back: at most `maxSize` bytes, or `minSize` where that is given alone.)
 *
 * BEWARE: `frame.bytes` are BORROWED, right only until the next turn of the loop; `frame.copy()` are safe to keep. The frame
 * object itself and its `key` are its own.
 *
 * Errors are those of decode. The bytes of a value are not looked into, so damage inside a packed value shows only when they
 * are, or in the checksum at the end.
 */
export function frames(source: Source, options?: FramesOptions & { meta?: false | undefined }): RecordIterator<ValueFrame>;
export function frames(source: Source, options: FramesOptions): RecordIterator<ValueFrame | MetaFrame | EndFrame>;
export function frames(source: Source, options: FramesOptions = {}): RecordIterator<ValueFrame | MetaFrame | EndFrame> {
  checkOptions('options', options, FRAMES_CHECKS);
  return new Framing(checkSource(source), options);
}

class Framing extends Iteration<ValueFrame | MetaFrame | EndFrame> {
  private readonly meta: boolean;
  /** A filter looks at sizes. */
  private readonly sized: boolean;
  /** Of the value in parts. */
  private head!: FrameKey;
  private size = 0;
  /** Parts that wait for the size of their value, or are on their way out: they have bytes of their own. */
  private held: ValueFrame[] = [];
  private passed = false;

  constructor(source: InputSource, options: FramesOptions) {
    super(source, options);
    this.meta = options.meta === true;
    const { maxSize, minSize } = this.reader.filter;
    this.sized = minSize > 0 || maxSize !== Infinity;
  }

  protected take(): ValueFrame | MetaFrame | undefined {
    const { reader } = this;
    const { frame } = reader;
    for (;;) {
      if (this.passed && this.held.length > 0) return this.out(this.held.shift() as ValueFrame);
      const kind = reader.step();
      if (kind === NEED || kind === END) return undefined;
      if (kind === META) {
        const opcode = frame.opcode as NonNullable<typeof frame.opcode>;
        return new MetaFrame(opcode.name, opcode.id, frame.db, frame.bytes.subarray(frame.start, frame.end), frame.offset);
      }
      if (frame.first) this.begin();
      const { first, last } = frame;
      const part = new ValueFrame(this.head, frame.bytes.subarray(frame.start, frame.end), frame.offset, first, last);
      if (this.passed) return this.out(part);
      this.hold(part);
    }
  }

  private begin(): void {
    const { frame, framer } = this.reader;
    const { expireAt, freq, hasExpire, idle, metaBytes, type } = frame;
    this.size = 0;
    this.held = [];
    this.passed = !this.sized || frame.last; // the filter has looked at values that come whole
    this.head = {
      db: frame.db,
      key: copyOf(frame.keyBytes, frame.keyStart, frame.keyEnd),
      type: frame.redisType,
      encoding: type.name,
      encodingId: type.id,
      version: framer.version,
      expireAt: hasExpire ? expireAt : undefined,
      idle: idle < 0 ? undefined : idle,
      freq: freq < 0 ? undefined : freq,
      keyMeta: metaBytes === undefined ? undefined : copyOf(metaBytes, 0, metaBytes.length),
    };
  }

  /** Keeps a part back until it is known whether the size of its value passes. */
  private hold(part: ValueFrame): void {
    const { filter, framer } = this.reader;
    this.size += part.bytes.length;
    if (this.size > filter.maxSize) {
      this.held = [];
      framer.skip();
      return;
    }
    this.held.push(new ValueFrame(this.head, part.copy(), part.offset, part.first, part.last));
    const enough = this.size >= filter.minSize;
    this.passed = enough && (part.last || filter.maxSize === Infinity);
    if (part.last && !enough) this.held = [];
  }

  private out(part: ValueFrame): ValueFrame {
    if (part.last) this.keys++;
    return part;
  }

  protected atEnd(): EndFrame | undefined {
    const { checksum, version } = this.reader.framer;
    return this.meta ? { kind: 'end', version, checksum, keys: this.keys } : undefined;
  }
}
