import { setFlagsFromString } from 'node:v8';

/** Bytecode that a function runs before V8 considers TurboFan for it: eight times the default. */
const INTERRUPT_BUDGET = 8 * 66 * 1024;

/**
 * Makes V8 optimize only the hottest functions. In the first second of a sync, Node 20 optimizes a hundred functions on threads that
 * compete with local servers for the CPU, a quarter of our CPU time for 500,000 writes (bench/sync.mjs). With this budget it is thirty.
 * Newer versions of V8 gain nothing from it: they have a middle tier, and no such flag.
 */
export function compileLess(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}
