import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { RdbError } from '../bytes/errors.js';
import type { Input } from '../io/input.js';
import { ConnectionLost, reasonOf, ServerError } from '../redis/errors.js';
import { ReplicationLink } from '../redis/replication.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { Waiting } from '../redis/waiting.js';
import { type CopyPosition, type ExactPosition, positionIn } from './copy-position.js';

/** A connection to the node that is to be read: logged in, paused, nothing reading from it. */
export interface OpenedNode {
  readonly socket: Duplex;
  /** `host:port` where it is reached from here. */
  readonly name: string;
}

export interface ReplicationInputOptions {
  /** The name of the source. */
  readonly name: string;
  /** Connects for each attempt: after a failover, to another node. */
  readonly open: () => Promise<OpenedNode>;
  /** Called when the server begins to send, before the first chunk. */
  readonly onBegun?: (() => Promise<void>) | undefined;
  /** See LiveOptions. */
  readonly onPosition?: ((position: CopyPosition) => Promise<void>) | undefined;
  readonly onExactPosition?: ((position: ExactPosition) => Promise<void>) | undefined;
  /** The name of PSYNC on servers that renamed it; by `host:port` where each node has its own. */
  readonly psyncCommand?: string | ReadonlyMap<string, string> | undefined;
  /** Milliseconds to retry until the RDB begins (default 60,000). */
  readonly retryFor?: number | undefined;
  /** Milliseconds without a byte from the server after which the connection counts as lost (default 60,000). */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
  /** Makes the buffer that the RDB is read to. */
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** Drops records that do not belong to the source. */
  readonly pass?: Input['pass'];
}

const RETRY_FOR = 60_000;
/** Milliseconds between two attempts. */
const RETRY_EVERY = 500;
/** Milliseconds between two events about a server that prepares its RDB. */
const TELL_EVERY = 5000;
const CHUNK = 1 << 20;
/**
 * Milliseconds that a server waited for this reader, from which on that is likely to be why it closed the connection. Its own limit,
 * repl-timeout, is 60 s by default, and what the sockets between hold may have been full before.
 */
const SLOW = 5000;

const KEEPS_WRITES =
  'it does not know rdb-only (Redis 6.2), so it keeps its writes for this copy, too, until the copy is sent: ' +
  'client-output-buffer-limit ends that';

/** The RDB that a server sends to a replica, as redis-cli --rdb gets it. */
export class ReplicationInput implements Input {
  readonly name: string;
  readonly compression = 'none';
  readonly ofPayloads = false;
  /** Bytes of the RDB read so far. */
  bytesRead = 0;
  private link: ReplicationLink | undefined;
  /** The node that is read, or was tried last. */
  private node: string;

  constructor(private readonly options: ReplicationInputOptions) {
    this.name = options.name;
    this.node = options.name;
  }

  get pass(): Input['pass'] {
    return this.options.pass;
  }

  /** Bytes of the RDB; undefined until the transfer begins, and if the server sends the RDB while writing it. */
  get size(): number | undefined {
    return this.link?.size;
  }

  get plainSize(): number | undefined {
    return this.size;
  }

  /**
   * Where the RDB is in the history of the server, once the first chunk is there. `offset` may be stale: what the RDB says itself
   * (`repl-offset`) is right.
   */
  get position(): { readonly node: string; readonly id: string; readonly offset: number | undefined } | undefined {
    return this.link === undefined ? undefined : { node: this.node, id: this.link.id, offset: this.link.offset };
  }

  /** May be called once. Throws RdbError: SOURCE_REFUSED, SOURCE_LOST; or the reason of the signal. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    this.bytesRead = 0;
    const link = await this.begun();
    this.link = link;
    try {
      await this.options.onBegun?.();
      for await (const chunk of this.positioned(link, link.rdb(this.options.allocate?.(CHUNK)))) {
        this.bytesRead += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw error instanceof ConnectionLost ? this.lost(link, error) : error;
    } finally {
      link.close();
    }
  }

  /** The chunks, once the first ones have told where the copy stands, if that is asked for. */
  private async *positioned(link: ReplicationLink, chunks: AsyncGenerator<Uint8Array, void, void>): AsyncGenerator<Uint8Array, void, void> {
    const { onExactPosition } = this.options;
    if (onExactPosition !== undefined) {
      let held: Uint8Array = new Uint8Array(0);
      let told: ReturnType<typeof positionIn>;
      while (told === undefined) {
        const next = await chunks.next();
        if (next.done === true) break;
        held = Buffer.concat([held, next.value]);
        told = positionIn(held);
      }
      const { id, offset = 0 } = link;
      await onExactPosition({ node: this.node, ...(told ?? { id, offset, db: 0 }) });
      yield held;
    }
    yield* chunks;
  }

  /** A transfer that begins; tries again as long as that may help. */
  private async begun(): Promise<ReplicationLink> {
    const { name, onEvent, retryFor = RETRY_FOR, signal } = this.options;
    const waiting = new Waiting(retryFor, onEvent);
    for (;;) {
      try {
        const link = await this.attempt();
        if (waiting.over()) onEvent?.(`${this.node}: it sends its RDB`, true);
        return link;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ServerError || error instanceof ConnectionLost)) throw error;
        const reason = error instanceof ServerError ? error.reason : error.message;
        const refused = error instanceof ServerError && (error.code === 'REFUSED' || error.code === 'TARGET');
        const where = error instanceof ServerError ? error.server : this.node;
        if ((refused && !error.passing) || waiting.tooLong) {
          const waited = refused && !error.passing ? '' : `, also after ${Math.round(retryFor / 1000)} s`;
          throw new RdbError(refused ? 'SOURCE_REFUSED' : 'SOURCE_LOST', { file: name, got: `${where}: ${reason}${waited}`, cause: error });
        }
        waiting.tell(`${where}: ${reason}`, 0);
      }
      await delay(Math.min(RETRY_EVERY, retryFor), undefined, { signal }).catch(() => undefined); // an abort is seen by the next attempt
    }
  }

  private async attempt(): Promise<ReplicationLink> {
    const { onPosition, open, patience, psyncCommand, signal } = this.options;
    signal?.throwIfAborted();
    const { name, socket } = await unlessAborted(open(), signal, (late) => late.socket.destroy());
    this.node = name;
    const psync = typeof psyncCommand === 'object' ? psyncCommand.get(name) : psyncCommand;
    const link = await ReplicationLink.full(socket, {
      ...{ name, psync, rdbOnly: true, patience, signal, onPreparing: this.preparing() },
      onPosition: onPosition && ((id, offset) => onPosition({ node: name, id, offset })),
    });
    if (onPosition !== undefined && !link.rdbOnly) this.options.onEvent?.(`${name}: ${KEEPS_WRITES}`, true);
    return link;
  }

  /** Tells from time to time that the server is not ready to send. */
  private preparing(): () => void {
    const { onEvent } = this.options;
    const since = Date.now();
    let told = since;
    return () => {
      const now = Date.now();
      if (now - told < TELL_EVERY) return;
      told = now;
      onEvent?.(`${this.node}: it is preparing its RDB, for ${Math.round((now - since) / 1000)} s so far`, true);
    };
  }

  /** What happened to a transfer that had begun. */
  private lost(link: ReplicationLink, error: ConnectionLost): RdbError {
    const { received, size } = link;
    const all = size === undefined ? '' : ` of ${megabytes(size)}`;
    return new RdbError('SOURCE_LOST', {
      file: this.name,
      got: `${this.node}: ${reasonOf(error)}, ${megabytes(received)}${all} into the RDB; ${likelyReason(link)}`,
      cause: error,
    });
  }
}

/** Why a server ended a transfer, as far as this side can tell. */
function likelyReason({ longestPause, rdbOnly }: ReplicationLink): string {
  if (longestPause >= SLOW) {
    return `it had waited up to ${Math.round(longestPause / 1000)} s for this reader: read faster, or raise repl-timeout on the server`;
  }
  if (!rdbOnly) return 'it keeps the writes meanwhile, perhaps beyond client-output-buffer-limit for replicas: its log says so';
  return 'its log says why, unless it or the network went down';
}

/** Decimal units. */
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
