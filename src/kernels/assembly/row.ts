/*
 * A row of a frame table, in bytes, which are the words of rdb/frame-table.ts times four.
 */
export const ROW: usize = 96;
export const KIND: usize = 0;
export const FLAGS: usize = 4;
export const TYPE: usize = 8;
export const DB: usize = 12;
export const EXPIRE: usize = 16;
export const IDLE: usize = 24;
export const FREQ: usize = 32;
export const KEY_START: usize = 36;
export const KEY_END: usize = 40;
export const START: usize = 44;
export const END: usize = 48;
export const BODY_START: usize = 52;
export const OFFSET: usize = 56;
export const GROWN: usize = 64;
export const KEYS_READ: usize = 88;
export const KEYS_EXPIRED: usize = 92;

/** Kinds. */
export const RECORD = 1;
export const LINE = 7;

/** Flags. */
export const FIRST = 1;
export const LAST = 2;
export const HAS_EXPIRE = 4;
export const HAS_META = 128;
