import type { Finding, Meeting, Preflight, Words } from '../commands/preflight.js';
import { formatText } from '../commands/diff-terms.js';
import { redacted } from '../commands/live-terms.js';
import { STOPPING } from '../commands/sync-terms.js';
import type { RunSummary } from '../pipeline/run.js';
import type { Invocation } from './command.js';
import { EXIT } from './exit.js';
import { columns, isTerminal } from './io.js';
import { bytesText, countText, keysText, secondsText } from './numbers.js';
import { printable } from './printable.js';
import { RunCommand, type Task } from './run-command.js';
import { checkSyncs } from './sync-check.js';
import { syncFailure } from './sync-errors.js';
import { wrapped } from './text-table.js';
import { UsageError } from './usage.js';

export const WORDS: Words = { bytes: bytesText, count: countText, seconds: secondsText };

const NOTHING: RunSummary = {
  ...{ sources: 1, errors: [], torn: false, partial: undefined, written: 0, seconds: 0, warnings: 0, limited: false, interrupted: false },
  ...{ read: 0, keys: 0, filtered: 0, damaged: 0, expired: 0, memberExpiries: 0, bytes: 0 },
};

interface CheckRun extends RunSummary {
  readonly preflight: Preflight;
}

/** `--check`: the table of rules, and whether anything stops a copy. */
export async function runCheck(invocation: Invocation<'sync'>): Promise<number> {
  const { io, options } = invocation;
  const { for: service, json, quiet } = options;
  if (options.ignoreCheck !== undefined) throw new UsageError('--ignore-check has no meaning with --check, which copies nothing');
  const [first, ...others] = await checkSyncs(invocation);
  const names = [first, ...others].map(({ sources: [name] }) => name);
  const { preflight } = await import('../commands/preflight.js');
  const width = isTerminal(io.stdout) ? columns(io.stdout) : Infinity;
  const task: Task<CheckRun> = {
    command: 'sync',
    run: async ({ onEvent }, _, terminal) => {
      terminal.show(['checking']);
      const terms = [first, ...others].map((one) => ({ ...one, onEvent, signal: io.signal }));
      const found = await preflight([terms[0], ...terms.slice(1)], WORDS, service);
      const lines = tableLines(found, redacted(first.url), width);
      if (!json && !quiet) await terminal.pause(() => Promise.resolve(io.stdout.write(`${lines.join('\n')}\n`)));
      return { ...NOTHING, sources: names.length, preflight: found };
    },
    line: ({ preflight: found }) => closing(found, service !== undefined),
    isEmpty: () => false,
    notes: () => [],
    fields: ({ preflight: { meetings, sources: checked, target } }) => ({
      target,
      checked,
      meetings: meetings.map(({ examples, ...meeting }) => ({ ...meeting, examples: examples.map((key) => formatText(key)) })),
    }),
    exit: ({ preflight: { sources: checked } }) =>
      checked.some((one) => stops(service === undefined ? one.findings : one.service).length > 0) ? EXIT.keys : EXIT.done,
    done: 'checked',
    tornText: '',
    failed: (error) => syncFailure(error, false),
  };
  return new RunCommand(task, invocation, '').run();
}

const stops = (findings: readonly Finding[]): readonly Finding[] => findings.filter(({ outcome }) => outcome === 'stops');

const namesOf = (findings: readonly Finding[]): string => [...new Set(findings.map(({ name }) => name))].join(', ');

/** All findings, a rule on a line, and what to do below it. */
export function tableLines({ meetings, sources }: Preflight, target: string, width: number): string[] {
  return [
    ...sources.flatMap(({ findings, service, source }) => [
      `${printable(source)} into ${printable(target)}`,
      ...findingLines(service.length > 0 ? service : findings, width),
    ]),
    ...meetings.flatMap((meeting) => wrapped(`warning  ${printable(meetingText(meeting))}`, width, '         ')),
  ];
}

function findingLines(findings: readonly Finding[], width: number): string[] {
  const longest = Math.max(...findings.map(({ name }) => name.length));
  const indent = ' '.repeat(9 + longest + 2);
  return findings.flatMap(({ advice, found, name, outcome, server, title }) => {
    const head = `${outcome.padEnd(9)}${name.padEnd(longest + 2)}`;
    const text = printable(`${title}${server === undefined ? '' : ` (${server})`}: ${found}`);
    const [line, ...rest] = wrapped(text, width - indent.length);
    const todo = advice === undefined ? [] : wrapped(`> ${printable(advice)}.`, width - indent.length, '  ');
    return [`${head}${line}`, ...[...rest, ...todo].map((more) => `${indent}${more}`)];
  });
}

export function meetingText({ databases: [db, other], examples, into, sampled, shared, sources: [one, another] }: Meeting): string {
  const where = `database ${db} of ${one} and database ${other} of ${another} both go to database ${into}`;
  if (sampled === undefined) return `${where}; whether they have keys of the same name could not be checked.`;
  const names = examples.map((key) => formatText(key)).join(', ');
  const found = shared === 0 ? 'none is in both' : `${countText(shared)} ${shared === 1 ? 'is' : 'are'} in both (${names})`;
  const advice = `--db-map HOST:PORT/${db}:N, with the address of one of them, keeps them apart.`;
  return `${where}: in a sample of ${keysText(sampled)}, ${found}. ${advice}`;
}

/** What comes of it, as the last line. */
function closing({ sources }: Preflight, isService: boolean): string {
  if (isService) return sources.map(serviceText).join('\nrdbkit: ');
  const all = sources.flatMap(({ findings }) => findings);
  const count = (outcome: Finding['outcome']): number => all.filter((finding) => finding.outcome === outcome).length;
  const [warnings, unknowns] = [count('warning'), count('unknown')];
  const rest = [
    ...(warnings === 0 ? [] : [`${countText(warnings)} ${warnings === 1 ? 'warning' : 'warnings'}`]),
    ...(unknowns === 0 ? [] : [`${countText(unknowns)} could not be checked`]),
  ];
  const stop = stops(all);
  const what = stop.length === 0 ? 'nothing stops a sync' : `a sync would stop or lose keys: ${namesOf(stop)}`;
  return `${[what, ...rest].join(', ')}.`;
}

/** Whether the service would take the source, and what to do if not. */
function serviceText({ findings, instead, service, source, title }: Preflight['sources'][number]): string {
  const against = stops(service);
  const own = stops(findings);
  const says = '--check without --for says what stops a sync of rdbkit';
  const ways = own.length === 0 ? 'nothing stops a sync of rdbkit' : `${says}: ${namesOf(own)}`;
  if (against.length > 0) {
    const does = [...new Set(against.flatMap(({ name }) => instead[name] ?? []))].map((text) => `\nrdbkit:   instead, rdbkit sync ${text}`);
    return `${title} would not take ${printable(source)}: ${namesOf(against)}.${does.join('')}\nrdbkit: ${ways}.`;
  }
  const changes = service.filter(({ outcome }) => outcome === 'warning');
  const once = changes.length === 0 ? '' : `, once this is changed: ${namesOf(changes)}`;
  const unseen = service.filter(({ outcome }) => outcome === 'unknown');
  const besides = unseen.length === 0 ? '' : ` Not seen from here: ${namesOf(unseen)}.`;
  return `${title} would take ${printable(source)}, by its published limits${once}.${besides}`;
}

/** Rules that end a sync before it writes. */
export const stopping = (findings: readonly Finding[], ignored: readonly string[] = []): readonly Finding[] =>
  stops(findings).filter(({ name }) => STOPPING.some((stop) => stop === name) && !ignored.includes(name));

/** What the plan does not say anyway: warnings, and what could not be checked. */
export function planChecks(findings: readonly Finding[]): string[] {
  const unseen = findings.filter(({ outcome }) => outcome === 'unknown');
  return [
    ...findings.flatMap(({ advice, found, inPlan, name, outcome, server, title }) => {
      if (inPlan || outcome === 'ok' || outcome === 'unknown') return [];
      const where = server === undefined ? '' : ` (${server})`;
      return [printable(`warning: ${name}, ${title}${where}: ${found}.${advice === undefined ? '' : ` ${advice}.`}`)];
    }),
    ...(unseen.length === 0 ? [] : [`not checked, since a server does not tell: ${namesOf(unseen)}; --check says more`]),
  ];
}

export function stoppedText(findings: readonly Finding[]): string {
  const reasons = findings.map(({ advice, found, name }) => `${name}: ${found}${advice === undefined ? '' : `. ${advice}`}`).join('; ');
  const names = [...new Set(findings.map(({ name }) => `--ignore-check ${name}`))].join(' ');
  return printable(`the copy would fail or lose keys: ${reasons}. ${names} makes it all the same.`);
}
