import type { Answers } from '../redis/answers.js';
import { encodeCommand } from '../redis/commands.js';
import type { ServerIdentity } from './server-identity.js';

/** Between two questions for the replica's confirmation. */
const BARRIER_BYTES = 4 << 20;
/** Milliseconds that a replica may take; then it is not waited for until some time has passed. */
const REPLICA_PATIENCE = 2000;
const REPLICA_PAUSE = 10_000;

/** Asks how many replicas have all of what was sent before. */
export const BARRIER = encodeCommand(['WAIT', '1', `${REPLICA_PATIENCE}`]);

/** Questions for the confirmation of a replica that are on their way on a connection, and when to ask the next one. */
export class WaitBarriers {
  /** Keys count as delivered when a replica has confirmed them. */
  hasReplicas = false;
  /** Replicas did not confirm in time, or the question was refused. */
  unconfirmed = false;
  private readonly asked = new Set<Answers>();
  private bytesSince = 0;
  private notBefore = 0;

  constructor(private readonly identity: ServerIdentity) {}

  /** Whether replicas are waited for now. */
  get wanted(): boolean {
    return this.hasReplicas && Date.now() >= this.notBefore;
  }

  /** Whether enough was sent for the next one. */
  get due(): boolean {
    return this.wanted && this.bytesSince >= BARRIER_BYTES;
  }

  /** Whether one is on its way. */
  get pending(): boolean {
    return this.asked.size > 0;
  }

  has(answers: Answers): boolean {
    return this.asked.has(answers);
  }

  /** Bytes of batches were sent. */
  sent(bytes: number): void {
    this.bytesSince += bytes;
  }

  /** A BARRIER is sent, and this takes its answer. */
  begun(answers: Answers): void {
    this.bytesSince = 0;
    this.asked.add(answers);
  }

  /** Returns whether these are the answers to a barrier. */
  answered(answers: Answers): boolean {
    if (!this.asked.delete(answers)) return false;
    if (answers.error !== undefined || answers.integer === 0) {
      this.unconfirmed = true;
      this.identity.bare = true;
      this.notBefore = answers.error === undefined ? Date.now() + REPLICA_PAUSE : Infinity;
    }
    return true;
  }

  /** The connection is lost, and the answers with it. */
  clear(): void {
    this.asked.clear();
    this.bytesSince = 0;
  }
}
