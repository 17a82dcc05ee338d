import { PassThrough } from 'node:stream';
import { sync, type SyncOptions, type SyncStatus, type SyncSummary } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { expect } from 'vitest';
import type { RedisNode } from './redis-node.js';
import { untilAlike } from './sync-support.js';
import { TestRun } from './test-run.js';

/** Options of a sync that is named `test`, and ends when the target has caught up. */
export const syncOptions = (source: string, target: string, more: Partial<SyncOptions> = {}): SyncOptions => ({
  ...{ sources: [source], stdin: new PassThrough(), stdout: new PassThrough(), url: parseServerUrl(target), id: 'test' },
  ...{ source: { access: { url: parseServerUrl(source) } }, spool: undefined, spoolMax: 1e9, untilCaughtUp: true },
  ...{ maxLag: 1000, settle: 200, holdExpiries: true, confirm: true, onGap: 'stop' },
  ...more,
});

/** A sync within this process. */
export class SyncRun extends TestRun<SyncSummary> {
  readonly done: Promise<SyncSummary>;
  status: SyncStatus | undefined;

  constructor(source: string, target: string, more: Partial<SyncOptions> = {}) {
    super();
    this.done = this.started((folder) =>
      sync({
        ...syncOptions(source, target, { spool: folder }),
        ...{ stop: this.stopping.signal, signal: this.aborting.signal },
        onEvent: (text) => this.events.push(text),
        onNote: (text) => this.notes.push(text),
        onKeyProblem: ({ db, key, reason }) => this.problems.push(`${db} ${Buffer.from(key).toString('latin1')}: ${reason}`),
        onStatus: (status) => (this.status = status),
        ...more,
      }),
    );
  }

  protected get told(): SyncStatus | undefined {
    return this.status;
  }

  /** Until changes are applied. */
  follows(): Promise<void> {
    return this.until('it follows', () => isFollowing(this.status));
  }
}

/** Whether changes are applied. */
export const isFollowing = (status: SyncStatus | undefined): boolean =>
  status?.phase === 'changes' && status.lanes.every(({ attached }) => attached);

/** Goes on with a sync until the target has caught up; it is what the masters of the source are then. */
export async function catchUp(url: string, masters: () => Promise<readonly RedisNode[]>, target: RedisNode): Promise<void> {
  const last = new SyncRun(url, target.url);
  const summary = await last.done;
  expect([summary.caughtUp, summary.restored, last.problems]).toEqual([true, undefined, []]);
  await untilAlike(await masters(), [target]);
}
