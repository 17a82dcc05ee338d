/** The public API. Everything else may change without notice. */
export { ERROR_CODES, type ErrorCode, RdbError } from './bytes/errors.js';
export { formatText, parseText } from './bytes/text.js';
export { decode } from './library/decode.js';
export type { FilterOptions } from './library/filter-options.js';
export type { EndFrame, MetaFrame, ValueFrame } from './library/frame-records.js';
export { frames } from './library/frames.js';
export { crc64, encodePayload, keySlot, parsePayload } from './library/helpers.js';
export type { Payload } from './rdb/payload.js';
export type { RecordIterator } from './library/iteration.js';
export type { DecodeOptions, FramesOptions, ReadOptions } from './library/options.js';
export type { KeyOf, KeyRecord } from './library/records.js';
export type {
  AuxRecord,
  EndRecord,
  FunctionRecord,
  HashTemplateRecord,
  KeyMeta,
  MetaRecord,
  ModuleAuxRecord,
  ResizeDbRecord,
  SlotImportRecord,
  SlotInfoRecord,
} from './values/meta-records.js';
export type { Source } from './library/source.js';
export type { RedisType } from './rdb/types.js';
export type { TtlState } from './values/filters.js';
export type * from './values/js-values.js';
