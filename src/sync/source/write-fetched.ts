import { ByteBuilder } from '../../bytes/builder.js';
import { keySlot } from '../../bytes/crc16.js';
import { RdbError } from '../../bytes/errors.js';
import { RespValues } from '../../dump/resp-values.js';
import { MAX_PAYLOAD, modifiersOf, RespWriter, ttlOf, writeExpiry } from '../../dump/resp-writer.js';
import type { Codec } from '../../kernels/codec.js';
import { type HeldBytes, Spill } from '../../io/spill.js';
import { Frame } from '../../rdb/frame.js';
import { payloadFrame } from '../../rdb/payload-frame.js';
import { PAYLOAD_FOOTER, payloadHead, payloadOrigin, writePayloadFooter } from '../../rdb/payload.js';
import { type Length, readLength } from '../../rdb/length.js';
import { type Part, ValueFramer } from '../../rdb/value-framer.js';
import { temporaryKey } from '../../restore/temporary-key.js';
import type { Filter } from '../../values/filters.js';
import { moduleType } from '../../values/module.js';
import type { Outcome } from '../../values/target-limits.js';
import { acceptsVersion, hasReplace, releaseNumber, sentVersion, type Target } from '../../values/targets.js';
import { AGAIN, type PartsPlan, PartsTranscoder, type Refused, Transcoder } from '../../values/transcode.js';
import type { Fetched } from './fetcher.js';
import type { LargeValueAside } from './put-aside.js';

export interface FetchedWriterOptions {
  readonly codec: Codec;
  readonly target: Target;
  /** What values have to be like: a key whose value is not is deleted. Names and databases are not looked at. */
  readonly filter?: Filter | undefined;
  /** Keys of one transaction, or of RENAME, are of one slot. */
  readonly sharded: boolean;
  /** Leave out what the target cannot hold (default: refuse such a key). */
  readonly allowLoss?: boolean | undefined;
  /** Larger payloads, in bytes, are written with plain commands (default: 512 MiB). */
  readonly maxPayload?: number | undefined;
  /** Part of the name under which large values are built: different for each connection that writes. */
  readonly suffix?: string | undefined;
}

/** Commands that give a key of the target the value that was fetched. */
export interface Written {
  readonly outcome: Outcome | 'deleted';
  /** In this order, without anything between them. They may share memory with what was fetched. */
  readonly pieces: readonly Uint8Array[];
  /** Commands, and so replies, in them. An error in any of them means that the key may not have the value. */
  readonly commands: number;
  /** What the target has no place for. */
  readonly leftOut: readonly string[];
  /** A time series: DUMP leaves out its compaction rules. */
  readonly isSeries?: boolean;
}

/** A large value as the target takes it. */
export interface WrittenLarge {
  readonly outcome: Outcome;
  /** With the key and its expiry. */
  readonly frame: Frame;
  /** What it was put aside as; or, for whoever asked to close, a copy in another encoding. */
  readonly value: HeldBytes;
  /** RDB version of the source, and the one to send. */
  readonly version: number;
  readonly sentVersion: number;
  readonly leftOut: readonly string[];
  readonly isSeries: boolean;
}

/** A value that is sent as a payload. */
interface Prepared {
  readonly frame: Frame;
  readonly outcome: Outcome;
  readonly leftOut: readonly string[];
  readonly payload: readonly Uint8Array[];
  readonly size: number;
}

/** Shorter ones are copied to one piece with what stands around them. */
const SHORT = 1 << 16;

/** Writes fetched values as commands for the target: RESTORE, or DEL if the key is gone. */
export class FetchedWriter {
  private readonly transcoder: Transcoder;
  private readonly parts: PartsTranscoder;
  private readonly out = new ByteBuilder();
  private readonly resp: RespWriter;
  private readonly values: RespValues;

  constructor(private readonly options: FetchedWriterOptions) {
    const { allowLoss = false, codec, target } = options;
    this.transcoder = new Transcoder(target, { allowLoss });
    this.parts = new PartsTranscoder(target, { allowLoss });
    this.resp = new RespWriter(this.out, codec);
    this.values = new RespValues(this.resp, releaseNumber(target));
  }

  /**
   * `shift`: milliseconds that are added to every expiry, of the key and of fields. `now`: Unix milliseconds by the clock of the target,
   * which relative expiries count from (before Redis 5.0).
   */
  write(key: Uint8Array, fetched: Fetched, shift: number, now: number): Written | WrittenLarge | Refused {
    const { expireAt, large, payload } = fetched;
    const { filter } = this.options;
    const deleted = (): Written => this.written('deleted', [], () => this.command('DEL', key));
    try {
      if (large instanceof RdbError) throw large;
      if (large !== undefined) return this.large(key, large, expireAt, shift) ?? deleted();
      if (payload === undefined) return deleted();
      const frame = payloadFrame(payload, payloadOrigin(payload));
      Object.assign(frame, { keyBytes: key, keyStart: 0, keyEnd: key.length, hasExpire: expireAt >= 0 });
      if (expireAt >= 0) frame.setExpireMs(BigInt(expireAt) + BigInt(shift));
      if (filter !== undefined && !passes(filter, frame, expireAt)) return deleted();
      const prepared = this.prepared(frame, shift);
      if (prepared.outcome === 'refused') return prepared;
      const written = this.commands(key, prepared, now);
      return written.outcome !== 'refused' && isSeries(frame, frame.bytes, frame.start) ? { ...written, isSeries: true } : written;
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return refused(`its value is damaged: ${error.message}`);
    }
  }

  /** Undefined if the filter leaves it out. */
  private large(key: Uint8Array, large: LargeValueAside, expireAt: number, shift: number): WrittenLarge | Refused | undefined {
    const { filter, target } = this.options;
    const { value, version } = large;
    const own = { keyBytes: key, keyStart: 0, keyEnd: key.length, hasExpire: expireAt >= 0 };
    const frame = Object.assign(new Frame(), large.frame, own, { start: 0, end: value.size });
    if (expireAt >= 0) frame.setExpireMs(BigInt(expireAt) + BigInt(shift));
    if (filter !== undefined && !passes(filter, frame, expireAt)) return undefined;
    this.parts.fieldShift = shift;
    const plan = this.plan(frame, value);
    if (plan.outcome === 'refused') return plan;
    const { leftOut, metaBytes, outcome, pieces, type } = plan;
    Object.assign(frame, { type, redisType: type.redisType, metaBytes });
    const versions = { version, sentVersion: sentVersion(target, frame, version) };
    const sent = { outcome, frame, ...versions, leftOut, isSeries: isSeriesAside(frame, value) };
    if (pieces === undefined) return { ...sent, value };
    const copy = new Spill();
    try {
      for (const piece of pieces) copy.add(piece, 0, piece.length);
    } catch (error) {
      copy.close();
      throw error;
    } finally {
      this.parts.close();
    }
    return { ...sent, value: copy };
  }

  private plan(frame: Frame, value: HeldBytes): LargePlan | Refused {
    const { parts } = this;
    let plan: ReturnType<PartsTranscoder['take']> = parts.begin(frame) ?? AGAIN;
    while (plan === AGAIN) {
      plan = undefined;
      for (const part of partsOf(frame, value)) {
        plan = parts.take(part.kind, part.frame);
        if (plan !== undefined) break;
      }
    }
    if (plan === undefined) throw new RdbError('TRUNCATED', { expected: 'the rest of the value', got: 'the end of its payload' });
    return plan.outcome === 'refused' || plan.verbatim ? plan : { ...plan, pieces: parts.pieces() };
  }

  private prepared(frame: Frame, shift: number): Prepared | Refused {
    const { codec, target } = this.options;
    this.transcoder.fieldShift = shift;
    const result = this.transcoder.record(frame);
    if (result.outcome === 'refused') return result;
    const { version } = payloadOrigin(frame.bytes);
    const { bytes, end, leftOut, metaBytes, outcome, start, type } = result;
    if (bytes === frame.bytes && metaBytes === frame.metaBytes && acceptsVersion(target, version)) {
      return { frame, outcome, leftOut, payload: [frame.bytes], size: frame.bytes.length };
    }
    const value = bytes === frame.bytes ? bytes.subarray(start, end) : bytes.slice(start, end);
    const place = { bytes: value, start: 0, end: value.length };
    const own = Object.assign(new Frame(), frame, place, { type, redisType: type.redisType, metaBytes });
    const head = payloadHead(own);
    const footer = new Uint8Array(PAYLOAD_FOOTER);
    const crc = codec.crc64();
    crc.hi = crc.lo = 0;
    writePayloadFooter(footer, sentVersion(target, own, version), crc.update(head, 0, head.length).update(value, 0, value.length));
    return { frame: own, outcome, leftOut, payload: [head, value, footer], size: head.length + value.length + footer.length };
  }

  private commands(key: Uint8Array, { frame, leftOut, outcome, payload, size }: Prepared, now: number): Written | Refused {
    const { maxPayload = MAX_PAYLOAD, target } = this.options;
    if (size > maxPayload) {
      return RespValues.can(frame)
        ? this.written(outcome, leftOut, () => this.plainly(key, frame))
        : refused(RespValues.refusal(frame));
    }
    const modifiers = modifiersOf(frame, target, hasReplace(target));
    return this.written(outcome, leftOut, (flush) => {
      const { resp } = this;
      if (!hasReplace(target)) this.command('DEL', key);
      resp.command(4 + modifiers.length);
      resp.word('RESTORE');
      resp.arg(key);
      resp.word(ttlOf(frame, target, now));
      resp.open(size);
      for (const piece of payload) {
        if (piece.length > SHORT) flush(piece);
        else resp.raw(piece, 0, piece.length);
      }
      resp.end();
      resp.words(...modifiers);
    });
  }

  /** Builds the value under another name, and renames it then. */
  private plainly(key: Uint8Array, frame: Frame): void {
    const { resp, values } = this;
    const { sharded, suffix = '' } = this.options;
    const name = temporaryKey(sharded ? keySlot(key, 0, key.length) : undefined, `:sync${suffix}`);
    Object.assign(frame, { keyBytes: name, keyStart: 0, keyEnd: name.length });
    values.record(frame);
    writeExpiry(resp, frame);
    this.command('RENAME', name, key);
  }

  private command(name: string, ...args: Uint8Array[]): void {
    this.resp.command(args.length + 1);
    this.resp.word(name);
    for (const arg of args) this.resp.arg(arg);
  }

  /** `flush` puts a piece between what was written and what follows, without a copy. */
  private written(outcome: Written['outcome'], leftOut: readonly string[], write: (flush: (piece: Uint8Array) => void) => void): Written {
    const { out, resp } = this;
    const pieces: Uint8Array[] = [];
    const cut = (): void => {
      if (out.length > 0) pieces.push(out.bytes.slice(0, out.length));
      out.clear();
    };
    out.clear();
    const before = resp.commands;
    write((piece) => {
      cut();
      pieces.push(piece);
    });
    cut();
    return { outcome, pieces, commands: resp.commands - before, leftOut };
  }
}

/** How a large value is written: in these pieces, or as it is. */
type LargePlan = Pick<PartsPlan, 'leftOut' | 'metaBytes' | 'outcome' | 'type'> & { readonly pieces?: Iterable<Uint8Array> };

function* partsOf(frame: Frame, value: HeldBytes): Generator<Part, void, void> {
  const framer = new ValueFramer(frame);
  for (const piece of value.read()) yield* framer.parts(piece);
}

function passes({ head, maxSize, minSize }: Filter, frame: Frame, expireAt: number): boolean {
  const { db, hasExpire, keyBytes, keyEnd, keyStart, redisType } = frame;
  const size = frame.end - frame.start;
  return size >= minSize && size <= maxSize && head({ db, redisType, keyBytes, keyStart, keyEnd, hasExpire, expireAt });
}

/** Whether a value was written by RedisTimeSeries. */
function isSeries({ type }: Frame, bytes: Uint8Array, start: number): boolean {
  if (type.form !== 'module') return false;
  const id: Length = { value: 0, hi: 0, lo: 0 };
  readLength(bytes, start, bytes.length, id);
  return moduleType(id).name === 'TSDB-TYPE';
}

function isSeriesAside(frame: Frame, value: HeldBytes): boolean {
  for (const piece of value.read()) return isSeries(frame, piece, 0);
  return false;
}

const refused = (reason: string): Refused => ({ outcome: 'refused', reason, avoidable: false });
