import type { RdbError } from '../bytes/errors.js';
import type { Codec, PrefixPair } from '../kernels/codec.js';
import type { RowCounts } from '../kernels/count-rows.js';
import { EMPTY } from '../encodings/element.js';
import {
  DROPPED, END, FLAGS, HAS_CLOCK, HAS_META, KEY_APART, KEY_END, KEY_HELD, KEY_RENAMED, KEY_START, KEYS_READ, KIND, META, OFFSET, RECORD,
  RENAMED_BY, ROW_WORDS, START, TYPE,
} from '../kernels/layout.js';
import { Frame, shownKey } from './frame.js';
import { FrameTable } from './frame-table.js';
import { isKeyClock } from './opcodes.js';
import { type OpcodeRow, TABLES } from './types.js';
import { LENGTH_SIZE, writeLength } from './write.js';

/**
 * Rows of a batch, and bytes of its records. A quarter of the bytes fits the cache better, but costs four times the calls:
 * bench/data.mjs mixed to RESP took 10 % more processor time.
 */
export const BATCH_ROWS = 1 << 12;
export const BATCH_BYTES = 1 << 20;

/** Upper bound for the payloads in a batch: whole values are smaller. */
export const LARGEST_PAYLOAD = 2 << 20;

/** Room for keys stored as integers or compressed, and for new names of keys. */
const ARENA_BYTES = 1 << 20;

/**
 * Whole records and opcodes in file order, one row each (kernels/layout.ts): the framer fills it, passes mark or edit rows, sinks
 * take them. Positions in rows are in `bytes`, which is the framer's window, or in the arena. Everything is borrowed from the
 * framer until it is filled again.
 */
export class Batch {
  readonly table: FrameTable;
  /** Rows filled. */
  rows = 0;
  /** The rows for a sink: [from, to). */
  from = 0;
  to = 0;
  /** The row that a sink is working on, for errors. */
  row = 0;
  /** Unix milliseconds that decide which keys have expired. */
  now = 0;
  bytes: Uint8Array = EMPTY;
  /** Records in the rows, and those of them expired by the expiry in the file. */
  keysRead = 0;
  expired = 0;
  /** Whether no row was dropped or edited. */
  private intact = true;
  arena: Uint8Array;
  arenaLength = 0;
  /** Hash templates defined so far. */
  templates: Frame['templates'] = new Map();
  private opcodes: readonly (OpcodeRow | undefined)[] = TABLES.redis.opcodes;
  /** Added to arena positions of keys in rows, so that kernels find them relative to `bytes`. */
  private arenaTo = 0;
  private readonly keys = new Map<number, Uint8Array>();
  /** Key of a row, reused. */
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  private readonly keyMeta = new Map<number, Uint8Array>();

  constructor(
    readonly codec: Codec,
    private readonly maxRows = BATCH_ROWS,
    readonly maxBytes = BATCH_BYTES,
    /** Where the rows are, if they are not its own. */
    table?: FrameTable,
  ) {
    this.table = table ?? FrameTable.allocate(codec, maxRows);
    this.arena = codec.allocate(ARENA_BYTES);
  }

  get full(): boolean {
    return this.rows >= this.maxRows;
  }

  /** Must be called when a pass has dropped or edited rows. */
  touch(): void {
    this.intact = false;
  }

  /** Empties it for rows in these bytes. */
  clear(bytes: Uint8Array, templates: Frame['templates']): void {
    this.rows = this.from = this.to = this.row = this.keysRead = this.expired = this.arenaLength = 0;
    this.intact = true;
    this.bytes = bytes;
    this.arenaTo = this.codec.distance(bytes, this.arena);
    this.templates = templates;
    this.keys.clear();
    this.keyMeta.clear();
  }

  /** Sets the opcodes of the file's vendor. */
  use(opcodes: readonly (OpcodeRow | undefined)[]): void {
    this.opcodes = opcodes;
  }

  /** Adds a row for a frame, RECORD or META, whose value or operands are in `bytes`. */
  add(kind: number, frame: Frame): void {
    const { table } = this;
    const row = this.rows++;
    table.write(row, kind, frame);
    if (kind === RECORD) {
      this.keysRead++;
      if (frame.hasExpire && frame.expireAt <= this.now) this.expired++;
      this.placeKey(row, frame);
      if (frame.metaBytes !== undefined) this.keyMeta.set(row, frame.metaBytes);
    } else if (isKeyClock(frame)) {
      table.setWord(row, FLAGS, table.word(row, FLAGS) | HAS_CLOCK);
    }
    table.setWord(row, KEYS_READ, this.keysRead);
  }

  private placeKey(row: number, { bytes, keyBytes, keyEnd, keyStart }: Frame): void {
    const { arena, table } = this;
    const size = keyEnd - keyStart;
    let at = keyStart;
    if (keyBytes !== bytes && size <= arena.length - this.arenaLength) {
      this.codec.copy(keyBytes, keyStart, keyEnd, arena, this.arenaLength);
      at = this.arenaLength + this.arenaTo;
      this.arenaLength += size;
      this.mark(row, KEY_APART);
    } else if (keyBytes !== bytes) {
      this.keys.set(row, keyBytes.slice(keyStart, keyEnd));
      at = 0;
      this.mark(row, KEY_HELD);
    }
    table.setWord(row, KEY_START, at);
    table.setWord(row, KEY_END, at + size);
  }

  /** Renames keys through a kernel, from `row` on. Returns the first row that it left to the caller. */
  renameRows(pairs: readonly PrefixPair[], row: number): number {
    const { arena, arenaLength, bytes, table } = this;
    const run = { pairs, table: table.words, bytes, arena, arenaLength };
    const next = this.codec.renameRows(run, row, this.rows);
    this.arenaLength = run.arenaLength;
    return next;
  }

  /** Gives the key of a row, which begins with `from`, its new name. `number`: that of the pair. */
  rename(row: number, { from, to }: PrefixPair, number: number): void {
    const { arena, key, table } = this;
    this.readKey(row, key);
    const rest = key.keyStart + from.length;
    const size = to.length + key.keyEnd - rest;
    const fits = size <= arena.length - this.arenaLength;
    const [into, at] = fits ? [arena, this.arenaLength] : [new Uint8Array(size), 0];
    into.set(to, at);
    this.codec.copy(key.keyBytes, rest, key.keyEnd, into, at + to.length);
    if (fits) this.arenaLength += size;
    else this.keys.set(row, into);
    const start = fits ? at + this.arenaTo : 0;
    table.setWord(row, FLAGS, (table.word(row, FLAGS) & ~(KEY_APART | KEY_HELD)) | KEY_RENAMED | (fits ? KEY_APART : KEY_HELD));
    table.setWord(row, RENAMED_BY, number);
    table.setWord(row, KEY_START, start);
    table.setWord(row, KEY_END, start + size);
    this.intact = false;
  }

  /** Reads a row into a frame; everything it refers to is borrowed like the batch. */
  read(row: number, frame: Frame): void {
    const { table } = this;
    table.read(row, frame, this.bytes);
    frame.templates = this.templates;
    if (table.word(row, KIND) === META) {
      frame.opcode = this.opcodes[table.word(row, TYPE)];
      return;
    }
    const flags = table.word(row, FLAGS);
    frame.metaBytes = (flags & HAS_META) === 0 ? undefined : this.keyMeta.get(row);
    if ((flags & (KEY_APART | KEY_HELD)) !== 0) this.readKey(row, frame);
    if ((flags & KEY_RENAMED) !== 0) writeHead(frame);
  }

  /** Points `keyBytes`, `keyStart` and `keyEnd` at the key of a record. */
  readKey(row: number, key: { keyBytes: Uint8Array; keyStart: number; keyEnd: number }): void {
    const { words } = this.table;
    const at = row * ROW_WORDS;
    const flags = words[at + FLAGS];
    let by = 0;
    key.keyBytes = this.bytes;
    if ((flags & KEY_APART) !== 0) {
      key.keyBytes = this.arena;
      by = this.arenaTo;
    } else if ((flags & KEY_HELD) !== 0) {
      key.keyBytes = this.keys.get(row) ?? EMPTY;
    }
    key.keyStart = (words[at + KEY_START] - by) | 0;
    key.keyEnd = (words[at + KEY_END] - by) | 0;
  }

  mark(row: number, flag: number): void {
    this.intact = false;
    this.table.words[row * ROW_WORDS + FLAGS] |= flag;
  }

  /** Counts the records in rows [from, to). */
  count(from: number, to: number): RowCounts {
    if (this.intact && from === 0 && to === this.rows) return { keys: this.keysRead, expired: this.expired, filtered: 0 };
    return this.codec.countRows(this.table.words, from, to, this.now);
  }

  /** Keys in rows before `row`. */
  readBefore(row: number): number {
    return row === 0 ? 0 : this.table.word(row - 1, KEYS_READ);
  }

  /** The row after the `count`-th record from `from` on that was not dropped; `to` if there are fewer. */
  after(count: number, from: number, to: number): number {
    const { words } = this.table;
    let left = count;
    let row = from;
    for (; row < to && left > 0; row++) {
      const at = row * ROW_WORDS;
      if (words[at + KIND] === RECORD && (words[at + FLAGS] & DROPPED) === 0) left--;
    }
    return row;
  }

  /** Adds the place of the current row to an error in reading it. */
  failed(error: RdbError): RdbError {
    const frame = new Frame();
    this.read(this.row, frame);
    if (error.offset === undefined) error.within = undefined; // `within` counts from the beginning of our own buffer
    return error.at({ offset: this.endOffset(this.row), ...(frame.opcode === undefined ? { db: frame.db, key: shownKey(frame) } : {}) });
  }

  /** Bytes of the file that rows [from, to) cover. */
  get byteSize(): number {
    return this.from === this.to ? 0 : this.endOffset(this.to - 1) - this.table.double(this.from, OFFSET);
  }

  /** The offset in the file where a row ends. */
  endOffset(row: number): number {
    const { table } = this;
    return table.double(row, OFFSET) + table.word(row, END) - table.word(row, START);
  }
}

/** Gives a record the head that its key makes: type byte and key, without modifiers, in new memory, which has the key, too. */
function writeHead(frame: Frame): void {
  const { keyBytes, keyEnd, keyStart, type } = frame;
  const size = keyEnd - keyStart;
  const head = new Uint8Array(1 + LENGTH_SIZE + size);
  head[0] = type.id;
  const at = writeLength(head, 1, size);
  head.set(keyBytes.subarray(keyStart, keyEnd), at);
  frame.headBytes = frame.keyBytes = head;
  frame.headStart = frame.typeAt = 0;
  frame.keyStart = at;
  frame.headEnd = frame.keyEnd = at + size;
}
