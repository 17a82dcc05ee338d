import { writeAscii } from '../bytes/decimal.js';
import type { ByteBuilder } from '../bytes/builder.js';
import { Element } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength, addScore, addString } from '../rdb/write-string.js';
import { NotRepresentable } from '../values/target-limits.js';
import { PACKED_ITEMS } from '../values/packed-limits.js';
import { emptyValue, type Encoding, isShort, Small, type ValueEncoder } from './encoding.js';
import { Members } from './members.js';
import { DoublePlace } from './number-places.js';
import { type Container, ObjectPlace, pathOf, type Place } from './places.js';
import type { Text } from './text.js';

/** A score in a packed sorted set: the shortest text, which the writers make an integer of where it is one. */
const SCORE_ROOM = 32;

/** A sorted set: a listpack (17) or, before 7.0, a ziplist (12), in order of the scores; or plain with scores of 8 bytes (5), before 4.0 as text (3). */
export class ZsetEncoder implements ValueEncoder, Container {
  readonly place = new ObjectPlace('an object of scores by member', () => this);
  private readonly score = new DoublePlace((score) => this.scored(score));
  private readonly small = new Small();
  private isSmall = true;
  private scores: number[] = [];
  private nan = false;
  private name: string | undefined;
  private readonly members = new Members('a member');
  private readonly text = new Element();
  /** What it is where it is not packed. */
  private readonly plainType: TypeRow;

  constructor(private readonly encoding: Encoding) {
    this.plainType = encoding.choose('ZSET_2', 'ZSET');
    this.text.bytes = new Uint8Array(SCORE_ROOM);
  }

  begin(): void {
    this.small.begin();
    this.isSmall = true;
    this.scores = [];
    this.nan = false;
    this.name = undefined;
    this.members.begin();
  }

  get path(): string {
    return this.name === undefined ? '' : pathOf(this.name);
  }

  key(member: Text): void {
    const { members, small } = this;
    this.name = member.word ?? '';
    members.add(member);
    if (this.isSmall && isShort(member.element) && small.count < PACKED_ITEMS) {
      small.add(member.element);
      return;
    }
    if (this.isSmall) this.spread();
    this.encoding.body.string(member);
  }

  value(): Place {
    return this.score;
  }

  end(): void {
    this.name = undefined;
  }

  private scored(score: number): void {
    if (Number.isNaN(score)) this.nan = true;
    if (this.isSmall) this.scores.push(score);
    else this.plain(score);
  }

  private plain(score: number): void {
    addScore(this.encoding.body.out, this.plainType, score);
  }

  private spread(): void {
    this.isSmall = false;
    this.scores.forEach((score, i) => {
      addString(this.encoding.body.out, this.small.at(i));
      this.plain(score);
    });
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('sorted set');
    if (this.nan) throw new NotRepresentable('no server loads a sorted set with the score nan');
    if (this.isSmall) return this.packed();
    addLength(head, count);
    return this.plainType;
  }

  private packed(): TypeRow {
    const { encoding, scores, small } = this;
    const type = encoding.choose('ZSET_LISTPACK', 'ZSET_ZIPLIST');
    const writer = type.name === 'ZSET_LISTPACK' ? encoding.listpack : encoding.ziplist;
    writer.begin();
    for (const i of this.order()) {
      writer.add(small.at(i));
      writer.add(this.scoreText(scores[i]));
    }
    encoding.body.packed(writer.finish());
    return type;
  }

  /** By score, then by the bytes of the member, as commands find them. */
  private order(): readonly number[] {
    const { scores, small } = this;
    const order = scores.map((_, i) => i);
    return order.sort((a, b) => scores[a] < scores[b] ? -1 : scores[a] > scores[b] ? 1 : Buffer.compare(bytesOf(small.at(a)), bytesOf(small.at(b))));
  }

  private scoreText(score: number): Element {
    const { text } = this;
    const shortest = Object.is(score, -0) ? '-0' : score === Infinity ? 'inf' : score === -Infinity ? '-inf' : String(score);
    text.end = writeAscii(shortest, text.bytes, 0);
    return text;
  }
}

function bytesOf({ bytes, end, start }: Element): Uint8Array {
  return bytes.slice(start, end);
}
