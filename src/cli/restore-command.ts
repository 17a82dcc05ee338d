import type { DiffSummary } from '../commands/diff.js';
import type { RestoreOptions, RestoreSummary } from '../commands/restore.js';
import type { OutputError } from '../commands/terms.js';
import { CheckpointError, endedWell, ManifestError, ServerError } from '../commands/restore-terms.js';
import { answerTo } from './answer.js';
import { command, type Invocation } from './command.js';
import { diffLine, differenceText, metText, MOST_NAMED, verdictObject } from './diff-text.js';
import { KeyProblems } from './key-problems.js';
import { emptyRestoreNotes } from './empty-runs.js';
import { outputErrorLine } from './errors.js';
import { EXIT } from './exit.js';
import type { Failed } from './failure.js';
import { countText, keysText } from './numbers.js';
import { variablesLine } from './options/read.js';
import { printable, word } from './printable.js';
import { checkRestore } from './restore-check.js';
import { agreedTo, closingLines, restoredAny, restoreFields, restoreWarnings } from './restore-text.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { PASSWORD_SHOWS } from './server-access.js';
import { serverErrorLine } from './server-errors.js';

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
        say(PASSWORD_SHOWS);
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
          return agreedTo({ ...plan, sources: files }, checked, options, say, (question) => pause(() => answerTo(question, io)));
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
      for (const warning of restoreWarnings(summary)) say(warning);
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
    fields: (summary) => ({ ...restoreFields(summary, problems), verified: verdict && verdictObject(verdict) }),
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

/** Compares the sources with the target, and names what differs. */
async function verified(
  options: RestoreOptions,
  level: 'keys' | 'values',
  { onError, onEvent, onProgress }: Listeners,
  say: (text: string) => void,
): Promise<DiffSummary> {
  const { verify } = await import('../commands/verify.js');
  let named = 0;
  const summary = await verify({ ...options, onError, onEvent, onProgress }, { level }, (difference) => {
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

const finishedLine = ({ total }: RestoreSummary, { checkpoint = '' }: RestoreOptions): string =>
  `${word(checkpoint)}: this restore is finished, ${keysText(total.restored + total.replaced)} restored. Remove the file to restore again.`;

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
