import type { Advice, Group, PrefixNode, PrefixReport } from './report.js';
import type { Tally } from './tally.js';
import { count } from './texts.js';

/** Advice is not worth giving below this share of the memory, or of the keys. */
const WORTH = 0.001;
/** Keys of a prefix mostly expire from this share on, if there are at least this many. */
const MOSTLY = 0.8;
const MANY_KEYS = 100;
/** Most prefixes that are named. */
const NAMED = 5;
/** Bytes that a hash of a template needs in place of its field names. */
const TEMPLATE_REFERENCE = 8;

/** What could be done about the memory, with what it would save. */
export function adviceOf(
  tally: Tally,
  { prefixes, totals }: { readonly prefixes: PrefixReport; readonly totals: Group },
  scale: number,
): Advice[] {
  return [
    fieldSets(tally, totals, scale),
    duplicates(tally, totals, scale),
    bigCollections(tally, totals, scale),
    ...noExpiry(prefixes.root),
  ].filter((advice) => advice !== undefined);
}

function fieldSets({ fieldSets }: Tally, { memory }: Group, scale: number): Advice | undefined {
  const { bytes, hashes, sets } = fieldSets.shared;
  const saves = Math.round((bytes - hashes * TEMPLATE_REFERENCE) * scale);
  if (sets === 0 || saves < memory * WORTH) return undefined;
  const atLeast = fieldSets.dropped > 0 ? 'at least ' : '';
  return {
    kind: 'fieldSets',
    text:
      `${atLeast}${count(hashes * scale, 'hash', 'hashes')} share ${count(sets, 'set')} of field names: ` +
      'templates (Redis 8.10) store each set once',
    saves,
    basis: 'bytes of the field names, without those of one hash for each set, and without 8 bytes for each reference',
  };
}

function duplicates({ duplicates }: Tally, totals: Group, scale: number): Advice | undefined {
  const { exact, keys, memory } = duplicates.found;
  const saves = Math.round(memory * scale);
  if (saves < totals.memory * WORTH || keys === 0) return undefined;
  return {
    kind: 'duplicates',
    text:
      `${exact && scale === 1 ? '' : 'about '}${count(keys * scale, 'key')} ${keys === 1 ? 'has' : 'have'} a value of 64 bytes or more ` +
      'that another key has, too',
    saves,
    basis: exact ? 'memory of all but one of the keys with the same value' : 'the same, from a sample of the values',
  };
}

function bigCollections({ bigCollections: { keys, memory } }: Tally, totals: Group, scale: number): Advice | undefined {
  if (keys === 0) return undefined;
  const share = totals.memory === 0 ? 0 : (memory * scale) / totals.memory;
  return {
    kind: 'bigCollections',
    text:
      `${count(keys * scale, 'collection')} ${keys === 1 ? 'is' : 'are'} big (${(share * 100).toFixed(1)} % of the memory): ` +
      'split over several keys, they would spread over a cluster and block the server for less time',
    basis: 'keys over --big-key or --big-elements',
  };
}

/** Prefixes where most keys expire, and some do not. The heaviest that are not under one another. */
function noExpiry(root: PrefixNode): Advice[] {
  const found: PrefixNode[] = [];
  const visit = (node: PrefixNode): void => {
    const { children = [], keys, name, withExpiry } = node;
    const share = keys === 0 ? 0 : withExpiry / keys;
    if (name !== '' && keys >= MANY_KEYS && share >= MOSTLY && share < 1) found.push(node);
    else children.forEach(visit);
  };
  visit(root);
  return found
    .sort((a, b) => b.keys - b.withExpiry - (a.keys - a.withExpiry))
    .slice(0, NAMED)
    .map(({ keys, memory, prefix, withExpiry }) => ({
      kind: 'noExpiry',
      text:
        `under ${JSON.stringify(prefix)} ${count(keys - withExpiry, 'key')} of ${keys.toLocaleString('en')} never ` +
        `${keys - withExpiry === 1 ? 'expires' : 'expire'}, the others do`,
      saves: Math.round(memory * ((keys - withExpiry) / keys)),
      basis: 'the mean memory of the keys under this prefix, times those without expiry',
    }));
}
