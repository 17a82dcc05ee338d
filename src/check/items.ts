import { BYTES, DOUBLE, Element, int32, uint32 } from '../encodings/element.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body, StringCheck } from './body.js';
import { type Collection, GREATEST_EXPIRY, type Role } from './collection.js';
import type { Findings } from './findings.js';
import type { Strings } from './strings.js';

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

