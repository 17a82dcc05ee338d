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
/** Of a whole record that is KEY_RENAMED: the number of the pair of prefixes that its name comes from. */
export const RENAMED_BY = 20;
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
/** The key has another name than in the file: it is not the one that the value follows. */
export const KEY_RENAMED = 32768;
/** The filters are for names in another place, and the key may have one there that they leave out: it is no key too many. */
export const DOUBTFUL = 65536;

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

/*
 * What `renameRows` is told of pairs of prefixes: a word for each first byte of a key, 0 for none, or the address of how many pairs may fit
 * and, at multiples of 4, the number of each, and size and bytes of both of its prefixes.
 */

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

/*
 * What `Codec.tallyRows` adds to (inspect/tally.ts and inspect/prefix-tree.ts): words of its state. Addresses are those of arrays in the
 * memory of the kernels; F64 take two words.
 */
/** F64: Unix milliseconds that expiries are compared with. */
export const TALLY_NOW = 0;
/** F64: the least memory of a key so far. */
export const TALLY_LEAST = 2;
/** F64: memory from which on a prefix gets a node, once there were too many; 0 until then. */
export const TALLY_WORTH = 4;
/** Address of the addresses of the cells of databases: TALLY_DATABASES words, 0 for those that have none yet. */
export const TALLY_CELLS = 6;
export const TALLY_DATABASES = 256;
/** Address of the indexes of Redis types by type number, a byte each. */
export const TALLY_TYPES = 7;
/** How many Redis types there are. */
export const TALLY_TYPE_COUNT = 8;
/** Addresses of cells: of expired keys, and of those that will expire. */
export const TALLY_EXPIRED = 10;
export const TALLY_EXPIRING = 11;
/** Address of the amounts of slots: SLOT_CELL doubles for each. */
export const TALLY_SLOTS = 12;
/** How many cells of a database stand before those of a type number, by type number, a word each. */
export const TALLY_FORMS = 13;
/** Addresses of buckets: of times left, idle times, frequencies. */
export const TALLY_LEFT = 14;
export const TALLY_IDLE = 15;
export const TALLY_FREQUENCY = 16;
/** Address of the histograms of types. */
export const TALLY_SIZES = 17;
/** Addresses of the parts of the tree, and its state. */
export const TREE_DELIMITERS = 18;
export const TREE_DEPTH = 19;
export const TREE_NODES = 20;
export const TREE_TABLE = 21;
/** Words of the table, less 2. */
export const TREE_MASK = 22;
export const TREE_NAMES = 23;
/** 0 while nothing was pruned. */
export const TREE_SKETCH = 24;
export const TREE_MIXES = 25;
export const TREE_MIXED = 26;
export const TREE_HISTOGRAMS = 27;
export const TREE_HISTOGRAMS_USED = 28;
/** Nodes, the root included, and most of them. */
export const TREE_COUNT = 29;
export const TREE_CAPACITY = 30;
export const TREE_NAMES_LENGTH = 31;
export const TALLY_WORDS = 32;

/** Doubles of a cell: an amount, keys with an expiry, expired ones, and bytes of the names of keys. A cell fills a line of the cache. */
export const CELL_KEYS = 0;
export const CELL_BYTES = 1;
export const CELL_MEMORY = 2;
export const CELL_ELEMENTS = 3;
export const CELL_WITH_EXPIRY = 4;
export const CELL_EXPIRED = 5;
export const CELL_KEY_BYTES = 6;
export const CELL = 8;
/** Of a slot: the first four of them. */
export const SLOT_CELL = 4;

/** Doubles of a histogram: the greatest value, and the counts of buckets (inspect/histogram.ts). */
export const HISTOGRAM_MAX = 0;
export const HISTOGRAM_BUCKETS = 1;
/** Buckets for each doubling, as a power of two: a value is known within 1.6 %. */
export const HISTOGRAM_BITS = 5;
/** For values up to 2^53. */
export const HISTOGRAM = HISTOGRAM_BUCKETS + (1 << HISTOGRAM_BITS) * 50;
/** Histograms of a type: memory, bytes, elements, length of the key. */
export const TYPE_HISTOGRAMS = 4;

/** Doubles of buckets: how many ends there are, the ends, keys and memory of each bucket and of what is beyond the last end. */
export const BUCKETS_MOST = 24;
export const BUCKETS_ENDS = 1;
export const BUCKETS_KEYS = 1 + BUCKETS_MOST;
export const BUCKETS_MEMORY = 2 + 2 * BUCKETS_MOST;
export const BUCKETS = 4 + 3 * BUCKETS_MOST;

/* A node of the tree of prefixes: 8 doubles, or 16 words. */
export const NODE_WORDS = 16;
/** Doubles. */
export const NODE_MEMORY = 0;
export const NODE_BYTES = 1;
export const NODE_ELEMENTS = 2;
/** Words. */
export const NODE_KEYS = 6;
export const NODE_WITH_EXPIRY = 7;
export const NODE_EXPIRED = 8;
export const NODE_PARENT = 9;
/** Where its name begins among the names, and its length. */
export const NODE_NAME = 10;
export const NODE_NAME_LENGTH = 11;
export const NODE_HASH = 12;
/** 1 + the index of its type while all its keys have the same, or minus (1 + its index in the mixes). */
export const NODE_TYPE = 13;
/** 1 + its index among the histograms; 0 for none. */
export const NODE_HISTOGRAM = 14;

/** Longest name of a node, and what it has of a segment: a star and a delimiter may follow. */
export const LONGEST_NAME = 255;
export const LONGEST_SEGMENT = LONGEST_NAME - 2;
/** Room for names of nodes: beyond it, the tree counts as full. */
export const NAME_BYTES = 32 << 20;
/** Most segments of a prefix. */
export const DEEPEST = 64;
/** Counters of the sketch, 32 bits each. */
export const SKETCH = 1 << 18;
/** Buckets of the histogram of a node: four for each doubling of memory. */
export const NODE_BUCKETS = 128;
/** Keys of a node before it gets a histogram, and most histograms. */
export const KEYS_FOR_HISTOGRAM = 16;
export const MOST_HISTOGRAMS = 1 << 14;
/** Memory of an instance of the kernels (assembly/scratch.ts): the last of it is a word for each segment. */
export const SCRATCH_BYTES = 2752 + 4 * (DEEPEST + 1);
/** In hashes of prefixes (FNV-1a). */
export const PREFIX_PRIME = 0x01000193;

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

/*
 * Domains of hashes (src/diff): what a chain of hashes begins with. Those of whole values are the indexes of their types in REDIS_TYPES, of
 * which kernels know the first ones.
 */
export const DOMAIN_STRING = 0;
export const DOMAIN_LIST = 1;
export const DOMAIN_SET = 2;
export const DOMAIN_ZSET = 3;
export const DOMAIN_HASH = 4;
export const DOMAIN_HYPERLOGLOG = 16;
export const DOMAIN_JSON = 17;
export const DOMAIN_JSON_MEMBER = 18;
export const DOMAIN_MEMBER = 19; // of a set
export const DOMAIN_SCORED = 20; // a member of a sorted set, and its score
export const DOMAIN_FIELD = 21; // a field, its value, its expiry if it has one
export const DOMAIN_GROUP = 22;
export const DOMAIN_PENDING = 23;
export const DOMAIN_CONSUMER = 24;
export const DOMAIN_PRODUCER = 25;
export const DOMAIN_OFFSETS = 26; // of a stream: what only newer servers know
export const DOMAIN_META = 27; // module metadata of a key
export const DOMAIN_KEY = 28;
export const DOMAIN_RECORD = 29;
export const DOMAIN_COUNT = 30;

/*
 * What `digestRows` and `foldRows` are given (src/diff): words of a block. Addresses of columns, one entry for each row, and of tables;
 * then numbers.
 */
/** Four words for each row: hash of database and key, digest of the value. */
export const DIGEST_KEYS = 0;
export const DIGEST_VALUES = 1;
/** F64. */
export const DIGEST_ELEMENTS = 2;
/** DIGEST_STRUCTURE bytes by type number: container, domain, how scores are read; 0 for types that are left to the caller. */
export const DIGEST_STRUCTURES = 3;
/** Four words for each DOMAIN_…. */
export const DIGEST_DOMAINS = 4;
/** A bit for each bucket whose values are wanted; 0 for all. */
export const DIGEST_WANTED = 5;
/** How many buckets there are, a power of two, less 1. */
export const DIGEST_MASK = 6;
/** Whether values are read at all. */
export const DIGEST_READS_VALUES = 7;
/** Four words for each bucket, and the number of its records, a word. */
export const FOLD_SUMS = 8;
export const FOLD_COUNTS = 9;
/** Index into REDIS_TYPES by type number, a byte. */
export const FOLD_TYPES = 10;
/** F64 for each database below FOLD_DATABASES and each type: records. */
export const FOLD_TALLY = 11;
/** F64, Unix milliseconds: records with an expiry up to then are left out, and counted in the next one. */
export const FOLD_NOW = 12;
export const FOLD_EXPIRED = 14;
/** F64, milliseconds: 0 compares expiries as they are. */
export const FOLD_TOLERANCE = 16;
/** Whether records are only counted. */
export const FOLD_ONLY_COUNTS = 18;
export const DIGEST_WORDS = 20;
export const DIGEST_STRUCTURE = 4;
export const FOLD_DATABASES = 256;
export const FOLD_TALLY_TYPES = 16;
/** In hashes of keys: what their database is multiplied with. */
export const DATABASE_FACTOR = 0x9e3779b1;
/** Of the type of a record that has an expiry. */
export const FOLD_HAS_EXPIRE = 0x100;
/** Bytes of what the fingerprint of a record is made of: hash of the key, database, type, cell of the expiry, digest of the value. */
export const FOLD_RECORD = 48;
