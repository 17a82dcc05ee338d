import type { ByteBuilder } from '../bytes/builder.js';
import { DOUBLE, Element } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import { NotRepresentable } from '../values/target-limits.js';
import { MEMBER } from '../values/layouts.js';
import { ZsetWriter } from '../values/writers/zsets.js';
import { elementOf, emptyValue, KeptElement, type LineEncoding, type ValueEncoder } from './value-encoder.js';
import { Members } from './members.js';
import { DoublePlace } from './number-places.js';
import { type Container, ObjectPlace, pathOf, type Place } from './places.js';
import type { Text } from './read-text.js';

export class ZsetEncoder implements ValueEncoder, Container {
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
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('sorted set');
    if (this.nan) throw new NotRepresentable('no server loads a sorted set with the score nan');
    return this.writer.finish(head);
  }
}
