/*
 * The rows of a batch, as TypeScript and the kernels see them: compiled by tsc and by asc alike. A row is ROW_WORDS 32-bit words in the
 * machine's byte order, at an address that is a multiple of 8; the constants below are word positions. F64 and I64 take two words.
 */
export const ROW_WORDS = 24;

export const KIND = 0;
export const FLAGS = 1;
/** `typeNumber` of a value type; of a META row, the opcode byte. */
export const TYPE = 2;
export const DB = 3;
/** I64, Unix milliseconds. */
export const EXPIRE = 4;
/** F64, seconds; -1 for none. */
export const IDLE = 6;
/** -1 for none. */
export const FREQ = 8;
export const KEY_START = 9;
export const KEY_END = 10;
/** The value without its type byte, or this part of it; of a META row, its operands. */
export const START = 11;
export const END = 12;
/** Of a STRING_PART: where the string's own bytes begin. */
export const BODY_START = 13;
/** F64: the offset of START in the RDB. */
export const OFFSET = 14;
/** F64, of a STRING_PART. */
export const STRING_LENGTH = 16;
/** Of a whole record that a kernel framed: bytes of its value with all strings decompressed. */
export const GROWN = 16;
/** Of a whole record: its database in the file, where DB is the one that it goes to. */
export const SOURCE_DB = 17;
/** F64, of a part. */
export const ITEMS_AHEAD = 18;
/** Of a whole record: where its modifiers begin, and its type byte; the value follows the key at once. */
export const HEAD_START = 18;
export const TYPE_AT = 19;
/** F64, of a part of a hash with field expiries. */
export const LEAST_EXPIRY = 20;
/** Keys found since the batch began, this one included; of a row in a slot, since the slot began. */
export const KEYS_READ = 22;
/** Of a row in a slot: expired keys before this row. */
export const KEYS_EXPIRED = 23;

/** Kinds of rows: what `Framer.next` returns, and LINE: `[START, END)` is a finished line. */
export const RECORD = 1;
export const ITEMS_PART = 2;
export const STRING_PART = 3;
export const META = 4;
export const LINE = 7;

/** Bits of FLAGS. */
export const FIRST = 1;
export const LAST = 2;
export const HAS_EXPIRE = 4;
export const IS_LZF = 8;
export const STRING_FIRST = 16;
export const STRING_LAST = 32;
export const RESUMES = 64;
export const HAS_META = 128;
/** A filter left the record out, or an earlier pass dealt with the row: sinks pass over it. */
export const DROPPED = 256;
/** The record was dropped by a filter. */
export const FILTERED = 8192;
/** The key is in the arena of the batch: it was an integer or compressed in the file. */
export const KEY_APART = 512;
/** The key is in separate memory that kernels cannot reach. */
export const KEY_HELD = 1024;
/** EXPIRE or HAS_EXPIRE are not what the file says: the modifiers have to be written anew. */
export const HEAD_EDITED = 2048;
/** An AUX field with KeyDB's clock of this key comes before it; of a META row, it is that field. */
export const HAS_CLOCK = 4096;
/** A deep check has found something in the value, which must not reach a server. */
export const DAMAGED = 16384;

/** In the table of types that `frames` gets: numbers from here on are opcodes. */
export const OPCODES = 1024;

/** Databases that `restores` may be told outputs for, and what says that a database has none. */
export const ROUTED_DATABASES = 256;
export const NO_OUTPUT = 0xffff;

/* What `frames` is given and gives back: words of its state. */
/** Modifiers read so far of the next key: FLAGS, FREQ, EXPIRE, IDLE as in a row. */
export const NEXT_FLAGS = 0;
export const NEXT_FREQ = 1;
export const NEXT_EXPIRE = 2;
export const NEXT_IDLE = 4;
export const NEXT_DB = 6;
/** Up to where everything is in rows, as an address. */
export const NEXT_POS = 7;
/** Where the next key goes in the arena, as an address. */
export const NEXT_ARENA = 8;
export const NEXT_KEYS_READ = 9;
/** Records that have expired. */
export const NEXT_EXPIRED = 10;
export const STATE_WORDS = 12;

/*
 * What `filterRows` is told of a filter: words. An address is 0 where the filter does not restrict that, and prefixes are tables by the
 * first byte of a key, 256 words each: NO_PREFIX, ANY_KEY, or the address of the number of prefixes and, at multiples of 4, the size and
 * bytes of each.
 */
/** Address of how many databases there are, and their numbers. */
export const FILTER_DBS = 0;
/** Address of a byte for each type number: 1 if it passes. */
export const FILTER_TYPES = 1;
export const FILTER_PREFIXES = 2;
export const FILTER_NOT_PREFIXES = 3;
/** Bits of TTL_…. */
export const FILTER_TTL = 4;
/** F64, Unix milliseconds. */
export const FILTER_NOW = 6;
/** F64, bytes of a value. */
export const FILTER_MIN_SIZE = 8;
export const FILTER_MAX_SIZE = 10;
export const FILTER_WORDS = 12;
export const NO_PREFIX = 0;
export const ANY_KEY = 1;

/** Which records pass, by expiry. */
export const TTL_NONE = 1;
export const TTL_LIVE = 2;
export const TTL_EXPIRED = 4;
export const TTL_ALL = 7;

/** How the value of a record is put together, for `RecordForm`. */
export const RECORD_TEXT = 1; // one string
export const RECORD_ITEMS = 2; // a count, then elements
export const RECORD_ZIPLIST = 3;
export const RECORD_LISTPACK = 4;
export const RECORD_INTSET = 5;
export const RECORD_QUICKLIST = 6; // nodes of ziplists
export const RECORD_QUICKLIST2 = 7; // nodes of listpacks, and of single elements

/** What a run of elements is, for `Codec.jsonRun`. */
export const RUN_ITEMS = 0; // of a list or set
export const RUN_PAIRS = 1; // fields and values of a hash
export const RUN_SCORES = 2; // members and scores of a sorted set
