import { setTimeout as delay } from 'node:timers/promises';
import type { Input, InputOptions } from '../io/input.js';
import { OutputError } from '../io/output-error.js';
import { TS_CODEC } from '../kernels/codec.js';
import type { Shard } from '../live/shard.js';
import type { ReplicationPosition } from '../pipeline/source-heads.js';
import { compileFilter, type Filter, type FilterOptions } from '../values/filters.js';
import { releaseNumber } from '../values/targets.js';
import type { GroupMember } from './group/member.js';
import { specFromServer } from './commands/server-spec.js';
import { keptOf } from './commands/table.js';
import { LagClock } from './lag.js';
import { Lane } from './lane.js';
import type { Place } from './lane/lane-options.js';
import { PlanCounts } from './planner.js';
import { type LaneRecord, slotsText } from './record.js';
import type { Session } from './session.js';
import { ChangeLink, type ChangeLog } from './source/change-link.js';
import { CopyFollower } from './source/copy-follower.js';
import { Fetcher } from './source/fetcher.js';
import { continuation, type Gap, type SourceHistory } from './source/history.js';
import { InfoLink } from './source/info-link.js';
import { FetchedWriter } from './source/write-fetched.js';
import { KeepingInput } from './spool/keeping-input.js';
import type { KeptCopy } from './spool/kept-copy.js';
import type { Spool } from './spool/spool.js';
import type { LaneStatus } from './status.js';
import { StreamParser } from './stream-parser.js';

/** Milliseconds without a reply of the target that is due. */
const PATIENCE = 60_000;
const KILLED = 'a run that is killed before the copy is done';
/** Milliseconds between two looks. */
const LOOK_EVERY = 5;
const NO_COUNTS = new PlanCounts();

/** What a run says of itself in the records of all lanes. */
export type RunRecord = Pick<LaneRecord, 'alone' | 'among' | 'expiries' | 'generation' | 'lanes' | 'options'>;

export interface SourceLaneOptions {
  readonly session: Session;
  readonly number: number;
  readonly shard: Shard;
  readonly spool: Spool;
  /** The source no longer has the writes that come next. Throws SyncGap, unless the lane ends by that. */
  readonly onGap: (lane: SourceLane, gap: Gap) => Promise<void>;
}

/** One master of the source: the link that its writes come by, their spool, and the lane that applies them. */
export class SourceLane {
  readonly number: number;
  readonly shard: Shard;
  readonly spool: Spool;
  /** Undefined until it is known where it begins. */
  lane: Lane | undefined;
  /** Where the full copy stands. */
  copy: { readonly id: string; readonly offset: number; readonly db: number } | undefined;
  private link: ChangeLink | undefined;
  private running: Promise<void> | undefined;
  private readonly lag = new LagClock();
  private readonly session: Session;

  constructor(private readonly options: SourceLaneOptions) {
    this.session = options.session;
    this.number = options.number;
    this.shard = options.shard;
    this.spool = options.spool;
  }

  get name(): string {
    return this.shard.facts.name;
  }

  /** The source's own offset, as far as it has told; 0 if it has not. */
  get sourceOffset(): number {
    return this.link?.state.sourceOffset ?? 0;
  }

  /** Goes on with the writes since a record. Returns why that is not possible. */
  async begin(record: LaneRecord, run: RunRecord): Promise<string | undefined> {
    const { spool } = this;
    if (!hasWrites(spool, record)) await spool.reset(record.id, record.certain);
    this.makeLane({ offset: record.certain, db: record.db }, run);
    const link = this.makeLink();
    const end = await link.start(spool.history.at(-1)?.id ?? record.id, spool.end);
    if (end?.kind === 'gap') return end.reason;
    this.takeWrites(link);
    return undefined;
  }

  /** What `begin` would return. */
  async foreseen(record: LaneRecord): Promise<string | undefined> {
    const { spool } = this;
    const last = hasWrites(spool, record) ? spool.history.at(-1) : undefined;
    const from = last === undefined ? { id: record.id, end: record.certain } : { id: last.id, end: spool.end };
    const end = continuation(await this.history(), [from]);
    return end.kind === 'gap' ? end.reason : undefined;
  }

  /** Goes on with the writes since a file, which is the copy. Returns why that is not possible. */
  async beginAt({ id, offset, streamDb = 0 }: ReplicationPosition, history: SourceHistory): Promise<string | undefined> {
    const { spool } = this;
    const has = hasWrites(spool, { id, certain: offset });
    const from = has ? { id: spool.history.at(-1)?.id ?? id, end: spool.end } : { id, end: offset };
    const foreseen = continuation(history, [from]);
    if (foreseen.kind === 'gap') return foreseen.reason;
    if (this.session.dry) return undefined;
    if (!has) await spool.reset(id, offset);
    const link = this.makeLink();
    const end = await link.start(from.id, from.end);
    if (end?.kind === 'gap') return end.reason;
    if (end !== undefined) return 'another server has taken its place';
    this.copy = { id, offset, db: streamDb };
    this.takeWrites(link);
    return undefined;
  }

  /** The slots of its master, as text; empty where the source is no cluster. */
  get slots(): string {
    return this.session.crossing === undefined ? '' : slotsText(this.shard.facts.slots);
  }

  /** Goes on with the writes since a copy that an earlier run kept. Returns why that is not possible. */
  async beginAtKept(): Promise<string | undefined> {
    const mark = await this.spool.kept?.find();
    if (mark === undefined) return 'an earlier run has kept no RDB of it';
    if (mark === 'torn') return 'the RDB that an earlier run kept of it is not whole';
    if (mark.slots !== this.slots) return `its slots are not those of the RDB that an earlier run kept (${mark.slots})`;
    const { db: streamDb, id, offset } = mark;
    const gap = await this.beginAt({ id, offset, streamDb }, await this.history());
    return gap && `the RDB that an earlier run kept is at offset ${offset} of it: ${gap}`;
  }

  /** Keeps the RDB that its master sends, as it comes. */
  keeping(input: Input, kept: KeptCopy, allocate: InputOptions['allocate']): KeepingInput {
    const { name } = this;
    const say = (text: string): void => this.session.options.onEvent?.(`${name}: ${text}`, true);
    return new KeepingInput(input, {
      ...{ kept, allocate },
      mark: () => {
        if (this.copy === undefined) throw new OutputError(kept.path, 'the copy does not say where it stands');
        const { db, id, offset } = this.copy;
        return { id, offset, db, slots: this.slots };
      },
      onKept: (bytes) => say(`its RDB is kept, ${(bytes / 1e6).toFixed(1)} MB: ${KILLED} goes on from it`),
      onGivenUp: ({ message }) => say(`its RDB is not kept: ${message}: ${KILLED} begins it again`),
    });
  }

  /** Follows the writes together with a full copy. */
  follower(): CopyFollower {
    const { spool } = this;
    return new CopyFollower({
      ...this.linkOptions,
      openLog: async (id, offset) => {
        await spool.reset(id, offset);
        return this.log;
      },
      onLink: (link) => {
        this.link = link;
        this.takeWrites(link);
      },
    });
  }

  /** Ends following: it begins in another way. */
  unlink(): void {
    this.session.crossing?.clear();
    this.link?.close();
    this.link = undefined;
    this.lane = undefined;
  }

  private get linkOptions(): Omit<ConstructorParameters<typeof ChangeLink>[0], 'log'> {
    const { name, session, shard, spool } = this;
    const { onEvent, source } = session.options;
    const { psyncCommand } = source;
    return { name, open: (reads) => shard.connect(reads), reads: spool.reads, psyncCommand, signal: session.signal, onEvent };
  }

  private makeLink(): ChangeLink {
    this.link = new ChangeLink({ ...this.linkOptions, log: this.log });
    return this.link;
  }

  private get log(): ChangeLog {
    const { spool } = this;
    return {
      get end() {
        return spool.end;
      },
      append: (bytes) => spool.append(bytes),
      turn: (id, offset) => spool.turn(id, offset),
      truncate: async (offset) => {
        await this.lane?.rewind(offset);
        await spool.truncate(offset);
      },
    };
  }

  private takeWrites(link: ChangeLink): void {
    this.keepTaking(link).catch((error: unknown) => {
      if (link === this.link) this.session.fail(error); // else another one has taken its place
    });
  }

  private async keepTaking(link: ChangeLink): Promise<void> {
    for (;;) {
      const end = await link.run();
      if (end.kind !== 'gap') continue;
      await this.options.onGap(this, end);
      return;
    }
  }

  makeLane(from: Place, run: RunRecord): void {
    const { name, number, session, shard, spool } = this;
    const { crossing, facts, keys, options, positions, servers, signal, table, token, transactions } = session;
    const { allowLoss, confirm, filter = {}, keyPrefixMap, maxOpsPerSecond, maxPayload, notCommand, onlyCommand } = options;
    const { group, onEvent, onKeyProblem, onNote, publish = false } = options;
    const valuesFilter = valueFilterOf(filter);
    const fetcher = new Fetcher({
      ...{ name, open: () => shard.connectMaster(), clustered: session.source.facts.clustered, onEvent },
      known: (id) => spool.history.some((turn) => turn.id === id),
    });
    const fetched = new FetchedWriter({
      ...{ filter: valuesFilter, codec: TS_CODEC, target: facts.target, sharded: servers.clustered, allowLoss, maxPayload },
      suffix: `${keys.id}:${number}`,
    });
    const large = { codec: TS_CODEC, target: facts.target, maxPayload };
    this.lane = new Lane(
      {
        ...{ number, name, servers, keys, spool, table, positions, fetcher, fetched, large, token, crossing, signal, transactions },
        ...session.choiceOf(shard),
        ...{ names: keyPrefixMap, databases: facts.databases, hold: session.hold },
        releases: { source: releaseOf(shard), target: releaseNumber(facts.target) },
        ...{ fetchAll: valuesFilter !== undefined, takes: takesOf(onlyCommand, notCommand) },
        ...{ confirm, patience: PATIENCE, maxOpsPerSecond, record: run },
        pauses: { alone: session.alone, functions: session.functions, publish, crossing, group },
        notices: group?.notices && ((...at) => group.notices?.written(group.number, ...at)),
        othersHave: group && ((db, found) => othersHave(group, db, found)),
        used: group && (() => group.used.of(group.number)),
        resting: group && (() => group.resting()),
        sourceOffset: async () => (await this.history()).offset,
        learn: (command) => this.learn(command),
        onAsked: () => this.link?.acknowledge(),
        onEvent: (text, notable) => onEvent?.(text, notable),
        onNote: (text) => onNote?.(text),
        onProblem: (problem) => {
          session.problems++;
          onKeyProblem?.(problem);
        },
      },
      from,
    );
    crossing?.add(this.lane);
  }

  /** Applies its writes until `stop`. The first error ends the run; this never rejects. */
  run(): Promise<void> {
    this.running = this.lane?.run().catch((error: unknown) => this.session.fail(error));
    return this.ended;
  }

  /** Resolves when `run` has ended. */
  get ended(): Promise<void> {
    return this.running ?? Promise.resolve();
  }

  /** Where the master stands. Throws SyncError, ServerError, and the reason of the signal. */
  history(): Promise<SourceHistory> {
    return this.session.historyOf(this.shard);
  }

  /** Resolves once everything up to this offset is certain on the target. Throws the reason of the signal. */
  async untilCertain(offset: number, signal: AbortSignal): Promise<void> {
    while (this.lane === undefined || this.lane.certain.offset < offset) await delay(LOOK_EVERY, undefined, { signal });
  }

  /** Whether the source has written anything after an offset that was its last one; also if that cannot be told. */
  async wroteSince(offset: number, id: string, signal: AbortSignal): Promise<boolean> {
    const { spool } = this;
    const now = await this.history();
    if (now.id !== id) return true;
    while (spool.end < now.offset) await delay(LOOK_EVERY, undefined, { signal });
    const parser = new StreamParser(offset, keptOf(this.session.table));
    for (let at = offset; at < now.offset; ) {
      const piece = await spool.read(at, signal);
      parser.push(piece.bytes.slice()); // they may be trimmed meanwhile
      at = piece.offset;
      for (let command = parser.next(); command !== undefined; command = parser.next()) {
        if (this.session.table.of(command)?.kind !== 'quiet') return true;
      }
    }
    return false;
  }

  private async learn(command: string): Promise<boolean> {
    const info = new InfoLink(await this.shard.connectMaster(), this.session.signal);
    try {
      const spec = specFromServer(await info.command(command));
      if (spec === undefined) return false;
      this.session.table.add(spec);
      return true;
    } finally {
      info.close();
    }
  }

  get status(): LaneStatus {
    const { copy, lag, lane, link, name, spool } = this;
    const state = link?.state;
    const applied = lane?.certain.offset ?? copy?.offset ?? 0;
    const received = state?.received ?? spool.end;
    const source = state?.sourceOffset;
    lag.tell(Math.max(source ?? 0, received));
    return {
      ...{ name, connected: state?.connected === true, attached: lane?.attached === true, applied, received, source },
      lagBytes: Math.max(0, Math.max(source ?? 0, received) - applied),
      lagSeconds: lag.secondsAt(applied),
      spool: spool.held,
      counts: lane?.counts ?? NO_COUNTS,
      fetched: lane?.fetchedKeys ?? 0,
    };
  }

  async close(): Promise<void> {
    this.lane?.close();
    this.link?.close();
    await this.spool.close().catch(() => undefined);
  }
}

/** Nobody has to be asked where no other source has keys in this database. */
async function othersHave(group: GroupMember, db: number, keys: readonly Uint8Array[]): Promise<boolean[]> {
  if (!group.used.isShared(group.number, db)) return keys.map(() => false);
  return (await group.origins.having(db, keys, group.number)).map((others) => others.length > 0);
}

/** Whether a spool has the writes since a position. */
function hasWrites({ begin, end, history }: Spool, { certain, id }: Pick<LaneRecord, 'certain' | 'id'>): boolean {
  return certain >= begin && certain <= end && history.findLast(({ from }) => from <= certain)?.id === id;
}

/** What a filter says of values; undefined if it looks only at names of keys and databases. */
export const valueFilterOf = (filter: FilterOptions = {}): Filter | undefined =>
  choosesValues(filter) ? compileFilter(valuesOf(filter)) : undefined;

const choosesValues = ({ maxSize, minSize, notType, ttl, type }: FilterOptions): boolean =>
  [maxSize, minSize, ttl].some((value) => value !== undefined) || [type, notType].some((list) => list !== undefined && list.length > 0);

const valuesOf = ({ maxSize, minSize, notType, now, ttl, type }: FilterOptions): FilterOptions => {
  return { maxSize, minSize, notType, now, ttl, type };
};

function takesOf(only: readonly string[] | undefined, not: readonly string[] | undefined): ((name: string) => boolean) | undefined {
  if (only === undefined && not === undefined) return undefined;
  const [wanted, unwanted] = [only, not].map((names) => names && new Set(names.map((name) => name.toLowerCase())));
  return (name) => wanted?.has(name) !== false && unwanted?.has(name) !== true;
}

/** 602 for 6.2; a server that does not tell is one of the newest. */
function releaseOf({ head: { server = '' } }: Shard): number {
  const match = /^\d+\.\d+/.exec(server);
  return match === null ? Infinity : releaseNumber({ release: match[0] });
}
