import type { ByteBuilder } from '../../bytes/builder.js';
import { writeAscii } from '../../bytes/decimal.js';
import { DOUBLE, Element, LARGE } from '../../encodings/element.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addScore, addString } from '../../rdb/write-string.js';
import { type Encoding, isShort, PACKED_ITEMS, Small, type ValueWriter } from './encoding.js';
import { scoreOf } from '../value-integers.js';

/** A score in a packed sorted set: the shortest text, which the writers make an integer of where it is one. */
const SCORE_ROOM = 32;

/**
 * A sorted set: a listpack (17) or, before 7.0, a ziplist (12), in order of the scores; or plain with scores of 8 bytes (5), before 4.0 as
 * text (3).
 */
export class ZsetWriter implements ValueWriter {
  readonly wantsStoredLarge = true;
  private readonly members = new Small();
  private readonly scores = new Small();
  private isSmall = true;
  private sorts = true;
  private count = 0;
  private readonly shortest = new Element();
  /** What it is where it is not packed. */
  private readonly plainType: TypeRow;

  constructor(private readonly encoding: Encoding) {
    this.plainType = encoding.choose('ZSET_2', 'ZSET');
    this.shortest.bytes = new Uint8Array(SCORE_ROOM);
  }

  open(source?: TypeRow): void {
    this.members.begin();
    this.scores.begin();
    this.isSmall = source === undefined || source.form === 'listpack';
    this.sorts = source === undefined;
    this.count = 0;
  }

  scored(member: Element, score: Element): void {
    const { encoding } = this;
    this.count++;
    if (this.isSmall && isShort(member) && this.members.count < PACKED_ITEMS) {
      this.members.add(encoding.plain(member));
      this.scores.add(encoding.plain(score));
      return;
    }
    this.spread();
    if (member.kind !== LARGE) encoding.body.string(member);
    this.plain(score);
  }

  private plain(score: Element): void {
    addScore(this.encoding.body.out, this.plainType, scoreOf(score));
  }

  private spread(): void {
    if (!this.isSmall) return;
    this.isSmall = false;
    const { members, scores } = this;
    for (let i = 0; i < members.count; i++) {
      addString(this.encoding.body.out, members.at(i));
      this.plain(scores.at(i));
    }
  }

  largeBegin(): void {
    this.spread();
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.encoding.body.bytes(bytes, start, end);
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.isSmall) return this.packed();
    addLength(head, this.count);
    return this.plainType;
  }

  private packed(): TypeRow {
    const { encoding, members, scores } = this;
    const type = encoding.choose('ZSET_LISTPACK', 'ZSET_ZIPLIST');
    const writer = type.name === 'ZSET_LISTPACK' ? encoding.listpack : encoding.ziplist;
    writer.begin();
    for (const i of this.order()) {
      writer.add(members.at(i));
      writer.add(this.scoreText(scores.at(i)));
    }
    encoding.body.packed(writer.finish());
    return type;
  }

  /** By score, then by the bytes of the member, as commands find them; as they came, where they stood in such an order. */
  private order(): readonly number[] {
    const { members } = this;
    const order = Array.from({ length: members.count }, (_, i) => i);
    if (!this.sorts) return order;
    const scores = order.map((i) => scoreOf(this.scores.at(i)));
    return order.sort((a, b) =>
      scores[a] < scores[b] ? -1 : scores[a] > scores[b] ? 1 : Buffer.compare(viewOf(members.at(a)), viewOf(members.at(b))),
    );
  }

  private scoreText(element: Element): Element {
    if (element.kind !== DOUBLE) return element;
    const { shortest } = this;
    const { num: score } = element;
    const text = Object.is(score, -0) ? '-0' : score === Infinity ? 'inf' : score === -Infinity ? '-inf' : String(score);
    shortest.end = writeAscii(text, shortest.bytes, 0);
    return shortest;
  }
}

function viewOf({ bytes, end, start }: Element): Uint8Array {
  return bytes.subarray(start, end);
}
