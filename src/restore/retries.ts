import { Batch, type Closings, type Delivery } from './command-batch.js';
import { commandsOf, encodeCommand, withElapsed } from '../redis/commands.js';
import type { ServerClock } from '../redis/server-clock.js';

/** A unit that is to be sent again. */
export interface Retry {
  readonly bytes: Uint8Array;
  readonly delivery: Delivery;
  readonly db: number;
  readonly perUnit: number;
  readonly builtAt: number;
  readonly again: boolean;
  readonly since: number;
  readonly wasThere: boolean | undefined;
  readonly closings: Closings | undefined;
}

/** Who gets units, and judges their relative expiries by its own clock. */
interface Owner {
  readonly clock: Pick<ServerClock, 'now'>;
}

/** Bytes of a batch of units that are sent again. */
const RETRY_BATCH = 1 << 18;

/** Units that are to be sent again, and batches of them. */
export class Retries {
  private units: Retry[] = [];
  private bytes = 0;

  /** `relativeTtl`: expiries become shorter while a unit waits. */
  constructor(private readonly relativeTtl: boolean) {}

  /** Units that are in no batch yet. */
  get waiting(): number {
    return this.units.length;
  }

  /** Of those, units that may have been done. */
  get again(): number {
    return this.units.filter(({ again }) => again).length;
  }

  /** Bytes of units that wait, or are on their way again. */
  get size(): number {
    return this.bytes;
  }

  /** Unix milliseconds when the first of those that wait was sent in vain; Infinity where none does. */
  get oldest(): number {
    return oldest(this.units);
  }

  add(retry: Retry): void {
    this.units.push(retry);
    this.bytes += retry.bytes.length;
  }

  /** Nothing more comes of a batch. */
  released(batch: Batch): void {
    this.bytes -= batch.retried;
  }

  /** Takes all that wait, as batches for those that `ownerOf` says. */
  take<T extends Owner>(ownerOf: (retry: Retry) => T): [owner: T, batches: Iterable<Batch>][] {
    const groups = new Map<T, Retry[]>();
    for (const retry of this.units) {
      const owner = ownerOf(retry);
      const group = groups.get(owner) ?? [];
      if (!groups.has(owner)) groups.set(owner, group);
      group.push(retry);
    }
    this.units = [];
    return [...groups].map(([owner, group]) => [owner, this.batches(owner, group)]);
  }

  /** A batch of one unit that did not wait here, for a node that the slot is on its way to. */
  asking(owner: Owner, retry: Retry): Batch {
    const asking = encodeCommand(['ASKING']);
    const bytes = Buffer.concat([...commandsOf(retry.bytes)].flatMap((command) => [asking, command]));
    const batch = this.batchOf(owner, [{ ...retry, bytes, perUnit: retry.perUnit * 2 }]);
    batch.asking = true;
    this.bytes += batch.retried;
    return batch;
  }

  private *batches(owner: Owner, retries: readonly Retry[]): Generator<Batch, void, void> {
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

  private batchOf({ clock }: Owner, retries: readonly Retry[]): Batch {
    const [{ again, closings, db, delivery, perUnit }] = retries;
    const now = clock.now();
    const units = retries.map(({ builtAt, bytes }) => (this.relativeTtl ? withElapsed(bytes, now - builtAt) : bytes));
    const batch = new Batch(delivery, Buffer.concat(units), db, perUnit);
    batch.length = batch.bytes.length;
    batch.units = units.length;
    batch.retried = retries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    batch.builtAt = now;
    batch.again = again;
    batch.closings = closings;
    batch.since = oldest(retries);
    retries.forEach(({ wasThere }, unit) => {
      if (wasThere !== undefined) batch.setWasThere(unit, wasThere);
    });
    return batch;
  }
}

/** A unit cut out of its batch, without ASKING. `again`: it may have been applied. */
export function retryOf(batch: Batch, unit: number, bytes: Uint8Array, again: boolean): Retry {
  const { asking, builtAt, closings, db, delivery, perUnit, since } = batch;
  const plain = asking ? Buffer.concat([...commandsOf(bytes)].filter((_, i) => i % 2 === 1)) : bytes.slice();
  return { bytes: plain, delivery, db, perUnit: asking ? perUnit / 2 : perUnit, builtAt, again, since: since || Date.now(), wasThere: batch.wasThere(unit), closings };
}

function alike(a: Retry, b: Retry): boolean {
  return a.closings === undefined && b.closings === undefined && a.delivery === b.delivery && a.db === b.db && a.perUnit === b.perUnit && a.again === b.again;
}

function oldest(retries: readonly Retry[]): number {
  return retries.reduce((least, { since }) => Math.min(least, since), Infinity);
}
