import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { Redis, type RedisOptions as AllOptions } from 'ioredis';
import { ConnectionLost, reasonOf, ServerError } from './errors.js';
import { type Diagnosis, plainDiagnosis, speaksPlain, tlsDiagnosis, WITHOUT_TLS } from './diagnosis.js';
import { isFinal, isLogin } from './refusals.js';
import { type Login, sentinelFailure } from './sentinels.js';
import { aheadByTime, timedInfo } from './server-clock.js';
import type { ReadSlabs } from './read-slabs.js';
import { processOf, type ServerProcess } from './server-info.js';
import { type Address, addressText, type ServerUrl } from './url.js';

type RedisOptions = Omit<AllOptions, 'replyMapping'>;

/** How to reach the servers. */
export interface Access {
  readonly url: ServerUrl;
  /** TLS options, if the URL asks for TLS. */
  readonly tls?: ConnectionOptions | undefined;
  /** For the sentinels; the login in the URL is for the server. */
  readonly sentinelLogin?: Login | undefined;
  /** From the address that a node announces to the one where it is reached from here; keys are `host:port`. */
  readonly natMap?: ReadonlyMap<string, Address> | undefined;
  /** What CLIENT LIST shows (default: rdbkit). */
  readonly connectionName?: string | undefined;
  /** INFO is refused, and not asked for. */
  readonly withoutInfo?: boolean | undefined;
}

/** Milliseconds. */
const CONNECT_TIMEOUT = 10_000;
const COMMAND_TIMEOUT = 30_000;
/** Milliseconds to listen for what a server sends unasked. */
const UNASKED_TIMEOUT = 1000;

/** The address where a node is reached from here. */
export function reachedAt({ natMap }: Access, address: Address): Address {
  return natMap?.get(addressText(address)) ?? address;
}

function optionsFor({ connectionName = 'rdbkit', natMap, sentinelLogin, tls, url }: Access, node: Address | undefined): RedisOptions {
  const { addresses, password, sentinelMaster, username } = url;
  const common: RedisOptions = {
    username,
    password,
    tls: url.tls ? { ...tls } : undefined,
    protocol: 2,
    enableReadyCheck: false, // it needs INFO, and waits in silence while a server is loading
    lazyConnect: true,
    connectionName,
    disableClientInfo: true,
    connectTimeout: CONNECT_TIMEOUT,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    keepAlive: 15_000,
  };
  if (sentinelMaster === undefined || node !== undefined) return { ...common, ...(node ?? addresses[0]) };
  return {
    ...common,
    sentinels: [...addresses],
    name: sentinelMaster,
    sentinelUsername: sentinelLogin?.username,
    sentinelPassword: sentinelLogin?.password,
    sentinelTLS: url.tls ? { ...tls } : undefined,
    enableTLSForSentinelMode: url.tls,
    sentinelRetryStrategy: () => null,
    failoverDetector: false,
    updateSentinels: false,
    natMap: natMap === undefined ? undefined : Object.fromEntries(natMap),
  };
}

/** Connects and logs in. Throws ServerError: REFUSED if another try would fail the same way, else UNREACHABLE. */
async function connected(access: Access, node: Address | undefined, more: RedisOptions): Promise<Redis> {
  const { addresses, sentinelMaster = '' } = access.url;
  const tls = access.url.tls && (sentinelMaster === '' || node !== undefined);
  const client: Redis = new Redis({ ...optionsFor(access, node), ...more });
  const errors: Error[] = [];
  const sentinels: string[] = [];
  client.on('error', (error: Error) => errors.push(error));
  client.on('sentinelError', ({ message }: Error) => sentinels.push(message));
  try {
    await (tls ? unlessPlain(client.connect(), node ?? addresses[0]) : client.connect());
    if (errors.length > 0) throw errors[0];
    return client;
  } catch (error) {
    client.disconnect();
    const cause = errors[0] ?? error;
    if (sentinels.length === addresses.length) throw sentinelFailure(addresses, sentinelMaster, access.sentinelLogin, sentinels, cause);
    throw await failureOf(access, node, cause);
  }
}

/** Why a server was not reached, or closed a connection that was just made: REFUSED if another try would fail the same way. */
export async function failureOf(access: Access, node: Address | undefined, cause: unknown): Promise<ServerError> {
  const { addresses, sentinelMaster, username } = access.url;
  const name = addressText(node ?? addresses[0]);
  const reason = (await unasked(access, node, cause)) ?? explained(cause instanceof Error ? cause : new Error(String(cause)));
  const found = access.url.tls ? tlsDiagnosis(reason) : await foreign(access, node, cause);
  if (found !== undefined) return new ServerError('REFUSED', name, found.reason, cause, found.advice);
  const as = isLogin(reason) ? ` (as ${username ?? 'the default user'})` : '';
  if (isFinal(reason)) return new ServerError('REFUSED', name, `${reason}${as}`, cause);
  // a master that its sentinels name may be about to be replaced
  return new ServerError('UNREACHABLE', name, reason, cause, undefined, { passing: sentinelMaster !== undefined });
}

/** Milliseconds that TLS may take before the server is asked whether it speaks something else. */
const TLS_PATIENCE = 1500;

/** A server without TLS waits for more when it is sent the beginning of TLS: rejects as soon as that is known. */
async function unlessPlain<T>(connecting: Promise<T>, address: Address): Promise<T> {
  const over = new AbortController();
  const plain = delay(TLS_PATIENCE, undefined, { signal: over.signal, ref: false }).then(async () => {
    if (await speaksPlain(address)) throw new Error(WITHOUT_TLS);
    return connecting;
  });
  try {
    return await Promise.race([connecting, plain]);
  } finally {
    over.abort();
    plain.catch(() => undefined);
    connecting.catch(() => undefined);
  }
}

/** What else than a Redis server without TLS it is, if the error looks like that. */
async function foreign({ url }: Access, node: Address | undefined, cause: unknown): Promise<Diagnosis | undefined> {
  if (url.sentinelMaster !== undefined && node === undefined) return undefined;
  const odd = cause instanceof Error && (/RESP type|Protocol error, got/.test(cause.message) || wasClosed(cause));
  return odd ? plainDiagnosis(node ?? url.addresses[0]) : undefined;
}

const wasClosed = (cause: Error): boolean =>
  /^Connection is closed/.test(cause.message) || ('code' in cause && ['EPIPE', 'ECONNRESET'].includes(String(cause.code)));

/**
 * The error that a server sends before it closes a new connection (maxclients, protected mode). Writing to a closed connection
 * destroys unread input, so this one only listens.
 */
async function unasked({ url }: Access, node: Address | undefined, cause: unknown): Promise<string | undefined> {
  const bySentinels = url.sentinelMaster !== undefined && node === undefined;
  if (!(cause instanceof Error && wasClosed(cause)) || url.tls || bySentinels) return undefined;
  const socket = connect({ ...(node ?? url.addresses[0]), timeout: UNASKED_TIMEOUT });
  const text = await new Promise<string>((resolve) => {
    let said = '';
    socket.on('data', (chunk) => (said += chunk.toString('latin1')));
    for (const event of ['error', 'timeout', 'close'] as const) socket.on(event, () => resolve(said));
  });
  socket.destroy();
  return /^-([^\r\n]+)/.exec(text)?.[1];
}

/** An AggregateError of several connection attempts has no message itself. */
function explained(error: Error): string {
  if (error instanceof AggregateError && error.message === '') return (error.errors as Error[]).map(({ message }) => message).join(', ');
  return error.message;
}

/** A connection for single commands; `node` for another server than that of the URL. It does not reconnect when it is lost. */
export function openClient(access: Access, node?: Address): Promise<Redis> {
  return connected(access, node, { commandTimeout: COMMAND_TIMEOUT });
}

/** A raw connection, logged in: paused, database 0 selected, nothing reading from it. */
export interface Opened {
  readonly socket: Duplex;
  /** The server process that it is connected to. */
  readonly process: ServerProcess;
  /** Milliseconds that its clock is ahead of this machine's; undefined if it does not tell the time. */
  readonly clockAhead: number | undefined;
}

/** ioredis connects and logs in; the socket is taken from it. `reads`: where the socket reads to, if it can; who reads may release it. */
export async function openSocket(access: Access, node?: Address, reads?: ReadSlabs): Promise<Opened> {
  const { sentinelMaster, tls } = access.url;
  const plain = !tls && (sentinelMaster === undefined || node !== undefined);
  const own = reads !== undefined && plain ? { Connector: reads.Connector } : {};
  const client = await connected(access, node, { commandTimeout: COMMAND_TIMEOUT, ...own });
  const { ahead, text } = await asked(client, access, node);
  const socket = client.stream as Duplex | undefined;
  if (socket === undefined || socket.destroyed) throw new ConnectionLost('the server closed the connection');
  socket.removeAllListeners();
  socket.pause();
  const { remoteAddress, remotePort } = socket as Partial<Socket>;
  const known = remoteAddress !== undefined && remotePort !== undefined;
  const address = known ? addressText({ host: remoteAddress, port: remotePort }) : undefined;
  return { socket, process: { ...processOf(text), address }, clockAhead: ahead };
}

/** INFO is allowed while a server is loading. */
async function asked(client: Redis, { url, withoutInfo }: Access, node: Address | undefined): ReturnType<typeof timedInfo> {
  try {
    if (withoutInfo === true) return { text: '', ahead: await aheadByTime(client) };
    return await timedInfo(client, 'server');
  } catch (cause) {
    client.disconnect();
    const reason = reasonOf(cause);
    if (isFinal(reason)) throw new ServerError('REFUSED', url.sentinelMaster ?? addressText(node ?? url.addresses[0]), reason, cause);
    throw new ConnectionLost(`INFO: ${reason}`, { cause });
  }
}
