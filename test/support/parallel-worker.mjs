/*
 * Decodes as the real worker thread does, but slowly or not to the end. Its argument is what stands behind the
 * `?` of an address: `dist`, the folder of the built package; `delay`, the greatest number of milliseconds that a message in
 * or out may wait; `then`, what becomes of batch `at`.
 */
import { setTimeout } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const words = new URLSearchParams(process.argv[2]);
const { BatchDecoder } = await import(new URL('workers/batch-decoder.js', words.get('dist')).href);
const most = Number(words.get('delay') ?? 0);
const at = Number(words.get('at') ?? 0);

const ENDS = {
  throw: () => {
    throw new Error('worn out');
  },
  exit: () => process.exit(0),
  memory: () => {
    for (const held = []; ; ) held.push(Array.from({ length: 1000 }, () => ({})));
  },
};

/** Passes messages on in their order, one in eight after a while. */
function slowly(pass) {
  let before = Promise.resolve();
  return (message) => {
    if (most === 0) pass(message);
    else before = before.then(() => (Math.random() < 0.125 ? setTimeout(Math.random() * most) : undefined)).then(() => pass(message));
  };
}

let batches = 0;
const decoder = new BatchDecoder(workerData, slowly((report) => parentPort.postMessage(report)));
const take = slowly((order) => {
  if (order.kind === 'batch' && batches++ === at) ENDS[words.get('then')]?.();
  decoder.take(order);
});
parentPort.on('message', take);
if (words.get('then') === 'start') throw new Error('no start');
