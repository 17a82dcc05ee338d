import { createHash, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { LiveSource } from '../live/live-source.js';
import type { Shard } from '../live/shard.js';
import { mayPass, reasonOf } from '../redis/errors.js';
import { Servers } from '../redis/servers.js';
import { addressText } from '../redis/url.js';
import { filterInJson } from '../restore/checkpoint.js';
import type { RestoreOptions } from '../restore/options.js';
import type { TargetFacts } from '../restore/target-facts.js';
import { takesFunctions } from '../values/filters.js';
import { type Choice, choiceOf, withoutLeft } from './choice.js';
import { CommandTable } from './commands/table.js';
import { Crossing } from './crossing.js';
import { LeftKeys, readLeft, removeLeft } from './group/left-keys.js';
import { SyncError } from './errors.js';
import type { SyncOptions } from './options.js';
import { Positions } from './positions.js';
import { RECORD_PREFIX, RecordKeys } from './record.js';
import type { HoldsOptions } from './holds.js';
import { HOLD } from './settle.js';
import { FetchAnywhere } from './source/anywhere.js';
import type { SourceHistory } from './source/history.js';
import { InfoLink } from './source/info-link.js';

/** Milliseconds between two attempts to ask a master where it stands. */
const ASK_EVERY = 200;

/** What all parts of one run of a sync share. */
export class Session {
  readonly keys: RecordKeys;
  readonly positions: Positions;
  readonly table = new CommandTable();
  /** No other run has it. */
  readonly token = randomUUID();
  /** Where the source is a cluster. */
  readonly crossing: Crossing | undefined;
  /** Fires when the run is to end. */
  readonly signal: AbortSignal;
  /** Runs of this sync so far, with this one. */
  generation = 1;
  /** Whether the target had no keys but those of this sync when it began. */
  alone = false;
  /** Keys that could not be brought over. */
  problems = 0;
  /** Keys that are left to other sources. */
  readonly left: LeftKeys;
  private readonly anywhere: FetchAnywhere | undefined;
  private readonly over = new AbortController();
  private failure: { readonly error: unknown } | undefined;

  constructor(
    readonly options: SyncOptions,
    readonly source: LiveSource,
    readonly servers: Servers,
    readonly facts: TargetFacts,
  ) {
    this.keys = keysOf(options);
    this.left = options.group?.left ?? new LeftKeys();
    this.positions = new Positions(
      this.keys,
      facts.masters.map(({ replicationId }) => replicationId).filter((id) => id !== ''),
    );
    this.signal = options.signal === undefined ? this.over.signal : AbortSignal.any([options.signal, this.over.signal]);
    setMaxListeners(0, this.signal, this.over.signal); // each lane has some
    this.anywhere = source.facts.clustered ? new FetchAnywhere(source.servers, options.onEvent) : undefined;
    this.crossing = this.anywhere && new Crossing(this.anywhere, this.signal);
  }

  /** Whether nothing may be changed. */
  get dry(): boolean {
    return this.options.dryRun === true;
  }

  /** What this run says of itself as `<lane>:run`. */
  get name(): string {
    return `${this.generation} ${this.token}`;
  }

  /** Milliseconds that are added to expiries until the sync ends. */
  get hold(): number | undefined {
    return this.options.holdExpiries ? HOLD : undefined;
  }

  get holds(): HoldsOptions {
    const { facts, keys, options, servers, signal } = this;
    const { group, onEvent, onNote } = options;
    return { servers, keys, databases: facts.databases, signal, onEvent, onNote, fellows: group?.keys };
  }

  /** Whether writes can be sent in transactions that set the position. */
  get transactions(): boolean {
    return !this.servers.clustered;
  }

  get functions(): boolean {
    const { filter = {}, functions = takesFunctions({ filter }) } = this.options;
    return functions;
  }

  /** Digest of the options that decide what is written. */
  get fingerprint(): string {
    const { dbMap, filter = {}, keyPrefixMap, notCommand, onlyCommand, url } = this.options;
    return digestOf([
      JSON.stringify({ ...filter, now: undefined }, filterInJson),
      JSON.stringify([[...(dbMap ?? [])], keyPrefixMap?.words, url.db, onlyCommand, notCommand]),
    ]);
  }

  /** Whether the target had no keys but those of this sync and others of its group. */
  get among(): boolean | undefined {
    return this.options.group?.ours;
  }

  /** Learns which keys an earlier run has left to other sources. Throws ServerError. */
  async learnLeft(): Promise<void> {
    if (this.options.group !== undefined) return;
    for (const name of await readLeft(this.servers, this.keys)) this.left.add(name);
  }

  /** Throws ServerError. */
  async forgetLeft(): Promise<void> {
    if (this.options.group === undefined && !this.dry) await removeLeft(this.servers, this.keys);
  }

  choiceOf(shard: Shard): Choice {
    const choice = choiceOf(this.options, shard.db, this.facts.databases);
    const { left, source } = this;
    return left.size > 0 || source.facts.way === 'scan' ? withoutLeft(choice, left) : choice;
  }

  /** Where a master of the source stands. Throws SyncError, ServerError, and the reason of the signal. */
  async historyOf(shard: Shard): Promise<SourceHistory> {
    const { name } = shard.facts;
    for (;;) {
      this.signal.throwIfAborted();
      let info: InfoLink | undefined;
      try {
        info = new InfoLink(await shard.connectMaster(), this.signal);
        const history = await info.history();
        if (history !== undefined) return history;
        throw new SyncError(name, 'it does not tell its replication offset: INFO is needed');
      } catch (error) {
        if (!mayPass(error)) throw error;
        this.options.onEvent?.(`${name}: ${reasonOf(error)}: asking again for its offset`);
      } finally {
        info?.close();
      }
      await delay(ASK_EVERY, undefined, { signal: this.signal });
    }
  }

  /** The run ends with this error, unless it is over. */
  fail(error: unknown): void {
    if (this.over.signal.aborted) return;
    this.failure ??= { error };
    this.over.abort(error);
  }

  /** Throws what `fail` was called with, and the reason of the signal. */
  assertWell(): void {
    if (this.failure !== undefined) throw this.failure.error;
    this.signal.throwIfAborted();
  }

  /** Why the run ended: what `fail` was called with, which causes other errors, or the one that was thrown. */
  reasonFor(thrown: unknown): unknown {
    return this.failure === undefined ? thrown : this.failure.error;
  }

  close(): void {
    this.anywhere?.close();
    this.over.abort(new Error('the sync is over'));
  }
}

/** Keys that a full copy leaves out. */
export function exceptOf({ left, options: { group } }: Session): RestoreOptions['except'] {
  if (group === undefined) return left.size === 0 ? undefined : (...key) => left.has(...key);
  const { choice } = group.origins.all[group.number];
  return (db, ...key) => {
    group.used.use(group.number, choice.target(db));
    return left.has(db, ...key);
  };
}

/** Connects to the target. Throws ServerError. */
export function targetOf({ cluster, natMap, onEvent, sentinelLogin, target, tls, url }: SyncOptions): Promise<Servers> {
  return Servers.open({ url, tls, sentinelLogin, natMap }, { cluster, versionKnown: target !== undefined, onEvent });
}

/** By the words that name source and target, so that the same command goes on, whichever servers are masters by then. */
export function keysOf({ id, positionPrefix, sources, url: { addresses, db, sentinelMaster } }: SyncOptions): RecordKeys {
  const target = [...addresses.map(addressText), sentinelMaster ?? '', db === undefined ? '' : `${db}`];
  return new RecordKeys(id ?? digestOf([...sources, ...target]), positionPrefix ?? RECORD_PREFIX);
}

const digestOf = (parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);
