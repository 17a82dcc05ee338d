import type { DiffSummary } from '../commands/diff.js';
import { type Difference, type DifferenceKind, formatText, type KeyFacts } from '../commands/diff-terms.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
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
export function differenceText({ a, b, db, key, kinds }: Difference): string {
  const what = kinds.map((kind) => WORDS[kind]).join(', ');
  const sides = [...(a === undefined ? [] : [`source: ${factsText(a)}`]), ...(b === undefined ? [] : [`target: ${factsText(b)}`])];
  return `${what}: db ${db}, key ${keyText(formatText(key, 0, key.length))}: ${sides.join('; ')}`;
}

const UNITS: Readonly<Partial<Record<string, string>>> = { string: 'byte', hash: 'field', stream: 'entry' };

export function factsText({ elements, expireAt, type }: KeyFacts): string {
  const unit = UNITS[type] ?? 'element';
  const plural = unit === 'entry' ? 'entries' : `${unit}s`;
  const size = elements === undefined ? '' : `, ${countText(elements)} ${elements === 1 ? unit : plural}`;
  return `${type}${size}, ${expireAt === undefined ? 'no expiry' : `expires ${timeText(expireAt)}`}`;
}

/** Unix milliseconds beyond what dates reach stay a number. */
function timeText(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString();
}

export function differenceJson({ a, b, db, key, kinds }: Difference): string {
  return printable(JSON.stringify({ db, key: formatText(key, 0, key.length), kinds, source: a, target: b }));
}

/** `sample`: the share of keys that was compared; undefined for all. */
export function diffLine(summary: DiffSummary, sample: number | undefined): string {
  const { bytes, excused, level, rounds, seconds, source, target } = summary;
  const speed = `${bytesText(bytes)}, ${secondsText(seconds)}, ${rateText(bytes, seconds)}`;
  const sides = `${keysText(source.keys)} of the source and ${countText(target.keys)} of the target compared by ${BY[level]}`;
  const expired = source.expired + target.expired + excused;
  const notes = [
    ...(expired === 0 ? [] : [`${countText(expired)} expired ones left out`]),
    ...(sample === undefined ? [] : [`a sample of ${percentText(sample)}`]),
    ...(rounds > 1 ? [`${countText(rounds)} rounds`] : []),
  ];
  return `${verdictText(summary)}: ${[sides, ...notes].join(', ')}; ${speed}`;
}

/** `the same`, or `2 keys differ (1 missing, 1 another value)`. */
export function verdictText({ complete, different, gaps = [], kinds, level }: DiffSummary): string {
  if (!complete) return 'not compared to the end';
  if (different === 0) return gaps.length === 0 ? 'the same' : 'no difference found, but keys may be missing';
  const found = KINDS.filter((kind) => kinds[kind] > 0);
  const list = found.map((kind) => `${countText(kinds[kind])} ${WORDS[kind]}`).join(', ');
  const what = level === 'counts' ? 'number' : 'key';
  const which = different === 1 ? `${what} differs` : `${what}s differ`;
  return `${countText(different)} ${which}${list === '' ? '' : ` (${list})`}`;
}

/** Of a share, with as many digits as it was given with. */
export const percentText = (share: number): string => `${Number((share * 100).toPrecision(12))} %`;
