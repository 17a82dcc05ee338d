import type { DiffSummary } from '../commands/diff.js';
import { type DifferenceKind, formatText } from '../commands/diff-terms.js';
import type { LiveFacts } from '../commands/live-terms.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import type { Invocation } from './command.js';
import type { DiffPage, PageSide } from './diff-page.js';
import { BY, factsText, KINDS, metText, percentText, verdictText, WORDS } from './diff-text.js';
import { liveLines } from './live-text.js';
import { countText, keysText, secondsText } from './numbers.js';
import { FILTERS } from './options/filters.js';
import { longName } from './options/option.js';
import { keyText, sourceName } from './printable.js';
import type { Listeners } from './run-command.js';
import { headText } from './source-text.js';
import { version } from './version.js';

/** Kinds of differences, for those who did not run the comparison. */
const MEANINGS: Readonly<Record<DifferenceKind, string>> = {
  missing: 'missing: only the source has the key',
  extra: 'extra: only the target has the key',
  type: 'another type',
  expiry: 'another expiry',
  value: 'another value',
};

/** What is told while both sides are read, for the page. */
export class Told {
  readonly servers: LiveFacts[] = [];
  readonly heads: SourceHead[] = [];
  readonly warnings = new Set<string>();

  listening(given: Listeners): Listeners {
    return {
      ...given,
      onServer: (facts) => {
        this.servers.push(facts);
        given.onServer?.(facts);
      },
      onHead: (head) => {
        this.heads.push(head);
        given.onHead?.(head);
      },
      onWarning: (file, text) => {
        this.warnings.add(`${sourceName(file)}: ${text}`);
        given.onWarning?.(file, text);
      },
    };
  }
}

/** Options that choose what is compared: those that say how sides are reached and read are not for the page. */
const ON_PAGE: readonly string[] = [
  ...Object.keys(FILTERS),
  ...['ttlTolerance', 'streams', 'dbMap', 'intoDb', 'keyPrefixMap', 'sample', 'rounds', 'settle', 'delimiter'],
  ...['noChecksum', 'ignoreAofTail'],
];

const COMPARED_AS: Readonly<Record<DiffSummary['level'], readonly string[]>> = {
  counts: [
    'Level counts: only numbers of keys were compared.',
    'Keys and values were not compared: equal numbers do not mean equal keys.',
  ],
  keys: ['Level keys: which keys there are, their types and expiries were compared.', 'Values were not compared.'],
  values: ['Level values: keys, their types, expiries and values were compared, whatever their encoding.'],
};

interface PageParts {
  readonly invocation: Invocation<'diff'>;
  readonly told: Told;
  readonly begun: Date;
  readonly target: string;
  /** All of both sides was read. */
  readonly isWhole: boolean;
}

export function pageOf(summary: DiffSummary, { begun, invocation, isWhole, target, told }: PageParts): DiffPage {
  const { different, excused, first, gaps = [], kinds, level, rows, seconds, source, target: other } = summary;
  const verdict = verdictText(summary, { isWhole });
  const met = metText(summary);
  const { given, options } = invocation;
  const sampled = options.sample === undefined ? [] : [`Only a sample of the keys was compared: ${percentText(options.sample)}.`];
  const sides: PageSide[] = [
    ...source.names.map((name) => ({ side: 'source' as const, name })),
    ...other.names.map((name) => ({ side: 'target' as const, name })),
  ].map(({ name, side }) => ({ side, name: sourceName(name), what: fileText(told, name) }));
  const servers = told.servers.map((facts): PageSide => ({
    side: facts.name === target ? 'target' : 'source',
    name: facts.name,
    what: serverText(facts),
  }));
  const live = new Set(told.servers.flatMap(({ shards }) => shards.map(({ name }) => name)));
  return {
    verdict: `${verdict[0].toUpperCase()}${verdict.slice(1)}, compared by ${BY[level]}`,
    tone: different > 0 ? 'differs' : !isWhole || options.sample !== undefined ? 'doubtful' : 'same',
    level: [...COMPARED_AS[level], `${keysText(source.keys)} of the source, ${keysText(other.keys)} of the target.`, ...sampled],
    ...{ begun, duration: secondsText(seconds), version: version(), rows, different },
    sides: [...sides.filter(({ name }) => !live.has(name)), ...servers].sort((a, b) => (a.side < b.side ? -1 : a.side > b.side ? 1 : 0)),
    chosen: ON_PAGE.flatMap((name) => {
      const words = given.get(name);
      return words === undefined ? [] : [[longName(name), typeof words === 'object' ? words.join(', ') : 'yes'] as const];
    }),
    kinds: level === 'counts' ? [] : KINDS.map((kind) => [MEANINGS[kind], kinds[kind]]),
    differences: first.map(({ a, b, db, key, kinds: own }) => ({
      what: own.map((kind) => WORDS[kind]).join(', '),
      ...{ db, key: keyText(formatText(key, 0, key.length)) },
      ...{ source: a === undefined ? 'none' : factsText(a), target: b === undefined ? 'none' : factsText(b) },
    })),
    excused: [
      ...(source.expired + other.expired > 0 ? [expiredText(source.expired, other.expired)] : []),
      ...(excused > 0 ? [`Expired during the comparison, and excused: ${keysText(excused)} that only one side had.`] : []),
      ...(met === undefined ? [] : [`Warning: ${met}.`]),
      ...gaps,
      ...told.warnings,
    ],
  };
}

const expiredText = (source: number, target: number): string =>
  `Expired before the comparison began, and left out: ${keysText(source)} of the source, ${countText(target)} of the target.`;

function fileText({ heads }: Told, name: string): string {
  const head = heads.find(({ source }) => source === name);
  return head === undefined ? '' : headText(head);
}

/** As it is told before a server is read, with the masters of a cluster. */
function serverText(facts: LiveFacts): string {
  const [line, ...more] = liveLines(facts, 'source');
  const masters = facts.clustered ? more.slice(0, facts.shards.length) : [];
  return [line.slice(line.indexOf(': ') + 2), ...masters.map((text) => text.trim())].join('; ');
}
