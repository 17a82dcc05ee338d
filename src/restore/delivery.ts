import type { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import type { Batch } from './command-batch.js';
import { commandArgs, commandsOf, restoredBy } from '../redis/commands.js';
import { Comparer, type Finding, type Suspect } from './conflict-checker.js';
import type { CustodyState } from './server-identity.js';
import { ConnectionClosed, ConnectionLost, ErrorReply, reasonOf, ServerError } from '../redis/errors.js';
import type { Link } from './delivery-connection.js';
import { Links, type LinksEvents, type LinksOptions } from './delivery-connections.js';
import { isOverLimit, type Refusal, refusalOf } from '../redis/refusals.js';
import { Retries, type Retry, retryOf } from './retries.js';
import type { Master, Servers } from '../redis/servers.js';
import { Signal } from '../redis/signal.js';
import type { Wire } from '../redis/exclusive-connection.js';

export interface BulkOptions extends LinksOptions {
  /** Expiries are relative: they become shorter while a command waits. */
  readonly relativeTtl: boolean;
  /** Whether two payloads mean the same value. */
  readonly same: (ours: Uint8Array, theirs: Uint8Array) => boolean;
  /** What one should know of a server. */
  readonly onNote: (text: string) => void;
  /** Aborted when nothing more is to be sent, nor waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a unit that may be over a limit of a server: smaller ones are over nobody's. */
const LEAST_LIMIT = 1 << 16;
/** Times that a server closes the connection at a unit until that is looked at apart. */
const MOST_CLOSINGS = 2;
/** Keys that are refused for the same reason, before any is taken, after which the others need not be tried. */
const MOST_REFUSED = 1000;
/** Bytes waiting to be sent again at which makers of batches have to wait. */
const MOST_RETRIES = 16 << 20;
const MOST_COMPARED = 1000;
/** Milliseconds between attempts, at first and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;
/** Milliseconds for replies to come when it is over. */
const LAST_REPLIES = 3000;

/** `again`: what was done before may have been applied. */
export type Work<T> = (wire: Wire, node: string, again: boolean) => Promise<T>;

/** A command that only goes with others was refused: they were done without it. */
export interface CompanionRefusal {
  readonly server: string;
  readonly command: string;
  readonly error: string;
}

/** Sends batches to the servers that own their keys until everything is delivered, refused, or there is no going on. */
export class Bulk implements LinksEvents {
  /** Why there is no going on. */
  failure: ServerError | undefined;
  /** A key that is there may be one of ours, from a run before this one. */
  resumed = false;
  /** When it is over: keys that were sent and may have been written, which no server has confirmed. */
  unanswered = 0;
  private readonly companions = new Map<string, CompanionRefusal>();
  /** Bytes of the smallest payload, as far as is known, that is over a limit of a server. */
  tooLarge = Infinity;
  private readonly links: Links;
  private readonly retries: Retries;
  private readonly comparer: Comparer;
  private readonly change = new Signal();
  private readonly over = new AbortController();
  private lastError = 'the connection was lost';
  /** The key at which the connection that was lost last had to answer. */
  private lostAt: string | undefined;
  private recovering = false;
  /** Why all keys so far were refused, and how many; undefined where something else became of one. */
  private refusals: { reason: string; count: number } | undefined = { reason: '', count: 0 };
  /** Who is master may have changed. */
  private stale = false;
  private closed = false;

  constructor(
    readonly servers: Servers,
    private readonly options: BulkOptions,
  ) {
    this.links = new Links(servers, options, this);
    this.retries = new Retries(options.relativeTtl);
    this.comparer = new Comparer({
      same: options.same,
      client: (link) => this.clientOf(link),
      found: (suspect, finding) => this.found(suspect, finding),
      failed: (suspect, error) => this.compareAgain(suspect, error),
    });
    this.links.arrange();
    options.signal?.addEventListener('abort', () => this.aborted(), { signal: this.over.signal });
  }

  private aborted(): void {
    this.change.fire();
    setTimeout(() => {
      for (const link of this.links.all) link.reset('interrupted');
    }, LAST_REPLIES).unref();
  }

  restarted({ name }: Link): void {
    this.options.onLoss(name, 'it was restarted');
  }

  /** Who has what was delivered so far. */
  get custody(): CustodyState[] {
    return this.links.custody;
  }

  /** Asks everybody who has keys whether it is still the one that it was. Throws ServerError. */
  async verify(): Promise<void> {
    const ask = async (wire: Wire): Promise<void> => {
      await wire.ask('PING');
    };
    const { guests } = this.links;
    await Promise.allSettled(guests.map((guest) => guest.exclusive(0, ask))); // one that does not answer is no guest any more
    if (this.stale || guests.length > 0) await this.refreshed();
    await this.everyMaster(ask);
    this.links.passOn();
  }

  /** The link that a slot's keys go through. */
  link(slot: number): Link {
    return this.links.ofSlot(slot);
  }

  /** The links of all masters, and by slot which of them is its; -1 where nobody has it, undefined where there is but one. */
  get masters(): readonly Link[] {
    return this.links.ofMasters;
  }

  get owners(): Int16Array | undefined {
    return this.links.owners;
  }

  /** Whether keys go to different servers by their slot. */
  get sharded(): boolean {
    return this.links.owners !== undefined;
  }

  /** The slot of the key `bytes[start, end)`; 0 where there is but one server. */
  slotOf(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.sharded ? keySlot(bytes, start, end) : 0;
  }

  send(link: Link, batch: Batch): void {
    if (this.links.has(link)) link.send(batch);
    else this.unsent(batch);
  }

  /** Until there is not too much to be sent again. Throws ServerError when there is no going on. */
  async calm(): Promise<void> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      if (this.retries.size < MOST_RETRIES && this.comparer.waiting < MOST_COMPARED) return;
      await this.change.wait();
    }
  }

  /** Until something has changed. */
  wait(): Promise<void> {
    return this.change.wait();
  }

  /** Wakes who waits. */
  notify(): void {
    this.change.fire();
  }

  failed(link: Link, batch: Batch, unit: number, errors: readonly (string | undefined)[]): void {
    const bytes = batch.unit(unit);
    const error = reasonOfUnit(batch, errors);
    if (error === undefined) {
      const at = errors.findLastIndex((other) => other !== undefined);
      this.companionRefused(link.name, commandName(bytes, at), errors[at] as string);
      return;
    }
    batch.setApart(unit);
    const refusal = this.refusal(error);
    if (refusal === 'stop') {
      this.fail(new ServerError('REFUSED', link.name, error));
      return;
    }
    if (refusal === 'there') this.refusals = undefined;
    if (refusal === 'there' && (batch.again || this.resumed)) this.comparer.add({ link, batch, unit: bytes.slice() });
    else if (refusal === 'there') batch.delivery.conflict(batch, link.name, bytes);
    else if (isOverLimit(error)) this.overLimit(link, batch, bytes.slice(), error);
    else if (refusal === 'refused') this.refused(link, batch, bytes, error);
    else this.again(link, batch, unit, bytes, { error, refusal });
    this.change.fire();
  }

  /** The data command was done all the same. */
  companionRefused(server: string, command: string, error: string): void {
    const known = `${command} ${server}`;
    if (command !== 'ASKING' && !this.companions.has(known)) this.companions.set(known, { server, command, error });
  }

  /** Commands that servers refused, and that others were done without: the first of each kind. */
  get companionsRefused(): CompanionRefusal[] {
    return [...this.companions.values()];
  }

  private refused({ name }: Link, batch: Batch, unit: Uint8Array, error: string): void {
    batch.delivery.refused(batch, name, unit, error);
    const { refusals } = this;
    if (refusals === undefined) return;
    this.refusals = batch.taken > 0 ? undefined : refusals.count === 0 || refusals.reason === error ? { reason: error, count: refusals.count + 1 } : undefined;
    if (this.refusals?.count !== MOST_REFUSED) return;
    const version = /DUMP payload version/.test(error) ? ' If the target is older than it says, give its version with --target-version.' : '';
    const advice = `The first ${MOST_REFUSED.toLocaleString('en-US')} keys were all refused for this reason, so the rest was not read.${version}`;
    this.fail(new ServerError('REFUSED', name, error, undefined, advice));
  }

  /** The connection is as good as closed. */
  private overLimit(link: Link, batch: Batch, unit: Uint8Array, error: string): void {
    batch.delivery.closing(batch, link.name, unit, error);
    link.reset(error);
  }

  /** A server that is no node of a cluster to us cannot send us to another one. */
  private refusal(error: string): Refusal {
    const refusal = refusalOf(error);
    return !this.sharded && (refusal === 'moved' || refusal === 'ask') ? 'stop' : refusal;
  }

  private again(link: Link, batch: Batch, unit: number, bytes: Uint8Array, { error, refusal }: { error: string; refusal: Refusal }): void {
    const retry = retryOf(batch, unit, bytes, batch.again);
    this.lastError = `${link.name}: ${error}`;
    const to = refusal === 'ask' ? this.servers.redirected(link.name, error) : undefined;
    if (to !== undefined && Date.now() - retry.since < this.options.retryFor) {
      const guest = this.links.at(to);
      guest.send(this.retries.asking(guest, retry));
      return;
    }
    if (refusal === 'moved') this.moved(link, error);
    if (refusal === 'stale' || /^CLUSTERDOWN/.test(error)) this.stale = true;
    if (refusal === 'stale' && !this.sharded) link.reset('the server is no master any more');
    this.push(retry);
  }

  private moved(link: Link, error: string): void {
    const to = this.servers.redirected(link.name, error);
    if (to !== undefined) this.servers.moved(to.slot, to);
    this.stale = true;
  }

  private push(retry: Retry): void {
    this.retries.add(retry);
    void this.recover();
  }

  lost(link: Link, sent: readonly Batch[], cause: unknown, due: Batch | undefined): void {
    if (this.closed) return;
    this.lastError = cause instanceof ServerError ? cause.message : `${link.name}: ${reasonOf(cause)}`;
    if (sent.length > 0) this.lostAt = due && nameOf(due.unit(due.answered));
    this.stale = true;
    if (cause instanceof ServerError && cause.code === 'REFUSED') this.fail(cause);
    else if (!(cause instanceof ConnectionLost || cause instanceof ServerError || isSystemError(cause) || cause instanceof SyntaxError)) this.fail(new ServerError('LOST', link.name, reasonOf(cause), cause, 'What the server confirmed is restored.')); // a file that cannot be written: no patience helps
    if (due !== undefined && (cause instanceof ConnectionClosed || isSystemError(cause))) this.closedAt(link, due);
    for (const batch of sent) this.takeBack(batch, true);
    this.links.ended(link);
    void this.recover();
    this.change.fire();
  }

  /** A unit is the first that a closed connection gave no reply to: the one that the server closed it for, if that happens again. */
  private closedAt({ name, runId }: Link, batch: Batch): void {
    const unit = batch.answered;
    const bytes = batch.unit(unit);
    if (bytes.length < LEAST_LIMIT || batch.isApart(unit)) return;
    const times = batch.closings?.runId === runId ? batch.closings.times + 1 : 1;
    const retry = { ...retryOf(batch, unit, bytes, true), closings: { runId, times } };
    batch.setApart(unit);
    if (times < MOST_CLOSINGS && bytes.length < this.tooLarge) this.push(retry);
    else batch.delivery.closing(batch, name, retry.bytes, undefined);
  }

  /** A server takes no payloads of this size: that of `key` shows it. */
  learnLimit(server: string, db: number, key: Uint8Array, size: number): void {
    if (size < LEAST_LIMIT || size >= this.tooLarge) return;
    if (this.tooLarge === Infinity) {
      this.options.onNote(`${server} closes the connection when it gets key ${textOf(key)} of database ${db}, a payload of ${size} bytes: this value and larger ones are written with plain commands`);
    }
    this.tooLarge = size;
  }

  released(batch: Batch): void {
    if (batch.arrived > 0) this.refusals = undefined;
    this.retries.released(batch);
    batch.delivery.released(batch);
  }

  unsent(batch: Batch): void {
    this.takeBack(batch, batch.again);
  }

  private takeBack(batch: Batch, again: boolean): void {
    for (let unit = 0; unit < batch.units; unit++) {
      if (!batch.isApart(unit)) this.push(retryOf(batch, unit, batch.unit(unit), again));
    }
    this.released(batch);
  }

  fail(failure: ServerError): void {
    this.failure ??= failure;
    this.change.fire();
  }

  /** Sends again what has to be, while there is something. */
  private async recover(): Promise<void> {
    if (this.recovering) return;
    this.recovering = true;
    for (let pause = FIRST_PAUSE; this.hasWork && this.goesOn; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      await delay(pause);
      if (this.tooLate()) break;
      if (this.stale && !(await this.refreshed())) continue;
      this.resend();
      for (const link of this.links.ofMasters) link.retry();
      this.change.fire();
    }
    this.recovering = false;
  }

  private get goesOn(): boolean {
    return this.failure === undefined && !this.closed && this.options.signal?.aborted !== true;
  }

  private get hasWork(): boolean {
    return this.retries.waiting > 0 || this.links.ofMasters.some((link) => link.waiting);
  }

  private async refreshed(): Promise<boolean> {
    try {
      this.stale = false;
      await this.servers.refresh();
      this.links.arrange();
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
    const down = this.links.ofMasters.filter((link) => link.waiting && link.downSince > 0).map((link) => link.downSince);
    const first = Math.min(this.retries.oldest, ...down);
    if (Date.now() - first <= retryFor) return false;
    this.fail(new ServerError('LOST', this.servers.masters[0]?.name ?? '', `given up after ${Math.round(retryFor / 1000)} s; the last error was: ${this.lastError}${this.lostAt === undefined ? '' : `; the connection was lost at ${this.lostAt}`}`));
    return true;
  }

  private resend(): void {
    const batches = this.retries.take(({ bytes }) => this.link(this.slotOf(restoredBy(bytes).key)));
    for (const [link, row] of batches) for (const batch of row) link.send(batch);
  }

  found({ batch, link, unit }: Suspect, finding: Finding): void {
    if (finding === 'gone') this.push(this.suspected(batch, unit));
    else if (finding === 'ours') batch.delivery.delivered(batch, link.name, 1, 0);
    else batch.delivery.conflict(batch, link.name, unit);
    this.change.fire();
  }

  private compareAgain({ batch, link, unit }: Suspect, error: unknown): void {
    this.lastError = `${link.name}: ${reasonOf(error)}`;
    this.stale = true;
    if (refusalOf(reasonOf(error)) === 'stop') this.fail(new ServerError('REFUSED', link.name, reasonOf(error), error));
    else this.push(this.suspected(batch, unit));
    this.change.fire();
  }

  private suspected(batch: Batch, unit: Uint8Array): Retry {
    return { ...retryOf(batch, 0, unit, true), wasThere: undefined };
  }

  private clientOf(link: Link): Promise<Redis> {
    const master = this.servers.masters.find(({ name }) => name === link.name);
    if (master === undefined) throw new ConnectionLost('the server is no master any more');
    return this.servers.client(master);
  }

  /** The same for every master, one after another. */
  async everyMaster(work: (wire: Wire) => Promise<void>): Promise<void> {
    for (const master of this.servers.masters) await this.onMaster(master, work);
  }

  /** As `exclusive`, for a master. */
  onMaster<T>(master: Master, work: Work<T>): Promise<T> {
    return this.alone(() => this.links.named(master.name) ?? this.links.ofMasters[0], 0, work);
  }

  /**
   * Has a connection for itself for the keys of a slot; `work` is done again where the connection is lost or the server says
   * that it will do it later. Throws ErrorReply for other errors of the server that `work` throws, ServerError.
   */
  async exclusive<T>(slot: number, db: number, work: Work<T>): Promise<T> {
    const attempt = { begun: false, again: false };
    try {
      return await this.alone(() => this.link(slot), db, work, attempt);
    } catch (error) {
      if (attempt.again && !(error instanceof ErrorReply)) this.unanswered++;
      throw error;
    }
  }

  private async alone<T>(pick: () => Link, db: number, work: Work<T>, attempt = { begun: false, again: false }): Promise<T> {
    const since = Date.now();
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      const link = pick();
      try {
        return await link.exclusive(db, (wire) => {
          attempt.begun = true;
          return work(wire, link.name, attempt.again);
        });
      } catch (error) {
        attempt.again ||= attempt.begun && !(error instanceof ErrorReply);
        if (!this.mayTryAgain(link, error)) throw error;
        if (Date.now() - since > this.options.retryFor) {
          throw new ServerError('LOST', link.name, `given up after ${Math.round(this.options.retryFor / 1000)} s; the last error was: ${reasonOf(error)}`, error);
        }
      }
      await delay(pause);
      await this.refreshed();
    }
  }

  private mayTryAgain(link: Link, error: unknown): boolean {
    if (error instanceof ErrorReply) {
      const refusal = this.refusal(error.message);
      if (refusal === 'stop') throw new ServerError('REFUSED', link.name, error.message, error);
      if (refusal === 'moved') this.moved(link, error.message);
      if (refusal === 'stale' && !this.sharded) link.reset('the server is no master any more');
      return refusal !== 'refused' && refusal !== 'there';
    }
    return error instanceof ConnectionLost || isSystemError(error) || (error instanceof ServerError && error.code === 'UNREACHABLE');
  }

  /** Names of servers whose replicas did not confirm what was written. */
  get unconfirmed(): string[] {
    return this.links.all.filter((link) => link.unconfirmed).map(({ name }) => name);
  }

  /** Ends; `settled` waits for replies to what was sent, for a while. */
  async close({ settled }: { settled: boolean }): Promise<void> {
    if (this.closed) return;
    const patience = settled ? LAST_REPLIES : 0;
    const unanswered = await Promise.all(this.links.all.map((link) => link.close(patience)));
    this.closed = true;
    this.unanswered += unanswered.reduce((sum, units) => sum + units, this.retries.again + this.comparer.waiting);
    this.over.abort();
    this.servers.close();
  }
}

/**
 * Why the RESTORE of a unit was not done, from the errors of its commands; undefined where it was. Its own error says so, unless
 * that comes of an error before: without DEL the key is still there, without ASKING the slot is at the other node.
 */
function reasonOfUnit({ asking, perUnit }: Batch, errors: readonly (string | undefined)[]): string | undefined {
  const own = errors[perUnit - 1];
  if (own === undefined) return undefined;
  const cause = errors.find((error, i) => error !== undefined && (/^BUSYKEY/.test(own) || (asking && i % 2 === 0 && /^MOVED/.test(own))));
  return cause ?? own;
}

/** The name of a command of a unit. */
function commandName(unit: Uint8Array, index: number): string {
  return Buffer.from(commandArgs([...commandsOf(unit)][index], 0)[0]).toString('latin1');
}
/** Characters of a key in a message. */
const MOST_TEXT = 100;

/** A key, for messages. */
function textOf(key: Uint8Array): string {
  const text = formatText(key, 0, key.length);
  return `${JSON.stringify(text.slice(0, MOST_TEXT))}${text.length > MOST_TEXT ? '…' : ''}`;
}

const nameOf = (unit: Uint8Array): string => `key ${textOf(restoredBy(unit).key)} (${unit.length} bytes)`;

const isSystemError = (error: unknown): boolean => error instanceof Error && 'code' in error && typeof error.code === 'string';
