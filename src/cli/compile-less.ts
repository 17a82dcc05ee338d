import { setFlagsFromString } from 'node:v8';

/** Eight times what V8 has by itself: bytecode that runs before a function may be compiled by TurboFan. */
const INTERRUPT_BUDGET = 8 * 66 * 1024;

/**
 * Has V8 compile only functions that matter. In the first second of a sync, V8 of Node 20 compiles a hundred functions by TurboFan, on
 * threads that take the processor from the servers beside it: a quarter of the CPU time of 500,000 writes (bench/sync.mjs). Thirty remain.
 * Later versions compile in three steps and know other flags; there is nothing to gain.
 */
export function compileLess(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}
