import type { LaneNow, Sample, StatusNow, ToldFields } from '../status/fields.js';
import { bytes, count, percent, plural, seconds, visible, words } from './format.js';

export type Tone = 'good' | 'busy' | 'warn' | 'bad';

export interface Verdict {
  readonly tone: Tone;
  /** The same for verdicts that differ in numbers only. */
  readonly kind: string;
  readonly text: string;
  /** For the title of the window. */
  readonly brief: string;
}

export interface Advice {
  readonly tone: 'info' | 'warn' | 'bad';
  readonly text: string;
}

/** Seconds that a lost connection is no reason to worry, and that a target may be late. */
const PATIENCE = 10;
const LATE = 5;
/** A spool fuller than this may soon make the source wait. */
const FULL = 0.8;
/** Milliseconds that a trend looks back, and needs at least. */
const TREND = 30_000;
const TREND_LEAST = 10_000;

/** `0.02 s`, `12.5 s`, `5 min`. */
export function late(value: number): string {
  if (value <= 0) return '0\u00a0s';
  if (value < 0.01) return '<\u00a00.01\u00a0s';
  if (value < 1) return `${value.toFixed(2)}\u00a0s`;
  return value < 60 ? `${value.toFixed(1)}\u00a0s` : seconds(value);
}

/** What a person would say of it, in one sentence. */
export function verdictOf(now: StatusNow, samples: readonly Sample[]): Verdict {
  const { lanes, phase, source, target } = now;
  if (phase === 'connecting') {
    return { tone: 'busy', kind: 'connecting', text: `Connecting to ${visible(source)} and ${visible(target)}.`, brief: 'Connecting' };
  }
  const lost = worstOf(lanes, ({ lostFor }) => lostFor);
  if (lost !== undefined) {
    const text = `No connection to ${whom(lost, lanes.length)} for ${seconds(Math.floor(lost.seconds))}.`;
    return { tone: toneOf(lost.seconds), kind: 'lost', text, brief: 'No connection' };
  }
  if (phase === 'full') return copying(now);
  if (now.told !== undefined && phase !== 'full') return fetching(now, now.told);
  if (phase === 'settling') {
    return { tone: 'busy', kind: phase, text: 'Nothing is written any more: keys of the target get their expiries.', brief: 'Settling' };
  }
  const detached = worstOf(lanes, ({ detachedFor }) => detachedFor);
  if (detached === undefined) return following(now, samples);
  if (detached.seconds < PATIENCE) return { tone: 'busy', kind: 'attaching', text: 'Connecting to the target.', brief: 'Connecting' };
  const writes = lanes.length === 1 ? '' : ` for the writes of ${whom(detached, lanes.length)}`;
  const text = `No connection to the target${writes} for ${seconds(Math.floor(detached.seconds))}.`;
  return { tone: 'bad', kind: 'detached', text, brief: 'No connection' };
}

function copying(now: StatusNow): Verdict {
  const { copy = { keys: 0, bytesRead: 0 }, keysPerSecond, problems, seconds: passed } = now;
  const tone = problems === 0 ? 'busy' : 'warn';
  const done = partCopied(now);
  const many = `${words(copy.keys)} ${copy.keys === 1 ? 'key' : 'keys'} so far`;
  if (done === undefined) {
    const rate = keysPerSecond === undefined ? '' : `, ${about(keysPerSecond)} a second`;
    return { tone, kind: 'full', text: `Copying: ${many}${rate}${failed(problems)}.`, brief: 'Copying' };
  }
  const left = done > 0 && done < 1 ? `, about ${seconds(Math.ceil((passed / done) * (1 - done)))} left` : '';
  const text = `Copying: ${percent(done)}, ${many}${left}${failed(problems)}.`;
  return { tone, kind: 'full', text, brief: `Copying ${percent(done)}` };
}

const failed = (problems: number): string => (problems === 0 ? '' : `; ${plural(problems, 'key')} could not be brought over`);

/** A part of 1; undefined if the size of the copy is not known. */
export function partCopied({ copy }: Pick<StatusNow, 'copy'>): number | undefined {
  const { bytesRead = 0, totalBytes = 0 } = copy ?? {};
  return totalBytes > 0 ? Math.min(1, bytesRead / totalBytes) : undefined;
}

function following(now: StatusNow, samples: readonly Sample[]): Verdict {
  const { opsPerSecond = 0, problems } = now;
  const lag = lagOf(now);
  const again = failed(problems);
  const tone = problems === 0 ? 'good' : 'warn';
  const applied = opsPerSecond === 0 ? 'no writes' : `${about(opsPerSecond)} ${opsPerSecond === 1 ? 'write' : 'writes'} a second`;
  const rate = `${applied} ${opsPerSecond === 1 ? 'is' : 'are'} applied`;
  const brief = `${late(lag.seconds)} late`;
  const much = brief.replace('<', 'Less than');
  if (lag.seconds > LATE) {
    const trend = trendOf(samples);
    if (trend === undefined) return { tone: 'warn', kind: 'late', text: `${brief}: ${rate}${again}.`, brief };
    if (trend >= 0) return { tone: 'warn', kind: 'falling', text: `${brief}, and not catching up: ${rate}${again}.`, brief };
    const left = seconds(Math.ceil(lag.bytes / -trend));
    return { tone: 'busy', kind: 'catching', text: `${brief}, catching up in about ${left}: ${rate}${again}.`, brief };
  }
  if (opsPerSecond === 0 && lag.bytes === 0) {
    const text = `The target has every write, and none come at the moment${again}.`;
    return { tone, kind: 'follows', text, brief: 'In step' };
  }
  return { tone, kind: 'follows', text: `${much}: ${rate}${again}.`, brief };
}

/** Where the source tells which keys are written. */
function fetching({ phase, problems }: StatusNow, { lagSeconds, pending }: ToldFields): Verdict {
  const wrong = failed(problems);
  if (pending === 0) {
    const text = `The target has every key that was told, and none is pending${wrong}.`;
    return { tone: problems === 0 ? 'good' : 'warn', kind: 'follows', text, brief: 'In step' };
  }
  const were = `${plural(pending, 'key')} ${pending === 1 ? 'was told and is' : 'were told and are'} fetched again`;
  const last = phase === 'changes' ? '' : 'The last ones: ';
  const text = `${last}${were}; the oldest ${late(lagSeconds)} ago${wrong}.`;
  const brief = `${late(lagSeconds)} late`;
  if (lagSeconds > LATE) return { tone: 'warn', kind: 'late', text, brief };
  return { tone: problems > 0 ? 'warn' : phase === 'changes' ? 'good' : 'busy', kind: 'follows', text, brief };
}

/** With two digits: it changes each second. */
const about = (value: number): string => words(value < 100 ? value : Number(value.toPrecision(2)));

/** The latest of the masters, and the bytes of all. */
export function lagOf({ lanes }: Pick<StatusNow, 'lanes'>): { readonly seconds: number; readonly bytes: number } {
  return {
    seconds: Math.max(0, ...lanes.map(({ lagSeconds }) => lagSeconds)),
    bytes: lanes.reduce((sum, { lagBytes = 0 }) => sum + lagBytes, 0),
  };
}

/** Bytes a second by which the lag grows; undefined if too little is known. */
export function trendOf(samples: readonly Sample[]): number | undefined {
  const last = samples.at(-1);
  if (last === undefined) return undefined;
  const first = samples.find(({ at }) => at >= last.at - TREND);
  const span = last.at - (first?.at ?? last.at);
  return first === undefined || span < TREND_LEAST ? undefined : (last.lagBytes - first.lagBytes) / (span / 1000);
}

/** What to do next, the most urgent first. */
export function adviceOf(now: StatusNow, samples: readonly Sample[]): Advice[] {
  const { lanes, phase, problems, spoolMax, told, until } = now;
  const found: Advice[] = [];
  const add = (tone: Advice['tone'], text: string): void => void found.push({ tone, text });
  const lost = worstOf(lanes, ({ lostFor }) => lostFor);
  if (lost !== undefined && lost.seconds >= PATIENCE) {
    add(
      'bad',
      `See whether ${whom(lost, lanes.length)} can be reached from here and lets rdbkit in. rdbkit connects again by itself. ` +
        (told === undefined
          ? 'If the source meanwhile writes more than its backlog holds (repl-backlog-size), a full copy is needed again.'
          : 'What was written meanwhile is not told, so all keys are read again then.'),
    );
  }
  const detached = worstOf(lanes, ({ detachedFor }) => detachedFor);
  if (detached !== undefined && detached.seconds >= PATIENCE) {
    add(
      'bad',
      'See whether the target can be reached from here and lets rdbkit in. rdbkit connects again by itself; writes wait until then.',
    );
  }
  if (problems > 0) {
    add(
      'bad',
      `${plural(problems, 'key')} could not be brought over: each is named on standard error. Once the reason is mended, ` +
        'run it again with --fresh; rdbkit diff --level values shows what differs.',
    );
  }
  // its files also have writes that are applied, which it lets go
  const needed = Math.max(0, ...lanes.map(({ lagBytes = 0, spool }) => Math.min(lagBytes, spool?.disk ?? 0)));
  const fullest = spoolMax === undefined ? 0 : needed / spoolMax;
  if (fullest > FULL) {
    const more = 'give it more with --spool-max';
    add('warn', `The spool is ${percent(fullest)} full. When there is no room, the source has to keep its writes: ${more}.`);
  }
  const { kind } = verdictOf(now, samples);
  if (kind === 'falling') {
    add(
      'warn',
      'The target takes writes more slowly than the source makes them. See its load and the network between; ' +
        '--max-ops-per-second may be too low, and --confirm answered does not wait for replicas of the target.',
    );
  }
  if (phase === 'full') {
    const waiting = lanes.reduce((sum, { applied = 0, received = 0 }) => sum + (applied === 0 ? 0 : Math.max(0, received - applied)), 0);
    const applied = `Writes that come meanwhile are kept${waiting === 0 ? '' : `, ${bytes(waiting)} so far`}, and applied after the copy.`;
    const kept = told === undefined ? applied : 'Keys that are written meanwhile are told, and fetched again after the copy.';
    add('info', until === 'copied' ? 'It ends when the copy is complete.' : kept);
  }
  if (kind === 'follows') add('info', until === 'caught-up' ? ENDS : told === undefined ? SWITCH : SWITCH_BY_SCAN);
  return found;
}

const ENDS = 'It ends by itself, with exit code 0, when the target has kept up with the source for a while.';
const SWITCH =
  'To switch over: stop the writers, stop this sync, and run the same command with --until caught-up. When it has ended with ' +
  'exit code 0, point the clients at the target, and end the sync for good with --forget.';

const SWITCH_BY_SCAN =
  'To switch over: stop this sync, and run the same command with --until caught-up --pause-source 30s. It begins with another scan, ' +
  'and then lets the writers wait until the target is what the source is.';

/** How a master is connected. */
export function stateOf(lane: LaneNow, phase: string): { readonly tone: Tone; readonly text: string } {
  const { attached, connected, detachedFor = 0, lostFor = 0 } = lane;
  if (!connected) return { tone: toneOf(lostFor), text: `no connection for ${seconds(Math.floor(lostFor))}` };
  if (phase !== 'changes' || attached) return { tone: 'good', text: 'connected' };
  if (detachedFor >= PATIENCE) return { tone: 'bad', text: `no target for ${seconds(Math.floor(detachedFor))}` };
  return { tone: 'busy', text: 'connecting to the target' };
}

const toneOf = (lostFor: number): Tone => (lostFor >= PATIENCE ? 'bad' : 'warn');

interface Worst {
  readonly name: string;
  readonly seconds: number;
  readonly many: number;
}

/** The one that has been so for longest. */
function worstOf(lanes: readonly LaneNow[], of: (lane: LaneNow) => number | undefined): Worst | undefined {
  let worst: Worst | undefined;
  let many = 0;
  for (const lane of lanes) {
    const value = of(lane);
    if (value === undefined) continue;
    many++;
    if (worst === undefined || value > worst.seconds) worst = { name: lane.name, seconds: value, many };
  }
  return worst === undefined ? undefined : { ...worst, many };
}

const whom = ({ many, name }: Worst, all: number): string => (many === 1 ? visible(name) : `${count(many)} of ${count(all)} masters`);
