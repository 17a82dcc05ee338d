import type { DiffSummary } from '../commands/diff.js';
import type { Plan, RestoreOptions, RestoreSummary } from '../commands/restore.js';
import { OutputError } from '../commands/terms.js';
import { CheckpointError, ManifestError, OUTCOMES, ServerError } from '../commands/restore-terms.js';
import { answerTo } from './answer.js';
import { command, type Invocation } from './command.js';
import { diffLine, differenceText, metText } from './diff-text.js';
import { KeyProblems } from './key-problems.js';
import { emptyRestoreNotes } from './empty-runs.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { outputErrorLine, outputErrorObject } from './errors.js';
import { EXIT } from './exit.js';
import type { Failed } from './failure.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
import { variablesLine } from './options/read.js';
import type { OptionsOf } from './options/table.js';
import { printable, word } from './printable.js';
import { checkRestore } from './restore-check.js';
import { planLines, planObject } from './restore-plan-text.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { serverErrorLine, serverErrorObject } from './server-errors.js';

type Values = OptionsOf<'restore'>;

export const RESTORE = command<'restore'>({
  name: 'restore',
  summary: 'write the keys of RDB files to a server or cluster',
  description: `Writes the keys of RDB files, or of running servers, to a server, a server behind sentinels, or a cluster.

The target comes last: redis://[user[:password]@]host:port[/db], rediss:// for TLS, \
redis+sentinel://host:port[,host:port]/master, redis+unix:///path[?db=n]. A cluster is detected. With /db, all keys go to that database. \
Instead of the URL, -h HOST, -p PORT, -n DB and -a PASSWORD name it, as for redis-cli.`,
  usage: '<source...> <target> [options]',
  argument: ['[source...]', 'RDB files, URLs of servers, or - for standard input'],
  after: `
Examples:
  rdbkit restore dump.rdb redis://target:6379 --dry-run
  rdbkit restore dump.rdb redis://target:6379
  rdbkit restore redis://old:6379 redis://target:6379 --prefix user:
  rdbkit restore shard-*.rdb rediss://cluster:6379 --flush --yes
  rdbkit restore dump.rdb redis://target:6379 --db 0 --on-conflict replace
  rdbkit restore dump.rdb redis://target:6379 --verify values
  rdbkit restore --manifest backup.json redis://target:6379
  rdbkit restore shard-*.rdb -h target -p 6380
  rdbkit restore dump.rdb redis://target:6379 --checkpoint restore.json \\
    --rejects rejects.jsonl

Exit codes:
  0    done: every key that passed the filters is on the target
  1    done, but some keys were not restored, and each was named; or newer
       commands of an AOF were not read, or kept the restore from beginning;
       or --verify found differences
  2    wrong usage, or a checkpoint that does not match, or no manifest
  3    a source is damaged, incomplete, not an RDB file, or not supported
  4    a server refused or was lost, or the target is not empty
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`,
  run: runRestore,
});

async function runRestore(invocation: Invocation<'restore'>): Promise<number> {
  const { byVariable, io, options } = invocation;
  const checked = await checkRestore(invocation);
  const { restore } = await import('../commands/restore.js');
  const problems = new KeyProblems(options.json, 'NOT_RESTORED');
  const told = new Set<string>(); // sources described before they are read
  let verdict: DiffSummary | undefined;
  const task: Task<RestoreSummary> = {
    command: 'restore',
    run: async (listeners: Listeners, say, { pause }) => {
      if (options.pass !== undefined && !options.quiet) {
        say('warning: a password on the command line (-a) shows in the process list: set REDISCLI_AUTH, or use --password-file.');
      }
      const restored = await restore({
        ...checked,
        ...listeners,
        onProgress: (now) => listeners.onProgress?.(options.verbose ? now : { ...now, servers: undefined }),
        onHead: listeners.onHead && ((head) => told.has(head.source) || listeners.onHead?.(head)),
        onServer: (facts) => {
          for (const { name } of facts.shards) told.add(name);
          listeners.onServer?.(facts);
        },
        onPlan: (plan) => {
          const files = plan.sources.filter((head) => head !== undefined && !told.has(head.source));
          for (const head of files) if (head !== undefined) told.add(head.source);
          if (byVariable.size > 0 && !options.quiet && !options.verbose) say(variablesLine(byVariable, io.env));
          return agreed({ ...plan, sources: files }, checked, options, say, (question) => pause(() => answerTo(question, io)));
        },
        onNote: (text) => say(`warning: ${printable(text)}.`),
        onResumed: (file, keys, overlaps) => {
          const again = overlaps ? '; the scan goes on from a cursor a little before that, so some of them are sent and counted again' : '';
          if (!options.quiet) say(`going on from ${word(file)}: ${countText(keys)} ${keys === 1 ? 'key is' : 'keys are'} done${again}`);
        },
        onAgain: () => problems.clear(),
        onProblem: (problem) => problems.take(problem, say),
      });
      problems.sum(say);
      if (options.verify !== undefined && endedWell(restored)) verdict = await verified(checked, options.verify, listeners, say);
      const summary = verdict === undefined ? restored : withErrors(restored, verdict);
      for (const { reason, server } of summary.unconfirmed) {
        const why = reason === undefined ? '' : ` (WAIT was refused: ${printable(reason)})`;
        say(`warning: ${printable(server)}: no replica confirmed what was written${why}; a failover now could lose keys.`);
      }
      for (const { command, error, server } of summary.companionsRefused) {
        say(
          `warning: ${printable(server)} refuses ${command} (${printable(error)}): the keys were written, ` +
            `but it is unknown how many replaced another value.`,
        );
      }
      if (summary.unanswered > 0) {
        say(
          `warning: ${keysText(summary.unanswered)} sent but not answered: ` +
            `${summary.unanswered === 1 ? 'it' : 'they'} may be on the target, too.`,
        );
      }
      for (const { keys, policy, server } of summary.evicted) {
        say(
          `warning: ${printable(server)}: ${keysText(keys)} evicted during the restore (maxmemory-policy ${printable(policy)}): ` +
            `restored keys may be among them. Give it more memory (maxmemory), or restore fewer keys.`,
        );
      }
      if (summary.declined) say('nothing was written.');
      if (summary.failure !== undefined) say(failureLine(summary.failure, checked, restoredAny(summary)));
      return summary;
    },
    line: (summary) => {
      const line = summary.finished ? finishedLine(summary, checked) : closingLines(summary, options, checked);
      if (verdict === undefined) return line;
      const isWhole = verdict.complete && verdict.met === 0 && (verdict.gaps ?? []).length === 0;
      return `${line}\nrdbkit: verified: ${diffLine(verdict, { isWhole })}`;
    },
    notes: (summary) => (summary.finished ? [] : emptyRestoreNotes(summary, { ...invocation, live: checked.live }, options)),
    afterSignal: () => whatNext(checked),
    fields: (summary) => ({ ...fieldsOf(summary, problems), verified: verdict && verdictObject(verdict) }),
    exit: ({ declined, evicted, failure, finished, told, total }) => {
      const differs = verdict !== undefined && (verdict.different + verdict.met > 0 || (verdict.gaps ?? []).length > 0);
      if (finished) return differs ? EXIT.keys : EXIT.done;
      if (failure !== undefined) return EXIT.output;
      if (total.damaged > 0) return EXIT.input;
      return declined || differs || evicted.length > 0 || total.rejected + told > 0 ? EXIT.keys : EXIT.done;
    },
    done: 'written',
    tornText: '',
    failed: failedOf,
  };
  return new RunCommand(task, invocation, '').run();
}

/** Whether all that could be written was. */
const endedWell = ({ declined, errors, failure, interrupted }: RestoreSummary): boolean =>
  !declined && !interrupted && failure === undefined && errors.length === 0;

/** Differences that are named after a restore. */
const MOST_NAMED = 100;

/** Compares the sources with the target, and names what differs. */
async function verified(
  options: RestoreOptions,
  level: 'keys' | 'values',
  { onError, onEvent, onProgress }: Listeners,
  say: (text: string) => void,
): Promise<DiffSummary> {
  const { verify } = await import('../commands/verify.js');
  let named = 0;
  const summary = await verify({ ...options, onError, onEvent, onProgress }, level, (difference) => {
    if (named++ < MOST_NAMED) say(`differs: ${differenceText(difference)}`);
  });
  const met = metText(summary);
  if (met !== undefined) say(`warning: ${met}.`);
  if (named > MOST_NAMED) say(`${keysText(named)} differ, the first ${MOST_NAMED} named above: rdbkit diff names all.`);
  return summary;
}

const withErrors = (restored: RestoreSummary, { errors, gaps = [], interrupted }: DiffSummary): RestoreSummary => ({
  ...restored,
  errors: [...restored.errors, ...errors],
  gaps: restored.gaps === undefined && gaps.length === 0 ? undefined : [...(restored.gaps ?? []), ...gaps],
  interrupted: restored.interrupted || interrupted,
});

const verdictObject = ({ complete, different, kinds, level, met, source, target }: DiffSummary): object => ({
  ...{ level, same: complete && different + met === 0, complete, different, kinds, met },
  ...{ sourceKeys: source.keys, targetKeys: target.keys },
});

/** Shows the plan; asks before anything is deleted. */
async function agreed(
  plan: Plan,
  { sources }: RestoreOptions,
  { dryRun, flush, functions, ignoreAofTail, quiet, yes }: Values,
  say: (text: string) => void,
  ask: (question: string) => Promise<string>,
): Promise<boolean> {
  if (!quiet) for (const line of planLines(plan, sources, functions === false)) say(line);
  if (plan.aofTails.length > 0 && !ignoreAofTail) return false;
  if (!flush || dryRun || yes) return true;
  return (await ask(`rdbkit: delete ${keysText(plan.keysDeleted)} of the target first? Type yes: `)) === 'yes';
}

const finishedLine = ({ total }: RestoreSummary, { checkpoint = '' }: RestoreOptions): string =>
  `${word(checkpoint)}: this restore is finished, ${keysText(total.restored + total.replaced)} restored. Remove the file to restore again.`;

const restoredAny = ({ total }: RestoreSummary): boolean => total.restored + total.replaced > 0;

function whatNext({ checkpoint }: RestoreOptions): string {
  return checkpoint === undefined ? '' : ` Run the same command again to go on from ${word(checkpoint)}.`;
}

/** Why the restore ended early, what is certain, and how to go on. */
function failureLine(failure: ServerError | OutputError, options: RestoreOptions, restored: boolean): string {
  if (failure instanceof ServerError) return `${serverErrorLine(failure, restored)}${whatNext(options)}`;
  const { checkpoint, conflict = 'error' } = options;
  const next =
    checkpoint !== undefined
      ? ` What was saved in ${word(checkpoint)} before is whole.${whatNext(options)}`
      : conflict === 'error'
        ? ' --on-conflict skip then keeps those keys.'
        : '';
  return `${outputErrorLine(failure)} Every key that is counted as restored is on the target.${next}`;
}

/** `1,234 keys restored, 3 replaced, 4 skipped; 540 MB in, 12 s, 45 MB/s, 100,000 keys/s`. */
function closingLines(summary: RestoreSummary, { dryRun, functions, verbose }: Values, { sources }: RestoreOptions): string {
  const { before, bytes, damaged, filtered, libraries, limited, plan, rows, seconds, told, total } = summary;
  const there = total.restored + total.replaced;
  const counts = [
    `${keysText(total.restored)} ${dryRun ? 'to restore' : 'restored'}`,
    ...(before > 0 ? [`${countText(before)} of them before`] : []),
    ...(total.uncounted > 0 ? [`${countText(total.uncounted)} of which may have replaced another value`] : []),
    ...(total.replaced > 0
      ? [`${countText(total.replaced)} ${dryRun ? 'to replace one restored before them' : 'replaced'}`]
      : []),
    ...(total.skipped > 0
      ? [
          `${countText(total.skipped)} ` +
            (dryRun ? 'to skip, as the key is restored before' : 'skipped, as the target has the key'),
        ]
      : []),
    ...(total.rejected > 0 ? [`${countText(total.rejected)} rejected`] : []),
    ...(total.expired > 0 ? [`${countText(total.expired)} left out as expired`] : []),
    ...(total.transcoded > 0 ? [`${countText(total.transcoded)} in another encoding`] : []),
    ...(told > 0 ? [`${countText(told)} other ${told === 1 ? 'record' : 'records'} not restored`] : []),
    ...(filtered > 0 ? [`${countText(filtered)} filtered out`] : []),
    ...(damaged + total.damaged > 0 ? [`${countText(damaged + total.damaged)} damaged`] : []),
    ...(limited ? ['stopped at --limit'] : []),
  ];
  const perSecond = keysText(Math.round((there - before) / Math.max(seconds, 0.001)));
  const speed = `${bytesText(bytes)} in, ${secondsText(seconds)}, ${rateText(bytes, seconds)}, ${perSecond}/s`;
  const how = { planned: dryRun, sources, unwanted: functions === false };
  const planned = dryRun ? librariesLines(plan.libraries, how) : [];
  const named = librariesLines(libraries, how).filter((line) => !planned.includes(line)); // a dry run mostly finds what was planned
  const lines = [[...named, `${counts.join(', ')}; ${speed}`].join('\nrdbkit: ')];
  if (verbose) {
    for (const { counts: row, db, server } of rows) {
      const words = OUTCOMES.filter((outcome) => row[outcome] > 0).map((outcome) => `${countText(row[outcome])} ${outcome}`);
      if (words.length > 0) lines.push(`rdbkit:   db ${db}${server === '' ? '' : `, ${printable(server)}`}: ${words.join(', ')}`);
    }
  }
  return lines.join('\n');
}

function fieldsOf(summary: RestoreSummary, problems: KeyProblems): object {
  const { companionsRefused, declined, evicted, failure, finished, libraries, plan, resumed, rows, told, total, unanswered, unconfirmed } =
    summary;
  return {
    ...Object.fromEntries(OUTCOMES.map((outcome) => [`keys${outcome[0].toUpperCase()}${outcome.slice(1)}`, total[outcome]])),
    keysDamaged: summary.damaged + total.damaged,
    keysUnanswered: unanswered,
    notKeys: told,
    functions: librariesObject(libraries),
    resumed,
    finished,
    declined,
    counts: rows.map(({ counts, db, server }) => ({ db, ...(server === '' ? {} : { server }), ...counts })),
    memberExpiriesLost: problems.memberExpiries,
    rejected: problems.all,
    reasons: problems.reasons,
    unconfirmed: unconfirmed.map(({ server }) => server),
    commandsRefused: companionsRefused,
    evicted,
    plan: planObject(plan),
    ...(failure === undefined
      ? {}
      : { errors: [failure instanceof OutputError ? outputErrorObject(failure) : serverErrorObject(failure, restoredAny(summary))] }),
  };
}

function failedOf(error: unknown): Failed | undefined {
  if (error instanceof ManifestError) {
    const line = `MANIFEST: ${word(error.path)}: ${printable(error.message)}. Nothing was written to the target.`;
    return { code: EXIT.input, line, object: { code: 'MANIFEST', file: error.path, message: error.message } };
  }
  if (error instanceof CheckpointError) {
    return { code: EXIT.usage, line: `--checkpoint: ${printable(error.message)}.`, object: { code: 'CHECKPOINT', message: error.message } };
  }
  return undefined;
}
