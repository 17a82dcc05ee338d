import type { Redis } from 'ioredis';
import type { CommandBatch } from './command-batch.js';
import { refusalOf } from '../redis/refusals.js';
import { restoredBy } from './key-commands.js';
import { sizeOf } from './value-size.js';
import type { DeliveryConnection } from './delivery-connection.js';

/** A key that the server reported as existing, and that an earlier attempt of ours may have written. */
export interface ExistingKey {
  readonly connection: DeliveryConnection;
  readonly batch: CommandBatch;
  readonly commands: Uint8Array;
}

/** Whose an existing key is; `gone`: it no longer exists. */
export type Finding = 'ours' | 'other' | 'gone';

export interface ConflictCheckerEvents {
  /** Keys of payloads over this size, in bytes, are compared by their size if the server has no DUMP. */
  readonly maxPayload: number;
  /** Whether two payloads hold the same value. */
  same(ours: Uint8Array, theirs: Uint8Array): boolean;
  /** A client for single commands to the server of a connection. */
  client(connection: DeliveryConnection): Promise<Redis>;
  found(key: ExistingKey, finding: Finding): void;
  /** The server could not be asked. */
  failed(key: ExistingKey, error: unknown): void;
}

/** Keys, and bytes of our payloads, compared in one round trip. */
const AT_A_TIME = 200;
const BYTES_AT_A_TIME = 1 << 20;

/** Compares existing keys with what was sent: DUMP of each, by value; without DUMP, by size if plain commands wrote them. */
export class ConflictChecker {
  private existing: ExistingKey[] = [];
  private working = false;

  constructor(private readonly events: ConflictCheckerEvents) {}

  /** Keys not compared yet. */
  get waiting(): number {
    return this.existing.length;
  }

  add(key: ExistingKey): void {
    this.existing.push(key);
    void this.work();
  }

  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    while (this.existing.length > 0) {
      const some = this.next();
      await this.compare(some);
    }
    this.working = false;
  }

  /** The first keys of the queue that share a server and a database. */
  private next(): ExistingKey[] {
    const [first] = this.existing;
    let bytes = 0;
    let count = 0;
    for (const { batch, connection, commands } of this.existing) {
      const fits = connection === first.connection && batch.db === first.batch.db && batch.asking === first.batch.asking;
      if (!fits || count === AT_A_TIME || (count > 0 && bytes + commands.length > BYTES_AT_A_TIME)) break;
      bytes += commands.length;
      count++;
    }
    return this.existing.splice(0, count);
  }

  private async compare(existing: readonly ExistingKey[]): Promise<void> {
    const { events } = this;
    let replies: Replies = [];
    let failure: unknown;
    try {
      replies = await dumps(await events.client(existing[0].connection), existing);
    } catch (error) {
      failure = error;
    }
    const sized: ExistingKey[] = [];
    existing.forEach((key, i) => {
      const [error, theirs] = replies.at(i) ?? [failure, null];
      if (error instanceof Error && refusalOf(error.message) === 'stop' && restoredBy(key.commands).payload.length > events.maxPayload) {
        sized.push(key);
      } else if (error !== null && error !== undefined) events.failed(key, error);
      else if (theirs === null) events.found(key, 'gone');
      else events.found(key, events.same(restoredBy(key.commands).payload, theirs) ? 'ours' : 'other');
    });
    if (sized.length > 0) await this.compareSizes(sized);
  }

  private async compareSizes(existing: readonly ExistingKey[]): Promise<void> {
    const { events } = this;
    try {
      const findings = await bySize(await events.client(existing[0].connection), existing);
      existing.forEach((key, i) => events.found(key, findings[i]));
    } catch (error) {
      for (const key of existing) events.failed(key, error);
    }
  }
}

type Replies = (readonly [error: unknown, payload: Buffer | null])[];

/** The DUMP payload of each key; null where it is gone. */
async function dumps(client: Redis, existing: readonly ExistingKey[]): Promise<Replies> {
  const [{ batch }] = existing;
  const pipeline = client.pipeline();
  pipeline.select(batch.db);
  for (const { commands } of existing) {
    if (batch.asking) pipeline.asking();
    pipeline.dumpBuffer(Buffer.from(restoredBy(commands).key));
  }
  const [selected, ...replies] = (await pipeline.exec()) ?? [];
  if (selected[0] !== null && batch.db > 0) throw selected[0]; // without SELECT, there is only database 0
  return (batch.asking ? replies.filter((_, i) => i % 2 === 1) : replies) as Replies;
}

/** Keys of the size of what was sent are ours; an empty one is gone. */
async function bySize(client: Redis, existing: readonly ExistingKey[]): Promise<Finding[]> {
  const [{ batch }] = existing;
  const pipeline = client.pipeline();
  pipeline.select(batch.db);
  const sizes = existing.map(({ commands }) => sizeOf(restoredBy(commands).payload));
  existing.forEach(({ commands }, i) => {
    if (batch.asking) pipeline.asking();
    pipeline.call(sizes[i]?.command ?? 'EXISTS', Buffer.from(restoredBy(commands).key));
  });
  const replies = ((await pipeline.exec()) ?? []).slice(1);
  return existing.map((_, i) => {
    const [error, size] = replies[batch.asking ? 2 * i + 1 : i];
    if (error !== null && !error.message.startsWith('WRONGTYPE')) throw error;
    return error !== null ? 'other' : size === 0 ? 'gone' : size === sizes[i]?.size ? 'ours' : 'other';
  });
}
