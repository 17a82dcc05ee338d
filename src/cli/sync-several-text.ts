import type { SyncOptions, SyncStatus, ToldStatus } from '../commands/sync.js';
import type { SeveralPlan, SharedKeys } from '../commands/sync-several.js';
import type { StatusFields } from '../commands/sync-terms.js';
import type { RunProgress } from '../pipeline/run.js';
import { formatText } from '../commands/diff-terms.js';
import { librariesLines } from './libraries-text.js';
import { countText, keysText, secondsText } from './numbers.js';
import { keyText, printable } from './printable.js';
import { planLines } from './restore-plan-text.js';
import { meetingText } from './sync-preflight.js';
import { type Rates, RateMeter, statusObject, statusParts, syncPlanLines } from './sync-text.js';
import { toldPlanLines } from './sync-told-text.js';

/** What is going to be done, after the sources were told. */
export function severalPlanLines(
  plan: SeveralPlan,
  syncs: readonly SyncOptions[],
  checks: readonly (readonly string[])[],
): string[] {
  const { keysDeleted, libraries, meetings, shared, sources, target } = plan;
  const [first] = syncs;
  const copies = sources.flatMap(({ plan: copy }) => copy ?? []);
  const bare = { ...copies.at(0), sources: [], libraries: [], warnings: [], target, keysDeleted: 0, keysThere: 0, intoDb: first.url.db };
  const { memoryLeft, memoryNeeded } = { memoryLeft: undefined, memoryNeeded: undefined };
  const place = planLines({ aofTails: [], errors: [], manifest: undefined, ...bare, memoryLeft, memoryNeeded }, [], false);
  const own = sources.flatMap(({ goesOn, plan: copy, source }, i) => {
    const name = printable(source);
    const warnings = (copy?.warnings ?? []).map((warning) => `  warning: ${printable(warning)}.`);
    const planned = { planned: true, sources: [source], unwanted: first.functions === false };
    const loads = copy === undefined ? [] : librariesLines(copy.libraries, planned);
    const from = (goesOn ?? []).map((lane) => `  ${printable(lane.name)} from offset ${countText(lane.offset)}`);
    const how = goesOn === undefined ? 'a full copy' : 'no full copy: going on where an earlier run ended';
    return [
      `${name}: ${how}${mapText(syncs[i])}`,
      ...from,
      ...[...loads, ...(checks[i] ?? [])].map((line) => `  ${line}`),
      ...warnings,
    ];
  });
  const goOn = copies.length === 0 ? GOES_ON : COMMON;
  const ends = first.phase === 'full' ? 'full copies one after another, and nothing after them' : goOn;
  const isScan = sources.some(({ plan: copy }) => copy?.sources.some((head) => head !== undefined) === true) && first.source.via === 'scan';
  const lines = isScan ? toldPlanLines(first) : syncPlanLines(first, { clustered: target.clustered });
  return [
    ...place,
    ...own,
    `${countText(sources.length)} sources: ${ends}`,
    ...lines.slice(1),
    ...shared.map((one) => `warning: ${sharedText(one)}`),
    ...meetings.map((meeting) => `warning: ${meetingText(meeting)}`),
    ...libraries.map(({ library, sources: of }) => printable(`warning: function library ${library} is in ${of.join(' and ')}.`)),
    ...(keysDeleted === 0 ? [] : [`${keysText(keysDeleted)} to be deleted first`]),
  ];
}

const GOES_ON = 'every write since of each is applied, and all end together';
const COMMON = 'full copies one after another; each is followed by every write since, and all end together';

function mapText({ dbMap }: SyncOptions): string {
  if (dbMap === undefined) return '';
  return `, ${[...dbMap].map(([from, to]) => `database ${from} to ${to}`).join(', ')}`;
}

/** Keys that are in two sources. */
export function sharedText({ db, examples, kept, keys, left }: SharedKeys): string {
  const named = examples.map((key) => keyText(formatText(key))).join(', ');
  const are = keys === 1 ? '1 key is' : `${countText(keys)} keys are`;
  const them = keys === 1 ? 'it' : 'them';
  const rest = keys > examples.length ? ', …' : '';
  const where = `database ${db} of the target: ${are} in ${printable(kept)} and in ${printable(left)}`;
  const apart = `--db-map HOST:PORT/${db}:N keeps databases apart`;
  return `${where} (${named}${rest}): ${printable(left)} leaves ${them} to ${printable(kept)}. ${apart}.`;
}

/** How several syncs stand, as one. */
export class SeveralStatus {
  private readonly all: (SyncStatus | undefined)[];
  private readonly copies: RunProgress[];
  private readonly meter = new RateMeter();
  rates: Rates = { keys: undefined, ops: undefined, lanes: [] };

  constructor(private readonly names: readonly string[]) {
    this.all = names.map(() => undefined);
    this.copies = names.map(() => ({ bytesRead: 0, totalBytes: undefined, keys: 0 }));
  }

  progress(number: number, now: RunProgress): void {
    this.copies[number] = now;
  }

  /** Of all full copies. */
  get copy(): RunProgress {
    const sum = (of: (copy: RunProgress) => number): number => this.copies.reduce((total, copy) => total + of(copy), 0);
    return { bytesRead: sum(({ bytesRead }) => bytesRead), totalBytes: undefined, keys: sum(({ keys }) => keys) };
  }

  /** Returns how all stand once each second: with what the last of them tells. */
  take(number: number, status: SyncStatus): SyncStatus | undefined {
    this.all[number] = status;
    const known = this.all.filter((one) => one !== undefined);
    if (this.all.findLastIndex((one) => one !== undefined) !== number) return undefined;
    const phase = known.length < this.all.length ? 'full' : (PHASES.find((name) => known.some((one) => one.phase === name)) ?? 'changes');
    const told = known.flatMap((one) => one.told ?? []);
    const pauses = known.flatMap(({ pauseLeft }) => pauseLeft ?? []);
    const all: SyncStatus = {
      ...{ phase, lanes: known.flatMap(({ lanes }) => lanes), seconds: Math.max(...known.map(({ seconds }) => seconds)) },
      told: told.length === 0 ? undefined : added(told),
      pauseLeft: pauses.length === 0 ? undefined : Math.min(...pauses),
    };
    this.rates = this.meter.take({ ...all, told: all.lanes.length === 0 ? all.told : undefined }, this.copy.keys);
    return all;
  }

  /** A line for the terminal. */
  parts(all: SyncStatus, problems: number): readonly string[] {
    const { told } = all;
    const pending = told === undefined ? [] : [`${keysText(told.pending)} pending`];
    if (all.lanes.length > 0 || all.phase === 'full') return [...statusParts(all, this.rates, this.copy, problems), ...pending];
    return ['changes', ...pending, `lag ${secondsText(told?.lagSeconds ?? 0)}`];
  }

  object(all: SyncStatus, problems: number): { readonly status: StatusFields } {
    const { copies, names } = this;
    const { status } = statusObject({ ...all, told: undefined }, this.rates, this.copy, problems);
    const from = this.all.flatMap((one, i) => (one?.lanes ?? []).map(() => names[i]));
    const masters = this.all.flatMap((one, i) =>
      (one?.told?.masters ?? []).map((master) => ({ ...master, from: names[i], attached: true, lagSeconds: one?.told?.lagSeconds ?? 0 })),
    );
    const bySource = names.map((source, i) => ({
      ...{ source, phase: this.all[i]?.phase ?? 'connecting', keys: copies[i].keys },
      told: toldOf(this.all[i]?.told),
    }));
    const lanes = [...status.lanes.map((lane, i) => ({ ...lane, from: from[i] })), ...masters];
    return { status: { ...status, lanes, bySource, told: all.lanes.length === 0 ? toldOf(all.told) : undefined } };
  }
}

/** The first that any of them is in. */
const PHASES = ['full', 'paused', 'settling', 'changes'] as const;

function toldOf(told: ToldStatus | undefined): StatusFields['told'] {
  if (told === undefined) return undefined;
  const { fetched, gone, lagSeconds, pending, rounds, scans, watched, written } = told;
  return { pending, lagSeconds, rounds, fetched, written, gone, watched, scans };
}

function added(all: readonly ToldStatus[]): ToldStatus {
  const sum = (of: (told: ToldStatus) => number): number => all.reduce((total, told) => total + of(told), 0);
  return {
    masters: all.flatMap(({ masters }) => masters),
    lagSeconds: Math.max(...all.map(({ lagSeconds }) => lagSeconds)),
    ...{ pending: sum(({ pending }) => pending), rounds: sum(({ rounds }) => rounds), fetched: sum(({ fetched }) => fetched) },
    ...{ written: sum(({ written }) => written), gone: sum(({ gone }) => gone), watched: sum(({ watched }) => watched) },
    scans: sum(({ scans }) => scans),
  };
}


