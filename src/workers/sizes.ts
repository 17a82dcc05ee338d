import { ROW_WORDS } from '../kernels/layout.js';

/** Batches that a worker may have: one at work, others filled or waiting. */
export const SLOTS = 3;

/** Room for the bytes of a batch. The framer's parts are smaller; a record with a longer key gets separate memory. */
export const SLOT_BYTES = 6 << 20;

/** Room for the frames of a batch. */
export const SLOT_ROWS = 1 << 15;

/** A batch of this many bytes is handed over. */
export const BATCH_BYTES = 2 << 20;

/** Buffers for output that a worker may have filled before the first of them is written. */
export const OUTPUTS = 4;

/** Memory of a worker beside its slots: its output, of 8 MiB a buffer, and room for what is decompressed. */
export const WORKER_BYTES = (8 * OUTPUTS + 8) << 20;

/** All memory of a worker, but for values that are too large for it. */
export const THREAD_BYTES = WORKER_BYTES + SLOTS * (SLOT_BYTES + SLOT_ROWS * ROW_WORDS * 4 + (1 << 12));

/** Output of a worker over this many bytes is handed on in the middle of a batch. */
export const OUTPUT_BYTES = 4 << 20;

/** Input, in bytes, that is decoded before threads are worth their start. */
export const SERIAL_BYTES = 16 << 20;
