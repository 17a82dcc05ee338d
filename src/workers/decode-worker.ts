/* The entry of a worker thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { BatchDecoder } from './batch-decoder.js';
import type { Order, Setup } from './messages.js';

const port = parentPort;
if (port === null) throw new Error('this is a worker thread');
const decoder = new BatchDecoder(workerData as Setup, (report) => port.postMessage(report));
port.on('message', (order: Order) => decoder.take(order));
