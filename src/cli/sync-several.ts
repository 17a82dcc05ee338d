import { formatText } from '../commands/diff-terms.js';
import type { KeyProblem } from '../commands/dump.js';
import type { Finding } from '../commands/preflight.js';
import type { SyncOptions, SyncStatus } from '../commands/sync.js';
import type { SeveralOptions, SeveralPlan, SeveralSummary } from '../commands/sync-several.js';
import type { RunProgress, RunSummary } from '../pipeline/run.js';
import { answerTo } from './answer.js';
import type { Invocation } from './command.js';
import { differenceText, MOST_NAMED } from './diff-text.js';
import { EXIT, interruptedBy } from './exit.js';
import { KeyProblems } from './key-problems.js';
import { keysText } from './numbers.js';
import { variablesLine } from './options/read.js';
import { keyText, printable } from './printable.js';
import { restoreWarnings } from './restore-text.js';
import { type Listeners, RunCommand, type Task, type Terminal } from './run-command.js';
import { PASSWORD_SHOWS } from './server-access.js';
import { canAsk } from './sync-check.js';
import { closingOfSync, exitOfSync, failureText, isWhole, NO_COPY, syncFields } from './sync-ends.js';
import { syncFailure } from './sync-errors.js';
import { planChecks, stoppedText, stopping, WORDS } from './sync-preflight.js';
import { SeveralStatus, severalPlanLines } from './sync-several-text.js';
import { openStatus, type StatusPlace } from './sync-status.js';
import { laneLines, GO_ON } from './sync-text.js';
import { leftKeys } from './sync-told-text.js';

type Syncs = readonly [SyncOptions, ...SyncOptions[]];

/** Several syncs as the frame of all commands knows one: the counts are those of all full copies. */
interface SeveralRun extends RunSummary {
  readonly several: SeveralSummary;
}

/** Milliseconds between two looks at each master with --verbose. */
const LANES_EVERY = 10_000;

/** `sync` with several sources. */
export async function runSeveral(invocation: Invocation<'sync'>, syncs: Syncs): Promise<number> {
  const { options } = invocation;
  const { syncSeveral } = await import('../commands/sync-several.js');
  const status = await openStatus(options.status, syncs);
  const course = new SeveralCourse(invocation, syncs, status);
  const task: Task<SeveralRun> = {
    command: 'sync',
    logs: true,
    run: async (listeners, say, terminal) => course.ended(await syncSeveral(course.listening(listeners, say, terminal)), say),
    line: ({ several }) => course.closing(several).join('\nrdbkit: '),
    isEmpty: ({ several }) => several.declined && !options.dryRun,
    notes: ({ several }) => course.notes(several),
    afterSignal: () =>
      course.copied
        ? ` All that was received is applied.${syncs[0].holdExpiries ? HELD : ''} ${GO_ON}`
        : ' Full copies that are not complete begin anew when the same command is run again; those that are go on.',
    fields: ({ several }) => course.fields(several),
    exit: ({ several }) => course.exit(several),
    done: 'copied',
    tornText: '',
    failed: (error) => syncFailure(error, course.copied),
  };
  return new RunCommand(task, invocation, '').run().finally(() => status?.close());
}

const HELD = ' Expiries on the target are still held: --until caught-up or --forget releases them.';

/** Several syncs while they run: what they tell, and ask. */
class SeveralCourse {
  private readonly problems: readonly KeyProblems[];
  private readonly counts: number[];
  private readonly findings: (readonly Finding[])[];
  private readonly status: SeveralStatus;
  private plan: SeveralPlan | undefined;
  private differences = 0;
  private lanesTold = 0;
  private leftToOthers = 0;
  /** All are beyond their full copies. */
  copied = false;

  constructor(
    private readonly invocation: Invocation<'sync'>,
    private readonly syncs: Syncs,
    private readonly place: StatusPlace | undefined,
  ) {
    this.problems = syncs.map(() => new KeyProblems(invocation.options.json, 'NOT_SYNCED'));
    this.counts = syncs.map(() => 0);
    this.findings = syncs.map(() => []);
    this.status = new SeveralStatus(syncs.map(({ sources: [source] }) => source));
  }

  private get names(): readonly string[] {
    return this.syncs.map(({ sources: [source] }) => source);
  }

  listening(listeners: Listeners, say: (text: string) => void, terminal: Terminal): SeveralOptions {
    const { byVariable, io, options } = this.invocation;
    const talk = (text: string): void => {
      if (!options.quiet) say(text);
    };
    if (options.pass !== undefined) {
      talk(PASSWORD_SHOWS);
    }
    if (byVariable.size > 0 && !options.verbose) talk(variablesLine(byVariable, io.env));
    for (const line of this.place?.lines ?? []) talk(line);
    terminal.show(['connecting']);
    const ask = (question: string): Promise<string> => terminal.pause(() => answerTo(question, io));
    const onNote = (text: string): void => say(`warning: ${printable(text)}.`);
    io.signal?.addEventListener('abort', () => this.copied && talk(`${interruptedBy(io.signal)}: ${STOPPING}`), { once: true });
    return {
      syncs: this.syncs.map((one, i) => this.one(one, i, { listeners, say, terminal, ask, onNote })),
      ...{ stop: io.signal, onNote, onEvent: listeners.onEvent },
      onPlan: (plan) => this.planned(plan, say, ask),
      onLeft: ({ db, kept, key, left }) => this.left({ db, key, kept, left }, say),
      onNoticed: ({ by, db, key, others }) => this.noticed({ db, key, by, others }, say),
    };
  }

  private one(
    checked: SyncOptions,
    number: number,
    { ask, listeners, onNote, say, terminal }: {
      readonly listeners: Listeners;
      readonly say: (text: string) => void;
      readonly terminal: Terminal;
      readonly ask: (question: string) => Promise<string>;
      readonly onNote: (text: string) => void;
    },
  ): SyncOptions {
    const { io, options } = this.invocation;
    const [source] = checked.sources;
    const yes = async (question: string): Promise<boolean> => canAsk(io) && (await ask(`rdbkit: ${question} Type yes: `)) === 'yes';
    let full: boolean | undefined;
    return {
      ...checked,
      ...listeners,
      onNote,
      onHead: undefined,
      onProgress: (now: RunProgress) => this.status.progress(number, now),
      checks: { words: WORDS, take: (findings) => (this.findings[number] = findings) },
      confirmFull: async (reason) => {
        if (options.dryRun) return false;
        if (full !== undefined) return full;
        if (canAsk(io)) say(`the source no longer has the writes since the last run: ${printable(reason)}.`);
        return (full = await yes(`make a full copy of ${printable(source)} again, which replaces its keys on the target?`));
      },
      confirmSweep: async (keys) => options.yes || (await yes(`delete ${keysText(keys)} of the target that no source has?`)),
      onProblem: (problem) => this.problem(number, problem, say),
      onKeyProblem: ({ db, key, reason }) => this.problem(number, { file: source, db, key: formatText(key), reason }, say),
      onDifference: (difference) => {
        if (this.differences++ < MOST_NAMED) say(`differs from ${printable(source)}: ${differenceText(difference)}`);
      },
      onStatus: (status) => this.tell(number, status, say, terminal),
    };
  }

  private async planned(plan: SeveralPlan, say: (text: string) => void, ask: (question: string) => Promise<string>): Promise<boolean> {
    const { options } = this.invocation;
    this.plan = plan;
    if (!options.quiet) {
      const checks = this.findings.map((findings) => planChecks(findings));
      for (const line of severalPlanLines(plan, this.syncs, checks)) say(line);
    }
    const stops = this.stops;
    if (stops.length > 0) say(stoppedText(stops));
    if (stops.length > 0 || options.dryRun) return false;
    if (plan.keysDeleted === 0 || options.yes || !options.flush) return true;
    return (await ask(`rdbkit: delete ${keysText(plan.keysDeleted)} of the target first? Type yes: `)) === 'yes';
  }

  private get stops(): readonly Finding[] {
    return this.findings.flatMap((findings) => stopping(findings, this.invocation.options.ignoreCheck));
  }

  /** With --on-conflict error, a key that is left to another source is one that could not be brought over. */
  private left(
    { db, kept, key, left }: { readonly db: number; readonly key: Uint8Array; readonly kept: string; readonly left: string },
    say: (text: string) => void,
  ): void {
    this.leftToOthers++;
    if (this.isError) {
      const reason = `${kept} has a key of this name for database ${db} of the target, too: that one is kept`;
      this.problem(this.names.indexOf(left), { file: left, db, key: formatText(key), reason }, say);
    } else if (this.leftToOthers <= MOST_NAMED && !this.invocation.options.quiet) {
      say(`db ${db}, key ${keyText(formatText(key))}: ${printable(left)} leaves it to ${printable(kept)}, which has it, too.`);
    }
  }

  private noticed(
    { by, db, key, others }: { readonly db: number; readonly key: Uint8Array; readonly by: string; readonly others: readonly string[] },
    say: (text: string) => void,
  ): void {
    const reason = `it was written, and ${others.join(' and ')} has it, too: the target has what was written last`;
    this.problem(this.names.indexOf(by), { file: by, db, key: formatText(key), reason }, say);
  }

  private get isError(): boolean {
    const { conflict = 'error' } = this.syncs[0];
    return conflict === 'error';
  }

  private problem(number: number, problem: KeyProblem, say: (text: string) => void): void {
    const { db, file, key, reason } = problem;
    this.counts[number]++;
    this.place?.board.name({ db, key, reason: `${file}: ${reason}` });
    this.problems[number].take(problem, say);
  }

  private tell(number: number, status: SyncStatus, say: (text: string) => void, terminal: Terminal): void {
    const { options } = this.invocation;
    const all = this.status.take(number, status);
    if (all === undefined) return;
    const problems = this.counts.reduce((sum, count) => sum + count, 0);
    terminal.show(this.status.parts(all, problems));
    const { status: fields } = this.status.object(all, problems);
    terminal.object({ status: fields });
    this.place?.board.take(fields, this.status.copy);
    if (!this.copied && all.phase !== 'full') {
      this.copied = true;
      const { keys } = this.status.copy;
      if (this.plan?.sources.some(({ plan }) => plan !== undefined) === true && !options.quiet) {
        say(`all full copies are done, with ${keysText(keys)}: applying the writes since.`);
      }
    }
    if (!options.verbose || performance.now() - this.lanesTold < LANES_EVERY) return;
    this.lanesTold = performance.now();
    for (const line of laneLines(all, this.status.rates)) if (!options.quiet) say(line);
  }

  /** Says what is uncertain or failed. */
  ended(several: SeveralSummary, say: (text: string) => void): SeveralRun {
    const { options } = this.invocation;
    const summaries = several.sources.flatMap(({ summary }) => summary ?? []);
    for (const [number, { source, summary }] of several.sources.entries()) {
      if (summary === undefined) continue;
      if (summary.told !== undefined && !summary.stopped) {
        for (const problem of leftKeys(summary.told, source)) this.problem(number, problem, say);
      }
      this.problems[number].sum(say);
      const { restored } = summary;
      if (restored === undefined) continue;
      for (const warning of restoreWarnings(restored)) say(`${printable(source)}: ${warning}`);
      if (restored.failure !== undefined) say(`${printable(source)}: ${failureText(restored, summary.kept === true)}`);
    }
    if (several.missed > 0) {
      say(`warning: ${keysText(several.missed)} were written too fast to be looked for in the other sources, which may have them, too.`);
    }
    if (several.declined && !options.dryRun) say('nothing was written.');
    const copies = summaries.flatMap(({ restored }) => restored ?? []);
    this.copied ||= !several.declined && summaries.length === this.syncs.length && copies.every(isWhole);
    const sum = (of: (copy: RunSummary) => number): number => copies.reduce((total, copy) => total + of(copy), 0);
    const isStopped = this.invocation.io.signal?.aborted === true && !several.declined;
    return {
      ...NO_COPY,
      ...{ sources: this.syncs.length, errors: copies.flatMap(({ errors }) => errors), several },
      ...{ read: sum(({ read }) => read), keys: sum(({ keys }) => keys), bytes: sum(({ bytes }) => bytes) },
      ...{ filtered: sum(({ filtered }) => filtered), expired: sum(({ expired }) => expired) },
      gaps: copies.flatMap(({ gaps = [] }) => gaps),
      seconds: Math.max(0, ...summaries.map(({ seconds }) => seconds)),
      interrupted: isStopped && !(summaries.length === this.syncs.length && summaries.every(({ caughtUp }) => caughtUp)),
    };
  }

  closing({ sources }: SeveralSummary): string[] {
    const { options } = this.invocation;
    if (options.dryRun) return ['dry run: nothing was written.'];
    return sources.flatMap(({ source, summary }) => {
      if (summary === undefined) return [`${printable(source)}: not begun`];
      const own = { sources: [source] };
      const copied = summary.restored === undefined || isWhole(summary.restored);
      const lines = closingOfSync(summary, own, options, copied, false);
      return lines.map((line) => (line.includes(source) ? line : `${printable(source)}: ${line}`));
    });
  }

  notes(several: SeveralSummary): string[] {
    const { options } = this.invocation;
    const summaries = several.sources.flatMap(({ summary }) => summary ?? []);
    if (options.dryRun || several.declined || summaries.length < this.syncs.length) return [];
    if (options.phase === 'full') return ['next: the same command without --phase full goes on with the writes since.'];
    const isOver = summaries.every(({ cutover }) => cutover?.kind === 'done');
    if (isOver) return ['next: when all clients are there, end the sync with --forget.'];
    if (summaries.some(({ cutover }) => cutover !== undefined)) {
      return ['next: the sources take writes again. The same command goes on; rdbkit diff tells more.'];
    }
    if (!summaries.every(({ caughtUp }) => caughtUp)) return [];
    const then = 'which stops the writers of all sources while the target gets the last writes';
    return [`next: to switch over, add --pause-source 30s, ${then}.`];
  }

  fields({ declined, missed, noticed, shared, sources }: SeveralSummary): object {
    return {
      ...{ declined, caughtUp: sources.every(({ summary }) => summary?.caughtUp === true) },
      shared: shared.map(({ examples, ...one }) => ({ ...one, examples: examples.map((key) => formatText(key)) })),
      ...{ leftToOthers: this.leftToOthers, noticed, notLookedFor: missed },
      problems: this.counts.reduce((sum, count) => sum + count, 0),
      bySource: sources.map(({ source, summary }, i) => ({
        source,
        ...(summary === undefined ? {} : syncFields(summary, this.problems[i], this.counts[i], this.findings[i])),
      })),
    };
  }

  exit({ declined, sources }: SeveralSummary): number {
    const { options } = this.invocation;
    if (options.dryRun) return this.stops.length > 0 ? EXIT.keys : EXIT.done;
    if (declined) return EXIT.keys;
    const codes = sources.map(({ summary }, i) => (summary === undefined ? EXIT.keys : exitOfSync(summary, this.syncs[i])));
    const named = this.isError && this.counts.some((count) => count > 0) ? EXIT.keys : EXIT.done;
    return Math.max(named, ...codes);
  }
}

const STOPPING = 'applying what was received; once more ends at once, and the next run makes up for it.';

