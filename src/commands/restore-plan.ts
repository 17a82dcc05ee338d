import type { Servers } from '../redis/servers.js';
import { type SourceHead, sourceHead } from './source-heads.js';
import type { ServerUrl } from '../redis/url.js';
import type { FilterOptions } from '../values/filters.js';
import type { TargetFacts } from './target-facts.js';

/** What decides which part of the target is written to. */
export interface PlanOptions {
  readonly sources: readonly string[];
  readonly url: ServerUrl;
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  readonly filter?: FilterOptions | undefined;
  readonly flush?: boolean | undefined;
}

/** What is going to happen, as far as it can be known before anything is read or written. */
export interface Plan {
  readonly sources: readonly (SourceHead | undefined)[];
  readonly target: TargetFacts;
  /** Keys in the databases that are written to, as far as these are known. */
  readonly keysThere: number;
  /** Keys that are deleted before. */
  readonly keysDeleted: number;
  /** Bytes that the sources' servers used, where all of them say so. */
  readonly memoryNeeded: number | undefined;
  /** Bytes that the target has left, where it has a limit. */
  readonly memoryLeft: number | undefined;
  /** What is not as one would wish. */
  readonly warnings: readonly string[];
}

/** Databases that are written to; undefined for those of the source, which nobody knows yet. */
function chosenDbs({ dbMap, filter, url }: PlanOptions): ReadonlySet<number> | undefined {
  if (url.db !== undefined) return new Set([url.db]);
  if (filter?.db === undefined || filter.db.length === 0) return undefined;
  return new Set(filter.db.map((db) => dbMap?.get(db) ?? db));
}

/** Keys in the databases that are written to: those that stay there. */
export function keysThere(facts: TargetFacts, options: PlanOptions): number {
  return options.flush === true ? 0 : keysWritten(facts, options);
}

function keysWritten({ masters }: TargetFacts, options: PlanOptions): number {
  const chosen = chosenDbs(options);
  let keys = 0;
  for (const master of masters) for (const [db, count] of master.keys) if (chosen?.has(db) !== false) keys += count;
  return keys;
}

export async function planOf(options: PlanOptions, target: TargetFacts): Promise<Plan> {
  const sources = await Promise.all(options.sources.map((source) => sourceHead(source)));
  const memoryNeeded = sources.reduce<number | undefined>((sum, head) => (sum === undefined || head?.usedMemory === undefined ? undefined : sum + head.usedMemory), 0);
  const limited = target.masters.filter(({ maxMemory }) => maxMemory > 0);
  const memoryLeft = limited.length < target.masters.length ? undefined : limited.reduce((sum, { maxMemory, usedMemory }) => sum + Math.max(0, maxMemory - usedMemory), 0);
  const plan = { sources, target, keysThere: keysThere(target, options), keysDeleted: options.flush === true ? keysWritten(target, options) : 0, memoryNeeded, memoryLeft };
  return { ...plan, warnings: warningsOf(plan, options) };
}

function warningsOf({ memoryLeft, memoryNeeded, sources, target }: Omit<Plan, 'warnings'>, { filter, flush }: PlanOptions): string[] {
  const warnings: string[] = [];
  if (target.assumed !== undefined) warnings.push(`${target.version} is not known here: it is written for as ${target.assumed}`);
  const newest = sources.reduce((most, head) => Math.max(most, head?.version ?? 0), 0);
  if (sources.some((head) => head !== undefined && (head.version > target.target.rdbVersion || head.vendor !== target.target.vendor))) {
    warnings.push(`the sources are RDB ${newest}, the target reads ${target.target.rdbVersion}: values that it does not read are written in another encoding`);
  }
  if (flush !== true && memoryLeft !== undefined && memoryNeeded !== undefined && memoryNeeded > memoryLeft && Object.keys(filter ?? {}).length === 0) {
    warnings.push('the memory that is left may not be enough');
  }
  return warnings;
}

/** Whether everything that the target has is deleted. */
export function flushesAll(options: PlanOptions): boolean {
  return options.flush === true && chosenDbs(options) === undefined;
}

/** Empties the databases that are written to, on every master. Throws ServerError. */
export async function flushTarget(servers: Servers, options: PlanOptions, { databases }: TargetFacts): Promise<void> {
  const chosen = chosenDbs(options);
  await servers.eachMaster(async (client) => {
    if (chosen === undefined) {
      await client.flushall();
      return;
    }
    for (const db of chosen) {
      if (db >= databases) continue;
      await client.select(db);
      await client.flushdb();
    }
    await client.select(0);
  });
}
