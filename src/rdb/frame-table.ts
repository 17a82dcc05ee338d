import type { FramePrograms, Hot } from '../bytes/hot.js';
import type { Frame } from './frame.js';
import { isPlain } from './shapes.js';
import { TABLES, type Tables, type TypeRow } from './types.js';

/**
 * Frames as rows of numbers, for handing them to another thread: `FRAME_WORDS` 32-bit words a frame, in the machine's byte
 * order, at an address that is a multiple of 8. Positions count from the beginning of the bytes that the table goes with.
 */
export const FRAME_WORDS = 24;

/** A row that is no frame: `[START, END)` is a finished line. The other kinds are those of frame.ts. */
export const LINE = 7;

/** Where the words stand. F64: two words, at the half of this number in an array of doubles. */
export const KIND = 0;
export const FLAGS = 1;
export const TYPE = 2; // typeNumber of the type
export const DB = 3;
export const EXPIRE_LO = 4;
export const EXPIRE_HI = 5;
export const IDLE = 6; // F64, -1 for none
export const FREQ = 8; // -1 for none
export const KEY_START = 9;
export const KEY_END = 10;
export const START = 11;
export const END = 12;
export const BODY_START = 13;
export const OFFSET = 14; // F64
export const STRING_LENGTH = 16; // F64
export const GROWN = 16; // of a whole record that a kernel framed: bytes of its value with all strings decompressed
export const ITEMS_AHEAD = 18; // F64
export const LEAST_EXPIRY = 20; // F64, of the fields of a hash that comes in parts
export const KEYS_READ = 22; // keys found since the table began, this one included
export const KEYS_EXPIRED = 23; // of the keys in the table before this one

/** Bits of FLAGS. */
export const FIRST = 1;
export const LAST = 2;
export const HAS_EXPIRE = 4;
export const IS_LZF = 8;
export const STRING_FIRST = 16;
export const STRING_LAST = 32;
export const RESUMES = 64;
export const HAS_META = 128;

/** Numbers of types are less. */
export const TYPE_NUMBERS = 512;

/** Of every type of both vendors a number below that. */
export function typeNumber(type: TypeRow): number {
  return TABLES.redis.types[type.id] === type ? type.id : 256 + type.id;
}

/** An RDB version for each of them. */
export function versionTable(hot: Pick<Hot, 'allocate'>): Uint16Array {
  const { buffer, byteOffset } = hot.allocate(TYPE_NUMBERS * 2);
  return new Uint16Array(buffer, byteOffset, TYPE_NUMBERS);
}

export function typeOfNumber(number: number): TypeRow | undefined {
  return TABLES[number < 256 ? 'redis' : 'valkey'].types[number & 255];
}

const made = new WeakMap<Tables, FramePrograms>();

/** What the kernel that frames whole records knows of the types and opcodes of a file. The same object for the same tables. */
export function framePrograms(tables: Tables): FramePrograms {
  const before = made.get(tables);
  if (before !== undefined) return before;
  const plain = (type: TypeRow): boolean => isPlain(type.shape) && type.form !== 'template-ref-listpack'; // that takes frame.templates
  const programs = {
    types: tables.types.map((type) => (type !== undefined && plain(type) ? { program: type.shape, number: typeNumber(type) } : undefined)),
    opcodes: tables.opcodes.flatMap((opcode) => (opcode === undefined ? [] : [opcode.id])),
  };
  made.set(tables, programs);
  return programs;
}

/** The table in a piece of memory: frames are written to rows and read from them again. */
export class FrameTable {
  readonly words: Int32Array;
  private readonly doubles: Float64Array;

  constructor(
    buffer: ArrayBufferLike,
    readonly at: number,
    readonly rows: number,
  ) {
    this.words = new Int32Array(buffer, at, rows * FRAME_WORDS);
    this.doubles = new Float64Array(buffer, at, (rows * FRAME_WORDS) / 2);
  }

  /** Where kernels find it. */
  static allocate(hot: Hot, rows: number): FrameTable {
    const { buffer, byteOffset } = hot.allocate(rows * FRAME_WORDS * 4);
    return new FrameTable(buffer, byteOffset, rows);
  }

  word(row: number, which: number): number {
    return this.words[row * FRAME_WORDS + which];
  }

  setWord(row: number, which: number, value: number): void {
    this.words[row * FRAME_WORDS + which] = value;
  }

  double(row: number, which: number): number {
    return this.doubles[(row * FRAME_WORDS + which) / 2];
  }

  setDouble(row: number, which: number, value: number): void {
    this.doubles[(row * FRAME_WORDS + which) / 2] = value;
  }

  /** Writes a frame, but for its positions in bytes and what `frame.metaBytes` and `frame.templates` say. */
  write(row: number, kind: number, frame: Frame): void {
    const { words, doubles } = this;
    const at = row * FRAME_WORDS;
    words[at + KIND] = kind;
    words[at + FLAGS] = flagsOf(frame);
    words[at + TYPE] = typeNumber(frame.type);
    words[at + DB] = frame.db;
    words[at + EXPIRE_LO] = frame.expireLo;
    words[at + EXPIRE_HI] = frame.expireHi;
    doubles[(at + IDLE) / 2] = frame.idle;
    words[at + FREQ] = frame.freq;
    doubles[(at + OFFSET) / 2] = frame.offset;
    doubles[(at + STRING_LENGTH) / 2] = frame.stringLength;
    doubles[(at + ITEMS_AHEAD) / 2] = frame.itemsAhead;
  }

  /** Reads a frame whose positions are in `bytes`. */
  read(row: number, frame: Frame, bytes: Uint8Array): void {
    const { words, doubles } = this;
    const at = row * FRAME_WORDS;
    const flags = words[at + FLAGS];
    const type = typeOfNumber(words[at + TYPE]);
    if (type === undefined) throw new TypeError(`no type ${words[at + TYPE]}`);
    frame.type = type;
    frame.redisType = type.redisType;
    frame.first = (flags & FIRST) !== 0;
    frame.last = (flags & LAST) !== 0;
    frame.lzf = (flags & IS_LZF) !== 0;
    frame.stringFirst = (flags & STRING_FIRST) !== 0;
    frame.stringLast = (flags & STRING_LAST) !== 0;
    frame.resumes = (flags & RESUMES) !== 0;
    frame.db = words[at + DB];
    frame.hasExpire = false;
    frame.expireAt = -1;
    if ((flags & HAS_EXPIRE) !== 0) frame.setExpire(words[at + EXPIRE_HI], words[at + EXPIRE_LO] >>> 0);
    frame.idle = doubles[(at + IDLE) / 2];
    frame.freq = words[at + FREQ];
    frame.keyBytes = frame.bytes = bytes;
    frame.keyStart = words[at + KEY_START];
    frame.keyEnd = words[at + KEY_END];
    frame.start = words[at + START];
    frame.end = words[at + END];
    frame.bodyStart = words[at + BODY_START];
    frame.offset = doubles[(at + OFFSET) / 2];
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
