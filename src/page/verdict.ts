import type { PrefixNode, Report } from '../inspect/report.js';
import { el, fileText, number, type Child } from './dom.js';
import { bytes, count, part, percent, plural, short, visible, words } from './format.js';
import { pattern } from './nodes.js';
import { split, unbalanced, type Shard } from './shards.js';

/** With less of memory, the largest prefix explains nothing. */
const SPREAD = 0.05;

const DAY = 86_400_000;

/** What a person would say of it, in one sentence. */
export function sentence(report: Report): Child[] {
  const { totals, memory, top } = report;
  if (totals.keys === 0) return [report.complete ? 'No keys.' : 'No keys could be read.'];
  const about = report.sample === undefined ? '' : 'About ';
  if (totals.keys === 1 && top.memory.length === 1) {
    const [{ key, type }] = top.memory;
    return ['One key, ', bytes(memory.keys), ' in memory: ', el('code', {}, fileText(shortened(key))), `, a ${visible(type)}.`];
  }
  const said: Child[] = [
    `${about}${words(totals.keys)} ${totals.keys === 1 ? 'key' : 'keys'}, `,
    el('strong', {}, bytes(memory.keys)),
    ' in memory',
  ];
  const node = mainPrefix(report.prefixes.root);
  if (node !== undefined && part(node.memory, report.prefixes.root.memory) < SPREAD) {
    return [...said, '; no prefix has more than 5\u00a0% of it', expirySaid(part(totals.withExpiry, totals.keys), '; '), '.'];
  }
  if (node === undefined) return [...said, expirySaid(part(totals.withExpiry, totals.keys), '; '), '.'];
  const share = part(node.memory, report.prefixes.root.memory);
  said.push('; ', el('strong', {}, percent(share)), ' of it under ', el('code', {}, fileText(shortened(pattern(node.prefix)))));
  return [...said, share < 0.3 ? ', the largest prefix' : '', expirySaid(part(node.withExpiry, node.keys), ', of which '), '.'];
}

function expirySaid(share: number, before: string): string {
  if (share === 0) return `${before}${before.startsWith(';') ? 'none expires' : 'no key expires'}`;
  if (share >= 0.9995) return `${before}${before.startsWith(';') ? 'all expire' : 'every key expires'}`;
  return `${before}${percent(1 - share)} never ${before.startsWith(';') ? 'expire' : 'expires'}`;
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** The largest prefix; below one that has nearly all, the largest in it. */
function mainPrefix(root: PrefixNode): PrefixNode | undefined {
  let found: PrefixNode | undefined;
  for (let node = root; ;) {
    const next = node.children?.reduce<PrefixNode | undefined>(
      (best, child) => (best === undefined || child.memory > best.memory ? child : best),
      undefined,
    );
    if (next === undefined || next.memory <= 0 || (found !== undefined && next.memory < 0.9 * node.memory)) return found;
    [found, node] = [next, next];
  }
}

/** The five numbers. */
export function numbers(report: Report): HTMLElement {
  const { totals, memory, top, expiry } = report;
  const largest = top.memory.at(0);
  const bounded = expiry.left.filter(({ upTo }) => upTo !== null && upTo <= DAY);
  const sum = (of: (bucket: { keys: number; memory: number }) => number): number => bounded.reduce((all, bucket) => all + of(bucket), 0);
  const used = memory.used === undefined ? '' : `; ${report.sources.length === 1 ? 'the server' : 'servers'} said ${bytes(memory.used)}`;
  return el(
    'dl',
    { class: 'numbers' },
    number(
      'Keys',
      count(totals.keys),
      report.sample === undefined
        ? `${percent(part(totals.withExpiry, totals.keys))} have an expiry`
        : `estimated, ±${percent(keyError(report))}`,
    ),
    number('Memory', bytes(memory.keys), `estimated${used}`),
    number(
      'Largest key',
      largest === undefined ? '–' : bytes(largest.memory),
      largest === undefined ? 'no keys' : el('a', { href: '#keys' }, fileText(largest.key, { class: 'file-text clipped' })),
    ),
    number(
      'Expiring within 24 h',
      bytes(sum((bucket) => bucket.memory)),
      `${short(sum((bucket) => bucket.keys))} keys${expiry.expired.keys > 0 ? `; ${bytes(expiry.expired.memory)} expired already` : ''}`,
    ),
    balance(report),
  );
}

function balance(report: Report): HTMLElement {
  const { shards } = report.slots;
  if (report.totals.keys === 0) return number('Shards out of balance', '–', 'no keys');
  if (shards !== undefined) {
    const off = unbalanced(shards).length;
    return number(
      'Shards out of balance',
      off === 0 ? `0 of ${count(shards.length)}` : `${count(off)} of ${count(shards.length)}`,
      worst(shards),
      OFF,
    );
  }
  if (report.totals.keys < FEW) return number('Shards out of balance', '–', 'too few keys to tell');
  const three = split(report.slots.slots, 3);
  return number('Shards out of balance', `${unbalanced(three).length} of 3`, `if split into 3: ${worst(three)}`, OFF);
}

/** Below this many keys a split says nothing. */
const FEW = 300;

const OFF = 'Shards with over 25 % more or less memory than the mean';

function worst(shards: readonly Shard[]): string {
  const mean = shards.reduce((sum, { memory }) => sum + memory, 0) / shards.length;
  const most = Math.max(...shards.map(({ memory }) => memory));
  return mean > 0 ? `largest ${percent(most / mean - 1)} over the mean` : 'all are empty';
}

/** Of the number of keys of a sample: twice its standard error, as a part. */
export const keyError = ({ sample }: Report): number =>
  sample === undefined || sample.keys === 0 ? 0 : 1.96 * Math.sqrt((1 - sample.share) / sample.keys);

/** What has to be known before the numbers are believed, and what to do, each with a link. */
export function marks(report: Report): HTMLElement | undefined {
  const found: HTMLElement[] = [];
  const mark = (kind: string, href: string, ...text: Child[]): void => void found.push(el('a', { class: `mark ${kind}`, href }, ...text));
  if (!report.complete) mark('bad', '#files', 'Incomplete: counts only what could be read');
  if (report.sample !== undefined)
    mark('info', '#about', `Sample of ${percent(report.sample.share)}: ${plural(report.sample.keys, 'key')} looked at; amounts scaled up`);
  const warnings = report.warnings.length;
  if (warnings > 0) mark('warn', '#advice', plural(warnings, 'warning'));
  const saves = report.advice.reduce((sum, advice) => sum + (advice.saves ?? 0), 0);
  if (report.advice.length > 0)
    mark('good', '#advice', `${plural(report.advice.length, 'suggestion')}${saves > 0 ? `, up to ${bytes(saves)} saved` : ''}`);
  const changed = report.baseline?.totals;
  if (changed !== undefined) {
    const more = changed.after.memory - changed.before.memory;
    mark('info', '#changes', `${bytes(Math.abs(more))} ${more >= 0 ? 'more' : 'less'} than before`);
  }
  return found.length === 0 ? undefined : el('div', { class: 'marks' }, ...found);
}
