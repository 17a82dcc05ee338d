import {
  array, ASCII_DOUBLE, fix, LEN, loop, moduleParts, optional, type Shape, shape, STR, templateNames, templateRef, templateValues,
} from './shapes.js';

/** What a key holds, as the TYPE command names it ('module' for any module type). */
export const REDIS_TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream', 'module', 'array', 'bitmap'] as const;
export type RedisType = (typeof REDIS_TYPES)[number];

/** Whose numbering a file follows: 22, 23 and 242 and up mean different things in Redis and Valkey. */
export type Vendor = 'redis' | 'valkey';

/** How a value's elements are laid out; `values/` has a reader for each. */
export type Form =
  | 'string'
  | 'items' // a count, then elements one after another
  | 'hash-metadata'
  | 'ziplist'
  | 'listpack'
  | 'listpack-ex'
  | 'zipmap'
  | 'intset'
  | 'quicklist'
  | 'quicklist2'
  | 'stream'
  | 'module'
  | 'array'
  | 'bitmap'
  | 'template'
  | 'template-listpack'
  | 'template-ref'
  | 'template-ref-listpack';

export interface TypeRow {
  readonly id: number;
  /** The servers' own name, without RDB_TYPE_. */
  readonly name: string;
  readonly redisType: RedisType;
  readonly form: Form;
  readonly shape: Shape;
  /** First RDB version that has it. */
  readonly since: number;
}

const ID = 16; // a stream ID: milliseconds and sequence, 8 bytes each, big-endian
const MS = 8; // Unix milliseconds, 8 bytes, little-endian

/** Nodes, then length and last ID (two lengths). */
const streamHead = shape(loop(STR, STR), LEN, LEN, LEN);
/** First ID, greatest deleted ID, entries ever added (since 7.0). */
const streamOffsets = shape(LEN, LEN, LEN, LEN, LEN);
const pending = loop(fix(ID), fix(MS), LEN);
const consumersV1 = loop(STR, fix(MS), loop(fix(ID)));
const consumersV3 = loop(STR, fix(MS), fix(MS), loop(fix(ID)));
const groupsV1 = loop(STR, LEN, LEN, pending, consumersV1);
const groupsV2 = loop(STR, LEN, LEN, LEN, pending, consumersV1);
const groupsV3 = loop(STR, LEN, LEN, LEN, pending, consumersV3);

/** Since 8.8 a group ends with the pending entries that no consumer holds (XNACK). */
const groupsV5 = loop(STR, LEN, LEN, LEN, pending, consumersV3, loop(fix(ID)));
/** Idempotent producing (since 8.6): duration, greatest count, producers with their IDs, two counters. */
const idempotence = shape(LEN, LEN, loop(STR, loop(STR, LEN, LEN)), LEN, LEN);

const row = (id: number, name: string, redisType: RedisType, form: Form, since: number, ...ops: (number | Shape)[]): TypeRow => ({
  id,
  name,
  redisType,
  form,
  since,
  shape: shape(...ops),
});

/** Types that every server numbers alike (redis 7.4 rdb.h, RDB_TYPE_*; first versions from the servers' tags). */
const COMMON: readonly TypeRow[] = [
  row(0, 'STRING', 'string', 'string', 1, STR),
  row(1, 'LIST', 'list', 'items', 1, loop(STR)),
  row(2, 'SET', 'set', 'items', 1, loop(STR)),
  row(3, 'ZSET', 'zset', 'items', 1, loop(STR, ASCII_DOUBLE)),
  row(4, 'HASH', 'hash', 'items', 1, loop(STR, STR)),
  row(5, 'ZSET_2', 'zset', 'items', 8, loop(STR, fix(8))),
  row(7, 'MODULE_2', 'module', 'module', 8, LEN, moduleParts),
  row(9, 'HASH_ZIPMAP', 'hash', 'zipmap', 2, STR),
  row(10, 'LIST_ZIPLIST', 'list', 'ziplist', 2, STR),
  row(11, 'SET_INTSET', 'set', 'intset', 2, STR),
  row(12, 'ZSET_ZIPLIST', 'zset', 'ziplist', 2, STR),
  row(13, 'HASH_ZIPLIST', 'hash', 'ziplist', 4, STR),
  row(14, 'LIST_QUICKLIST', 'list', 'quicklist', 7, loop(STR)),
  row(15, 'STREAM_LISTPACKS', 'stream', 'stream', 9, streamHead, groupsV1),
  row(16, 'HASH_LISTPACK', 'hash', 'listpack', 10, STR),
  row(17, 'ZSET_LISTPACK', 'zset', 'listpack', 10, STR),
  row(18, 'LIST_QUICKLIST_2', 'list', 'quicklist2', 10, loop(LEN, STR)),
  row(19, 'STREAM_LISTPACKS_2', 'stream', 'stream', 10, streamHead, streamOffsets, groupsV2),
  row(20, 'SET_LISTPACK', 'set', 'listpack', 11, STR),
  row(21, 'STREAM_LISTPACKS_3', 'stream', 'stream', 11, streamHead, streamOffsets, groupsV3),
];

const REDIS: readonly TypeRow[] = [
  row(22, 'HASH_METADATA_PRE_GA', 'hash', 'hash-metadata', 12, loop(LEN, STR, STR)),
  row(23, 'HASH_LISTPACK_EX_PRE_GA', 'hash', 'listpack-ex', 12, STR),
  row(24, 'HASH_METADATA', 'hash', 'hash-metadata', 12, fix(MS), loop(LEN, STR, STR)),
  row(25, 'HASH_LISTPACK_EX', 'hash', 'listpack-ex', 12, fix(MS), STR),
  row(26, 'STREAM_LISTPACKS_4', 'stream', 'stream', 13, streamHead, streamOffsets, groupsV3, idempotence),
  row(27, 'STREAM_LISTPACKS_5', 'stream', 'stream', 14, streamHead, streamOffsets, groupsV5, idempotence),
  row(28, 'ARRAY', 'array', 'array', 14, array),
  row(29, 'HASH_TMPL_LP', 'hash', 'template-listpack', 15, templateNames, STR),
  row(30, 'HASH_TMPL_LP_REF', 'hash', 'template-ref-listpack', 15, STR),
  row(31, 'HASH_TMPL_ARRAY', 'hash', 'template', 15, templateNames, templateValues),
  row(32, 'HASH_TMPL_ARRAY_REF', 'hash', 'template-ref', 15, templateRef),
  row(33, 'BITMAP', 'bitmap', 'bitmap', 17, LEN, STR),
];

const VALKEY: readonly TypeRow[] = [row(22, 'HASH_2', 'hash', 'items', 80, loop(STR, STR, fix(MS)))];

/** Types that are known by name, but not read: where such a value ends is not known. */
const UNREAD_TYPES: Readonly<Record<Vendor, Readonly<Record<number, string | undefined>>>> = {
  redis: { 34: 'SET_LISTPACK_EX of Redis 8.12', 35: 'SET_METADATA of Redis 8.12' },
  valkey: { 23: 'PATH_HASH of Valkey 9.2' },
};

/** Module values before 4.0 was released: where one ends is known to its module alone. */
const MODULE_PRE_GA = 6;

export type Opcode =
  | 'EOF'
  | 'SELECTDB'
  | 'EXPIRETIME'
  | 'EXPIRETIME_MS'
  | 'RESIZEDB'
  | 'AUX'
  | 'FREQ'
  | 'IDLE'
  | 'MODULE_AUX'
  | 'FUNCTION_PRE_GA'
  | 'FUNCTION2'
  | 'SLOT_INFO'
  | 'SLOT_IMPORT'
  | 'KEY_META'
  | 'HASH_TEMPLATE';

export interface OpcodeRow {
  readonly id: number;
  readonly name: Opcode;
  readonly shape: Shape;
  readonly since: number;
}

const opcode = (id: number, name: Opcode, since: number, ...ops: (number | Shape)[]): OpcodeRow => ({
  id,
  name,
  since,
  shape: shape(...ops),
});

const COMMON_OPCODES: readonly OpcodeRow[] = [
  opcode(255, 'EOF', 1),
  opcode(254, 'SELECTDB', 1, LEN),
  opcode(253, 'EXPIRETIME', 1, fix(4)),
  opcode(252, 'EXPIRETIME_MS', 3, fix(MS)),
  opcode(251, 'RESIZEDB', 7, LEN, LEN),
  opcode(250, 'AUX', 7, STR, STR),
  opcode(249, 'FREQ', 9, fix(1)),
  opcode(248, 'IDLE', 9, LEN),
  opcode(247, 'MODULE_AUX', 9, LEN, moduleParts),
  opcode(246, 'FUNCTION_PRE_GA', 10, STR, STR, optional(STR), STR),
  opcode(245, 'FUNCTION2', 10, STR),
  opcode(244, 'SLOT_INFO', 11, LEN, LEN, LEN), // before 7.4 raised the version to 12
];

const REDIS_OPCODES: readonly OpcodeRow[] = [
  opcode(243, 'KEY_META', 13, loop(fix(4), moduleParts)),
  opcode(242, 'HASH_TEMPLATE', 15, LEN, loop(STR)),
];

const VALKEY_OPCODES: readonly OpcodeRow[] = [opcode(243, 'SLOT_IMPORT', 80, STR, loop(LEN, LEN))];

/** The rows by first byte. */
export interface Tables {
  readonly types: readonly (TypeRow | undefined)[];
  readonly opcodes: readonly (OpcodeRow | undefined)[];
}

function byId<R extends { readonly id: number }>(rows: readonly R[]): readonly (R | undefined)[] {
  const table = new Array<R | undefined>(256).fill(undefined);
  for (const entry of rows) table[entry.id] = entry;
  return table;
}

export const TABLES: Readonly<Record<Vendor, Tables>> = {
  redis: { types: byId([...COMMON, ...REDIS]), opcodes: byId([...COMMON_OPCODES, ...REDIS_OPCODES]) },
  valkey: { types: byId([...COMMON, ...VALKEY]), opcodes: byId([...COMMON_OPCODES, ...VALKEY_OPCODES]) },
};

/** The opcode before a command that a Valkey server of 9.2 or later sends between keys, while it goes on serving. */
const VALKEY_UPDATE = 242;

/** The latest RDB version that is known: its types and opcodes are in the tables, or named as such that are not read. */
export const KNOWN_VERSION: Readonly<Record<Vendor, number>> = { redis: 17, valkey: 81 };

/** Who wrote a file: Dragonfly's say that they are Redis'. */
export type Writer = Vendor | 'dragonfly';

/**
 * Dragonfly writes version 9, but types of up to this one: lists as 18, streams as 21 (dragonfly rdb_save.cc, RdbObjectType).
 */
const DRAGONFLY_VERSION = 11;

/** Types of Dragonfly's own (dragonfly rdb_extensions.h); 20 is JSON, too, in files from before it took 30. */
const DRAGONFLY_TYPES: Readonly<Record<number, string | undefined>> = {
  20: 'JSON',
  30: 'JSON',
  31: 'HASH_WITH_EXPIRY',
  32: 'SET_WITH_EXPIRY',
  33: 'SBF',
  34: 'SBF2',
  35: 'CMS',
  36: 'TOPK',
  37: 'CUCKOO',
};

/** KeyDB's scripts that run at times (keydb rdb.h, RDB_TYPE_CRON). */
const KEYDB_CRON = 64;

/** The highest version that a type or opcode of a file may have come with. */
export function typesUpTo(writer: Writer, version: number): number {
  if (writer === 'dragonfly') return Math.max(version, DRAGONFLY_VERSION);
  return writer === 'valkey' && version < FIRST_VALKEY ? KNOWN_VERSION.valkey : version; // it names Valkey: nothing else can be meant
}

/** Versions below are those of Redis, which Valkey writes, too. */
const FIRST_VALKEY = 80;

const made = new Map<string, Tables>();

/** What a file may have: rows that its version has, and none that means something else in it. The same object for the same file. */
export function tablesOf(writer: Writer, version: number): Tables {
  const vendor = writer === 'valkey' ? 'valkey' : 'redis';
  const last = Math.min(typesUpTo(writer, version), KNOWN_VERSION[vendor]);
  const name = `${writer} ${last}`;
  let tables = made.get(name);
  if (tables === undefined) {
    const { opcodes, types } = TABLES[vendor];
    const has = (row: TypeRow | OpcodeRow | undefined): boolean => row !== undefined && row.since <= last;
    const isOwn = (id: number): boolean => writer === 'dragonfly' && DRAGONFLY_TYPES[id] !== undefined;
    tables = {
      types: types.map((row, id) => (has(row) && !isOwn(id) ? row : undefined)),
      opcodes: opcodes.map((row) => (has(row) ? row : undefined)),
    };
    made.set(name, tables);
  }
  return tables;
}

/** A byte that is not in the tables of a file. */
export interface Stranger {
  /** What it is elsewhere. */
  readonly name: string;
  /** It is a type: a key follows it. */
  readonly isType: boolean;
  /** A server that is known has it, but it is not read in files of any version. */
  readonly unsupported: boolean;
}

const VENDOR_NAMES: Readonly<Record<Vendor, string>> = { redis: 'Redis', valkey: 'Valkey' };

/** What is known of a byte that a file has where a type or an opcode should be, but cannot have. */
export function strangerOf(byte: number, writer: Writer): Stranger | undefined {
  const unsupported = (name: string): Stranger => ({ name: `type ${byte}, ${name}`, isType: true, unsupported: true });
  if (byte === MODULE_PRE_GA) return unsupported('a module value of Redis 4.0 release candidates');
  if (writer === 'dragonfly' && DRAGONFLY_TYPES[byte] !== undefined) return unsupported(`${DRAGONFLY_TYPES[byte]} of Dragonfly`);
  if (byte === KEYDB_CRON) return unsupported('CRON of KeyDB');
  const unread = UNREAD_TYPES[writer === 'valkey' ? 'valkey' : 'redis'][byte];
  if (unread !== undefined) return unsupported(unread);
  if (writer === 'valkey' && byte === VALKEY_UPDATE) {
    return {
      name: `opcode ${byte}, UPDATE of Valkey 9.2: a live transfer with commands between the keys (--via scan reads such a server)`,
      isType: false,
      unsupported: false,
    };
  }
  for (const vendor of writer === 'valkey' ? (['valkey', 'redis'] as const) : (['redis', 'valkey'] as const)) {
    const { opcodes, types } = TABLES[vendor];
    const row = types[byte] ?? opcodes[byte];
    if (row === undefined) continue;
    const isType = types[byte] !== undefined;
    const name = `${isType ? 'type' : 'opcode'} ${byte}, ${row.name}, which ${VENDOR_NAMES[vendor]} has from RDB version ${row.since} on`;
    return { name, isType, unsupported: false };
  }
  return undefined;
}

