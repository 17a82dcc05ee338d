import type { LaneStatus, SyncOptions, SyncStatus, SyncSummary, ToldStatus } from '../commands/sync.js';
import type { LaneFields, StatusFields } from '../commands/sync-terms.js';
import type { RunProgress } from '../pipeline/run.js';
import { redacted } from '../commands/live-terms.js';
import { diffLine, verdictObject } from './diff-text.js';
import { bytesText, countText, keysText, secondsText } from './numbers.js';
import { printable, word } from './printable.js';
import { progressParts } from './progress.js';

/** What the texts need of the options. */
export type SyncWays = Pick<
  SyncOptions,
  'confirm' | 'holdExpiries' | 'keepRdb' | 'notCommand' | 'onlyCommand' | 'phase' | 'publish' | 'spool' | 'spoolMax' | 'untilCaughtUp'
>;

/** What is known of a target when a plan is shown. */
export interface PlanTarget {
  readonly clustered: boolean;
}

/** How a sync is going to be done, after the plan of its full copy. */
export function syncPlanLines(ways: SyncWays, target: PlanTarget): string[] {
  const { holdExpiries, keepRdb, phase } = ways;
  if (phase === 'full') return ['a full copy, and nothing after it'];
  return [
    `a full copy, then every write since, ${untilText(ways)}`,
    ...changesLines(ways),
    ...(keepRdb === true ? ['the RDB of the source is kept with the spool, beyond its limit, until the full copy is done'] : []),
    target.clustered
      ? 'each write is applied once: positions are kept on every master, and keys in doubt after a lost run are copied again'
      : 'each write is applied once: it is in one transaction with its position',
    holdExpiries
      ? 'expiries are held: only the source expires keys until the sync ends with --until caught-up or --forget'
      : 'expiries are exact: a key that is renewed just before it expires may be lost while the target is late',
  ];
}

/** How a sync goes on. */
export function goesOnLines(lanes: readonly { readonly name: string; readonly offset: number }[], ways: SyncWays): string[] {
  const all = lanes.map(({ name, offset }) => `  ${printable(name)} from offset ${countText(offset)}`);
  return [`no full copy: going on where an earlier run ended, ${untilText(ways)}`, ...all, ...changesLines(ways)];
}

const untilText = ({ untilCaughtUp }: SyncWays): string => (untilCaughtUp === true ? 'until the target has caught up' : 'until stopped');

function changesLines({ notCommand, onlyCommand, publish, spool, spoolMax }: SyncWays): string[] {
  const only = onlyCommand === undefined ? [] : [`only ${onlyCommand.join(', ')}`];
  const not = notCommand === undefined ? [] : [`not ${notCommand.join(', ')}`];
  const chosen = [...only, ...not].join(', ');
  return [
    spool === undefined
      ? 'spool: none, so a run that is killed goes on only if the backlog of the source reaches back far enough'
      : `spool: ${word(spool)}, up to ${bytesText(spoolMax)}`,
    ...(publish === true ? ['PUBLISH is passed on, outside of what is applied once: after a lost run, messages may come twice'] : []),
    ...(chosen === '' ? [] : [`warning: of the writes, ${printable(chosen)}: what other commands write is missing on the target.`]),
  ];
}

/** Writes per second, overall and of each lane, from one status to the next. */
export interface Rates {
  readonly keys: number | undefined;
  readonly ops: number | undefined;
  readonly lanes: readonly (number | undefined)[];
}

export class RateMeter {
  private before: { readonly seconds: number; readonly keys: number; readonly lanes: readonly number[] } | undefined;

  /** @param keys copied so far */
  take({ lanes, seconds, told }: SyncStatus, keys: number): Rates {
    const now = { seconds, keys, lanes: told === undefined ? lanes.map(({ counts }) => counts.commands) : [told.written] };
    const { before } = this;
    this.before = now;
    const span = before === undefined ? 0 : seconds - before.seconds;
    if (before === undefined || span <= 0) return { keys: undefined, ops: undefined, lanes: now.lanes.map(() => undefined) };
    const of = now.lanes.map((count, i) => Math.round(Math.max(0, count - (before.lanes.at(i) ?? 0)) / span));
    return { keys: Math.round(Math.max(0, keys - before.keys) / span), ops: of.reduce((a, b) => a + b, 0), lanes: of };
  }
}

/** One line: parts, the most important first. */
export function statusParts(status: SyncStatus, rates: Rates, copy: RunProgress, problems: number): readonly string[] {
  const { lanes, phase, seconds } = status;
  const lost = lanes.filter(({ connected }) => !connected);
  const spooled = sum(lanes, ({ spool }) => spool.disk);
  const errors = problems === 0 ? [] : [`${keysText(problems)} not brought over`];
  const spool = spooled === 0 ? [] : [`spool ${bytesText(spooled)}`];
  if (phase === 'full') {
    const [done, ...parts] = progressParts(copy, seconds);
    const waiting = waitingBytes(lanes);
    return [
      `full copy ${done}`,
      keysText(copy.keys),
      ...(rates.keys === undefined ? [] : [`${countText(rates.keys)} keys/s`]),
      parts[parts.length - 1],
      ...(waiting === 0 ? [] : [`${bytesText(waiting)} of writes waiting`]),
      ...errors,
      ...spool,
    ];
  }
  if (phase === 'paused') return [`the source is paused, for ${secondsText(status.pauseLeft ?? 0)} more`, worstLag(lanes), ...errors];
  if (phase === 'settling') return ['giving keys their expiries', ...errors];
  return [
    lost.length === 0 ? 'changes' : `changes, no connection to ${lost.length === 1 ? printable(lost[0].name) : `${lost.length} masters`}`,
    ...(rates.ops === undefined ? [] : [`${countText(rates.ops)} ops/s`]),
    worstLag(lanes),
    ...errors,
    ...spool,
  ];
}

/** `lag 1.20 MB, 0.05 s`; with several masters that of the one that is latest. */
function worstLag(lanes: readonly LaneStatus[]): string {
  const [first] = lanes;
  const worst = lanes.reduce((a, b) => (isLater(b, a) ? b : a), first);
  const which = lanes.length > 1 ? ` (${printable(worst.name)})` : '';
  return `lag ${lagText(worst)}${which}`;
}

const isLater = (a: LaneStatus, b: LaneStatus): boolean =>
  a.lagSeconds > b.lagSeconds || (a.lagSeconds === b.lagSeconds && a.lagBytes > b.lagBytes);

const lagText = ({ lagBytes, lagSeconds }: LaneStatus): string => `${bytesText(lagBytes)}, ${secondsText(lagSeconds)}`;

/** A line for each master of the source. */
export function laneLines({ lanes }: SyncStatus, { lanes: rates }: Rates): string[] {
  return lanes.map((lane, i) => {
    const { applied, connected, fetched, name, spool } = lane;
    const rate = rates.at(i);
    const parts = [
      ...(connected ? [] : ['no connection']),
      `offset ${countText(applied)}`,
      `lag ${lagText(lane)}`,
      ...(rate === undefined ? [] : [`${countText(rate)} ops/s`]),
      ...(fetched === 0 ? [] : [`${keysText(fetched)} fetched`]),
      ...(spool.disk === 0 ? [] : [`spool ${bytesText(spool.disk)}`]),
    ];
    return `  ${printable(name)}: ${parts.join(', ')}`;
  });
}

/** A line of `--json` while it runs; of a sync by scan, what `--status` answers. */
export function statusObject(
  { lanes, phase, seconds, told }: SyncStatus,
  rates: Rates,
  copy: RunProgress,
  problems: number,
): { readonly status: StatusFields } {
  return {
    status: {
      phase,
      seconds: Math.round(seconds * 1000) / 1000,
      ...(phase === 'full' ? { keys: copy.keys, keysPerSecond: rates.keys, bytesRead: copy.bytesRead, totalBytes: copy.totalBytes } : {}),
      opsPerSecond: rates.ops,
      problems,
      ...(told === undefined
        ? { lanes: lanes.map((lane, i) => ({ ...laneObject(lane), opsPerSecond: rates.lanes.at(i) })) }
        : toldFields(told)),
    },
  };
}

/** Its masters are as late as the oldest key that was told. */
function toldFields({ masters, ...told }: ToldStatus): Pick<StatusFields, 'lanes' | 'told'> {
  return { lanes: masters.map((master) => ({ ...master, attached: true, lagSeconds: told.lagSeconds })), told };
}

export function laneObject(lane: LaneStatus): LaneFields {
  const { applied, attached, connected, counts, fetched, lagBytes, lagSeconds, name, received, source, spool } = lane;
  const lag = { lagBytes, lagSeconds: Math.round(lagSeconds * 1e6) / 1e6 };
  return { name, connected, attached, applied, received, source, ...lag, spool, counts, fetched };
}

/** What was applied after the full copy. */
export function appliedText({ lanes }: Pick<SyncSummary, 'lanes'>): string {
  const total = (name: keyof LaneStatus['counts']): number => sum(lanes, ({ counts }) => counts[name]);
  const fetched = sum(lanes, (lane) => lane.fetched);
  const commands = total('commands');
  const parts = [
    `${countText(commands)} ${commands === 1 ? 'command' : 'commands'} of the source`,
    ...part(total('filtered'), 'left out by filters'),
    ...part(total('ignored'), 'left out by options'),
    ...part(total('positions'), 'on positions of other syncs left out'),
    ...part(total('superseded'), 'older than a fetched value'),
    ...part(total('split'), 'sent in parts'),
    ...part(total('apart'), 'whose keys were fetched instead'),
    ...part(total('transactionsApart'), total('transactionsApart') === 1 ? 'transaction taken apart' : 'transactions taken apart'),
    ...(fetched === 0 ? [] : [`${keysText(fetched)} fetched`]),
  ];
  return parts.join(', ');
}

const part = (count: number, what: string): string[] => (count === 0 ? [] : [`${countText(count)} ${what}`]);

/** Expiries that were held. */
export const releasedLines = (released: number): string[] =>
  released === 0 ? [] : [`${countText(released)} held ${released === 1 ? 'expiry' : 'expiries'} released`];

/** Where each master stands at the end. */
export function positionLines({ caughtUp, lanes }: Pick<SyncSummary, 'caughtUp' | 'lanes'>): string[] {
  return lanes.map(({ applied, name, received }) => {
    const rest = caughtUp || received <= applied ? '' : `, and ${bytesText(received - applied)} of writes after it were received`;
    return `${caughtUp ? 'caught up with' : 'position of'} ${printable(name)}: offset ${countText(applied)}${rest}`;
  });
}

/** Writes that were received, and wait until they are applied; a lane without a position has none. */
const waitingBytes = (lanes: readonly LaneStatus[]): number =>
  sum(lanes, ({ applied, received }) => (applied === 0 ? 0 : Math.max(0, received - applied)));

const sum = (lanes: readonly LaneStatus[], of: (lane: LaneStatus) => number): number => lanes.reduce((total, lane) => total + of(lane), 0);

export const GO_ON = 'Run the same command again to go on.';

/** What to do after a sync that ended by itself. */
export function nextLines(
  { caughtUp, cutover, told }: Pick<SyncSummary, 'caughtUp' | 'cutover' | 'told'>,
  ways: Pick<SyncOptions, 'phase' | 'source'>,
): string[] {
  if (ways.phase === 'full') return ['next: the same command without --phase full goes on with the writes since.'];
  if (cutover?.kind === 'done') return ['next: when all clients are there, end the sync with --forget.'];
  if (cutover?.kind === 'different') return ['next: the source takes writes again. The same command goes on; rdbkit diff tells more.'];
  if (!caughtUp) return [];
  if (told !== undefined) {
    return [
      'next: if nobody writes to the source any more, point your clients at the target, and end the sync with --forget.',
      '  --pause-source 30s lets the writers wait for that, and compares both sides.',
    ];
  }
  return [
    'next: to switch over, add --pause-source 30s, which stops the writers while the target gets the last writes. Or by hand:',
    `  redis-cli -u ${redacted(ways.source.access.url)} CLIENT PAUSE 60000 WRITE    (on every master)`,
    '  the same rdbkit command once more; then point your clients at the target, and end the sync with --forget.',
  ];
}

/** How a cutover ended. `isOnly`: there are no other sources. */
export function cutoverLines(cutover: SyncSummary['cutover'], isOnly = true): string[] {
  if (cutover === undefined || cutover.kind === 'late') return [];
  const verified = `verified: ${diffLine(cutover.verdict, { isWhole: cutover.verdict.complete })}`;
  if (cutover.kind === 'different') return [verified];
  if (cutover.kind === 'withdrawn') return [verified, 'the source takes writes again, since another source and the target differ'];
  const isOne = cutover.stands.length === 1;
  const at = cutover.stands.map(({ name, offset }) => (isOne ? countText(offset) : `${countText(offset)} of ${printable(name)}`));
  const rest = `the source takes writes again in ${secondsText(cutover.left / 1000)}`;
  const where = at.length === 0 ? '' : ` at offset ${at.join(', ')}`;
  const what = isOnly ? 'the target is the source' : 'the target has all of the source';
  return [verified, `${what}${where}: point your clients at it; ${rest}`];
}

export function cutoverObject(cutover: NonNullable<SyncSummary['cutover']>): object {
  if (cutover.kind === 'late') return { ended: 'late', reason: cutover.reason };
  const ended = { ended: cutover.kind, verified: verdictObject(cutover.verdict) };
  return cutover.kind !== 'done' ? ended : { ...ended, offsets: cutover.stands, pauseLeft: cutover.left / 1000 };
}

/** How to go on after a signal. `copied`: it was beyond the full copy, and ended at a clean position. */
export function afterSignalText(
  { kept, lanes }: Pick<SyncSummary, 'kept' | 'lanes'>,
  { holdExpiries }: Pick<SyncWays, 'holdExpiries'>,
  copied: boolean,
): string {
  if (!copied && kept) return ' The full copy is not complete, but its RDB is kept: the same command goes on from that.';
  if (!copied) return ' The full copy is not complete, and begins anew when the same command is run again.';
  const waiting = waitingBytes(lanes);
  const last = waiting === 0 ? '' : ` but the last ${bytesText(waiting)}`;
  const done = `All${last} that was received is applied.`;
  const held = holdExpiries ? ' Expiries on the target are still held: --until caught-up or --forget releases them.' : '';
  return ` ${done}${held} ${GO_ON}`;
}
