import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../../redis/errors.js';
import { Signal } from '../../redis/signal.js';
import { ReplyLink } from '../../redis/reply-link.js';
import type { NodeScanTarget } from './scan-terms.js';

/** Milliseconds between two PINGs, and between two attempts to connect. */
const PING_EVERY = 50;
const CONNECT_EVERY = 1000;
/** Milliseconds between two batches: when it begins to slow down, and at most. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;
/** How small a share of a batch gets. */
const LEAST_SHARE = 1 / 1024;
/** How the share of a batch grows again with each good answer. */
const GROWTH = 1.25;

export interface LatencyGuardOptions {
  readonly target: NodeScanTarget;
  /** Milliseconds that an answer to PING may take. */
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
  readonly onNote: (text: string) => void;
  readonly onEvent: (text: string, notable?: boolean) => void;
}

/**
 * Sends PING over a connection of its own, and slows the reading down while answers take longer than the limit. The measured time has
 * the time that this process is busy in it, so it rather reads too slowly than too fast.
 */
export class LatencyGuard {
  /** What a batch should have of its size: 1 to LEAST_SHARE. */
  share = 1;
  /** Milliseconds before the next batch. */
  pause = 0;
  private sentAt = 0;
  private told = false;
  private readonly over = new AbortController();
  private readonly answered = new Signal();

  constructor(private readonly options: LatencyGuardOptions) {
    const { signal } = options;
    const abort = (): void => this.over.abort();
    signal?.addEventListener('abort', abort, { once: true, signal: this.over.signal });
    if (signal?.aborted === true) abort();
    void this.run();
  }

  stop(): void {
    this.over.abort();
    this.answered.fire();
  }

  /** Waits as long as the server should be left alone: while an answer is late, and for the pause. */
  async untilCalm(): Promise<void> {
    const { limit } = this.options;
    while (this.sentAt > 0 && performance.now() - this.sentAt > limit && !this.over.signal.aborted) await this.answered.wait();
    if (this.pause > 0) await delay(this.pause, undefined, { signal: this.options.signal });
  }

  private async run(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      try {
        await this.ping();
      } catch (error) {
        this.sentAt = 0;
        this.answered.fire();
        if (this.over.signal.aborted) return;
        const { onNote, target } = this.options;
        onNote(`${target.name}: its latency is not watched: ${reasonOf(error)}`);
        await delay(CONNECT_EVERY, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async ping(): Promise<void> {
    const { signal } = this.over;
    const { socket } = await this.options.target.open();
    const link = new ReplyLink(socket, () => undefined, signal);
    try {
      for (;;) {
        this.sentAt = performance.now();
        await link.ask('PING');
        this.took(performance.now() - this.sentAt);
        this.sentAt = 0;
        this.answered.fire();
        await delay(PING_EVERY, undefined, { signal });
      }
    } finally {
      link.close();
    }
  }

  /** An answer took `milliseconds`. */
  took(milliseconds: number): void {
    const { limit, onEvent, target } = this.options;
    if (milliseconds > limit) {
      this.share = Math.max(this.share / 2, LEAST_SHARE);
      this.pause = Math.min(Math.max(this.pause * 2, FIRST_PAUSE), LONGEST_PAUSE);
      if (this.told) return;
      this.told = true;
      onEvent(`${target.name} takes ${Math.round(milliseconds)} ms to answer PING, more than ${limit}: reading slows down`, true);
    } else if (milliseconds < limit / 2) {
      this.share = Math.min(this.share * GROWTH, 1);
      this.pause = this.pause < FIRST_PAUSE ? 0 : this.pause / 2;
    }
  }
}
