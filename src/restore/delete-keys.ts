import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { keySlot } from '../bytes/crc16.js';
import { mayPass, reasonOf, ServerError } from '../redis/errors.js';
import { refusalOf } from '../redis/refusals.js';
import type { Master, Servers } from '../redis/servers.js';
import { Waiting } from '../redis/waiting.js';

/** A key to delete; its bytes are not changed while it is in flight. */
export interface DoomedKey {
  readonly db: number;
  readonly key: Uint8Array;
}

export interface DeleteOptions {
  /** Milliseconds to retry a key whose server is lost, loading or not its owner any more. */
  readonly retryFor: number;
  readonly signal?: AbortSignal | undefined;
  /** A key that a server refuses to delete, and its reply. */
  readonly onRefused: (key: DoomedKey, server: string, error: string) => void;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

export interface DeleteCounts {
  deleted: number;
  /** Keys that were not there any more. */
  gone: number;
  refused: number;
}

/** Keys of a pipeline, and keys that are sent before all replies are awaited. */
const PIPELINE = 500;
const WINDOW = 10_000;
/** Milliseconds between two attempts. */
const RETRY_EVERY = 500;

/**
 * Deletes keys, each at the owner of its slot, whatever their values: with UNLINK, which frees memory in the background, or DEL before
 * Redis 4.0. Deleting a key again does no harm, so what was not answered is sent again; then it may be counted as gone. Throws ServerError,
 * and the reason of the signal.
 */
export async function deleteKeys(servers: Servers, keys: Iterable<DoomedKey>, options: DeleteOptions): Promise<DeleteCounts> {
  const deletion = new Deletion(servers, options);
  let window: DoomedKey[] = [];
  for (const key of keys) {
    window.push(key);
    if (window.length < WINDOW) continue;
    await deletion.all(window);
    window = [];
  }
  await deletion.all(window);
  return deletion.counts;
}

type Reply = readonly [error: Error | null, result: unknown];

/** Keys of one database of a master. */
interface Group {
  readonly master: Master;
  readonly db: number;
  readonly keys: DoomedKey[];
}

class Deletion {
  readonly counts: DeleteCounts = { deleted: 0, gone: 0, refused: 0 };
  private command: 'unlink' | 'del' = 'unlink';
  /** The selected databases that are not 0. */
  private readonly selected = new WeakMap<Redis, number>();
  /** Why keys have to be sent again. */
  private reason = '';
  private at = '';

  constructor(
    private readonly servers: Servers,
    private readonly options: DeleteOptions,
  ) {}

  async all(keys: readonly DoomedKey[]): Promise<void> {
    const { onEvent, retryFor, signal } = this.options;
    const waiting = new Waiting(retryFor, onEvent);
    let open = keys;
    while (open.length > 0) {
      signal?.throwIfAborted();
      const left = await this.attempt(open);
      if (left.length === 0) return;
      if (left.length < open.length) waiting.over();
      if (waiting.tooLong) throw new ServerError('LOST', this.at, this.reason);
      waiting.tell(`${this.at}: ${this.reason}`);
      await delay(RETRY_EVERY, undefined, { signal });
      await this.servers.refresh().catch((error: unknown) => this.failed(this.at, reasonOf(error)));
      open = left;
    }
  }

  /** Returns the keys that have to be sent again. */
  private async attempt(keys: readonly DoomedKey[]): Promise<DoomedKey[]> {
    const groups = this.groups(keys);
    const names = new Set(groups.map(({ master }) => master.name));
    const left = await Promise.all([...names].map((name) => this.one(groups.filter(({ master }) => master.name === name))));
    return left.flat();
  }

  private groups(keys: readonly DoomedKey[]): Group[] {
    const groups = new Map<string, Group>();
    for (const one of keys) {
      const master = this.servers.masterOf(keySlot(one.key, 0, one.key.length));
      const name = `${one.db} ${master.name}`;
      const group = groups.get(name);
      if (group === undefined) groups.set(name, { master, db: one.db, keys: [one] });
      else group.keys.push(one);
    }
    return [...groups.values()];
  }

  /** Those of one master, one database after another. */
  private async one(groups: readonly Group[]): Promise<DoomedKey[]> {
    const left: DoomedKey[] = [];
    for (const { db, keys, master } of groups) {
      for (let from = 0; from < keys.length; from += PIPELINE) {
        left.push(...(await this.pipeline(master, db, keys.slice(from, from + PIPELINE))));
      }
    }
    return left;
  }

  private async pipeline(master: Master, db: number, keys: readonly DoomedKey[]): Promise<DoomedKey[]> {
    const { command } = this;
    let replies: readonly Reply[];
    try {
      const client = await this.servers.client(master);
      await this.select(client, master, db);
      replies = (await client.pipeline(keys.map(({ key }) => [command, Buffer.from(key)])).exec()) ?? [];
    } catch (error) {
      if (error instanceof ServerError && !mayPass(error)) throw error;
      this.failed(master.name, reasonOf(error));
      return [...keys];
    }
    return keys.filter((key, i) => !this.settles(master, key, command, replies[i] ?? [new Error('it gave no reply'), undefined]));
  }

  /** Before anything is deleted in the wrong database. */
  private async select(client: Redis, { name }: Master, db: number): Promise<void> {
    if ((this.selected.get(client) ?? 0) === db) return;
    try {
      await client.select(db);
    } catch (error) {
      if (isReply(error) && refusalOf(error.message) !== 'later') throw new ServerError('REFUSED', name, error.message, error);
      throw error;
    }
    this.selected.set(client, db);
  }

  /** Returns whether nothing is left to do for the key. */
  private settles(master: Master, key: DoomedKey, command: string, [error, result]: Reply): boolean {
    if (error === null) {
      if (result === 1) this.counts.deleted++;
      else this.counts.gone++;
      return true;
    }
    if (isReply(error)) {
      switch (refusalOf(error.message)) {
        case 'moved': {
          const to = this.servers.redirected(master.name, error.message);
          if (to !== undefined) this.servers.moved(to.slot, to);
          break;
        }
        case 'stop':
          if (command === 'del' || !/unknown command/i.test(error.message)) {
            throw new ServerError('REFUSED', master.name, error.message, error);
          }
          this.command = 'del';
          break;
        case 'there':
        case 'refused':
          this.counts.refused++;
          this.options.onRefused(key, master.name, error.message);
          return true;
        default: // it passes
      }
    }
    this.failed(master.name, error.message);
    return false;
  }

  private failed(server: string, reason: string): void {
    this.at = server;
    this.reason = reason;
  }
}

const isReply = (error: unknown): error is Error => error instanceof Error && error.name === 'ReplyError';
