import { EMPTY } from '../encodings/element.js';
import type { LargeValue } from '../io/large-value.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { DROPPED, DOMAIN_COUNT, KIND, RECORD } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import type { RedisType } from '../rdb/types.js';
import { ValueBuilder } from '../values/js-values.js';
import { PartsReader } from '../values/parts.js';
import { BufferTexts } from '../values/value-texts.js';
import { domainStates, type Seed } from './domains.js';
import { type Digested, type Inside, insideOf, type TypedValue } from './inside.js';
import type { KeyList } from './key-list.js';
import { SilentSink } from './silent-sink.js';
import { ValueDigest, type ValueDigestOptions } from './value-digest.js';

/** Digests that are shown can be compared with those of other runs. */
const SHOWN_SEED: Seed = [0, 0, 0, 0];

/** Bytes of values of side A, as stored, that are held at a time. */
const MOST_HELD = 64 << 20;

/** A value of side A: as stored, or of a large one only what is shown of it. */
interface HeldValue {
  readonly type: RedisType;
  readonly frame: Frame | undefined;
  readonly digested: Digested | undefined;
}

/**
 * What differs inside the values of some keys: those of side A are held as they are stored, and those of side B are compared with them as
 * they come. Keys whose values have no room are left for another pass over both sides.
 */
export class InsideTable {
  private readonly held = new Map<number, HeldValue>();
  private readonly found = new Map<number, Inside>();
  private readonly left = new Set<number>();
  private readonly onB = new Set<number>();
  private bytes = 0;

  constructor(
    /** The keys of this pass. */
    readonly keys: KeyList,
    private readonly options: ValueDigestOptions,
    private readonly limit = MOST_HELD,
  ) {}

  /** Of the key with this number in the list; undefined if it is left for another pass. */
  of(key: number): Inside | undefined {
    if (this.left.has(key)) return undefined;
    const onA = this.held.has(key);
    if (!onA || !this.onB.has(key)) return { is: 'gone', side: onA ? 'target' : 'source' };
    return this.found.get(key);
  }

  /** Whether the value of side A may be held; one always may. */
  hasRoom(key: number, bytes: number): boolean {
    if (this.bytes > 0 && this.bytes + bytes > this.limit) {
      this.left.add(key);
      return false;
    }
    this.bytes += bytes;
    return true;
  }

  isLeft(key: number): boolean {
    return this.left.has(key);
  }

  hold(key: number, value: HeldValue): void {
    this.held.set(key, value);
  }

  /** Compares a value of side B, which is borrowed, with the one of side A. */
  compare(key: number, { digested, frame, type }: HeldValue, measure: (frame: Frame) => Digested): void {
    this.onB.add(key);
    const one = this.held.get(key);
    if (one === undefined) return;
    this.found.set(key, this.inside(one, { digested, frame, type }, measure));
  }

  private inside(one: HeldValue, other: HeldValue, measure: (frame: Frame) => Digested): Inside {
    if (one.type !== other.type) return { is: 'type', source: one.type, target: other.type };
    if (one.frame !== undefined && other.frame !== undefined && haveSameMeta(one.frame, other.frame)) {
      const inside = insideOf(valueOf(one.frame), valueOf(other.frame), this.options.streams === 'full');
      if (inside !== undefined) return inside;
    }
    const [source, target] = [one, other].map(({ digested, frame }) => digested ?? measure(frame as Frame));
    return source.digest === target.digest ? { is: 'same' } : { is: 'large', source, target };
  }
}

const haveSameMeta = (a: Frame, b: Frame): boolean => Buffer.compare(a.metaBytes ?? EMPTY, b.metaBytes ?? EMPTY) === 0;

function valueOf(frame: Frame): TypedValue {
  const builder = new ValueBuilder(new BufferTexts());
  builder.frame(RECORD, frame);
  return { type: frame.redisType, value: builder.built } as TypedValue; // the type of a key determines its kind
}

/** Takes the records of the keys of a table: of side A, then of side B. All others must have been dropped. */
export class InsideSink extends SilentSink {
  private readonly digest: ValueDigest;
  private readonly reader: PartsReader;
  private readonly frame = new Frame();

  constructor(
    codec: Codec | undefined,
    private readonly side: 'a' | 'b',
    private readonly table: InsideTable,
    options: ValueDigestOptions,
  ) {
    super();
    const domains = new Int32Array(4 * DOMAIN_COUNT);
    domainStates(SHOWN_SEED, domains);
    this.digest = new ValueDigest(domains, options, codec ?? TS_CODEC);
    this.reader = new PartsReader(this.digest, codec ?? TS_CODEC);
  }

  batch(batch: Batch): void {
    const { frame, side, table } = this;
    for (let row = batch.from; row < batch.to; row++) {
      if (batch.table.word(row, KIND) !== RECORD || batch.table.has(row, DROPPED)) continue;
      batch.row = row;
      batch.read(row, frame);
      const key = this.numberOf(frame);
      if (key < 0 || table.isLeft(key)) continue;
      const value = { type: frame.redisType, frame, digested: undefined };
      if (side === 'b') table.compare(key, value, (one) => this.measure(one));
      else if (table.hasRoom(key, frame.end - frame.start)) table.hold(key, { ...value, frame: copyOf(frame) });
    }
  }

  async large(value: LargeValue): Promise<void> {
    const { digest, reader, side, table } = this;
    const { head } = value;
    const key = this.numberOf(head);
    if (key < 0 || table.isLeft(key)) return;
    for await (const { frame, kind } of value.parts()) reader.frame(kind, frame);
    const held = { type: head.redisType, frame: undefined, digested: { bytes: value.size, digest: hexOf(digest) } };
    if (side === 'a') table.hold(key, held);
    else table.compare(key, held, (one) => this.measure(one));
  }

  private numberOf({ db, keyBytes, keyEnd, keyStart }: Frame): number {
    return this.table.keys.find(db, keyBytes, keyStart, keyEnd);
  }

  private measure(frame: Frame): Digested {
    this.reader.frame(RECORD, frame);
    return { bytes: frame.end - frame.start, digest: hexOf(this.digest) };
  }
}

const hexOf = ({ offsets, words }: ValueDigest): string =>
  [...words, ...(offsets ?? [])].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');

/** A record with its value alone, in memory of its own. */
function copyOf(frame: Frame): Frame {
  const { bytes, end, keyBytes, keyEnd, keyStart, metaBytes, start } = frame;
  return Object.assign(new Frame(), frame, {
    ...{ bytes: bytes.slice(start, end), start: 0, end: end - start, headBytes: EMPTY },
    ...{ keyBytes: keyBytes.slice(keyStart, keyEnd), keyStart: 0, keyEnd: keyEnd - keyStart, metaBytes: metaBytes?.slice() },
  });
}
