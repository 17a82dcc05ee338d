import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { formatText } from '../bytes/text.js';
import { reasonOf, ServerError, type ServerErrorCode } from '../redis/errors.js';
import { replicationRefused } from '../redis/replication-probe.js';
import type { ServerInfo } from '../redis/server-info.js';
import { type Master, Servers } from '../redis/servers.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { type Address, addressText } from '../redis/url.js';
import { Waiting } from '../redis/waiting.js';
import type { DatabaseKeys } from '../pipeline/database-keys.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import { libraryName } from '../values/meta.js';
import { knownTarget, versionText } from '../values/server-version.js';
import { ClusterState, type ClusterView } from './cluster-state.js';
import type { LiveFacts, ShardFacts } from './facts.js';
import type { LiveOptions, Way } from './options.js';
import { ReadNode } from './read-node.js';
import { replicaToRead } from './replicas.js';
import { replicationFacts } from './replication-plan.js';
import { ScanRounds } from './scan/scan-rounds.js';
import { Shard, type ShardCluster } from './shard.js';
import { Snapshots } from './snapshots.js';

/** Milliseconds between two attempts to reach a server. */
const REACH_EVERY = 500;
export const RETRY_FOR = 60_000;

/** A server, or all masters of a cluster, as sources: each is a shard, with a name of its own. */
export class LiveSource {
  private constructor(
    readonly facts: LiveFacts,
    readonly shards: readonly Shard[],
    readonly servers: Servers,
    private readonly cluster: ShardCluster | undefined,
    private readonly shardOf: (master: Master, index: number) => Promise<Shard>,
  ) {}

  /**
   * Reaches the servers and chooses the way to read them. `before`: the same source, reached before: its servers may take a while to come
   * back, and any node of its cluster will do. Throws ServerError and the reason of the signal.
   */
  static async open(name: string, options: LiveOptions, before: LiveOptions['reached'] = options.reached): Promise<LiveSource> {
    const { onEvent, retryFor = RETRY_FOR, signal } = options;
    const waiting = new Waiting(retryFor, onEvent);
    const nodes = before?.servers.clustered === true ? before.servers.nodes : [];
    let wasReached = before !== undefined;
    for (let attempt = 0; ; attempt++) {
      let servers: Servers | undefined;
      try {
        const node = nodes.at(attempt % Math.max(nodes.length, 1));
        servers = await unlessAborted(serversOf(options, node), signal, (late) => late.close());
        wasReached = true;
        const source = await unlessAborted(LiveSource.of(name, options, servers), signal, () => undefined);
        waiting.over();
        return source;
      } catch (error) {
        servers?.close();
        signal?.throwIfAborted();
        const failure = error instanceof ServerError ? error : new ServerError(codeOf(error), name, reasonOf(error), error);
        failure.readAs = options.side ?? 'source';
        const mayPass = failure.passing || (wasReached && (failure.code === 'LOST' || failure.code === 'UNREACHABLE'));
        if (!mayPass || waiting.tooLong) throw failure;
        waiting.tell(`${failure.server}: ${failure.reason}`, 0);
      }
      await delay(Math.min(REACH_EVERY, retryFor), undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  private static async of(name: string, options: LiveOptions, servers: Servers): Promise<LiveSource> {
    const { onEvent, preferReplica = false, retryFor = RETRY_FOR, signal } = options;
    const { refused, way } = await wayOf(options, servers);
    const notes: string[] = [];
    const state = servers.clustered ? await ClusterState.of(servers) : undefined;
    // with SCAN, a master that has no slots yet is asked for those on their way to it at the end
    const masters = (way === 'replication' ? state?.shards : undefined) ?? servers.masters;
    const rounds = state && new ScanRounds(state, masters.length, {
      ...{ name, retryFor, signal, onEvent },
      repeats: options.scan?.repeats === true,
    });
    const cluster = state && rounds && { state, rounds, snapshots: new Snapshots() };
    const shardOf = async (master: Master, index: number): Promise<Shard> => {
      const client = await servers.client(master);
      const { access } = servers;
      const informs = access.withoutInfo !== true;
      const onNote = (text: string): void => void notes.push(text);
      const replica = preferReplica ? await replicaToRead(client, { access, name: master.name, onNote }) : undefined;
      const address = replica ?? master.address;
      const asked = replica === undefined ? client : await servers.clientTo(replica);
      const info = await servers.infoOf(asked);
      const facts: ShardFacts = {
        name: servers.clustered ? `redis://${master.name}` : name,
        master: master.name,
        node: address === undefined ? master.name : addressText(address),
        replicaOf: replica === undefined ? info.masterAddress : master.name,
        id: master.id,
        runId: info.runId,
        replicationId: info.replicationId,
        slots: servers.rangesOfMaster(master.name),
        usedMemory: informs ? info.usedMemory : undefined,
        keys: databasesOf(info),
        replication: way === 'replication' ? await replicationFacts(asked) : undefined,
      };
      const now = state === undefined ? () => Promise.resolve(master) : () => state.masterOf(index);
      const node = new ReadNode({ servers, master: now, replica, preferReplica, onEvent });
      return new Shard(facts, await headOf(facts.name, info, asked, informs), { options, index, node, way, cluster });
    };
    const shards: Shard[] = [];
    for (const [index, master] of masters.entries()) shards.push(await shardOf(master, index));
    if (state?.refused !== undefined) {
      notes.push(`CLUSTER NODES is refused (${state.refused}): keys of slots on their way to another node may be left out`);
    }
    if (servers.uncovered.length > 0) options.onNote?.(name, `${unowned(servers.uncovered)}: keys of these slots cannot be read`);
    const facts: LiveFacts = {
      name,
      version: servers.info.version === '' ? undefined : versionText(servers.info),
      clustered: servers.clustered,
      way,
      refused,
      shards: shards.map((shard) => shard.facts),
      notes,
    };
    return new LiveSource(facts, shards, servers, cluster, shardOf);
  }

  /** Where the keys of all slots of a cluster are now; CLUSTER NODES is needed. Throws ServerError and ConnectionLost. */
  async view(): Promise<ClusterView | undefined> {
    const { cluster, facts } = this;
    const view = await cluster?.state.view();
    if (cluster?.state.refused === undefined) return view;
    const error = new ServerError('REFUSED', facts.name, cluster.state.refused);
    error.readAs = 'source';
    throw error;
  }

  /** Masters of the cluster that have come since this was asked last, with `known` shards. Throws ServerError and ConnectionLost. */
  async joined(known: number): Promise<Shard[]> {
    const masters = this.cluster?.state.shards ?? [];
    const joined: Shard[] = [];
    for (let index = known; index < masters.length; index++) joined.push(await this.shardOf(masters[index], index));
    return joined;
  }

  /** Whether another source is the same server, and the same databases are read of both. */
  isTwin({ shards }: LiveSource): boolean {
    return this.shards.some((one) => shards.some((other) => isSame(one.runId, other.runId) && one.db === other.db));
  }

  /** Whether another source is the same server, or a replica of it, and some databases are read of both. */
  overlaps({ shards }: LiveSource): boolean {
    return this.shards.some((one) =>
      shards.some(
        (other) =>
          (isSame(one.runId, other.runId) || isSame(one.replicationId, other.replicationId)) &&
          (one.db === undefined || other.db === undefined || one.db === other.db),
      ),
    );
  }

  /** What may be missing, or come twice, after everything was read. */
  async gaps(): Promise<string[]> {
    const { cluster, facts } = this;
    const unread = this.shards.flatMap((shard) => shard.gaps);
    if (cluster === undefined) return unread;
    try {
      const gaps = facts.way === 'scan' ? await this.ofScan(cluster) : await this.ofSnapshots(cluster);
      return [...unread, ...gaps.map((gap) => `${facts.name}: ${gap}`)];
    } catch (error) {
      return [...unread, `${facts.name}: it is not known whether slots moved while it was read: ${reasonOf(error)}. Read it again`];
    }
  }

  private async ofScan({ rounds, state }: ShardCluster): Promise<string[]> {
    const missing = await rounds.missing();
    return this.missing(missing, await state.view(), 'moved again and again while the cluster was read', AT_REST);
  }

  private async ofSnapshots({ snapshots, state }: ShardCluster): Promise<string[]> {
    const view = await state.view();
    const { missing, twice } = snapshots.flaws(new Map(view.claimants.map(({ claim, shard }) => [shard, claim])));
    const moved = 'moved to another master while the cluster was read';
    return [
      ...this.missing(await state.withKeys(missing, view), view, moved, `${AT_REST}, or with --via scan, which follows them`),
      ...(twice.length === 0 ? [] : [`${slotsText(rangesOf(twice))} ${moved}: their keys may come twice`]),
    ];
  }

  private missing(slots: readonly number[], { owners }: ClusterView, why: string, advice: string): string[] {
    const [nobodys, moved] = [slots.filter((slot) => owners[slot] < 0), slots.filter((slot) => owners[slot] >= 0)];
    return [
      ...(moved.length === 0 ? [] : [`${slotsText(rangesOf(moved))} ${why}: their keys may be missing. ${advice}`]),
      ...(nobodys.length === 0 ? [] : [`${unowned(rangesOf(nobodys))}: their keys are missing, if there were any`]),
    ];
  }

  /** What else the user should know after everything was read. */
  get notes(): string[] {
    return this.shards.flatMap((shard) => shard.notes);
  }

  close(): void {
    this.servers.close();
  }
}

const codeOf = (error: unknown): ServerErrorCode => (error instanceof Error && error.name === 'ReplyError' ? 'REFUSED' : 'LOST');

/** The servers, through this node instead of that of the URL if one is given. Throws ServerError. */
function serversOf({ access, cluster, onEvent }: LiveOptions, node: Address | undefined): Promise<Servers> {
  const through = node === undefined ? access : { ...access, url: { ...access.url, addresses: [node] } };
  return Servers.open(through, { cluster, readOnly: true, onEvent });
}

/** How to read the servers: all in one way. Throws ServerError if replication is asked for and refused. */
async function wayOf({ psyncCommand, via = 'auto' }: LiveOptions, servers: Servers): Promise<{ way: Way; refused: string | undefined }> {
  if (via === 'scan') return { way: 'scan', refused: undefined };
  const reasons = await servers.eachMaster(async (client, { name }) => {
    const refused = await replicationRefused(client, typeof psyncCommand === 'object' ? psyncCommand.get(name) : psyncCommand);
    return refused === undefined ? undefined : { name, refused };
  });
  const first = reasons.find((reason) => reason !== undefined);
  if (first === undefined) return { way: 'replication', refused: undefined };
  if (via === 'auto') return { way: 'scan', refused: first.refused };
  const advice = first.refused.startsWith('NOPERM') ? undefined : 'Read it with SCAN and DUMP instead: --via scan.';
  throw new ServerError('REFUSED', first.name, first.refused, undefined, advice);
}

const databasesOf = ({ expires, keys }: ServerInfo): DatabaseKeys[] =>
  [...keys].map(([db, count]) => ({ db, keys: count, expires: expires.get(db) ?? 0 }));

/** What a server tells before its first key. */
async function headOf(source: string, info: ServerInfo, client: Redis, informs: boolean): Promise<SourceHead> {
  const { target } = knownTarget(info);
  const libraries = await librariesOf(client);
  return {
    source,
    vendor: target.vendor,
    version: target.rdbVersion,
    server: info.version === '' ? undefined : info.version,
    usedMemory: informs ? info.usedMemory : undefined,
    created: undefined,
    keys: databasesOf(info),
    allDatabases: informs,
    functions: libraries.length,
    libraries,
    modules: info.modules,
    aofMark: undefined,
    compression: 'none',
    ofPayloads: false,
    size: undefined,
  };
}

/** Function libraries, with their code; none if the server refuses to tell them. */
async function librariesOf(client: Redis): Promise<SourceHead['libraries']> {
  const reply = await client.callBuffer('FUNCTION', 'LIST', 'WITHCODE').catch(() => []);
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((library) => {
    const fields: readonly unknown[] = Array.isArray(library) ? library : [];
    const at = fields.findIndex((field) => field instanceof Uint8Array && formatText(field, 0, field.length) === 'library_code');
    const code = at < 0 ? undefined : fields[at + 1];
    return code instanceof Uint8Array ? [{ name: libraryName(code), code }] : [];
  });
}

const isSame = (id: string, other: string): boolean => id !== '' && id === other;

const AT_REST = 'Read it again once its slots stay where they are';

/** Ranges of slots, which ascend. */
function rangesOf(slots: readonly number[]): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

/** Ranges that a message names. */
const MOST_RANGES = 50;

function slotsText(ranges: readonly (readonly [from: number, to: number])[]): string {
  const named = ranges.slice(0, MOST_RANGES).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  const more = ranges.length > MOST_RANGES ? ` and ${ranges.length - MOST_RANGES} more ranges` : '';
  return `the slots ${named.join(', ')}${more}`;
}

const unowned = (ranges: readonly (readonly [from: number, to: number])[]): string => `${slotsText(ranges)} have no owner`;
