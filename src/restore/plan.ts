import { RdbError } from '../bytes/errors.js';
import { ServerError } from '../redis/errors.js';
import type { Servers } from '../redis/servers.js';
import { aofTail } from '../pipeline/aof.js';
import { DatabaseCounter } from '../pipeline/database-keys.js';
import { doubtsOf, type SourceManifest } from '../pipeline/manifest.js';
import { type SourceHead, sourceHead } from '../pipeline/source-heads.js';
import type { ServerSource } from '../pipeline/run.js';
import type { ServerUrl } from '../redis/url.js';
import { type Library, noteLibrary } from '../pipeline/libraries.js';
import type { LibraryForecast } from './functions.js';
import type { RestoreConflict } from './outcomes.js';
import { compileFilter, type FilterOptions, takesFunctions } from '../values/filters.js';
import { hasFunctions, type Target } from '../values/targets.js';
import type { TargetFacts } from './target-facts.js';

/** The options that decide which part of the target is written to. */
export interface PlanOptions {
  readonly sources: readonly string[];
  readonly url: ServerUrl;
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  readonly filter?: FilterOptions | undefined;
  readonly flush?: boolean | undefined;
  readonly conflict?: RestoreConflict | undefined;
  readonly besides?: boolean | undefined;
  readonly functions?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly servers?: ReadonlyMap<string, ServerSource> | undefined;
  readonly manifest?: SourceManifest | undefined;
}

export interface AofTail {
  readonly file: string;
  readonly bytes: number;
}

/** What the restore is going to do, as far as it can be known before anything is read or written. */
export interface Plan {
  readonly sources: readonly (SourceHead | undefined)[];
  readonly target: TargetFacts;
  /** The one database that all keys go to. */
  readonly intoDb: number | undefined;
  /** Predicted outcomes of the function libraries at the beginning of the sources. */
  readonly libraries: readonly Library[];
  /** Keys that exist in the databases written to, as far as those are known, and are not deleted first. */
  readonly keysThere: number;
  /** Keys that are deleted first. */
  readonly keysDeleted: number;
  /** Bytes of memory that the servers of the sources used; undefined unless all sources tell. */
  readonly memoryNeeded: number | undefined;
  /** Bytes of memory left on the target; undefined without a limit. */
  readonly memoryLeft: number | undefined;
  /** Sources in which AOF commands follow the RDB, and their bytes, which are not read. */
  readonly aofTails: readonly AofTail[];
  /** Sources that do not begin like an RDB. */
  readonly errors: readonly RdbError[];
  /** The manifest that names the sources, which are as it says. */
  readonly manifest: SourceManifest | undefined;
  /** What the user should look at before going on. */
  readonly warnings: readonly string[];
}

/** Databases that are written to; undefined if those of the sources, which are not known yet. */
function chosenDbs({ dbMap, filter, url }: PlanOptions): ReadonlySet<number> | undefined {
  if (url.db !== undefined) return new Set([url.db]);
  if (filter?.db === undefined || filter.db.length === 0) return undefined;
  return new Set(filter.db.map((db) => dbMap?.get(db) ?? db));
}

/** Throws ServerError if the URL names a database that the target does not have. */
export function checkDatabase({ url }: PlanOptions, { clustered, databases, masters, selects }: TargetFacts): void {
  if (url.db === undefined || url.db < databases) return;
  const there = !selects
    ? 'It refuses SELECT, so there is database 0 only'
    : databases === 1
      ? `${clustered ? 'A cluster' : 'It'} has database 0 only`
      : `It has databases 0 to ${databases - 1}`;
  throw new ServerError(
    'TARGET',
    masters[0].name,
    `the target has no database ${url.db}, which its URL names`,
    undefined,
    `${there}: name one that it has.`,
  );
}

/**
 * Throws ServerError if a server that is read is the target or a replica of it, unless all that is written or deleted is in databases that
 * are not read. Another name of the same server is found by its run id.
 */
export function checkApart(options: PlanOptions, { masters }: TargetFacts): void {
  const { dbMap, filter, flush, servers, url } = options;
  const same = [...(servers ?? [])].flatMap(([name, source]) => {
    const is = masters.find(({ replicationId, runId }) => isSame(runId, source.runId) || isSame(replicationId, source.replicationId));
    return is === undefined ? [] : [{ name, is, source, dbs: source.db === undefined ? (filter?.db ?? []) : [source.db] }];
  });
  if (same.length === 0) return;
  const read = new Set(same.flatMap(({ dbs }) => dbs));
  const written = [...read].map((db) => url.db ?? dbMap?.get(db) ?? db);
  const deletesAll = flush === true && chosenDbs(options) === undefined;
  if (same.every(({ dbs }) => dbs.length > 0) && !written.some((db) => read.has(db)) && !deletesAll) return;
  const [{ is, name, source }] = same;
  throw new ServerError(
    'TARGET',
    is.name,
    isSame(is.runId, source.runId) ? `it is also the source ${name}` : `the source ${name} is a replica of it`,
    undefined,
    'Name another target, or copy from one database into another: --db 0 and a target URL that ends with /1.',
  );
}

const isSame = (id: string, other: string): boolean => id !== '' && id === other;

/** Existing keys in the databases written to that are not deleted first. */
export function keysThere(facts: TargetFacts, options: PlanOptions): number {
  return options.flush === true ? 0 : keysWritten(facts, options);
}

function keysWritten({ masters }: TargetFacts, options: PlanOptions): number {
  const chosen = chosenDbs(options);
  let keys = 0;
  for (const master of masters) for (const [db, count] of master.keys) if (chosen?.has(db) !== false) keys += count;
  return keys;
}

/** `forecast` predicts the outcomes of libraries. */
export async function planOf(options: PlanOptions, target: TargetFacts, forecast: LibraryForecast): Promise<Plan> {
  const heads = await Promise.all(options.sources.map(async (source) => options.servers?.get(source)?.head ?? sourceHead(source)));
  const sources = await withAllKeys(
    heads.map((head) => (head instanceof RdbError ? undefined : head)),
    options,
  );
  const files = sources.filter((head) => head !== undefined && options.servers?.has(head.source) !== true);
  const aofTails = await tailsOf(files, options.signal);
  const memoryNeeded = sources.reduce<number | undefined>(
    (sum, head) => (sum === undefined || head?.usedMemory === undefined ? undefined : sum + head.usedMemory),
    0,
  );
  const limited = target.masters.filter(({ maxMemory }) => maxMemory > 0);
  const memoryLeft =
    limited.length < target.masters.length
      ? undefined
      : limited.reduce((sum, { maxMemory, usedMemory }) => sum + Math.max(0, maxMemory - usedMemory), 0);
  const libraries = await librariesOf(sources, target.target, options, forecast);
  const there = { keysThere: keysThere(target, options), keysDeleted: options.flush === true ? keysWritten(target, options) : 0 };
  const { manifest, url } = options;
  const plan = { sources, target, libraries, intoDb: url.db, manifest, ...there, memoryNeeded, memoryLeft, aofTails };
  return { ...plan, errors: heads.filter((head) => head instanceof RdbError), warnings: warningsOf(plan, options) };
}

/** RDB bytes of all sources that may be read for the plan only: a tenth of a second. */
const MOST_COUNTED = 128 << 20;

/** Adds the keys of all databases, which a file tells only on the way. */
async function withAllKeys(sources: Plan['sources'], { servers, signal }: PlanOptions): Promise<Plan['sources']> {
  if (sources.every((head) => head?.allDatabases !== false || (head.size ?? 0) > MOST_COUNTED)) return sources;
  const counter = new DatabaseCounter(MOST_COUNTED);
  const all: (SourceHead | undefined)[] = [];
  for (const head of sources) {
    const isFile = head?.allDatabases === false && servers?.has(head.source) !== true;
    const keys = isFile ? await counter.of(head.source, head.size, signal) : undefined;
    all.push(head === undefined || keys === undefined ? head : { ...head, keys, allDatabases: true });
  }
  return all;
}

async function tailsOf(sources: Plan['sources'], signal: AbortSignal | undefined): Promise<AofTail[]> {
  const tails: AofTail[] = [];
  for (const head of sources) {
    if (head === undefined) continue;
    const bytes = await aofTail(head, signal);
    if (bytes > 0) tails.push({ file: head.source, bytes });
  }
  return tails;
}

async function librariesOf(sources: Plan['sources'], target: Target, options: PlanOptions, forecast: LibraryForecast): Promise<Library[]> {
  const { functions = takesFunctions(options) } = options;
  const found: Library[] = [];
  for (const head of sources) {
    for (const { code, name } of head?.libraries ?? []) {
      const outcome = functions ? 'refused' : 'leftOut';
      const outcomes =
        functions && code !== undefined && hasFunctions(target) ? await forecast.of({ name, code }) : [{ server: '', outcome } as const];
      for (const on of outcomes) noteLibrary(found, (head as SourceHead).source, name, on);
    }
  }
  return found;
}

/** What happens to libraries that the target has with other code. */
export const libraryConflict = (options: PlanOptions): RestoreConflict => (flushesAll(options) ? 'replace' : (options.conflict ?? 'error'));

function warningsOf(
  { keysThere: there, manifest, memoryLeft, memoryNeeded, sources, target }: Omit<Plan, 'errors' | 'warnings'>, options: PlanOptions,
): string[] {
  const { besides, conflict = 'error', filter, flush } = options;
  const warnings: string[] = manifest === undefined ? [] : doubtsOf(manifest.manifest);
  if (!target.informs) warnings.push('INFO is refused: restarts and evictions are not noticed, and replicas are not waited for');
  if (!target.selects) warnings.push('SELECT is refused: only database 0 is written to');
  if (!target.masters.every(({ counted }) => counted)) warnings.push('it is not known whether the target has keys');
  if (conflict === 'error' && there > 0 && besides !== true) {
    warnings.push(
      'the target must be empty: use --on-conflict skip or replace to keep or replace existing keys, or --flush to delete them',
    );
  }
  if (target.assumed !== undefined) warnings.push(`${target.version} is unknown to this rdbkit and treated as ${target.assumed}`);
  const strange = sources.filter(
    (head): head is SourceHead => head !== undefined && (head.version > target.target.rdbVersion || head.vendor !== target.target.vendor),
  );
  if (strange.length > 0) {
    warnings.push(
      `the target (${target.version}) reads RDB versions up to ${target.target.rdbVersion}, and the sources are of ` +
        `${[...new Set(strange.map(writerText))].join(', ')}: values in an encoding that the target does not know are written in another`,
    );
  }
  if (target.uncovered.length > 0) {
    warnings.push(
      `no master owns the slots ${target.uncovered.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')}: ` +
        'their keys are rejected, the others are written',
    );
  }
  warnings.push(...missing(sources, target, options), ...clocks(target));
  if (
    flush !== true &&
    memoryLeft !== undefined &&
    memoryNeeded !== undefined &&
    memoryNeeded > memoryLeft &&
    !compileFilter(filter ?? {}).active
  ) {
    const policy = target.masters.find(({ maxMemoryPolicy }) => !['', 'noeviction'].includes(maxMemoryPolicy))?.maxMemoryPolicy;
    warnings.push(
      `the memory left may not be enough${policy === undefined ? '' : `: the target would evict keys (maxmemory-policy ${policy})`}`,
    );
  }
  return warnings;
}

/** `Redis 8.0.6 (RDB version 12)`. */
function writerText({ server, vendor, version }: SourceHead): string {
  const name = vendor === 'redis' ? 'Redis' : 'Valkey';
  return `${name}${server === undefined ? '' : ` ${server}`} (RDB version ${version})`;
}

/** Milliseconds that clocks may differ before a warning. */
const CLOCKS_AGREE = 2000;

/** Warns about servers whose clocks differ from this machine's: they decide which keys have expired. */
function clocks({ masters }: TargetFacts): string[] {
  return masters.flatMap(({ clockAhead, name }) => {
    if (clockAhead === undefined) {
      return [`${name} does not tell the time (INFO, TIME): this machine's clock decides which keys have expired`];
    }
    if (Math.abs(clockAhead) <= CLOCKS_AGREE) return [];
    return [
      `the clock of ${name} is ${Math.round(Math.abs(clockAhead) / 1000)} s ${clockAhead > 0 ? 'ahead of' : 'behind'} this machine's, ` +
        'and it decides which keys have expired',
    ];
  });
}

/** What precedes the keys in the sources and has no place on the target. */
function missing(
  sources: Plan['sources'],
  { databases, modules, target, version }: TargetFacts,
  { dbMap, filter, url }: PlanOptions,
): string[] {
  const known = sources.filter((head) => head !== undefined);
  const wanted = [...new Set(known.flatMap((head) => head.modules))].filter((module) => !modules.includes(module));
  const lacking = new Map<number, number>();
  for (const { db, keys } of known.flatMap((head) => head.keys)) {
    const wantedDb = filter?.db === undefined || filter.db.length === 0 || filter.db.includes(db);
    if (wantedDb && (url.db ?? dbMap?.get(db) ?? db) >= databases) lacking.set(db, (lacking.get(db) ?? 0) + keys);
  }
  return [
    ...(known.some(({ functions }) => functions > 0) && !hasFunctions(target)
      ? [`the sources have functions, which ${version} does not support`]
      : []),
    ...(wanted.length > 0 ? [`the sources have data of modules that the target does not have: ${wanted.join(', ')}`] : []),
    ...[...lacking].map(
      ([db, keys]) =>
        `the sources have ${keys === 1 ? 'a key' : `${keys} keys`} in database ${db}, which the target does not have; ` +
          `--db-map ${db}:0 writes its keys to database 0`,
    ),
  ];
}

/** Whether everything on the target is deleted. */
function flushesAll(options: PlanOptions): boolean {
  return options.flush === true && chosenDbs(options) === undefined;
}

/** Empties the databases written to, on every master. Throws ServerError. */
export async function flushTarget(servers: Servers, options: PlanOptions, { databases }: TargetFacts): Promise<void> {
  const chosen = chosenDbs(options);
  await servers.eachMaster(async (client) => {
    if (chosen === undefined) {
      await client.flushall();
      return;
    }
    for (const db of chosen) {
      if (db >= databases) continue;
      if (databases > 1) await client.select(db);
      await client.flushdb();
    }
    if (databases > 1) await client.select(0);
  });
}
