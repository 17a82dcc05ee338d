/* The entry of a thread that counts keys. */
import { parentPort, workerData } from 'node:worker_threads';
import { type TallyOrder, type TallySetup, TallyThread } from './tally-thread.js';

const port = parentPort;
if (port === null) throw new Error('this is a worker thread');
const thread = new TallyThread(workerData as TallySetup, (report) => port.postMessage(report));
port.on('message', (order: TallyOrder) => thread.take(order));
