import type { Frame } from '../rdb/frame.js';
import type { SlotBatch } from './slot-batch.js';
import { BatchDecoder } from './batch-decoder.js';
import { elsewhere, type Host } from './host.js';
import type { BatchEnd, Order, Report, Setup } from './messages.js';

/** A batch that was handed to a thread: what came of it so far. */
export interface Task {
  readonly batch: SlotBatch;
  readonly thread: Thread;
  readonly slot: number;
  readonly outputs: { readonly bytes: Uint8Array; readonly leads: boolean }[];
  end: BatchEnd | undefined;
  failure: TaskFailure | undefined;
}

export interface TaskFailure {
  readonly error: Error;
  /** Whether the beginning of the damaged key's line is among the outputs. */
  readonly torn: boolean;
  /** What was found before it. */
  readonly before: Pick<BatchEnd, 'nan' | 'damaged'>;
}

interface Listener {
  onReport(thread: Thread, report: Report): void;
  /** The host ended by itself. */
  onEnd(thread: Thread, error: Error): void;
}

/** One that decodes batches, its slots and its tasks. */
export class Thread {
  ready = false;
  /** Numbers of the slots that may be filled: none until it is ready. */
  readonly free: number[] = [];
  /** In the order they were handed over; those that ended leave. */
  readonly tasks: Task[] = [];
  private readonly host: Host<Order>;
  private templates: Frame['templates'] | undefined;
  private templatesTold = 0;

  /** `url`: what a worker thread runs; without one the decoder is in this thread. */
  constructor(
    url: URL | undefined,
    readonly setup: Setup,
    listener: Listener,
  ) {
    const report = (report: Report): void => listener.onReport(this, report);
    this.host = url === undefined ? here(setup, report) : elsewhere(url, setup, report, (error) => listener.onEnd(this, error));
  }

  post(order: Order): void {
    this.host.post(order);
  }

  hand(batch: SlotBatch, slot: number): Task {
    const { templates } = batch;
    const news = templates !== undefined && (templates.size !== this.templatesTold || templates !== this.templates) && templates.size > 0;
    if (news) {
      this.templates = templates;
      this.templatesTold = templates.size;
    }
    this.post({ kind: 'batch', slot, rows: batch.rows, extras: batch.extras(news ? templates : undefined) });
    const task: Task = { batch, thread: this, slot, outputs: [], end: undefined, failure: undefined };
    this.tasks.push(task);
    return task;
  }

  stop(): Promise<void> {
    return this.host.stop();
  }
}

/** Reports come when the caller is done, as those of another thread do. */
function here(setup: Setup, onReport: (report: Report) => void): Host<Order> {
  let stopped = false;
  const decoder = new BatchDecoder(setup, (report) => {
    queueMicrotask(() => {
      if (!stopped) onReport(report);
    });
  });
  return {
    post: (order) => decoder.take(order),
    stop: () => {
      stopped = true;
      return Promise.resolve();
    },
  };
}
