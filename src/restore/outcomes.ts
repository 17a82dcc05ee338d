import type { HeldPayload } from './held-payload.js';

/** What becomes of a key that the target has: it is an error, it stays, it is replaced. */
export type RestoreConflict = 'error' | 'skip' | 'replace';

/** Why a key is rejected that the target has. */
export const THERE = 'the target has the key already: another client wrote it, or another source or database has the same key';

/** How a reason begins that the server itself has not said. */
export const CLOSES = 'the server closes the connection';

/** A key that is not on the server, and why. */
export interface Rejected {
  readonly db: number;
  /** In the text form. */
  readonly key: string;
  /** `host:port`, where a server refused it. */
  readonly server: string | undefined;
  readonly error: string;
  /** The DUMP payload: absent only where it is not kept. One that is put aside is closed with the segment. */
  readonly payload: Uint8Array | HeldPayload | undefined;
  /** Unix milliseconds, where there is one. */
  readonly expireAt: bigint | undefined;
}

/** What became of keys, of one database on one server. */
export interface RestoreCounts {
  /** On the server now: those that were not there before, and those that took the place of another value. */
  restored: number;
  replaced: number;
  /** Of those restored: nobody knows whether they took the place of another value, since the server does not answer to EXISTS. */
  uncounted: number;
  /** Left as they were, since the key was there. */
  skipped: number;
  /** Not there: the server refused them, or they cannot be told to it. */
  rejected: number;
  /** Left out, since they had expired. */
  expired: number;
  /** Of those that are there: in an encoding of their own. */
  transcoded: number;
}

export const OUTCOMES = ['restored', 'replaced', 'uncounted', 'skipped', 'rejected', 'expired', 'transcoded'] as const;

const none = (): RestoreCounts => ({ restored: 0, replaced: 0, uncounted: 0, skipped: 0, rejected: 0, expired: 0, transcoded: 0 });

/** Counts by database and server. */
export class KeyCounts {
  private readonly rows = new Map<string, RestoreCounts>();

  /** `server` is empty for keys that never came to one. */
  at(db: number, server: string): RestoreCounts {
    const name = `${db} ${server}`;
    const known = this.rows.get(name);
    if (known !== undefined) return known;
    const row = none();
    this.rows.set(name, row);
    return row;
  }

  clear(): void {
    this.rows.clear();
  }

  add(other: KeyCounts): void {
    for (const { counts, db, server } of other.entries()) {
      const row = this.at(db, server);
      for (const outcome of OUTCOMES) row[outcome] += counts[outcome];
    }
  }

  get total(): RestoreCounts {
    const total = none();
    for (const row of this.rows.values()) for (const outcome of OUTCOMES) total[outcome] += row[outcome];
    return total;
  }

  /** How many keys are on each server now. */
  get servers(): { name: string; keys: number }[] {
    const keys = new Map<string, number>();
    for (const { counts, server } of this.entries()) {
      if (server !== '') keys.set(server, (keys.get(server) ?? 0) + counts.restored + counts.replaced);
    }
    return [...keys].map(([name, count]) => ({ name, keys: count }));
  }

  /** Databases in order, and their servers; the counts are copies, for the file that they are written to later. */
  entries(): { db: number; server: string; counts: RestoreCounts }[] {
    const rows = [...this.rows].map(([name, counts]) => {
      const space = name.indexOf(' ');
      return { db: Number(name.slice(0, space)), server: name.slice(space + 1), counts: { ...counts } };
    });
    return rows.sort((a, b) => a.db - b.db || (a.server < b.server ? -1 : 1));
  }
}
