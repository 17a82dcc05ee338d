import type { Group, SlotReport, SourceReport, Warning } from './report.js';
import type { Tally } from './tally.js';
import { count } from './texts.js';

/** From where on something is worth a warning. */
export interface Thresholds {
  /** Bytes of memory of a key, and elements of one. */
  readonly bigMemory: number;
  readonly bigElements: number;
  /** The share of all memory that a single slot has, if that is more than a big key. */
  readonly hotSlot: number;
}

/** A shard of several is too big from this many times its fair share on. */
const BIG_SHARE = 1.25;
/** Hot slots that are named. */
const HOT_NAMED = 3;
/** Expired keys are worth a warning from this share of all keys on. */
const MANY_EXPIRED = 0.05;

export interface Found {
  readonly totals: Group;
  readonly slots: SlotReport;
  readonly sources: readonly SourceReport[];
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** What somebody should look at. Amounts of the tally are scaled up. */
export function warningsOf(tally: Tally, { slots, sources, totals }: Found, thresholds: Thresholds, scale: number): Warning[] {
  const about = (keys: number): string => `${scale === 1 ? '' : 'about '}${count(Math.round(keys * scale), 'key')}`;
  const warnings: Warning[] = [];
  const damaged = sources.filter(({ complete }) => !complete);
  if (damaged.length > 0) {
    warnings.push({ kind: 'damage', text: `${count(damaged.length, 'source')} not read to the end: amounts are those of what was read` });
  }
  if (tally.bigKeys > 0) {
    warnings.push({ kind: 'bigKey', text: `${about(tally.bigKeys)} with more than ${sizeText(thresholds.bigMemory)} of memory` });
  }
  if (tally.manyElements > 0) {
    warnings.push({
      kind: 'manyElements',
      text: `${about(tally.manyElements)} with more than ${thresholds.bigElements.toLocaleString('en')} elements`,
    });
  }
  const hot = slots.hottest.filter(({ memory, share }) => share > thresholds.hotSlot && memory > thresholds.bigMemory);
  for (const { keys, share, slot } of hot.slice(0, HOT_NAMED)) {
    warnings.push({ kind: 'hotSlot', text: `slot ${slot} has ${percent(share)} of the memory, in ${count(keys, 'key')}` });
  }
  const shards = slots.shards ?? [];
  for (const { from, share, to } of shards) {
    if (share * shards.length < BIG_SHARE) continue;
    const fair = `${(share * shards.length).toFixed(2)} times its fair share`;
    warnings.push({ kind: 'bigShard', text: `slots ${from}-${to} would have ${percent(share)} of the memory, ${fair}` });
  }
  if (totals.keys > 0 && totals.expired / totals.keys >= MANY_EXPIRED) {
    warnings.push({
      kind: 'expired',
      text: `${count(totals.expired, 'key')} (${percent(totals.expired / totals.keys)}) have expired already`,
    });
  }
  return warnings;
}

/** Binary units, as options take them: `10 MiB`. */
function sizeText(bytes: number): string {
  for (const [unit, name] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= unit) return `${Number((bytes / unit).toFixed(1))} ${name}`;
  }
  return `${bytes} bytes`;
}
