import { ByteBuilder } from '../../bytes/builder.js';
import { BYTES, DOUBLE, Element } from '../../encodings/element.js';
import { Spill } from '../../io/spill.js';
import type { TypeRow } from '../../rdb/types.js';
import { ConnectionLost } from '../../redis/errors.js';
import { refusalOf } from '../../redis/refusals.js';
import { Duplicates } from '../../values/duplicates.js';
import type { Target } from '../../values/targets.js';
import { Encoding } from '../../values/types/encoding.js';
import { HashWriter } from '../../values/types/hashes.js';
import { listWriter } from '../../values/types/lists.js';
import { SetWriter } from '../../values/types/sets.js';
import { ZsetWriter } from '../../values/types/zsets.js';
import { type Answer, ErrorAnswer, type ReplyLink, textOf } from '../../redis/reply-link.js';

/** Bytes of a reply that a range should have. */
const RANGE_BYTES = 1 << 18;
/** Elements of a range: at first, and at most. */
const FIRST_RANGE = 32;
const MOST_RANGE = 1000;
/** Bytes of a reply: a range of elements that are large. */
const MOST_REPLY = 1 << 30;
/** How often a value is read that changes meanwhile. */
const ATTEMPTS = 3;

const CHANGED = `it changed each of ${ATTEMPTS} times while it was read in ranges, and is not of one moment`;
const UNWATCHED = 'read in ranges, and it is not known whether it changed meanwhile: WATCH, MULTI or EXEC is refused';

/** A value read in ranges, as it stands in an RDB. */
export interface RangedValue {
  readonly type: TypeRow;
  readonly pieces: Iterable<Uint8Array>;
  /** Why it may have parts of several moments; undefined if it is as it was at one moment. */
  readonly doubt: string | undefined;
}

type Found = Omit<RangedValue, 'doubt'>;

/** Why a value is not read in ranges. */
export class NoRanges extends Error {
  override readonly name = 'NoRanges';

  constructor(readonly reason: string) {
    super(reason);
  }
}

/**
 * Reads large values in ranges, so that no command takes long. WATCH tells whether the value changed meanwhile; then it is read again,
 * up to three times. Elements are put aside (io/spill.ts), since their number comes first in an RDB.
 */
export class RangeReader {
  private readonly encoding: Encoding;
  private readonly duplicates = new Duplicates();
  private readonly element = new Element();
  private readonly second = new Element();
  private range = FIRST_RANGE;
  private knowsFieldExpiries = true;

  constructor(
    private readonly link: ReplyLink,
    target: Target,
  ) {
    this.encoding = new Encoding(target, true);
  }

  /** Undefined if the key is gone. Throws ConnectionLost. */
  async read(key: Uint8Array): Promise<RangedValue | NoRanges | undefined> {
    for (let attempt = 1; ; attempt++) {
      const watched = await this.link.ask('WATCH', key);
      const value = await this.once(key);
      const executed = watched instanceof ErrorAnswer ? watched : await this.transaction();
      if (value === undefined || value instanceof NoRanges) return value;
      if (executed === null && attempt < ATTEMPTS) continue;
      return { ...value, doubt: executed === null ? CHANGED : executed instanceof ErrorAnswer ? UNWATCHED : undefined };
    }
  }

  /** An empty one, which is not executed if a watched key has changed: null. */
  private async transaction(): Promise<Answer> {
    const begun = await this.link.ask('MULTI');
    return begun instanceof ErrorAnswer ? begun : this.link.ask('EXEC');
  }

  /** Frees what was put aside. */
  close(): void {
    this.encoding.body.clear();
    this.duplicates.begin();
  }

  private async once(key: Uint8Array): Promise<Found | NoRanges | undefined> {
    this.encoding.begin();
    this.range = FIRST_RANGE;
    try {
      const type = textOf(await this.asked('TYPE', key));
      switch (type) {
        case 'none':
          return undefined;
        case 'string':
          return await this.string(key);
        case 'list':
          return await this.list(key);
        case 'set':
          return await this.set(key);
        case 'zset':
          return await this.zset(key);
        case 'hash':
          return await this.hash(key);
        default:
          return new NoRanges(`values of type ${type ?? 'unknown'} cannot be read in ranges`);
      }
    } catch (error) {
      if (error instanceof NoRanges) return error;
      throw error;
    }
  }

  /** Throws NoRanges where the command is refused. */
  private async asked(...command: (string | Uint8Array)[]): Promise<Answer> {
    this.link.send(...command);
    const answer = await this.link.answer(MOST_REPLY);
    if (!(answer instanceof ErrorAnswer)) return answer;
    if (refusalOf(answer.text) === 'later') throw new ConnectionLost(answer.text);
    throw new NoRanges(`${String(command[0])}: ${answer.text}`);
  }

  private async items(...command: (string | Uint8Array)[]): Promise<readonly Uint8Array[]> {
    return stringsOf(await this.asked(...command));
  }

  /** After a range of `count` elements. */
  private adapt(items: readonly Uint8Array[]): void {
    const bytes = items.reduce((sum, { length }) => sum + length, 0);
    const mean = Math.max(1, bytes / Math.max(1, items.length));
    this.range = Math.max(1, Math.min(Math.floor(RANGE_BYTES / mean), MOST_RANGE, this.range * 2));
  }

  private text(bytes: Uint8Array, element = this.element): Element {
    element.kind = BYTES;
    element.bytes = bytes;
    element.start = 0;
    element.end = bytes.length;
    return element;
  }

  private async string(key: Uint8Array): Promise<Found | undefined> {
    const spill = new Spill();
    for (;;) {
      const from = spill.size;
      const piece = await this.asked('GETRANGE', key, String(from), String(from + RANGE_BYTES - 1));
      if (!(piece instanceof Uint8Array)) throw new SyntaxError('GETRANGE answers without a string');
      spill.add(piece, 0, piece.length);
      if (piece.length < RANGE_BYTES) break;
    }
    this.encoding.body.spilled(spill);
    return this.value(this.encoding.choose('STRING'), new ByteBuilder());
  }

  private value(type: TypeRow, head: ByteBuilder, pieces?: Iterable<Uint8Array>): Found {
    return { type, pieces: joined(head.view(), pieces ?? this.encoding.body.pieces()) };
  }

  private async list(key: Uint8Array): Promise<Found | undefined> {
    const writer = listWriter(this.encoding);
    writer.open();
    let count = 0;
    for (;;) {
      const items = await this.items('LRANGE', key, String(count), String(count + this.range - 1));
      for (const item of items) writer.item?.(this.text(item));
      count += items.length;
      if (items.length === 0) break;
      this.adapt(items);
    }
    const head = new ByteBuilder();
    return count === 0 ? undefined : this.value(writer.finish(head), head);
  }

  private async zset(key: Uint8Array): Promise<Found | undefined> {
    const writer = new ZsetWriter(this.encoding);
    writer.open();
    this.duplicates.begin();
    const [seen, count] = [{ count: 0 }, { count: 0 }];
    for (;;) {
      const items = await this.items('ZRANGE', key, String(seen.count), String(seen.count + this.range - 1), 'WITHSCORES');
      for (let i = 0; i + 1 < items.length; i += 2) {
        if (!this.isNew(items[i], count)) continue;
        this.second.kind = DOUBLE;
        this.second.num = scoreOf(items[i + 1]);
        writer.scored(this.text(items[i]), this.second);
      }
      seen.count += items.length / 2;
      if (items.length === 0) break;
      this.adapt(items);
    }
    return this.members(count, writer);
  }

  private async set(key: Uint8Array): Promise<Found | undefined> {
    const writer = new SetWriter(this.encoding);
    writer.open();
    this.duplicates.begin();
    const count = { count: 0 };
    for await (const items of this.pages('SSCAN', key)) {
      for (const item of items) if (this.isNew(item, count)) writer.item(this.text(item));
    }
    return this.members(count, writer);
  }

  private async hash(key: Uint8Array): Promise<Found | undefined> {
    const writer = new HashWriter(this.encoding);
    writer.open();
    this.duplicates.begin();
    const count = { count: 0 };
    for await (const items of this.pages('HSCAN', key)) {
      const expiries = await this.fieldExpiries(key, items);
      for (let i = 0; i + 1 < items.length; i += 2) {
        const expiry = expiries?.[i / 2] ?? -1;
        if (expiry === -2 || !this.isNew(items[i], count)) continue; // -2: the field is gone
        writer.pair(this.text(items[i]), this.text(items[i + 1], this.second), Math.max(0, expiry));
      }
    }
    return this.members(count, writer);
  }

  /** The value of these members, once all were read; undefined if there are none. */
  private members({ count }: { readonly count: number }, writer: ZsetWriter | SetWriter | HashWriter): Found | undefined {
    this.noneTwice();
    if (count === 0) return undefined;
    const head = new ByteBuilder();
    const type = writer.finish(head);
    return this.value(type, head, writer instanceof HashWriter ? writer.pieces() : undefined);
  }

  /** Redis 7.4 and Valkey 9.0 have them. */
  private async fieldExpiries(key: Uint8Array, items: readonly Uint8Array[]): Promise<readonly number[] | undefined> {
    if (!this.knowsFieldExpiries || items.length === 0) return undefined;
    const fields = items.filter((_, i) => i % 2 === 0);
    const answer = await this.link.ask('HPEXPIRETIME', key, 'FIELDS', String(fields.length), ...fields);
    if (Array.isArray(answer)) return (answer as readonly Answer[]).map(Number);
    this.knowsFieldExpiries = !(answer instanceof ErrorAnswer);
    return undefined;
  }

  /** The pages of HSCAN and SSCAN. */
  private async *pages(command: string, key: Uint8Array): AsyncGenerator<readonly Uint8Array[], void, void> {
    let cursor = '0';
    do {
      const answer = await this.asked(command, key, cursor, 'COUNT', String(this.range));
      const [next, items] = Array.isArray(answer) ? (answer as readonly Answer[]) : [];
      const text = textOf(next ?? null);
      if (text === undefined || !/^\d+$/.test(text)) throw new SyntaxError(`${command} answers without a cursor`);
      cursor = text;
      const page = stringsOf(items ?? null);
      this.adapt(page);
      yield page;
    } while (cursor !== '0');
  }

  private isNew(member: Uint8Array, seen: { count: number }): boolean {
    if (!this.duplicates.isNew(member, 0, member.length, seen.count)) return false;
    seen.count++;
    return true;
  }

  /** Members beyond the first million are compared at the end only. */
  private noneTwice(): void {
    let again = 0;
    this.duplicates.end(() => again++);
    if (again > 0) throw new NoRanges(`${again} of its elements came twice`);
  }
}

function* joined(head: Uint8Array, pieces: Iterable<Uint8Array>): Generator<Uint8Array, void, void> {
  yield head;
  yield* pieces;
}

function stringsOf(answer: Answer): readonly Uint8Array[] {
  const all: readonly Answer[] = Array.isArray(answer) ? (answer as readonly Answer[]) : [];
  const strings = all.filter((item) => item instanceof Uint8Array);
  if (!Array.isArray(answer) || strings.length < all.length) throw new SyntaxError('a range that is no array of strings');
  return strings;
}

function scoreOf(text: Uint8Array): number {
  const word = Buffer.from(text).toString('latin1');
  const score = /^[+-]?inf$/i.test(word) ? (word.startsWith('-') ? -Infinity : Infinity) : Number(word);
  if (Number.isNaN(score)) throw new SyntaxError(`a score that is no number: ${JSON.stringify(word.slice(0, 40))}`);
  return score;
}
