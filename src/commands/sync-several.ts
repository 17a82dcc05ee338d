import { createHash } from 'node:crypto';
import { LiveSource } from '../live/live-source.js';
import { ServerError } from '../redis/errors.js';
import type { Servers } from '../redis/servers.js';
import { flushTarget, type Plan } from '../restore/plan.js';
import { endedWell } from '../restore/summary.js';
import { targetFacts, type TargetFacts } from '../restore/target-facts.js';
import { choiceOf, sourceNames, withoutLeft } from '../sync/choice.js';
import { SyncError } from '../sync/errors.js';
import type { KeyName } from '../sync/fences.js';
import { forget, noneConnected } from '../sync/forget.js';
import { GroupEnded, SyncGroup } from '../sync/group/group.js';
import { LeftKeys, readLeft, removeLeft, writeLeft } from '../sync/group/left-keys.js';
import { Notices, type NoticedKey } from '../sync/group/notices.js';
import { type Origin, Origins, type SharedKey } from '../sync/group/origins.js';
import { UsedDatabases } from '../sync/group/used-databases.js';
import type { RecordKeys } from '../sync/record.js';
import { keysOf, targetOf } from '../sync/session.js';
import { changeRecords, endConnections, type Records, readRecords } from '../sync/target/lane-records.js';
import { type Meeting, meetings } from '../preflight/shared-keys.js';
import type { Finding } from './preflight.js';
import { sync } from './sync.js';
import { seedsBySource } from './sync-several-seeds.js';
import type { SyncOptions, SyncSummary } from './sync-summary.js';

/** Keys that a dry run looks for one by one, at most; of more it takes a sample. */
const MOST_FORESEEN = 200_000;
/** Milliseconds between two lines that tell how far the search for keys of several sources is. */
const TELL_EVERY = 5000;
const EXAMPLES = 3;

/** What one of the sources is going to be done with. */
export interface SourcePlan {
  readonly source: string;
  /** Undefined if it goes on with an earlier run. */
  readonly plan: Plan | undefined;
  readonly goesOn: readonly { readonly name: string; readonly offset: number }[] | undefined;
  readonly findings: readonly Finding[];
}

/** Keys of a database of the target that two sources have. */
export interface SharedKeys {
  readonly db: number;
  /** The one that has the keys on the target, and the one that leaves them to it. */
  readonly kept: string;
  readonly left: string;
  readonly keys: number;
  readonly examples: readonly Uint8Array[];
}

export interface SeveralPlan {
  readonly sources: readonly SourcePlan[];
  readonly target: TargetFacts;
  readonly shared: readonly SharedKeys[];
  /** Where there are too many keys for a dry run to look at all of them. */
  readonly meetings: readonly Meeting[];
  /** Function libraries that several sources have, with their names. */
  readonly libraries: readonly { readonly library: string; readonly sources: readonly string[] }[];
  /** Keys of the target that are deleted first. */
  readonly keysDeleted: number;
}

export interface SeveralOptions {
  /** One for each source. They have the same target, and the same options but for source, databases and listeners. */
  readonly syncs: readonly SyncOptions[];
  readonly signal?: AbortSignal | undefined;
  /** Ends all at clean positions. */
  readonly stop?: AbortSignal | undefined;
  /** Called before anything is written; `false` ends it. */
  readonly onPlan?: ((plan: SeveralPlan) => Promise<boolean>) | undefined;
  /** A key that several sources have is left to one of them. By their names in `syncs`; the key is that of the target. */
  readonly onLeft?: ((key: KeyName & { readonly left: string; readonly kept: string }) => void) | undefined;
  /** A source wrote a key that others have, too. */
  readonly onNoticed?: ((key: KeyName & { readonly by: string; readonly others: readonly string[] }) => void) | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

export interface SeveralSummary {
  /** Undefined for one that had not begun when the others ended. */
  readonly sources: readonly { readonly source: string; readonly summary: SyncSummary | undefined }[];
  readonly shared: readonly SharedKeys[];
  /** Keys that one source wrote and others have; and keys that were not looked for, since there were too many. */
  readonly noticed: number;
  readonly missed: number;
  /** The plan was not agreed to. */
  readonly declined: boolean;
}

/** The names by which syncs of several sources go on: with a name of their own, each adds that of its source. */
export function severalIds(syncs: readonly SyncOptions[]): SyncOptions[] {
  const all = syncs.map((one) => (one.id === undefined ? one : { ...one, id: `${one.id}.${idOf(one.sources[0])}` }));
  const ids = all.map((one) => keysOf(one).id);
  if (new Set(ids).size < ids.length) throw new TypeError('two syncs have the same name');
  return all;
}

const idOf = (source: string): string => {
  const text = source.replace(/^[a-z+]+:\/\//i, '').replace(/[^\w.-]/g, '-');
  const isUnchanged = /^[\w.-]+:\d+$/.test(source.replace(/^[a-z+]+:\/\//i, ''));
  return isUnchanged && text.length <= 40 ? text : createHash('sha256').update(source).digest('hex').slice(0, 12);
};

/**
 * Copies several sources and everything that is written to them into one target: a sync for each, all of which begin, go on and end
 * together. Throws what `sync` throws.
 */
export async function syncSeveral(options: SeveralOptions): Promise<SeveralSummary> {
  const run = await Several.open({ ...options, syncs: severalIds(options.syncs) });
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

/** Ends the syncs of several sources for good: see `forgetSync`. */
export async function forgetSeveral(given: readonly SyncOptions[]): Promise<{ released: number; removed: number }> {
  const syncs = severalIds(given);
  const [first] = syncs;
  const { onEvent, onNote, signal, spool } = first;
  const servers = await targetOf(first);
  try {
    const { databases } = await targetFacts(servers, first.target);
    const fellows = syncs.map((one) => keysOf(one));
    for (const keys of fellows) await noneConnected({ keys, servers, signal, onNote });
    let [released, removed] = [0, 0];
    for (const keys of fellows) {
      const end = await forget({ servers, keys, spool, databases, signal, onEvent, onNote, fellows });
      released += end.released;
      removed += end.removed;
    }
    return { released, removed };
  } finally {
    servers.close();
  }
}

class Several {
  private readonly keys: readonly RecordKeys[];
  private readonly left: readonly LeftKeys[];
  private readonly origins: Origins;

  private constructor(
    private readonly options: SeveralOptions,
    private readonly servers: Servers,
    private readonly facts: TargetFacts,
    private readonly opened: readonly LiveSource[],
  ) {
    const { syncs } = options;
    this.keys = syncs.map((one) => keysOf(one));
    this.left = syncs.map(() => new LeftKeys());
    this.origins = new Origins(syncs.map((one, i) => originOf(one, opened[i], facts, this.left[i])));
  }

  /** Reaches all of them. Throws ServerError, SyncError and the reason of the signal. */
  static async open(options: SeveralOptions): Promise<Several> {
    const { signal, syncs } = options;
    const opened: LiveSource[] = [];
    let servers: Servers | undefined;
    try {
      for (const { onEvent, source, sources } of syncs) {
        opened.push(await LiveSource.open(sources[0], { ...source, via: 'scan', signal, onEvent }));
      }
      checkApart(opened);
      servers = await targetOf(syncs[0]);
      return new Several(options, servers, await targetFacts(servers, syncs[0].target), opened);
    } catch (error) {
      servers?.close();
      for (const source of opened) source.close();
      throw error;
    }
  }

  async run(): Promise<SeveralSummary> {
    const { facts, keys, left, options, origins, servers } = this;
    const [first] = options.syncs;
    const isDry = first.dryRun === true;
    const fresh = first.fresh === true;
    const syncs = await seedsBySource(options.syncs, this.opened);
    const before = await Promise.all(keys.map((own) => readRecords(servers, own)));
    const mayMeet = before.some(({ lanes }) => lanes.size > 0);
    if (!fresh) {
      for (const [i, own] of keys.entries()) for (const name of await readLeft(servers, own)) left[i].add(name);
    }
    const used = new UsedDatabases();
    for (const [number, { choice, keys: there, reads }] of origins.all.entries()) {
      for (const db of there.keys()) if (reads(db)) used.use(number, choice.target(db));
      if (fresh) continue;
      for (const { record } of before[number].lanes.values()) for (const db of record.used ?? []) used.use(number, db);
    }
    const group = {
      ...{ origins, keys, left, used, notices: undefined, ours: this.oursBefore(before) },
      replacesLibraries: first.conflict === 'replace',
    };
    const sources = await this.foreseen(syncs, new SyncGroup({ ...group, mayMeet }));
    const copies = sources.some(({ plan }) => plan !== undefined);
    this.checkEmpty(sources, mayMeet);
    const shared = copies ? await this.shared(isDry) : { keys: [], meetings: [] };
    const chosen = this.choose(shared.keys);
    const keysDeleted = first.flush === true ? Math.max(0, ...sources.map(({ plan }) => plan?.keysDeleted ?? 0)) : 0;
    const plan = { sources, target: facts, shared: chosen.report, meetings: shared.meetings, libraries: this.libraries(), keysDeleted };
    const agreed = await options.onPlan?.(plan);
    const none = syncs.map((one) => ({ source: one.sources[0], summary: undefined }));
    const ending = { shared: chosen.report, noticed: 0, missed: 0 };
    if (isDry || agreed === false) return { ...ending, sources: none, declined: true };
    // what an earlier run of one has sent may concern keys of the others: nothing of it comes any more when the first of them begins
    for (const own of keys) await endConnections(servers, own);
    if (copies) await this.prepare(before, chosen.left);
    const notices = new AbortController();
    const noticing = new Notices({ origins, used, signal: notices.signal, onNoticed: (key) => this.noticed(key) });
    try {
      const ends = await this.follow(syncs, new SyncGroup({ ...group, notices: noticing, mayMeet: true }));
      await noticing.settled();
      return { ...ending, sources: ends, noticed: noticing.noticed, missed: noticing.missed, declined: false };
    } finally {
      notices.abort();
    }
  }

  /** Whether the target has no keys but those of these syncs. */
  private oursBefore(before: readonly Records[]): boolean {
    const { facts, options } = this;
    const records = before.flatMap(({ lanes }) => [...lanes.values()].map(({ record }) => record));
    const empty = facts.masters.every(({ counted, keys }) => counted && keys.size === 0);
    if (empty || options.syncs[0].flush === true) return true;
    return records.length > 0 && records.every(({ alone, among }) => alone || among === true);
  }

  /** What each of them would do. Nothing is written. */
  private async foreseen(syncs: readonly SyncOptions[], group: SyncGroup): Promise<SourcePlan[]> {
    const all: SourcePlan[] = [];
    const { signal } = this.options;
    let needed = 0;
    for (const [i, one] of syncs.entries()) {
      let found: SourcePlan = { source: one.sources[0], plan: undefined, goesOn: undefined, findings: [] };
      const { checks } = one;
      const member = group.members[i];
      member.needed = needed;
      await sync({
        ...{ ...one, signal, dryRun: true, group: member, onStatus: undefined, onProgress: undefined },
        checks: checks && {
          words: checks.words,
          take: (findings) => {
            checks.take(findings);
            found = { ...found, findings };
          },
        },
        onPlan: (plan) => {
          found = { ...found, plan };
          return Promise.resolve(false);
        },
        onGoesOn: (goesOn) => (found = { ...found, goesOn }),
      });
      member.follows();
      all.push(found);
      if (found.plan === undefined) continue;
      for (const { usedMemory = 0 } of this.opened[i].facts.shards) needed += usedMemory;
    }
    return all;
  }

  /** Throws ServerError if the target has keys of others, and no option says what becomes of them, and SyncError for a flush too many. */
  private checkEmpty(sources: readonly SourcePlan[], mayMeet: boolean): void {
    const { conflict = 'error', dryRun, flush } = this.options.syncs[0];
    const goesOn = sources.find((one) => one.goesOn !== undefined);
    if (flush === true && goesOn !== undefined && sources.some(({ plan }) => plan !== undefined)) {
      const advice = 'leave out --flush to go on, or add --fresh to copy all sources again';
      throw new SyncError(goesOn.source, `--flush would delete what an earlier run of this sync has brought to the target: ${advice}`);
    }
    const there = Math.max(0, ...sources.map(({ plan }) => plan?.keysThere ?? 0));
    if (mayMeet || dryRun === true || flush === true || conflict !== 'error' || there === 0) return;
    throw new ServerError('TARGET', this.servers.masters[0].name, `the target has ${there === 1 ? 'a key' : `${there} keys`} already`);
  }

  private async shared(isDry: boolean): Promise<{ keys: readonly SharedKey[]; meetings: readonly Meeting[] }> {
    const { options, origins } = this;
    const most = origins.databases.reduce((sum, { least }) => sum + least, 0);
    if (isDry && most > MOST_FORESEEN) {
      const all = origins.all.map(({ choice, name, reads, servers }) => ({
        ...{ name, servers },
        target: (db: number) => (reads(db) ? choice.target(db) : undefined),
      }));
      return { keys: [], meetings: await meetings(all) };
    }
    const { prefix } = this.keys[0];
    const isPosition = (key: Uint8Array): boolean => Buffer.from(key.subarray(0, prefix.length)).equals(Buffer.from(prefix));
    let told = Date.now();
    const keys = await origins
      .shared(isPosition, options.signal, (looked) => {
        if (Date.now() - told < TELL_EVERY) return;
        told = Date.now();
        options.onEvent?.(`looking for keys that several sources have: ${looked} of about ${most}`, true);
      })
      .catch((error: unknown) => {
        if (!(error instanceof RangeError)) throw error;
        const advice = 'give them other databases with --db-map, or choose keys by filters';
        throw new SyncError(options.syncs[0].sources[0], `${error.message}: ${advice}`);
      });
    return { keys, meetings: [] };
  }

  /** Which source each of the keys belongs to: the first one, or with `replace` the last one. */
  private choose(keys: readonly SharedKey[]): { report: SharedKeys[]; left: (KeyName & { from: number; to: number })[] } {
    const { options, origins } = this;
    const isLast = options.syncs[0].conflict === 'replace';
    const found: (KeyName & { from: number; to: number })[] = [];
    const groups = new Map<string, SharedKeys & { keys: number; examples: Uint8Array[] }>();
    for (const { db, key, sources } of keys) {
      const to = isLast ? Math.max(...sources) : Math.min(...sources);
      for (const from of sources) {
        if (from === to) continue;
        found.push({ db, key, from, to });
        const [kept, left] = [to, from].map((number) => origins.all[number].name);
        const known = groups.get(`${db} ${from} ${to}`) ?? { db, kept, left, keys: 0, examples: [] };
        known.keys++;
        if (known.examples.length < EXAMPLES) known.examples.push(key);
        groups.set(`${db} ${from} ${to}`, known);
      }
    }
    return { report: [...groups.values()], left: found };
  }

  private libraries(): SeveralPlan['libraries'] {
    const all = new Map<string, string[]>();
    for (const { facts, shards } of this.opened) {
      for (const { name } of shards[0].head.libraries) all.set(name, [...(all.get(name) ?? []), facts.name]);
    }
    return [...all].flatMap(([library, sources]) => (sources.length > 1 ? [{ library, sources }] : []));
  }

  /** What is to be on the target before the first copy begins. Throws ServerError. */
  private async prepare(before: readonly Records[], chosen: readonly (KeyName & { from: number; to: number })[]): Promise<void> {
    const { facts, keys, left, options, origins, servers } = this;
    const [{ flush, fresh }] = options.syncs;
    if (flush === true) for (const one of options.syncs) await flushTarget(servers, one, facts);
    const among = this.oursBefore(before);
    for (const [number, own] of keys.entries()) {
      // one of them alone must not delete what is of the others from now on
      await changeRecords(servers, own, (record) => ({ ...record, alone: false, among }));
      if (fresh === true) await removeLeft(servers, own);
      const { choice, names } = origins.all[number];
      const names1 = chosen.flatMap(({ db, from, key, to }) =>
        from === number ? sourceNames(choice, names, db, key).map((name) => ({ ...name, to: origins.all[to].name })) : [],
      );
      await writeLeft(servers, own, names1);
      for (const name of names1) left[number].add(name);
    }
    for (const { db, from, key, to } of chosen) {
      options.onLeft?.({ db, key, left: origins.all[from].name, kept: origins.all[to].name });
    }
  }

  private noticed({ by, db, key, others }: NoticedKey): void {
    const { all } = this.origins;
    this.options.onNoticed?.({ db, key, by: all[by].name, others: others.map((number) => all[number].name) });
  }

  private async follow(syncs: readonly SyncOptions[], group: SyncGroup): Promise<SeveralSummary['sources']> {
    const { onNote, signal, stop } = this.options;
    const end = (): void => group.end('stopped');
    stop?.addEventListener('abort', end, { once: true });
    if (stop?.aborted === true) end();
    let failure: { readonly error: unknown } | undefined;
    const runs = syncs.map(async (one, number) => {
      const member = group.members[number];
      const [source] = one.sources;
      const own = member.aborting.signal;
      try {
        const summary = await sync({
          ...{ ...one, group: member, onPlan: undefined, onHead: undefined, onServer: undefined, checks: undefined },
          ...{ signal: signal === undefined ? own : AbortSignal.any([own, signal]), stop: member.stopping.signal },
        });
        const isWhole = summary.restored === undefined || endedWell(summary.restored);
        if (!isWhole || summary.cutover?.kind === 'different') group.end(`${source} has ended`);
        return { source, summary };
      } catch (error) {
        if (error instanceof GroupEnded) return { source, summary: undefined };
        if (failure === undefined && signal?.aborted !== true) {
          onNote?.(`${source}: its sync has failed: those of the other sources end where they are`);
        }
        failure ??= { error };
        group.end(`${source} has failed`);
        return { source, summary: undefined };
      } finally {
        group.ended(number);
      }
    });
    const ends = await Promise.all(runs);
    stop?.removeEventListener('abort', end);
    if (failure !== undefined) throw failure.error;
    return ends;
  }

  close(): void {
    this.servers.close();
    for (const source of this.opened) source.close();
  }
}

function originOf(options: SyncOptions, source: LiveSource, { databases }: TargetFacts, left: LeftKeys): Origin {
  const { filter = {}, keyPrefixMap } = options;
  const [shard] = source.shards;
  const chosen = filter.db === undefined || filter.db.length === 0 ? undefined : new Set(filter.db);
  const keys = new Map<number, number>();
  for (const { facts } of source.shards) for (const { db, keys: count } of facts.keys) keys.set(db, (keys.get(db) ?? 0) + count);
  return {
    name: options.sources[0],
    servers: source.servers,
    choice: withoutLeft(choiceOf(options, shard.db, databases), left),
    reads: (db) => chosen?.has(db) !== false && (shard.db ?? db) === db,
    names: keyPrefixMap,
    keys,
  };
}

/** Throws SyncError if two sources are the same. */
function checkApart(opened: readonly LiveSource[]): void {
  for (const [i, source] of opened.entries()) {
    const twin = opened.slice(0, i).find((other) => other.overlaps(source));
    if (twin === undefined) continue;
    throw new SyncError(source.facts.name, `it is the same server as ${twin.facts.name}, or a replica of it: give one of them`);
  }
}
