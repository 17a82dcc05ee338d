import { Worker } from 'node:worker_threads';

/** What runs the work: another thread, or this one. */
export interface Host<Order> {
  post(order: Order): void;
  stop(): Promise<void>;
}

/** Another thread, which runs `url`. `onEnd`: it ended by itself. */
export function elsewhere<Order>(
  url: URL,
  setup: unknown,
  onReport: (report: never) => void,
  onEnd: (error: Error) => void,
): Host<Order> {
  const worker = new Worker(url, { workerData: setup });
  worker.on('message', onReport as (report: unknown) => void);
  let error: Error | undefined;
  worker.on('error', (thrown: unknown) => (error = thrown instanceof Error ? thrown : new Error(String(thrown))));
  // After all reports, which an error may overtake.
  worker.on('exit', (code) => onEnd(error ?? new Error(`it ended with code ${code}`)));
  return {
    post: (order) => worker.postMessage(order),
    stop: async () => {
      worker.removeAllListeners();
      worker.on('error', () => undefined); // it may be dying just now
      await worker.terminate();
    },
  };
}
