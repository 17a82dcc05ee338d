import type { Plan, RestoreOptions, RestoreSummary } from '../commands/restore.js';
import { OUTCOMES } from '../commands/restore-terms.js';
import { OutputError } from '../commands/terms.js';
import { outputErrorObject } from './errors.js';
import type { KeyProblems } from './key-problems.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
import type { OptionsOf } from './options/table.js';
import { printable } from './printable.js';
import { planLines, planObject } from './restore-plan-text.js';
import { serverErrorObject } from './server-errors.js';

type Questioned = Pick<OptionsOf<'restore'>, 'dryRun' | 'flush' | 'functions' | 'quiet' | 'yes'> & { readonly ignoreAofTail?: boolean };

/** Shows the plan, and `more` lines of it; asks before anything is deleted. */
export async function agreedTo(
  plan: Plan,
  { sources }: Pick<RestoreOptions, 'sources'>,
  { dryRun, flush, functions, ignoreAofTail, quiet, yes }: Questioned,
  say: (text: string) => void,
  ask: (question: string) => Promise<string>,
  more: readonly string[] = [],
): Promise<boolean> {
  if (!quiet) for (const line of [...planLines(plan, sources, functions === false), ...more]) say(line);
  if (plan.aofTails.length > 0 && !ignoreAofTail) return false;
  if (!flush || dryRun || yes) return true;
  return (await ask(`rdbkit: delete ${keysText(plan.keysDeleted)} of the target first? Type yes: `)) === 'yes';
}

/** `1,234 keys restored, 3 replaced, 4 skipped; 540 MB in, 12 s, 45 MB/s, 100,000 keys/s`. */
export function closingLines(
  summary: RestoreSummary,
  { dryRun, functions, verbose }: Pick<OptionsOf<'restore'>, 'dryRun' | 'functions' | 'verbose'>,
  { sources }: Pick<RestoreOptions, 'sources'>,
): string {
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

export const restoredAny = ({ total }: RestoreSummary): boolean => total.restored + total.replaced > 0;


/** For `--json`. */
export function restoreFields(summary: RestoreSummary, problems: KeyProblems): object {
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


/** What is uncertain about the keys that were written. */
export function restoreWarnings({ companionsRefused, evicted, unanswered, unconfirmed }: RestoreSummary): string[] {
  return [
    ...unconfirmed.map(({ reason, server }) => {
      const why = reason === undefined ? '' : ` (WAIT was refused: ${printable(reason)})`;
      return `warning: ${printable(server)}: no replica confirmed what was written${why}; a failover now could lose keys.`;
    }),
    ...companionsRefused.map(
      ({ command, error, server }) =>
        `warning: ${printable(server)} refuses ${command} (${printable(error)}): the keys were written, ` +
        `but it is unknown how many replaced another value.`,
    ),
    ...(unanswered === 0
      ? []
      : [`warning: ${keysText(unanswered)} sent but not answered: ${unanswered === 1 ? 'it' : 'they'} may be on the target, too.`]),
    ...evicted.map(
      ({ keys, policy, server }) =>
        `warning: ${printable(server)}: ${keysText(keys)} evicted during the restore (maxmemory-policy ${printable(policy)}): ` +
        `restored keys may be among them. Give it more memory (maxmemory), or restore fewer keys.`,
    ),
  ];
}
