import type { Crc64 } from '../bytes/crc64.js';
import { RdbError } from '../bytes/errors.js';
import { type Hot, PLAIN } from '../bytes/hot.js';
import { formatText } from '../bytes/text.js';
import { BYTES, Element, EMPTY, INT, int32, LZF, uint32 } from '../encodings/element.js';
import { type Length, readLength } from './length.js';
import { BIG, CUT, DONE, MORE, ShapeWalker } from './shapes.js';
import { readString, Scratch } from './string.js';
import { KNOWN_VERSION, MODULE_PRE_GA, type Opcode, type OpcodeRow, type RedisType, TABLES, type TypeRow, type Vendor } from './types.js';

/** What `Framer.next` found. */
export const NEED = 0; // push more bytes
export const RECORD = 1; // a whole key
export const FRAGMENT = 2; // some whole elements of a large value
export const PIECE = 3; // some bytes of one large string inside a large value
export const META = 4; // a record that is not a key: `frame.opcode` says which
export const END = 5; // the end of the file, checksum verified

/**
 * One frame: where things stand in the input. The framer has one of these and fills it again for every frame; everything it
 * refers to is borrowed until the next call to `next`.
 */
export class Frame {
  db = 0;
  type!: TypeRow;
  redisType: RedisType = 'string';
  opcode: OpcodeRow | undefined = undefined;

  keyBytes: Uint8Array = EMPTY;
  keyStart = 0;
  keyEnd = 0;

  hasExpire = false;
  /** Unix milliseconds; above 2^53 only the halves are exact. */
  expireAt = -1;
  expireHi = 0;
  expireLo = 0;
  /** Seconds, or -1. */
  idle = -1;
  /** 0 to 255, or -1. */
  freq = -1;

  /**
   * `bytes[start, end)` is the value without its type byte, or this part of it: all parts in a row are the value as it
   * stands in the file.
   */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** Offset of `start` in the RDB. */
  offset = 0;

  /** Whether this is the first and the last part of its value; a RECORD is both. */
  first = true;
  last = true;

  /** KEY_META: the module metadata of this key, as it stands in the file; undefined where there is none. */
  metaBytes: Uint8Array | undefined = undefined;
  /** The hash templates that the file defined so far: field names by number. */
  readonly templates = new Map<number, readonly Uint8Array[]>();

  /** Of a PIECE: where the string's own bytes begin (the length stands before them in the first piece). */
  bodyStart = 0;
  /** Of a PIECE: whether the bytes are LZF, the length of the whole string once decompressed, and whether it ends here. */
  lzf = false;
  stringLength = 0;
  stringFirst = false;
  stringLast = false;
}

export interface FramerOptions {
  /** Verify the CRC-64 (default true). */
  checksum?: boolean;
  /** Refuse versions that are not known (default false: read on and warn). */
  strict?: boolean;
  /** A value over this many bytes, decompressed, comes in parts (default 1 MiB). */
  limit?: number;
  /** Return META frames (default true). Without them, large functions and module data are passed without being held. */
  meta?: boolean;
  /** The make of the hot loops (default: TypeScript). */
  hot?: Hot;
  /** Gets a sentence for everything odd that is no error. */
  onWarning?: (warning: string) => void;
}

const START = 0;
const BOUNDARY = 1;
const OPCODE = 2;
const VALUE = 3;
const STRING = 4;
const FOOTER = 5;
const ENDED = 6;

const FREQ = 249;
const EXPIRETIME_MS = 252;
const EOF = 255;

/** Opcodes that are needed in whole even where META frames are not. */
const HELD: ReadonlySet<Opcode> = new Set(['SELECTDB', 'EXPIRETIME', 'IDLE', 'AUX', 'KEY_META', 'HASH_TEMPLATE']);

/** No frame yet, and bytes are left: look again. */
const AGAIN = -1;

/** Keys are held whole: a bound for what a forged length may ask for. Servers refuse more than 512 MB by default. */
const MAX_KEY = 2 ** 30;
/** Servers count databases in an int. */
const MAX_DB = 2 ** 31 - 1;
/** What stands before the elements of a value is never cut. */
const MIN_LIMIT = 64;
/** Holds a chunk of a file and the record that was cut before it. */
const HOT_BUFFER = 1 << 22;
const LONGEST_KEY_SHOWN = 256;
/** LZF grows up to 88-fold, so its pieces are small. */
const LZF_PIECE = 1 << 14;

/**
 * Finds the records of an RDB in chunks of any size, without decoding them (redis rdb.c, rdbLoadRioWithLoadingCtx).
 *
 *     framer.push(chunk);
 *     while ((kind = framer.next()) !== NEED) use(kind, framer.frame);
 *
 * and `finish()` after the last chunk. Synchronous; the only memory it keeps is the record at hand, and of a value over
 * `limit` only the part at hand. A chunk is borrowed until `next` says NEED.
 */
export class Framer {
  readonly frame = new Frame();
  version = 0;
  vendor: Vendor = 'redis';
  /** 'none' where the file has no checksum or it was not looked at. */
  checksum: 'ok' | 'none' = 'none';
  /** Length of the whole input, to be set where it is known: forged lengths are refused at once then. */
  size: number | undefined;

  private readonly limit: number;
  private readonly walker = new ShapeWalker();
  private readonly key = new Element();
  private readonly keyScratch = new Scratch();
  private readonly crc: Crc64 | undefined;
  private tables = TABLES.redis;
  private state = START;
  private skipping = false;
  /** The frame was handed out. */
  private served = false;

  private buf: Uint8Array = EMPTY;
  /** The framer's own buffer, for records that stand in more than one chunk. */
  private own: Uint8Array = EMPTY;
  /** First byte that a frame may still refer to, first byte not understood yet, end of the bytes: positions in `buf`. */
  private keep = 0;
  private pos = 0;
  private end = 0;
  /** Offset of buf[0] in the RDB. */
  private base = 0;
  /** Bytes of `buf` before this are in the checksum already. */
  private hashed = 0;
  /** Bytes that the large string at hand still has ahead of it. */
  private left = 0;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };

  constructor(private readonly options: FramerOptions = {}) {
    this.limit = Math.max(MIN_LIMIT, options.limit ?? 1 << 20);
    this.walker.bigAt = this.limit;
    this.walker.cutAt = this.limit;
    const hot = options.hot ?? PLAIN;
    if (options.checksum !== false) this.crc = hot.crc64();
    if (options.hot !== undefined) this.own = hot.allocate(HOT_BUFFER);
    const missing = this.walker.templateSize;
    this.walker.templateSize = (id) => this.frame.templates.get(id)?.length ?? missing(id);
  }

  /** A framer that takes the bytes of one value from its beginning, and frames it as the one that `frame` comes from would. */
  static ofValue(frame: Frame, options: FramerOptions): Framer {
    const framer = new Framer({ ...options, checksum: false });
    const { keyBytes, keyStart, keyEnd, offset } = frame;
    Object.assign(framer.frame, frame, { keyBytes: keyBytes.slice(keyStart, keyEnd), keyStart: 0, keyEnd: keyEnd - keyStart, first: true, start: 0 });
    framer.base = offset;
    framer.walker.start(frame.type.shape, 0);
    framer.state = VALUE;
    return framer;
  }

  /** Offset in the RDB up to which everything was understood. */
  get offset(): number {
    return this.base + this.pos;
  }

  get ended(): boolean {
    return this.state === ENDED;
  }

  /** After END: the bytes given that follow the RDB. */
  rest(): Uint8Array {
    return this.buf.subarray(this.pos, this.end);
  }

  /** Gives the framer its next bytes. Only when `next` said NEED; they are borrowed until it says so again. */
  push(chunk: Uint8Array): void {
    const left = this.end - this.keep;
    if (left === 0 && this.options.hot === undefined) {
      this.rebase(chunk, chunk.length);
    } else {
      this.hold(left, left + chunk.length);
      this.own.set(chunk, this.end);
      this.end += chunk.length;
    }
  }

  /** Gives back the chunk: what is still needed of it moves to the framer's own buffer. */
  private release(): void {
    this.hash();
    const left = this.end - this.keep;
    if (left > 0 && this.buf !== this.own) this.hold(left, left + this.buf.length);
  }

  /** Moves the `left` bytes that are needed to the beginning of the own buffer, with room for `size` in all. */
  private hold(left: number, size: number): void {
    if (this.buf === this.own && this.keep === 0 && this.own.length >= size) return;
    const old = this.own;
    if (old.length < size) this.own = new Uint8Array(Math.max(size, Math.min(left * 2, size + (1 << 26))));
    if (this.buf === this.own) this.own.copyWithin(0, this.keep, this.end);
    else this.own.set(this.buf.subarray(this.keep, this.end));
    this.rebase(this.own, left);
  }

  /** What stood at `keep` stands at the beginning of `buf` from now on. */
  private rebase(buf: Uint8Array, end: number): void {
    const { frame, keep } = this;
    if (frame.keyBytes === this.buf) {
      frame.keyBytes = buf;
      frame.keyStart -= keep;
      frame.keyEnd -= keep;
    }
    this.base += keep;
    this.pos -= keep;
    this.hashed -= keep;
    this.walker.pos -= keep;
    frame.start -= keep;
    this.keep = 0;
    this.buf = frame.bytes = buf;
    this.end = end;
  }

  /** Says that no more bytes come. Throws unless the RDB was complete. */
  finish(): void {
    if (this.state === ENDED) return;
    if (this.base + this.end === 0) throw new RdbError('EMPTY_INPUT', { offset: 0, expected: 'an RDB file', got: 'no bytes' });
    if (this.state === START) throw this.notRdb();
    throw this.failed(new RdbError('TRUNCATED', { offset: this.base + this.end, expected: EXPECTED[this.state], got: 'the end of the input' }));
  }

  /** Leaves out the parts still to come of the value whose first part was just returned. */
  skip(): void {
    this.skipping = true;
  }

  next(): number {
    try {
      for (;;) {
        const kind = this.step();
        if (kind === AGAIN || (this.skipping && (kind === FRAGMENT || kind === PIECE))) continue;
        if (kind === NEED) this.release();
        return kind;
      }
    } catch (error) {
      throw error instanceof RdbError ? this.failed(error) : error;
    }
  }

  /** Adds the place to an error: where in the file, and in which key. Also for errors in reading the frame handed out. */
  failed(error: RdbError): RdbError {
    const { frame, state } = this;
    const inValue = frame.opcode === undefined && (this.served || state === VALUE || state === STRING);
    if (error.offset === undefined) error.within = undefined; // it counts from the beginning of a buffer of ours
    const offset = this.base + (state === VALUE || state === OPCODE ? this.walker.pos : this.pos);
    return error.at({ offset, ...(inValue ? { db: frame.db, key: this.keyText() } : {}) });
  }

  private keyText(): string {
    const { keyBytes, keyStart, keyEnd } = this.frame;
    const shown = Math.min(keyEnd, keyStart + LONGEST_KEY_SHOWN);
    return formatText(keyBytes.subarray(keyStart, shown)) + (shown < keyEnd ? '…' : '');
  }

  private step(): number {
    switch (this.state) {
      case START:
        return this.header();
      case BOUNDARY:
        return this.boundary();
      case OPCODE:
        return this.opcode();
      case VALUE:
        return this.value();
      case STRING:
        return this.piece();
      case FOOTER:
        return this.footer();
      default:
        return END;
    }
  }

  /** REDIS and four digits, or VALKEY and three. */
  private header(): number {
    if (this.end - this.pos < 9) return NEED;
    const match = /^(?:REDIS(\d{4})|VALKEY(\d{3}))$/.exec(String.fromCharCode(...this.buf.subarray(this.pos, this.pos + 9)));
    this.version = Number(match?.[1] ?? match?.[2] ?? 0);
    if (this.version === 0) throw this.notRdb();
    if (match?.[2] !== undefined) this.use('valkey');
    const known = KNOWN_VERSION[this.vendor];
    if (this.version > known) {
      const got = `version ${this.version}`;
      if (this.options.strict === true) throw new RdbError('UNSUPPORTED_VERSION', { expected: `version ${known} at most`, got });
      this.options.onWarning?.(`RDB ${got} is newer than ${known}, the last one known here: reading on until something unknown comes`);
    }
    this.pos = this.keep = 9;
    this.state = BOUNDARY;
    return AGAIN;
  }

  private notRdb(): RdbError {
    const head = this.buf.subarray(this.pos, Math.min(this.end, this.pos + 16));
    const got = JSON.stringify(String.fromCharCode(...head));
    return new RdbError('NOT_RDB', { offset: this.base + this.pos, expected: 'REDIS and four digits, or VALKEY and three', got });
  }

  private use(vendor: Vendor): void {
    this.vendor = vendor;
    this.tables = TABLES[vendor];
  }

  /** Between records: opcodes, then the type byte and the key. */
  private boundary(): number {
    const { buf, end, frame } = this;
    if (this.served) this.endRecord();
    for (;;) {
      const { pos } = this;
      this.keep = pos;
      if (pos >= end) return NEED;
      const byte = buf[pos];
      const type = this.tables.types[byte];
      if (type !== undefined) return this.record(type);
      switch (byte) {
        case EXPIRETIME_MS:
          if (pos + 9 > end) return NEED;
          this.expire(int32(buf, pos + 5), uint32(buf, pos + 1));
          this.pos = pos + 9;
          break;
        case FREQ:
          if (pos + 2 > end) return NEED;
          frame.freq = buf[pos + 1];
          this.pos = pos + 2;
          break;
        case EOF:
          this.pos = pos + 1;
          this.hash();
          this.state = FOOTER;
          return AGAIN;
        default: {
          const opcode = this.tables.opcodes[byte];
          if (opcode === undefined) throw this.unknown(byte);
          frame.opcode = opcode;
          frame.bytes = buf;
          frame.start = this.pos = pos + 1;
          frame.offset = this.base + frame.start;
          frame.first = frame.last = true;
          this.walker.start(opcode.shape, pos + 1);
          this.state = OPCODE;
          return AGAIN;
        }
      }
    }
  }

  private unknown(byte: number): RdbError {
    if (byte === MODULE_PRE_GA) {
      return new RdbError('UNSUPPORTED_TYPE', { expected: 'module values of the released format (type 7)', got: 'type 6, of Redis 4.0 release candidates' });
    }
    return new RdbError('UNKNOWN_OPCODE', { expected: `an opcode or value type of ${this.vendor} RDB version ${this.version}`, got: `byte ${byte}` });
  }

  private expire(hi: number, lo: number): void {
    const { frame } = this;
    frame.hasExpire = true;
    frame.expireHi = hi;
    frame.expireLo = lo;
    frame.expireAt = hi * 0x100000000 + lo;
  }

  /** An opcode and its operands. */
  private opcode(): number {
    const { frame, walker } = this;
    const held = this.options.meta !== false || HELD.has((frame.opcode as OpcodeRow).name);
    walker.bigAt = walker.cutAt = held ? Infinity : this.limit;
    const status = walker.scan(this.buf, this.end);
    this.pos = walker.pos;
    if (!held) this.keep = frame.start = walker.pos;
    if (status === BIG) return this.enterString();
    if (status === CUT) return AGAIN;
    if (status === MORE) return NEED;
    this.state = BOUNDARY;
    frame.end = walker.pos;
    const kind = this.apply(frame.opcode as OpcodeRow);
    return kind === META && this.options.meta === false ? AGAIN : kind;
  }

  /** What the opcodes mean to the records after them. */
  private apply(opcode: OpcodeRow): number {
    const { buf, frame } = this;
    switch (opcode.name) {
      case 'SELECTDB':
        readLength(buf, frame.start, frame.end, this.length);
        frame.db = this.bounded('a database number', MAX_DB);
        return AGAIN;
      case 'EXPIRETIME': {
        const ms = BigInt(int32(buf, frame.start)) * 1000n;
        this.expire(Number(ms >> 32n), Number(ms & 0xffffffffn));
        return AGAIN;
      }
      case 'IDLE':
        readLength(buf, frame.start, frame.end, this.length);
        frame.idle = this.bounded('an idle time', Number.MAX_SAFE_INTEGER);
        return AGAIN;
      case 'AUX':
        if (this.auxName() === 'valkey-ver') this.use('valkey');
        return META;
      case 'HASH_TEMPLATE':
        this.defineTemplate();
        return META;
      case 'KEY_META':
        frame.metaBytes = buf.slice(frame.start, frame.end);
        return AGAIN;
      default:
        return META;
    }
  }

  /** The length just read, where it is no greater than any server writes. */
  private bounded(what: string, greatest: number): number {
    const { value } = this.length;
    if (value > greatest) throw new RdbError('BAD_LENGTH', { expected: `${what} of ${greatest} at most`, got: `${value}` });
    return value;
  }

  /** Remembers the field names of a hash template (redis 8.10): its number, a count, names. */
  private defineTemplate(): void {
    const { buf, frame, key, length } = this;
    let pos = readLength(buf, frame.start, frame.end, length);
    const id = length.value;
    if (frame.templates.has(id)) throw new RdbError('BAD_TEMPLATE', { expected: 'a new template', got: `template ${id} again` });
    pos = readLength(buf, pos, frame.end, length);
    const names: Uint8Array[] = [];
    while (pos < frame.end) {
      pos = readString(buf, pos, frame.end, key);
      this.keyScratch.text(key);
      names.push(key.bytes.slice(key.start, key.end));
    }
    frame.templates.set(id, names);
  }

  private auxName(): string {
    readString(this.buf, this.frame.start, this.frame.end, this.key);
    return this.key.kind === BYTES ? String.fromCharCode(...this.buf.subarray(this.key.start, Math.min(this.key.end, this.key.start + 64))) : '';
  }

  /** Reads type and key; the value is left to `value`. */
  private record(type: TypeRow): number {
    const { buf, frame, key } = this;
    key.kind = INT;
    const next = readString(buf, this.pos + 1, this.end, key);
    if (key.kind !== INT) this.checkKey();
    if (next < 0) return NEED;
    this.takeKey();
    frame.type = type;
    frame.redisType = type.redisType;
    frame.opcode = undefined;
    frame.bytes = buf;
    frame.start = this.pos = next;
    frame.first = true;
    this.skipping = false;
    this.walker.start(type.shape, next);
    this.walker.bigAt = this.walker.cutAt = this.limit;
    this.state = VALUE;
    return AGAIN;
  }

  private checkKey(): void {
    const { key } = this;
    const size = Math.max(key.end - key.start, key.kind === LZF ? key.num : 0);
    if (size > MAX_KEY) throw new RdbError('BAD_LENGTH', { expected: `a key of ${MAX_KEY} bytes at most`, got: `${size} bytes` });
    this.checkSize(key.end);
  }

  /** Refuses a string that would end at `end` of `buf`, beyond the end of the input. */
  private checkSize(end: number): void {
    const { size } = this;
    if (size !== undefined && this.base + end > size) {
      throw new RdbError('TRUNCATED', { expected: `bytes up to offset ${this.base + end}`, got: `an input of ${size} bytes` });
    }
  }

  /** Points the frame at the key's bytes: in the input where they stand there, else in a buffer of the framer's. */
  private takeKey(): void {
    const { frame, key } = this;
    this.keyScratch.text(key);
    frame.keyBytes = key.bytes;
    frame.keyStart = key.start;
    frame.keyEnd = key.end;
  }

  /** A value: whole if it fits under the limit, else its next part. */
  private value(): number {
    const { frame, walker } = this;
    if (this.served) this.nextPart();
    const status = walker.scan(this.buf, this.end);
    this.pos = walker.pos;
    if (status === MORE) return NEED;
    walker.cutAt = this.limit;
    if (status === BIG && !frame.first && walker.pos === frame.start) return this.enterString();
    const last = status === DONE;
    if (last) this.state = BOUNDARY;
    return this.part(last && frame.first ? RECORD : FRAGMENT, last);
  }

  /** A string too large to hold begins at `walker.pos`. */
  private enterString(): number {
    const { frame, walker } = this;
    this.checkSize(walker.bigBody + walker.bigSize);
    this.pos = walker.bigBody;
    this.left = walker.bigSize;
    frame.lzf = walker.bigLzf;
    frame.stringLength = walker.bigLength;
    frame.stringFirst = true;
    this.state = STRING;
    return AGAIN;
  }

  /** As many bytes of the large string as are there, within reason. */
  private piece(): number {
    const { frame, walker } = this;
    if (this.served) {
      this.nextPart();
      frame.stringFirst = false;
    }
    frame.bodyStart = this.pos;
    const size = Math.min(this.left, this.end - this.pos, frame.lzf ? LZF_PIECE : this.limit);
    if (size === 0) return NEED;
    this.pos += size;
    this.left -= size;
    frame.stringLast = this.left === 0;
    let last = false;
    if (frame.stringLast) {
      walker.pos = this.pos;
      walker.passBig();
      walker.cutAt = 0; // what stands right behind comes alone, so that consumers can be done with the string before
      last = walker.finished && frame.opcode === undefined;
      this.state = last ? BOUNDARY : frame.opcode === undefined ? VALUE : OPCODE;
    }
    if (frame.opcode === undefined) return this.part(PIECE, last);
    this.keep = frame.start = this.pos;
    return AGAIN;
  }

  /** Completes the frame with what stands between its start and `pos`. */
  private part(kind: number, last: boolean): number {
    const { frame } = this;
    frame.end = this.pos;
    frame.offset = this.base + frame.start;
    frame.last = last;
    this.served = true;
    return kind;
  }

  /** The part before was used: the next one begins behind it, and the key has to outlive the bytes it stood in. */
  private nextPart(): void {
    const { frame } = this;
    this.served = false;
    if (frame.first) this.copyKey();
    frame.first = false;
    frame.start = this.keep = this.pos;
    this.walker.weight = 0;
  }

  private copyKey(): void {
    const { frame, keyScratch } = this;
    if (frame.keyBytes === keyScratch.bytes) return;
    const size = frame.keyEnd - frame.keyStart;
    const copy = keyScratch.room(size);
    copy.set(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd));
    frame.keyBytes = copy;
    frame.keyStart = 0;
    frame.keyEnd = size;
  }

  /** The modifiers belong to one key. */
  private endRecord(): void {
    const { frame } = this;
    this.served = false;
    frame.hasExpire = false;
    frame.metaBytes = undefined;
    frame.expireAt = frame.idle = frame.freq = -1;
  }

  /** The CRC-64 after EOF, 8 bytes, little-endian; 0 where the server did not make one. */
  private footer(): number {
    this.keep = this.pos;
    if (this.version >= 5) {
      if (this.pos + 8 > this.end) return NEED;
      const lo = uint32(this.buf, this.pos);
      const hi = uint32(this.buf, this.pos + 4);
      if (this.crc !== undefined && (lo !== 0 || hi !== 0)) {
        if (this.crc.lo !== lo || this.crc.hi !== hi) {
          throw new RdbError('CHECKSUM', { expected: `${hexWord(hi)}${hexWord(lo)}, as the file says`, got: `${this.crc.toString()} from its bytes` });
        }
        this.checksum = 'ok';
      }
      this.pos += 8;
    }
    this.keep = this.pos;
    this.state = ENDED;
    return END;
  }

  /** Brings the checksum up to `pos`. */
  private hash(): void {
    if (this.state < FOOTER) this.crc?.update(this.buf, this.hashed, this.pos);
    this.hashed = this.pos;
  }
}

function hexWord(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/** What should have come where the input ends, by state. */
const EXPECTED: Readonly<Record<number, string>> = {
  [BOUNDARY]: 'the next record or the end of the file (EOF)',
  [OPCODE]: 'the rest of an opcode',
  [VALUE]: 'the rest of a value',
  [STRING]: 'the rest of a string',
  [FOOTER]: 'the checksum of 8 bytes',
};
