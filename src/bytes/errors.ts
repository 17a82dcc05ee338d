/**
 * The one error type for bad input. `code` is from a closed list; the text names what was expected and what was found, the fields
 * say where. `cli/` has the advice for each code.
 */
export const ERROR_CODES = {
  EMPTY_INPUT: 'the input has no bytes at all',
  NOT_RDB: 'the input does not begin like an RDB file',
  AOF: 'the input is an AOF without an RDB in front, or its manifest or folder',
  UNSUPPORTED_VERSION: 'the RDB version is newer than any known one, and --strict was given',
  UNSUPPORTED_TYPE: 'a value type that rdbkit does not read',
  UNKNOWN_OPCODE: 'a byte that is neither an opcode nor a value type in this version',
  TRUNCATED: 'the input ends inside a record',
  BAD_LENGTH: 'a length or count that no server writes',
  BAD_STRING: 'a string with an encoding that does not exist',
  BAD_NUMBER: 'a number that cannot be read',
  BAD_LZF: 'an LZF string that does not decompress to its stated length',
  BAD_LISTPACK: 'a listpack that contradicts itself',
  BAD_ZIPLIST: 'a ziplist that contradicts itself',
  BAD_ZIPMAP: 'a zipmap that contradicts itself',
  BAD_INTSET: 'an intset that contradicts itself',
  BAD_QUICKLIST: 'a quicklist node of an unknown kind',
  BAD_HASH: 'a hash without a value for its last field, or with a broken field expiry',
  BAD_ZSET: 'a sorted set without a score for a member, or with a score that is no number',
  BAD_STREAM: 'a stream node, group or pending entry that contradicts itself',
  BAD_BITMAP: 'a Roaring bitmap that contradicts itself',
  BAD_MODULE: 'a module value with an unknown part',
  BAD_TEMPLATE: 'a hash that refers to a template which the file does not define, or does not fit it',
  BAD_ARRAY: 'an array whose indexes do not ascend',
  DUPLICATE: 'a member, field, group or consumer that comes twice',
  EMPTY_VALUE: 'a collection without elements',
  BAD_PAYLOAD: 'what should be a DUMP payload cannot be one',
  CHECKSUM: 'the CRC-64 at the end is not that of the bytes before it',
  TRAILING_DATA: 'bytes follow the end of the RDB, and --strict was given',
  BAD_COMPRESSION: 'the gzip, LZ4 or zstd layer is damaged',
  UNSUPPORTED_COMPRESSION: 'the input is compressed with zstd, which needs Node 22.15 or later',
  INPUT_CHANGED: 'the file became shorter or longer while it was read',
  READ_FAILED: 'the operating system could not read the input',
  SOURCE_LOST: 'the connection to a server that is read was lost',
  SOURCE_REFUSED: 'a server refused to be read',
  BAD_JSON: 'a line that is not JSON in UTF-8',
  BAD_LINE: 'a line of JSON that does not say what a key is',
  BAD_SPOOL: 'a segment file of the spool is damaged, or not of this spool',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What is known about the place of an error; filled in on the way up. */
export interface ErrorPlace {
  /** Path of the file, or `-`. */
  file?: string | undefined;
  /** Byte offset in the (decompressed) input. */
  offset?: number | undefined;
  /** Of JSON lines: the number of the line, from 1, and the place in its object, like `value.groups[0].name`. */
  line?: number | undefined;
  path?: string | undefined;
  /**
   * Byte position inside the packed value at `offset`, for damage inside one. Codecs set the index in the bytes that they were
   * given; their callers subtract where the value began.
   */
  within?: number | undefined;
  db?: number | undefined;
  /** The key, as JSON text (section "text" of docs/json-lines.md). */
  key?: string | undefined;
}

export interface ErrorDetail extends ErrorPlace {
  expected?: string | undefined;
  got?: string | undefined;
  cause?: unknown;
}

/** The message without the place, which is only known later and is in the fields. */
function sentence(code: ErrorCode, { expected, got }: ErrorDetail): string {
  const parts = [expected === undefined ? '' : `expected ${expected}`, got === undefined ? '' : `got ${got}`].filter((part) => part !== '');
  return `${ERROR_CODES[code]}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`;
}

/** Bad input: what is wrong, and where. */
export class RdbError extends Error {
  override readonly name = 'RdbError';
  readonly expected: string | undefined;
  readonly got: string | undefined;
  file: string | undefined;
  offset: number | undefined;
  line: number | undefined;
  path: string | undefined;
  within: number | undefined;
  db: number | undefined;
  key: string | undefined;
  /** It is known where the damaged value ends: what follows can be read. */
  skippable = false;

  constructor(
    readonly code: ErrorCode,
    detail: ErrorDetail = {},
  ) {
    super(sentence(code, detail), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.expected = detail.expected;
    this.got = detail.got;
    this.file = detail.file;
    this.offset = detail.offset;
    this.line = detail.line;
    this.path = detail.path;
    this.within = detail.within;
    this.db = detail.db;
    this.key = detail.key;
  }

  /** Adds what is known about the place, keeping what an inner layer already said. */
  at(place: ErrorPlace): this {
    this.file ??= place.file;
    this.offset ??= place.offset;
    this.line ??= place.line;
    this.path ??= place.path;
    this.within ??= place.within;
    this.db ??= place.db;
    this.key ??= place.key;
    return this;
  }
}

/** How error texts show a byte. */
export function hexByte(byte: number | undefined): string {
  return byte === undefined ? 'nothing' : `byte ${byte.toString(16).padStart(2, '0')}`;
}
