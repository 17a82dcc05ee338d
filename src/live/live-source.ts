import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { reasonOf, ServerError } from '../redis/errors.js';
import { replicationRefused } from '../redis/replication-probe.js';
import type { ServerInfo } from '../redis/server-info.js';
import { type Master, Servers } from '../redis/servers.js';
import { addressText } from '../redis/url.js';
import { Waiting } from '../redis/waiting.js';
import type { DatabaseKeys } from '../pipeline/database-keys.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import { libraryName } from '../values/meta.js';
import { KeySet } from '../values/key-set.js';
import { knownTarget, versionText } from '../values/server-version.js';
import type { LiveFacts, ShardFacts } from './facts.js';
import type { LiveOptions, Way } from './options.js';
import { replicaToRead } from './replicas.js';
import { replicationFacts } from './replication-plan.js';
import { MOST_REMEMBERED } from './scan-input.js';
import { Shard } from './shard.js';

/** Milliseconds between two attempts to reach a server. */
const REACH_EVERY = 500;
export const RETRY_FOR = 60_000;

/** A server, or all masters of a cluster, as sources: each is a shard, with a name of its own. */
export class LiveSource {
  private constructor(
    readonly facts: LiveFacts,
    readonly shards: readonly Shard[],
    private readonly servers: Servers,
    /** By slot, when the reading began: the index of its master. */
    private readonly owners: Int16Array | undefined,
  ) {}

  /**
   * Reaches the servers and chooses the way to read them. `again`: they were reached before, and may take a while to come back. Throws
   * ServerError and the reason of the signal.
   */
  static async open(name: string, options: LiveOptions, again = false): Promise<LiveSource> {
    let servers: Servers | undefined;
    try {
      servers = await reached(options, again);
      return await LiveSource.of(name, options, servers);
    } catch (error) {
      servers?.close();
      if (options.signal?.aborted === true) throw options.signal.reason;
      const failure = error instanceof ServerError ? error : new ServerError('LOST', name, reasonOf(error), error);
      failure.ofSource = true;
      throw failure;
    }
  }

  private static async of(name: string, options: LiveOptions, servers: Servers): Promise<LiveSource> {
    const { refused, way } = await wayOf(options, servers);
    const notes: string[] = [];
    const shards: Shard[] = [];
    const keys = new KeySet(MOST_REMEMBERED);
    for (const [index, master] of servers.masters.entries()) {
      const client = await servers.client(master);
      const { access } = servers;
      const onNote = (text: string): void => void notes.push(text);
      const replica = options.preferReplica === true ? await replicaToRead(client, { access, name: master.name, onNote }) : undefined;
      const node = replica ?? master.address;
      const asked = replica === undefined ? client : await servers.clientTo(replica);
      const info = await servers.infoOf(asked);
      const facts: ShardFacts = {
        name: servers.clustered ? `redis://${master.name}` : name,
        master: master.name,
        node: node === undefined ? master.name : addressText(node),
        replicaOf: replica === undefined ? info.masterAddress : master.name,
        id: master.id,
        runId: info.runId,
        slots: servers.rangesOf(index),
        usedMemory: info.usedMemory,
        keys: databasesOf(info),
        replication: way === 'replication' ? await replicationFacts(asked) : undefined,
      };
      shards.push(new Shard(facts, await headOf(facts.name, info, asked), { options, servers, master, node, way, keys }));
    }
    const facts: LiveFacts = {
      name,
      version: versionText(servers.info),
      clustered: servers.clustered,
      way,
      refused,
      shards: shards.map((shard) => shard.facts),
      notes,
    };
    return new LiveSource(facts, shards, servers, servers.owners?.slice());
  }

  /** What may be missing, or come twice, after everything was read. Throws ServerError. */
  async gaps(): Promise<string[]> {
    const { owners, servers } = this;
    const unread = this.shards.flatMap((shard) => shard.gaps);
    if (owners === undefined) return unread;
    const masters = servers.masters;
    await servers.refresh();
    const moved = movedSlots({ masters, owners }, servers);
    if (moved.length === 0) return unread;
    return [
      ...unread,
      `${this.facts.name}: the slots ${moved.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')} moved to other ` +
        'masters while the cluster was read: their keys may be missing, or come twice. Read it again once its slots stay where they are, ' +
        'or with --via scan, which reads moved slots again',
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

/** The servers, as soon as they answer. Throws ServerError. */
async function reached(
  { access, cluster, onEvent, retryFor = RETRY_FOR, signal }: LiveOptions,
  again: boolean,
): Promise<Servers> {
  const waiting = new Waiting(retryFor, onEvent);
  for (;;) {
    try {
      const servers = await Servers.open(access, { cluster, readOnly: true, versionKnown: true, onEvent });
      waiting.over();
      return servers;
    } catch (error) {
      const mayPass = error instanceof ServerError && (error.passing || (again && error.code !== 'REFUSED'));
      if (!mayPass || waiting.tooLong || signal?.aborted === true) throw error;
      waiting.tell(`${error.server}: ${error.reason}`, 0);
    }
    await delay(REACH_EVERY, undefined, { signal });
  }
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
  throw new ServerError('REFUSED', first.name, first.refused, undefined, 'Read it with SCAN and DUMP instead: --via scan.');
}

const databasesOf = ({ expires, keys }: ServerInfo): DatabaseKeys[] =>
  [...keys].map(([db, count]) => ({ db, keys: count, expires: expires.get(db) ?? 0 }));

/** What a server tells before its first key. */
async function headOf(source: string, info: ServerInfo, client: Redis): Promise<SourceHead> {
  const { target } = knownTarget(info);
  const libraries = await librariesOf(client);
  return {
    source,
    vendor: target.vendor,
    version: target.rdbVersion,
    server: info.version,
    usedMemory: info.usedMemory,
    created: undefined,
    keys: databasesOf(info),
    allDatabases: true,
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

interface Owned {
  readonly masters: readonly Master[];
  readonly owners: Int16Array | undefined;
}

/** Ranges of slots that have another owner now. A replica that took over from its master has the same keys, and counts as another. */
function movedSlots(before: Owned, after: Owned): [from: number, to: number][] {
  const name = ({ masters, owners }: Owned, slot: number): string | undefined => masters[owners?.[slot] ?? -1]?.id;
  const ranges: [number, number][] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    if (name(before, slot) === name(after, slot)) continue;
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}
