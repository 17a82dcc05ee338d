/* Memory for what lasts no longer than a call. Threads share the memory of the kernels, so that each instance has its own. */

/** Offsets: of a stripe of a digest, of the text of an integer, of a segment of a key, of the nodes of its prefixes. */
export const HELD: usize = 0;
export const DECIMAL: usize = 64;
export const NAME: usize = 128;
export const PATH: usize = 512;

/** SCRATCH_BYTES of layout.ts. */
export let scratch: usize = 0;

export function scratchAt(at: usize): void {
  scratch = at;
}
