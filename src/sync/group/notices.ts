import { setTimeout as delay } from 'node:timers/promises';
import { mayPass } from '../../redis/errors.js';
import { KeyedHash } from '../../bytes/keyed-hash.js';
import type { Words128 } from '../../bytes/murmur3.js';
import { keyId, type KeyName } from '../fences.js';
import { type Origins, targetName } from './origins.js';
import type { UsedDatabases } from './used-databases.js';

/** Keys that are remembered to have been asked for, so that a key that is written often is not asked for each time. */
const REMEMBERED = 1 << 16;
/** Keys that wait to be asked for. */
const MOST_WAITING = 8192;
/** Keys asked for at once, and milliseconds between two times. */
const AT_ONCE = 512;
const ASK_EVERY = 25;
/** Keys that are told once each. */
const MOST_TOLD = 10_000;

/** A key that a source wrote and that others have as well. */
export interface NoticedKey extends KeyName {
  /** Numbers of sources: the one that wrote it, and those that have it. */
  readonly by: number;
  readonly others: readonly number[];
}

export interface NoticesOptions {
  readonly origins: Origins;
  readonly used: UsedDatabases;
  readonly signal: AbortSignal;
  readonly onNoticed: (key: NoticedKey) => void;
}

/**
 * Looks, beside the changes that are applied, whether keys that one source writes are in another one, too: the target has room for one of
 * them, and has the one that was written last. Only databases of the target that several sources have keys for are looked at, and no more
 * keys than can be asked for without a load.
 */
export class Notices {
  /** Keys that could not be asked for, since there were too many. */
  missed = 0;
  noticed = 0;
  private readonly asked = new Uint32Array(2 * REMEMBERED);
  private readonly hash = new KeyedHash();
  private readonly words: Words128 = [0, 0, 0, 0];
  private waiting: (KeyName & { readonly by: number })[] = [];
  private readonly told = new Set<string>();
  private working: Promise<void> | undefined;

  constructor(private readonly options: NoticesOptions) {}

  /** A source writes a key of one of its databases. */
  written(number: number, db: number, bytes: Uint8Array, start: number, end: number): void {
    const { choice, names } = this.options.origins.all[number];
    const to = choice.target(db);
    if (!this.options.used.use(number, to)) return;
    this.hash.of(bytes, start, end, this.words, db * 64 + number);
    const at = 2 * (this.words[2] & (REMEMBERED - 1));
    if (this.asked[at] === this.words[0] && this.asked[at + 1] === this.words[1]) return;
    if (this.waiting.length >= MOST_WAITING) {
      this.missed++;
      return;
    }
    this.asked[at] = this.words[0];
    this.asked[at + 1] = this.words[1];
    this.waiting.push({ by: number, db: to, key: Buffer.from(targetName(names, bytes.slice(start, end))) });
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  /** Until all keys that were written so far were asked for. */
  async settled(): Promise<void> {
    await this.working;
  }

  private async work(): Promise<void> {
    const { signal } = this.options;
    while (this.waiting.length > 0 && !signal.aborted) {
      const some = this.waiting.splice(0, AT_ONCE);
      await this.ask(some).catch((error: unknown) => {
        if (!mayPass(error)) throw error;
        this.missed += some.length;
      });
      await delay(ASK_EVERY);
    }
  }

  private async ask(some: readonly (KeyName & { readonly by: number })[]): Promise<void> {
    const { onNoticed, origins } = this.options;
    const groups = new Map<string, (KeyName & { readonly by: number })[]>();
    for (const key of some) {
      const group = `${key.by} ${key.db}`;
      const known = groups.get(group);
      if (known === undefined) groups.set(group, [key]);
      else known.push(key);
    }
    for (const own of groups.values()) {
      const [{ by, db }] = own;
      const having = await origins.having(
        db,
        own.map(({ key }) => key),
        by,
      );
      for (const [i, others] of having.entries()) {
        if (others.length === 0) continue;
        const id = keyId(db, own[i].key);
        if (this.told.has(id)) continue;
        this.noticed++;
        if (this.told.size >= MOST_TOLD) continue;
        this.told.add(id);
        onNoticed({ by, db, key: own[i].key, others });
      }
    }
  }
}
