import { type Frame, META, RECORD } from '../rdb/frame.js';
import type { Part } from '../rdb/value-framer.js';
import type { LargeValue } from '../io/large-value.js';
import type { InputSource } from '../io/input.js';
import { copyOf } from '../values/value-texts.js';
import { checkOptions } from './checks.js';
import { type EndFrame, type FrameKey, MetaFrame, ValueFrame } from './frame-records.js';
import { Iteration, type RecordIterator } from './iteration.js';
import { FRAMES_CHECKS, type FramesOptions } from './options.js';
import { checkSource, type Source } from './source.js';

/**
 * Reads an RDB without decoding its values: yields keys and the exact bytes of their values, in file order.
 *
 *     for await (const frame of frames('dump.rdb')) …
 *
 * Memory is bounded whatever the size of a value: one over `partSize` comes in parts. (A filter by size has to hold parts back
 * until the size is known, 8 MiB in memory and the rest in a temporary file: at most `maxSize` bytes, or `minSize` if only that is
 * given.)
 *
 * BEWARE: `frame.bytes` is BORROWED, valid only until the next iteration of the loop; `frame.copy()` is safe to keep, as are the
 * frame object itself and its `key`.
 *
 * Throws like decode. Values are not decoded, so damage within a packed value only shows when it is decoded, or in the checksum
 * at the end.
 */
export function frames<Meta extends boolean | undefined = false>(
  source: Source,
  options?: FramesOptions & { meta?: Meta },
): RecordIterator<ValueFrame | (Meta extends true ? MetaFrame | EndFrame : never)>;
export function frames(source: Source, options: FramesOptions = {}): RecordIterator<ValueFrame | MetaFrame | EndFrame> {
  checkOptions('options', options, FRAMES_CHECKS);
  return new Framing(checkSource(source), options);
}

class Framing extends Iteration<ValueFrame | MetaFrame | EndFrame> {
  private readonly meta: boolean;
  /** The large value whose parts are being yielded. */
  private value: LargeValue | undefined;
  private parts: AsyncGenerator<Part, void, void> | undefined;
  private head!: FrameKey;

  constructor(source: InputSource, options: FramesOptions) {
    super(source, options);
    this.meta = options.meta === true;
  }

  protected take(): ValueFrame | MetaFrame | undefined {
    if (this.value !== undefined) return undefined;
    const { reader } = this;
    const { frame } = reader;
    this.kind = reader.step();
    if (this.kind === RECORD) {
      return this.out(new ValueFrame(this.headOf(frame), frame.bytes.slice(frame.start, frame.end), frame.offset, true, true));
    }
    if (this.kind !== META) return undefined;
    const opcode = frame.opcode as NonNullable<typeof frame.opcode>;
    return new MetaFrame(opcode.name, opcode.id, frame.db, frame.bytes.slice(frame.start, frame.end), frame.offset);
  }

  protected async large(): Promise<ValueFrame | undefined> {
    if (this.value === undefined) {
      this.value = await this.reader.large();
      if (this.value === undefined) return undefined;
      this.head = this.headOf(this.value.head);
      this.parts = this.value.parts();
    }
    const next = await this.parts?.next();
    if (next === undefined || next.done === true) {
      this.value.close();
      this.value = this.parts = undefined;
      return undefined;
    }
    const { bytes, end, first, last, offset, start } = next.value.frame;
    return this.out(new ValueFrame(this.head, bytes.slice(start, end), offset, first, last));
  }

  private headOf(frame: Frame): FrameKey {
    const { expireAt, freq, hasExpire, idle, metaBytes, type } = frame;
    return {
      db: frame.db,
      key: copyOf(frame.keyBytes, frame.keyStart, frame.keyEnd),
      type: frame.redisType,
      encoding: type.name,
      encodingId: type.id,
      version: this.reader.framer.version,
      expireAt: hasExpire ? expireAt : undefined,
      idle: idle < 0 ? undefined : idle,
      freq: freq < 0 ? undefined : freq,
      keyMeta: metaBytes === undefined ? undefined : copyOf(metaBytes, 0, metaBytes.length),
    };
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
