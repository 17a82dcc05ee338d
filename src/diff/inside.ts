import { formatText } from '../bytes/text.js';
import type { RedisType } from '../rdb/types.js';
import type { ArrayValue, HashField, StreamGroup, StreamValue, Values, ZsetMember } from '../values/js-values.js';

/** A string of a value in the text form; of a long one, how it begins, and all of its bytes counted. */
export type ShownText = string | { readonly start: string; readonly bytes: number };

/** The first of several, and how many more there are. */
export interface Some<T> {
  readonly first: readonly T[];
  readonly more: number;
}

/** A part of a string around the first byte that differs. */
export interface Window {
  /** Bytes of the whole string. */
  readonly length: number;
  /** Where `text` begins. */
  readonly from: number;
  readonly text: string;
}

export type ShownScore = number | 'inf' | '-inf' | 'nan';

export interface ShownField {
  readonly value: ShownText;
  /** Unix milliseconds. */
  readonly expireAt?: number | undefined;
}

export interface Digested {
  /** Of the value as that side stores it. */
  readonly bytes: number;
  /** Equal for equal values, whatever their encoding, in all runs: 128 bits in hexadecimal. */
  readonly digest: string;
}

interface OnlyOn<T> {
  readonly onlySource: Some<T>;
  readonly onlyTarget: Some<T>;
}

interface Sides<T> {
  readonly source: T;
  readonly target: T;
}

/** What differs inside a value that both sides have. */
export type Inside =
  | ({ readonly is: 'string'; readonly at: number } & Sides<Window>)
  | ({ readonly is: 'list'; readonly at: number } & Sides<{ readonly length: number; readonly element?: ShownText | undefined }>)
  | ({ readonly is: 'set' } & OnlyOn<ShownText>)
  /** Fields of a hash; of an array, its indexes. */
  | ({ readonly is: 'hash'; readonly other: Some<{ readonly field: ShownText } & Sides<ShownField>> } & OnlyOn<ShownText>)
  | ({
      readonly is: 'zset';
      readonly other: Some<{ readonly member: ShownText } & Sides<ShownScore>>;
    } & OnlyOn<{ readonly member: ShownText; readonly score: ShownScore }>)
  /** Entries by ID, and what else of the stream differs: `lastId`, `groups`, … */
  | ({ readonly is: 'stream'; readonly other: Some<string>; readonly parts: readonly string[] } & OnlyOn<string>)
  /** A value over 1 MiB, or of a type that is not looked into. */
  | ({ readonly is: 'large' } & Sides<Digested>)
  /** What has changed since the keys were compared. */
  | { readonly is: 'same' }
  | { readonly is: 'gone'; readonly side: 'source' | 'target' }
  | ({ readonly is: 'type' } & Sides<RedisType>);

/** A value with its type. */
export type TypedValue = { [Type in RedisType]: { readonly type: Type; readonly value: Values<Buffer>[Type] } }[RedisType];

/** Listed of each kind. */
const MOST_LISTED = 20;
/** Bytes of a string that is shown whole. */
const MOST_TEXT = 200;
/** Bytes of a window before and after the first byte that differs. */
const AROUND = 24;

/**
 * What differs between two values of the same type; undefined for types that are not looked into. `full`: what is pending, consumers
 * and counters of streams count, too.
 */
export function insideOf(a: TypedValue, b: TypedValue, full: boolean): Inside | undefined {
  if (a.type === 'string' && b.type === 'string') return ofStrings(a.value, b.value);
  if (a.type === 'list' && b.type === 'list') return ofLists(a.value, b.value);
  if (a.type === 'set' && b.type === 'set') return ofSets(a.value, b.value);
  if (a.type === 'hash' && b.type === 'hash') return ofHashes(a.value, b.value);
  if (a.type === 'zset' && b.type === 'zset') return ofZsets(a.value, b.value);
  if (a.type === 'stream' && b.type === 'stream') return ofStreams(a.value, b.value, full);
  if (a.type === 'array' && b.type === 'array') return ofHashes(fieldsOf(a.value), fieldsOf(b.value));
  return undefined;
}

const SAME: Inside = { is: 'same' };

function ofStrings(a: Buffer, b: Buffer): Inside {
  const shorter = Math.min(a.length, b.length);
  let at = 0;
  while (at < shorter && a[at] === b[at]) at++;
  return at === a.length && at === b.length ? SAME : { is: 'string', at, source: windowOf(a, at), target: windowOf(b, at) };
}

function windowOf(bytes: Buffer, at: number): Window {
  const from = characterFrom(bytes, Math.max(0, at - AROUND));
  const end = Math.min(bytes.length, at + AROUND);
  return { length: bytes.length, from, text: formatText(bytes, from, end === bytes.length ? end : characterFrom(bytes, end)) };
}

/** UTF-8 characters have up to three bytes that go on (10xxxxxx). */
const LONGEST_REST = 3;
const goesOn = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** The end of the character that a byte belongs to, if it is not its first one; bytes that are no UTF-8 are left as they are. */
function characterFrom(bytes: Buffer, at: number): number {
  for (let i = at; i <= at + LONGEST_REST; i++) if (i === bytes.length || !goesOn(bytes[i])) return i;
  return at;
}

const shown = (bytes: Buffer): ShownText =>
  bytes.length <= MOST_TEXT ? formatText(bytes) : { start: formatText(bytes, 0, characterFrom(bytes, MOST_TEXT)), bytes: bytes.length };

function some<T, U>(all: readonly T[], show: (one: T) => U): Some<U> {
  return { first: all.slice(0, MOST_LISTED).map(show), more: Math.max(0, all.length - MOST_LISTED) };
}

const keyOf = (bytes: Buffer): string => bytes.toString('latin1');

function ofLists(a: readonly Buffer[], b: readonly Buffer[]): Inside {
  const shorter = Math.min(a.length, b.length);
  let at = 0;
  while (at < shorter && a[at].equals(b[at])) at++;
  if (at === a.length && at === b.length) return SAME;
  const side = (list: readonly Buffer[]): { length: number; element?: ShownText } => ({
    length: list.length,
    ...(at < list.length ? { element: shown(list[at]) } : {}),
  });
  return { is: 'list', at, source: side(a), target: side(b) };
}

/** Members by name: those of one side only, and those of both that are not the same. */
function split<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
  same: (a: T, b: T) => boolean,
): { a: T[]; b: T[]; other: [T, T][] } {
  const other: [T, T][] = [];
  const onlyA: T[] = [];
  for (const [name, one] of a) {
    const twin = b.get(name);
    if (twin === undefined) onlyA.push(one);
    else if (!same(one, twin)) other.push([one, twin]);
  }
  return { a: onlyA, b: [...b].flatMap(([name, one]) => (a.has(name) ? [] : [one])), other };
}

function ofSets(a: readonly Buffer[], b: readonly Buffer[]): Inside {
  const named = (members: readonly Buffer[]): Map<string, Buffer> => new Map(members.map((member) => [keyOf(member), member]));
  const found = split(named(a), named(b), () => true);
  if (found.a.length + found.b.length === 0) return SAME;
  return { is: 'set', onlySource: some(found.a, shown), onlyTarget: some(found.b, shown) };
}

function ofHashes(a: readonly HashField<Buffer>[], b: readonly HashField<Buffer>[]): Inside {
  const named = (fields: readonly HashField<Buffer>[]): Map<string, HashField<Buffer>> =>
    new Map(fields.map((field) => [keyOf(field.field), field]));
  const found = split(named(a), named(b), (one, twin) => one.value.equals(twin.value) && one.expireAt === twin.expireAt);
  if (found.a.length + found.b.length + found.other.length === 0) return SAME;
  const name = ({ field }: HashField<Buffer>): ShownText => shown(field);
  const side = ({ expireAt, value }: HashField<Buffer>): ShownField => ({ value: shown(value), expireAt });
  return {
    is: 'hash',
    onlySource: some(found.a, name),
    onlyTarget: some(found.b, name),
    other: some(found.other, ([one, twin]) => ({ field: name(one), source: side(one), target: side(twin) })),
  };
}

const fieldsOf = ({ elements }: ArrayValue<Buffer>): HashField<Buffer>[] =>
  elements.map(({ index, value }) => ({ field: Buffer.from(`${index}`), value }));

function ofZsets(a: readonly ZsetMember<Buffer>[], b: readonly ZsetMember<Buffer>[]): Inside {
  const named = (members: readonly ZsetMember<Buffer>[]): Map<string, ZsetMember<Buffer>> =>
    new Map(members.map((member) => [keyOf(member.member), member]));
  const sameScore = (x: number, y: number): boolean => x === y || (Number.isNaN(x) && Number.isNaN(y));
  const found = split(named(a), named(b), (one, twin) => sameScore(one.score, twin.score));
  if (found.a.length + found.b.length + found.other.length === 0) return SAME;
  const whole = ({ member, score }: ZsetMember<Buffer>): { member: ShownText; score: ShownScore } => ({
    member: shown(member),
    score: scoreOf(score),
  });
  return {
    is: 'zset',
    onlySource: some(found.a, whole),
    onlyTarget: some(found.b, whole),
    other: some(found.other, ([one, twin]) => ({ member: shown(one.member), source: scoreOf(one.score), target: scoreOf(twin.score) })),
  };
}

/** JSON has no other numbers. */
function scoreOf(score: number): ShownScore {
  if (Number.isFinite(score)) return score;
  return Number.isNaN(score) ? 'nan' : score > 0 ? 'inf' : '-inf';
}

type Stream = StreamValue<Buffer>;

function ofStreams(a: Stream, b: Stream, full: boolean): Inside {
  const named = ({ entries }: Stream): Map<string, Stream['entries'][number]> => new Map(entries.map((entry) => [entry.id, entry]));
  const found = split(named(a), named(b), (one, twin) => areSame(one, twin));
  const parts = PARTS.filter((part) => (full || !ONLY_FULL.has(part)) && !haveSamePart(a, b, part, full));
  if (found.a.length + found.b.length + found.other.length + parts.length === 0) return SAME;
  const id = (entry: { readonly id: string }): string => entry.id;
  return {
    is: 'stream',
    onlySource: some(found.a, id),
    onlyTarget: some(found.b, id),
    other: some(found.other, ([one]) => one.id),
    parts,
  };
}

const PARTS = ['length', 'lastId', 'firstId', 'maxDeletedId', 'entriesAdded', 'groups', 'idempotence'] as const;
const ONLY_FULL: ReadonlySet<string> = new Set(['firstId', 'maxDeletedId', 'entriesAdded', 'idempotence']);

function haveSamePart(a: Stream, b: Stream, part: (typeof PARTS)[number], full: boolean): boolean {
  if (part === 'groups') {
    const counted = full && a.entriesAdded !== undefined && b.entriesAdded !== undefined;
    return areSame(groupsOf(a, full, counted), groupsOf(b, full, counted));
  }
  const [one, twin] = [a[part], b[part]];
  return one === undefined || twin === undefined || areSame(one, twin); // an older server does not know it
}

/** What counts of groups, which have no order; times at which consumers were seen never do. */
function groupsOf({ groups }: Stream, full: boolean, counted: boolean): object[] {
  const sorted = [...groups].sort((a, b) => Buffer.compare(a.name, b.name));
  const consumers = (group: StreamGroup<Buffer>): Buffer[] => group.consumers.map(({ name }) => name).sort((a, b) => Buffer.compare(a, b));
  return sorted.map((group) => ({
    ...{ name: group.name, lastId: group.lastId },
    ...(full ? { pending: group.pending, consumers: consumers(group) } : {}),
    ...(counted ? { entriesRead: group.entriesRead } : {}),
  }));
}

/** Plain data. */
const areSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
