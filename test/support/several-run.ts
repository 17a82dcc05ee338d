import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SyncOptions, SyncStatus } from '../../src/commands/sync.js';
import { type SeveralOptions, type SeveralPlan, type SeveralSummary, syncSeveral } from '../../src/commands/sync-several.js';
import { differences } from './fault-data.js';
import { RedisNode } from './redis-node.js';
import { isFollowing, syncOptions } from './sync-run.js';
import { everythingOf } from './sync-support.js';
import { TestRun } from './test-run.js';

/** A source, and what is only for it. */
export type GivenSource = readonly [url: string, more?: Partial<SyncOptions>];

/** A sync of several sources within this process. */
export class SeveralRun extends TestRun<SeveralSummary> {
  readonly left: string[] = [];
  readonly noticed: string[] = [];
  readonly done: Promise<SeveralSummary>;
  readonly statuses = new Map<string, SyncStatus>();
  plan: SeveralPlan | undefined;

  constructor(
    private readonly sources: readonly GivenSource[],
    target: string,
    more: Partial<SyncOptions> = {},
    own: Partial<SeveralOptions> = {},
  ) {
    super();
    const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
    this.done = this.started((folder) => {
      const syncs = sources.map(([source, only]) => ({
        ...syncOptions(source, target, { spool: folder, ...more, ...only }),
        onEvent: (event: string) => this.events.push(event),
        onNote: (note: string) => this.notes.push(note),
        onKeyProblem: ({ db, key, reason }: { db: number; key: Uint8Array; reason: string }) =>
          this.problems.push(`${db} ${text(key)}: ${reason}`),
        onStatus: (status: SyncStatus) => this.statuses.set(source, status),
      }));
      return syncSeveral({
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
      });
    });
  }

  protected get told(): ReadonlyMap<string, SyncStatus> {
    return this.statuses;
  }

  /** Until changes of all sources are applied. */
  follows(): Promise<void> {
    return this.until('all follow', () => this.sources.every(([source]) => isFollowing(this.statuses.get(source))));
  }
}

/** Two sources and a target, and where their spools are. */
export interface SeveralNodes {
  readonly a: RedisNode;
  readonly b: RedisNode;
  readonly target: RedisNode;
  readonly spool: string;
  stop(): Promise<void>;
}

export async function severalNodes(): Promise<SeveralNodes> {
  const [a, b, target] = await Promise.all(Array.from({ length: 3 }, () => RedisNode.start('--repl-backlog-size', '64mb')));
  const spool = mkdtempSync(join(tmpdir(), 'rdbkit-several-'));
  const stop = async (): Promise<void> => {
    await Promise.all([a.stop(), b.stop(), target.stop()]);
    rmSync(spool, { recursive: true, force: true });
  };
  return { a, b, target, spool, stop };
}

type Nodes = readonly RedisNode[];

/** What the target has otherwise than a source, whose databases have other numbers there. */
export async function unlikeMapped(source: Nodes, target: Nodes, map: ReadonlyMap<number, number>): Promise<string[]> {
  const want = await everythingOf(source, { databases: [...map.keys()] });
  const got = await everythingOf(target, { databases: [...map.values()] });
  const renumbered = new Map([...want].map(([name, value]) => [name.replace(/^\d+/, (db) => `${map.get(Number(db)) ?? db}`), value]));
  return differences(got, renumbered);
}

/** Until the target has of each source what that has. */
export async function expectMapped(source: Nodes, target: Nodes, map: ReadonlyMap<number, number>): Promise<void> {
  await expect.poll(() => unlikeMapped(source, target, map)).toEqual([]);
}
