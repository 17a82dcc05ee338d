import { setTimeout as delay } from 'node:timers/promises';
import { mayPass, reasonOf } from '../../redis/errors.js';
import { Waiting } from '../../redis/waiting.js';
import { databasesOf, eachKey } from '../each-key.js';
import type { KeyName } from '../fences.js';
import { RECORD_PREFIX } from '../record.js';
import type { Session } from '../session.js';
import type { Names } from './names.js';
import type { SourceKeys } from './source-keys.js';
import type { ToldFeed } from './told-feed.js';

export interface StaleKeysOptions {
  readonly session: Session;
  readonly feed: ToldFeed;
  readonly names: Names;
  readonly sourceKeys: SourceKeys;
}

export interface FoundStale {
  readonly stale: number;
  /** Whether there are keys of another sync. */
  readonly others: boolean;
}

/** Milliseconds between two attempts. */
const RETRY_EVERY = 200;

/** Finds keys of the target that the source does not have. */
export class StaleKeys {
  constructor(private readonly options: StaleKeysOptions) {}

  /**
   * Keys of the target that the source does not have become pending if `marks`. Returns how many, and whether there are keys of another
   * sync. Begins again after a lost connection.
   */
  async find(isMeant: (goal: KeyName) => boolean, marks: boolean): Promise<FoundStale> {
    const { options, signal } = this.options.session;
    const waiting = new Waiting(Infinity, options.onEvent);
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.once(isMeant, marks);
      } catch (error) {
        signal.throwIfAborted();
        const isLost = mayPass(error) || (error instanceof Error && /^Connection is closed|^Command timed out/.test(error.message));
        if (!isLost) throw error;
        waiting.tell(reasonOf(error));
      }
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  private async once(isMeant: (goal: KeyName) => boolean, marks: boolean): Promise<FoundStale> {
    const { feed, names, session, sourceKeys } = this.options;
    const { keys, servers } = session;
    const own = Buffer.from(`${keys.prefix}${keys.id}`);
    const prefix = Buffer.from(RECORD_PREFIX);
    let [stale, others] = [0, false];
    await servers.refresh();
    for (const db of await databasesOf(servers)) {
      await eachKey(servers, db, async (_, found) => {
        session.signal.throwIfAborted();
        for (const key of found) others ||= startsWith(key, prefix) && !startsWith(key, own);
        const goals = found.map((key) => ({ db, key })).filter(isMeant);
        const from = goals.map((goal) => names.sources(goal));
        const missing = new Set(await sourceKeys.missing(from.flat()));
        const isGone = (some: readonly KeyName[]): boolean => some.length > 0 && some.every((name) => missing.has(name));
        const gone = goals.flatMap((goal, i) => (isGone(from[i]) ? [{ goal, some: from[i] }] : []));
        const { group } = session.options;
        const lost = gone.map(({ goal }) => goal.key);
        const having = group && (await group.origins.having(db, lost, group.number));
        for (const [i, { some }] of gone.entries()) {
          if (having !== undefined && having[i].length > 0) continue;
          stale++;
          if (marks) feed.pending.add(some[0].db, some[0].key);
        }
      });
    }
    return { stale, others };
  }
}

const startsWith = (key: Buffer, prefix: Buffer): boolean => key.subarray(0, prefix.length).equals(prefix);
