import type { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../bytes/crc16.js';
import { Batch, type Delivery } from './batch.js';
import { commandsOf, encodeCommand, restoredBy, withElapsed } from './commands.js';
import { Comparer, type Finding, type Suspect } from './comparer.js';
import { openSocket } from './connect.js';
import { Custody, type CustodyState } from './custody.js';
import { ConnectionLost, reasonOf, ServerError } from './errors.js';
import { Link, type LinkEvents, type Wire } from './link.js';
import { type Refusal, refusalOf } from './refusals.js';
import type { Master, Servers } from './servers.js';
import { Signal } from './signal.js';
import { type Address, addressText } from './url.js';

export interface BulkOptions {
  /** Bytes and commands on their way to one server at a time. */
  readonly window: number;
  readonly windowUnits: number;
  /** Milliseconds for which a command is tried again while the server is lost, loading, failing over. */
  readonly retryFor: number;
  /** Expiries are relative: they become shorter while a command waits. */
  readonly relativeTtl: boolean;
  /** Whether two payloads mean the same value. */
  readonly same: (ours: Uint8Array, theirs: Uint8Array) => boolean;
  /** Who had what a run before this one delivered. */
  readonly custody?: readonly CustodyState[] | undefined;
  /** What a server had confirmed may be lost, and why. */
  readonly onLoss: (server: string, reason: string) => void;
  /** Aborted when nothing more is to be sent, nor waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** A unit that is to be sent again. */
interface Retry {
  readonly bytes: Uint8Array;
  readonly delivery: Delivery;
  readonly db: number;
  readonly perUnit: number;
  readonly builtAt: number;
  readonly again: boolean;
  readonly since: number;
  readonly wasThere: boolean | undefined;
}

/** Bytes waiting to be sent again at which makers of batches have to wait. */
const MOST_RETRIES = 16 << 20;
const MOST_COMPARED = 1000;
/** Bytes of a batch of units that are sent again. */
const RETRY_BATCH = 1 << 18;
/** Milliseconds between attempts, at first and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;
/** Milliseconds for replies to come when it is over. */
const LAST_REPLIES = 3000;

/** `again`: what was done before may have been applied. */
export type Work<T> = (wire: Wire, node: string, again: boolean) => Promise<T>;

/** An error reply to a command outside of batches. */
export class ErrorReply extends Error {
  override readonly name = 'ErrorReply';
}

/** Sends batches to the servers that own their keys until everything is delivered, refused, or there is no going on. */
export class Bulk implements LinkEvents {
  /** Why there is no going on. */
  failure: ServerError | undefined;
  private readonly links = new Map<string, Link>();
  private bySlot: Link[] = [];
  /** To nodes that slots are on their way to, and that have none yet. */
  private readonly guests = new Set<Link>();
  private retries: Retry[] = [];
  private retryBytes = 0;
  private recovering = false;
  private stale = false;
  /** A key that is there may be one of ours, from a run before this one. */
  resumed = false;
  private readonly custodies: Map<string, Custody>;
  private readonly comparer: Comparer;
  private lastError = 'the connection was lost';
  private readonly change = new Signal();
  private closed = false;
  private readonly over = new AbortController();

  constructor(
    readonly servers: Servers,
    private readonly options: BulkOptions,
  ) {
    this.custodies = new Map(options.custody?.map((state) => [state.name, Custody.from(state)]));
    this.comparer = new Comparer({
      same: options.same,
      client: (link) => this.clientOf(link),
      found: (suspect, finding) => this.found(suspect, finding),
      failed: (suspect, error) => this.compareAgain(suspect, error),
    });
    this.arrange();
    options.signal?.addEventListener('abort', () => this.aborted(), { signal: this.over.signal });
  }

  private aborted(): void {
    this.change.fire();
    setTimeout(() => {
      for (const link of this.links.values()) link.reset('interrupted');
    }, LAST_REPLIES).unref();
  }

  /** Links for the masters that there are; those of others are given up. */
  private arrange(): void {
    const { links, servers } = this;
    this.bySlot = servers.masters.map((master) => this.linkTo(master));
    servers.masters.forEach(({ replicas }, i) => (this.bySlot[i].hasReplicas = replicas > 0));
    for (const [name, link] of links) {
      if (this.bySlot.includes(link)) this.guests.delete(link);
      if (this.bySlot.includes(link) || this.guests.has(link)) continue;
      links.delete(name);
      for (const batch of link.retire()) this.takeBack(batch, batch.again);
    }
    for (const [name, custody] of this.custodies) {
      if (!links.has(name) && custody.passed()) this.options.onLoss(name, 'another server has its place now, and no replica had confirmed all that was written');
    }
  }

  restarted({ name }: Link): void {
    this.options.onLoss(name, 'it was restarted');
  }

  /** Who has what was delivered so far. */
  get custody(): CustodyState[] {
    return [...this.custodies.values()].map(({ bare, name, runId, since }) => ({ name, runId, since, bare }));
  }

  private custodyOf(name: string): Custody {
    const custody = this.custodies.get(name) ?? new Custody(name);
    this.custodies.set(name, custody);
    return custody;
  }

  /** Asks every master whether it is still the one that it was. Throws ServerError. */
  async verify(): Promise<void> {
    await this.everyMaster(async (wire) => {
      await wire.ask('PING');
    });
  }

  private linkTo(master: Master): Link {
    const known = this.links.get(master.name);
    if (known !== undefined) return known;
    const { retryFor, window, windowUnits } = this.options;
    const open = (): ReturnType<typeof openSocket> => openSocket(this.servers.access, master.address);
    const custody = this.custodyOf(master.name);
    const link = new Link({ name: master.name, open, custody, window, windowUnits, patience: Math.max(retryFor, 1000) }, this);
    this.links.set(master.name, link);
    return link;
  }

  /** The link that a slot's keys go through. */
  link(slot: number): Link {
    const index = this.servers.owners?.[slot] ?? 0;
    return this.bySlot[index < 0 ? 0 : index];
  }

  /** Whether keys go to different servers by their slot. */
  get sharded(): boolean {
    return this.servers.owners !== undefined;
  }

  send(link: Link, batch: Batch): void {
    if (this.bySlot.includes(link)) link.send(batch);
    else this.takeBack(batch, batch.again);
  }

  /** Until there is not too much to be sent again. Throws ServerError when there is no going on. */
  async calm(): Promise<void> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      if (this.retryBytes < MOST_RETRIES && this.comparer.waiting < MOST_COMPARED) return;
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

  failed(link: Link, batch: Batch, unit: number, error: string): void {
    const refusal = this.refusal(error);
    if (refusal === 'stop') {
      batch.setApart(unit);
      this.fail(new ServerError('REFUSED', link.name, error));
      return;
    }
    const bytes = batch.unit(unit);
    batch.setApart(unit);
    if (refusal === 'there' && (batch.again || this.resumed)) this.comparer.add({ link, batch, unit: bytes.slice() });
    else if (refusal === 'there') batch.delivery.conflict(batch, link.name, bytes);
    else if (refusal === 'refused') batch.delivery.refused(batch, link.name, bytes, error);
    else this.again(link, batch, unit, bytes, { error, refusal });
    this.change.fire();
  }

  /** A server that is no node of a cluster to us cannot send us to another one. */
  private refusal(error: string): Refusal {
    const refusal = refusalOf(error);
    return !this.sharded && (refusal === 'moved' || refusal === 'ask') ? 'stop' : refusal;
  }

  private again(link: Link, batch: Batch, unit: number, bytes: Uint8Array, { error, refusal }: { error: string; refusal: Refusal }): void {
    const retry = this.retryOf(batch, unit, bytes, batch.again);
    this.lastError = `${link.name}: ${error}`;
    if (refusal === 'ask' && Date.now() - retry.since < this.options.retryFor) {
      this.askTo(this.servers.redirected(link.name, error), retry);
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

  private retryOf(batch: Batch, unit: number, bytes: Uint8Array, again: boolean): Retry {
    const { asking, builtAt, db, delivery, perUnit, since } = batch;
    const plain = asking ? Buffer.concat([...commandsOf(bytes)].filter((_, i) => i % 2 === 1)) : bytes.slice();
    return { bytes: plain, delivery, db, perUnit: asking ? perUnit / 2 : perUnit, builtAt, again, since: since || Date.now(), wasThere: batch.wasThere(unit) };
  }

  private push(retry: Retry): void {
    this.retries.push(retry);
    this.retryBytes += retry.bytes.length;
    void this.recover();
  }

  /** A slot is on its way to another node, which takes the keys that are not there yet when it is told so. */
  private askTo(to: Address | undefined, retry: Retry): void {
    if (to === undefined) {
      this.stale = true;
      this.push(retry);
      return;
    }
    const link = this.links.get(addressText(to)) ?? this.linkTo({ name: addressText(to), address: to, id: '', replicas: 0 });
    if (!this.bySlot.includes(link)) this.guests.add(link);
    const asking = encodeCommand(['ASKING']);
    const bytes = Buffer.concat([...commandsOf(retry.bytes)].flatMap((command) => [asking, command]));
    const batch = this.batchOf([{ ...retry, bytes, perUnit: retry.perUnit * 2 }]);
    batch.asking = true;
    this.retryBytes += batch.retried;
    link.send(batch);
  }

  lost(link: Link, sent: readonly Batch[], cause: unknown): void {
    if (this.closed) return;
    this.lastError = `${link.name}: ${reasonOf(cause)}`;
    this.stale = true;
    if (cause instanceof ServerError && cause.code === 'REFUSED') this.fail(cause);
    else if (!(cause instanceof ConnectionLost || cause instanceof ServerError || isSystemError(cause) || cause instanceof SyntaxError)) this.fail(new ServerError('LOST', link.name, reasonOf(cause), cause));
    for (const batch of sent) this.takeBack(batch, true);
    if (!this.bySlot.includes(link)) {
      if (this.guests.delete(link)) this.links.delete(link.name);
      for (const batch of link.retire()) this.takeBack(batch, batch.again);
    }
    void this.recover();
    this.change.fire();
  }

  released(batch: Batch): void {
    this.retryBytes -= batch.retried;
    batch.delivery.released(batch);
  }

  private takeBack(batch: Batch, again: boolean): void {
    for (let unit = 0; unit < batch.units; unit++) {
      if (!batch.isApart(unit)) this.push(this.retryOf(batch, unit, batch.unit(unit), again));
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
      const { retries } = this;
      this.retries = [];
      this.resend(retries);
      for (const link of this.bySlot) link.retry();
      this.change.fire();
    }
    this.recovering = false;
  }

  private get goesOn(): boolean {
    return this.failure === undefined && !this.closed && this.options.signal?.aborted !== true;
  }

  private get hasWork(): boolean {
    return this.retries.length > 0 || this.bySlot.some((link) => link.waiting);
  }

  private async refreshed(): Promise<boolean> {
    try {
      this.stale = false;
      await this.servers.refresh();
      this.arrange();
      return true;
    } catch (error) {
      this.stale = true;
      if (error instanceof ServerError && error.code === 'REFUSED') this.fail(error);
      this.lastError = reasonOf(error);
      return false;
    }
  }

  private tooLate(): boolean {
    const { retries } = this;
    const { retryFor } = this.options;
    const down = this.bySlot.filter((link) => link.waiting && link.downSince > 0).map((link) => link.downSince);
    const first = retries.reduce((least, { since }) => Math.min(least, since), Math.min(Infinity, ...down));
    if (Date.now() - first <= retryFor) return false;
    this.fail(new ServerError('LOST', this.servers.masters[0]?.name ?? '', `given up after ${Math.round(retryFor / 1000)} s; the last error was: ${this.lastError}`));
    return true;
  }

  private resend(retries: readonly Retry[]): void {
    const groups = new Map<Link, Retry[]>();
    for (const retry of retries) {
      const { key } = restoredBy(retry.bytes);
      const link = this.link(this.sharded ? keySlot(key, 0, key.length) : 0);
      const group = groups.get(link) ?? [];
      if (!groups.has(link)) groups.set(link, group);
      group.push(retry);
    }
    for (const [link, group] of groups) for (const batch of this.batches(group)) link.send(batch);
  }

  private *batches(retries: readonly Retry[]): Generator<Batch, void, void> {
    let row: Retry[] = [];
    let size = 0;
    for (const retry of retries) {
      const first = row[0] as Retry | undefined;
      const fits = first !== undefined && size + retry.bytes.length <= RETRY_BATCH && alike(first, retry);
      if (!fits && row.length > 0) {
        yield this.batchOf(row);
        row = [];
        size = 0;
      }
      row.push(retry);
      size += retry.bytes.length;
    }
    if (row.length > 0) yield this.batchOf(row);
  }

  private batchOf(retries: readonly Retry[]): Batch {
    const [{ again, db, delivery, perUnit }] = retries;
    const now = Date.now();
    const units = retries.map(({ builtAt, bytes }) => (this.options.relativeTtl ? withElapsed(bytes, now - builtAt) : bytes));
    const batch = new Batch(delivery, Buffer.concat(units), db, perUnit);
    batch.length = batch.bytes.length;
    batch.units = units.length;
    batch.retried = retries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    batch.builtAt = now;
    batch.again = again;
    batch.since = retries.reduce((least, { since }) => Math.min(least, since), Infinity);
    retries.forEach(({ wasThere }, unit) => {
      if (wasThere !== undefined) batch.setWasThere(unit, wasThere);
    });
    return batch;
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
    return { ...this.retryOf(batch, 0, unit, true), wasThere: undefined };
  }

  private clientOf(link: Link): Promise<Redis> {
    const master = this.servers.masters.find(({ name }) => name === link.name);
    if (master === undefined) throw new ConnectionLost('the server is no master any more');
    return this.servers.client(master);
  }

  /** The same for every master, one after another. */
  async everyMaster(work: (wire: Wire, master: Master) => Promise<void>): Promise<void> {
    for (const master of this.servers.masters) await this.alone(() => this.links.get(master.name) ?? this.bySlot[0], 0, (wire) => work(wire, master));
  }

  /** The source text of a function library on a master; empty where it is not to be had. */
  async libraryCode(master: Master, name: string): Promise<Uint8Array> {
    try {
      const client = await this.servers.client(master);
      const [library = []] = (await client.callBuffer('FUNCTION', 'LIST', 'LIBRARYNAME', name, 'WITHCODE')) as unknown[][];
      const at = library.findIndex((field) => String(field) === 'library_code');
      return at < 0 ? new Uint8Array(0) : (library[at + 1] as Buffer);
    } catch {
      return new Uint8Array(0); // FUNCTION LIST is not allowed everywhere
    }
  }

  /**
   * Has a connection for itself for the keys of a slot; `work` is done again where the connection is lost or the server says
   * that it will do it later. Throws ErrorReply for other errors of the server that `work` throws, ServerError.
   */
  exclusive<T>(slot: number, db: number, work: Work<T>): Promise<T> {
    return this.alone(() => this.link(slot), db, work);
  }

  private async alone<T>(pick: () => Link, db: number, work: Work<T>): Promise<T> {
    const since = Date.now();
    for (let pause = FIRST_PAUSE, again = false; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      if (this.failure !== undefined) throw this.failure;
      this.options.signal?.throwIfAborted();
      const link = pick();
      try {
        return await link.exclusive(db, (wire) => work(wire, link.name, again));
      } catch (error) {
        if (!this.mayTryAgain(link, error)) throw error;
        again ||= !(error instanceof ErrorReply);
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
    return [...this.links.values()].filter((link) => link.unconfirmed).map(({ name }) => name);
  }

  /** Ends; `settled` waits for replies to what was sent, for a while. */
  async close({ settled }: { settled: boolean }): Promise<void> {
    const patience = settled ? LAST_REPLIES : 0;
    await Promise.all([...this.links.values()].map((link) => link.close(patience)));
    this.closed = true;
    this.over.abort();
    this.servers.close();
  }
}

function alike(a: Retry, b: Retry): boolean {
  return a.delivery === b.delivery && a.db === b.db && a.perUnit === b.perUnit && a.again === b.again;
}

const isSystemError = (error: unknown): boolean => error instanceof Error && 'code' in error && typeof error.code === 'string';
