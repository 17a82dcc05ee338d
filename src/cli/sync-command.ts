import type { KeyProblem } from '../commands/dump.js';
import { formatText } from '../commands/diff-terms.js';
import type { Finding } from '../commands/preflight.js';
import type { SyncOptions, SyncStatus, SyncSummary, ToldSummary } from '../commands/sync.js';
import type { RunProgress, RunSummary } from '../pipeline/run.js';
import { answerTo } from './answer.js';
import { command, type Invocation } from './command.js';
import { compileLess } from './compile-less.js';
import { EXIT, interruptedBy } from './exit.js';
import { KeyProblems } from './key-problems.js';
import { differenceText, MOST_NAMED } from './diff-text.js';
import { countText, keysText } from './numbers.js';
import { variablesLine } from './options/read.js';
import { printable } from './printable.js';
import { agreedTo, restoreWarnings } from './restore-text.js';
import { PASSWORD_SHOWS } from './server-access.js';
import { UsageError } from './usage.js';
import { type Listeners, RunCommand, type Task, type Terminal } from './run-command.js';
import { canAsk, checkSyncs } from './sync-check.js';
import { closingOfSync, exitOfSync, failureText, isWhole, NO_COPY, syncFields } from './sync-ends.js';
import { runSeveral } from './sync-several.js';
import { planChecks, runCheck, stoppedText, stopping, WORDS } from './sync-preflight.js';
import { syncFailure } from './sync-errors.js';
import { openStatus, type StatusPlace } from './sync-status.js';
import { afterToldText, leftKeys, toldObject, toldParts, toldPlanLines } from './sync-told-text.js';
import {
  afterSignalText,
  goesOnLines,
  laneLines,
  nextLines,
  RateMeter,
  statusObject,
  statusParts,
  syncPlanLines,
} from './sync-text.js';

export const SYNC = command<'sync'>({
  name: 'sync',
  summary: 'copy a server or cluster, and then every write to it',
  description: `Copies a running server, the master that sentinels name, or all masters of a cluster to another server or cluster, \
and then applies every write to it, in order and exactly once, until it is told to stop. The same command goes on later. Several sources \
go into one target, each by a sync of its own, which begin and end together.

The target comes last: redis://[user[:password]@]host:port[/db], rediss:// for TLS, \
redis+sentinel://host:port[,host:port]/master, redis+unix:///path[?db=n]. A cluster is detected. With /db, all keys go to that database. \
Instead of the URL, -h HOST, -p PORT, -n DB and -a PASSWORD name it, as for redis-cli.`,
  usage: '<source...> <target> [options]',
  argument: ['[source...]', 'the URL of a server, of sentinels, or of any node of a cluster'],
  after: `
Examples:
  rdbkit sync redis://old:6379 redis://new:6379 --check
  rdbkit sync redis://old:6379 redis://new:6379 --dry-run
  rdbkit sync redis://old:6379 redis://new:6379
  rdbkit sync redis://old:6379 redis://new:6379 --until caught-up
  rdbkit sync redis://old:6379 rediss://cluster:6379 --prefix user:
  rdbkit sync redis://a:6379 redis://b:6379 redis://new:6379 --db-map b:6379/0:1
  rdbkit sync redis://old:6379 redis://new:6379 --seed backup.rdb
  rdbkit sync redis://old:6379 redis://new:6379 --forget

How it ends:
  By itself with --until caught-up. By Ctrl-C or SIGTERM otherwise: once, and
  what was received is applied first; twice, and it ends at once, which the
  next run makes up for. For good with --forget.

Exit codes:
  0    done: the target has caught up, or the full copy alone was asked for
  1    done, but some keys could not be brought over, or are in several sources,
       and each was named; or a check stops the copy, and nothing was written
  2    wrong usage
  3    a file of --seed is damaged, incomplete, or not supported
  4    a server refused or was lost, the target is not empty, the source no
       longer has the writes since the last run (GAP), or another run of this
       sync has begun (REPLACED)
  70   a bug in rdbkit
  130  stopped by Ctrl-C (143: by SIGTERM)`,
  run: runSync,
});

function runSync(invocation: Invocation<'sync'>): Promise<number> {
  const { check, for: service, forget } = invocation.options;
  if (check) return runCheck(invocation);
  if (service !== undefined) throw new UsageError('--for is for --check, which is not given');
  if (forget) return runForget(invocation);
  compileLess();
  return runCopy(invocation);
}

/** A sync as the frame of all commands knows it: the counts are those of the full copy. */
interface SyncRun extends RunSummary {
  readonly sync: SyncSummary;
}

async function runCopy(invocation: Invocation<'sync'>): Promise<number> {
  const { options } = invocation;
  const syncs = await checkSyncs(invocation);
  const [checked] = syncs;
  if (syncs.length > 1) return runSeveral(invocation, syncs);
  const { sync } = await import('../commands/sync.js');
  const status = await openStatus(options.status, [checked]);
  const course = new Course(invocation, checked, status);
  const task: Task<SyncRun> = {
    command: 'sync',
    logs: true,
    run: async (listeners, say, terminal) => {
      const summary = await sync(course.listening(listeners, say, terminal)).catch((error: unknown) => {
        if (error instanceof PlanShown) return undefined;
        throw error;
      });
      return summary === undefined ? { ...NO_COPY, sync: NOT_RUN } : course.ended(summary, say);
    },
    line: ({ sync: summary }) => course.closing(summary).join('\nrdbkit: '),
    isEmpty: ({ sync: { declined, restored } }) => declined || (restored !== undefined && restored.read === 0 && !course.copied),
    notes: ({ sync: summary }) => (options.dryRun || summary.declined ? [] : nextLines(summary, checked)),
    afterSignal: ({ sync: summary }) =>
      summary.told !== undefined && course.copied ? afterToldText(summary, summary.told) : afterSignalText(summary, checked, course.copied),
    fields: ({ sync: summary }) => course.fields(summary),
    exit: ({ sync: summary }) => (options.dryRun ? course.exitOfPlan : course.exit(summary)),
    done: 'copied',
    tornText: '',
    failed: (error) => syncFailure(error, course.copied),
  };
  return new RunCommand(task, invocation, '').run().finally(() => status?.close());
}

const noteTo =
  (say: (text: string) => void) =>
  (text: string): void =>
    say(`warning: ${printable(text)}.`);

/** Ends a dry run that would go on with an earlier one. */
class PlanShown extends Error {}

const NOT_RUN: SyncSummary = {
  ...{ restored: undefined, lanes: [], caughtUp: false, released: 0, problems: 0, stopped: false, declined: false },
  ...{ kept: false, seconds: 0 },
};

/** Milliseconds between two looks at each master with --verbose. */
const LANES_EVERY = 10_000;

/** A sync while it runs: what it tells, asks, and how signals end it. */
class Course {
  private readonly problems: KeyProblems;
  private problemCount = 0;
  private readonly meter = new RateMeter();
  private copy: RunProgress = { bytesRead: 0, totalBytes: undefined, keys: 0 };
  /** Whether there is a full copy to be made, or was. */
  private planned = false;
  private lanesTold = 0;
  /** Whether the source is read by scan. */
  private scans = false;
  /** What was found before the full copy. */
  private findings: readonly Finding[] = [];
  private differences = 0;
  /** Whether it is beyond its full copy. */
  copied = false;

  constructor(
    private readonly invocation: Invocation<'sync'>,
    private readonly checked: SyncOptions,
    private readonly status: StatusPlace | undefined,
  ) {
    this.problems = new KeyProblems(invocation.options.json, 'NOT_SYNCED');
  }

  listening(listeners: Listeners, say: (text: string) => void, terminal: Terminal): SyncOptions {
    const { checked, invocation, problems } = this;
    const { byVariable, io, options } = invocation;
    const talk = (text: string): void => {
      if (!options.quiet) say(text);
    };
    if (options.pass !== undefined) {
      talk(PASSWORD_SHOWS);
    }
    for (const line of this.status?.lines ?? []) talk(line);
    const told = new Set<string>(); // sources described before they are read
    const signal = this.signals(talk);
    terminal.show(['connecting']);
    return {
      ...checked,
      ...listeners,
      ...{ signal, stop: io.signal, source: { ...checked.source, signal } },
      onProgress: (now) => (this.copy = now),
      onHead: listeners.onHead && ((head) => told.has(head.source) || listeners.onHead?.(head)),
      onServer: (facts) => {
        this.scans = facts.way === 'scan';
        for (const { name } of facts.shards) told.add(name);
        listeners.onServer?.(facts);
      },
      checks: { words: WORDS, take: (findings) => (this.findings = findings) },
      onPlan: async (plan) => {
        if (byVariable.size > 0 && !options.verbose) talk(variablesLine(byVariable, io.env));
        const sources = plan.sources.filter((head) => head !== undefined && !told.has(head.source));
        const ask = (question: string): Promise<string> => terminal.pause(() => answerTo(question, io));
        const own = this.scans ? toldPlanLines(checked) : syncPlanLines(checked, plan.target);
        const more = [...own, ...planChecks(this.findings)];
        const stops = this.stops.length > 0;
        const asked = { ...options, dryRun: options.dryRun || stops }; // nothing is asked that changes nothing
        this.planned = (await agreedTo({ ...plan, sources }, checked, asked, say, ask, more)) && !asked.dryRun;
        if (stops) say(stoppedText(this.stops));
        return this.planned;
      },
      onGoesOn: (lanes) => {
        for (const line of goesOnLines(lanes, checked)) talk(line);
        if (options.dryRun) throw new PlanShown();
        this.copied = true;
      },
      confirmFull: async (reason) => {
        if (!canAsk(io) || options.dryRun) return false;
        say(`the source no longer has the writes since the last run: ${printable(reason)}.`);
        const question = 'rdbkit: make a full copy again, which replaces keys of the target? Type yes: ';
        return (await terminal.pause(() => answerTo(question, io))) === 'yes';
      },
      confirmSweep: async (keys) => {
        if (options.yes) return true;
        if (!canAsk(io)) return false;
        const question = `rdbkit: delete ${keysText(keys)} of the target that the source does not have? Type yes: `;
        return (await terminal.pause(() => answerTo(question, io))) === 'yes';
      },
      onNote: noteTo(say),
      onAgain: () => {
        problems.clear();
        this.status?.board.clear();
        this.problemCount = 0;
      },
      onProblem: (problem) => this.problem(problem, say),
      onKeyProblem: ({ db, key, reason }) => this.problem({ file: checked.sources[0], db, key: formatText(key), reason }, say),
      onDifference: (difference) => {
        if (this.differences++ < MOST_NAMED) say(`differs: ${differenceText(difference)}`);
      },
      onStatus: (status) => this.tell(status, talk, terminal),
    };
  }

  private get stops(): readonly Finding[] {
    return stopping(this.findings, this.invocation.options.ignoreCheck);
  }

  /** Of a dry run. */
  get exitOfPlan(): number {
    return this.stops.length > 0 ? EXIT.keys : EXIT.done;
  }

  /** The first signal ends at a clean position; there is none before the full copy is complete. The second one ends the process. */
  private signals(talk: (text: string) => void): AbortSignal {
    const { signal } = this.invocation.io;
    const now = new AbortController();
    const stop = (): void => {
      if (!this.copied) now.abort(signal?.reason);
      else talk(`${interruptedBy(signal)}: applying what was received; once more ends at once, and the next run makes up for it.`);
    };
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    return now.signal;
  }

  private problem(problem: KeyProblem, say: (text: string) => void): void {
    const { db, key, reason } = problem;
    this.problemCount++;
    this.status?.board.name({ db, key, reason });
    this.problems.take(problem, say);
  }

  private tell(status: SyncStatus, talk: (text: string) => void, terminal: Terminal): void {
    const { copied, copy, meter, planned, problemCount } = this;
    const rates = meter.take(status, copy.keys);
    const { phase, told } = status;
    const copies = told === undefined || phase === 'full';
    terminal.show(copies ? statusParts(status, rates, copy, problemCount) : toldParts(status, told, problemCount));
    const object = statusObject(status, rates, copy, problemCount);
    terminal.object(told === undefined ? object : toldObject(status, told, copy, problemCount));
    this.status?.board.take(object.status, copy);
    if (planned && !copied && status.phase !== 'full') {
      this.copied = true;
      talk(`the full copy is done, with ${keysText(copy.keys)}: applying the writes since.`);
    }
    const { verbose } = this.invocation.options;
    if (!verbose || status.lanes.length < 2 || performance.now() - this.lanesTold < LANES_EVERY) return;
    this.lanesTold = performance.now();
    for (const line of laneLines(status, rates)) talk(line);
  }

  /** Says what is uncertain or failed. */
  ended(sync: SyncSummary, say: (text: string) => void): SyncRun {
    const { restored, told } = sync;
    if (told !== undefined && !sync.stopped) this.tellLeft(told, say);
    this.problems.sum(say);
    if (restored !== undefined) {
      for (const warning of restoreWarnings(restored)) say(warning);
      this.copied ||= isWhole(restored);
      if (restored.failure !== undefined) say(failureText(restored, sync.kept === true));
    }
    if (sync.declined && !this.invocation.options.dryRun) say('nothing was written.');
    const interrupted = restored?.interrupted === true || (sync.stopped && (told !== undefined || !sync.caughtUp));
    return { ...(restored ?? NO_COPY), interrupted, seconds: sync.seconds, sync };
  }

  private tellLeft(told: ToldSummary, say: (text: string) => void): void {
    for (const problem of leftKeys(told, this.checked.sources[0])) {
      this.problemCount++;
      this.problems.take(problem, say);
    }
  }

  closing(summary: SyncSummary): string[] {
    const { checked, copied, invocation } = this;
    if (invocation.options.dryRun) return ['dry run: nothing was written.'];
    return closingOfSync(summary, checked, invocation.options, copied);
  }

  fields(summary: SyncSummary): object {
    return syncFields(summary, this.problems, this.problemCount, this.findings);
  }

  exit(summary: SyncSummary): number {
    return exitOfSync(summary, this.checked);
  }
}

interface ForgetRun extends RunSummary {
  readonly agreed: boolean;
  readonly released: number;
  readonly removed: number;
}

async function runForget(invocation: Invocation<'sync'>): Promise<number> {
  const { io, options } = invocation;
  const [checked, ...others] = await checkSyncs(invocation);
  const { forgetSync } = await import('../commands/sync.js');
  const { forgetSeveral } = await import('../commands/sync-several.js');
  const question = 'rdbkit: end this sync? Expiries are released, and it cannot go on afterwards. Type yes: ';
  const task: Task<ForgetRun> = {
    command: 'sync',
    run: async (listeners, say, { pause }) => {
      const agreed = options.yes || (await pause(() => answerTo(question, io))) === 'yes';
      if (!agreed) return { ...NO_COPY, agreed, released: 0, removed: 0 };
      const all = [checked, ...others].map((one) => ({ ...one, ...listeners, signal: io.signal, onNote: noteTo(say) }));
      return { ...NO_COPY, agreed, ...(await (all.length > 1 ? forgetSeveral(all) : forgetSync(all[0]))) };
    },
    line: ({ agreed, released, removed }) =>
      !agreed
        ? 'nothing was changed: the sync can go on.'
        : removed === 0 && released === 0
          ? 'the target has no position of this sync, and no expiry is held.'
          : `the sync is over: ${countText(released)} expiries released, ${countText(removed)} position keys removed.`,
    isEmpty: () => false,
    notes: () => [],
    afterSignal: () => ' Run the same command again: what is done is kept.',
    fields: ({ agreed, released, removed }) => ({ declined: !agreed, expiriesReleased: released, positionsRemoved: removed }),
    exit: ({ agreed }) => (agreed ? EXIT.done : EXIT.keys),
    done: 'changed',
    tornText: '',
    failed: (error) => syncFailure(error, false),
  };
  return new RunCommand(task, invocation, '').run();
}
