import type { RestoreSummary } from '../commands/restore.js';
import type { RunSummary } from '../pipeline/run.js';
import type { Invocation } from './command.js';
import { countText, keysText } from './numbers.js';
import { FILTERS, SHARES } from './options/filters.js';
import { longName, variableName } from './options/option.js';
import type { OptionsOf } from './options/table.js';
import type { LiveSources } from './sources.js';

/** Notes about runs that succeeded without writing a key. */

type Call = Pick<Invocation, 'given' | 'byVariable'> & { readonly live?: LiveSources | undefined };

/** The options that leave keys out, as typed, or the variables that set them. */
function filtersOf({ byVariable, given, live }: Call): string {
  const names = [...Object.keys(FILTERS), ...Object.keys(SHARES), 'sample'].filter((name) => given.has(name));
  const byUrl = !given.has('db') && databasesOf(live).length > 0;
  return [
    ...names.map((name) => (byVariable.has(name) ? variableName(name) : longName(name))),
    ...(byUrl ? ['the database of the URL'] : []),
  ].join(', ');
}

/** Databases that URLs of servers name. */
const databasesOf = (live: LiveSources | undefined): number[] => [...(live?.values() ?? [])].flatMap(({ access }) => access.url.db ?? []);

const noKeys = ({ sources }: Pick<RunSummary, 'sources'>): string =>
  sources === 1 ? 'the source has no keys.' : `none of the ${countText(sources)} sources has a key.`;

/** Servers that are scanned are only asked for what can pass. */
function nothingRead(summary: Pick<RunSummary, 'sources'>, call: Call): string {
  const filters = call.live === undefined ? '' : filtersOf(call);
  if (filters === '') return noKeys(summary);
  const who = summary.sources === 1 ? 'the source has no key' : `none of the ${countText(summary.sources)} sources has a key`;
  return `${who} that passes ${filters}.`;
}

/** Of a command that writes all keys that pass; `filtered` did not. */
export function emptyNotes(summary: RunSummary, filtered: number, call: Call, done = 'written'): string[] {
  if (summary.read === 0) return [nothingRead(summary, call)];
  return filtered < summary.read ? [] : [`no key was ${done}: ${allKeys(filtered)} left out by ${filtersOf(call)}.`];
}

const allKeys = (keys: number): string => (keys === 1 ? 'the only one is' : `all ${countText(keys)} are`);

/** Notes of a restore. */
export function emptyRestoreNotes(
  summary: RestoreSummary,
  call: Call,
  { dryRun, ttlShift }: Pick<OptionsOf<'restore'>, 'dryRun' | 'ttlShift'>,
): string[] {
  const { declined, failure, filtered, read, total } = summary;
  const { expired, rejected, replaced, restored, skipped } = total;
  if (declined || failure !== undefined || restored + replaced + skipped + rejected > 0) return [];
  if (read === 0) return [nothingRead(summary, call)];
  if (filtered + expired < read) return [];
  const nothing = `no key ${dryRun ? 'would be' : 'was'} restored`;
  if (expired === 0) return [`${nothing}: ${allKeys(filtered)} left out by ${filtersOf(call)}.`];
  const which =
    filtered === 0
      ? `${expired === 1 ? 'the only one' : `all ${countText(expired)}`} had expired`
      : `${keysText(filtered)} left out by ${filtersOf(call)}, ${countText(expired)} expired`;
  return [`${nothing}: ${which}. ${laterAdvice(summary, ttlShift)}--strip-ttl restores them without expiries.`];
}

/** How to restore expired keys with the time that they had left when the file was written. */
function laterAdvice({ firstExpiry, plan }: RestoreSummary, ttlShift = 0): string {
  const written = 1000 * Math.min(...plan.sources.map((head) => head?.created ?? Infinity));
  const now = Date.now() + Math.max(...plan.target.masters.map(({ clockAhead = 0 }) => clockAhead));
  const shift = now - Math.min(written, firstExpiry);
  if (shift <= ttlShift) return '';
  const effect =
    written < firstExpiry ? ', the age of the source, gives them back the time that they had' : ' moves their expiries into the future';
  return `--ttl-shift ${timeText(shift)}${effect}; `;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A time that is longer than `ms`, in the form of --ttl-shift. */
function timeText(ms: number): string {
  const [unit, letter] = ms >= 2 * DAY ? [DAY, 'd'] : ms >= 2 * HOUR ? [HOUR, 'h'] : ([MINUTE, 'm'] as const);
  return `${Math.floor(ms / unit) + 1}${letter}`;
}
