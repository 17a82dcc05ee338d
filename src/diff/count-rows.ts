import { formatText } from '../bytes/text.js';
import type { KeyCounts } from './key-counts.js';

/** What a number counts. `keys`: all of a side, `expired`: those that are left out everywhere else, on which sides may disagree. */
export type CountGroup = 'keys' | 'expired' | 'database' | 'type' | 'expiry' | 'prefix' | 'slots';

/** Keys of both sides that have something in common. */
export interface CountRow {
  readonly group: CountGroup;
  /** Of a database, or a type in it. */
  readonly db: number | undefined;
  /** A type, a prefix in text form, a master or range of slots; or what is counted, in words. */
  readonly name: string;
  readonly source: number;
  readonly target: number;
}

/** The numbers of one side. */
export interface SideNumbers {
  readonly expired: number;
  /** By database, and there by type. */
  readonly counts: ReadonlyMap<number, Readonly<Partial<Record<string, number>>>>;
  /** Where keys were looked at, not only their types. */
  readonly keyCounts: KeyCounts | undefined;
}

/** Slots that have a name: those of a master, or a range. */
export interface SlotGroup {
  readonly name: string;
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

/** Prefixes with the most keys that get a row, and further ones of which the sides have different numbers of keys. */
const TOP_PREFIXES = 20;
const DIFFERING_PREFIXES = 20;

export const rowDiffers = ({ group, source, target }: CountRow): boolean => group !== 'expired' && source !== target;

/** The numbers of both sides, row by row. */
export function countRows(source: SideNumbers, target: SideNumbers, slots: readonly SlotGroup[]): CountRow[] {
  const [a, b] = [source.counts, target.counts];
  const rows = [row('keys', 'all keys', inAll(a), inAll(b))];
  for (const db of [...new Set([...a.keys(), ...b.keys()])].sort((one, other) => one - other)) {
    const [on, other] = [a.get(db) ?? {}, b.get(db) ?? {}];
    rows.push({ group: 'database', db, name: `db ${db}`, source: inOne(on), target: inOne(other) });
    for (const type of [...new Set([...Object.keys(on), ...Object.keys(other)])].sort()) {
      rows.push({ group: 'type', db, name: type, source: on[type] ?? 0, target: other[type] ?? 0 });
    }
  }
  const expired = row('expired', 'expired, not counted', source.expired, target.expired);
  const [one, two] = [source.keyCounts, target.keyCounts];
  if (one !== undefined && two !== undefined) {
    const [all] = rows;
    rows.push(row('expiry', 'with an expiry', one.withExpiry, two.withExpiry));
    rows.push(row('expiry', 'without an expiry', all.source - one.withExpiry, all.target - two.withExpiry));
    rows.push(expired, ...prefixRows(one, two), ...slotRows(one.slots, two.slots, slots));
  } else if (expired.source > 0 || expired.target > 0) {
    rows.push(expired);
  }
  return rows;
}

const row = (group: CountGroup, name: string, source: number, target: number): CountRow => ({ group, db: undefined, name, source, target });

/**
 * Prefixes of which both numbers are exact: one that a side did not count has no keys there, unless that side has others. Those without a
 * row are in the last one.
 */
function prefixRows(source: KeyCounts, target: KeyCounts): CountRow[] {
  const found = new Map<string, [source: number | undefined, target: number | undefined]>();
  for (const [name, keys] of source.prefixes) found.set(formatText(name), [keys, undefined]);
  for (const [name, keys] of target.prefixes) {
    const text = formatText(name);
    found.set(text, [found.get(text)?.[0], keys]);
  }
  const rows: CountRow[] = [];
  for (const [name, [a, b]] of found) {
    const isExact = (a !== undefined || source.others === 0) && (b !== undefined || target.others === 0);
    if (isExact) rows.push(row('prefix', name, a ?? 0, b ?? 0));
  }
  const most = (one: CountRow): number => Math.max(one.source, one.target);
  rows.sort((one, other) => most(other) - most(one) || (one.name < other.name ? -1 : 1));
  const shown = [...rows.slice(0, TOP_PREFIXES), ...rows.slice(TOP_PREFIXES).filter(rowDiffers).slice(0, DIFFERING_PREFIXES)];
  const all = (side: KeyCounts): number => side.prefixes.reduce((sum, [, keys]) => sum + keys, side.others);
  const rest = row(
    'prefix',
    'other prefixes',
    shown.reduce((sum, one) => sum - one.source, all(source)),
    shown.reduce((sum, one) => sum - one.target, all(target)),
  );
  const without = row('prefix', 'no prefix', source.withoutPrefix, target.withoutPrefix);
  return [...shown, ...[rest, without].filter((one) => one.source > 0 || one.target > 0)];
}

function slotRows(source: Float64Array, target: Float64Array, groups: readonly SlotGroup[]): CountRow[] {
  if (groups.length === 0) return [];
  const left = [source, target].map((keys) => keys.reduce((sum, one) => sum + one, 0));
  const rows = groups.map(({ name, ranges }) => {
    const [a, b] = [source, target].map((keys) => ranges.reduce((sum, [from, to]) => sum + inOne(keys.subarray(from, to + 1)), 0));
    left[0] -= a;
    left[1] -= b;
    return row('slots', name, a, b);
  });
  return left[0] + left[1] === 0 ? rows : [...rows, row('slots', 'slots of no master', left[0], left[1])];
}

const inOne = (numbers: Readonly<Partial<Record<string, number>>> | Float64Array): number =>
  Object.values<number | undefined>(numbers).reduce<number>((sum, one = 0) => sum + one, 0);
const inAll = (counts: SideNumbers['counts']): number => [...counts.values()].reduce((sum, types) => sum + inOne(types), 0);
