import type { HeldPayload } from './held-payload.js';

/** What happens to a key that the target has: an error, kept, replaced. */
export type RestoreConflict = 'error' | 'skip' | 'replace';

/** The reason for rejecting a key that the target has. */
export const THERE = 'the target has the key already: another client wrote it, or another key of the sources has this name there';

/** The beginning of reasons that the server itself did not give. */
export const CLOSES = 'the server closes the connection';

/** A key that is not on the server, and why. */
export interface Rejected {
  readonly db: number;
  /** In the text form: see formatText. */
  readonly key: string;
  /** `host:port`, if a server refused it. */
  readonly server: string | undefined;
  readonly error: string;
  /** The DUMP payload; undefined if it is not kept. A held one is closed with the segment. */
  readonly payload: Uint8Array | HeldPayload | undefined;
  /** Unix milliseconds; undefined if it does not expire. */
  readonly expireAt: bigint | undefined;
  /** Its value is damaged, and damage is gone past. */
  readonly damaged?: boolean;
}

/** Outcomes of the keys of one database on one server. */
export interface RestoreCounts {
  /** Written: keys that did not exist, and keys that replaced another value. */
  restored: number;
  replaced: number;
  /** Of those written, keys for which it is not known whether they replaced another value, since the server refused EXISTS. */
  uncounted: number;
  /** Not written, since the key exists. */
  skipped: number;
  /** Not written: refused by the server, or not representable there. */
  rejected: number;
  /** Not written: their value is damaged, and damage is gone past; without that option they are rejected. */
  damaged: number;
  /** Left out, since they had expired. */
  expired: number;
  /** Of those written, keys in another encoding than that of the source. */
  transcoded: number;
}

export const OUTCOMES = ['restored', 'replaced', 'uncounted', 'skipped', 'rejected', 'damaged', 'expired', 'transcoded'] as const;

const none = (): RestoreCounts => ({
  ...{ restored: 0, replaced: 0, uncounted: 0, skipped: 0, rejected: 0, damaged: 0, expired: 0, transcoded: 0 },
});

/** Outcomes by database and server. */
export class KeyCounts {
  private readonly rows = new Map<string, RestoreCounts>();

  /** `server` is empty for keys that were never sent. */
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

  /** Keys now on each server. */
  get servers(): { name: string; keys: number }[] {
    const keys = new Map<string, number>();
    for (const { counts, server } of this.entries()) {
      if (server !== '') keys.set(server, (keys.get(server) ?? 0) + counts.restored + counts.replaced);
    }
    return [...keys].map(([name, count]) => ({ name, keys: count }));
  }

  /** By database and server; copies, since a checkpoint writes them later. */
  entries(): { db: number; server: string; counts: RestoreCounts }[] {
    const rows = [...this.rows].map(([name, counts]) => {
      const space = name.indexOf(' ');
      return { db: Number(name.slice(0, space)), server: name.slice(space + 1), counts: { ...counts } };
    });
    return rows.sort((a, b) => a.db - b.db || (a.server < b.server ? -1 : 1));
  }
}
