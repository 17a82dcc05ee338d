import { RdbError } from '../bytes/errors.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, FLAGS, HAS_CLOCK, HEAD_EDITED, KIND, RECORD, ROW_WORDS, SOURCE_DB, START, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, ITEMS_PART } from '../rdb/frame.js';
import { isKeyClock } from '../rdb/opcodes.js';
import type { KeyPlace } from '../values/filters.js';
import { KeySet } from '../values/key-set.js';
import { isFileOnly, LATEST_REDIS, type Target } from '../values/targets.js';
import { AGAIN, type PartsPlan, PartsTranscoder, type Refused } from '../values/transcode.js';
import { type Transcoded, type TranscodeOptions, Transcoder } from '../values/transcode.js';
import type { Damage } from '../pipeline/damage.js';
import type { DumpCounts, KeyProblem } from '../pipeline/key-problem.js';
import { type Library, type LibraryOutcome, noteLibrary } from '../pipeline/libraries.js';
import { auxName, frameLibraryName, MEMBER_EXPIRES } from '../values/meta.js';
import type { FileEnd, LastSink, SourceFile } from '../pipeline/sink.js';
import type { Part } from '../rdb/value-framer.js';
import { LargeValue } from '../io/large-value.js';

export interface DumpSinkOptions {
  readonly codec?: Codec | undefined;
  /** From the database number in the source; unlisted ones stay. */
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** Write keys without expiry. */
  readonly stripTtl?: boolean | undefined;
  /** The server to write for (default: one that reads the encodings of the sources as they are). */
  readonly target?: Target | undefined;
  /** Write keys without what the target cannot hold, instead of refusing them. */
  readonly allowLoss?: boolean | undefined;
  /** Milliseconds added to the expiries of hash fields; with a target. */
  readonly fieldShift?: number | undefined;
  /** Keys of all sources so far, if several sources or mapped databases may have the same key. */
  readonly seen?: KeySet | undefined;
  /** Which of them may be repeated (default: all); of lines of payloads, any may. */
  readonly mayRepeat?: ((key: KeyPlace) => boolean) | undefined;
  /** Whether repeated keys are reported or dropped. */
  readonly duplicates?: 'tell' | 'drop' | undefined;
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
  /** Takes damaged values, which are gone past; without it they are errors. */
  readonly damage?: Damage | undefined;
  /** False leaves function libraries out. */
  readonly functions?: boolean | undefined;
  /** Receives the outcomes of function libraries. */
  readonly libraries?: Library[] | undefined;
}

/** The frame of a transcoded value: type byte, key and value, one after another in new memory. */
function madeFrame(frame: Frame, { bytes, end, metaBytes, start, type }: Transcoded): Frame {
  const { headBytes, headEnd, typeAt } = frame;
  const head = headEnd - typeAt;
  const record = new Uint8Array(head + end - start);
  record.set(headBytes.subarray(typeAt, headEnd));
  record[0] = type.id;
  record.set(bytes.subarray(start, end), head);
  return Object.assign(new Frame(), frame, {
    type,
    redisType: type.redisType,
    metaBytes,
    headBytes: record,
    headStart: 0,
    typeAt: 0,
    headEnd: head,
    bytes: record,
    start: head,
    end: record.length,
  });
}

/** The head of a transcoded large value, with type byte and key in new memory. */
function madeHead(head: Frame, { metaBytes, type }: PartsPlan): Frame {
  const headBytes = head.headBytes.slice(head.typeAt, head.headEnd);
  headBytes[0] = type.id;
  return Object.assign(new Frame(), head, {
    type,
    redisType: type.redisType,
    metaBytes,
    headBytes,
    headStart: 0,
    typeAt: 0,
    headEnd: headBytes.length,
  });
}

/** Transcodes to what a target reads: whole values, and values in parts. */
interface Translation {
  readonly whole: Transcoder;
  readonly parts: PartsTranscoder;
}

function translationFor(target: Target, options: TranscodeOptions): Translation {
  return { whole: new Transcoder(target, options), parts: new PartsTranscoder(target, options) };
}

/** Whether the key of the last record before a row was dropped; `before` if the batch has none. */
function wasDropped({ from, table }: Batch, next: number, before: boolean): boolean {
  for (let row = next - 1; row >= from; row--) if (table.word(row, KIND) === RECORD) return table.has(row, DROPPED);
  return before;
}

const AUX = 250;
/** AUX, MODULE_AUX, FUNCTION_PRE_GA, FUNCTION2: opcodes that matter even if only keys are written. */
const KEYLESS: ReadonlySet<number> = new Set([AUX, 247, 246, 245]);

const refusalOf = ({ avoidable, reason }: Refused): string => `${reason}${avoidable ? '; --allow-loss writes the key without it' : ''}`;

/** Walks a value until its outcome is known. The value is held, since it may have to be written as it is, or rejected. */
async function planOf(transcoder: PartsTranscoder, value: LargeValue): Promise<PartsPlan | Refused> {
  value.hold();
  for (let plan: ReturnType<PartsTranscoder['take']> = AGAIN; plan === AGAIN; ) {
    for await (const { frame, kind } of value.parts()) {
      plan = transcoder.take(kind, frame);
      if (plan !== undefined && plan !== AGAIN) return plan;
    }
  }
  throw new TypeError('the last part of a value has decided nothing');
}

/** What the transcoder has written, as parts of bytes without frames. */
function* written(transcoder: PartsTranscoder): Generator<Part, void, void> {
  const frame = Object.assign(new Frame(), { last: false });
  for (const bytes of transcoder.pieces()) yield { kind: ITEMS_PART, frame: Object.assign(frame, { bytes, start: 0, end: bytes.length }) };
}

/** Common to all dumps: database mapping, stripped expiries, repeated keys, transcoding. */
export abstract class DumpSink implements LastSink {
  /** Whether the last key is not in the output. */
  protected dropped = false;
  readonly counts: DumpCounts = { refused: 0, others: 0, rewritten: 0, adapted: 0, lost: 0, duplicates: 0 };
  /** Outcomes of function libraries. */
  readonly libraries: Library[];
  protected readonly codec: Codec;
  /** The database of the current key in its source. */
  protected sourceDb = 0;
  /** Whether the modifiers of the current key differ from those in its source. */
  protected edited = false;
  /** The row of the current key in its batch. */
  protected rowAt = 0;
  private readonly rowFrame = new Frame();
  /** Key of a row, reused. */
  protected readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  protected file: SourceFile = { name: '', version: 0, vendor: 'redis', typesUpTo: 0 };

  private readonly translation: Translation | undefined;
  /** For values that refer to other records of their file, if there is no target. */
  private inlining: Translation | undefined;
  private ownSeen: KeySet | undefined;

  constructor(protected readonly options: DumpSinkOptions) {
    const { allowLoss = false, fieldShift, target } = options;
    this.codec = options.codec ?? TS_CODEC;
    this.libraries = options.libraries ?? [];
    if (target !== undefined) this.translation = translationFor(target, { allowLoss, fieldShift });
  }

  /** KeyDB's clock of the next key, an AUX field; if it is kept, it is written before the key. */
  protected clock: Uint8Array | undefined;
  /** The next key has a KeyDB clock, which is not kept. */
  private clockNext = false;
  /** Opcodes that `meta` takes. */
  protected readonly opcodes: ReadonlySet<number> = KEYLESS;
  /** Whether AUX fields that belong to keys are copied. */
  protected readonly keepsKeyAux: boolean = false;

  /** Whether values are written without the other records of their file, or together with those of other files. */
  protected readonly leavesFile: boolean = true;

  /** Writes a key and its value. */
  protected abstract take(frame: Frame): void;
  /** Writes a key with a large value. */
  protected abstract takeLarge(value: LargeValue): Promise<void>;

  abstract rollback(): boolean;
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
    const hasOpcodes = batch.rows !== batch.keysRead || this.clockNext;
    if (hasOpcodes) this.passOpcodes(batch);
    for (let from = batch.from; ; from = batch.to + 1) {
      batch.to = this.firstRepeated(batch, from, to);
      this.rows(batch, from);
      if (batch.to === to) break;
      this.dropRepeated(batch, batch.to);
    }
    if (hasOpcodes && !this.keepsKeyAux) this.countClocks(batch);
  }

  /** Drops rows of opcodes that this output ignores, so that they do not interrupt kernels. */
  private passOpcodes(batch: Batch): void {
    const { from, to } = batch;
    const { words } = batch.table;
    let { clockNext } = this;
    batch.touch();
    for (let row = from, at = from * ROW_WORDS; row < to; row++, at += ROW_WORDS) {
      const flags = words[at + FLAGS];
      if (words[at + KIND] === RECORD) {
        if (clockNext && (flags & DROPPED) === 0) words[at + FLAGS] = flags | HAS_CLOCK;
        clockNext = false;
      } else if (words[at + TYPE] === AUX && (flags & DROPPED) === 0) {
        const isClock = (flags & HAS_CLOCK) !== 0;
        if (this.keepsKeyAux) {
          if (isClock && row + 1 < to) this.clockBefore?.(batch, row, row + 1);
        } else {
          clockNext = isClock;
          if (isClock || !this.tellsAux(batch.bytes[words[at + START]])) words[at + FLAGS] = flags | DROPPED;
        }
      } else if (!this.opcodes.has(words[at + TYPE])) {
        words[at + FLAGS] = flags | DROPPED;
      }
    }
    this.clockNext = clockNext;
  }

  /** Whether an AUX field with a name of this size may matter, though it is not kept. */
  private tellsAux(size: number): boolean {
    return this.opcodes !== KEYLESS || MEMBER_EXPIRES.some(({ length }) => length === size);
  }

  /** A KeyDB clock row precedes a row that is kept. Without this method it is handled like other AUX fields. */
  protected clockBefore?(batch: Batch, clock: number, row: number): void;

  /** Counts keys written without KeyDB's clock. */
  private countClocks({ from, table, to }: Batch): void {
    for (let row = from; row < to; row++) {
      if (!table.has(row, HAS_CLOCK) || table.has(row, DROPPED)) continue;
      this.counts.adapted++;
      this.adapted?.(table.word(row, DB));
    }
  }

  /** A key of a database was written without dispensable bookkeeping. */
  protected adapted?(db: number): void;

  /** Handles rows [from, batch.to). */
  private rows(batch: Batch, from: number): void {
    for (let row = from; row < batch.to; row++) {
      const next = this.clock === undefined ? this.run(batch, row) : row;
      if (next > row) this.dropped = wasDropped(batch, next, this.dropped);
      row = batch.row = next;
      if (row < batch.to) this.row(batch, row);
    }
  }

  /** Writes plain rows from `row` on at once. Returns the first that is not plain. */
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
    this.edited = table.has(row, HEAD_EDITED);
    this.rowAt = row;
    if (this.options.damage === undefined) this.wholeRecord(rowFrame);
    else this.recordUnlessDamaged(batch, this.options.damage);
    if (this.dropped) batch.mark(row, DROPPED);
  }

  private recordUnlessDamaged(batch: Batch, damage: Damage): void {
    try {
      this.wholeRecord(this.rowFrame);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      this.rollback();
      this.dropped = true;
      this.clock = undefined;
      this.skip(this.rowFrame, batch.failed(error), damage);
    }
  }

  /** A key is left out because its value is damaged. */
  protected skip(_frame: Frame, error: RdbError, damage: Damage): void {
    damage.take(error);
  }

  /** A whole value that no pass dropped. */
  protected wholeRecord(frame: Frame): void {
    this.dropped = false;
    this.translate(frame);
    this.clock = undefined;
  }

  /** A large value whose head no pass dropped. */
  async large(value: LargeValue): Promise<void> {
    this.sourceDb = value.sourceDb;
    this.edited = value.edited;
    this.dropped = !this.isNew(value.head);
    if (!this.dropped) await this.translateLarge(value);
    value.dropped = this.dropped;
    if (this.clockNext && !this.dropped) this.counts.adapted++;
    this.clockNext = false;
    this.clock = undefined;
  }

  /** The first row from `from` on whose key was seen before; `to` if there is none. */
  protected firstRepeated(batch: Batch, from: number, to: number): number {
    const { key, seen } = this;
    if (seen === undefined) return to;
    const { table } = batch;
    const mayRepeat = this.file.repeats === true ? undefined : this.options.mayRepeat;
    for (let row = from; row < to; row++) {
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.readKey(row, key);
      if (mayRepeat?.(key) === false) continue;
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

  /** RDB version of the output. */
  protected get version(): number {
    return this.options.target?.rdbVersion ?? this.file.version;
  }

  /** The transcoder for a value that may need one. */
  private translationOf({ type }: Frame): Translation | undefined {
    return this.translation ?? (isFileOnly(type) && this.leavesFile ? (this.inlining ??= translationFor(LATEST_REDIS, {})) : undefined);
  }

  /** Writes a value in an encoding that the target reads. */
  private translate(frame: Frame): void {
    const translation = this.translationOf(frame);
    if (translation === undefined) {
      this.take(frame);
      return;
    }
    const made = translation.whole.record(frame);
    this.noteOutcome(frame, made);
    if (made.outcome === 'refused') this.refuse(frame, refusalOf(made));
    else this.take(made.bytes === frame.bytes && made.metaBytes === frame.metaBytes ? frame : madeFrame(frame, made));
  }

  /** The same for a large value, whose outcome is only known at its end: it is spilled and written from there. */
  private async translateLarge(value: LargeValue): Promise<void> {
    const { head } = value;
    const transcoder = this.translationOf(head)?.parts;
    if (transcoder === undefined) {
      await this.takeLarge(value);
      return;
    }
    const plan = transcoder.begin(head) ?? (await planOf(transcoder, value));
    this.noteOutcome(head, plan);
    if (plan.outcome === 'refused') {
      await this.refuseLarge(value, refusalOf(plan));
      return;
    }
    if (plan.verbatim) {
      if (head.metaBytes !== plan.metaBytes) Object.assign(head, { metaBytes: plan.metaBytes, headStart: head.typeAt });
      await this.takeLarge(value);
      return;
    }
    value.close();
    const parts = written(transcoder);
    const made = new LargeValue(
      madeHead(head, plan),
      { framed: false, next: () => Promise.resolve(parts.next().value ?? undefined) },
      value.limit,
    );
    made.sourceDb = value.sourceDb;
    try {
      await this.takeLarge(made);
    } finally {
      made.close();
      transcoder.close();
      value.dropped = made.dropped;
    }
  }

  /** Counts the outcome of a key. */
  private noteOutcome({ type }: Frame, made: Transcoded | PartsPlan | Refused): void {
    if (made.outcome === 'rewritten' && made.type !== type) this.counts.rewritten++;
    if (made.outcome === 'adapted') this.counts.adapted++;
    if (made.outcome === 'lossy') this.counts.lost++;
  }

  /** Takes an AUX frame that belongs to a key (KeyDB). Returns false for all others. */
  protected keyAux(frame: Frame): boolean {
    if (isKeyClock(frame)) {
      this.clock = frame.bytes.slice(frame.start - 1, frame.end);
      return true;
    }
    const name = auxName(frame) ?? '';
    if (!MEMBER_EXPIRES.includes(name)) return false;
    if (!this.dropped && this.keepsKeyAux) this.afterKey(frame);
    else if (!this.dropped && name === MEMBER_EXPIRES[0]) {
      this.tell('the expiry of a member of a key (KeyDB), for which there is no place', true);
    }
    return true;
  }

  /** Copies what follows the last key taken. */
  protected afterKey(frame: Frame): void {
    throw new TypeError(`nothing is kept after keys: ${frame.opcode?.name}`);
  }

  /** Keys seen so far, if one may be repeated. */
  protected get seen(): KeySet | undefined {
    return this.options.seen ?? (this.file.repeats === true ? (this.ownSeen ??= new KeySet()) : undefined);
  }

  /** Whether a key that may be a repeated one is to be written. */
  protected isNew(frame: Frame): boolean {
    if (this.seen?.add(frame.db, frame.keyBytes, frame.keyStart, frame.keyEnd) !== false) return true;
    this.repeated(frame);
    return false;
  }

  /** A key is repeated. */
  private repeated(frame: Frame): void {
    if (this.options.duplicates === 'drop') this.counts.duplicates++;
    else this.refuse(frame, `the key was there before${frame.db === this.sourceDb ? '' : ` in database ${frame.db}`}`);
  }

  /** Records the outcome of a function library. */
  protected noteLibrary(name: string, outcome: LibraryOutcome, server = ''): void {
    noteLibrary(this.libraries, this.file.name, name, { server, outcome });
  }

  /** Takes a record that is no key where commands are written. `library` gets function libraries that the server may load. */
  protected metaAsCommands(frame: Frame, library: (name: string) => void): void {
    const { name } = frame.opcode ?? {};
    if (name === 'AUX') {
      this.keyAux(frame);
    } else if (name === 'MODULE_AUX') {
      this.tell('module data outside keys, which no command restores');
    } else if ((name === 'FUNCTION2' || name === 'FUNCTION_PRE_GA') && !this.leavesLibraryOut(frame)) {
      const called = frameLibraryName(frame);
      if (name === 'FUNCTION2') library(called);
      else this.refuseLibrary(called, 'which is of a release candidate of Redis 7.0: no server loads it');
    }
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

  /** Something other than a key is not written. */
  protected tell(reason: string, isMemberExpiry = false): void {
    this.counts.others++;
    this.options.onProblem?.({ file: this.file.name, reason, ...(isMemberExpiry ? { isMemberExpiry } : {}) });
  }

  /** A key is not written. */
  protected refuse(frame: Frame, reason: string): void {
    this.dropped = true;
    this.counts.refused++;
    this.options.onProblem?.({
      file: this.file.name,
      db: this.sourceDb,
      key: formatText(frame.keyBytes, frame.keyStart, frame.keyEnd),
      reason,
    });
  }

  /** The same for a large value. */
  protected refuseLarge(value: LargeValue, reason: string): Promise<void> {
    this.refuse(value.head, reason);
    return Promise.resolve();
  }

  expect(): void {
    // the size of the input makes no difference
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
