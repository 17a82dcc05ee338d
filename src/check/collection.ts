import type { ErrorCode } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import { BYTES, DOUBLE, Element, INT, int32, uint32 } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import { Scratch } from '../rdb/string.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { Duplicates } from '../values/duplicates.js';
import type { Body, StringCheck, Strings } from './body.js';
import type { Findings } from './findings.js';

/** What the elements of a collection are, in turn. */
export type Role = 'item' | 'name' | 'value' | 'score' | 'expiry';

/** Greatest expiry of a hash field (redis 7.4 ebuckets.h, EB_EXPIRE_TIME_MAX). */
export const GREATEST_EXPIRY = 0xffff_ffff_ffff;
const SHOWN = 40;

const CODES: Readonly<Partial<Record<RedisType, ErrorCode>>> = { zset: 'BAD_ZSET', hash: 'BAD_HASH' };

/** What is checked of the elements of a collection, whatever its encoding. */
export class Collection {
  private readonly duplicates = new Duplicates();
  private readonly scratch = new Scratch();
  private roles: readonly Role[] = [];
  private phase = 0;
  private name = '';
  private code: ErrorCode = 'DUPLICATE';
  private lastExpiry = 0;
  private ordered = false;
  /** Items, members or pairs so far. */
  count = 0;

  constructor(
    private readonly findings: Findings,
    private readonly deep: boolean,
  ) {}

  /** `ordered`: fields with expiries come first, in their order (redis 7.4 t_hash.c, listpackExAddNew). */
  begin(type: RedisType, roles: readonly Role[], ordered = false): void {
    this.roles = roles;
    this.code = CODES[type] ?? 'DUPLICATE';
    this.name = type === 'hash' ? 'field' : 'member';
    this.phase = this.count = this.lastExpiry = 0;
    this.ordered = ordered;
    if (this.deep) this.duplicates.begin();
  }

  private get part(): string {
    return `${this.name} ${this.count}`;
  }

  /** What the next element is. */
  get role(): Role {
    return this.roles[this.phase];
  }

  /** Whether the bytes of the next element matter. */
  get looks(): boolean {
    const role = this.roles[this.phase];
    return role === 'score' || role === 'expiry' || (role === 'name' && this.deep);
  }

  /** An element; LZF is decompressed by then. */
  add(element: Element, pos: number): void {
    const role = this.roles[this.phase];
    if (role === 'name') {
      if (this.deep) this.nameOf(element, pos);
    } else if (role === 'score') {
      this.score(element, pos);
    } else if (role === 'expiry') {
      this.expiry(element, pos);
    }
    this.pass();
  }

  /** Goes to the next element. */
  pass(): void {
    if (++this.phase < this.roles.length) return;
    this.phase = 0;
    this.count++;
  }

  private nameOf(element: Element, pos: number): void {
    this.scratch.text(element);
    const { bytes, end, start } = element;
    if (this.duplicates.isNew(bytes, start, end, this.count)) return;
    const shown = Math.min(end, start + SHOWN);
    this.findings.add(
      'DUPLICATE',
      pos,
      `every ${this.name} once`,
      `${JSON.stringify(formatText(bytes, start, shown))}${shown < end ? '…' : ''} again`,
      this.part,
    );
  }

  /** A large element, in pieces: beginLarge, addLarge…, endLarge. */
  beginLarge(): void {
    if (this.roles[this.phase] === 'name' && this.deep) this.duplicates.beginLarge();
  }

  addLarge(bytes: Uint8Array, start: number, end: number): void {
    if (this.roles[this.phase] === 'name' && this.deep) this.duplicates.addLarge(bytes, start, end);
  }

  endLarge(pos: number): void {
    const isName = this.roles[this.phase] === 'name' && this.deep;
    if (isName && !this.duplicates.isNewLarge(this.count)) {
      this.findings.add('DUPLICATE', pos, `every ${this.name} once`, 'a large one again', this.part);
    }
    this.pass();
  }

  private score(element: Element, pos: number): void {
    if (element.kind === DOUBLE) {
      if (Number.isNaN(element.num)) this.findings.add('BAD_ZSET', pos, 'a score', 'nan', this.part);
      return;
    }
    if (element.kind !== BYTES || isNumber(element)) return;
    this.findings.add(
      'BAD_ZSET',
      pos,
      'a score',
      formatText(element.bytes, element.start, Math.min(element.end, element.start + SHOWN)),
      this.part,
    );
  }

  /** The expiry of a field as a listpack has it: 0 for none. */
  private expiry(element: Element, pos: number): void {
    if (!toInteger(element) || element.kind !== INT || element.num < 0 || element.num > GREATEST_EXPIRY) {
      this.findings.add('BAD_HASH', pos, 'a field expiry in Unix milliseconds below 2^48, or 0', 'something else', this.part);
      return;
    }
    const ms = element.num;
    if (this.ordered && this.count > 0 && (this.lastExpiry === 0 ? ms > 0 : ms > 0 && ms < this.lastExpiry)) {
      this.findings.add(
        'BAD_HASH',
        pos,
        'fields in the order of their expiries, those without at the end',
        `${ms} after ${this.lastExpiry}`,
        this.part,
      );
    }
    this.lastExpiry = ms;
  }

  /** The end of the value, at `pos`. `complete`: all of its elements were seen. */
  end(pos: number, complete = true): void {
    const { code, findings, name } = this;
    if (complete && this.phase !== 0) {
      findings.add(code, pos, name === 'field' ? 'a value for every field' : 'a score for every member', 'one fewer', this.part);
    } else if (complete && this.count === 0) {
      findings.add('EMPTY_VALUE', pos, 'one element or more', 'none');
    }
    if (this.deep) {
      this.duplicates.end((index) => findings.add('DUPLICATE', pos, `every ${name} once`, 'one that comes twice', `${name} ${index}`));
    }
  }
}

/** Whether servers read a number from the text (strtod: what follows the number is passed over), and it is no NaN. */
function isNumber({ bytes, end, start }: Element): boolean {
  let at = start;
  if (bytes[at] === 0x2d || bytes[at] === 0x2b) at++;
  if (at >= end) return false;
  const byte = bytes[at];
  if (byte >= 0x30 && byte <= 0x39) return true;
  if (byte === 0x2e) return at + 1 < end && bytes[at + 1] >= 0x30 && bytes[at + 1] <= 0x39;
  return /^inf/i.test(String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 3))));
}

/** How an element of a collection with a count is read. */
type Read = 'string' | 'ascii' | 'double' | 'length' | 'milliseconds';

interface Items {
  readonly reads: readonly Read[];
  readonly roles: readonly Role[];
  /** Begins with the least expiry of its fields, which the others count from. */
  readonly leastExpiry?: boolean;
}

const ITEMS: Readonly<Record<string, Items>> = {
  LIST: { reads: ['string'], roles: ['item'] },
  SET: { reads: ['string'], roles: ['name'] },
  ZSET: { reads: ['string', 'ascii'], roles: ['name', 'score'] },
  ZSET_2: { reads: ['string', 'double'], roles: ['name', 'score'] },
  HASH: { reads: ['string', 'string'], roles: ['name', 'value'] },
  HASH_2: { reads: ['string', 'string', 'milliseconds'], roles: ['name', 'value', 'value'] },
  HASH_METADATA_PRE_GA: { reads: ['length', 'string', 'string'], roles: ['value', 'name', 'value'] },
  HASH_METADATA: { reads: ['length', 'string', 'string'], roles: ['value', 'name', 'value'], leastExpiry: true },
};

const NO_LEAST = GREATEST_EXPIRY + 1;
const float = new DataView(new ArrayBuffer(8));

/** Collections that are a count and elements (redis 7.4 rdb.c, rdbLoadObject; valkey 9 for HASH_2). */
export class ItemsBody implements Body {
  readonly holdsStrings = false;
  private items: Items = ITEMS.LIST;
  private phase = 0;
  private begun = false;
  private least = 0;
  private at = 0;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly number = new Element();

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
    private readonly collection: Collection,
  ) {}

  begin(type: TypeRow): void {
    this.items = ITEMS[type.name];
    this.phase = this.least = this.at = 0;
    this.begun = false;
    this.collection.begin(type.redisType, this.items.roles);
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.begun) pos = this.head(bytes, start, end);
    this.begun = true;
    const { reads } = this.items;
    while (pos < end) {
      pos = this.element(reads[this.phase], bytes, pos, end);
      if (++this.phase === reads.length) this.phase = 0;
    }
    this.at = end;
  }

  private head(bytes: Uint8Array, start: number, end: number): number {
    let pos = start;
    if (this.items.leastExpiry === true) {
      this.least = uint32(bytes, pos + 4) * 2 ** 32 + uint32(bytes, pos);
      if (this.least > NO_LEAST) this.findings.add('BAD_HASH', pos, 'a least field expiry of up to 2^48', `${this.least}`);
      pos += 8;
    }
    return readLength(bytes, pos, end, this.length);
  }

  private element(read: Read, bytes: Uint8Array, pos: number, end: number): number {
    const { collection, strings } = this;
    switch (read) {
      case 'string': {
        const next = strings.next(bytes, pos, end, collection.count);
        if (strings.whole) collection.add(strings.element, pos);
        else collection.pass();
        return next;
      }
      case 'ascii':
        return this.ascii(bytes, pos);
      case 'double':
        this.number.kind = DOUBLE;
        float.setInt32(0, int32(bytes, pos), true);
        float.setInt32(4, int32(bytes, pos + 4), true);
        this.number.num = float.getFloat64(0, true);
        collection.add(this.number, pos);
        return pos + 8;
      case 'length':
        return this.expiry(bytes, pos, end);
      default:
        if (int32(bytes, pos + 4) < 0 && (int32(bytes, pos + 4) !== -1 || int32(bytes, pos) !== -1)) {
          this.findings.add(
            'BAD_HASH',
            pos,
            'a field expiry in Unix milliseconds, or -1',
            'a number below that',
            `field ${collection.count}`,
          );
        }
        collection.pass();
        return pos + 8;
    }
  }

  /** A length byte and ASCII text, or 253 nan, 254 inf, 255 -inf (redis rdb.c, rdbLoadDoubleValue). */
  private ascii(bytes: Uint8Array, pos: number): number {
    const { number } = this;
    const size = bytes[pos];
    if (size >= 253) {
      number.kind = DOUBLE;
      number.num = size === 253 ? NaN : Infinity;
      this.collection.add(number, pos);
      return pos + 1;
    }
    number.kind = BYTES;
    number.bytes = bytes;
    number.start = pos + 1;
    number.end = pos + 1 + size;
    this.collection.add(number, pos);
    return pos + 1 + size;
  }

  /** 1 + milliseconds after the least one, or before 7.4 was released: the milliseconds; 0 for none. */
  private expiry(bytes: Uint8Array, pos: number, end: number): number {
    const { collection, items, length } = this;
    const next = readLength(bytes, pos, end, length);
    const ms = items.leastExpiry === true && length.value > 0 ? length.value + this.least - 1 : length.value;
    if (ms > GREATEST_EXPIRY) {
      this.findings.add('BAD_HASH', pos, 'a field expiry in Unix milliseconds below 2^48', lengthText(length), `field ${collection.count}`);
    }
    collection.pass();
    return next;
  }

  string(): StringCheck {
    const { collection, findings, items, phase } = this;
    this.phase = (phase + 1) % items.reads.length;
    collection.beginLarge();
    return {
      bytes: (bytes, start, end) => collection.addLarge(bytes, start, end),
      end: () => {
        findings.leave();
        collection.endLarge(this.at);
      },
    };
  }

  end(): void {
    this.collection.end(this.at);
  }
}
