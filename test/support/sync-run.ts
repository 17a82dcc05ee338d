import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import { sync, type SyncOptions, type SyncStatus, type SyncSummary } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { expect } from 'vitest';
import type { RedisNode } from './redis-node.js';
import { unlike } from './sync-support.js';
import { until } from './until.js';

/** Options of a sync that is named `test`, and ends when the target has caught up. */
export const syncOptions = (source: string, target: string, more: Partial<SyncOptions> = {}): SyncOptions => ({
  ...{ sources: [source], stdin: new PassThrough(), stdout: new PassThrough(), url: parseServerUrl(target), id: 'test' },
  ...{ source: { access: { url: parseServerUrl(source) } }, spool: undefined, spoolMax: 1e9, untilCaughtUp: true },
  ...{ maxLag: 1000, settle: 200, holdExpiries: true, confirm: true, onGap: 'stop' },
  ...more,
});

/** A sync within this process. */
export class SyncRun {
  readonly events: string[] = [];
  readonly notes: string[] = [];
  readonly problems: string[] = [];
  readonly done: Promise<SyncSummary>;
  status: SyncStatus | undefined;
  private readonly stopping = new AbortController();
  private readonly aborting = new AbortController();
  private readonly folder: string | undefined;

  constructor(source: string, target: string, { spool, ...more }: Partial<SyncOptions> = {}) {
    this.folder = spool === undefined && !('spool' in more) ? mkdtempSync(join(tmpdir(), 'rdbkit-sync-')) : undefined;
    this.done = sync({
      ...syncOptions(source, target, { spool: spool ?? this.folder }),
      ...{ stop: this.stopping.signal, signal: this.aborting.signal },
      onEvent: (text) => this.events.push(text),
      onNote: (text) => this.notes.push(text),
      onKeyProblem: ({ db, key, reason }) => this.problems.push(`${db} ${Buffer.from(key).toString('latin1')}: ${reason}`),
      onStatus: (status) => (this.status = status),
      ...more,
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

  /** Until changes are applied. */
  follows(): Promise<void> {
    const attached = (): boolean => this.status?.lanes.every((lane) => lane.attached) === true;
    return this.until('it follows', () => this.status?.phase === 'changes' && attached());
  }

  /** Looks again and again until it is so. Throws what the run ends with before, and what it has told. */
  async until(what: string, test: () => boolean, patience?: number): Promise<void> {
    let over = false;
    const told = (): string => inspect({ status: this.status, events: this.events, notes: this.notes, problems: this.problems }, { depth: 6 });
    const ended = this.done.then(({ restored, ...summary }) => {
      const why = { ...summary, lanes: undefined, restored: restored && { ...restored, rows: undefined, plan: undefined } };
      throw new Error(`the sync has ended before ${what}: ${inspect(why, { depth: 5 })} ${told()}`);
    });
    try {
      await Promise.race([until(`${what} (a sync)`, () => over || test(), patience), ended]);
    } catch (error) {
      throw error instanceof Error && error.message.startsWith('given up') ? new Error(`${error.message}: ${told()}`) : error;
    } finally {
      over = true;
    }
  }

  stop(): Promise<SyncSummary> {
    this.stopping.abort();
    return this.done;
  }

  abort(): Promise<unknown> {
    this.aborting.abort(new Error('aborted by the test'));
    return this.done.catch((error: unknown) => error);
  }
}

/** Goes on with a sync until the target has caught up; it is what the masters of the source are then. */
export async function catchUp(url: string, masters: () => Promise<readonly RedisNode[]>, target: RedisNode): Promise<void> {
  const last = new SyncRun(url, target.url);
  const summary = await last.done;
  expect([summary.caughtUp, summary.restored, last.problems]).toEqual([true, undefined, []]);
  expect(await unlike(await masters(), [target])).toEqual([]);
}
