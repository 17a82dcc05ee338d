import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Plan, RestoreSummary } from '../commands/restore.js';
import { CheckpointError, OUTCOMES, ServerError } from '../commands/restore-terms.js';
import { KeyProblems } from './key-problems.js';
import { emptyRestoreNotes } from './empty-runs.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { EXIT, Interruption, SIGNAL_EXIT } from './exit.js';
import { type Io, isTerminal } from './io.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
import { printable, word } from './printable.js';
import { RESTORE_HELP } from './restore-help.js';
import { checkRestore, type CheckedRestore, type RestoreFlags } from './restore-options.js';
import { planLines, planObject } from './restore-plan-text.js';
import { type Failed, type Listeners, RunCommand, type Task } from './run-command.js';
import { serverErrorLine, serverErrorObject } from './server-errors.js';
import { addDamage, addFilters, addMessages, list, sourceCommand } from './source-options.js';
import { UsageError } from './usage.js';

/** `argv` is the command line as typed, which explains some mistakes; `onExit` takes the exit code. */
export function addRestore(program: Command, io: Io, argv: readonly string[], onExit: (code: number) => void): void {
  const command = sourceCommand(program, 'restore', 'write the keys of RDB files to a server or cluster', RESTORE_HELP.description, { words: '<source...> <target>' });
  command
    .optionsGroup('What is written:')
    .option('--on-conflict <how>', 'error: the target has to be empty; skip: keys that are there stay; replace: they are replaced (default: error)')
    .option('--flush', 'empty the target first: all of it; where --db or the target name databases, those that are written to')
    .option('--yes', 'do not ask before --flush')
    .option('--dry-run', 'read everything and say what would be written, but write nothing')
    .addOption(list('--db-map <from:to>', 'write the keys of one database into another: 3:0, or a list of such pairs'))
    .option('--functions', 'load function libraries, also where only some keys are chosen')
    .option('--no-functions', 'leave function libraries out')
    .option('--ttl-shift <time>', 'expiries are so much later: 90s, 2h, 1d; or earlier: -90s')
    .option('--strip-ttl', 'leave expiries out: keys stay for good')
    .option('--partition <n/of>', 'only this share of the slots: 3/16 is the third of sixteen')
    .option('--target-version <server>', 'write for this server, instead of the version that it says it is')
    .option('--allow-loss', 'what the target has no place for is left out of keys; without this, such keys are rejected')
    .option('--max-payload <bytes>', 'larger values are written with plain commands (default: 512mb)')
    .option('--rejects <file>', 'write keys that the target refuses to this file, as dump --format payload does')
    .option('--checkpoint <file>', 'keep in this file how far it is; with the same file again, it goes on from there');
  command
    .optionsGroup('The target:')
    .option('--cluster', 'it is a cluster, whatever it says')
    .option('--standalone', 'it is a single server, whatever it says')
    .addOption(list('--nat-map <inner=outer>', 'a node that calls itself inner (host:port) is reached at outer'))
    .option('--user <name>', 'log in as this user')
    .option('--password-file <file>', 'the password; else that of REDISCLI_AUTH, else that of the URL')
    .option('--sentinel-user <name>', 'log in to the sentinels as this user')
    .option('--sentinel-password-file <file>', "the sentinels' password; else that of RDBKIT_SENTINEL_AUTH")
    .option('--cacert <file>', 'with rediss://: certificates to trust')
    .option('--cert <file>', 'with rediss://: certificate of this client')
    .option('--key <file>', 'with rediss://: its private key')
    .option('--sni <name>', 'with rediss://: the name to ask for, and to expect in the certificate')
    .option('--insecure', 'with rediss://: do not verify the certificate')
    .option('--retry-for <time>', 'how long a lost, loading or failing server is tried again (default: 60s)')
    .option('--parallel <n>', 'sources that are read at the same time (default: 4)')
    .option('--max-in-flight <bytes>', 'on the way to one server at a time (default: 4mb)')
    .option('--max-keys-per-second <n>', 'write no faster than this')
    .option('--max-bytes-per-second <bytes>', 'write no faster than this');
  addFilters(command);
  command.option('--no-ttl', 'the same as --strip-ttl');
  addDamage(command);
  addMessages(command, RESTORE_HELP.after);
  command.option('--verbose', 'also counts for every database and server');
  command.action(async (words: string[], flags: RestoreFlags) => {
    onExit(await runRestore(words, flags, io, argv));
  });
}

/** Returns the exit code; throws UsageError. */
async function runRestore(words: readonly string[], flags: RestoreFlags, io: Io, argv: readonly string[]): Promise<number> {
  const options = await checkRestore(words, flags, io);
  const { checksum, ignoreAofTail, keepGoing, strict } = flags;
  const { signal, stdin, stdout } = io;
  if (options.flush && !options.dryRun && flags.yes !== true && !(isTerminal(io.stdin) && isTerminal(io.stderr))) {
    throw new UsageError('--flush deletes what the target has, and there is no terminal to ask on: add --yes');
  }
  const { restore } = await import('../commands/restore.js');
  const problems = new KeyProblems(flags.json === true, 'NOT_RESTORED');
  const task: Task<RestoreSummary> = {
    command: 'restore',
    run: async (listeners: Listeners, say) => {
      const summary = await restore({
        ...{ ...options, checksum, ignoreAofTail, keepGoing, strict, stdin, stdout, signal },
        ...listeners,
        onProgress: (now) => listeners.onProgress?.(flags.verbose === true ? now : { ...now, servers: undefined }),
        onPlan: (plan) => agreed(plan, options, flags, io, say),
        onNote: (text) => say(`warning: ${printable(text)}.`),
        onAgain: () => problems.clear(),
        onProblem: (problem) => problems.take(problem, say),
      });
      problems.sum(say);
      for (const server of summary.unconfirmed) say(`warning: ${printable(server)}: no replica confirmed what was written; a failover now could lose keys.`);
      for (const { command, error, server } of summary.companionsRefused) say(`warning: ${printable(server)} refuses ${command} (${printable(error)}): the keys were written, but how many of them replaced another value is not known.`);
      if (summary.unanswered > 0) say(`warning: ${keysText(summary.unanswered)} sent but not answered: ${summary.unanswered === 1 ? 'it' : 'they'} may be on the target as well.`);
      for (const { keys, policy, server } of summary.evicted) say(`warning: ${printable(server)}: ${keysText(keys)} evicted meanwhile (maxmemory-policy ${printable(policy)}): what was restored may be among them. Give it more memory (maxmemory), or restore fewer keys.`);
      if (summary.declined) say('nothing was written.');
      if (summary.failure !== undefined) say(`${serverErrorLine(summary.failure)}${whatNext(options)}`);
      return summary;
    },
    line: (summary) => closingLines(summary, flags, options),
    notes: (summary) => emptyRestoreNotes(summary, flags, options.ttlShift),
    fields: (summary) => fieldsOf(summary, problems),
    exit: ({ declined, evicted, failure, told, total }) => (failure !== undefined ? EXIT.output : declined || evicted.length > 0 || total.rejected + told > 0 ? EXIT.keys : EXIT.done),
    done: 'written',
    tornText: '',
    failed: failedOf,
  };
  return new RunCommand(task, { ...options, output: '' }, flags, io, argv).run();
}

/** Shows the plan; asks before anything is deleted. */
async function agreed(plan: Plan, { dryRun, flush, sources }: CheckedRestore, flags: RestoreFlags, io: Io, say: (text: string) => void): Promise<boolean> {
  if (flags.quiet !== true) for (const line of planLines(plan, sources, flags.functions === false)) say(line);
  if (plan.aofTails.length > 0 && flags.ignoreAofTail !== true) return false;
  if (!flush || dryRun || flags.yes === true) return true;
  return (await answerTo(`rdbkit: delete ${keysText(plan.keysDeleted)} of the target before? Type yes: `, io)) === 'yes';
}

/** The line that is typed; empty where input ends, or a signal comes. The terminal edits the line, so that Ctrl-C is a signal. */
async function answerTo(question: string, { signal, stderr, stdin }: Io): Promise<string> {
  const asked = createInterface({ input: stdin, output: stderr, terminal: false });
  const closed = new Promise<string>((resolve) => asked.once('close', () => resolve('')));
  const stop = (): void => asked.close();
  signal?.addEventListener('abort', stop);
  try {
    return (await Promise.race([asked.question(question), closed])).trim();
  } finally {
    signal?.removeEventListener('abort', stop);
    asked.close();
  }
}

function whatNext({ checkpoint }: CheckedRestore): string {
  return checkpoint === undefined ? '' : ` Run the same command again to go on from ${word(checkpoint)}.`;
}

/** `1,234 keys restored, 3 replaced, 4 skipped; 540 MB in, 12 s, 45 MB/s, 100,000 keys/s`. */
function closingLines(summary: RestoreSummary, { functions, verbose }: RestoreFlags, { dryRun, sources }: CheckedRestore): string {
  const { bytes, damaged, filtered, libraries, limited, rows, seconds, told, total } = summary;
  const there = total.restored + total.replaced;
  const counts = [
    `${keysText(total.restored)} ${dryRun ? 'to restore' : 'restored'}`,
    ...(total.uncounted > 0 ? [`${countText(total.uncounted)} of which may have replaced another value`] : []),
    ...(total.replaced > 0 ? [`${countText(total.replaced)} ${dryRun ? 'to replace one from another source or database' : 'replaced'}`] : []),
    ...(total.skipped > 0 ? [`${countText(total.skipped)} ${dryRun ? 'to skip, as another source or database has the same key' : 'skipped, as the target has the key'}`] : []),
    ...(total.rejected > 0 ? [`${countText(total.rejected)} rejected`] : []),
    ...(total.expired > 0 ? [`${countText(total.expired)} left out as expired`] : []),
    ...(total.transcoded > 0 ? [`${countText(total.transcoded)} in another encoding`] : []),
    ...(told > 0 ? [`${countText(told)} not restored that ${told === 1 ? 'is no key' : 'are no keys'}`] : []),
    ...(filtered > 0 ? [`${countText(filtered)} filtered out`] : []),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    ...(limited ? ['stopped at --limit'] : []),
  ];
  const speed = `${bytesText(bytes)} in, ${secondsText(seconds)}, ${rateText(bytes, seconds)}, ${keysText(Math.round(there / Math.max(seconds, 0.001)))}/s`;
  const named = librariesLines(libraries, { planned: dryRun, sources, unwanted: functions === false });
  const lines = [[...named, `${counts.join(', ')}; ${speed}`].join('\nrdbkit: ')];
  if (verbose === true) {
    for (const { counts: row, db, server } of rows) {
      const words = OUTCOMES.filter((outcome) => row[outcome] > 0).map((outcome) => `${countText(row[outcome])} ${outcome}`);
      if (words.length > 0) lines.push(`rdbkit:   db ${db}${server === '' ? '' : `, ${printable(server)}`}: ${words.join(', ')}`);
    }
  }
  return lines.join('\n');
}

function fieldsOf(summary: RestoreSummary, problems: KeyProblems): object {
  const { companionsRefused, declined, evicted, failure, libraries, plan, resumed, rows, told, total, unanswered, unconfirmed } = summary;
  return {
    ...Object.fromEntries(OUTCOMES.map((outcome) => [`keys${outcome[0].toUpperCase()}${outcome.slice(1)}`, total[outcome]])),
    keysUnanswered: unanswered,
    notKeys: told,
    functions: librariesObject(libraries),
    resumed,
    declined,
    counts: rows.map(({ counts, db, server }) => ({ db, ...(server === '' ? {} : { server }), ...counts })),
    memberExpiriesLost: problems.memberExpiries,
    rejected: problems.all,
    reasons: problems.reasons,
    unconfirmed,
    commandsRefused: companionsRefused,
    evicted,
    plan: planObject(plan),
    ...(failure === undefined ? {} : { errors: [serverErrorObject(failure)] }),
  };
}

function failedOf(error: unknown): Failed | undefined {
  if (error instanceof ServerError) return { code: EXIT.output, line: serverErrorLine(error), object: serverErrorObject(error) };
  if (error instanceof CheckpointError) {
    return { code: EXIT.usage, line: `--checkpoint: ${printable(error.message)}.`, object: { code: 'CHECKPOINT', message: error.message } };
  }
  if (error instanceof Interruption) return { code: SIGNAL_EXIT[error.by], line: `interrupted by ${error.by}.`, object: { code: 'INTERRUPTED', message: error.message } };
  return undefined;
}
