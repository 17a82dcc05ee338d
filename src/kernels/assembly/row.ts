/* A row of a batch: the words of ../layout as byte offsets. */
import * as layout from '../layout';

export const ROW: usize = layout.ROW_WORDS * 4;
export const KIND: usize = layout.KIND * 4;
export const FLAGS: usize = layout.FLAGS * 4;
export const TYPE: usize = layout.TYPE * 4;
export const DB: usize = layout.DB * 4;
export const EXPIRE: usize = layout.EXPIRE * 4;
export const IDLE: usize = layout.IDLE * 4;
export const FREQ: usize = layout.FREQ * 4;
export const KEY_START: usize = layout.KEY_START * 4;
export const KEY_END: usize = layout.KEY_END * 4;
export const START: usize = layout.START * 4;
export const END: usize = layout.END * 4;
export const BODY_START: usize = layout.BODY_START * 4;
export const OFFSET: usize = layout.OFFSET * 4;
export const GROWN: usize = layout.GROWN * 4;
export const SOURCE_DB: usize = layout.SOURCE_DB * 4;
export const HEAD_START: usize = layout.HEAD_START * 4;
export const TYPE_AT: usize = layout.TYPE_AT * 4;
export const LEAST_EXPIRY: usize = layout.LEAST_EXPIRY * 4;
export const RENAMED_BY: usize = layout.RENAMED_BY * 4;
export const KEYS_READ: usize = layout.KEYS_READ * 4;
export const KEYS_EXPIRED: usize = layout.KEYS_EXPIRED * 4;

/* The state of `frames`. */
export const NEXT_FLAGS: usize = layout.NEXT_FLAGS * 4;
export const NEXT_FREQ: usize = layout.NEXT_FREQ * 4;
export const NEXT_EXPIRE: usize = layout.NEXT_EXPIRE * 4;
export const NEXT_IDLE: usize = layout.NEXT_IDLE * 4;
export const NEXT_DB: usize = layout.NEXT_DB * 4;
export const NEXT_POS: usize = layout.NEXT_POS * 4;
export const NEXT_ARENA: usize = layout.NEXT_ARENA * 4;
export const NEXT_KEYS_READ: usize = layout.NEXT_KEYS_READ * 4;
export const NEXT_EXPIRED: usize = layout.NEXT_EXPIRED * 4;

/* A filter. */
export const FILTER_DBS: usize = layout.FILTER_DBS * 4;
export const FILTER_TYPES: usize = layout.FILTER_TYPES * 4;
export const FILTER_PREFIXES: usize = layout.FILTER_PREFIXES * 4;
export const FILTER_NOT_PREFIXES: usize = layout.FILTER_NOT_PREFIXES * 4;
export const FILTER_TTL: usize = layout.FILTER_TTL * 4;
export const FILTER_NOW: usize = layout.FILTER_NOW * 4;
export const FILTER_MIN_SIZE: usize = layout.FILTER_MIN_SIZE * 4;
export const FILTER_MAX_SIZE: usize = layout.FILTER_MAX_SIZE * 4;
