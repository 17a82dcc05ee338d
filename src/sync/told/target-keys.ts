import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../../bytes/crc16.js';
import { encodeCommand } from '../../redis/commands.js';
import { Connection } from '../../redis/connection.js';
import { ConnectionLost, mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import type { Pending } from '../../redis/in-flight.js';
import { refusalOf } from '../../redis/refusals.js';
import type { Servers } from '../../redis/servers.js';
import { Signal } from '../../redis/signal.js';
import { type Address, addressText } from '../../redis/url.js';
import { Waiting } from '../../redis/waiting.js';
import { ChangeBatch } from '../target/change-batch.js';
import { passes } from '../target/detached.js';

/** Commands that give a key of the target its value. */
export interface TargetKey {
  readonly db: number;
  readonly key: Uint8Array;
  readonly pieces: readonly Uint8Array[];
  readonly commands: number;
}

export interface TargetKeysOptions<T extends TargetKey> {
  readonly servers: Servers;
  /** What CLIENT SETNAME says: later runs find the connections by it. */
  readonly label: string;
  /** Called before the first write of a connection. Throws SyncReplaced if another run writes now. */
  readonly mayWrite: () => Promise<void>;
  readonly signal: AbortSignal;
  /** The target refuses it for good. */
  readonly onRefused: (key: T, error: string) => void;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
}

/** Bytes and keys of a batch, and bytes that wait for replies. */
const BATCH_BYTES = 1 << 17;
const BATCH_KEYS = 500;
const MOST_BYTES = 4 << 20;
/** Milliseconds without a reply that is due. */
const PATIENCE = 60_000;
/** Milliseconds between two attempts, at first and at most. */
const RETRY_EVERY = 50;
const LONGEST_PAUSE = 1000;

const ASKING = encodeCommand(['ASKING']);

/** Keys of one database that are sent to a master together. */
interface Open<T> {
  readonly keys: T[];
  bytes: number;
}

/** A master, or the node that a slot is on its way to. */
interface Node {
  readonly name: string;
  readonly address: Address | undefined;
}

/**
 * Writes values and deletes keys, each at the owner of its slot. Doing that again does no harm, so what was not answered is sent again:
 * each key only once between two calls of `settled`.
 */
export class TargetKeys<T extends TargetKey> {
  private readonly connections = new Map<string, Connection>();
  private readonly opening = new Map<string, Promise<Connection>>();
  private readonly open = new Map<string, Open<T>>();
  /** Keys to be sent again, and where a node sent us. */
  private again: { readonly key: T; readonly to: Node | undefined }[] = [];
  /** Sent, or about to be, without an answer. */
  private bytes = 0;
  private batches = 0;
  private failure: { readonly error: unknown } | undefined;
  private reason = '';
  /** Unix milliseconds when it is to give up what could not be written until then: ConnectionLost is thrown. */
  giveUpAt = Infinity;
  private readonly change = new Signal();

  constructor(private readonly options: TargetKeysOptions<T>) {}

  /** Resolves when there is room for more; undefined if there is. */
  put(key: T): Promise<void> | undefined {
    const node = this.ownerOf(key);
    const id = `${node.name} ${key.db}`;
    let open = this.open.get(id);
    if (open === undefined) this.open.set(id, (open = { keys: [], bytes: 0 }));
    open.keys.push(key);
    open.bytes += sizeOf(key);
    if (open.bytes >= BATCH_BYTES || open.keys.length >= BATCH_KEYS) this.flush(id, node, open);
    return this.bytes > MOST_BYTES ? this.room() : undefined;
  }

  private async room(): Promise<void> {
    while (this.bytes > MOST_BYTES) {
      if (this.failure !== undefined) throw this.failure.error;
      await this.change.wait();
    }
  }

  /** All keys are written, or refused. Throws ServerError, SyncReplaced, and the reason of the signal. */
  async settled(): Promise<void> {
    const { onEvent, servers, signal } = this.options;
    const waiting = new Waiting(Infinity, onEvent);
    let pause = RETRY_EVERY;
    for (;;) {
      for (const [id, open] of this.open) this.flush(id, this.ownerOf(open.keys[0]), open);
      while (this.batches > 0) await this.change.wait();
      signal.throwIfAborted();
      if (this.failure !== undefined) throw this.failure.error;
      const { again } = this;
      if (again.length === 0) return;
      this.again = [];
      if (Date.now() > this.giveUpAt) throw new ConnectionLost(`keys cannot be written: ${this.reason}`);
      waiting.tell(`the target: ${this.reason}`);
      await delay(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
      pause = Math.min(2 * pause, LONGEST_PAUSE);
      await servers.refresh().catch((error: unknown) => {
        if (!mayPass(error)) throw error;
      });
      for (const { key, to } of again) {
        if (to === undefined) {
          const taking = this.put(key);
          if (taking !== undefined) await taking;
        } else this.send(to, [key], sizeOf(key), true);
      }
    }
  }

  private ownerOf({ key }: T): Node {
    const { servers } = this.options;
    return servers.clustered ? servers.masterOf(keySlot(key, 0, key.length)) : servers.masters[0];
  }

  private flush(id: string, node: Node, { bytes, keys }: Open<T>): void {
    this.open.delete(id);
    this.send(node, keys, bytes, false);
  }

  private send(node: Node, keys: readonly T[], bytes: number, asking: boolean): void {
    this.bytes += bytes;
    this.batches++;
    const over = (): void => {
      this.bytes -= bytes;
      this.batches--;
      this.change.fire();
    };
    const failed = (error: unknown): void => {
      this.reason = reasonOf(error);
      if (mayPass(error)) for (const key of keys) this.again.push({ key, to: undefined });
      else this.failure ??= { error };
      over();
    };
    this.connected(node).then((connection) => {
      const before = [
        ...(keys[0].db === connection.db ? [] : [encodeCommand(['SELECT', `${keys[0].db}`])]),
        ...(asking && keys[0].commands === 1 ? [ASKING] : []),
      ];
      const parts = [...before, ...keys.flatMap(({ pieces }) => pieces)];
      const commands = keys.reduce((sum, key) => sum + key.commands, before.length);
      const batch = new KeyBatch(parts, commands, keys[0].db, () => {
        this.answered(node, keys, before.length, batch.failures);
        over();
      });
      batch.lost = failed;
      try {
        connection.sendParts(batch, parts);
        connection.db = keys[0].db;
      } catch (error) {
        failed(error);
      }
    }, failed);
  }

  private answered(node: Node, keys: readonly T[], before: number, failures: ChangeBatch['failures']): void {
    const { onRefused, servers } = this.options;
    let at = before;
    for (const key of failures.length === 0 ? [] : keys) {
      // of several commands, the first error tells why
      const end = at + key.commands;
      const error = failures.find(({ index }) => index < before || (index >= at && index < end))?.error;
      at = end;
      if (error === undefined) continue;
      this.reason = error;
      const refusal = refusalOf(error);
      const to = refusal === 'moved' || refusal === 'ask' ? servers.redirected(node.name, error) : undefined;
      const address = to && { host: to.host, port: to.port };
      if (to !== undefined && address !== undefined && refusal === 'moved') servers.moved(to.slot, address);
      if (refusal === 'moved' || refusal === 'ask' || passes(error)) {
        this.again.push({ key, to: refusal === 'ask' && address !== undefined ? { name: addressText(address), address } : undefined });
      } else if (refusal === 'stop') this.failure ??= { error: new ServerError('REFUSED', node.name, error) };
      else onRefused(key, error);
    }
    if (this.again.some(({ to }) => to === undefined) && refusalOf(this.reason) === 'stale') this.drop(node.name);
  }

  /** A connection that was lost is opened again. */
  private connected(node: Node): Promise<Connection> {
    const known = this.connections.get(node.name);
    if (known?.isOpen === true) return Promise.resolve(known);
    let opening = this.opening.get(node.name);
    if (opening !== undefined) return opening;
    opening = this.connect(node).finally(() => this.opening.delete(node.name));
    this.opening.set(node.name, opening);
    return opening;
  }

  private async connect(node: Node): Promise<Connection> {
    const { label, mayWrite, servers, signal } = this.options;
    signal.throwIfAborted();
    await mayWrite();
    const made = new Connection(
      { name: node.name, open: () => servers.openSocket(node), clock: servers.clockOf(node.name), patience: PATIENCE },
      {
        opened: () => undefined,
        complete: (item) => {
          if (item instanceof KeyBatch) item.onComplete(item);
        },
        lost: (items, _, reason) => {
          for (const item of items) if (item instanceof KeyBatch) item.lost(reason);
        },
      },
    );
    await made.open();
    await made.ask('CLIENT', 'SETNAME', label); // it may be refused
    this.connections.set(node.name, made);
    return made;
  }

  private drop(name: string): void {
    this.connections.get(name)?.reset('it is not a master any more');
    this.connections.delete(name);
  }

  close(): void {
    for (const connection of this.connections.values()) {
      for (const item of connection.close()) if (item instanceof KeyBatch) item.lost(new ConnectionLost('closed'));
    }
    this.connections.clear();
  }
}

class KeyBatch extends ChangeBatch implements Pending {
  lost: (reason: unknown) => void = () => undefined;
}

const sizeOf = ({ pieces }: TargetKey): number => pieces.reduce((sum, { length }) => sum + length, 0);
