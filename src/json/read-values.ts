import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { DOUBLE, Element } from '../encodings/element.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { FIELD, ITEM, MEMBER, TEXT, VALUE } from '../values/layouts.js';
import { Duplicates } from '../values/duplicates.js';
import { NotRepresentable } from '../values/target-limits.js';
import { HashWriter } from '../values/types/hashes.js';
import { listWriter } from '../values/types/lists.js';
import { SetWriter } from '../values/types/sets.js';
import { StringWriter } from '../values/types/strings.js';
import { ZsetWriter } from '../values/types/zsets.js';
import { OTHER_ENCODERS } from './others.js';
import type {
  Place} from './places.js';
import {
  ArrayPlace,
  type Container,
  DoublePlace,
  Fields,
  IntegerPlace,
  ObjectPlace,
  pathOf,
  TextPlace,
} from './places.js';
import { ModuleEncoder } from './read-modules.js';
import { StreamEncoder } from './read-streams.js';
import type { Text } from './read-text.js';
import { elementOf, emptyValue, KeptElement, type LineEncoding, type ValueEncoder } from './value-encoder.js';

const nothing = (): void => undefined;

/** Members or fields of one value, none of which may come twice: servers refuse to load such a value. */
class Members {
  private readonly duplicates = new Duplicates();
  count = 0;

  /** `what` a member is called, like "a field". */
  constructor(private readonly what: string) {}

  begin(): void {
    this.duplicates.begin();
    this.count = 0;
  }

  /** Throws RdbError for one that was there before, where that can be known by now. */
  add({ element, spilled }: Text): void {
    const { count, duplicates } = this;
    const isNew =
      element === undefined ? this.isNewLarge(spilled?.read() ?? []) : duplicates.isNew(element.bytes, element.start, element.end, count);
    if (!isNew) throw this.again(`${this.what} that was there before`);
    this.count++;
  }

  private isNewLarge(pieces: Iterable<Uint8Array>): boolean {
    const { duplicates } = this;
    duplicates.beginLarge();
    for (const piece of pieces) duplicates.addLarge(piece, 0, piece.length);
    return duplicates.isNewLarge(this.count);
  }

  /** The end of the value. Throws RdbError where one came twice. */
  end(): void {
    this.duplicates.end(() => {
      throw this.again(`one of the ${this.count} that comes twice`);
    });
  }

  private again(got: string): RdbError {
    return new RdbError('BAD_LINE', { expected: `${this.what} once`, got });
  }
}

class StringEncoder implements ValueEncoder {
  readonly place = new TextPlace((text) => this.writer.text(elementOf(text, TEXT, this.writer, this.encoding)));
  private readonly writer: StringWriter;

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new StringWriter(encoding);
  }

  begin(): void {
    // one text is all
  }

  finish(): TypeRow {
    return this.writer.finish();
  }
}

class ListEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), nothing, nothing);
  private readonly writer;
  private count = 0;

  constructor(private readonly encoding: LineEncoding) {
    this.writer = listWriter(encoding);
  }

  begin(): void {
    this.writer.open();
    this.count = 0;
  }

  private add(text: Text): void {
    const { writer } = this;
    this.count++;
    writer.item?.(elementOf(text, ITEM, writer, this.encoding));
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.count === 0) throw emptyValue('list');
    return this.writer.finish(head);
  }
}

class SetEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), nothing, nothing);
  private readonly writer: SetWriter;
  private readonly members = new Members('a member');

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new SetWriter(encoding);
  }

  begin(): void {
    this.writer.open();
    this.members.begin();
  }

  private add(text: Text): void {
    const { writer } = this;
    this.members.add(text);
    writer.item(elementOf(text, ITEM, writer, this.encoding));
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    members.end();
    if (members.count === 0) throw emptyValue('set');
    return this.writer.finish(head);
  }
}

class ZsetEncoder implements ValueEncoder, Container {
  readonly place = new ObjectPlace('an object of scores by member', () => this);
  private readonly scorePlace = new DoublePlace((score) => this.scored(score));
  private readonly writer: ZsetWriter;
  private nan = false;
  private name: string | undefined;
  private readonly members = new Members('a member');
  private readonly member = new KeptElement();
  private readonly score = new Element();

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new ZsetWriter(encoding);
    this.score.kind = DOUBLE;
  }

  begin(): void {
    this.writer.open();
    this.nan = false;
    this.name = undefined;
    this.members.begin();
  }

  get path(): string {
    return this.name === undefined ? '' : pathOf(this.name);
  }

  key(member: Text): void {
    this.name = member.word ?? '';
    this.members.add(member);
    this.member.keep(elementOf(member, MEMBER, this.writer, this.encoding));
  }

  value(): Place {
    return this.scorePlace;
  }

  end(): void {
    this.name = undefined;
  }

  private scored(score: number): void {
    if (Number.isNaN(score)) this.nan = true;
    this.score.num = score;
    this.writer.scored(this.member.element, this.score);
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    members.end();
    if (members.count === 0) throw emptyValue('sorted set');
    if (this.nan) throw new NotRepresentable('no server loads a sorted set with the score nan');
    return this.writer.finish(head);
  }
}

/** Servers refuse later ones (redis ebuckets.h, EB_EXPIRE_TIME_MAX: 48 bits). */
const MOST_EXPIRY = 2n ** 48n - 2n;

/** The value of a field: a string, or an object with it and an expiry. */
class FieldPlace extends TextPlace {
  constructor(set: (text: Text) => void, private readonly expiring: Fields) {
    super(set, 'a string, or an object of value and expireAt');
  }

  override object(): Container {
    return this.expiring.begin();
  }
}

class HashEncoder implements ValueEncoder, Container {
  readonly place = new ObjectPlace('an object of strings by field', () => this);
  private readonly valuePlace: FieldPlace;
  private readonly writer: HashWriter;
  private expireAt = 0;
  private name: string | undefined;
  private readonly members = new Members('a field');
  private readonly field = new KeptElement();
  /** The value in an object, where an expiry may follow it. */
  private readonly keptValue = new KeptElement();

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new HashWriter(encoding);
    const expireAt = new IntegerPlace('Unix milliseconds', (ms) => (this.expireAt = Number(ms)), 1n, MOST_EXPIRY);
    const value = new TextPlace((text) => this.keptValue.keep(elementOf(text, VALUE, this.writer, encoding, this.field.element)));
    this.valuePlace = new FieldPlace(
      (text) => this.writer.pair(this.field.element, elementOf(text, VALUE, this.writer, encoding, this.field.element), 0),
      new Fields({ value, expireAt }, ['value', 'expireAt'], encoding.unknown, () => this.expiring()),
    );
  }

  begin(): void {
    this.writer.open();
    this.expireAt = 0;
    this.name = undefined;
    this.members.begin();
  }

  get path(): string {
    return this.name === undefined ? '' : pathOf(this.name);
  }

  key(field: Text): void {
    this.name = field.word ?? '';
    this.members.add(field);
    this.field.keep(elementOf(field, FIELD, this.writer, this.encoding));
  }

  value(): Place {
    return this.valuePlace;
  }

  end(): void {
    this.name = undefined;
  }

  private expiring(): void {
    this.writer.pair(this.field.element, this.keptValue.element, this.expireAt);
    this.expireAt = 0;
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    members.end();
    if (members.count === 0) throw emptyValue('hash');
    return this.writer.finish(head);
  }

  pieces(): Iterable<Uint8Array> | undefined {
    return this.writer.pieces();
  }
}

/** Makes the values of lines, by type. */
export const ENCODERS: Readonly<Record<RedisType, (encoding: LineEncoding) => ValueEncoder>> = {
  string: (encoding) => new StringEncoder(encoding),
  list: (encoding) => new ListEncoder(encoding),
  set: (encoding) => new SetEncoder(encoding),
  zset: (encoding) => new ZsetEncoder(encoding),
  hash: (encoding) => new HashEncoder(encoding),
  stream: (encoding) => new StreamEncoder(encoding),
  module: (encoding) => new ModuleEncoder(encoding),
  ...OTHER_ENCODERS,
};
