import type { DiffSummary } from '../commands/diff.js';
import { type Difference, type DifferenceKind, formatText, type Inside, type KeyFacts } from '../commands/diff-terms.js';
import { insideLines } from './inside-text.js';
import { bytesText, countText, keysText, rateText, secondsText, timeText } from './numbers.js';
import { keyText, printable } from './printable.js';

export const WORDS: Readonly<Record<DifferenceKind, string>> = {
  missing: 'missing',
  extra: 'extra',
  type: 'another type',
  expiry: 'another expiry',
  value: 'another value',
};

export const KINDS = Object.keys(WORDS) as DifferenceKind[];
export const BY: Readonly<Record<DiffSummary['level'], string>> = { counts: 'number', keys: 'key', values: 'value' };

/** `another expiry: db 0, key "a": string, expires 2026-11-29T12:00:00.000Z; target: string, no expiry`. */
export function differenceText({ a, b, db, key, kinds }: Difference, inside?: Inside): string {
  const what = kinds.map((kind) => WORDS[kind]).join(', ');
  const sides = [...(a === undefined ? [] : [`source: ${factsText(a)}`]), ...(b === undefined ? [] : [`target: ${factsText(b)}`])];
  const line = `${what}: db ${db}, key ${keyText(formatText(key, 0, key.length))}: ${sides.join('; ')}`;
  return [line, ...(inside === undefined ? [] : insideLines(inside))].join('\n');
}

const UNITS: Readonly<Partial<Record<string, string>>> = { string: 'byte', hash: 'field', stream: 'entry' };

export function factsText({ elements, expireAt, type }: KeyFacts): string {
  const unit = UNITS[type] ?? 'element';
  const plural = unit === 'entry' ? 'entries' : `${unit}s`;
  const size = elements === undefined ? '' : `, ${countText(elements)} ${elements === 1 ? unit : plural}`;
  return `${type}${size}, ${expireAt === undefined ? 'no expiry' : `expires ${timeText(expireAt)}`}`;
}

export function differenceJson({ a, b, db, key, kinds }: Difference, inside?: Inside): string {
  return printable(JSON.stringify({ db, key: formatText(key, 0, key.length), kinds, source: a, target: b, inside }));
}

/** What was compared. */
export interface Compared {
  /** All of both sides was read. */
  readonly isWhole: boolean;
  /** How many keys of an earlier diff were compared, if only those were. */
  readonly again?: number | undefined;
  /** The share of keys that was compared, if not all were. */
  readonly sample?: number | undefined;
}

/** Differences that other commands name when they compare what they wrote. */
export const MOST_NAMED = 100;

/** What such a comparison found, for --json. */
export const verdictObject = ({ complete, different, kinds, level, met, source, target }: DiffSummary): object => ({
  ...{ level, same: complete && different + met === 0, complete, different, kinds, met },
  ...{ sourceKeys: source.keys, targetKeys: target.keys },
});

export function diffLine(summary: DiffSummary, compared: Compared): string {
  const { again, sample } = compared;
  const { bytes, excused, level, rounds, seconds, source, target } = summary;
  const speed = `${bytesText(bytes)}, ${secondsText(seconds)}, ${rateText(bytes, seconds)}`;
  const sides = `${keysText(source.keys)} of the source and ${countText(target.keys)} of the target compared by ${BY[level]}`;
  const expired = source.expired + target.expired + excused;
  const notes = [
    ...(again === undefined ? [] : [`${keysText(again)} checked again`]),
    ...(expired === 0 ? [] : [`${countText(expired)} expired ${expired === 1 ? 'key' : 'keys'} left out`]),
    ...(sample === undefined ? [] : [`a sample of ${percentText(sample)}`]),
    ...(rounds > 1 ? [`${countText(rounds)} rounds`] : []),
  ];
  return `${verdictText(summary, compared)}: ${[sides, ...notes].join(', ')}; ${speed}`;
}

/** `the same`, or `2 keys differ (1 missing, 1 another value)`. */
export function verdictText({ complete, different, kinds, level, met }: DiffSummary, { again, isWhole }: Compared): string {
  if (!complete) return 'not compared to the end';
  if (different === 0 && met > 0) return 'no difference found, but not everything was compared';
  if (different === 0) return isWhole ? 'the same' : 'no difference found, but not everything was read';
  const found = KINDS.filter((kind) => kinds[kind] > 0);
  const list = found.map((kind) => `${countText(kinds[kind])} ${WORDS[kind]}`).join(', ');
  const what = level === 'counts' ? 'number' : 'key';
  const still = again !== undefined ? ' still' : '';
  const which = different === 1 ? `${what}${still} differs` : `${what}s${still} differ`;
  return `${countText(different)} ${which}${list === '' ? '' : ` (${list})`}`;
}

/** What keys that met were compared with; undefined if none did. */
export function metText({ firstMet, met }: DiffSummary): string | undefined {
  if (firstMet === undefined) return undefined;
  const { db, key } = firstMet;
  const which = `db ${db}, key ${keyText(formatText(key, 0, key.length))}`;
  const first = met === 1 ? which : `the first is ${which}`;
  const keys = met === 1 ? 'one key' : keysText(met);
  return `several keys of the source become ${keys} of the target, and only the last was compared: ${first}`;
}

/** Of a share, with as many digits as it was given with. */
export const percentText = (share: number): string => `${Number((share * 100).toPrecision(12))} %`;
