import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { encodeCommand } from '../../redis/commands.js';
import type { Opened } from '../../redis/connect.js';
import { ConnectionClosed, ConnectionLost, reasonOf, ServerError } from '../../redis/errors.js';
import { ANY_DB } from './pending-keys.js';
import { PushParser } from './push-parser.js';

/** How a source tells which keys were written: client-side caching (Redis 6.0), or keyspace notifications. */
export type Events = 'tracking' | 'notifications';

export interface ToldLinkOptions {
  /** `host:port` of the master. */
  readonly name: string;
  readonly events: Events;
  /** What names begin with that are to be told: one of these; none: all names. None is the beginning of another. */
  readonly prefixes: readonly Uint8Array[];
  /** `db`: ANY_DB where it is not told. */
  readonly onKey: (db: number, bytes: Uint8Array, start: number, end: number) => void;
  readonly onFlush: () => void;
  /** What it told from then on is lost. */
  readonly onLost: (link: ToldLink, reason: string) => void;
}

/** Milliseconds that a reply may take. */
const PATIENCE = 15_000;
/** The name of a channel before the database and the key. */
const CHANNEL = Buffer.from('__keyspace@');
const CHANNEL_PATTERN = '__keyspace@*__:*';
const ZERO = 0x30;
const PING = encodeCommand(['PING']);

/** A connection on which a master tells the names of keys that are written. It is read at once, so that the server holds nothing. */
export class ToldLink {
  readonly name: string;
  isOpen = false;
  /** Of the process that it is connected to. */
  runId = '';
  private socket: Duplex | undefined;
  private readonly waiting: { readonly resolve: (text: string) => void; readonly reject: (reason: unknown) => void }[] = [];
  private readonly parser: PushParser;

  constructor(private readonly options: ToldLinkOptions) {
    this.name = options.name;
    const { onFlush, onKey } = options;
    this.parser = new PushParser({
      key: (bytes, start, end) => onKey(ANY_DB, bytes, start, end),
      flushed: onFlush,
      message: (channel) => this.message(channel),
      reply: (text) => this.waiting.shift()?.resolve(text),
    });
  }

  /** Everything that is written once it resolves is told. Throws ServerError if the server cannot tell, and ConnectionLost. */
  async start({ process, socket }: Opened): Promise<void> {
    this.socket = socket;
    this.runId = process.runId;
    this.isOpen = true;
    socket.on('data', (chunk: Uint8Array) => this.received(chunk));
    socket.on('error', (error) => this.lose(new ConnectionClosed(reasonOf(error), { cause: error })));
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => this.lose(new ConnectionClosed('the server closed the connection')));
    }
    socket.resume();
    const { events, prefixes } = this.options;
    if (events === 'notifications') {
      this.check(await this.ask('PSUBSCRIBE', CHANNEL_PATTERN), 'PSUBSCRIBE', SUBSCRIBING);
      return;
    }
    this.check(await this.ask('HELLO', '3'), 'HELLO 3', TRACKING);
    const chosen = prefixes.flatMap((prefix) => ['PREFIX', prefix]);
    this.check(await this.ask('CLIENT', 'TRACKING', 'ON', 'BCAST', ...chosen), 'CLIENT TRACKING', TRACKING);
  }

  private check(reply: string, command: string, advice: string): void {
    if (!reply.startsWith('-')) return;
    this.close();
    const passing = /^-(?:LOADING|MASTERDOWN|CLUSTERDOWN|BUSY) /.test(reply);
    throw new ServerError('REFUSED', this.name, `${command}: ${reply.slice(1)}`, undefined, advice, { passing });
  }

  private message(channel: Uint8Array): void {
    let db = 0;
    let at = CHANNEL.length;
    for (; channel[at] >= ZERO && channel[at] <= ZERO + 9; at++) db = 10 * db + channel[at] - ZERO;
    this.options.onKey(db, channel, at + 3, channel.length); // after `__:`
  }

  private received(chunk: Uint8Array): void {
    try {
      this.parser.push(chunk);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.lose(new ConnectionLost(error.message));
    }
  }

  private async ask(...command: (string | Uint8Array)[]): Promise<string> {
    return this.send(encodeCommand(command));
  }

  private async send(command: Uint8Array): Promise<string> {
    const { socket } = this;
    if (socket === undefined || !this.isOpen) throw new ConnectionLost('there is no connection');
    const over = new AbortController();
    const late = delay(PATIENCE, undefined, { signal: over.signal, ref: false }).then(
      () => this.lose(new ConnectionLost(`it did not answer for ${PATIENCE / 1000} s`)),
      () => undefined,
    );
    try {
      return await new Promise<string>((resolve, reject) => {
        this.waiting.push({ resolve, reject });
        socket.write(command);
      });
    } finally {
      over.abort();
      await late;
    }
  }

  /**
   * All that was written before this is called is told when it resolves. A server tells what was written at the end of a turn of its event
   * loop, which may be after its answers of this turn: so a second PING follows the answer to the first one. Rejects with ConnectionLost.
   */
  async heard(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const reply = await this.send(PING);
      if (!reply.startsWith('-')) continue;
      this.lose(new ConnectionLost(reply.slice(1)));
      throw new ConnectionLost(reply.slice(1));
    }
  }

  private lose(reason: ConnectionLost): void {
    if (!this.isOpen) return;
    this.close(reason);
    this.options.onLost(this, reason.message);
  }

  /** Ends it without events. */
  close(reason = new ConnectionLost('closed')): void {
    this.isOpen = false;
    this.socket?.destroy();
    for (const { reject } of this.waiting.splice(0)) reject(reason);
  }
}

/** Notifications have to be on: all classes, by keys. Throws ServerError. */
export async function assertNotifies(name: string, client: Redis, onNote: ((text: string) => void) | undefined): Promise<void> {
  const reply = await client.config('GET', 'notify-keyspace-events').catch(() => undefined);
  const flags = Array.isArray(reply) && reply.length > 1 ? reply[1] : undefined;
  if (flags === undefined) {
    onNote?.(`${name} does not tell whether keyspace notifications are on (CONFIG GET): notify-keyspace-events has to have K and A`);
    return;
  }
  if (flags.includes('K') && (flags.includes('A') || Array.from('g$lshzxetd').every((flag) => flags.includes(flag)))) return;
  const advice = 'CONFIG SET notify-keyspace-events KA, or a parameter group, turns them on.';
  const reason = `its notify-keyspace-events is "${flags}", so that not all writes are told`;
  throw new ServerError('REFUSED', name, reason, undefined, advice);
}

const TRACKING =
  'The source does not tell what is written by client-side caching (Redis 6.0 and later; right: +hello +client|tracking). ' +
  'Keyspace notifications may do: --events notifications.';
const SUBSCRIBING = 'Keyspace notifications need the rights +psubscribe +ping and allchannels.';
