import { type Closings, CommandBatch, type KeyListener } from './command-batch.js';
import { commandsOf, encodeCommand } from '../redis/commands.js';
import { withElapsed } from './key-commands.js';
import type { ServerClock } from '../redis/server-clock.js';

/** A key that is sent again. */
export interface Retry {
  readonly bytes: Uint8Array;
  readonly listener: KeyListener;
  readonly db: number;
  readonly perKey: number;
  readonly builtAt: number;
  readonly again: boolean;
  readonly since: number;
  readonly wasThere: boolean | undefined;
  readonly closings: Closings | undefined;
}

/** The receiver of keys, whose clock decides how far relative expiries have run down. */
interface Owner {
  readonly clock: Pick<ServerClock, 'now'>;
}

/** Bytes of a batch of retried keys. */
const RETRY_BATCH = 1 << 18;

/** Keys waiting to be sent again, and the batches they go into. */
export class Retries {
  private keys: Retry[] = [];
  private bytes = 0;

  /** `relativeTtl`: expiries get shorter while a key waits. */
  constructor(private readonly relativeTtl: boolean) {}

  /** Keys that are in no batch yet. */
  get waiting(): number {
    return this.keys.length;
  }

  /** Of the waiting keys, those that may have been written. */
  get again(): number {
    return this.keys.filter(({ again }) => again).length;
  }

  /** Bytes of keys that wait or are being sent again. */
  get size(): number {
    return this.bytes;
  }

  /** Unix milliseconds of the first failed attempt among the waiting keys; Infinity if none waits. */
  get oldest(): number {
    return oldest(this.keys);
  }

  add(retry: Retry): void {
    this.keys.push(retry);
    this.bytes += retry.bytes.length;
  }

  /** A batch is finished. */
  released(batch: CommandBatch): void {
    this.bytes -= batch.retried;
  }

  /** Removes all waiting keys, and returns batches of them by owner. */
  takeBatches<T extends Owner>(ownerOf: (retry: Retry) => T): [owner: T, batches: Iterable<CommandBatch>][] {
    const groups = new Map<T, Retry[]>();
    for (const retry of this.keys) {
      const owner = ownerOf(retry);
      const group = groups.get(owner) ?? [];
      if (!groups.has(owner)) groups.set(owner, group);
      group.push(retry);
    }
    this.keys = [];
    return [...groups].map(([owner, group]) => [owner, this.batches(owner, group)]);
  }

  /** A batch of one key with ASKING, for the node that its slot is being migrated to. */
  asking(owner: Owner, retry: Retry): CommandBatch {
    const asking = encodeCommand(['ASKING']);
    const bytes = Buffer.concat([...commandsOf(retry.bytes)].flatMap((command) => [asking, command]));
    const batch = this.batchOf(owner, [{ ...retry, bytes, perKey: retry.perKey * 2 }]);
    batch.asking = true;
    this.bytes += batch.retried;
    return batch;
  }

  private *batches(owner: Owner, retries: readonly Retry[]): Generator<CommandBatch, void, void> {
    let row: Retry[] = [];
    let size = 0;
    for (const retry of retries) {
      const first = row[0] as Retry | undefined;
      const fits = first !== undefined && size + retry.bytes.length <= RETRY_BATCH && alike(first, retry);
      if (!fits && row.length > 0) {
        yield this.batchOf(owner, row);
        row = [];
        size = 0;
      }
      row.push(retry);
      size += retry.bytes.length;
    }
    if (row.length > 0) yield this.batchOf(owner, row);
  }

  private batchOf({ clock }: Owner, retries: readonly Retry[]): CommandBatch {
    const [{ again, closings, db, listener, perKey }] = retries;
    const now = clock.now();
    const keys = retries.map(({ builtAt, bytes }) => (this.relativeTtl ? withElapsed(bytes, now - builtAt) : bytes));
    const batch = new CommandBatch(listener, Buffer.concat(keys), db, perKey);
    batch.length = batch.bytes.length;
    batch.keys = keys.length;
    batch.retried = retries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    batch.builtAt = now;
    batch.again = again;
    batch.closings = closings;
    batch.since = oldest(retries);
    retries.forEach(({ wasThere }, index) => {
      if (wasThere !== undefined) batch.setWasThere(index, wasThere);
    });
    return batch;
  }
}

/** The commands of a key, without ASKING. `again`: they may have been applied. */
export function retryOf(batch: CommandBatch, index: number, bytes: Uint8Array, again: boolean): Retry {
  const { asking, builtAt, closings, db, listener, perKey, since } = batch;
  const plain = asking ? Buffer.concat([...commandsOf(bytes)].filter((_, i) => i % 2 === 1)) : bytes.slice();
  return {
    bytes: plain,
    listener,
    db,
    perKey: asking ? perKey / 2 : perKey,
    builtAt,
    again,
    since: since || Date.now(),
    wasThere: batch.wasThere(index),
    closings,
  };
}

function alike(a: Retry, b: Retry): boolean {
  return (
    a.closings === undefined &&
    b.closings === undefined &&
    a.listener === b.listener &&
    a.db === b.db &&
    a.perKey === b.perKey &&
    a.again === b.again
  );
}

function oldest(retries: readonly Retry[]): number {
  return retries.reduce((least, { since }) => Math.min(least, since), Infinity);
}
