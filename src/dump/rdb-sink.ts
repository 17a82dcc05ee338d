import { keySlot, SLOTS } from '../bytes/crc16.js';
import { EMPTY } from '../encodings/element.js';
import { TS_CODEC } from '../kernels/codec.js';
import {
  DB, DROPPED, END, FLAGS, FREQ, GROWN, HAS_EXPIRE, HAS_META, HEAD_EDITED, HEAD_START, IDLE, KEY_RENAMED, KIND, RECORD, ROW_WORDS,
  START, TYPE, TYPE_AT,
} from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import type { Frame } from '../rdb/frame.js';
import { type Length, readLength } from '../rdb/length.js';
import { VALKEY_VERSION } from '../rdb/payload.js';
import { TABLES, type TypeRow } from '../rdb/types.js';
import { AUX_SINCE, fitsModifiers, IDLE_SINCE, LENGTH_SIZE, modifiersOf } from '../rdb/write.js';
import { isFileOnly } from '../values/targets.js';
import type { LargeValue } from '../io/large-value.js';
import type { FileEnd } from '../pipeline/sink.js';
import { DumpSink, type DumpSinkOptions } from './dump-sink.js';
import { PlainTypes } from './plain-types.js';
import type { RdbFile, RdbFormat } from './rdb-file.js';
import { auxName, frameLibraryName, functionCode, libraryName } from '../values/meta.js';
import { isShifted } from '../values/types/hashes.js';

export interface RdbSinkOptions extends DumpSinkOptions {
  /** Default: that of the first source. */
  readonly format?: RdbFormat | undefined;
  /** All keys are written, so the counts of the source are right. */
  readonly complete?: boolean | undefined;
  /** All records that are no keys are copied as they are, too: the file has the bytes of the source. */
  readonly verbatim?: boolean | undefined;
}

/** Which of the ranges a slot is in. */
const rangeOf = (slot: number, count: number): number => Math.floor(((slot + 0.5) * count) / SLOTS);

/** AUX fields that name the server of the source: readers tell the type numbering by them. */
const SERVERS: ReadonlySet<string> = new Set(['redis-ver', 'valkey-ver']);

/** Module data outside keys came with this version. */
const MODULE_AUX_SINCE = 9;

/** Up to this version, the formats of Redis and Valkey are the same. */
const COMMON_VERSION = 11;

/** Functions came with this version. */
const FUNCTION_SINCE = 10;

const fileOf = ({ vendor, version }: RdbFormat): string =>
  `a ${vendor === 'valkey' && version >= VALKEY_VERSION ? 'Valkey' : 'Redis'} file of version ${version}`;
const HELP = '; --target-version writes it for a server of your choice';

/** Why a value cannot be copied into a file of this format: its type number means something else there, or nothing. */
function typeMisfit(type: TypeRow, format: RdbFormat, typesUpTo = format.version): string | undefined {
  if (TABLES[format.vendor].types[type.id] === type && type.since <= typesUpTo) return undefined;
  return `its encoding ${type.name} means nothing or something else in ${fileOf(format)}, which the sources become${HELP}`;
}

function misfit({ metaBytes, type }: Frame, format: RdbFormat, typesUpTo?: number): string | undefined {
  const reason = typeMisfit(type, format, typesUpTo);
  if (reason === undefined && metaBytes !== undefined && format.vendor === 'valkey') {
    return `it has module metadata, which ${fileOf(format)} cannot have${HELP}`;
  }
  return reason;
}

/** KEY_META is copied with its key; SLOT_INFO and SLOT_IMPORT do not matter in a file for loading. */
const OPCODES: ReadonlySet<number> = new Set([251, 250, 247, 246, 245, 242]);
const ALL_OPCODES: ReadonlySet<number> = new Set([...OPCODES, 244, 243]);

const length: Length = { value: 0, hi: 0, lo: 0 };

/**
 * Keys as RDB files: one file, or one for each range of cluster slots. Unchanged records that are adjacent in the source are copied
 * in one piece.
 */
export class RdbSink extends DumpSink {
  private readonly split: boolean;
  protected override readonly leavesFile: boolean;
  protected override readonly keepsKeyAux: boolean;
  protected override readonly opcodes: ReadonlySet<number>;
  /** The file of the last key. */
  private keyFile: RdbFile;
  private begun = false;
  private plain: PlainTypes | undefined;
  /** A run of records for `runFile`: `runBytes[start, end)`. */
  private runBytes: Uint8Array = EMPTY;
  private runStart = 0;
  private runEnd = 0;
  private runFile: RdbFile;

  /** A file ends within a key that could not be taken back: nothing can follow. */
  stopped = false;

  private sources = 0;
  private keysTaken = false;
  private readonly counted = new Map<number, { keys: number; expires: number }>();
  /** Code of libraries by name; scripts and module data already copied, by their bytes. */
  private readonly codes = new Map<string, Uint8Array>();
  private readonly copied = new Set<string>();

  constructor(
    private readonly files: readonly RdbFile[],
    protected override readonly options: RdbSinkOptions,
  ) {
    super(options);
    this.split = files.length > 1;
    this.opcodes = options.verbatim === true ? ALL_OPCODES : OPCODES;
    this.leavesFile = options.format !== undefined;
    this.keepsKeyAux = options.target === undefined;
    this.runFile = this.keyFile = files[0];
  }

  override fileBegin(file: Parameters<DumpSink['fileBegin']>[0]): void {
    super.fileBegin(file);
    this.sources++;
  }

  private get format(): RdbFormat {
    if (!this.begun) this.begin();
    return this.files[0].format as RdbFormat;
  }

  /** Writes the headers. */
  private begin(): void {
    this.begun = true;
    const { vendor, version } = this.options.format ?? this.file;
    for (const file of this.files) file.begin({ vendor, version }, this.options.verbatim !== true);
  }

  /** The file that the key belongs to. */
  private fileOf({ keyBytes, keyEnd, keyStart }: Pick<Frame, 'keyBytes' | 'keyEnd' | 'keyStart'>): RdbFile {
    const { files } = this;
    if (!this.split) return files[0];
    return files[rangeOf(keySlot(keyBytes, keyStart, keyEnd), files.length)];
  }

  /** Why a key cannot be written as it is. */
  private misfitOf(frame: Frame): string | undefined {
    const { format, target } = this.options;
    if (target !== undefined) return undefined;
    return format === undefined ? misfit(frame, this.file, this.file.typesUpTo) : misfit(frame, format);
  }

  protected take(frame: Frame): void {
    if (!this.begun) this.begin();
    const reason = this.misfitOf(frame);
    if (reason !== undefined) {
      this.refuse(frame, reason);
      return;
    }
    this.keysTaken = true;
    this.beginKey(frame);
    const file = this.keyFile;
    if (this.fitsAsItIs(frame) && frame.headBytes === frame.bytes) {
      if (file !== this.runFile || frame.headStart !== this.runEnd || frame.bytes !== this.runBytes || !file.selected(frame.db)) {
        this.endRun();
        file.select(frame.db, this.counted.get(frame.db));
        this.runFile = file;
        this.runBytes = frame.bytes;
        this.runStart = frame.headStart;
      }
      this.runEnd = frame.end;
    } else {
      this.endRun();
      file.select(frame.db, this.counted.get(frame.db));
      this.head(file, frame);
      file.bytes(frame.bytes, frame.start, frame.end);
    }
    file.count(1, frame.hasExpire ? 1 : 0);
  }

  /** Copies unchanged records, in one piece if they are adjacent. */
  protected override run(batch: Batch, first: number): number {
    if (!this.begun) this.begin();
    this.plain ??= this.plainTypes();
    const { key, plain, split } = this;
    const { bytes, table, to } = batch;
    const { words } = table;
    const hasModifiers = this.format.version >= IDLE_SINCE;
    let row = first;
    for (; row < to; row++) {
      row = this.copyRecords(batch, row, plain, hasModifiers);
      if (row === to) break;
      const at = row * ROW_WORDS;
      const flags = words[at + FLAGS];
      if ((flags & DROPPED) !== 0) continue;
      if (words[at + KIND] !== RECORD || !(words[at + GROWN] <= plain.largest[words[at + TYPE]] || plain.has(batch, row))) break;
      const bare = words[at + FREQ] < 0 && table.double(row, IDLE) < 0;
      const expires = (flags & HAS_EXPIRE) !== 0;
      let start = words[at + HEAD_START];
      if ((flags & (HAS_META | KEY_RENAMED)) !== 0) break;
      if ((flags & HEAD_EDITED) !== 0 && !expires && bare) start = words[at + TYPE_AT];
      else if ((flags & HEAD_EDITED) !== 0 || (!bare && !hasModifiers)) break;
      else if (start === words[at + TYPE_AT] && (expires || !bare)) break;
      const db = words[at + DB];
      if (split) batch.readKey(row, key);
      const file = this.fileOf(key);
      if (
        file !== this.runFile ||
        bytes !== this.runBytes ||
        !(file.selected(db) ? start === this.runEnd : file.selectedBy(db, bytes, this.runEnd, start))
      ) {
        this.endRun();
        file.select(db, this.counted.get(db));
        this.runFile = file;
        this.runBytes = bytes;
        this.runStart = start;
      }
      this.runEnd = words[at + END];
      file.count(1, expires ? 1 : 0);
      this.keysTaken = true;
    }
    return row;
  }

  /** Copies records of the selected database through a kernel, from `first` on. Returns the first row that was not copied. */
  private copyRecords(batch: Batch, first: number, { largest }: PlainTypes, modifiers: boolean): number {
    const { codec, files, runEnd, runStart, split } = this;
    const { bytes, table, to } = batch;
    const { words } = table;
    let row = first;
    while (row < to && table.has(row, DROPPED)) row++;
    const at = row * ROW_WORDS;
    const [file] = files;
    const db = words[at + DB];
    if (split || codec === TS_CODEC || row === to || words[at + KIND] !== RECORD || !file.selected(db)) return row;
    const pending = runEnd - runStart;
    const { output } = file;
    const names = batch.arenaLength === 0 ? 0 : batch.arenaLength + LENGTH_SIZE * (to - row);
    output.room(pending + words[(to - 1) * ROW_WORDS + END] - words[at + HEAD_START] + names);
    const out = { bytes: output.bytes, length: output.length + pending, keys: 0, expiring: 0 };
    const next = codec.copyRecords({ table: words, bytes, largest, db, modifiers }, row, to, out);
    if (out.keys === 0) return next;
    this.endRun(); // before what was copied
    output.length = out.length;
    file.count(out.keys, out.expiring);
    this.keysTaken = true;
    return next;
  }

  /** A clock that directly precedes its key becomes part of its head. */
  protected override clockBefore({ table }: Batch, clock: number, row: number): void {
    const { words } = table;
    const [from, at] = [clock * ROW_WORDS, row * ROW_WORDS];
    const whole =
      (words[at + FLAGS] & (DROPPED | HEAD_EDITED | KEY_RENAMED)) === 0 &&
      words[at + KIND] === RECORD &&
      words[at + HEAD_START] === words[from + END];
    const bare = (words[at + FLAGS] & HAS_EXPIRE) === 0 && words[at + FREQ] < 0 && table.double(row, IDLE) < 0;
    if (!whole || (words[at + HEAD_START] === words[at + TYPE_AT] && !bare) || this.format.version < IDLE_SINCE) return;
    words[at + HEAD_START] = words[from + START] - 1;
    words[from + FLAGS] |= DROPPED;
  }

  private plainTypes(): PlainTypes {
    const { fieldShift, format, target } = this.options;
    const misfits = (type: TypeRow): string | undefined =>
      format === undefined ? typeMisfit(type, this.file, this.file.typesUpTo) : typeMisfit(type, format);
    return new PlainTypes(
      this.codec,
      target,
      (type) =>
        (target !== undefined || misfits(type) === undefined) && !(this.leavesFile && isFileOnly(type)) && !isShifted(type, fieldShift),
    );
  }

  override batch(batch: Batch): void {
    super.batch(batch);
    this.endRun();
  }

  private beginKey(frame: Frame): void {
    const file = this.fileOf(frame);
    this.keyFile = file;
    if (this.clock === undefined || !this.keepsKeyAux) return;
    this.endRun();
    file.select(frame.db, this.counted.get(frame.db));
    file.bytes(this.clock);
  }

  /** Whether everything before the value can be copied as it is in the source. */
  private fitsAsItIs(frame: Frame): boolean {
    if (frame.headStart === frame.typeAt) return !frame.hasExpire && frame.idle < 0 && frame.freq < 0 && frame.metaBytes === undefined;
    return !this.edited && fitsModifiers(frame, this.format.version);
  }

  private head(file: RdbFile, frame: Frame): void {
    if (this.fitsAsItIs(frame)) {
      file.bytes(frame.headBytes, frame.headStart, frame.headEnd);
      return;
    }
    file.bytes(modifiersOf(frame, this.format.version));
    file.bytes(frame.headBytes, frame.typeAt, frame.headEnd);
  }

  protected async takeLarge(value: LargeValue): Promise<void> {
    if (!this.begun) this.begin();
    const { head } = value;
    const reason = this.misfitOf(head);
    if (reason !== undefined) {
      await this.refuseLarge(value, reason);
      return;
    }
    this.keysTaken = true;
    this.beginKey(head);
    this.endRun();
    const file = this.keyFile;
    const { output } = file;
    file.select(head.db, this.counted.get(head.db));
    const { flushed, length: at } = output;
    try {
      this.head(file, head);
      for await (const piece of value.pieces()) {
        file.bytes(piece);
        await this.flush();
      }
    } catch (error) {
      if (output.flushed === flushed) output.length = at;
      else this.stopped = true;
      throw error;
    }
    file.count(1, head.hasExpire ? 1 : 0);
  }

  private endRun(): void {
    const { runBytes, runEnd, runStart } = this;
    if (runEnd > runStart) this.runFile.bytes(runBytes, runStart, runEnd);
    this.runStart = this.runEnd = -1;
  }

  meta(frame: Frame): void {
    switch (frame.opcode?.name) {
      case 'AUX':
        this.aux(frame);
        return;
      case 'RESIZEDB':
        if (this.options.verbatim === true) this.resizeAsItIs(frame);
        else if (this.options.complete === true) this.resize(frame);
        return;
      case 'FUNCTION2':
        this.library(frame);
        return;
      case 'MODULE_AUX':
        if (this.format.version < MODULE_AUX_SINCE) {
          this.tell(`data of a module that belongs to no key, which RDB version ${this.format.version} has no place for`);
        } else this.copyOnce(frame);
        return;
      case 'HASH_TEMPLATE': // for a target, and in files merged from several, hashes carry their field names themselves
        if (this.options.format === undefined) this.copyOnce(frame);
        return;
      case 'FUNCTION_PRE_GA':
        if (!this.leavesLibraryOut(frame)) {
          this.refuseLibrary(frameLibraryName(frame), 'which is of a release candidate of Redis 7.0: no server loads it');
        }
        return;
      default: // slot sizes, and slots being migrated: a file for loading needs neither
        if (this.options.verbatim === true) this.copy(frame);
    }
  }

  protected override afterKey(frame: Frame): void {
    this.endRun();
    this.keyFile.bytes(frame.bytes, frame.start - 1, frame.end);
  }

  /** Copies the server fields of the first file, and scripts of all files. */
  private aux(frame: Frame): void {
    if (this.keyAux(frame)) return;
    if (this.options.verbatim === true) {
      this.copy(frame);
      return;
    }
    const name = auxName(frame);
    if (name === undefined || this.format.version < AUX_SINCE) return;
    const { format, target } = this.options;
    if (SERVERS.has(name) && (target !== undefined || (format !== undefined && format.version > COMMON_VERSION))) return;
    if (name === 'lua') this.copyOnce(frame);
    else if (this.sources === 1 && !this.keysTaken) this.copy(frame);
  }

  /** RESIZEDB with the SELECTDB before it. */
  private resizeAsItIs(frame: Frame): void {
    if (!this.begun) this.begin();
    this.endRun();
    this.files[0].select(frame.db);
    this.copy(frame);
  }

  private resize({ bytes, db, end, start }: Frame): void {
    const next = readLength(bytes, start, end, length);
    const keys = length.value;
    readLength(bytes, next, end, length);
    const to = this.options.dbMap?.get(db) ?? db;
    this.counted.set(to, { keys, expires: this.options.stripTtl === true ? 0 : length.value });
  }

  /** Copies a function library, unless its name was there before. */
  private library(frame: Frame): void {
    if (this.leavesLibraryOut(frame)) return;
    const code = functionCode(frame);
    const name = libraryName(code);
    if (this.format.version < FUNCTION_SINCE) {
      this.refuseLibrary(name, `which RDB version ${this.format.version} has no place for`);
      return;
    }
    const before = this.codes.get(name);
    if (before === undefined) {
      this.codes.set(name, code);
      this.copy(frame);
      this.noteLibrary(name, 'written');
    } else if (Buffer.compare(before, code) === 0) {
      this.noteLibrary(name, 'same');
    } else if (this.options.duplicates === 'drop') {
      this.noteLibrary(name, 'kept');
    } else {
      this.refuseLibrary(name, 'which was there before, with other code');
    }
  }

  private copyOnce(frame: Frame): void {
    const id = Buffer.from(frame.bytes.subarray(frame.start - 1, frame.end)).toString('latin1');
    if (this.copied.has(id)) return;
    this.copied.add(id);
    this.copy(frame);
  }

  /** Copies opcode and operands to all files. */
  private copy(frame: Frame): void {
    if (!this.begun) this.begin();
    this.endRun();
    for (const file of this.files) file.bytes(frame.bytes, frame.start - 1, frame.end);
  }

  fileEnd({ checksum }: FileEnd): void {
    this.endRun();
    if (this.options.verbatim === true && checksum === 'none') this.files[0].leaveUnchecked();
  }

  override finish(): Promise<void> {
    this.endRun();
    return Promise.resolve();
  }

  get full(): boolean {
    const { files } = this;
    if (!this.split) return files[0].output.full;
    return files.some(({ output }) => output.full);
  }

  get written(): number {
    return this.files.reduce((sum, { output }) => sum + output.flushed, 0);
  }

  async flush(): Promise<void> {
    for (const file of this.files) await file.flushIfFull();
  }

  rollback(): boolean {
    this.endRun();
    return !this.stopped;
  }

  async end(): Promise<void> {
    if (!this.begun && this.options.format === undefined && this.file.version === 0) return; // no source was an RDB
    if (!this.begun) this.begin();
    for (const file of this.files) await file.end(this.stopped);
  }
}
