import { readFileSync } from 'node:fs';
import { Crc64 } from '../bytes/crc64.js';
import { digestOf } from '../bytes/digest.js';
import { parseDouble } from '../bytes/double.js';
import {
  type FramePrograms,
  type FrameRun,
  type Codec,
  type CopyOut,
  type CopyRun,
  type OwnRun,
  type PrefixPair,
  type RenameRun,
  type RecordForms,
  type RestoreOut,
  type RestoreRun,
  type RowFilter,
  type TallyColumns,
  RUN_ITEMS,
  RUN_PAIRS,
} from './codec.js';
import { countRows, type RowCounts } from './count-rows.js';
import { jsonTextSize, writeJsonText } from '../bytes/json.js';
import { lzfDecompress } from '../bytes/lzf.js';
import {
  ANY_KEY,
  FILTER_DBS,
  FILTER_MAX_SIZE,
  FILTER_MIN_SIZE,
  FILTER_NOT_PREFIXES,
  FILTER_NOW,
  FILTER_PREFIXES,
  FILTER_TTL,
  FILTER_TYPES,
  FILTER_WORDS,
  NEXT_ARENA,
  NEXT_DB,
  NEXT_EXPIRE,
  NEXT_EXPIRED,
  NEXT_FLAGS,
  NEXT_FREQ,
  NEXT_IDLE,
  NEXT_KEYS_READ,
  NEXT_POS,
  NO_PREFIX,
  SCRATCH_BYTES,
  STATE_WORDS,
} from './layout.js';
import { powersOfTen } from './powers.js';

/** What assembly/index.ts exports. Positions are addresses in `memory`. */
interface Exports {
  memoryStart(): number;
  crcInit(at: number): void;
  crcSet(hi: number, lo: number): void;
  crcHi(): number;
  crcLo(): number;
  crcUpdate(start: number, end: number): void;
  crcRunning(to: number): void;
  crcRan(): number;
  lzf(start: number, end: number, to: number, stop: number): number;
  text(start: number, end: number, at: number): number;
  powersTable(at: number): void;
  runScratch(at: number, size: number): void;
  runItems(read: number, pos: number, end: number, out: number, outEnd: number, first: number): number;
  runPairs(read: number, pos: number, end: number, out: number, outEnd: number, first: number): number;
  runScores(read: number, score: number, pos: number, end: number, out: number, outEnd: number, first: number): number;
  runWalked(): number;
  recordForms(at: number): void;
  records(table: number, row: number, rows: number, base: number, out: number, outEnd: number): number;
  recordsOut(): number;
  restores(
    table: number,
    row: number,
    rows: number,
    base: number,
    outs: number,
    routes: number,
    databases: number,
    largest: number,
    db: number,
    versions: number,
    options: number,
  ): number;
  restoresDb(): number;
  checkRows(structures: number, table: number, row: number, rows: number, base: number): number;
  copies(table: number, row: number, rows: number, base: number, largest: number, db: number, modifiers: number, out: number): number;
  copiesOut(): number;
  copiedKeys(): number;
  copiedExpiring(): number;
  digest(seed: number, start: number, end: number): number;
  measureRows(block: number, table: number, row: number, rows: number, base: number): number;
  digestRows(block: number, table: number, row: number, rows: number, base: number): number;
  foldRows(block: number, table: number, row: number, rows: number): number;
  scratchAt(at: number): void;
  slotsInit(): void;
  tallyInit(): void;
  tallyRows(
    state: number, table: number, row: number, rows: number, base: number, memory: number, elements: number, encoding: number,
  ): number;
  frames(
    types: number,
    table: number,
    row: number,
    rows: number,
    base: number,
    end: number,
    stop: number,
    offset: number,
    limit: number,
    now: number,
    meta: number,
    arenaEnd: number,
    state: number,
  ): number;
  ownRows(
    table: number,
    row: number,
    rows: number,
    base: number,
    toTable: number,
    toRow: number,
    toRows: number,
    slot: number,
    length: number,
    slotEnd: number,
    read: number,
    expired: number,
    now: number,
  ): number;
  filterRows(filter: number, table: number, row: number, rows: number, base: number): number;
  renameRows(pairs: number, table: number, row: number, rows: number, base: number, arena: number, arenaEnd: number): number;
  renamedTo(): number;
  countRows(table: number, row: number, rows: number, now: number): void;
  countedKeys(): number;
  countedExpired(): number;
  countedFiltered(): number;
  ownedTo(): number;
  ownedLength(): number;
  ownedExpired(): number;
  move(to: number, from: number, size: number): void;
}

/** Kernels may read and write this many bytes beyond the ranges they are given. */
const SLACK = 64;

const PAGE = 1 << 16;

/** No kernel address is above this one. */
const MAX_ADDRESS = 0xffffffff;

/** Most bytes that one pipeline needs. Untouched memory costs nothing. */
const PIPELINE_BYTES = 40 << 20;

/** A part of a memory, for kernels in another thread. */
export interface KernelShare {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Addresses. */
  readonly start: number;
  readonly end: number;
}

/** Types, bytes that are said of each, and room for a text of theirs. */
const FORMS = 512;
const FORM_SIZE = 28;
const FORM_TEXT = 32;

/** Size of the tables of the checksum: of 8 places of a byte, and of 22 powers of 2 (assembly/crc64.ts), 2 KiB each. */
const CRC_TABLE = (8 + 22) * 256 * 8;

/** Words of a row of the table of outputs of `restoreRecords`. */
const OUT_WORDS = 6;

/** Strings of a run are decompressed to a buffer of this size; longer ones take the long way. */
const RUN_SCRATCH = 1 << 20;

/**
 * The hot loops in WebAssembly, with a memory of their own: one instance serves one pipeline, and its memory goes with it.
 * Pages cost nothing before they are touched. Bytes from elsewhere are left to the TypeScript.
 */
export class Kernels implements Codec {
  private readonly run: Exports;
  private readonly buffer: SharedArrayBuffer;
  private free: number;
  private hasPowers = false;
  private forms: RecordForms | undefined;
  /** Where the programs of a table of types were put. */
  private readonly programs = new Map<FramePrograms, number>();
  /** Where filters were put; undefined where there was no room. */
  private readonly filters = new Map<RowFilter, number | undefined>();
  /** The same for pairs of prefixes. */
  private readonly pairs = new Map<readonly PrefixPair[], number | undefined>();
  recordsEnd = 0;
  restoredDb = 0;
  /** What `frames` is given and gives back. */
  private readonly state: Int32Array;
  private readonly stateDoubles: Float64Array;

  /** Of `restoreRecords`, for the kernel; and where the commands for each begin. */
  private outs: Int32Array = new Int32Array(0);
  private outClocks: Float64Array = new Float64Array(0);
  private readonly outStarts: number[] = [];

  /** The last two byte arrays asked for, and their addresses: asking an array for its buffer takes a slow call. */
  private bytesA: Uint8Array | undefined;
  private addressA = -1;
  private bytesB: Uint8Array | undefined;
  private addressB = -1;

  private constructor(
    private readonly module: WebAssembly.Module,
    private readonly memory: WebAssembly.Memory,
    start?: number,
    private readonly end = memory.buffer.byteLength,
  ) {
    const parse = (from = 0, to = 0): number => parseDouble(new Uint8Array(this.buffer), from, to) ?? NaN;
    const instance = new WebAssembly.Instance(module, { env: { memory, parseDouble: parse } });
    this.run = instance.exports as unknown as Exports;
    this.buffer = shared(memory.buffer);
    this.free = start ?? this.run.memoryStart();
    this.run.crcInit(this.allocate(CRC_TABLE).byteOffset);
    this.run.scratchAt(this.allocate(SCRATCH_BYTES).byteOffset);
    this.run.slotsInit();
    this.run.tallyInit();
    const { byteOffset: state } = this.allocate(STATE_WORDS * 4);
    this.state = new Int32Array(this.buffer, state, STATE_WORDS);
    this.stateDoubles = new Float64Array(this.buffer, state, STATE_WORDS / 2);
    this.run.runScratch(this.allocate(RUN_SCRATCH + SLACK).byteOffset, RUN_SCRATCH);
  }

  /** With `shareable` bytes more for others. Undefined where the kernels were not built or this machine cannot run them. */
  static create(shareable = 0): Kernels | undefined {
    const module = compiled();
    if (module === undefined) return undefined;
    const pages = Math.ceil((PIPELINE_BYTES + shareable) / PAGE);
    return new Kernels(module, new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  }

  /** Kernels in memory that others in another thread gave a share of. */
  static within({ end, memory, module, start }: KernelShare): Kernels {
    return new Kernels(module, memory, start, end);
  }

  /** Gives `size` bytes away for good; undefined if fewer are left. */
  share(size: number): KernelShare | undefined {
    const start = this.free;
    const end = start + ((size + 15) & ~15);
    if (end > this.end) return undefined;
    this.free = end;
    return { module: this.module, memory: this.memory, start, end };
  }

  allocate(size: number): Uint8Array {
    const start = this.free;
    const next = (start + size + 2 * SLACK + 15) & ~15;
    if (next > this.end) return new Uint8Array(size);
    this.free = next;
    return new Uint8Array(this.buffer, start, size);
  }

  /** The same bytes of the memory, as another thread knows them. */
  view(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(this.buffer, bytes.byteOffset, bytes.length);
  }

  /** Copies `src[start, end)`; from array to array the language's own way is slow in shared memory. */
  copy(src: Uint8Array, start: number, end: number, dst: Uint8Array, to: number): void {
    const from = this.address(src);
    const into = this.address(dst);
    if (from < 0 || into < 0 || end > src.length || to + end - start > dst.length) dst.set(src.subarray(start, end), to);
    else this.run.move(into + to, from + start, end - start);
  }

  /** Address of the first of these bytes, or -1 where they are not in this memory. */
  private address(bytes: Uint8Array): number {
    if (bytes === this.bytesA) return this.addressA;
    if (bytes === this.bytesB) return this.addressB;
    this.bytesB = this.bytesA;
    this.addressB = this.addressA;
    this.bytesA = bytes;
    this.addressA = bytes.buffer === this.buffer ? bytes.byteOffset : -1;
    return this.addressA;
  }

  crc64(): Crc64 {
    return new KernelCrc64(this.run, (bytes) => this.address(bytes));
  }

  /** As bytes/lzf.ts; may change up to `SLACK` bytes after the end in `dst`. */
  lzfDecompress(src: Uint8Array, start: number, end: number, dst: Uint8Array, to: number, length: number): number {
    const from = this.address(src);
    const into = this.address(dst);
    const done = from >= 0 && into >= 0 && this.run.lzf(from + start, from + end, into + to, into + to + length) !== 0;
    return done ? to + length : lzfDecompress(src, start, end, dst, to, length);
  }

  /** As bytes/json.ts. */
  writeJsonText(src: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
    const from = this.address(src);
    const into = this.address(out);
    if (from < 0 || into < 0 || at + jsonTextSize(end - start) + SLACK > out.length) return writeJsonText(src, start, end, out, at);
    return this.run.text(from + start, from + end, into + at) - into;
  }

  /** As bytes/digest.ts. */
  digest(seed: number, bytes: Uint8Array, start: number, end: number): number {
    const from = this.address(bytes);
    return from < 0 ? digestOf(seed, bytes, start, end) : this.run.digest(seed, from + start, from + end);
  }

  jsonRun(
    kind: number,
    reads: readonly number[],
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    at: number,
    first: boolean,
  ): number {
    const from = this.address(bytes);
    const into = this.address(out);
    if (from < 0 || into < 0) return -1;
    const read = reads[0];
    const [pos, stop, to, limit, alone] = [from + start, from + end, into + at, into + out.length, first ? 1 : 0];
    let o: number;
    if (kind === RUN_ITEMS) o = this.run.runItems(read, pos, stop, to, limit, alone);
    else if (kind === RUN_PAIRS) o = this.run.runPairs(read, pos, stop, to, limit, alone);
    else o = this.scores(read, reads[1], pos, stop, to, limit, alone);
    return o === 0 ? -1 : o - into;
  }

  private scores(read: number, score: number, pos: number, stop: number, to: number, limit: number, first: number): number {
    this.needPowers();
    return this.run.runScores(read, score, pos, stop, to, limit, first);
  }

  private needPowers(): void {
    if (!this.hasPowers) {
      const powers = powersOfTen();
      const at = this.allocate(powers.byteLength).byteOffset;
      new BigUint64Array(this.buffer, at, powers.length).set(powers);
      this.run.powersTable(at);
      this.hasPowers = true;
    }
  }

  /** `recordsEnd` is `at` where nothing was written. */
  jsonRecords(forms: RecordForms, table: Int32Array, row: number, rows: number, bytes: Uint8Array, out: Uint8Array, at: number): number {
    const from = this.address(bytes);
    const into = this.address(out);
    this.recordsEnd = at;
    if (from < 0 || into < 0 || table.buffer !== this.buffer) return row;
    this.needPowers();
    if (this.forms !== forms) this.useForms(forms);
    const done = this.run.records(table.byteOffset, row, rows, from, into + at, into + out.length);
    this.recordsEnd = this.run.recordsOut() - into;
    return done;
  }

  /** Layout: assembly/records.ts. */
  private useForms(forms: RecordForms): void {
    const bytes = this.allocate(FORMS * FORM_SIZE);
    const view = new DataView(this.buffer, bytes.byteOffset, bytes.length);
    for (const [number, { container, kind, reads, texts }] of forms) {
      const at = number * FORM_SIZE;
      bytes.set([container, kind, reads[0] ?? 0, reads[1] ?? 0], at);
      texts.forEach((text, i) => {
        const place = this.allocate(FORM_TEXT);
        place.set(text);
        view.setUint32(at + 4 + 8 * i, place.byteOffset, true);
        view.setUint32(at + 8 + 8 * i, text.length, true);
      });
    }
    this.run.recordForms(bytes.byteOffset);
    this.forms = forms;
  }

  restoreRecords(run: RestoreRun, row: number, rows: number, outs: readonly (RestoreOut | undefined)[]): number {
    const { bytes, databases, db, largest, now, options, routes, running, table, versions } = run;
    const from = this.address(bytes);
    const places = this.placeOuts(outs, now);
    if (
      from < 0 ||
      [table, places, routes, databases, largest, versions].some((array) => array !== undefined && array.buffer !== this.buffer)
    ) {
      return row;
    }
    if (running !== undefined) this.run.crcSet(running.crc.hi, running.crc.lo);
    this.run.crcRunning(running === undefined ? MAX_ADDRESS : from + running.at);
    const done = this.run.restores(
      table.byteOffset,
      row,
      rows,
      from,
      places.byteOffset,
      routes?.byteOffset ?? 0,
      databases?.byteOffset ?? 0,
      largest?.byteOffset ?? 0,
      db,
      versions.byteOffset,
      options,
    );
    this.restoredDb = this.run.restoresDb();
    if (running !== undefined) {
      running.at = (this.run.crcRan() >>> 0) - from;
      running.crc.hi = this.run.crcHi() >>> 0;
      running.crc.lo = this.run.crcLo() >>> 0;
    }
    outs.forEach((out, i) => {
      const at = OUT_WORDS * i;
      if (out === undefined || places[at + 2] === 0) return;
      out.length += places[at] - this.outStarts[i];
      out.keys += places[at + 2];
    });
    return done;
  }

  /** Layout: assembly/restores.ts. */
  private placeOuts(outs: readonly (RestoreOut | undefined)[], now: readonly number[]): Int32Array {
    if (this.outs.length < OUT_WORDS * outs.length) {
      const { buffer, byteOffset } = this.allocate(4 * OUT_WORDS * outs.length);
      this.outs = new Int32Array(buffer, byteOffset, OUT_WORDS * outs.length);
      this.outClocks = new Float64Array(buffer, byteOffset, (OUT_WORDS / 2) * outs.length);
    }
    const places = this.outs;
    outs.forEach((out, i) => {
      const into = out === undefined ? -1 : this.address(out.bytes);
      this.outStarts[i] = out === undefined || into < 0 ? 0 : into + out.length;
      const at = OUT_WORDS * i;
      places[at] = this.outStarts[i];
      places[at + 1] = out === undefined || into < 0 ? 0 : into + out.bytes.length;
      places[at + 2] = 0;
      this.outClocks[at / 2 + 2] = now[i % now.length];
    });
    return places;
  }

  copyRecords({ bytes, db, largest, modifiers, table }: CopyRun, row: number, rows: number, out: CopyOut): number {
    const base = this.address(bytes);
    const into = this.address(out.bytes);
    if (base < 0 || into < 0 || table.buffer !== this.buffer || largest.buffer !== this.buffer) return row;
    const done = this.run.copies(table.byteOffset, row, rows, base, largest.byteOffset, db, modifiers ? 1 : 0, into + out.length);
    out.length = this.run.copiesOut() - into;
    out.keys += this.run.copiedKeys();
    out.expiring += this.run.copiedExpiring();
    return done;
  }

  frameRows(run: FrameRun): void {
    const { arena, bytes, end, limit, meta, now, offset, programs, rows, stop, table } = run;
    const base = this.address(bytes);
    const into = arena.byteOffset;
    if (base < 0 || table.buffer !== this.buffer || arena.buffer !== this.buffer) return;
    const types = this.programs.get(programs) ?? this.placePrograms(programs);
    const { state, stateDoubles } = this;
    state[NEXT_FLAGS] = run.flags;
    state[NEXT_FREQ] = run.freq;
    state[NEXT_EXPIRE] = run.expireLo;
    state[NEXT_EXPIRE + 1] = run.expireHi;
    stateDoubles[NEXT_IDLE / 2] = run.idle;
    state[NEXT_DB] = run.db;
    state[NEXT_POS] = base + run.pos;
    state[NEXT_ARENA] = into + run.arenaLength;
    state[NEXT_KEYS_READ] = run.keysRead;
    state[NEXT_EXPIRED] = run.expired;
    run.row = this.run.frames(
      types,
      table.byteOffset,
      run.row,
      rows,
      base,
      base + end,
      base + stop,
      offset,
      limit,
      now,
      meta ? 1 : 0,
      into + arena.length,
      state.byteOffset,
    );
    run.flags = state[NEXT_FLAGS];
    run.freq = state[NEXT_FREQ];
    run.expireLo = state[NEXT_EXPIRE] >>> 0;
    run.expireHi = state[NEXT_EXPIRE + 1];
    run.idle = stateDoubles[NEXT_IDLE / 2];
    run.db = state[NEXT_DB];
    run.pos = (state[NEXT_POS] >>> 0) - base;
    run.arenaLength = (state[NEXT_ARENA] >>> 0) - into;
    run.keysRead = state[NEXT_KEYS_READ];
    run.expired = state[NEXT_EXPIRED];
  }

  ownRows(run: OwnRun, row: number, rows: number): number {
    const { expired, from, length, now, read, to, toRow, toRows } = run;
    const base = this.address(from.bytes);
    const into = this.address(to.bytes);
    if (base < 0 || into < 0 || from.table.buffer !== this.buffer || to.table.buffer !== this.buffer) return row;
    const done = this.run.ownRows(
      from.table.byteOffset, row, rows, base, to.table.byteOffset, toRow, toRows, into, length, into + to.bytes.length, read, expired, now,
    );
    run.toRow = this.run.ownedTo();
    run.length = this.run.ownedLength();
    run.expired = this.run.ownedExpired();
    return done;
  }

  filterRows(filter: RowFilter, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number {
    if (!this.filters.has(filter)) this.filters.set(filter, this.placeFilter(filter));
    const at = this.filters.get(filter);
    const base = this.address(bytes);
    if (at === undefined || base < 0 || table.buffer !== this.buffer) return row;
    return this.run.filterRows(at, table.byteOffset, row, rows, base);
  }

  /** Layout: layout.ts. Undefined where there is no room. */
  private placeFilter({ dbs, maxSize, minSize, notPrefixes, now, prefixes, ttl, types }: RowFilter): number | undefined {
    const words = new Int32Array(FILTER_WORDS);
    if (dbs !== undefined) words[FILTER_DBS] = this.placeWords([dbs.length, ...dbs]);
    if (types !== undefined) words[FILTER_TYPES] = this.place(Uint8Array.from(types, Number));
    if (prefixes !== undefined) words[FILTER_PREFIXES] = this.placePrefixes(prefixes);
    if (notPrefixes !== undefined) words[FILTER_NOT_PREFIXES] = this.placePrefixes(notPrefixes);
    words[FILTER_TTL] = ttl;
    const doubles = new Float64Array(words.buffer);
    doubles[FILTER_NOW / 2] = now;
    doubles[FILTER_MIN_SIZE / 2] = minSize;
    doubles[FILTER_MAX_SIZE / 2] = maxSize;
    const at = this.placeWords(words);
    return at < 0 || words.subarray(0, FILTER_TTL).includes(-1) ? undefined : at;
  }

  private placePrefixes(prefixes: readonly Uint8Array[]): number {
    const byFirst = new Int32Array(256).fill(NO_PREFIX);
    for (const first of new Set(prefixes.map((prefix) => prefix[0]))) {
      const those = prefixes.filter((prefix) => prefix[0] === first);
      if (those.some(({ length }) => length === 1)) byFirst[first] = ANY_KEY;
      else if (those.length > 0) byFirst[first] = this.placeList(those);
    }
    return byFirst.includes(-1) ? -1 : this.placeWords(byFirst);
  }

  private placeList(texts: readonly Uint8Array[]): number {
    const size = (text: Uint8Array): number => 4 + ((text.length + 3) & ~3);
    const bytes = new Uint8Array(texts.reduce((sum, text) => sum + size(text), 4));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, texts.length, true);
    let at = 4;
    for (const text of texts) {
      view.setUint32(at, text.length, true);
      bytes.set(text, at + 4);
      at += size(text);
    }
    return this.place(bytes);
  }

  renameRows(run: RenameRun, row: number, rows: number): number {
    const { arena, arenaLength, bytes, pairs, table } = run;
    if (!this.pairs.has(pairs)) this.pairs.set(pairs, this.placePairs(pairs));
    const at = this.pairs.get(pairs);
    const base = this.address(bytes);
    const into = arena.byteOffset;
    if (at === undefined || base < 0 || table.buffer !== this.buffer || arena.buffer !== this.buffer) return row;
    const done = this.run.renameRows(at, table.byteOffset, row, rows, base, into + arenaLength, into + arena.length);
    run.arenaLength = (this.run.renamedTo() >>> 0) - into;
    return done;
  }

  /** Layout: layout.ts. Undefined where there is no room. */
  private placePairs(pairs: readonly PrefixPair[]): number | undefined {
    const numbered = pairs.map((pair, number) => ({ number, ...pair }));
    const byFirst = Int32Array.from({ length: 256 }, (_, first) => {
      const those = numbered.filter(({ from }) => from.length === 0 || from[0] === first);
      if (those.length === 0) return 0;
      const words = those.flatMap(({ from, number, to }) => [number, from.length, ...padded(from), to.length, ...padded(to)]);
      return this.placeWords([those.length, ...words]);
    });
    const at = byFirst.includes(-1) ? -1 : this.placeWords(byFirst);
    return at < 0 ? undefined : at;
  }

  private placeWords(words: ArrayLike<number>): number {
    return this.place(new Uint8Array(Int32Array.from(words).buffer));
  }

  /** Puts bytes into memory for good, at a multiple of 16. Returns their address, or -1 where there is no room. */
  private place(bytes: Uint8Array): number {
    const place = this.allocate(bytes.length);
    place.set(bytes);
    return place.buffer === this.buffer ? place.byteOffset : -1;
  }

  countRows(table: Int32Array, row: number, rows: number, now: number): RowCounts {
    const { run } = this;
    if (table.buffer !== this.buffer) return countRows(table, row, rows, now);
    run.countRows(table.byteOffset, row, rows, now);
    return { keys: run.countedKeys(), expired: run.countedExpired(), filtered: run.countedFiltered() };
  }

  checkRows(structures: Uint8Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number {
    const base = this.address(bytes);
    if (base < 0 || table.buffer !== this.buffer || structures.buffer !== this.buffer) return row;
    return this.run.checkRows(structures.byteOffset, table.byteOffset, row, rows, base);
  }

  tallyRows(state: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array, columns: TallyColumns): number {
    const base = this.address(bytes);
    const { elements, encoding, memory } = columns;
    if (base < 0 || [state, table, elements, encoding, memory].some(({ buffer }) => buffer !== this.buffer)) return row;
    return this.run.tallyRows(
      state.byteOffset, table.byteOffset, row, rows, base, memory.byteOffset, elements.byteOffset, encoding.byteOffset,
    );
  }

  measureRows(block: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number {
    const base = this.address(bytes);
    if (base < 0 || table.buffer !== this.buffer || block.buffer !== this.buffer) return row;
    return this.run.measureRows(block.byteOffset, table.byteOffset, row, rows, base);
  }

  digestRows(block: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number {
    const base = this.address(bytes);
    if (base < 0 || table.buffer !== this.buffer || block.buffer !== this.buffer) return row;
    this.needPowers();
    return this.run.digestRows(block.byteOffset, table.byteOffset, row, rows, base);
  }

  foldRows(block: Int32Array, table: Int32Array, row: number, rows: number): number {
    if (table.buffer !== this.buffer || block.buffer !== this.buffer) return row;
    return this.run.foldRows(block.byteOffset, table.byteOffset, row, rows);
  }

  distance(from: Uint8Array, to: Uint8Array): number {
    return from.buffer === this.buffer && to.buffer === this.buffer ? to.byteOffset - from.byteOffset : 0;
  }

  /** Layout: assembly/frames.ts. */
  private placePrograms(programs: FramePrograms): number {
    const types = this.allocate(256 * 8).byteOffset;
    const view = new DataView(this.buffer);
    for (const opcode of programs.opcodes) view.setUint32(types + 8 * opcode + 4, opcode, true);
    programs.entries.forEach((entry, byte) => {
      if (entry === undefined) return;
      const { number, program } = entry;
      const { byteOffset: at } = this.allocate(4 * (1 + program.length));
      [program.length, ...program].forEach((word, i) => view.setUint32(at + 4 * i, word, true));
      view.setUint32(types + 8 * byte, at, true);
      view.setUint32(types + 8 * byte + 4, number, true);
    });
    this.programs.set(programs, types);
    return types;
  }

  get walked(): number {
    return this.run.runWalked();
  }
}

/** Bytes as words, filled up with zeros. */
function padded(bytes: Uint8Array): Int32Array {
  const words = new Int32Array((bytes.length + 3) >> 2);
  new Uint8Array(words.buffer).set(bytes);
  return words;
}

class KernelCrc64 extends Crc64 {
  constructor(
    private readonly run: Exports,
    private readonly address: (bytes: Uint8Array) => number,
  ) {
    super();
  }

  override update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    const { run } = this;
    const from = this.address(bytes);
    if (from < 0) return super.update(bytes, start, end);
    run.crcSet(this.hi, this.lo);
    run.crcUpdate(from + start, from + end);
    this.hi = run.crcHi() >>> 0;
    this.lo = run.crcLo() >>> 0;
    return this;
  }
}

let cache: WebAssembly.Module | null | undefined;

function compiled(): WebAssembly.Module | undefined {
  if (cache === undefined) {
    try {
      cache = new WebAssembly.Module(readFileSync(new URL('./kernels.wasm', import.meta.url)));
    } catch {
      cache = null;
    }
  }
  return cache ?? undefined;
}

/** The buffer of a memory that threads share: what its type is depends on the library that the compiler takes for it. */
function shared(buffer: ArrayBufferLike): SharedArrayBuffer {
  if (buffer instanceof SharedArrayBuffer) return buffer;
  throw new TypeError('the memory of the kernels is not shared');
}
