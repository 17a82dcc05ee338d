import type { Crc64 } from '../bytes/crc64.js';
import { RdbError } from '../bytes/errors.js';
import { type FrameRun, type Codec, TS_CODEC, type RunningCrc } from '../kernels/codec.js';
import { Element, INT, int32, LZF, uint32 } from '../encodings/element.js';
import { HAS_EXPIRE } from '../kernels/layout.js';
import type { Batch } from './batch.js';
import { BEGINNING, isOpenBeginning, isTextCopy, latin, LETTER, notRdb, textCopy, transferHead } from './beginning.js';
import { framePrograms } from './frame-table.js';
import { END, Frame, type FramerOptions, FULL, ITEMS_PART, META, NEED, RECORD, shownKey, STRING_PART } from './frame.js';
import { type AofMark, aofMarkOf, applyOpcode, isMemberExpiry, isNeeded, writerOf } from './opcodes.js';
import { BIG, CUT, DONE, MORE, ShapeWalker } from './shapes.js';
import { readString, Scratch } from './string.js';
import {
  type Form, KNOWN_VERSION, type Opcode, strangerOf, type Tables, TABLES, tablesOf, type TypeRow, typesUpTo, type Vendor, type Writer,
} from './types.js';
import { Window } from './window.js';

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

/** No frame yet, but bytes are left: try again. */
const AGAIN = -1;

/** Keys are held whole, so a forged length must be bounded. Servers refuse more than 512 MB by default. */
const MAX_KEY = 2 ** 30;
/** The bytes before the elements of a value are never cut. */
const MIN_LIMIT = 64;
/** LZF expands up to 88-fold, so its pieces are small. */
const LZF_PIECE = 1 << 14;

/**
 * Finds the records of an RDB in chunks of any size, without decoding them (redis rdb.c, rdbLoadRioWithLoadingCtx).
 *
 *     framer.push(chunk);
 *     while ((kind = framer.next()) !== NEED) use(kind, framer.frame);
 *
 * and `finish()` after the last chunk. Synchronous; it holds only the current record, and of a value over `limit` only the
 * current part. A chunk is borrowed until `next` returns NEED.
 */
export class Framer {
  readonly frame = new Frame();
  version = 0;
  vendor: Vendor = 'redis';
  /** 'none' if the file has no checksum or it was not verified. */
  checksum: 'ok' | 'none' = 'none';
  /** The aux field that marks the base of an AOF. */
  aofMark: AofMark | undefined;
  /** The mark after the RDB that a replication link announced before it. */
  endMark: string | undefined;
  /** Length of the whole input, if known: forged lengths are refused at once. */
  size: number | undefined;
  /** The bytes are made of DUMP payloads, each of its own version: types of any version are accepted. */
  ofPayloads = false;

  private readonly codec: Codec;
  private readonly limit: number;
  private readonly walker = new ShapeWalker();
  private readonly key = new Element();
  private readonly keyScratch = new Scratch();
  private readonly window: Window;
  private tables: Tables = TABLES.redis;
  private writer: Writer = 'redis';
  /** The release of the writer, if known. */
  private serverRelease = '';
  /** The error for a type byte that the file cannot have, while its key is read. */
  private refused: RdbError | undefined;
  private state = START;
  /** Whether the frame was handed out. */
  private served = false;

  /** Start of the modifiers of the next key; negative if it has none. */
  private modifiersAt = -1;
  /** The error found after the rows of the last batch. */
  private failure: Error | undefined;

  /** Bytes left of the current large string. */
  private left = 0;
  /** The checksum of everything before the footer. */
  private crc: Crc64 | undefined;

  constructor(private readonly options: FramerOptions = {}) {
    this.limit = Math.max(MIN_LIMIT, options.limit ?? 1 << 20);
    this.walker.bigAt = this.limit;
    this.walker.cutAt = this.limit;
    this.codec = options.codec ?? TS_CODEC;
    const crc = options.checksum === false ? undefined : this.codec.crc64();
    this.window = new Window(crc, options.buffer, this.codec, options.roomBefore ?? (() => 0), (before, by) => this.moved(before, by));
    const missing = this.walker.templateSize;
    this.walker.templateSize = (id) => this.frame.templates.get(id)?.length ?? missing(id);
  }

  /** A framer for the bytes of one value: frames it as the framer that `frame` comes from would. */
  static ofValue(frame: Frame, options: Pick<FramerOptions, 'limit'>): Framer {
    const framer = new Framer({ checksum: false, limit: options.limit });
    const { headBytes, headEnd, headStart, keyBytes, keyStart, keyEnd, offset, typeAt } = frame;
    Object.assign(framer.frame, frame, {
      keyBytes: keyBytes.slice(keyStart, keyEnd),
      keyStart: 0,
      keyEnd: keyEnd - keyStart,
      first: true,
      start: 0,
    });
    const head = headBytes.slice(headStart, headEnd);
    Object.assign(framer.frame, { headBytes: head, headStart: 0, typeAt: typeAt - headStart, headEnd: head.length });
    framer.window.base = offset;
    framer.walker.start(frame.type.shape, 0);
    framer.state = VALUE;
    return framer;
  }

  /** Offset in the RDB up to which everything was read. */
  get offset(): number {
    return this.window.base + this.window.pos;
  }

  get ended(): boolean {
    return this.state === ENDED;
  }

  /** After END: the given bytes that follow the RDB. */
  rest(): Uint8Array {
    const { bytes, end, pos } = this.window;
    return bytes.subarray(pos, end);
  }

  /** Gives the framer its next bytes. Only after NEED; they are borrowed until the next NEED. */
  push(chunk: Uint8Array): void {
    this.window.push(chunk);
  }

  /** Positions in the window have changed. */
  private moved(before: Uint8Array, by: number): void {
    const { frame, window } = this;
    if (frame.keyBytes === before) {
      frame.keyBytes = window.bytes;
      frame.keyStart -= by;
      frame.keyEnd -= by;
    }
    if (frame.headBytes === before) {
      frame.headBytes = window.bytes;
      frame.headStart -= by;
      frame.typeAt -= by;
      frame.headEnd -= by;
    }
    frame.bytes = window.bytes;
    frame.start -= by;
    this.walker.pos -= by;
    this.modifiersAt -= by;
  }

  /** The running checksum of the file, for those that read these bytes anyway. */
  get running(): RunningCrc | undefined {
    return this.window.running;
  }

  /**
   * Fills a batch from the bytes pushed. Returns FULL if there may be more in them; otherwise what ended it, as `next` does: NEED,
   * END, or the first part of a large value. The batch comes before that, and is borrowed until the next `fill`, or until
   * `release`, which must precede the next `push`.
   */
  fill(batch: Batch): number {
    const { frame, window } = this;
    const { failure } = this;
    if (failure !== undefined) throw failure;
    batch.clear(window.bytes, frame.templates);
    const stop = Math.min(window.end, window.pos + batch.maxBytes);
    try {
      for (;;) {
        if (this.state === BOUNDARY && this.modifiersAt < 0) this.kernelRows(batch, stop);
        if (batch.full || (this.state === BOUNDARY && window.pos >= stop && stop < window.end)) return FULL;
        const kind = this.found();
        if (kind !== RECORD && kind !== META) return kind;
        batch.use(this.tables.opcodes);
        batch.add(kind, frame);
      }
    } catch (error) {
      if (batch.rows === 0 || !(error instanceof Error)) throw error;
      this.failure = error;
      return FULL;
    }
  }

  /** Fills rows through a kernel. */
  private kernelRows(batch: Batch, stop: number): void {
    const { frame, window } = this;
    if (this.served) this.endRecord();
    if (frame.metaBytes !== undefined) return;
    const run: FrameRun = {
      programs: framePrograms(this.tables),
      ...{ table: batch.table.words, row: batch.rows, rows: batch.table.rows },
      ...{ bytes: window.bytes, pos: window.pos, end: window.end, stop, offset: window.base },
      ...{
        limit: this.limit,
        meta: this.options.meta !== false,
        arena: batch.arena,
        arenaLength: batch.arenaLength,
        keysRead: batch.keysRead,
        expired: batch.expired,
        now: batch.now,
      },
      ...{
        db: frame.db,
        flags: frame.hasExpire ? HAS_EXPIRE : 0,
        expireHi: frame.expireHi,
        expireLo: frame.expireLo,
        idle: frame.idle,
        freq: frame.freq,
      },
    };
    this.codec.frameRows(run);
    if (run.pos === window.pos) return;
    window.pos = run.pos;
    batch.use(this.tables.opcodes);
    batch.rows = run.row;
    batch.arenaLength = run.arenaLength;
    batch.keysRead = run.keysRead;
    batch.expired = run.expired;
    frame.db = run.db;
    frame.opcode = undefined;
    frame.hasExpire = false;
    frame.expireAt = -1;
    if ((run.flags & HAS_EXPIRE) !== 0) frame.setExpire(run.expireHi, run.expireLo);
    frame.idle = run.idle;
    frame.freq = run.freq;
  }

  /** Gives back the pushed bytes, after `fill` returned NEED. */
  release(): void {
    this.window.release();
  }

  /** No more bytes follow. Throws unless the RDB was complete. */
  finish(): void {
    if (this.state === ENDED) return;
    if (this.window.base + this.window.end === 0) {
      throw new RdbError('EMPTY_INPUT', { offset: 0, expected: 'an RDB file', got: 'no bytes' });
    }
    if (this.state === START) throw notRdb(this.beginning(), this.offset);
    if (this.refused !== undefined) throw this.failed(this.refused);
    throw this.failed(
      new RdbError('TRUNCATED', {
        offset: this.window.base + this.window.end,
        expected: EXPECTED[this.state],
        got: 'the end of the input',
      }),
    );
  }

  next(): number {
    const kind = this.found();
    if (kind === NEED) this.window.release();
    return kind;
  }

  private found(): number {
    try {
      for (;;) {
        const kind = this.step();
        if (kind !== AGAIN) return kind;
      }
    } catch (error) {
      throw error instanceof RdbError ? this.failed(error) : error;
    }
  }

  /** Adds the place to an error: offset and key. Also for errors in reading the current frame. */
  failed(error: RdbError): RdbError {
    const { frame, state } = this;
    const inValue = frame.opcode === undefined && (this.served || state === VALUE || state === STRING);
    if (error.offset === undefined) error.within = undefined; // `within` counts from the beginning of our own buffer
    const offset = this.window.base + (state === VALUE || state === OPCODE ? this.walker.pos : this.window.pos);
    return error.at({ offset, ...(inValue ? { db: frame.db, key: shownKey(frame) } : {}) });
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

  /** A preamble of a replication link, if any; then REDIS and four digits, or VALKEY and three. */
  private header(): number {
    const { window } = this;
    const text = this.beginning();
    const transfer = transferHead(text);
    if (transfer !== undefined) {
      this.endMark = transfer.mark;
      this.passTo(window.pos + transfer.length);
      return AGAIN;
    }
    if (text.length < 9 || isOpenBeginning(text)) return NEED;
    const match = /^(?:REDIS(\d{4})|VALKEY(\d{3}))$/.exec(text.slice(0, 9));
    this.version = Number(match?.[1] ?? match?.[2] ?? 0);
    if (this.version === 0) throw notRdb(text, this.offset);
    this.use(match?.[2] === undefined ? 'redis' : 'valkey');
    const known = KNOWN_VERSION[this.vendor];
    if (this.version > known) {
      const got = `version ${this.version}`;
      if (this.options.strict === true) throw new RdbError('UNSUPPORTED_VERSION', { expected: `version ${known} at most`, got });
      this.options.onWarning?.(`RDB ${got} is newer than ${known}, the last one known here: reading on until something unknown comes`);
    }
    window.pos = window.keep = window.pos + 9;
    this.state = BOUNDARY;
    return AGAIN;
  }

  private beginning(): string {
    const { bytes, end, pos } = this.window;
    return latin(bytes, pos, Math.min(end, pos + BEGINNING));
  }

  /** Drops what precedes the RDB, up to `pos`. */
  private passTo(pos: number): void {
    const { window } = this;
    window.pos = window.keep = pos;
    if (window.running !== undefined) window.running.at = pos;
  }

  /** The RDB version that the newest types of the file came with. */
  get typesUpTo(): number {
    return typesUpTo(this.writer, this.version);
  }

  private use(writer: Writer): void {
    this.writer = writer;
    this.vendor = writer === 'valkey' ? 'valkey' : 'redis';
    this.tables = this.ofPayloads ? TABLES[this.vendor] : tablesOf(writer, this.version);
  }

  /** Between records: opcodes, then the type byte and the key. */
  private boundary(): number {
    const { frame, window } = this;
    const { bytes: buf, end } = window;
    if (this.served) this.endRecord();
    for (;;) {
      const { pos } = window;
      window.keep = this.modifiersAt < 0 ? pos : this.modifiersAt;
      if (pos >= end) return NEED;
      const byte = buf[pos];
      const type = this.tables.types[byte];
      if (type !== undefined) return this.record(type);
      const opcode = this.tables.opcodes[byte];
      if (opcode === undefined) return this.refuse(byte);
      switch (byte) {
        case EXPIRETIME_MS:
          if (pos + 9 > end) return NEED;
          this.modified(pos);
          frame.setExpire(int32(buf, pos + 5), uint32(buf, pos + 1));
          this.window.pos = pos + 9;
          break;
        case FREQ:
          if (pos + 2 > end) return NEED;
          this.modified(pos);
          frame.freq = buf[pos + 1];
          this.window.pos = pos + 2;
          break;
        case EOF:
          window.pos = pos + 1;
          this.crc = window.checksum();
          this.state = FOOTER;
          return AGAIN;
        default:
          if (MODIFIERS.has(opcode.name)) this.modified(pos);
          else this.modifiersAt = -1;
          frame.opcode = opcode;
          frame.bytes = buf;
          frame.start = this.window.pos = pos + 1;
          frame.offset = this.window.base + frame.start;
          frame.first = frame.last = true;
          this.walker.start(opcode.shape, pos + 1);
          this.state = OPCODE;
          return AGAIN;
      }
    }
  }

  /** A modifier of the next key begins at `pos`. */
  private modified(pos: number): void {
    if (this.modifiersAt < 0) this.modifiersAt = pos;
  }

  /** Refuses a byte that the file cannot have. If it is a type elsewhere, the key is read first, so that the error can name it. */
  private refuse(byte: number): number {
    const { frame, serverRelease, vendor, version, window, writer } = this;
    const stranger = strangerOf(byte, writer);
    const note =
      writer === 'dragonfly'
        ? `; the file was written by Dragonfly ${serverRelease.replace(/^df-/, '')}, whose own types are not read`
        : '';
    const error = new RdbError(stranger?.unsupported === true ? 'UNSUPPORTED_TYPE' : 'UNKNOWN_OPCODE', {
      offset: window.base + window.pos,
      expected: stranger?.unsupported === true ? 'a type that rdbkit reads' : `an opcode or value type of ${vendor} RDB version ${version}`,
      got: `${stranger?.name ?? `byte ${byte}`}${note}`,
    });
    const isText = isTextCopy(latin(window.bytes, window.pos, Math.min(window.end, window.pos + LETTER)));
    if (isText === true) throw textCopy(window.base + window.pos, 'what stood here is a letter now');
    if (isText === undefined) {
      this.refused = error;
      return NEED;
    }
    if (stranger?.isType === true) {
      const found = this.keyAfterType();
      if (found === undefined) {
        this.refused = error;
        return NEED;
      }
      if (found) error.at({ db: frame.db, key: shownKey(frame) });
    }
    throw error;
  }

  /** Finds the key after a type byte: undefined if more bytes are needed, false if there is no plausible key. */
  private keyAfterType(): boolean | undefined {
    const { key, window } = this;
    key.kind = INT;
    try {
      const next = readString(window.bytes, window.pos + 1, window.end, key);
      if (key.kind !== INT) this.checkKey();
      if (next < 0) return key.kind !== INT && key.end - key.start > this.limit ? false : undefined;
      this.takeKey();
      return true;
    } catch (error) {
      if (error instanceof RdbError) return false;
      throw error;
    }
  }

  /** Reads an opcode and its operands. */
  private opcode(): number {
    const { frame, walker } = this;
    const held = this.options.meta !== false || isNeeded(frame);
    walker.bigAt = walker.cutAt = held ? Infinity : this.limit;
    const status = walker.scan(this.window.bytes, this.window.end);
    this.window.pos = walker.pos;
    if (!held) this.window.keep = frame.start = walker.pos;
    if (status === BIG) return this.enterString();
    if (status === CUT) return AGAIN;
    if (status === MORE) return NEED;
    this.state = BOUNDARY;
    frame.end = walker.pos;
    if (applyOpcode(frame)) return AGAIN;
    this.learnOfFile();
    return this.options.meta !== false || isMemberExpiry(frame) ? META : AGAIN;
  }

  /** Reads the aux fields before the keys that name the writer, or mark the base of an AOF. */
  private learnOfFile(): void {
    const named = this.writer === 'redis' ? writerOf(this.frame) : undefined;
    if (named === undefined) {
      this.aofMark = aofMarkOf(this.frame) ?? this.aofMark;
      return;
    }
    this.serverRelease = named.release;
    this.use(named.writer);
  }

  /** Reads type and key; `value` reads the value. */
  private record(type: TypeRow): number {
    const { frame, key, window } = this;
    const { bytes: buf } = window;
    key.kind = INT;
    const next = readString(buf, this.window.pos + 1, this.window.end, key);
    if (key.kind !== INT) this.checkKey();
    if (next < 0) return NEED;
    this.takeKey();
    frame.type = type;
    frame.redisType = type.redisType;
    frame.opcode = undefined;
    frame.bytes = frame.headBytes = buf;
    frame.headStart = window.keep;
    frame.typeAt = window.pos;
    frame.start = frame.headEnd = window.pos = next;
    this.modifiersAt = -1;
    frame.first = true;
    frame.resumes = false;
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
    if (size !== undefined && this.window.base + end > size) {
      throw new RdbError('TRUNCATED', { expected: `bytes up to offset ${this.window.base + end}`, got: `an input of ${size} bytes` });
    }
  }

  /** Points the frame at the key's bytes: in the input if they are stored raw, else in our own buffer. */
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
    const status = walker.scan(this.window.bytes, this.window.end);
    this.window.pos = walker.pos;
    if (status === MORE) return NEED;
    walker.cutAt = this.limit;
    if (status === BIG && !frame.first && walker.pos === frame.start) return this.enterString();
    const last = status === DONE;
    if (last) this.state = BOUNDARY;
    return this.part(last && frame.first ? RECORD : ITEMS_PART, last);
  }

  /** A string over the limit begins at `walker.pos`. */
  private enterString(): number {
    const { frame, walker } = this;
    this.checkSize(walker.bigBody + walker.bigSize);
    this.window.pos = walker.bigBody;
    this.left = walker.bigSize;
    frame.lzf = walker.bigLzf;
    frame.stringLength = walker.bigLength;
    frame.stringFirst = true;
    this.state = STRING;
    return AGAIN;
  }

  /** The next piece of the large string, from the bytes pushed. */
  private piece(): number {
    const { frame, walker } = this;
    if (this.served) {
      this.nextPart();
      frame.stringFirst = false;
    }
    frame.bodyStart = this.window.pos;
    const size = Math.min(this.left, this.window.end - this.window.pos, frame.lzf ? LZF_PIECE : this.limit);
    if (size === 0) return NEED;
    this.window.pos += size;
    this.left -= size;
    frame.stringLast = this.left === 0;
    let last = false;
    if (frame.stringLast) {
      walker.pos = this.window.pos;
      walker.passBig();
      walker.cutAt = 0; // what directly follows is a part of its own, so that consumers finish the string first
      last = walker.finished && frame.opcode === undefined;
      this.state = last ? BOUNDARY : frame.opcode === undefined ? VALUE : OPCODE;
    }
    if (frame.opcode === undefined) return this.part(STRING_PART, last);
    this.window.keep = frame.start = this.window.pos;
    return AGAIN;
  }

  /** Completes the frame with the bytes from its start to `pos`. */
  private part(kind: number, last: boolean): number {
    const { frame } = this;
    frame.end = this.window.pos;
    frame.offset = this.window.base + frame.start;
    frame.last = last;
    if (!last) this.splits();
    this.served = true;
    return kind;
  }

  /** Determines what the current part says about the next one. */
  private splits(): void {
    const { frame, walker } = this;
    const inString = this.state === STRING;
    frame.itemsLeft = !inString && RESUMABLE.has(frame.type.form) ? walker.itemsLeft : 0;
    frame.splits = frame.itemsLeft > 0;
  }

  /** The last part was used: the next one begins after it, and the key has to outlive its bytes. */
  private nextPart(): void {
    const { frame } = this;
    this.served = false;
    if (frame.first) this.copyKey();
    frame.first = false;
    frame.resumes = frame.splits;
    frame.itemsAhead = frame.itemsLeft;
    frame.start = this.window.keep = this.window.pos;
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

  /** Modifiers are for one key only. */
  private endRecord(): void {
    const { frame } = this;
    this.served = false;
    frame.hasExpire = false;
    frame.metaBytes = undefined;
    frame.expireAt = frame.idle = frame.freq = -1;
  }

  /** The CRC-64 after EOF, 8 bytes, little-endian; 0 if the server did not compute one. */
  private footer(): number {
    this.window.keep = this.window.pos;
    if (this.version >= 5) {
      if (this.window.pos + 8 > this.window.end) return NEED;
      const lo = uint32(this.window.bytes, this.window.pos);
      const hi = uint32(this.window.bytes, this.window.pos + 4);
      if (this.crc !== undefined && (lo !== 0 || hi !== 0)) {
        if (this.crc.lo !== lo || this.crc.hi !== hi) {
          throw new RdbError('CHECKSUM', {
            expected: `${hexWord(hi)}${hexWord(lo)}, as the file says`,
            got: `${this.crc.toString()} from its bytes`,
          });
        }
        this.checksum = 'ok';
      }
      this.window.pos += 8;
    }
    this.window.keep = this.window.pos;
    this.state = ENDED;
    return END;
  }
}

function hexWord(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/** Opcodes about the following key. */
const MODIFIERS: ReadonlySet<Opcode> = new Set(['EXPIRETIME_MS', 'EXPIRETIME', 'IDLE', 'FREQ', 'KEY_META']);

/** Values that can be read from any item or node on. */
const RESUMABLE: ReadonlySet<Form> = new Set(['items', 'hash-metadata', 'quicklist', 'quicklist2', 'stream']);

/** What was expected when the input ends, by state. */
const EXPECTED: Readonly<Record<number, string>> = {
  [BOUNDARY]: 'the next record or the end of the file (EOF)',
  [OPCODE]: 'the rest of an opcode',
  [VALUE]: 'the rest of a value',
  [STRING]: 'the rest of a string',
  [FOOTER]: 'the checksum of 8 bytes',
};
