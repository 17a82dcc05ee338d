import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { SyncOptions, SyncStatus } from '../../src/commands/sync.js';
import { type SeveralOptions, type SeveralPlan, type SeveralSummary, syncSeveral } from '../../src/commands/sync-several.js';
import { differences } from './fault-data.js';
import type { RedisNode } from './redis-node.js';
import { syncOptions } from './sync-run.js';
import { everythingOf } from './sync-support.js';
import { until } from './until.js';

/** A source, and what is only for it. */
export type GivenSource = readonly [url: string, more?: Partial<SyncOptions>];

/** A sync of several sources within this process. */
export class SeveralRun {
  readonly events: string[] = [];
  readonly notes: string[] = [];
  readonly problems: string[] = [];
  readonly left: string[] = [];
  readonly noticed: string[] = [];
  readonly done: Promise<SeveralSummary>;
  readonly statuses = new Map<string, SyncStatus>();
  plan: SeveralPlan | undefined;
  private readonly stopping = new AbortController();
  private readonly aborting = new AbortController();
  private readonly folder: string | undefined;

  constructor(
    private readonly sources: readonly GivenSource[],
    target: string,
    more: Partial<SyncOptions> = {},
    own: Partial<SeveralOptions> = {},
  ) {
    this.folder = 'spool' in more ? undefined : mkdtempSync(join(tmpdir(), 'rdbkit-several-'));
    const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
    const syncs = sources.map(([source, only]) => ({
      ...syncOptions(source, target, { spool: this.folder, ...more, ...only }),
      onEvent: (event: string) => this.events.push(event),
      onNote: (note: string) => this.notes.push(note),
      onKeyProblem: ({ db, key, reason }: { db: number; key: Uint8Array; reason: string }) =>
        this.problems.push(`${db} ${text(key)}: ${reason}`),
      onStatus: (status: SyncStatus) => this.statuses.set(source, status),
    }));
    this.done = syncSeveral({
      ...{ syncs, stop: this.stopping.signal, signal: this.aborting.signal },
      onPlan: (plan) => {
        this.plan = plan;
        return Promise.resolve(true);
      },
      onLeft: ({ db, key, kept, left }) => this.left.push(`${db} ${text(key)}: ${left} leaves it to ${kept}`),
      onNoticed: ({ by, db, key, others }) => this.noticed.push(`${db} ${text(key)}: ${by} wrote it, ${others.join()} has it`),
      onNote: (note) => this.notes.push(note),
      onEvent: (event) => this.events.push(event),
      ...own,
    }).finally(() => this.folder !== undefined && rmSync(this.folder, { recursive: true, force: true }));
    this.done.catch(() => undefined);
  }

  /** The text of the error that it ends with. */
  get failure(): Promise<string> {
    return this.done.then(
      () => 'none',
      (error: unknown) => String(error),
    );
  }

  /** Until changes of all sources are applied. */
  follows(): Promise<void> {
    return until('all follow', async () => {
      const over = await Promise.race([this.done.then(() => true), delay(0, false)]);
      if (over) throw new Error('it has ended');
      return this.sources.every(([source]) => {
        const status = this.statuses.get(source);
        return status?.phase === 'changes' && status.lanes.every(({ attached }) => attached);
      });
    });
  }

  stop(): Promise<SeveralSummary> {
    this.stopping.abort();
    return this.done;
  }

  abort(): Promise<unknown> {
    this.aborting.abort(new Error('aborted by the test'));
    return this.done.catch((error: unknown) => error);
  }
}

/** What the target has otherwise than a source, whose databases have other numbers there. */
export async function unlikeMapped(source: readonly RedisNode[], target: readonly RedisNode[], map: ReadonlyMap<number, number>): Promise<string[]> {
  const want = await everythingOf(source, { databases: [...map.keys()] });
  const got = await everythingOf(target, { databases: [...map.values()] });
  const renumbered = new Map([...want].map(([name, value]) => [name.replace(/^\d+/, (db) => `${map.get(Number(db)) ?? db}`), value]));
  return differences(got, renumbered);
}

/** Until the target has of each source what that has. */
export async function expectMapped(source: readonly RedisNode[], target: readonly RedisNode[], map: ReadonlyMap<number, number>): Promise<void> {
  await expect.poll(() => unlikeMapped(source, target, map)).toEqual([]);
}
