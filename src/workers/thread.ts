import { Worker } from 'node:worker_threads';
import type { Frame } from '../rdb/frame.js';
import type { Batch } from './batch.js';
import type { BatchEnd, Order, Report, Setup } from './messages.js';

/** A batch that was handed to a thread: what came of it so far. */
export interface Task {
  readonly batch: Batch;
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
}

/** A worker thread, its slots and its tasks. */
export class Thread {
  ready = false;
  /** Numbers of the slots that may be filled: none until it is ready. */
  readonly free: number[] = [];
  /** In the order they were handed over; those that ended leave. */
  readonly tasks: Task[] = [];
  private readonly worker: Worker;
  private templates: Frame['templates'] | undefined;
  private templatesTold = 0;

  constructor(
    url: URL,
    readonly setup: Setup,
    onReport: (thread: Thread, report: Report) => void,
    onEnd: (thread: Thread, error: Error) => void,
  ) {
    this.worker = new Worker(url, { workerData: setup });
    this.worker.on('message', (report: Report) => onReport(this, report));
    this.worker.on('error', (error: unknown) => onEnd(this, error instanceof Error ? error : new Error(String(error))));
    this.worker.on('exit', (code) => onEnd(this, new Error(`it ended with code ${code}`)));
  }

  post(order: Order): void {
    this.worker.postMessage(order);
  }

  hand(batch: Batch, slot: number): Task {
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

  async stop(): Promise<void> {
    this.worker.removeAllListeners();
    await this.worker.terminate();
  }
}
