import { LiveSource } from '../live/live-source.js';
import type { Way } from '../live/options.js';
import { dataOf, total } from '../preflight/estimate.js';
import { factsOf, type Lack, type Rights, type Terms, wayOf } from '../preflight/facts.js';
import { type Finding, findingsOf, type Words } from '../preflight/rule.js';
import { RULES } from '../preflight/rules.js';
import { type ServiceName, SERVICES } from '../preflight/services.js';
import { type Meeting, meetings } from '../preflight/shared-keys.js';
import { ServerError } from '../redis/errors.js';
import { Servers } from '../redis/servers.js';
import { type TargetFacts, targetFacts } from '../restore/target-facts.js';
import { compileFilter } from '../values/filters.js';
import type { SyncOptions as ChangeOptions } from '../sync/options.js';
import { checkSources, checkTarget, checkTold } from '../sync/rights.js';
import { keysOf as positionsOf } from '../sync/session.js';
import { MEMORY } from '../sync/spool/spool.js';
import { readRecords } from '../sync/target/lane-records.js';
import type { LiveRunOptions } from './live-sources.js';

export type { Finding, Words } from '../preflight/rule.js';
export type { ServiceName } from '../preflight/services.js';
export type { Meeting } from '../preflight/shared-keys.js';

type SyncOptions = ChangeOptions & LiveRunOptions;

/** Of one source and the target. */
export interface Checked {
  readonly source: string;
  readonly findings: readonly Finding[];
  /** Those of a service that was asked for, its name, and what rdbkit does where it would not take the source. */
  readonly service: readonly Finding[];
  readonly title: string;
  readonly instead: Readonly<Record<string, string>>;
}

export interface Preflight {
  readonly target: string;
  readonly sources: readonly Checked[];
  /** Of several sources: databases whose keys go to the same one. */
  readonly meetings: readonly Meeting[];
}

/** Milliseconds between two looks at processor and writes. */
const MEASURE = 2000;
/** The same where a copy waits for it. */
const MEASURE_SHORT = 500;

/** Holds the rules against one or several sources and their target; writes nothing. Throws ServerError and the reason of the signal. */
export async function preflight(
  options: readonly [SyncOptions, ...SyncOptions[]],
  words: Words,
  service: ServiceName | undefined,
): Promise<Preflight> {
  const [first] = options;
  const { cluster, natMap, onEvent, sentinelLogin, signal, target, tls, url } = first;
  const opened: LiveSource[] = [];
  let servers: Servers | undefined;
  try {
    // by scan: PSYNC is one of the questions, and no reason not to ask the others
    for (const { source, sources } of options) {
      opened.push(await LiveSource.open(sources[0], { ...source, via: 'scan', retryFor: 0, signal, onEvent }));
    }
    servers = await Servers.open({ url, tls, sentinelLogin, natMap }, { cluster, versionKnown: target !== undefined, onEvent });
    const facts = await targetFacts(servers, target);
    const sources: Checked[] = [];
    let others = 0;
    for (const [i, source] of opened.entries()) {
      const positions = await readRecords(servers, positionsOf(options[i])).catch(() => undefined);
      const lanes = positions === undefined ? [] : [...positions.lanes.values()];
      const again = lanes.length > 0;
      const resumes = again && lanes.every(({ record }) => record.phase === 'changes') && options[i].fresh !== true;
      const asked = await factsOf({
        ...{ source, servers, facts, signal, measure: MEASURE, psync: psyncOf(options[i], source) },
        ...{ service: service !== undefined, terms: { ...termsOf(options[i]), resumes, again, others } },
      });
      const all = { ...asked, rights: await rightsOf(options[i], source, servers, wayOf(asked)) };
      others += total(all.source.servers, dataOf) ?? 0;
      sources.push({
        source: source.facts.name,
        findings: findingsOf(RULES, all, words),
        service: service === undefined ? [] : findingsOf(SERVICES[service].rules, all, words),
        title: service === undefined ? '' : SERVICES[service].title,
        instead: service === undefined ? {} : SERVICES[service].instead,
      });
    }
    const origins = opened.map(({ facts: { name }, servers: of }, i) => ({ name, servers: of, target: termsOf(options[i]).target }));
    return { target: facts.masters[0].name, sources, meetings: await meetings(origins) };
  } finally {
    for (const source of opened) source.close();
    servers?.close();
  }
}

/** What a sync is about to copy, and where to. */
interface Copy {
  readonly source: LiveSource;
  readonly servers: Servers;
  readonly facts: TargetFacts;
  readonly signal: AbortSignal;
  /** Whether the target has keys of an earlier run. */
  readonly again: boolean;
  /** Bytes that other sources bring before it. */
  readonly others: number;
}

/** The rules of a sync that is about to make a full copy. Throws ServerError and the reason of the signal. */
export async function checksBefore(options: SyncOptions, { again, others, ...copy }: Copy, words: Words): Promise<Finding[]> {
  const terms = { ...termsOf(options), resumes: false, again, others };
  return findingsOf(RULES, await factsOf({ ...copy, measure: MEASURE_SHORT, psync: psyncOf(options, copy.source), terms }), words);
}

/** Nothing is run. */
async function rightsOf(options: SyncOptions, source: LiveSource, servers: Servers, way: Way): Promise<Rights> {
  const { events, filter, holdExpiries: holds, signal = new AbortController().signal } = options;
  const notes: string[] = [];
  const onNote = (text: string): void => void notes.push(text);
  return {
    source: await lackOf(() =>
      way === 'scan' ? checkTold(source, { events, signal, onNote }) : checkSources(source, { db: filter?.db, signal, onNote }),
    ),
    target: await lackOf(async () => {
      notes.push(...(await checkTarget({ servers, keys: positionsOf(options), way, holds, signal })));
    }),
    notes,
  };
}

async function lackOf(question: () => Promise<void>): Promise<Lack | undefined> {
  try {
    await question();
    return undefined;
  } catch (error) {
    if (error instanceof ServerError && error.code === 'REFUSED') return { reason: error.reason, advice: error.advice };
    throw error;
  }
}

function psyncOf({ source: { psyncCommand } }: SyncOptions, { shards: [{ facts }] }: LiveSource): string | undefined {
  return typeof psyncCommand === 'object' ? psyncCommand.get(facts.master) : psyncCommand;
}

function termsOf(options: SyncOptions): Omit<Terms, 'resumes' | 'again' | 'others'> {
  const { conflict = 'error', dbMap, filter = {}, flush = false, functions = true, maxPayload = 512 << 20 } = options;
  const { source, spool, spoolMax, url } = options;
  const chosen = filter.db === undefined || filter.db.length === 0 ? undefined : new Set(filter.db);
  const only = source.access.url.db;
  return {
    target: (db) => (chosen?.has(db) === false || (only ?? db) !== db ? undefined : (url.db ?? dbMap?.get(db) ?? db)),
    filtered: compileFilter(filter).active,
    via: source.via ?? 'auto',
    ...{ conflict, flush, functions, maxPayload, spoolMax: spool === undefined ? MEMORY : spoolMax },
  };
}
