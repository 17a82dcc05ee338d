/** What is framed in a run before it is written. */
export const RUN_ROWS = 1 << 10;
export const RUN_BYTES = 1 << 18;

/** No payload in a run has more bytes: whole values are smaller than that. */
export const LARGEST_RUN = 2 << 20;
