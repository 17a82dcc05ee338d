/*
 * Memory of an instance beside its arguments. Threads share the memory of the kernels, and a `memory.data` that is not constant would be
 * one for all of them: zeroed whenever another instance is made.
 */

/* Offsets. */
/** Tables: of the checksum of slots, of classes of characters. */
export const SLOT_TABLES: usize = 0;
export const CLASSES: usize = 2048;
/** For the length of a call: a stripe of a digest, the text of an integer, a segment of a key, a record, the nodes of its prefixes. */
export const HELD: usize = 2304;
export const DECIMAL: usize = 2368;
export const NAME: usize = 2400;
export const FOLDED: usize = 2688;
export const PATH: usize = 2752;

/** SCRATCH_BYTES of layout.ts. */
export let scratch: usize = 0;

export function scratchAt(at: usize): void {
  scratch = at;
}
