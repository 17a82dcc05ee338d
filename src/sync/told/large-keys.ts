import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionLost, mayPass, ServerError } from '../../redis/errors.js';
import type { Servers } from '../../redis/servers.js';
import { Waiting } from '../../redis/waiting.js';
import type { WrittenLarge } from '../source/write-fetched.js';
import { Detached } from '../target/detached.js';
import { LargeWriter, type LargeWriterOptions } from '../target/large-writer.js';

export interface LargeKeysOptions<T> extends Pick<LargeWriterOptions, 'codec' | 'label' | 'maxPayload' | 'signal' | 'stillOwn' | 'target'> {
  readonly servers: Servers;
  /** The target refuses it for good. */
  readonly onRefused: (key: T, error: string) => void;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
  readonly onNote: (text: string) => void;
}

/** Milliseconds without a reply that is due. */
const PATIENCE = 60_000;
/** Milliseconds between two attempts, at first and at most. */
const RETRY_EVERY = 50;
const LONGEST_PAUSE = 5000;

/** Writes values that are too large for memory, each at the owner of its slot. */
export class LargeKeys<T> {
  /** Unix milliseconds when it is to give up what could not be written until then: ConnectionLost is thrown. */
  giveUpAt = Infinity;
  private readonly writer: LargeWriter;
  private lost: T[] = [];
  private reason = '';
  private readonly waiting: Waiting;
  private pause = RETRY_EVERY;

  constructor(private readonly options: LargeKeysOptions<T>) {
    this.writer = new LargeWriter({ ...options, confirm: false, patience: PATIENCE });
    this.waiting = new Waiting(Infinity, options.onEvent);
  }

  /** Whether the target has it when this resolves. Throws ServerError, SyncReplaced, and the reason of the signal. */
  async write(db: number, key: T, written: WrittenLarge): Promise<boolean> {
    try {
      const refusal = await this.writer.write(db, written);
      if (refusal !== undefined) this.options.onRefused(key, refusal);
      this.pause = RETRY_EVERY;
      this.waiting.over();
      return refusal === undefined;
    } catch (error) {
      if (!(error instanceof Detached)) throw error;
      if (error.final) throw new ServerError('REFUSED', error.server, error.reason, error);
      this.reason = error.message;
      this.lost.push(key);
      return false;
    }
  }

  /** Keys that are to be fetched again, as the target could not take them; waits until it may. Throws as `write`, and ConnectionLost. */
  async again(): Promise<readonly T[]> {
    const lost = this.lost.splice(0);
    if (lost.length === 0) return lost;
    const { servers, signal } = this.options;
    if (Date.now() > this.giveUpAt) throw new ConnectionLost(`large values cannot be written: ${this.reason}`);
    this.waiting.tell(this.reason);
    await delay(this.pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    await servers.refresh().catch((error: unknown) => {
      if (!mayPass(error)) throw error;
    });
    return lost;
  }
}
