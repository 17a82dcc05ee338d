import type { FramePrograms, Codec } from '../kernels/codec.js';
import {
  DB, END, EXPIRE, FIRST, FLAGS, FREQ, GROWN, HAS_EXPIRE, HAS_META, HEAD_START, IDLE, IS_LZF, ITEMS_AHEAD, KEY_END, KEY_START, KIND, LAST,
  META, OFFSET, OPCODES, BODY_START, RECORD, RESUMES, ROW_WORDS, SOURCE_DB, START, STRING_FIRST, STRING_LAST, STRING_LENGTH, TYPE,
  TYPE_AT,
} from '../kernels/layout.js';
import type { Frame } from './frame.js';
import { isPlain } from './shapes.js';
import { type Opcode, type RedisType, TABLES, type Tables, type TypeRow } from './types.js';

/** Numbers of types are less. */
export const TYPE_NUMBERS = 512;

/** Of every type of both vendors a number below that. */
export function typeNumber(type: TypeRow): number {
  return TABLES.redis.types[type.id] === type ? type.id : 256 + type.id;
}

/** An RDB version for each of them. */
export function versionTable(codec: Pick<Codec, 'allocate'>): Uint16Array {
  const { buffer, byteOffset } = codec.allocate(TYPE_NUMBERS * 2);
  return new Uint16Array(buffer, byteOffset, TYPE_NUMBERS);
}

/** By type number; `string` where there is no such type. */
export const REDIS_TYPES: readonly RedisType[] = Array.from(
  { length: TYPE_NUMBERS },
  (_, number) => typeOfNumber(number)?.redisType ?? 'string',
);

export function typeOfNumber(number: number): TypeRow | undefined {
  return TABLES[number < 256 ? 'redis' : 'valkey'].types[number & 255];
}

/** Opcodes that mean nothing to the framer, or nothing that a kernel could not do. */
const PASSED: ReadonlySet<Opcode> = new Set(['SELECTDB', 'RESIZEDB', 'AUX', 'SLOT_INFO']);

const made = new WeakMap<Tables, FramePrograms>();

/** What the kernel that frames whole records knows of the types and opcodes of a file. The same object for the same tables. */
export function framePrograms(tables: Tables): FramePrograms {
  const before = made.get(tables);
  if (before !== undefined) return before;
  const plain = (type: TypeRow): boolean => isPlain(type.shape) && type.form !== 'template-ref-listpack'; // that takes frame.templates
  const { opcodes, types } = tables;
  const programs: FramePrograms = {
    entries: types.map((type, id) => {
      if (type !== undefined) return plain(type) ? { program: type.shape, number: typeNumber(type) } : undefined;
      const opcode = opcodes[id];
      return opcode !== undefined && PASSED.has(opcode.name) ? { program: opcode.shape, number: OPCODES + id } : undefined;
    }),
    opcodes: opcodes.flatMap((opcode) => (opcode === undefined ? [] : [opcode.id])),
  };
  made.set(tables, programs);
  return programs;
}

/** GROWN where nobody added it up. */
const UNKNOWN_SIZE = 0x7fffffff;

/** Rows in a piece of memory (kernels/layout.ts): frames are written to them and read from them again. */
export class FrameTable {
  readonly words: Int32Array;
  private readonly doubles: Float64Array;

  constructor(
    buffer: ArrayBufferLike,
    readonly at: number,
    readonly rows: number,
  ) {
    this.words = new Int32Array(buffer, at, rows * ROW_WORDS);
    this.doubles = new Float64Array(buffer, at, (rows * ROW_WORDS) / 2);
  }

  /** Where kernels find it. */
  static allocate(codec: Codec, rows: number): FrameTable {
    const { buffer, byteOffset } = codec.allocate(rows * ROW_WORDS * 4);
    return new FrameTable(buffer, byteOffset, rows);
  }

  word(row: number, which: number): number {
    return this.words[row * ROW_WORDS + which];
  }

  setWord(row: number, which: number, value: number): void {
    this.words[row * ROW_WORDS + which] = value;
  }

  double(row: number, which: number): number {
    return this.doubles[(row * ROW_WORDS + which) / 2];
  }

  setDouble(row: number, which: number, value: number): void {
    this.doubles[(row * ROW_WORDS + which) / 2] = value;
  }

  has(row: number, flags: number): boolean {
    return (this.words[row * ROW_WORDS + FLAGS] & flags) !== 0;
  }

  /** Unix milliseconds of a row that HAS_EXPIRE. */
  expireAt(row: number): number {
    const at = row * ROW_WORDS + EXPIRE;
    return this.words[at + 1] * 0x100000000 + (this.words[at] >>> 0);
  }

  /** Writes a frame, but for the position of its key, what `frame.metaBytes` and `frame.templates` say, and KEYS_READ. */
  write(row: number, kind: number, frame: Frame): void {
    const { words, doubles } = this;
    const at = row * ROW_WORDS;
    words[at + KIND] = kind;
    words[at + FLAGS] = flagsOf(frame);
    words[at + DB] = frame.db;
    words[at + START] = frame.start;
    words[at + END] = frame.end;
    doubles[(at + OFFSET) / 2] = frame.offset;
    if (kind === META) {
      words[at + TYPE] = frame.opcode?.id ?? 0;
      return;
    }
    words[at + TYPE] = typeNumber(frame.type);
    words[at + EXPIRE] = frame.expireLo;
    words[at + EXPIRE + 1] = frame.expireHi;
    doubles[(at + IDLE) / 2] = frame.idle;
    words[at + FREQ] = frame.freq;
    words[at + BODY_START] = frame.bodyStart;
    if (kind === RECORD) {
      words[at + GROWN] = UNKNOWN_SIZE;
      words[at + SOURCE_DB] = frame.db;
      words[at + HEAD_START] = frame.headStart;
      words[at + TYPE_AT] = frame.typeAt;
    } else {
      doubles[(at + STRING_LENGTH) / 2] = frame.stringLength;
      doubles[(at + ITEMS_AHEAD) / 2] = frame.itemsAhead;
    }
  }

  /** Reads a frame whose positions are in `bytes`. */
  read(row: number, frame: Frame, bytes: Uint8Array): void {
    const { words, doubles } = this;
    const at = row * ROW_WORDS;
    const flags = words[at + FLAGS];
    const kind = words[at + KIND];
    frame.first = (flags & FIRST) !== 0;
    frame.last = (flags & LAST) !== 0;
    frame.db = words[at + DB];
    frame.bytes = bytes;
    frame.start = words[at + START];
    frame.end = words[at + END];
    frame.offset = doubles[(at + OFFSET) / 2];
    if (kind === META) return; // which opcode it is depends on the file
    const type = typeOfNumber(words[at + TYPE]);
    if (type === undefined) throw new TypeError(`no type ${words[at + TYPE]}`);
    frame.opcode = undefined;
    frame.type = type;
    frame.redisType = type.redisType;
    frame.hasExpire = false;
    frame.expireAt = -1;
    if ((flags & HAS_EXPIRE) !== 0) frame.setExpire(words[at + EXPIRE + 1], words[at + EXPIRE] >>> 0);
    frame.idle = doubles[(at + IDLE) / 2];
    frame.freq = words[at + FREQ];
    frame.keyBytes = bytes;
    frame.keyStart = words[at + KEY_START];
    frame.keyEnd = words[at + KEY_END];
    frame.bodyStart = words[at + BODY_START];
    if (kind === RECORD) {
      frame.headBytes = bytes;
      frame.headStart = words[at + HEAD_START];
      frame.typeAt = words[at + TYPE_AT];
      frame.headEnd = frame.start;
      return;
    }
    frame.lzf = (flags & IS_LZF) !== 0;
    frame.stringFirst = (flags & STRING_FIRST) !== 0;
    frame.stringLast = (flags & STRING_LAST) !== 0;
    frame.resumes = (flags & RESUMES) !== 0;
    frame.stringLength = doubles[(at + STRING_LENGTH) / 2];
    frame.itemsAhead = doubles[(at + ITEMS_AHEAD) / 2];
  }
}

function flagsOf(frame: Frame): number {
  return (
    (frame.first ? FIRST : 0) |
    (frame.last ? LAST : 0) |
    (frame.hasExpire ? HAS_EXPIRE : 0) |
    (frame.lzf ? IS_LZF : 0) |
    (frame.stringFirst ? STRING_FIRST : 0) |
    (frame.stringLast ? STRING_LAST : 0) |
    (frame.resumes ? RESUMES : 0) |
    (frame.metaBytes === undefined ? 0 : HAS_META)
  );
}
