import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, HAS_CLOCK, HEAD_EDITED, KIND, SOURCE_DB, START, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { KeySet } from '../values/key-set.js';
import { isFileOnly, LATEST_REDIS, type Target } from '../values/targets.js';
import { type PartsPlan, PartsTranscoder, type Refused, type Transcoded, Transcoder } from '../values/transcode.js';
import { HELD_KIND, HeldParts } from './held-parts.js';
import { type Library, type LibraryOutcome, noteLibrary } from '../pipeline/libraries.js';
import { auxName, frameLibraryName, KEY_CLOCK, MEMBER_EXPIRES } from '../values/rdb-meta.js';
import type { FileEnd, LastSink, SourceFile } from '../pipeline/sink.js';
import type { Spill } from '../io/spill.js';

/** A key, or something else of a file, that is not in the output as it should be, and why. */
export interface KeyProblem {
  readonly file: string;
  readonly db?: number;
  /** In the text form. */
  readonly key?: string;
  readonly reason: string;
  /** It is the expiry of one member of a key (KeyDB): there may be as many as members. */
  readonly isMemberExpiry?: boolean;
}

/** What a dump makes of keys, beside copying them. */
export interface DumpCounts {
  /** Keys that are not in the output, each of them told. */
  refused: number;
  /** Keys in an encoding of another type, which says all that theirs did. */
  rewritten: number;
  /** The same of what is no key: functions, data of modules, expiries of single members. */
  others: number;
  /** Keys whose encoding on the target has no place for some bookkeeping that it can do without. */
  adapted: number;
  /** Keys that are written without something, as was allowed. */
  lost: number;
  /** Keys that another file had, too, and that are left out as was asked for. */
  duplicates: number;
}

export interface DumpSinkOptions {
  readonly codec?: Codec | undefined;
  /** Databases by their number in the source; others keep theirs. */
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** Leave expiries out. */
  readonly stripTtl?: boolean | undefined;
  /** The server that is written for (default: one that reads what the sources have, as it stands there). */
  readonly target?: Target | undefined;
  /** What the target has no place for is left out of keys that are written, instead of the keys. */
  readonly allowLoss?: boolean | undefined;
  /** Where the source cuts values into parts: see Framer. */
  readonly limit?: number | undefined;
  /** Keys of all sources seen so far, where several or their databases may have the same. */
  readonly seen?: KeySet | undefined;
  /** Whether a key that comes again is a problem. */
  readonly duplicates?: 'tell' | 'drop' | undefined;
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
  /** False where function libraries are left out. */
  readonly functions?: boolean | undefined;
  /** Gets what becomes of function libraries. */
  readonly libraries?: Library[] | undefined;
}

/** The frame of a value in another encoding: type byte, key and value stand behind one another in memory of their own. */
function madeFrame(frame: Frame, { bytes, end, metaBytes, start, type }: Transcoded): Frame {
  const { headBytes, headEnd, typeAt } = frame;
  const head = headEnd - typeAt;
  const record = new Uint8Array(head + end - start);
  record.set(headBytes.subarray(typeAt, headEnd));
  record[0] = type.id;
  record.set(bytes.subarray(start, end), head);
  return Object.assign(new Frame(), frame, { type, redisType: type.redisType, metaBytes, headBytes: record, headStart: 0, typeAt: 0, headEnd: head, bytes: record, start: head, end: record.length });
}

/** Puts values into an encoding that a target reads: whole ones, and those in parts. */
interface Translation {
  readonly whole: Transcoder;
  readonly parts: HeldParts;
}

function translationFor(target: Target, allowLoss: boolean): Translation {
  return { whole: new Transcoder(target, { allowLoss }), parts: new HeldParts(new PartsTranscoder(target, { allowLoss })) };
}

/** Whether the key of the last record before a row was dropped; `before` where there is none in the batch. */
function wasDropped({ from, table }: Batch, next: number, before: boolean): boolean {
  for (let row = next - 1; row >= from; row--) if (table.word(row, KIND) === RECORD) return table.has(row, DROPPED);
  return before;
}

function isAscii(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

const AUX = 250;
/** AUX, MODULE_AUX, FUNCTION_PRE_GA, FUNCTION2: opcodes that mean something where only keys are written. */
const KEYLESS: ReadonlySet<number> = new Set([AUX, 247, 246, 245]);

/** What all dumps have in common: databases by other numbers, expiries left out, keys that come twice. */
export abstract class DumpSink implements LastSink {
  dropped = false;
  readonly counts: DumpCounts = { refused: 0, others: 0, rewritten: 0, adapted: 0, lost: 0, duplicates: 0 };
  /** What became of function libraries. */
  readonly libraries: Library[];
  protected readonly codec: Codec;
  /** The database that the key at hand has in its source. */
  protected sourceDb = 0;
  /** The modifiers of the current key are not those that stand in its source. */
  protected stripped = false;
  private readonly rowFrame = new Frame();
  /** For the key of a row. */
  protected readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  protected file: SourceFile = { name: '', version: 0, vendor: 'redis', typesUpTo: 0 };

  private readonly translation: Translation | undefined;
  /** For values that cannot leave their file as they are, where there is no target. */
  private inlining: Translation | undefined;
  /** The one that has the value in parts at hand. */
  private heldParts: HeldParts | undefined;
  private ownSeen: KeySet | undefined;
  /** The parts of the value at hand stay as they are. */
  private copying = false;

  constructor(protected readonly options: DumpSinkOptions) {
    const { allowLoss = false, target } = options;
    this.codec = options.codec ?? TS_CODEC;
    this.libraries = options.libraries ?? [];
    if (target !== undefined) this.translation = translationFor(target, allowLoss);
  }

  /** KeyDB's clock of the key that comes next, an AUX field; where it is kept, it goes before the key. */
  protected clock: Uint8Array | undefined;
  /** KeyDB's clock of the key that comes next stands before it, and is not kept. */
  private clockNext = false;
  /** Opcodes that `meta` takes. */
  protected readonly opcodes: ReadonlySet<number> = KEYLESS;
  /** Whether AUX fields that belong to keys are copied. */
  protected readonly keepsKeyAux: boolean = false;

  /** Whether values come where nothing of their file goes with them, or that of another, too. */
  protected readonly leavesFile: boolean = true;

  /** Takes a frame of a key that is to be written, changed as the options say. */
  protected abstract take(kind: number, frame: Frame): void;

  /** What is to be done after a part of a value was taken. */
  protected abstract settleTaken(): Promise<void>;
  /** Takes back the key at hand, as `rollback` says. */
  protected abstract takeBack(): boolean;

  abstract meta(frame: Frame): void;
  abstract fileEnd(file: FileEnd): void;
  abstract readonly full: boolean;
  abstract flush(): Promise<void>;
  abstract readonly written: number;
  abstract end(): Promise<void>;

  fileBegin(file: SourceFile): void {
    this.file = file;
  }

  batch(batch: Batch): void {
    const { to } = batch;
    if (batch.rows !== batch.keysRead) this.passOpcodes(batch);
    for (let from = batch.from; ; from = batch.to + 1) {
      batch.to = this.firstRepeated(batch, from, to);
      this.rows(batch, from);
      if (batch.to === to) break;
      this.dropRepeated(batch, batch.to);
    }
    if (batch.rows !== batch.keysRead && !this.keepsKeyAux) this.countClocks(batch);
  }

  /** Drops rows of opcodes that mean nothing here, so that they are not in the way of kernels. */
  private passOpcodes(batch: Batch): void {
    const { from, table, to } = batch;
    for (let row = from; row < to; row++) {
      if (table.word(row, KIND) === RECORD) {
        if (this.clockNext && !table.has(row, DROPPED)) batch.mark(row, HAS_CLOCK);
        this.clockNext = false;
      } else if (!this.opcodes.has(table.word(row, TYPE))) {
        batch.mark(row, DROPPED);
      } else if (table.word(row, TYPE) === AUX && !table.has(row, DROPPED)) {
        this.passAux(batch, row);
      }
    }
  }

  private passAux(batch: Batch, row: number): void {
    const { table } = batch;
    const start = table.word(row, START);
    const size = batch.bytes[start];
    if (!this.keepsKeyAux) {
      this.clockNext = size === KEY_CLOCK.length && isAscii(batch.bytes, start + 1, KEY_CLOCK);
      const says = this.opcodes !== KEYLESS || MEMBER_EXPIRES.some(({ length }) => length === size);
      if (this.clockNext || !says) batch.mark(row, DROPPED);
    } else if (row + 1 < batch.to && size === KEY_CLOCK.length && isAscii(batch.bytes, start + 1, KEY_CLOCK)) {
      this.clockBefore?.(batch, row, row + 1);
    }
  }

  /** A row of KeyDB's clock stands before a row that is kept with it; without this it is taken like other aux fields. */
  protected clockBefore?(batch: Batch, clock: number, row: number): void;

  /** Keys that are written without KeyDB's clock. */
  private countClocks({ from, table, to }: Batch): void {
    for (let row = from; row < to; row++) {
      if (!table.has(row, HAS_CLOCK) || table.has(row, DROPPED)) continue;
      this.counts.adapted++;
      this.adapted?.(table.word(row, DB));
    }
  }

  /** A key of a database is written without something that it can do without. */
  protected adapted?(db: number): void;

  /** Takes rows [from, batch.to). */
  private rows(batch: Batch, from: number): void {
    for (let row = from; row < batch.to; row++) {
      const next = this.clock === undefined ? this.run(batch, row) : row;
      if (next > row) this.dropped = wasDropped(batch, next, this.dropped);
      row = batch.row = next;
      if (row < batch.to) this.row(batch, row);
    }
  }

  /** Takes rows from `row` on in one go, as long as they are plain. Returns the first that is not. */
  protected run(_batch: Batch, row: number): number {
    return row;
  }

  private row(batch: Batch, row: number): void {
    const { rowFrame } = this;
    const { table } = batch;
    if (table.has(row, DROPPED)) {
      if (table.word(row, KIND) !== RECORD) return;
      this.dropped = true;
      this.clock = undefined;
      return;
    }
    batch.read(row, rowFrame);
    if (rowFrame.opcode !== undefined) {
      this.meta(rowFrame);
      return;
    }
    this.sourceDb = table.word(row, SOURCE_DB);
    this.stripped = table.has(row, HEAD_EDITED);
    this.wholeRecord(rowFrame);
    if (this.dropped) batch.mark(row, DROPPED);
  }

  /** A whole value that no pass dropped. */
  protected wholeRecord(frame: Frame): void {
    this.dropped = false;
    this.edited(RECORD, frame);
  }

  frame(kind: number, frame: Frame): void {
    const { dbMap, stripTtl } = this.options;
    const { db, hasExpire } = frame;
    this.sourceDb = db;
    if (dbMap !== undefined) frame.db = dbMap.get(db) ?? db;
    if (stripTtl === true) frame.hasExpire = false;
    this.stripped = hasExpire && stripTtl === true;
    if (frame.first) this.dropped = !this.isNew(frame);
    this.edited(kind, frame);
    frame.db = db;
    frame.hasExpire = hasExpire;
  }

  /** Takes a record, or a part, as the options make it. */
  protected edited(kind: number, frame: Frame): void {
    if (!this.dropped) this.translate(kind, frame);
    if (this.clockNext && frame.first && !this.dropped) this.counts.adapted++;
    this.clockNext = false;
    this.clock = undefined;
  }

  /** The first row from `from` on whose key came before; `to` where there is none. */
  protected firstRepeated(batch: Batch, from: number, to: number): number {
    const { key, seen } = this;
    if (seen === undefined) return to;
    const { table } = batch;
    for (let row = from; row < to; row++) {
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.readKey(row, key);
      if (!seen.add(table.word(row, DB), key.keyBytes, key.keyStart, key.keyEnd)) return row;
    }
    return to;
  }

  private dropRepeated(batch: Batch, row: number): void {
    const { rowFrame } = this;
    batch.read(row, rowFrame);
    this.sourceDb = batch.table.word(row, SOURCE_DB);
    this.repeated(rowFrame);
    this.dropped = true;
    this.clock = undefined;
    batch.mark(row, DROPPED);
  }

  /** The RDB version of what is written. */
  protected get version(): number {
    return this.options.target?.rdbVersion ?? this.file.version;
  }

  /** Hands a frame on, in the encoding that the target reads. Values come in parts where they are too large to be held as a whole. */
  private translate(kind: number, frame: Frame): void {
    const translation = this.translation ?? (isFileOnly(frame.type) && this.leavesFile ? (this.inlining ??= translationFor(LATEST_REDIS, false)) : undefined);
    if (translation === undefined) {
      this.take(kind, frame);
      return;
    }
    if (kind !== RECORD) {
      this.heldParts = translation.parts;
      this.translatePart(translation.parts, kind, frame);
      return;
    }
    const made = translation.whole.record(frame);
    if (!this.isTold(frame, made)) this.take(RECORD, made.bytes === frame.bytes && made.metaBytes === frame.metaBytes ? frame : madeFrame(frame, made));
  }

  private translatePart(held: HeldParts, kind: number, frame: Frame): void {
    if (frame.first) this.copying = false;
    if (!this.copying) {
      const plan = held.take(kind, frame);
      if (plan === undefined) return;
      const refused = this.isTold(frame, plan);
      if (refused) held.close();
      if (refused || held.ready) return;
      this.copying = true;
      if (frame.metaBytes !== plan.metaBytes) Object.assign(frame, { metaBytes: plan.metaBytes, headStart: frame.typeAt });
    }
    this.take(kind, frame);
  }

  /** The parts so far of the value at hand, which is refused with one that is not its first. Whoever takes them closes them. */
  protected takeParts(): Spill | undefined {
    return this.heldParts?.handOver();
  }

  /** Counts what became of a key; one that is refused is told. Returns whether it is. */
  private isTold(frame: Frame, made: Transcoded | PartsPlan | Refused): made is Refused {
    if (made.outcome === 'rewritten' && made.type !== frame.type) this.counts.rewritten++;
    if (made.outcome === 'adapted') this.counts.adapted++;
    if (made.outcome === 'lossy') this.counts.lost++;
    if (made.outcome !== 'refused') return false;
    this.refuse(frame, `${made.reason}${made.avoidable ? '; --allow-loss writes the key without it' : ''}`);
    return true;
  }

  async settle(): Promise<void> {
    if (this.heldParts?.ready === true) {
      for (const part of this.heldParts.parts()) {
        this.take(HELD_KIND, part);
        await this.settleTaken();
      }
    }
    await this.settleTaken();
  }

  rollback(): boolean {
    this.heldParts?.close();
    return this.takeBack();
  }

  passOver(): void {
    this.dropped = true;
    this.clock = undefined;
  }

  /** Takes an AUX frame that belongs to a key (KeyDB). Returns false for all others. */
  protected keyAux(frame: Frame): boolean {
    const name = auxName(frame) ?? '';
    if (name === KEY_CLOCK) this.clock = frame.bytes.slice(frame.start - 1, frame.end);
    else if (!MEMBER_EXPIRES.includes(name)) return false;
    else if (!this.dropped && this.keepsKeyAux) this.behindKey(frame);
    else if (!this.dropped && name === MEMBER_EXPIRES[0]) this.tell('the expiry of a member of a key (KeyDB), for which there is no place', true);
    return true;
  }

  /** Copies what stands behind the last key that was taken. */
  protected behindKey(frame: Frame): void {
    throw new TypeError(`nothing is kept behind keys: ${frame.opcode?.name}`);
  }

  /** Keys seen so far, where one may come twice. */
  protected get seen(): KeySet | undefined {
    return this.options.seen ?? (this.file.repeats === true ? (this.ownSeen ??= new KeySet()) : undefined);
  }

  /** Whether a key is to be written that may have come before. */
  protected isNew(frame: Frame): boolean {
    if (this.seen?.add(frame.db, frame.keyBytes, frame.keyStart, frame.keyEnd) !== false) return true;
    this.repeated(frame);
    return false;
  }

  /** A key comes again. */
  private repeated(frame: Frame): void {
    if (this.options.duplicates === 'drop') this.counts.duplicates++;
    else this.refuse(frame, `the key was there before${frame.db === this.sourceDb ? '' : ` in database ${frame.db}`}`);
  }

  /** Notes what became of a function library. */
  protected noteLibrary(name: string, outcome: LibraryOutcome, server = ''): void {
    noteLibrary(this.libraries, this.file.name, name, { server, outcome });
  }

  /** Whether the function library of a frame is not wanted. */
  protected leavesLibraryOut(frame: Frame): boolean {
    if (this.options.functions !== false) return false;
    this.noteLibrary(frameLibraryName(frame), 'leftOut');
    return true;
  }

  /** A function library is not written. */
  protected refuseLibrary(name: string, reason: string): void {
    this.noteLibrary(name, 'refused');
    this.tell(`the function library ${JSON.stringify(name)}, ${reason}`);
  }

  /** Something that is no key is not written. */
  protected tell(reason: string, isMemberExpiry = false): void {
    this.counts.others++;
    this.options.onProblem?.({ file: this.file.name, reason, ...(isMemberExpiry ? { isMemberExpiry } : {}) });
  }

  /** The key at hand is not written. */
  protected refuse(frame: Frame, reason: string): void {
    this.dropped = true;
    this.counts.refused++;
    this.options.onProblem?.({ file: this.file.name, db: this.sourceDb, key: formatText(frame.keyBytes, frame.keyStart, frame.keyEnd), reason });
  }

  expect(): void {
    // the size of the input makes no difference
  }

  /** Frames are not needed any more when `frame` returns. */
  release(): void {
    // nothing is read later than it is taken
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
