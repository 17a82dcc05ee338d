import type { ServerProcess } from '../redis/server-info.js';

export interface ServerIdentityState {
  /** `host:port`, or the name that sentinels know the server by. */
  readonly name: string;
  readonly runId: string;
  /** Unix milliseconds of the first connection. */
  readonly since: number;
  /** Something was delivered that no replica confirmed. */
  readonly bare: boolean;
}

/**
 * Which run of a server has what was delivered to it. What a server confirmed is gone when it is restarted without having saved it, and it
 * does not say so: its run id is another one then. That may also be a replica in its place, which has everything where it
 * confirmed that, and which was up all the while.
 */
export class ServerIdentity {
  runId = '';
  since = 0;
  bare = false;

  constructor(readonly name: string) {}

  static from(state: ServerIdentityState): ServerIdentity {
    return Object.assign(new ServerIdentity(state.name), state);
  }

  /** A connection was opened. Returns whether what was delivered before may be lost. */
  met({ runId, startedAt }: ServerProcess): boolean {
    const { bare, runId: before, since } = this;
    if (runId === before || runId === '') return false;
    this.runId = runId;
    this.since ||= Date.now();
    if (before === '' || (!bare && startedAt < since)) return false;
    this.bare = false;
    this.since = Date.now();
    return true;
  }

  /** Its keys are on another server now. Returns whether some may not be. */
  passed(): boolean {
    const { bare } = this;
    this.bare = false;
    return bare;
  }
}
