import type { ServerProcess } from '../redis/server-info.js';

export interface ServerIdentityState {
  /** `host:port`, or the name that the sentinels use. */
  readonly name: string;
  readonly runId: string;
  /** Unix milliseconds of the first connection. */
  readonly since: number;
  /** Whether something was delivered that no replica confirmed. */
  readonly bare: boolean;
}

/**
 * Which process of a server has the keys delivered to it. A server that restarts without saving loses confirmed keys silently; only
 * its run id changes. A new run id may also be a promoted replica: it has everything if it confirmed everything, and it was running
 * before.
 */
export class ServerIdentity {
  runId = '';
  since = 0;
  bare = false;

  constructor(readonly name: string) {}

  static from(state: ServerIdentityState): ServerIdentity {
    return Object.assign(new ServerIdentity(state.name), state);
  }

  /** A connection was opened. Returns whether delivered keys may be lost. */
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

  /** The keys of the server have moved to another one. Returns whether some may be lost. */
  passed(): boolean {
    const { bare } = this;
    this.bare = false;
    return bare;
  }
}
