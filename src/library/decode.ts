import { END, META, NEED, RECORD } from '../rdb/frame.js';
import type { InputSource } from '../io/input.js';
import { ValueBuilder } from '../values/value-builder.js';
import { BufferTexts, StringTexts, type Texts } from '../values/value-texts.js';
import { checkOptions } from './checks.js';
import { Iteration, type RecordIterator } from './iteration.js';
import { keyMetaOf, metaRecord } from '../values/meta.js';
import { DECODE_CHECKS, type DecodeOptions, type FramesOptions } from './options.js';
import type { MetaRecord } from '../values/meta-records.js';
import type { KeyRecord } from './records.js';
import { checkSource, type Source } from './source.js';

/**
 * Reads an RDB and gives out its keys as JavaScript values, one after another, in the order of the file:
 *
 *     for await (const { key, type, value } of decode('dump.rdb', { text: true })) …
 *
 * Records are plain objects of their own: keep or change them as you like. Memory holds one chunk of input and one value at a
 * time, so a value has to fit in it; `frames` gives larger ones in parts, and the filter `maxSize` leaves them out.
 *
 * Throws TypeError for wrong arguments, at once. The loop throws RdbError for an input that is damaged or cannot be read,
 * after all records before the damage; RangeError for a string longer than JavaScript can hold; and the reason of
 * the signal.
 */
export function decode(
  source: Source,
  options?: DecodeOptions & { text?: false | undefined; meta?: false | undefined },
): RecordIterator<KeyRecord>;
export function decode(
  source: Source,
  options: DecodeOptions & { text: true; meta?: false | undefined },
): RecordIterator<KeyRecord<string>>;
export function decode(
  source: Source,
  options: DecodeOptions & { text?: false | undefined; meta: true },
): RecordIterator<KeyRecord | MetaRecord>;
export function decode(
  source: Source,
  options: DecodeOptions & { text: true; meta: true },
): RecordIterator<KeyRecord<string> | MetaRecord<string>>;
export function decode(
  source: Source,
  options: DecodeOptions,
): RecordIterator<KeyRecord | KeyRecord<string> | MetaRecord | MetaRecord<string>>;
export function decode(
  source: Source,
  options: DecodeOptions = {},
): RecordIterator<KeyRecord | KeyRecord<string> | MetaRecord | MetaRecord<string>> {
  checkOptions('options', options, DECODE_CHECKS);
  const { text, ...rest } = options;
  const input = checkSource(source);
  return text === true ? decodeWith(input, rest, new StringTexts()) : decodeWith(input, rest, new BufferTexts());
}

/** The same with the size of parts as an option more, which makes no difference to what comes out. */
export function decodeWith<T>(source: InputSource, options: FramesOptions, texts: Texts<T>): RecordIterator<KeyRecord<T> | MetaRecord<T>> {
  return new Decoding(source, options, texts);
}

class Decoding<T> extends Iteration<KeyRecord<T> | MetaRecord<T>> {
  private readonly builder: ValueBuilder<T>;
  private readonly meta: boolean;
  /** Bytes so far of the value in parts. */
  private size = 0;

  constructor(
    source: InputSource,
    options: FramesOptions,
    private readonly texts: Texts<T>,
  ) {
    super(source, options);
    this.builder = new ValueBuilder(texts);
    this.meta = options.meta === true;
  }

  protected take(): KeyRecord<T> | MetaRecord<T> | undefined {
    const { builder, reader } = this;
    const { frame } = reader;
    for (;;) {
      const kind = reader.step();
      if (kind === RECORD) {
        builder.frame(kind, frame);
        return this.record();
      }
      if (kind === NEED || kind === END) return undefined;
      if (kind === META) return metaRecord(frame, this.texts);
      if (this.part(kind)) return this.record();
    }
  }

  /** Takes a part of a large value. Whether it was the last one and the value passes. */
  private part(kind: number): boolean {
    const { builder, reader } = this;
    const { frame, framer } = reader;
    if (frame.first) this.size = 0;
    this.size += frame.end - frame.start;
    if (this.size > reader.filter.maxSize) {
      framer.skip();
      return false;
    }
    builder.frame(kind, frame);
    return frame.last && reader.fits(this.size);
  }

  private record(): KeyRecord<T> {
    const { frame } = this.reader;
    const record: Partial<KeyRecord<T>> = {
      db: frame.db,
      key: this.texts.bytes(frame.keyBytes, frame.keyStart, frame.keyEnd),
      type: frame.redisType,
    };
    if (frame.hasExpire) record.expireAt = frame.expireAt;
    if (frame.idle >= 0) record.idle = frame.idle;
    if (frame.freq >= 0) record.freq = frame.freq;
    if (frame.metaBytes !== undefined) record.keyMeta = keyMetaOf(frame.metaBytes, this.texts);
    record.value = this.builder.built;
    this.keys++;
    return record as KeyRecord<T>;
  }

  protected atEnd(): MetaRecord<T> | undefined {
    const { checksum, version } = this.reader.framer;
    return this.meta ? { type: 'end', version, checksum, keys: this.keys } : undefined;
  }
}
