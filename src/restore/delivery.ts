import type { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import type { CommandBatch } from './command-batch.js';
import { commandArgs, commandsOf } from '../redis/commands.js';
import { restoredBy } from './key-commands.js';
import { ConflictChecker, type ExistingKey, type Finding } from './conflict-checker.js';
import type { ServerIdentityState } from './server-identity.js';
import { OutputError } from '../io/output-error.js';
import { ConnectionClosed, ConnectionLost, ErrorReply, reasonOf, ServerError } from '../redis/errors.js';
import type { DeliveryConnection } from './delivery-connection.js';
import { DeliveryConnections, type DeliveryConnectionsEvents, type DeliveryConnectionsOptions } from './delivery-connections.js';
import { isOverLimit, type Refusal, refusalOf } from '../redis/refusals.js';
import { Retries, type Retry, retryOf } from './retries.js';
import type { Master, Servers } from '../redis/servers.js';
import { Signal } from '../redis/signal.js';
import { Waiting } from '../redis/waiting.js';
import type { ExclusiveConnection } from '../redis/exclusive-connection.js';

export interface DeliveryOptions extends DeliveryConnectionsOptions {
  /** Whether the target takes relative expiries only: they get shorter while a command waits. */
  readonly relativeTtl: boolean;
  /** Larger payloads, in bytes, are written with plain commands. */
  readonly maxPayload?: number | undefined;
  /** Whether two payloads hold the same value. */
  readonly same: (ours: Uint8Array, theirs: Uint8Array) => boolean;
  /** Called with what the user should know about a server. */
  readonly onNote: (text: string) => void;
  /** Called with what does not affect the result: lost and reopened connections, keys sent again. */
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
  /** Aborted when nothing more is to be sent or waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes: no server has a limit below this size, so a connection closed at a smaller key has another cause. */
const LEAST_LIMIT = 1 << 16;
/** Connections closed at the same key before it is handled separately. */
const MOST_CLOSINGS = 2;
/** Keys refused for the same reason, with none accepted, after which the restore gives up. */
const MOST_REFUSED = 1000;
/** Bytes waiting to be sent again above which reading waits. */
const MOST_RETRIES = 16 << 20;
const MOST_COMPARED = 1000;
/** Milliseconds between two events about keys that are sent again. */
const RETRY_EVENTS_EVERY = 1000;
/** Milliseconds between attempts, at first and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;
/** Milliseconds to wait for the last replies at the end. */
const LAST_REPLIES = 3000;

/** `again`: an earlier attempt may have been applied. */
export type Work<T> = (exclusive: ExclusiveConnection, node: string, again: boolean) => Promise<T>;

/** A command that accompanies another (EXISTS before RESTORE) was refused, and the other was done without it. */
export interface CompanionRefusal {
  readonly server: string;
  readonly command: string;
  readonly error: string;
}

/** A server whose replicas did not confirm everything; `reason`: the error of WAIT, if it was refused. */
export interface Unconfirmed {
  readonly server: string;
  readonly reason: string | undefined;
}

/** Sends batches to the servers that own their keys until everything is delivered or refused, or the restore fails. */
export class Delivery implements DeliveryConnectionsEvents {
  /** Why the restore cannot go on. */
  failure: ServerError | OutputError | undefined;
  /** An existing key may be ours, from an earlier run. */
  resumed = false;
  /** After `close`: keys that were sent and may have been written, which no server confirmed. */
  unanswered = 0;
  private readonly companions = new Map<string, CompanionRefusal>();
  /** Bytes of keys that are sent one by one and wait for it. */
  private aside = 0;
  /** Bytes of the smallest payload known to be over a limit of a server. */
  tooLarge = Infinity;
  private readonly connections: DeliveryConnections;
  private readonly retries: Retries;
  private readonly checker: ConflictChecker;
  private readonly change = new Signal();
  private readonly over = new AbortController();
  private lastError = 'the connection was lost';
  /** The first unanswered key of the connection that was lost last, for messages. */
  private lostAt: string | undefined;
  private recovering = false;
  private readonly waiting: Waiting;
  /** Names of servers whose connection was lost and is not open again. */
  private readonly down = new Set<string>();
  /** Keys sent again since the last event about them. */
  private retried = { keys: 0, toldAt: -Infinity };
  /** The common reason of all keys refused so far, and their number; undefined once a key had another outcome. */
  private refusals: { reason: string; count: number } | undefined = { reason: '', count: 0 };
  /** The masters may have changed. */
  private stale = false;
  private closed = false;

  constructor(
    readonly servers: Servers,
    private readonly options: DeliveryOptions,
  ) {
    this.connections = new DeliveryConnections(servers, options, this);
    this.retries = new Retries(options.relativeTtl);
    this.waiting = new Waiting(options.retryFor, options.onEvent);
    this.checker = new ConflictChecker({
      same: options.same,
      maxPayload: options.maxPayload ?? Infinity,
      client: (connection) => this.clientOf(connection),
      found: (key, finding) => this.found(key, finding),
      failed: (key, error) => this.compareAgain(key, error),
    });
    this.connections.arrange();
    options.signal?.addEventListener('abort', () => this.aborted(), { signal: this.over.signal });
  }

  private aborted(): void {
    this.change.fire();
    setTimeout(() => {
      for (const connection of this.connections.all) connection.reset('interrupted');
    }, LAST_REPLIES).unref();
  }

  opened({ name }: DeliveryConnection, address: string | undefined): void {
    if (!this.down.delete(name)) return;
    const bySentinels = this.servers.masters.some((master) => master.name === name && master.address === undefined);
    const where = bySentinels && address !== undefined ? `, now at ${address}` : '';
    this.options.onEvent?.(`${name}: connected again${where}`, this.down.size === 0 && this.waiting.over());
  }

  private tellLost(name: string, reason: string): void {
    if (this.down.has(name)) return;
    this.down.add(name);
    this.options.onEvent?.(`${name}: the connection was lost: ${reason}`);
  }

  private tellRetried(keys: number, every = RETRY_EVENTS_EVERY): void {
    const { retried } = this;
    retried.keys += keys;
    if (retried.keys === 0 || performance.now() - retried.toldAt < every) return;
    this.options.onEvent?.(
      `${retried.keys === 1 ? '1 key' : `${retried.keys.toLocaleString('en-US')} keys`} sent again; the last error was: ${this.lastError}`,
    );
    this.retried = { keys: 0, toldAt: performance.now() };
  }

  noTransactions({ name }: DeliveryConnection, error: string): void {
    this.options.onNote(`${name} refuses MULTI (${error}): all keys but short strings are written one by one, which takes long`);
  }

  restarted({ name }: DeliveryConnection): void {
    this.options.onLoss(name, 'it was restarted');
  }

  /** The identities of the servers that have delivered keys. */
  get identities(): ServerIdentityState[] {
    return this.connections.identities;
  }

  /** Asks every server that has delivered keys whether it is still the same process. Throws ServerError. */
  async verify(): Promise<void> {
    const ask = async (exclusive: ExclusiveConnection): Promise<void> => {
      await exclusive.ask('PING');
    };
    const { guests } = this.connections;
    await Promise.allSettled(guests.map((guest) => guest.exclusive(0, ask))); // one that does not answer is no longer a guest
    if (this.stale || guests.length > 0) await this.refreshed();
    await this.everyMaster(ask);
    this.connections.passOn();
  }

  /** The connection for the keys of a slot. */
  connection(slot: number): DeliveryConnection {
    return this.connections.ofSlot(slot);
  }

  /**
   * The connections of all masters, and by slot the index of its connection: -1 if no master has it, undefined if there is only
   * one.
   */
  get masters(): readonly DeliveryConnection[] {
    return this.connections.ofMasters;
  }

  get owners(): Int16Array | undefined {
    return this.connections.owners;
  }

  /** Whether keys go to different servers by slot. */
  get sharded(): boolean {
    return this.connections.owners !== undefined;
  }

  /** The slot of the key `bytes[start, end)`; 0 if there is only one server. */
  slotOf(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.sharded ? keySlot(bytes, start, end) : 0;
  }

  send(connection: DeliveryConnection, batch: CommandBatch): void {
    if (this.connections.has(connection)) connection.send(batch);
    else this.unsent(batch);
  }

  /** Waits while too many bytes are to be sent again. Throws ServerError when the restore has failed. */
  async calm(): Promise<void> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      if (this.retries.size + this.aside < MOST_RETRIES && this.checker.waiting < MOST_COMPARED) return;
      await this.change.wait();
    }
  }

  /** `work` sends a key of this many bytes by itself. */
  async sendAside(bytes: number, work: () => Promise<void>): Promise<void> {
    this.aside += bytes;
    try {
      await work();
    } finally {
      this.aside -= bytes;
      this.change.fire();
    }
  }

  /** Waits for the next change. */
  wait(): Promise<void> {
    return this.change.wait();
  }

  /** Wakes those that `wait`. */
  notify(): void {
    this.change.fire();
  }

  failed(connection: DeliveryConnection, batch: CommandBatch, index: number, errors: readonly (string | undefined)[]): void {
    const bytes = batch.commandsAt(index);
    const error = reasonOfKey(batch, errors);
    if (error === undefined) {
      const at = errors.findLastIndex((other) => other !== undefined);
      this.companionRefused(connection.name, commandName(bytes, at), errors[at] as string);
      return;
    }
    batch.setApart(index);
    if (batch.isHalf(index)) {
      batch.listener.alone(batch, connection.name, bytes.slice(), true);
      return;
    }
    const refusal = this.refusal(error);
    if (refusal === 'stop') {
      this.fail(
        new ServerError('REFUSED', connection.name, error, undefined, undefined, {
          at: `db ${batch.db}, key ${textOf(restoredBy(bytes).key)}`,
        }),
      );
      return;
    }
    if (refusal === 'there') this.refusals = undefined;
    if (refusal === 'there' && (batch.again || this.resumed)) this.checker.add({ connection, batch, commands: bytes.slice() });
    else if (refusal === 'there') batch.listener.conflict(batch, connection.name, bytes);
    else if (isOverLimit(error)) this.overLimit(connection, batch, bytes.slice(), error);
    else if (refusal === 'refused') this.refused(connection, batch, bytes, error);
    else this.again(connection, batch, index, bytes, { error, refusal });
    this.change.fire();
  }

  /** Records that a command was refused and the one that it accompanies done all the same. */
  companionRefused(server: string, command: string, error: string): void {
    const known = `${command} ${server}`;
    if (command !== 'ASKING' && !this.companions.has(known)) this.companions.set(known, { server, command, error });
  }

  /** Accompanying commands that servers refused: the first of each kind. */
  get companionsRefused(): CompanionRefusal[] {
    return [...this.companions.values()];
  }

  private refused({ name }: DeliveryConnection, batch: CommandBatch, commands: Uint8Array, error: string): void {
    batch.listener.refused(batch, name, commands, error);
    const { refusals } = this;
    if (refusals === undefined) return;
    this.refusals =
      batch.taken > 0
        ? undefined
        : refusals.count === 0 || refusals.reason === error
          ? { reason: error, count: refusals.count + 1 }
          : undefined;
    if (this.refusals?.count !== MOST_REFUSED) return;
    const version = /DUMP payload version/.test(error)
      ? ' If the target is older than it says, give its version with --target-version.'
      : '';
    const count = MOST_REFUSED.toLocaleString('en-US');
    const advice = `The first ${count} keys were all refused for this reason, so the rest was not read.${version}`;
    this.fail(new ServerError('REFUSED', name, error, undefined, advice));
  }

  private overLimit(connection: DeliveryConnection, batch: CommandBatch, commands: Uint8Array, error: string): void {
    batch.listener.closing(batch, connection.name, commands, error);
    connection.reset(error);
  }

  /** MOVED and ASK from a server that we do not treat as a cluster node are plain refusals. */
  private refusal(error: string): Refusal {
    const refusal = refusalOf(error);
    return !this.sharded && (refusal === 'moved' || refusal === 'ask') ? 'stop' : refusal;
  }

  private again(
    connection: DeliveryConnection,
    batch: CommandBatch,
    index: number,
    bytes: Uint8Array,
    { error, refusal }: { error: string; refusal: Refusal },
  ): void {
    const retry = retryOf(batch, index, bytes, batch.again);
    this.lastError = `${connection.name}: ${error}`;
    const to = refusal === 'ask' ? this.servers.redirected(connection.name, error) : undefined;
    if (to !== undefined && Date.now() - retry.since < this.options.retryFor) {
      const guest = this.connections.at(to);
      guest.send(this.retries.asking(guest, retry));
      return;
    }
    if (refusal === 'moved') this.moved(connection, error);
    if (refusal === 'stale' || /^CLUSTERDOWN/.test(error)) this.stale = true;
    if (refusal === 'stale' && !this.sharded) connection.reset('the server is no longer a master');
    this.push(retry);
  }

  private moved(connection: DeliveryConnection, error: string): void {
    const to = this.servers.redirected(connection.name, error);
    if (to !== undefined) this.servers.moved(to.slot, to);
    this.stale = true;
  }

  private push(retry: Retry): void {
    this.retries.add(retry);
    void this.recover();
  }

  lost(connection: DeliveryConnection, sent: readonly CommandBatch[], cause: unknown, due: CommandBatch | undefined): void {
    if (this.closed) return;
    this.lastError = cause instanceof ServerError ? cause.message : `${connection.name}: ${reasonOf(cause)}`;
    if (sent.length > 0) this.lostAt = due && nameOf(due.commandsAt(due.answered));
    this.stale = true;
    this.tellLost(connection.name, cause instanceof ServerError ? cause.reason : reasonOf(cause));
    if ((cause instanceof ServerError && cause.code === 'REFUSED') || cause instanceof OutputError) this.fail(cause);
    else if (!(cause instanceof ConnectionLost || cause instanceof ServerError || isSystemError(cause) || cause instanceof SyntaxError)) {
      this.fail(new ServerError('LOST', connection.name, reasonOf(cause), cause, 'Everything that the server confirmed is restored.'));
    }
    if (due !== undefined && (cause instanceof ConnectionClosed || isSystemError(cause))) this.closedAt(connection, due);
    for (const batch of sent) this.takeBack(batch, true);
    this.connections.ended(connection);
    void this.recover();
    this.change.fire();
  }

  /** The connection closed with this key as the first one unanswered. If that happens again, the key is the reason. */
  private closedAt({ name, runId }: DeliveryConnection, batch: CommandBatch): void {
    const index = batch.answered;
    const bytes = batch.commandsAt(index);
    if (bytes.length < LEAST_LIMIT || batch.isApart(index)) return;
    const times = batch.closings?.runId === runId ? batch.closings.times + 1 : 1;
    const retry = { ...retryOf(batch, index, bytes, true), closings: { runId, times } };
    batch.setApart(index);
    if (times < MOST_CLOSINGS && bytes.length < this.tooLarge) this.push(retry);
    else batch.listener.closing(batch, name, retry.bytes, undefined);
  }

  /** A server refuses payloads of this size, as `key` showed. */
  learnLimit(server: string, db: number, key: Uint8Array, size: number): void {
    if (size < LEAST_LIMIT || size >= this.tooLarge) return;
    if (this.tooLarge === Infinity) {
      this.options.onNote(
        `${server} closes the connection when it gets key ${textOf(key)} of database ${db}, a payload of ${size} bytes: ` +
          'this value and larger ones are written with plain commands',
      );
    }
    this.tooLarge = size;
  }

  released(batch: CommandBatch): void {
    if (batch.arrived > 0) this.refusals = undefined;
    this.retries.released(batch);
    batch.listener.released(batch);
  }

  unsent(batch: CommandBatch): void {
    this.takeBack(batch, batch.again);
  }

  private takeBack(batch: CommandBatch, again: boolean): void {
    for (let index = 0; index < batch.keys; index++) {
      if (!batch.isApart(index)) this.push(retryOf(batch, index, batch.commandsAt(index), again));
    }
    this.released(batch);
  }

  fail(failure: ServerError | OutputError): void {
    this.failure ??= failure;
    this.change.fire();
  }

  /** Sends again until nothing is left to send. */
  private async recover(): Promise<void> {
    if (this.recovering) return;
    this.recovering = true;
    for (let pause = FIRST_PAUSE; this.hasWork && this.goesOn; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      await delay(pause);
      if (this.tooLate()) break;
      if (this.stale && !(await this.refreshed())) continue;
      this.resend();
      for (const connection of this.connections.ofMasters) connection.retry();
      this.change.fire();
    }
    this.recovering = false;
  }

  private get goesOn(): boolean {
    return this.failure === undefined && !this.closed && this.options.signal?.aborted !== true;
  }

  private get hasWork(): boolean {
    return this.retries.waiting > 0 || this.connections.ofMasters.some((connection) => connection.waiting);
  }

  private async refreshed(): Promise<boolean> {
    try {
      this.stale = false;
      await this.servers.refresh();
      this.connections.arrange();
      for (const name of this.down) if (this.connections.named(name) === undefined) this.down.delete(name);
      return true;
    } catch (error) {
      this.stale = true;
      if (error instanceof ServerError && error.code === 'REFUSED') this.fail(error);
      this.lastError = reasonOf(error);
      return false;
    }
  }

  private tooLate(): boolean {
    const { retryFor } = this.options;
    const down = this.connections.ofMasters
      .filter((connection) => connection.waiting && connection.downSince > 0)
      .map((connection) => connection.downSince);
    const first = Math.min(this.retries.oldest, ...down);
    if (Date.now() - first <= retryFor) {
      this.tellWaiting(first);
      return false;
    }
    this.fail(
      new ServerError(
        'LOST',
        this.servers.masters[0]?.name ?? '',
        `given up after ${Math.round(retryFor / 1000)} s; the last error was: ${this.lastError}` +
          (this.lostAt === undefined ? '' : `; the connection was lost at ${this.lostAt}`),
      ),
    );
    return true;
  }

  private tellWaiting(since: number): void {
    if (since === Infinity) return;
    this.waiting.from(since);
    this.waiting.tell(this.down.size > 0 ? `${[...this.down].join(', ')} lost` : this.lastError);
  }

  private resend(): void {
    this.tellRetried(this.retries.waiting);
    const batches = this.retries.takeBatches(({ bytes }) => this.connection(this.slotOf(restoredBy(bytes).key)));
    for (const [connection, row] of batches) for (const batch of row) connection.send(batch);
  }

  found({ batch, connection, commands }: ExistingKey, finding: Finding): void {
    if (finding === 'gone') this.push(this.suspected(batch, commands));
    else if (finding === 'ours') batch.listener.delivered(batch, connection.name, 1, 0);
    else batch.listener.conflict(batch, connection.name, commands);
    this.change.fire();
  }

  private compareAgain({ batch, connection, commands }: ExistingKey, error: unknown): void {
    this.lastError = `${connection.name}: ${reasonOf(error)}`;
    this.stale = true;
    if (refusalOf(reasonOf(error)) === 'stop') this.fail(new ServerError('REFUSED', connection.name, reasonOf(error), error));
    else this.push(this.suspected(batch, commands));
    this.change.fire();
  }

  private suspected(batch: CommandBatch, commands: Uint8Array): Retry {
    return { ...retryOf(batch, 0, commands, true), wasThere: undefined };
  }

  private clientOf(connection: DeliveryConnection): Promise<Redis> {
    const master = this.servers.masters.find(({ name }) => name === connection.name);
    if (master === undefined) throw new ConnectionLost('the server is no longer a master');
    return this.servers.client(master);
  }

  /** Runs `work` on every master, one after another. */
  async everyMaster(work: (exclusive: ExclusiveConnection) => Promise<void>): Promise<void> {
    for (const master of this.servers.masters) await this.onMaster(master, work);
  }

  /** Like `exclusive`, for a master. */
  onMaster<T>(master: Master, work: Work<T>): Promise<T> {
    return this.alone(() => this.connections.named(master.name) ?? this.connections.ofMasters[0], 0, work);
  }

  /**
   * Runs `work` with exclusive use of the connection for a slot. Repeats it when the connection is lost or the server asks to try
   * later. Throws ServerError, and other ErrorReplies that `work` throws.
   */
  async exclusive<T>(slot: number, db: number, work: Work<T>): Promise<T> {
    const attempt = { begun: false, again: false };
    try {
      return await this.alone(() => this.connection(slot), db, work, attempt);
    } catch (error) {
      if (attempt.again && !(error instanceof ErrorReply)) this.unanswered++;
      throw error;
    }
  }

  private async alone<T>(pick: () => DeliveryConnection, db: number, work: Work<T>, attempt = { begun: false, again: false }): Promise<T> {
    const since = Date.now();
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      const connection = pick();
      try {
        return await connection.exclusive(db, (exclusive) => {
          attempt.begun = true;
          return work(exclusive, connection.name, attempt.again);
        });
      } catch (error) {
        attempt.again ||= attempt.begun && !(error instanceof ErrorReply);
        if (!this.mayTryAgain(connection, error)) throw error;
        this.lastError = `${connection.name}: ${reasonOf(error)}`;
        this.tellRetried(1);
        this.tellWaiting(since);
        if (Date.now() - since > this.options.retryFor) {
          throw new ServerError(
            'LOST',
            connection.name,
            `given up after ${Math.round(this.options.retryFor / 1000)} s; the last error was: ${reasonOf(error)}`,
            error,
          );
        }
      }
      await delay(pause);
      await this.refreshed();
    }
  }

  private mayTryAgain(connection: DeliveryConnection, error: unknown): boolean {
    if (error instanceof ErrorReply) {
      const refusal = this.refusal(error.message);
      if (refusal === 'stop') throw new ServerError('REFUSED', connection.name, error.message, error);
      if (refusal === 'moved') this.moved(connection, error.message);
      if (refusal === 'stale' && !this.sharded) connection.reset('the server is no longer a master');
      return refusal !== 'refused' && refusal !== 'there';
    }
    return error instanceof ConnectionLost || isSystemError(error) || (error instanceof ServerError && error.code === 'UNREACHABLE');
  }

  /** Servers whose replicas did not confirm everything. */
  get unconfirmed(): Unconfirmed[] {
    return this.connections.all
      .filter(({ unconfirmed }) => unconfirmed)
      .map(({ name, waitRefusal }) => ({ server: name, reason: waitRefusal }));
  }

  /** Closes all connections; with `settled`, waits a while for outstanding replies first. */
  async close({ settled }: { settled: boolean }): Promise<void> {
    if (this.closed) return;
    const patience = settled ? LAST_REPLIES : 0;
    const unanswered = await Promise.all(this.connections.all.map((connection) => connection.close(patience)));
    this.closed = true;
    this.tellRetried(0, 0);
    this.unanswered += unanswered.reduce((sum, keys) => sum + keys, this.retries.again + this.checker.waiting);
    this.over.abort();
    this.servers.close();
  }
}

/**
 * Why the RESTORE of a key failed, from the errors of its commands; undefined if it succeeded. Usually that is its own error.
 * BUSYKEY after a failed DEL, and MOVED after a failed ASKING, are only consequences of the earlier one.
 */
function reasonOfKey({ asking, perKey }: CommandBatch, errors: readonly (string | undefined)[]): string | undefined {
  const own = errors[perKey - 1];
  if (own === undefined) return undefined;
  const cause = errors.find((error, i) => error !== undefined && (/^BUSYKEY/.test(own) || (asking && i % 2 === 0 && /^MOVED/.test(own))));
  return cause ?? own;
}

function commandName(commands: Uint8Array, index: number): string {
  return Buffer.from(commandArgs([...commandsOf(commands)][index], 0)[0]).toString('latin1');
}
/** Characters of a key shown in messages, at most. */
const MOST_TEXT = 100;

/** A key as messages show it. */
function textOf(key: Uint8Array): string {
  const text = formatText(key, 0, key.length);
  return `${JSON.stringify(text.slice(0, MOST_TEXT))}${text.length > MOST_TEXT ? '…' : ''}`;
}

const nameOf = (commands: Uint8Array): string => `key ${textOf(restoredBy(commands).key)} (${commands.length} bytes)`;

const isSystemError = (error: unknown): boolean => error instanceof Error && 'code' in error && typeof error.code === 'string';
