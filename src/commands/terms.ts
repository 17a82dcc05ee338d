/** Re-exports what `cli/` needs from lower rooms, so that it imports only from `commands/`. */
export { ERROR_CODES, type ErrorCode, RdbError } from '../bytes/errors.js';
export { lostMemberExpiries, MAX_DB } from '../rdb/opcodes.js';
export { aofTailText } from '../rdb/trailing.js';
export { ClosedPipe, OutputError, outputFailure } from '../io/output-error.js';
export type { Library, LibraryOutcome } from '../pipeline/libraries.js';
export { StreamSink } from '../io/stream-sink.js';
export {
  parseDbs,
  parseKeys,
  parseLimit,
  parseRegexes,
  parseSize,
  parseSlots,
  parseTtl,
  parseTypes,
  TTL_NAMES,
  TYPE_NAMES,
} from '../values/filter-args.js';
export { type FilterOptions, takesFunctions } from '../values/filters.js';
export { KeyPrefixes } from '../values/key-prefixes.js';
