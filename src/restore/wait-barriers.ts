import type { Answers } from '../redis/answers.js';
import { encodeCommand } from '../redis/commands.js';
import type { ServerIdentity } from './server-identity.js';

/** Bytes sent between two WAITs. */
const BARRIER_BYTES = 4 << 20;
/** Milliseconds that a replica may take to confirm; after a timeout, no WAIT is sent for the second one. */
const REPLICA_PATIENCE = 2000;
const REPLICA_PAUSE = 10_000;

/** Asks whether a replica has everything that was sent before. */
export const BARRIER = encodeCommand(['WAIT', '1', `${REPLICA_PATIENCE}`]);

/** The WAIT commands in flight on a connection, and when the next one is due. */
export class WaitBarriers {
  /** Whether the server has replicas: then keys count as delivered when one has confirmed them. */
  hasReplicas = false;
  /** Replicas did not confirm in time, or WAIT was refused. */
  unconfirmed = false;
  /** The error of WAIT, if it was refused. */
  refusal: string | undefined;
  private readonly asked = new Set<Answers>();
  private bytesSince = 0;
  private notBefore = 0;

  constructor(private readonly identity: ServerIdentity) {}

  /** Whether confirmations are waited for at the moment. */
  get wanted(): boolean {
    return this.hasReplicas && Date.now() >= this.notBefore;
  }

  /** Whether enough was sent for the next WAIT. */
  get due(): boolean {
    return this.wanted && this.bytesSince >= BARRIER_BYTES;
  }

  /** Whether a WAIT is in flight. */
  get pending(): boolean {
    return this.asked.size > 0;
  }

  has(answers: Answers): boolean {
    return this.asked.has(answers);
  }

  /** Counts bytes of batches. */
  sent(bytes: number): void {
    this.bytesSince += bytes;
  }

  /** A BARRIER is sent; `answers` takes its reply. */
  begun(answers: Answers): void {
    this.bytesSince = 0;
    this.asked.add(answers);
  }

  /** Returns whether `answers` belong to a WAIT. */
  answered(answers: Answers): boolean {
    if (!this.asked.delete(answers)) return false;
    if (answers.error !== undefined || answers.integer === 0) {
      this.unconfirmed = true;
      this.refusal ??= answers.error;
      this.identity.bare = true;
      this.notBefore = answers.error === undefined ? Date.now() + REPLICA_PAUSE : Infinity;
    }
    return true;
  }

  /** The connection is lost, and the replies with it. */
  clear(): void {
    this.asked.clear();
    this.bytesSince = 0;
  }
}
