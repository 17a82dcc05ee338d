import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { Element, uint32 } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength, addString } from '../rdb/write-string.js';
import { readDouble } from '../values/layouts.js';
import { PACKED_FIELDS } from '../values/packed-limits.js';
import { typeFor } from '../values/targets.js';
import { addExpiryBefore, addExpiryBehind } from '../values/transcode-hashes.js';
import { Body } from './body.js';
import { emptyValue, type Encoding, isShort, Small, type ValueEncoder } from './encoding.js';
import { Fields } from './fields.js';
import { Members } from './members.js';
import { IntegerPlace } from './number-places.js';
import { type Container, ObjectPlace, pathOf, type Place, TextPlace } from './places.js';
import type { Text } from './text.js';

/** Servers refuse later ones (redis ebuckets.h, EB_EXPIRE_TIME_MAX: 48 bits). */
const MOST_EXPIRY = 2n ** 48n - 2n;
/** A row of `rows`: bytes of a pair, and its expiry as a double. */
const ROW = 12;

/** The value of a field: a string, or an object with it and an expiry. */
class FieldPlace extends TextPlace {
  constructor(set: (text: Text) => void, private readonly expiring: Fields) {
    super(set, 'a string, or an object of value and expireAt');
  }

  override object(): Container {
    return this.expiring.begin();
  }
}

/**
 * A hash: a listpack (16) or, before 7.0, a ziplist (13), or plain (4). With field expiries: a listpack of threes (25) or
 * HASH_METADATA (24) since Redis 7.4, HASH_2 (22) since Valkey 9; for other targets they are a loss.
 */
export class HashEncoder implements ValueEncoder, Container {
  readonly place = new ObjectPlace('an object of strings by field', () => this);
  private readonly field: FieldPlace;
  private readonly small = new Small();
  private isSmall = true;
  /** Unix milliseconds, 0 for none, of the few fields that there are. */
  private expiries: number[] = [];
  private expireAt = 0;
  private expiring = 0;
  private leastExpiry = 0;
  private name: string | undefined;
  private readonly members = new Members('a field');
  /** Of a plain hash, where the target may have expiries: a row for each pair. */
  private readonly rows = new Body();
  private pairAt = 0;
  private readonly expiryType: TypeRow | undefined;
  private written: TypeRow | undefined;
  private readonly integer = new Element();

  constructor(private readonly encoding: Encoding) {
    const { target, unknown } = encoding;
    this.expiryType = typeFor(target, 'HASH_METADATA') ?? typeFor(target, 'HASH_2');
    const expireAt = new IntegerPlace('Unix milliseconds', (ms) => (this.expireAt = Number(ms)), 1n, MOST_EXPIRY);
    const value = new TextPlace((text) => this.add(text));
    this.field = new FieldPlace(
      (text) => {
        this.add(text);
        this.pair();
      },
      new Fields({ value, expireAt }, ['value', 'expireAt'], unknown, () => this.pair()),
    );
  }

  begin(): void {
    this.small.begin();
    this.isSmall = true;
    this.expiries = [];
    this.expireAt = this.expiring = this.leastExpiry = 0;
    this.name = undefined;
    this.members.begin();
    this.rows.clear();
  }

  get path(): string {
    return this.name === undefined ? '' : pathOf(this.name);
  }

  key(field: Text): void {
    this.name = field.word ?? '';
    this.members.add(field);
    if (this.isSmall && this.small.count >= 2 * PACKED_FIELDS) this.spread();
    if (!this.isSmall) this.pairAt = this.encoding.body.size;
    this.add(field);
  }

  value(): Place {
    return this.field;
  }

  end(): void {
    this.name = undefined;
  }

  /** A field or a value. */
  private add(text: Text): void {
    const { encoding, small } = this;
    if (this.isSmall && isShort(text.element)) {
      small.add(text.element);
      return;
    }
    if (this.isSmall) this.spread();
    encoding.body.string(text);
  }

  /** The pair is complete. */
  private pair(): void {
    const { expireAt } = this;
    if (expireAt > 0 && (this.expiring++ === 0 || expireAt < this.leastExpiry)) this.leastExpiry = expireAt;
    if (this.isSmall) this.expiries.push(expireAt);
    else this.row(expireAt);
    this.expireAt = 0;
  }

  private row(expireAt: number): void {
    if (this.expiryType === undefined) return;
    this.rows.out.le(this.encoding.body.size - this.pairAt, 4);
    this.rows.out.double(expireAt);
    this.rows.flushIfFull();
  }

  /** The few elements that there are, as those of a plain hash; the last pair may lack its value. */
  private spread(): void {
    this.isSmall = false;
    const { encoding, small } = this;
    for (let i = 0; i < small.count; i++) {
      if ((i & 1) === 0) this.pairAt = encoding.body.size;
      addString(encoding.body.out, small.at(i));
      if ((i & 1) === 1) this.row(this.expiries[i >> 1]);
    }
    if ((small.count & 1) === 0) this.pairAt = encoding.body.size;
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('hash');
    this.written = this.type(count);
    const packed = this.written.form === 'listpack' || this.written.form === 'ziplist' || this.written.form === 'listpack-ex';
    if (this.written.id >= 24) head.le64(Math.floor(this.leastExpiry / 0x100000000), this.leastExpiry >>> 0);
    if (packed) {
      this.packed(this.written);
    } else {
      if (this.isSmall) this.spread();
      addLength(head, count);
    }
    return this.written;
  }

  private type(count: number): TypeRow {
    const { encoding, expiring, isSmall } = this;
    if (expiring > 0 && this.expiryType === undefined) encoding.lose('expiry of single hash fields', `${expiring} of ${count} have one`);
    else if (expiring > 0) return (isSmall ? typeFor(encoding.target, 'HASH_LISTPACK_EX') : undefined) ?? (this.expiryType as TypeRow);
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

  /** With expiries between the pairs, where the type has them: before each as 1 + milliseconds after the least (24), or behind it as 8 bytes (22). */
  pieces(): Iterable<Uint8Array> | undefined {
    const name = this.written?.name;
    return name === 'HASH_METADATA' || name === 'HASH_2' ? this.withExpiries(name === 'HASH_METADATA') : undefined;
  }

  private *withExpiries(before: boolean): Generator<Uint8Array, void, void> {
    const merged = new Body();
    const pairs = new Takes(this.encoding.body.pieces());
    const rows = new Takes(this.rows.pieces());
    for (let row = rows.short(ROW); row !== undefined; row = rows.short(ROW)) {
      const { out } = merged;
      const expireAt = readDouble(row, 4);
      if (before) addExpiryBefore(out, expireAt, this.leastExpiry);
      for (const piece of pairs.take(uint32(row, 0))) {
        out.copy(piece, 0, piece.length);
        if (out.length < 1 << 16) continue;
        yield out.view();
        out.clear();
      }
      if (!before) addExpiryBehind(out, expireAt);
    }
    if (merged.out.length > 0) yield merged.out.view();
  }
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
