import type { ByteBuilder } from '../bytes/builder.js';
import type { TypeRow } from '../rdb/types.js';
import { FIELD, VALUE } from '../values/layouts.js';
import { HashWriter } from '../values/writers/hashes.js';
import { elementOf, emptyValue, KeptElement, type LineEncoding, type ValueEncoder } from './value-encoder.js';
import { Fields } from './fields.js';
import { Members } from './members.js';
import { IntegerPlace } from './number-places.js';
import { type Container, ObjectPlace, pathOf, type Place, TextPlace } from './places.js';
import type { Text } from './read-text.js';

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

export class HashEncoder implements ValueEncoder, Container {
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
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('hash');
    return this.writer.finish(head);
  }

  pieces(): Iterable<Uint8Array> | undefined {
    return this.writer.pieces();
  }
}
