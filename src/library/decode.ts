import { type Frame, META, RECORD } from '../rdb/frame.js';
import type { InputSource } from '../io/input.js';
import { ValueBuilder } from '../values/js-values.js';
import { BufferTexts, StringTexts, type Texts } from '../values/value-texts.js';
import { checkOptions } from './checks.js';
import { Iteration, type RecordIterator } from './iteration.js';
import { keyMetaOf, metaRecord } from '../values/meta.js';
import { DECODE_CHECKS, type DecodeOptions, type FramesOptions } from './options.js';
import type { MetaRecord } from '../values/meta-records.js';
import type { KeyRecord } from './records.js';
import { checkSource, type Source } from './source.js';

/**
 * Reads an RDB and yields its keys as JavaScript values, in file order:
 *
 *     for await (const { key, type, value } of decode('dump.rdb', { text: true })) …
 *
 * Records are plain objects that belong to the caller. Only one chunk of input and one value are in memory at a time, so each
 * value has to fit; `frames` yields larger ones in parts, and the filter `maxSize` leaves them out.
 *
 * Throws TypeError for invalid arguments. The loop throws RdbError for an input that is damaged or cannot be read, after all
 * records before the damage; RangeError for a string longer than JavaScript allows; and the reason of the signal.
 */
export function decode<Text extends boolean | undefined = false, Meta extends boolean | undefined = false>(
  source: Source,
  options?: DecodeOptions & { text?: Text; meta?: Meta },
): RecordIterator<RecordOf<Text, Meta>>;
export function decode(
  source: Source,
  options: DecodeOptions = {},
): RecordIterator<KeyRecord | KeyRecord<string> | MetaRecord | MetaRecord<string>> {
  checkOptions('options', options, DECODE_CHECKS);
  const { text, ...rest } = options;
  const input = checkSource(source);
  return text === true ? decodeWith(input, rest, new StringTexts()) : decodeWith(input, rest, new BufferTexts());
}

/**
 * What decode yields with these options. One signature and not an overload for each: of a wrong object of options, TypeScript names
 * what is wrong, and still knows a type.
 */
export type RecordOf<Text extends boolean | undefined, Meta extends boolean | undefined> =
  | (Text extends true ? KeyRecord<string> : KeyRecord)
  | (Meta extends true ? (Text extends true ? MetaRecord<string> : MetaRecord) : never);

/** The same with a part size, which does not affect the result. */
export function decodeWith<T>(source: InputSource, options: FramesOptions, texts: Texts<T>): RecordIterator<KeyRecord<T> | MetaRecord<T>> {
  return new Decoding(source, options, texts);
}

class Decoding<T> extends Iteration<KeyRecord<T> | MetaRecord<T>> {
  private readonly builder: ValueBuilder<T>;
  private readonly meta: boolean;

  constructor(
    source: InputSource,
    options: FramesOptions,
    private readonly texts: Texts<T>,
  ) {
    super(source, options);
    this.builder = new ValueBuilder(texts, this.reader.codec);
    this.meta = options.meta === true;
  }

  protected take(): KeyRecord<T> | MetaRecord<T> | undefined {
    const { builder, reader } = this;
    const { frame } = reader;
    this.kind = reader.step();
    if (this.kind === META) return metaRecord(frame, this.texts);
    if (this.kind !== RECORD) return undefined;
    builder.frame(RECORD, frame);
    return this.record(frame);
  }

  protected async large(): Promise<KeyRecord<T> | undefined> {
    const value = await this.reader.large();
    if (value === undefined) return undefined;
    try {
      for await (const { frame, kind } of value.parts()) this.builder.frame(kind, frame);
    } finally {
      value.close();
    }
    return this.record(value.head);
  }

  private record(frame: Frame): KeyRecord<T> {
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
