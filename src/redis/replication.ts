/*
 * The replica's side of replication, over the socket that `openSocket` hands over.
 *
 *     const link = await ReplicationLink.full(socket, { name, rdbOnly: true });
 *     for await (const bytes of link.rdb()) …
 *     link.close();
 *
 * Without `rdbOnly`, `commands` goes on with the writes since; `ReplicationLink.from` begins with them, at an offset that is known.
 */
import type { Duplex } from 'node:stream';
import { encodeCommand } from './commands.js';
import { ServerError } from './errors.js';
import { PulledSocket } from './pulled-socket.js';
import { refusalOf } from './refusals.js';

export interface ReplicationOptions {
  /** `host:port`, for messages. */
  readonly name: string;
  /** What the server calls PSYNC, if it was renamed; nothing else is tried then. */
  readonly psync?: string | undefined;
  /** Only the RDB is wanted: the server keeps no writes for this replica, and closes the link after the RDB. */
  readonly rdbOnly?: boolean | undefined;
  /** Milliseconds without a byte from the server after which the link counts as lost (default 60,000). */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called about once a second while the server prepares the RDB. */
  readonly onPreparing?: (() => void) | undefined;
  /**
   * Called when the server has said where its full copy will stand in its history, before it sends the RDB: often long before. Nothing is
   * read until it resolves, and a rejection ends the attempt. A server that does not say it, having no PSYNC, is refused.
   */
  readonly onPosition?: ((id: string, offset: number) => Promise<void>) | undefined;
}

/** Bytes of the stream of writes, which are commands in RESP; cut anywhere. */
export interface StreamChunk {
  readonly bytes: Uint8Array;
  /** The replication offset after these bytes. */
  readonly offset: number;
}

/** Servers send a newline every second, and PING every 10 s (repl-ping-replica-period). */
const PATIENCE = 60_000;
/**
 * The version that is told to the server: Valkey (since 8.1) takes it, and since 9.0 sends the newest RDB that such a version reads.
 * Without it, one that has field expiries cannot send them, and ends the transfer (valkey replication.c, replicaRdbVersion).
 */
const VERSION = '9.2.0';
/** Bytes of the mark at the end of an RDB of unknown length (redis server.h, CONFIG_RUN_ID_SIZE). */
const MARK = 40;
const CHUNK = 1 << 20;
/** Milliseconds between two REPLCONF ACK until the stream begins, and later. One alone may come before the server looks for it. */
const ACK_FIRST = 100;
const ACK_LATER = 1000;
/** Milliseconds for the server to close the link after the RDB: then it has seen itself that the transfer is complete. */
const FAREWELL = 2000;

/** What PSYNC or SYNC was answered with. */
interface Answer {
  readonly id: string;
  readonly offset: number | undefined;
  readonly continued: boolean;
  /** The line that begins the RDB, if it was the answer itself. */
  readonly header: string | undefined;
}

/** A server that takes this client for a replica. */
export class ReplicationLink {
  /** Bytes of the RDB, if the server states them; it does not if it sends the RDB while writing it (repl-diskless-sync). */
  readonly size: number | undefined;
  /** Bytes of the RDB received. */
  received = 0;
  private readonly mark: Buffer | undefined;
  private complete = false;
  private acks: NodeJS.Timeout | undefined;
  private streaming = false;
  private processed: number;

  private constructor(
    private readonly pulled: PulledSocket,
    private readonly options: ReplicationOptions,
    /** Id of the history that offsets belong to; empty if the server has no PSYNC. */
    readonly id: string,
    /**
     * Offset of the last byte before the stream; undefined if the server has no PSYNC. With `rdbOnly` it may be stale, where the
     * server was writing an RDB for another replica already: `repl-offset` in the RDB is right.
     */
    readonly offset: number | undefined,
    /** The server keeps no writes for this replica, and closes the link after the RDB. */
    readonly rdbOnly: boolean,
    header: string,
  ) {
    const { length, mark } = transferOf(header, options.name);
    this.size = length;
    this.mark = mark;
    this.processed = offset ?? 0;
  }

  /**
   * Asks for a full copy; resolves when the transfer of the RDB begins. Throws ServerError (REFUSED, `passing` if it may be different
   * in a while), ConnectionLost, or the reason of the signal; the socket is closed then.
   */
  static async full(socket: Duplex, options: ReplicationOptions): Promise<ReplicationLink> {
    return opened(socket, options, async (pulled) => {
      const rdbOnly = await introduce(pulled, options.rdbOnly === true ? ['rdb-only', '1'] : []);
      const { header, id, offset } = await sync(pulled, options, '?', -1);
      if (options.onPosition !== undefined) {
        if (offset === undefined) throw new ServerError('REFUSED', options.name, NO_PSYNC);
        await options.onPosition(id, offset);
      }
      return new ReplicationLink(pulled, options, id, offset, rdbOnly, header ?? (await nextLine(pulled, options)));
    });
  }

  /**
   * Asks for the writes after an offset, for example from `repl-id` and `repl-offset` of an RDB; the database that is selected then is
   * its `repl-stream-db`. Resolves to undefined if the server would only give a full copy: it does not know the id, or no longer has
   * these writes. Its fork for that copy may be in vain. Throws like `full`.
   */
  static async from(socket: Duplex, id: string, offset: number, options: ReplicationOptions): Promise<ReplicationLink | undefined> {
    return (await ReplicationLink.introduced(socket, options)).from(id, offset);
  }

  /**
   * Does for `from` what can be done before the offset is known. Throws like `full`, and where REPLCONF is refused: without ACK, the
   * link ends.
   */
  static introduced(socket: Duplex, options: ReplicationOptions): Promise<IntroducedReplica> {
    return opened(socket, options, async (pulled) => {
      const wish = ['rdb-filter-only', '']; // an RDB that nobody wants has no keys then (since 7.0)
      await introduce(pulled, wish, (line) => refusal(options.name, line));
      return {
        from: (id, offset) => closedOnError(pulled, options, () => ReplicationLink.continued(pulled, id, offset, options)),
        close: () => pulled.close(),
      };
    });
  }

  private static async continued(
    pulled: PulledSocket,
    id: string,
    offset: number,
    options: ReplicationOptions,
  ): Promise<ReplicationLink | undefined> {
    const answer = await continuing(pulled, options, id, offset + 1);
    if (answer === undefined) {
      pulled.close();
      return undefined;
    }
    const link = new ReplicationLink(pulled, options, answer.id === '' ? id : answer.id, offset, false, NO_RDB);
    link.begin();
    return link;
  }

  /** Milliseconds of the longest time that the server had to wait for this reader. */
  get longestPause(): number {
    return this.pulled.longestPause;
  }

  /**
   * The bytes of the RDB, in `buffer` (default: one of its own): a chunk is valid until the next one is asked for. Ending the loop
   * early closes the link. Throws ConnectionLost if the link ends before the RDB does.
   */
  async *rdb(buffer: Uint8Array = new Uint8Array(CHUNK)): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* this.mark === undefined ? this.stated(buffer) : this.marked(buffer, this.mark);
      this.complete = true;
      if (this.options.rdbOnly !== true) this.begin();
    } finally {
      if (!this.complete) this.close();
    }
  }

  private async *stated(buffer: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    const { size = 0 } = this;
    while (this.received < size) {
      const count = await this.pulled.read(buffer.subarray(0, Math.min(buffer.length, size - this.received)));
      this.received += count;
      yield buffer.subarray(0, count);
    }
  }

  /** The last bytes are held back: they may be the beginning of the mark. */
  private async *marked(buffer: Uint8Array, mark: Buffer): AsyncGenerator<Uint8Array, void, void> {
    const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.length);
    for (let held = 0; ; ) {
      const end = held + (await this.pulled.read(buffer.subarray(held)));
      const at = bytes.subarray(0, end).indexOf(mark);
      const count = at < 0 ? Math.max(end - MARK + 1, 0) : at;
      this.received += count;
      if (at >= 0) this.pulled.unread(buffer.slice(at + MARK, end));
      if (count > 0) yield buffer.subarray(0, count);
      if (at >= 0) return;
      buffer.copyWithin(0, count, end);
      held = end - count;
    }
  }

  /** Acknowledges: only then does the server begin with the stream (redis replication.c, repl_put_online_on_ack). */
  private begin(): void {
    if (this.offset === undefined) return;
    this.acknowledge();
    let tick = 0;
    this.acks = setInterval(() => {
      tick = (tick + 1) % (ACK_LATER / ACK_FIRST);
      if (!this.streaming || tick === 0) this.acknowledge();
    }, ACK_FIRST);
  }

  /** Tells the server at once what was processed; it also is told every second. */
  acknowledge(offset = this.processed): void {
    this.pulled.write(encodeCommand(['REPLCONF', 'ACK', `${offset}`]));
  }

  /**
   * The writes after `offset`, once the RDB was read; never ends by itself. A chunk is acknowledged when the next one is asked for;
   * the bytes are the caller's. Throws ConnectionLost. Not with `rdbOnly`, nor from a server without PSYNC.
   */
  async *commands(): AsyncGenerator<StreamChunk, never, void> {
    if (this.acks === undefined) throw new TypeError('this link has no stream of writes');
    try {
      for (;;) {
        const bytes = await this.pulled.next();
        this.streaming = true;
        const offset = this.processed + bytes.length;
        yield { bytes, offset };
        this.processed = offset;
      }
    } finally {
      this.close();
    }
  }

  /** Closes the link. A server that was only asked for the RDB may close it first. */
  close(): void {
    clearInterval(this.acks);
    if (this.complete && this.rdbOnly) this.pulled.closeAfter(FAREWELL);
    else this.pulled.close();
  }
}

/** A replica that the server knows, and that has asked for nothing yet. */
export interface IntroducedReplica {
  /** See `ReplicationLink.from`; may be called once. */
  from(id: string, offset: number): Promise<ReplicationLink | undefined>;
  close(): void;
}

const NO_PSYNC = 'it has no PSYNC, so it does not say where its copy stands in its history, and the writes since cannot be asked for';

/** For a link that begins with the stream. */
const NO_RDB = '$0';

async function opened<T>(socket: Duplex, options: ReplicationOptions, work: (pulled: PulledSocket) => Promise<T>): Promise<T> {
  const pulled = new PulledSocket(socket, { patience: options.patience ?? PATIENCE, signal: options.signal });
  return closedOnError(pulled, options, () => work(pulled));
}

/** Closes the socket if `work` fails, with an error for what is no server. */
async function closedOnError<T>(pulled: PulledSocket, options: ReplicationOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    pulled.close();
    throw error instanceof RangeError ? strange(options.name, error.message) : error;
  }
}

/**
 * Says what this replica can do, and what it wishes; returns whether the server takes the wish. Servers before 2.8 do not know REPLCONF,
 * and others may refuse it: it is not needed for a copy, and `onRefused` is only called where writes are to follow.
 */
async function introduce(pulled: PulledSocket, wish: readonly string[], onRefused?: (line: string) => ServerError): Promise<boolean> {
  for (const args of [['version', VERSION], ['capa', 'eof', 'capa', 'psync2'], wish]) {
    if (args.length === 0) return false;
    const answer = await asked(pulled, 'REPLCONF', ...args);
    if (args === wish) return answer.startsWith('+');
    if (!/^-(?:NOPERM|ERR unknown command)/i.test(answer)) continue;
    if (onRefused !== undefined) throw onRefused(answer);
    return false;
  }
  return false;
}

/** Each command waits for the reply to the one before: PSYNC is refused while there is output. */
async function asked(pulled: PulledSocket, ...command: string[]): Promise<string> {
  pulled.write(encodeCommand(command));
  for (;;) {
    const line = await pulled.line();
    if (line !== '') return line;
  }
}

/** The next line that is not a sign of life. Throws ServerError for an error. */
async function nextLine(pulled: PulledSocket, { name, onPreparing }: ReplicationOptions): Promise<string> {
  for (;;) {
    const line = await pulled.line();
    if (line.startsWith('-')) throw refusal(name, line);
    if (line !== '') return line;
    onPreparing?.();
  }
}

async function sync(pulled: PulledSocket, options: ReplicationOptions, id: string, offset: number): Promise<Answer> {
  const { name, psync } = options;
  pulled.write(encodeCommand([psync ?? 'PSYNC', id, `${offset}`]));
  let line: string;
  try {
    line = await nextLine(pulled, options);
  } catch (error) {
    const older = error instanceof ServerError && id === '?' ? withoutArguments(error.reason, psync) : undefined;
    if (older === undefined) throw error;
    pulled.write(encodeCommand([older]));
    line = await nextLine(pulled, options);
  }
  if (line.startsWith('$')) return { id: '', offset: undefined, continued: false, header: line };
  const [, word = '', told = '', at] = /^\+(FULLRESYNC|CONTINUE)(?: (\S+))?(?: (\d+))?\s*$/.exec(line) ?? [];
  if (word === 'CONTINUE' && id !== '?') return { id: told, offset: undefined, continued: true, header: undefined };
  if (word !== 'FULLRESYNC' || !Number.isSafeInteger(Number(at))) throw strange(name, line);
  return { id: told, offset: Number(at), continued: false, header: undefined };
}

/** The answer if the stream goes on. That is said at once: signs of life, one a second, mean that a full copy is being prepared. */
async function continuing(pulled: PulledSocket, options: ReplicationOptions, id: string, offset: number): Promise<Answer | undefined> {
  const notYet = new Error('a full copy is being prepared');
  let signs = 0;
  const onPreparing = (): void => {
    if (++signs > 1) throw notYet;
  };
  try {
    const answer = await sync(pulled, { ...options, onPreparing }, id, offset);
    return answer.continued ? answer : undefined;
  } catch (error) {
    if (error === notYet) return undefined;
    throw error;
  }
}

/** The command for a full copy on servers that do not take PSYNC: before 2.8, and where a service has renamed SYNC. */
function withoutArguments(refused: string, psync: string | undefined): string | undefined {
  if (psync === undefined) return /^ERR unknown command/i.test(refused) ? 'SYNC' : undefined;
  return /^ERR wrong number of arguments/i.test(refused) ? psync : undefined;
}

/** How the RDB is sent: `$` and its length, or `$EOF:` and the mark that ends it. */
function transferOf(header: string, name: string): { length: number | undefined; mark: Buffer | undefined } {
  const length = /^\$(\d{1,20})$/.exec(header)?.[1];
  if (length !== undefined && Number.isSafeInteger(Number(length))) return { length: Number(length), mark: undefined };
  const mark = header.startsWith('$EOF:') ? Buffer.from(header.slice(5), 'latin1') : undefined;
  if (mark?.length !== MARK) throw strange(name, header);
  return { length: undefined, mark };
}

function refusal(name: string, line: string): ServerError {
  const reason = line.replace(/^-(?:ERR -)?/, '');
  return new ServerError('REFUSED', name, reason, undefined, undefined, { passing: refusalOf(reason) === 'later' });
}

const strange = (name: string, what: string): ServerError =>
  new ServerError('REFUSED', name, `it does not answer like a server that replicates: ${JSON.stringify(what.slice(0, 80))}`);
