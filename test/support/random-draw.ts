import { Crc64 } from '../../src/bytes/crc64.js';
import { keySlot } from '../../src/library/helpers.js';
import { randomFrom } from './fault-proxy.js';
import { bytes, le, len, noise, str } from './support.js';

/** An argument of a command; numbers and strings are sent as text. */
export type Word = string | number | Buffer;

/**
 * What a key holds as long as nobody uses it for something else. A `fed` key is one that other clients block on. `lex` is never used for
 * anything else and all its scores are 0: where scores differ, BYLEX follows the random levels of the skiplist, and a replica removes or
 * stores other members.
 */
export type Kind = Wild | Tame;
type Wild =
  | 'text'
  | 'number'
  | 'float'
  | 'bits'
  | 'hll'
  | 'list'
  | 'fedList'
  | 'set'
  | 'integers'
  | 'hash'
  | 'zset'
  | 'fedZset'
  | 'geo'
  | 'stream'
  | 'clock'
  | 'vector';
type Tame = 'lex';

/** Keys of each kind, for each tag and database. */
const WILD: Readonly<Record<Wild, number>> = {
  ...{ text: 24, number: 12, float: 4, bits: 8, hll: 6, list: 16, fedList: 3, set: 16, integers: 4, hash: 16 },
  ...{ zset: 16, fedZset: 3, geo: 6, stream: 6, clock: 3, vector: 3 },
};
const COUNTS: Readonly<Record<Kind, number>> = { ...WILD, lex: 4 };
const KINDS = Object.keys(COUNTS) as Kind[];
const WILD_KINDS = Object.keys(WILD) as Wild[];

/** IDs of a stream that are remembered, so that commands on entries find some. */
const REMEMBERED = 12;

/** A fifth of the members, fields and elements is binary, and a tenth is longer than what a listpack takes. */
const MEMBERS = 180;
/** The first of them come as often as all others, so that commands on members find some. */
const FREQUENT = 16;

const DAY = 86_400_000;
const MEGABYTE = 1 << 20;
const NOISE = Buffer.from(noise(MEGABYTE + 4096));
const TEXT = Buffer.from(NOISE.toString('base64').replaceAll(/[+/=]/g, ' '), 'latin1');

export interface DrawOptions {
  readonly seed: number;
  /** Databases to write to. */
  readonly databases: readonly number[];
  /** Hash tags: all keys of a unit have the same one. An empty one is none. */
  readonly tags: readonly string[];
  /** What all keys begin with, before their tag. */
  readonly prefix: string;
  /** One in this number of values has 1 MiB. */
  readonly hugeEvery: number;
  /** Whether commands may name another database. */
  readonly across: boolean;
}

/** Chance, and what it has made so far: arguments of commands, the same for the same seed but for times. */
export class Draw {
  readonly random: () => number;
  private readonly keys: Readonly<Record<Kind, Buffer[]>>[];
  /** By tag, database and key. */
  private readonly remembered = new Map<number, string[]>();
  private readonly members: Buffer[];
  private lastId = 0;
  private entries: string[] = [];
  private tag = 0;
  database = 0;

  constructor(readonly options: DrawOptions) {
    this.random = randomFrom(options.seed);
    this.keys = options.tags.map((tag) => {
      const start = `${options.prefix}${tag === '' ? '' : `{${tag}}`}`;
      return Object.fromEntries(
        KINDS.map((kind) => [kind, Array.from({ length: COUNTS[kind] }, (_, i) => keyOf(start, kind, i))]),
      ) as Record<Kind, Buffer[]>;
    });
    this.members = Array.from({ length: MEMBERS }, (_, i) => memberOf(i));
  }

  /** Begins a unit: all its keys have one tag. */
  begin(): void {
    this.tag = this.below(this.keys.length);
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  maybe(chance: number): boolean {
    return this.random() < chance;
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** The words, or nothing. */
  perhaps(chance: number, ...words: Word[]): Word[] {
    return this.maybe(chance) ? words : [];
  }

  some<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: this.between(least, most) }, make);
  }

  /** A key of this kind; rarely one of another, unless it is never anything else. */
  key(kind: Kind): Buffer {
    const drawn = Object.hasOwn(WILD, kind) && this.maybe(0.02) ? this.one(WILD_KINDS) : kind;
    return this.one(this.keys[this.tag][drawn]);
  }

  /** For commands that a value of any kind survives as it is, or does not survive. */
  anyKey(): Buffer {
    return this.one(this.keys[this.tag][this.one(KINDS)]);
  }

  /** Two keys of one kind. */
  pair(kind: Kind = this.one(KINDS)): [Buffer, Buffer] {
    return [this.key(kind), this.key(kind)];
  }

  keysOf(kind: Kind, least: number, most: number): Buffer[] {
    return this.some(least, most, () => this.key(kind));
  }

  list(): Buffer {
    return this.key(this.maybe(0.05) ? 'fedList' : 'list');
  }

  zset(): Buffer {
    return this.key(this.maybe(0.05) ? 'fedZset' : 'zset');
  }

  /** A stream with IDs of ours; `entry` gives those of this one. */
  stream(): Buffer {
    const index = this.below(COUNTS.stream);
    const id = (this.tag * 16_384 + this.database) * COUNTS.stream + index;
    this.entries = this.remembered.get(id) ?? [];
    this.remembered.set(id, this.entries);
    return this.keys[this.tag].stream[index];
  }

  /** An ID beyond all others; it is remembered for the stream that was drawn last. */
  newEntry(): string {
    const id = `${++this.lastId}-${this.below(3)}`;
    if (this.entries.push(id) > REMEMBERED) this.entries.shift();
    return id;
  }

  /** An ID that the stream that was drawn last probably has. */
  entry(): string {
    return this.entries.length === 0 ? '1-0' : this.one(this.entries);
  }

  /** At or beyond all entries. */
  topEntry(): string {
    return `${this.lastId}-9`;
  }

  /** That of all keys of this unit. */
  slot(): number {
    return keySlot(this.options.tags[this.tag]);
  }

  otherDatabase(): number {
    return this.one(this.options.databases);
  }

  member(): Buffer {
    return this.members[this.below(this.maybe(0.5) ? FREQUENT : MEMBERS)];
  }

  membersOf(least: number, most: number): Buffer[] {
    return this.some(least, most, () => this.member());
  }

  value(): Word {
    if (this.maybe(1 / this.options.hugeEvery)) return slice(NOISE, this.below(4096), MEGABYTE);
    const form = this.random();
    if (form < 0.2) return this.between(-100_000, 100_000);
    if (form < 0.6) return slice(TEXT, this.below(MEGABYTE), this.below(40));
    if (form < 0.9) return slice(NOISE, this.below(MEGABYTE), this.below(100));
    return slice(this.maybe(0.5) ? TEXT : NOISE, this.below(MEGABYTE), this.between(100, 2000));
  }

  integer(): number {
    return this.maybe(0.02) ? this.between(-(2 ** 52), 2 ** 52) : this.between(-1000, 1000);
  }

  decimal(): string {
    return (this.between(-100_000, 100_000) / 64).toString();
  }

  score(): Word {
    const form = this.random();
    if (form < 0.6) return this.between(-50, 50);
    // without -0, which RESTORE of a plain sorted set turns into 0 (redis 7.0 t_zset.c, zzlInsertAt)
    return form < 0.98 ? this.decimal() : this.one(['inf', '-inf', '1e300']);
  }

  /** In Europe, so that circles have something in them. */
  place(): [string, string] {
    return [(this.random() * 20 - 5).toFixed(6), (40 + this.random() * 15).toFixed(6)];
  }

  /** Milliseconds until something expires: very soon, in some time, or already. */
  life(): number {
    const form = this.random();
    if (form < 0.25) return this.between(1, 60);
    return form < 0.97 ? this.between(60_000, DAY) : -this.between(1, 5000);
  }

  /** Whole seconds, which are not that short. */
  seconds(): number {
    return this.maybe(0.1) ? 1 : Math.ceil(this.life() / 1000);
  }

  /** EX, PX, EXAT or PXAT with its argument. */
  expiry(): Word[] {
    switch (this.below(4)) {
      case 0:
        return ['EX', this.seconds()];
      case 1:
        return ['PX', this.life()];
      case 2:
        return ['EXAT', Math.floor(Date.now() / 1000) + this.seconds()];
      default:
        return ['PXAT', Date.now() + this.life()];
    }
  }

  /** FIELDS, how many, and the fields. */
  fields(...more: (() => Word)[]): Word[] {
    const fields = this.membersOf(1, 3);
    return ['FIELDS', fields.length, ...fields.flatMap((field) => [field, ...more.map((make) => make())])];
  }

  /** A payload of DUMP in a form that all servers read, and what its key should hold. */
  payload(): [Kind, Buffer] {
    const member = (): Uint8Array => str(this.member());
    switch (this.below(4)) {
      case 0:
        return ['text', sealed(6, 0, str(slice(NOISE, this.below(MEGABYTE), this.below(100))))];
      case 1:
        return ['list', sealed(6, 1, len(2), member(), member())];
      case 2:
        return ['set', sealed(6, 2, len(1), member())];
      default:
        return ['hash', sealed(6, 4, len(1), member(), member())];
    }
  }
}

/** With the version of the format, and its checksum. */
export function sealed(version: number, type: number, ...parts: (number | Uint8Array)[]): Buffer {
  const body = bytes(type, ...parts, le(version, 2));
  const crc = new Crc64().update(body);
  return Buffer.from(bytes(body, le(crc.lo, 4), le(crc.hi, 4)));
}

const slice = (pool: Buffer, from: number, size: number): Buffer => pool.subarray(from, from + size);

/** Every fourth key holds bytes that are no text, and line ends. */
function keyOf(start: string, kind: Kind, i: number): Buffer {
  const name = Buffer.from(`${start}${kind}:${i}`);
  return i % 4 === 1 ? Buffer.concat([name, Buffer.from([0xff, 0x00, 0x0d, 0x0a, 0x2a, 0x80 + i])]) : name;
}

function memberOf(i: number): Buffer {
  if (i % 5 === 1) return Buffer.concat([Buffer.from([0x00, 0xfe, i]), slice(NOISE, i * 64, i % 40)]);
  if (i % 10 === 2) return Buffer.from(`a member that is longer than the packed forms of small collections take:${i}`);
  return Buffer.from(i % 2 === 0 ? `${i * 7}` : `member:${i}`);
}
