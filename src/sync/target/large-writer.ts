import { keySlot } from '../../bytes/crc16.js';
import { formatText } from '../../bytes/text.js';
import { MAX_PAYLOAD } from '../../dump/resp-writer.js';
import type { Codec } from '../../kernels/codec.js';
import { Connection } from '../../redis/connection.js';
import { ConnectionLost, ErrorReply, ServerError } from '../../redis/errors.js';
import type { ExclusiveConnection } from '../../redis/exclusive-connection.js';
import { refusalOf } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import type { Work } from '../../restore/delivery.js';
import { type LargeDelivery, LargeRestore } from '../../restore/large-restore.js';
import type { Target } from '../../values/targets.js';
import type { WrittenLarge } from '../source/write-fetched.js';
import { Detached, detachedBy } from './detached.js';

export interface LargeWriterOptions {
  readonly servers: Servers;
  readonly codec: Codec;
  readonly target: Target;
  readonly maxPayload: number | undefined;
  /** What CLIENT SETNAME says: later runs find the connection by it. */
  readonly label: string;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  /** Milliseconds without a reply that is due. */
  readonly patience: number;
  readonly signal: AbortSignal;
  /** Throws if another run may have begun, which could not know of a connection that was just made. */
  readonly stillOwn: () => Promise<void>;
  readonly onNote: (text: string) => void;
}

/** Connections that may be lost at a value: enough to learn that the server closes them because of it (see LargeRestore). */
const ATTEMPTS = 8;
/** Milliseconds for replicas to confirm. */
const REPLICA_PATIENCE = 1000;

/** Writes values that are too large for memory, piece by piece over a connection of its own. */
export class LargeWriter implements LargeDelivery {
  readonly resumed = false;
  readonly servers: Servers;
  tooLarge = Infinity;

  constructor(private readonly options: LargeWriterOptions) {
    this.servers = options.servers;
  }

  /**
   * Gives a key of a database a value, which is closed. Returns why the target refuses it. Throws Detached, and the reason of the signal.
   */
  async write(db: number, { frame, sentVersion, value, version }: WrittenLarge): Promise<string | undefined> {
    const { codec, maxPayload = MAX_PAYLOAD, target } = this.options;
    let reason: string | undefined;
    const segment = {
      delivered: () => undefined,
      skip: () => undefined,
      reject: ({ error }: { readonly error: string }) => void (reason = error),
    };
    const own = Object.assign(frame, { db });
    const large = new LargeRestore(own, value, segment, {
      ...{ delivery: this, codec, target, version, sentVersion, maxPayload },
      ...{ conflict: 'replace', countReplaced: false, keepsRejects: false },
    });
    await large.send();
    return reason;
  }

  get sharded(): boolean {
    return this.servers.owners !== undefined;
  }

  slotOf(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.sharded ? keySlot(bytes, start, end) : 0;
  }

  async exclusive<T>(slot: number, db: number, work: Work<T>): Promise<T> {
    const { signal } = this.options;
    const master = this.servers.masters[this.servers.owners?.[slot] ?? 0] as Master | undefined;
    if (master === undefined) throw new Detached('the target', `no master has slot ${slot}`);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await this.attempt(master, db, (exclusive, name) => work(exclusive, name, attempt > 1));
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ErrorReply && refusalOf(error.message) !== 'refused') throw detachedBy(master.name, error.message);
        if (error instanceof ServerError) throw detachedBy(master.name, error.reason);
        if (!(error instanceof ConnectionLost)) throw error;
        if (attempt >= ATTEMPTS) throw new Detached(master.name, error.message);
      }
    }
  }

  private async attempt<T>(
    master: Master,
    db: number,
    work: (exclusive: ExclusiveConnection, name: string) => Promise<T>,
  ): Promise<T> {
    const { label, patience, signal, stillOwn } = this.options;
    const { servers } = this;
    const connection = new Connection(
      { name: master.name, clock: servers.clockOf(master.name), patience, open: () => servers.openSocket(master) },
      { opened: () => undefined, complete: () => undefined, lost: () => undefined },
    );
    const end = (): void => connection.reset('aborted');
    signal.addEventListener('abort', end);
    try {
      await connection.open();
      await connection.ask('CLIENT', 'SETNAME', label); // it may be refused
      await stillOwn();
      await connection.select(db);
      return await connection.exclusive(async (exclusive) => {
        const result = await work(exclusive, master.name);
        await this.confirmed(exclusive, master);
        return result;
      });
    } finally {
      signal.removeEventListener('abort', end);
      connection.close();
    }
  }

  /** Waits until the replicas of a master have what was written. */
  private async confirmed(exclusive: ExclusiveConnection, master: Master): Promise<void> {
    const { servers } = this;
    if (!this.options.confirm) return;
    for (let { replicas } = master; replicas > 0; ) {
      const confirmed = await exclusive.ask('WAIT', `${replicas}`, `${REPLICA_PATIENCE}`);
      if (typeof confirmed === 'string' || confirmed >= replicas) return; // that it is refused was told
      replicas = Math.min(replicas, (await servers.infoOf(await servers.client(master))).replicas);
    }
  }

  learnLimit(server: string, db: number, key: Uint8Array, size: number): void {
    if (size >= this.tooLarge) return;
    this.tooLarge = size;
    const what = `key ${formatText(key, 0, key.length)} of database ${db}, a payload of ${size} bytes`;
    this.options.onNote(
      `${server} closes the connection when it gets ${what}: this value and larger ones are written with plain commands`,
    );
  }

  companionRefused(): void {
    // none is sent
  }
}
