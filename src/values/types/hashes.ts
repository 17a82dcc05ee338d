import type { ByteBuilder } from '../../bytes/builder.js';
import { RdbError } from '../../bytes/errors.js';
import { Element, LARGE, uint32 } from '../../encodings/element.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addLength64, addString } from '../../rdb/write-string.js';
import { FIELD, readDouble } from '../layouts.js';
import { type Encoding, isShort, PACKED_FIELDS, Small, type ValueWriter } from './encoding.js';
import { typeFor } from '../targets.js';
import { Body } from './body.js';

/** A row of `rows`: bytes of a pair, and its expiry as a double. */
const ROW = 12;
/** Bytes of a plain hash that are handed on at a time. */
const PIECE = 1 << 16;
/** The latest expiry of a field that Redis takes (t_hash.c, HFE_MAX_ABS_TIME_MSEC), in the year 4199. */
export const LATEST_FIELD_EXPIRY = 2 ** 46 - 1;

/** Types whose fields may expire. */
const EXPIRING: ReadonlySet<string> = new Set([
  'HASH_METADATA',
  'HASH_METADATA_PRE_GA',
  'HASH_LISTPACK_EX',
  'HASH_LISTPACK_EX_PRE_GA',
  'HASH_2',
]);

/** Whether values of a type change if expiries of fields are shifted. */
export const isShifted = ({ name }: TypeRow, fieldShift = 0): boolean => fieldShift !== 0 && EXPIRING.has(name);

/** Forms of hashes that are one packed string, and so small. */
const PACKED: ReadonlySet<string> = new Set(['listpack', 'listpack-ex', 'template-listpack', 'template-ref-listpack']);

/**
 * A hash: a listpack (16) or, before 7.0, a ziplist (13), or plain (4). With field expiries: a listpack of threes (25) or
 * HASH_METADATA (24) since Redis 7.4, HASH_2 (22) since Valkey 9; for other targets they are a loss.
 */
export class HashWriter implements ValueWriter {
  readonly wantsStoredLarge = true;
  private readonly small = new Small();
  private isSmall = true;
  private isNew = true;
  /** Unix milliseconds, 0 for none, of the few fields that there are. */
  private expiries: number[] = [];
  private count = 0;
  private expiring = 0;
  private leastExpiry = 0;
  /** Of a plain hash, where the target may have expiries: a row for each pair. */
  private readonly rows = new Body();
  private pairAt = 0;
  private readonly expiryType: TypeRow | undefined;
  private written: TypeRow | undefined;
  private readonly integer = new Element();

  constructor(private readonly encoding: Encoding) {
    this.expiryType = typeFor(encoding.target, 'HASH_METADATA') ?? typeFor(encoding.target, 'HASH_2');
  }

  open(source?: TypeRow): void {
    this.small.begin();
    this.isNew = source === undefined;
    this.isSmall = source === undefined || PACKED.has(source.form);
    this.expiries = [];
    this.count = this.expiring = this.leastExpiry = 0;
    this.rows.clear();
    this.written = undefined;
  }

  pair(field: Element, value: Element, expiry: number): void {
    const { encoding, small } = this;
    const expireAt = expiry === 0 || encoding.fieldShift === 0 ? expiry : Math.min(expiry + encoding.fieldShift, LATEST_FIELD_EXPIRY);
    this.count++;
    if (expireAt > 0 && (this.expiring++ === 0 || expireAt < this.leastExpiry)) this.leastExpiry = expireAt;
    if (this.isSmall && small.count < 2 * PACKED_FIELDS && isShort(field) && isShort(value)) {
      small.add(encoding.plain(field));
      small.add(encoding.plain(value));
      this.expiries.push(expireAt);
      return;
    }
    if (value.kind !== LARGE) {
      this.spread();
      if (field.kind !== LARGE) this.field(field);
      encoding.body.string(value);
    }
    this.row(expireAt);
  }

  private field(field: Element): void {
    this.pairAt = this.encoding.body.size;
    this.encoding.body.string(field);
  }

  private row(expireAt: number): void {
    if (this.expiryType === undefined) return;
    this.rows.out.le(this.encoding.body.size - this.pairAt, 4);
    this.rows.out.double(expireAt);
    this.rows.flushIfFull();
  }

  /** The few pairs that there are, as those of a plain hash. */
  private spread(): void {
    if (!this.isSmall) return;
    this.isSmall = false;
    const { encoding, small } = this;
    for (let i = 0; i < small.count; i += 2) {
      this.pairAt = encoding.body.size;
      addString(encoding.body.out, small.at(i));
      addString(encoding.body.out, small.at(i + 1));
      this.row(this.expiries[i >> 1]);
    }
  }

  largeBegin(role: number, _length: number, field: Element | undefined): void {
    this.spread();
    if (role === FIELD) this.pairAt = this.encoding.body.size;
    else if (field !== undefined && field.kind !== LARGE) this.field(field);
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.encoding.body.bytes(bytes, start, end);
  }

  finish(head: ByteBuilder): TypeRow {
    const type = (this.written = this.type());
    const packed = type.form === 'listpack' || type.form === 'ziplist' || type.form === 'listpack-ex';
    if (type.id >= 24) head.le64(Math.floor(this.leastExpiry / 0x100000000), this.leastExpiry >>> 0);
    if (packed) {
      this.packed(type);
    } else {
      this.spread();
      addLength(head, this.count);
    }
    return type;
  }

  private type(): TypeRow {
    const { count, encoding, expiring, isSmall } = this;
    if (expiring > 0 && this.expiryType === undefined) encoding.lose('expiry of single hash fields', `${expiring} of ${count} have one`);
    else if (expiring > 0)
      return (this.isNew && isSmall ? typeFor(encoding.target, 'HASH_LISTPACK_EX') : undefined) ?? (this.expiryType as TypeRow);
    return isSmall ? encoding.choose('HASH_LISTPACK', 'HASH_ZIPLIST') : encoding.choose('HASH');
  }

  private packed(type: TypeRow): void {
    const { encoding, expiries, integer, small } = this;
    const writer = type.form === 'ziplist' ? encoding.ziplist : encoding.listpack;
    writer.begin();
    for (const i of type.form === 'listpack-ex' ? this.byExpiry() : expiries.keys()) {
      writer.add(small.at(2 * i));
      writer.add(small.at(2 * i + 1));
      if (type.form !== 'listpack-ex') continue;
      integer.setInt(expiries[i]);
      writer.add(integer);
    }
    encoding.body.packed(writer.finish());
  }

  /** Servers keep the next one to expire in front, and those that do not at the end (redis t_hash.c, listpackExAddInternal). */
  private byExpiry(): readonly number[] {
    const { expiries } = this;
    const key = (i: number): number => (expiries[i] === 0 ? Infinity : expiries[i]);
    return expiries.map((_, i) => i).sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b));
  }

  /**
   * With expiries between the pairs, where the type has them: before each as 1 + milliseconds after the least (24), or after it as
   * 8 bytes (22).
   */
  pieces(): Iterable<Uint8Array> | undefined {
    const name = this.written?.name;
    return name === 'HASH_METADATA' || name === 'HASH_2' ? this.withExpiries(name === 'HASH_METADATA') : undefined;
  }

  private *withExpiries(before: boolean): Generator<Uint8Array, void, void> {
    const { out } = new Body();
    const pairs = new Takes(this.encoding.body.pieces());
    const rows = new Takes(this.rows.pieces());
    for (let row = rows.short(ROW); row !== undefined; row = rows.short(ROW)) {
      const expireAt = readDouble(row, 4);
      if (before) addExpiryBefore(out, expireAt, this.leastExpiry);
      for (const piece of pairs.take(uint32(row, 0))) {
        out.copy(piece, 0, piece.length);
        if (out.length < PIECE) continue;
        yield out.view();
        out.clear();
      }
      if (!before) addExpiryAfter(out, expireAt);
    }
    if (out.length > 0) yield out.view();
  }
}

/** The expiry after field and value in HASH_2 (valkey 9.0 rdb.c, rdbSaveObject): Unix milliseconds, -1 for none. */
function addExpiryAfter(out: ByteBuilder, expireAt: number): void {
  if (expireAt === 0) out.le64(-1, -1);
  else out.le64(Math.floor(expireAt / 0x100000000), expireAt >>> 0);
}

/**
 * The expiry before field and value in HASH_METADATA (redis 7.4 rdb.c, rdbSaveObject): a length, 0 for none, else 1 + milliseconds after
 * the least one.
 */
function addExpiryBefore(out: ByteBuilder, expireAt: number, least: number): void {
  const after = expireAt === 0 ? 0 : expireAt - least + 1;
  addLength64(out, Math.floor(after / 0x100000000), after >>> 0);
}

/** Takes bytes from a row of pieces. */
class Takes {
  private piece = new Uint8Array(0) as Uint8Array;
  private at = 0;

  constructor(private readonly pieces: Iterator<Uint8Array, void>) {}

  private more(): boolean {
    if (this.at < this.piece.length) return true;
    const next = this.pieces.next();
    if (next.done === true) return false;
    this.piece = next.value;
    this.at = 0;
    return true;
  }

  /** So many bytes, in views of the pieces. */
  *take(size: number): Generator<Uint8Array, void, void> {
    for (let left = size; left > 0; ) {
      if (!this.more()) throw new RdbError('TRUNCATED', { expected: `${left} bytes more`, got: 'the end of what was put aside' });
      const part = this.piece.subarray(this.at, this.at + left);
      this.at += part.length;
      left -= part.length;
      yield part;
    }
  }

  /** A few bytes in one; undefined at the end. */
  short(size: number): Uint8Array | undefined {
    if (!this.more()) return undefined;
    if (this.piece.length - this.at >= size) {
      this.at += size;
      return this.piece.subarray(this.at - size, this.at);
    }
    const joined = new Uint8Array(size);
    let at = 0;
    for (const part of this.take(size)) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}
