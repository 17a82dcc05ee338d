import type { SyncOptions, SyncStatus, SyncSummary, ToldStatus, ToldSummary } from '../commands/sync.js';
import type { RunProgress } from '../pipeline/run.js';
import { countText, keysText, secondsText } from './numbers.js';
import { printable } from './printable.js';
import type { KeyProblem } from '../pipeline/key-problem.js';
import { formatText } from '../commands/diff-terms.js';

/** How a sync is going to be done whose source is read by scan, after the plan of its copy. */
export function toldPlanLines({ events = 'tracking', phase, untilCaughtUp }: SyncOptions): string[] {
  if (phase === 'full') return ['a full copy by scan, and nothing after it'];
  return [
    `a full copy by scan, then each key that is written is fetched again, until ${untilCaughtUp === true ? 'nothing is pending' : 'stopped'}`,
    events === 'tracking'
      ? 'the source tells the names of keys that are written by client-side caching (CLIENT TRACKING)'
      : 'the source tells the names of keys that are written by keyspace notifications',
    'not told, and so looked at every round: consumer groups of streams, count-min sketches, functions; ' +
      'a run that was killed begins with another scan',
  ];
}

/** A line for the terminal. */
export function toldParts({ pauseLeft = 0, phase }: SyncStatus, told: ToldStatus, problems: number): readonly string[] {
  const { lagSeconds, masters, pending, scans } = told;
  const lost = masters.filter(({ connected }) => !connected);
  const where = lost.length === 1 ? printable(lost[0].name) : `${lost.length} masters`;
  const paused = `the source is paused, for ${secondsText(pauseLeft)} more`;
  const what = phase === 'paused' ? paused : phase === 'settling' ? 'catching up' : 'changes';
  return [
    lost.length === 0 ? what : `${what}, no connection to ${where}`,
    `${keysText(pending)} pending`,
    `lag ${secondsText(lagSeconds)}`,
    ...(problems === 0 ? [] : [`${keysText(problems)} not brought over`]),
    ...(scans === 0 ? [] : [`read again ${timesText(scans)}`]),
  ];
}

/** The same in a line of `--json`. */
export function toldObject({ phase, seconds }: SyncStatus, told: ToldStatus, copy: RunProgress, problems: number): object {
  return {
    status: {
      phase,
      seconds: Math.round(seconds * 1000) / 1000,
      ...(phase === 'full' ? { keys: copy.keys, bytesRead: copy.bytesRead } : {}),
      problems,
      ...told,
    },
  };
}

/** What was done after the full copy. */
export function broughtText({ fetched, gone, rounds, scans, written }: ToldStatus): string {
  const again = scans === 0 ? '' : `, all keys read again ${timesText(scans)}`;
  return `${keysText(fetched)} fetched in ${countText(rounds)} rounds, ${countText(written)} written, ${countText(gone)} gone${again}`;
}

const timesText = (times: number): string => (times === 1 ? 'once' : `${countText(times)} times`);

/** Whether the target is what the source is. */
export function convergedLines({ caughtUp }: SyncSummary, { doubts, pending }: ToldSummary, file: string): string[] {
  if (caughtUp) return [`caught up with ${printable(file)}: every key was fetched after it was told last, and nothing is pending`];
  const waiting = pending === 0 ? [] : [`not caught up: ${keysText(pending)} pending`];
  return [...waiting, ...doubts.map((doubt) => `in doubt: ${printable(doubt)}`)];
}

/** Keys that were not fetched after they were told last. */
export const leftKeys = ({ left }: ToldSummary, file: string): KeyProblem[] =>
  left.map(({ db, key }) => ({
    ...{ file, key: formatText(key, 0, key.length), reason: 'it was written again after it was fetched last' },
    ...(db < 0 ? {} : { db }),
  }));

/** What to do after a signal. */
export function afterToldText({ caughtUp }: SyncSummary, { pending }: ToldSummary): string {
  const waiting = `${keysText(pending)} that were written are not fetched yet.`;
  const now = caughtUp ? 'Nothing is pending: the target is what the source was.' : waiting;
  return ` ${now} The same command goes on with another scan.`;
}
