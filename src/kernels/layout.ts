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

/*
 * What `measureRows` is given: words of a block, filled from the model of a server's memory (inspect/memory/kernel-model.ts). Addresses of
 * columns, one value for each row, and of tables; then numbers.
 */
export const MEASURE_MEMORY = 0; // F64
export const MEASURE_ELEMENTS = 1; // F64
export const MEASURE_LARGEST = 2; // F64
export const MEASURE_ENCODING = 3; // U8
export const MEASURE_FIELDS = 4; // U32
export const MEASURE_FIELD_BYTES = 5; // F64
export const MEASURE_DIGEST = 6; // F64
export const MEASURE_GUESSED = 7; // U8
/** MEASURE_STRUCTURE bytes by type number: container, run, MEASURED_…; 0 for types that are left to the caller. */
export const MEASURE_STRUCTURES = 8;
/** U32: what the allocator gives for requests below MEASURED_SIZES. */
export const MEASURE_ALLOC = 9;
/** F64 for lengths below MEASURED_LENGTHS: an element of a sorted set. */
export const MEASURE_SCORED = 10;
/** U32 for up to MEASURED_COUNTS elements: tables of sets, of hashes. */
export const MEASURE_SETS = 11;
export const MEASURE_HASHES = 12;
/** What a sorted set takes beyond the table of a hash, an element of a set or hash beyond its strings. */
export const MEASURE_SKIPLIST = 13;
export const MEASURE_MEMBER = 14;
export const MEASURE_FIELD = 15;
/** An index into ALLOCATORS. */
export const MEASURE_ALLOCATOR = 16;
/** Where keys are: 0 apart, 1 in the entry, 2 in the object. */
export const MEASURE_KEYS = 17;
/** Of strings in one piece with their object: head, most bytes in all, longest string, whether an expiry may have room in it. */
export const MEASURE_EMBEDDED = 18;
export const MEASURE_EMBED_MOST = 19;
export const MEASURE_EMBED_LENGTH = 20;
export const MEASURE_EMBED_ROOMY = 21;
/** Fields and values: 0 strings, 1 with the field as of Redis 7.4, 2 in one piece if they are short. */
export const MEASURE_PAIRS = 22;
/** Bytes of a dict, if hashes that were listpacks have two tables; or 0. */
export const MEASURE_DICT = 23;
export const MEASURE_HASH_ENTRIES = 24;
export const MEASURE_ZSET_ENTRIES = 25;
export const MEASURE_SET_ENTRIES = 26;
export const MEASURE_INTSET_ENTRIES = 27;
export const MEASURE_VALUE = 28;
export const MEASURE_NODE = 29;
export const MEASURE_LIST = 30;
export const MEASURE_LIST_NODE = 31;
/** Whether a list of one node is a listpack. */
export const MEASURE_LIST_CONVERTS = 32;
/** Bytes around the entries of packed values, their encoding, and whether they are listpacks; else ziplists, counted without rounding. */
export const MEASURE_FRAME = 33;
export const MEASURE_PACKED = 34;
export const MEASURE_KEEPS = 35;
/** Encodings. */
export const MEASURE_INT = 36;
export const MEASURE_EMBSTR = 37;
export const MEASURE_RAW = 38;
export const MEASURE_QUICKLIST = 39;
export const MEASURE_HASHTABLE = 40;
export const MEASURE_INTSET = 41;
export const MEASURE_SKIPLISTS = 42;
/** F64, added to: what values take beyond their memory as told. That of sets by count (I32); of lists, nodes, tables, and their entries. */
export const MEASURE_BESIDE = 44;
export const MEASURE_BESIDE_SETS = 46;
export const MEASURE_BESIDE_LIST = 47;
export const MEASURE_BESIDE_NODE = 48;
export const MEASURE_BESIDE_DICT = 49;
export const MEASURE_BESIDE_ENTRY = 50;
export const MEASURE_WORDS = 52;

export const MEASURE_STRUCTURE = 4;
export const MEASURED_SIZES = 4096;
export const MEASURED_LENGTHS = 1024;
export const MEASURED_COUNTS = 8192;
export const MEASURED_STRING = 1;
export const MEASURED_LIST = 2;
export const MEASURED_SET = 3;
export const MEASURED_HASH = 4;
export const MEASURED_ZSET = 5;
