import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { LiveSource } from '../live/live-source.js';
import type { Way } from '../live/options.js';
import { type Access, openClient } from '../redis/connect.js';
import { reasonOf, ServerError } from '../redis/errors.js';
import { replicationRefused } from '../redis/replication-probe.js';
import type { Servers } from '../redis/servers.js';
import type { TargetFacts } from '../restore/target-facts.js';
import { writeRefused } from '../restore/write-probe.js';
import { type Answer, ask, configOf, fieldOf, type Info, infoOf, isUnknown, Refused } from './answer.js';
import { type Sample, sampleOf } from './sample.js';

/** What the rules look at. */
export interface Facts {
  readonly source: SourceSide;
  readonly target: TargetSide;
  readonly terms: Terms;
  /** Whether a sync may do all that it needs to; undefined where the sync itself has asked. */
  readonly rights: Rights | undefined;
}

export interface Rights {
  readonly source: Lack | undefined;
  readonly target: Lack | undefined;
  /** What is lacking, and a sync can go without. */
  readonly notes: readonly string[];
}

/** What a server refuses, and what to do. */
export interface Lack {
  readonly reason: string;
  readonly advice: string | undefined;
}

/** What the sync is asked to do. */
export interface Terms {
  /** How the source is to be read: auto is by scan where PSYNC is refused. */
  readonly via: 'auto' | Way;
  /** The database on the target for one of the source; undefined if its keys are left out. */
  readonly target: (db: number) => number | undefined;
  /** Whether only some keys are copied. */
  readonly filtered: boolean;
  readonly conflict: 'error' | 'skip' | 'replace';
  readonly flush: boolean;
  readonly functions: boolean;
  /** Bytes: larger payloads are written with plain commands. */
  readonly maxPayload: number;
  readonly spoolMax: number;
  /** Whether an earlier run has made the full copy. */
  readonly resumes: boolean;
  /** Whether the target has keys of an earlier run, which are replaced. */
  readonly again: boolean;
  /** Bytes that other sources of the same target need. */
  readonly others: number;
}

/** One side: a server, or the masters of a cluster. */
interface Side<T> {
  readonly name: string;
  readonly clustered: boolean;
  /** What it is connected to, and how. */
  readonly login: Login;
  readonly servers: readonly T[];
}

export interface Login {
  readonly hosts: readonly string[];
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: boolean;
}

export interface SourceSide extends Side<SourceServer> {
  /** Only where a service is asked about. */
  readonly service: ServiceFacts | undefined;
}

export interface TargetSide extends Side<ServerFacts> {
  readonly facts: TargetFacts;
  /** Bytes a second of an exchange with the first server, both ways. */
  readonly link: Answer<number>;
  /** What it would say to every write. */
  readonly refuses: string | undefined;
  readonly bulkLimit: Answer<string>;
}

export interface ServerFacts {
  readonly name: string;
  readonly info: Answer<Info>;
  readonly modules: Answer<readonly string[]>;
}

export interface SourceServer extends ServerFacts {
  readonly functions: Answer<number>;
  readonly outputLimit: Answer<string>;
  /** Why PSYNC is refused. */
  readonly psync: string | undefined;
  readonly rates: Answer<Rates>;
  readonly sample: Answer<Sample>;
  readonly link: Answer<number>;
}

/** From one INFO to another. */
export interface Rates {
  readonly seconds: number;
  /** Processor time in a second: 1 is one core. */
  readonly cpu: number | undefined;
  /** Bytes of writes a second. */
  readonly writes: number | undefined;
  /** Nobody has asked the server for its writes yet, so it does not count them: it is what clients sent, which is more. */
  readonly atMost: boolean;
}

/** What services for migration ask for beyond that. */
export interface ServiceFacts {
  readonly needsPassword: Answer<boolean>;
  readonly protectedMode: Answer<string>;
  readonly bind: Answer<string>;
  readonly databases: Answer<string>;
  /** Commands that the source does not have by their names. */
  readonly renamed: Answer<readonly string[]>;
}

export interface Questions {
  readonly source: LiveSource;
  readonly servers: Servers;
  readonly facts: TargetFacts;
  readonly terms: Terms;
  readonly psync?: string | undefined;
  /** Milliseconds between the two looks at processor and writes. */
  readonly measure: number;
  readonly service?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How the source is going to be read. */
export const wayOf = ({ source, terms: { via } }: Facts): Way =>
  via !== 'auto' ? via : source.servers.some(({ psync }) => psync !== undefined) ? 'scan' : 'replication';

/** Asks both sides; nothing is changed. Throws ServerError and the reason of the signal. */
export async function factsOf({ facts, measure, psync, servers, service, signal, source, terms }: Questions): Promise<Facts> {
  const { servers: read } = source;
  const rates = await ratesOf(read, measure, signal);
  const sources = await onEach(read, async (client, name, i) => ({
    ...(await serverFacts(client, name)),
    link: await linkOf(client, await infoOf(client)),
    functions: await functionsOf(client),
    outputLimit: await configOf(client, 'client-output-buffer-limit'),
    psync: await replicationRefused(client, psync),
    rates: rates[i],
    sample: await sampleOf(client),
  }));
  signal?.throwIfAborted();
  const targets = await onEach(servers, serverFacts);
  const limits = async (client: Redis): Promise<Pick<TargetSide, 'link' | 'bulkLimit'>> => ({
    link: await linkOf(client, await infoOf(client)),
    bulkLimit: await configOf(client, 'proto-max-bulk-len'),
  });
  const [{ bulkLimit, link }] = await onEach(servers, limits, 1);
  return {
    source: {
      ...{ name: source.facts.name, clustered: read.clustered, login: loginOf(read.access), servers: sources },
      service: service === true ? await serviceFacts(read) : undefined,
    },
    target: {
      ...{ name: facts.masters[0].name, clustered: servers.clustered, login: loginOf(servers.access), servers: targets },
      ...{ facts, link, bulkLimit },
      refuses: (await writeRefused(servers, terms.maxPayload === 0))?.reason,
    },
    terms,
    rights: undefined,
  };
}

/** A connection to each master that is closed afterwards: databases are changed on it. */
async function onEach<T>(
  servers: Servers,
  question: (client: Redis, name: string, i: number) => Promise<T>,
  most = Infinity,
): Promise<T[]> {
  return Promise.all(
    servers.masters.slice(0, most).map(async ({ address, name }, i) => {
      const client = await openClient(servers.access, address);
      try {
        return await question(client, name, i);
      } catch (error) {
        if (error instanceof ServerError) throw error;
        throw new ServerError('LOST', name, reasonOf(error), error);
      } finally {
        client.disconnect();
      }
    }),
  );
}

async function serverFacts(client: Redis, name: string): Promise<ServerFacts> {
  const info = await infoOf(client);
  const list = await ask('MODULE LIST', () => client.call('MODULE', 'LIST'));
  return { name, info, modules: list instanceof Refused ? isUnknown(list) ? [] : list : namesIn(list) };
}

/** Of a reply like `[["name", "search", "ver", 20811]]`. */
function namesIn(reply: unknown): string[] {
  return (Array.isArray(reply) ? reply : []).flatMap((module: unknown) => {
    const words = Array.isArray(module) ? module.map(String) : [];
    const at = words.indexOf('name');
    return at < 0 ? [] : [words[at + 1]];
  });
}

async function functionsOf(client: Redis): Promise<Answer<number>> {
  const list = await ask('FUNCTION LIST', () => client.call('FUNCTION', 'LIST'));
  if (list instanceof Refused) return isUnknown(list) ? 0 : list;
  return Array.isArray(list) ? list.length : 0;
}

async function ratesOf(servers: Servers, measure: number, signal: AbortSignal | undefined): Promise<Answer<Rates>[]> {
  return onEach(servers, async (client) => {
    const [before, started] = [await infoOf(client), performance.now()];
    if (before instanceof Refused) return before;
    await delay(measure, undefined, { signal });
    const after = await infoOf(client);
    if (after instanceof Refused) return after;
    const seconds = (performance.now() - started) / 1000;
    const perSecond = (...names: readonly string[]): number | undefined => {
      const [from, to] = [before, after].map((info) => sumOf(info, names));
      return from === undefined || to === undefined ? undefined : Math.max(0, to - from) / seconds;
    };
    // without replicas, ever, the offset of replication does not count bytes (redis replication.c, replicationFeedSlaves)
    const atMost = fieldOf(after, 'repl_backlog_active') === 0;
    const writes = perSecond(atMost ? 'total_net_input_bytes' : 'master_repl_offset');
    return { seconds, cpu: perSecond('used_cpu_sys', 'used_cpu_user'), writes, atMost };
  });
}

function sumOf(info: Info, names: readonly string[]): number | undefined {
  const fields = names.map((name) => fieldOf(info, name));
  return fields.includes(undefined) ? undefined : fields.reduce<number>((sum, field) => sum + (field ?? 0), 0);
}

const ECHOED = Buffer.alloc(256 << 10, 'x');
const ECHOES = 8;
/** What a server needs to have left: buffers of clients count as used, and a server that is full evicts keys for them. */
const ROOM = 32 << 20;

/** ECHO goes both ways. */
async function linkOf(client: Redis, info: Answer<Info>): Promise<Answer<number>> {
  const [most, used] = [fieldOf(info, 'maxmemory'), fieldOf(info, 'used_memory')];
  if (most === undefined || used === undefined || (most > 0 && most - used < ROOM)) {
    return new Refused('ECHO', 'not sent, since the server may have little memory left');
  }
  const echo = (): Promise<unknown> => client.callBuffer('ECHO', ECHOED);
  const warm = await ask('ECHO', echo);
  if (warm instanceof Refused) return warm;
  const started = performance.now();
  await Promise.all(Array.from({ length: ECHOES }, echo));
  return (ECHOES * ECHOED.length * 1000) / Math.max(performance.now() - started, 0.1);
}

function loginOf({ url }: Access): Login {
  const { addresses, password, tls, username } = url;
  return { hosts: addresses.map(({ host }) => host), tls, user: username, password: password !== undefined };
}

/** Commands that have to go by their names (ElastiCache, Migration-Prepare). */
const BY_NAME = ['sync', 'psync', 'info', 'config', 'command', 'cluster'] as const;

async function serviceFacts(servers: Servers): Promise<ServiceFacts> {
  const needsPassword = await loginNeeded(servers);
  const [told] = await onEach(
    servers,
    async (client) => {
      const commands = await ask('COMMAND INFO', () => client.call('COMMAND', 'INFO', ...BY_NAME));
      const known = Array.isArray(commands) ? commands : [];
      return {
        protectedMode: await configOf(client, 'protected-mode'),
        bind: await configOf(client, 'bind'),
        databases: await configOf(client, 'databases'),
        renamed: isUnknown(commands) ? ['command'] : commands instanceof Refused ? commands : BY_NAME.filter((_, i) => !isThere(known[i])),
      };
    },
    1,
  );
  return { needsPassword, ...told };
}

const isThere = (command: unknown): boolean => Array.isArray(command) && command.length > 0;

/** Whether a connection without a login is refused. */
async function loginNeeded({ access, masters }: Servers): Promise<Answer<boolean>> {
  const [{ address }] = masters;
  const anonymous: Access = { ...access, url: { ...access.url, username: undefined, password: undefined } };
  try {
    const client = await openClient(anonymous, address);
    try {
      const said = await ask('PING', () => client.ping());
      if (!(said instanceof Refused)) return false;
      return said.reason.startsWith('NOAUTH') ? true : said;
    } finally {
      client.disconnect();
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    return /NOAUTH/.test(error.reason) ? true : new Refused('a connection without a login', error.reason);
  }
}
