import { setImmediate as turn } from 'node:timers/promises';
import { formatText } from '../bytes/text.js';
import { DB, DROPPED, OFFSET, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { type Frame, RECORD } from '../rdb/frame.js';
import { typeNumber } from '../rdb/frame-table.js';
import { encodePayload, PAYLOAD_FOOTER, payloadHead } from '../rdb/payload.js';
import { TABLES } from '../rdb/types.js';
import { StreamCheck } from '../values/stream-check.js';
import { hasFunctions, sentVersion, type Target, targetName } from '../values/targets.js';
import { DumpSink, type DumpSinkOptions } from '../dump/dump-sink.js';
import { reasonOf, ServerError } from '../redis/errors.js';
import { HeldPayload } from './held-payload.js';
import { frameLibraryName, functionCode } from '../values/rdb-meta.js';
import { RespValues } from '../dump/resp-values.js';
import { OpenBatches } from './batches.js';
import { type LibraryForecast, loadLibrary, type SourceLibrary } from './functions.js';
import { type LargeOptions, LargeValue } from './large-value.js';
import { LargeValues } from './large-values.js';
import { type Closing, type Segment, type SegmentOptions, Segments } from './segments.js';
import { type RestoreConflict, THERE } from './outcomes.js';
import { KeyCommandsWriter, recordRoom } from './key-commands.js';
import { RefusedValue } from './refused-value.js';
import { PlainRecords, type PlainRecordsOptions } from './plain-records.js';
import type { SourceFile } from '../pipeline/sink.js';

export interface RestoreSinkOptions extends DumpSinkOptions, Omit<PlainRecordsOptions, 'expired'>, SegmentOptions {
  readonly target: Target;
  /** What becomes of function libraries that the target has with other code. */
  readonly libraryConflict: RestoreConflict;
  /** Records with a value at an offset below this are there already. */
  readonly from: number;
  /** Milliseconds. */
  readonly ttlShift?: number | undefined;
  /** For a dry run. */
  readonly forecast: LibraryForecast;
  /** Only looked at: nothing is sent. */
  readonly dry?: boolean | undefined;
  /** All keys go into this database. */
  readonly intoDb?: number | undefined;
  /** Values that are rejected keep their payload: somebody writes it somewhere. */
  readonly keepsRejects: boolean;
  /** A key is left out, since this expiry, of the source, is over: Unix milliseconds. */
  onExpired(expireAt: number): void;
  /** When it is aborted, replies are not waited for any more. */
  readonly signal?: AbortSignal | undefined;
}

/** By number: types whose values a dry run looks into. */
const STREAMS: ReadonlySet<number> = new Set(TABLES.redis.types.flatMap((type) => (type?.form === 'stream' ? [typeNumber(type)] : [])));

/** Bytes that are sent between two turns of everything else that goes on. */
const TURN_BYTES = 1 << 20;

/** Keys as RESTORE commands to the servers that own them. */
export class RestoreSink extends DumpSink {
  private readonly batches: OpenBatches;
  private readonly segments: Segments;
  private readonly runs: PlainRecords;
  private readonly records: KeyCommandsWriter;
  private readonly larges = new LargeValues();
  private readonly refused: RefusedValue;
  /** The key at hand was delivered by a run before this one. */
  private passing = false;
  /** What batches had sent at the last turn. */
  private sentAtTurn = 0;
  private broken = false;
  /** Of streams that are only looked at: what a server would end itself on, in the one at hand. */
  private readonly streams = new StreamCheck();
  private fault: string | undefined;
  /** Bytes of the payload at hand that is only looked at, so far; and the payload, where it may be refused. */
  private lookedAtSize = 0;
  private lookedAt: HeldPayload | undefined;
  /** Of the key at hand, as the options make it. */
  private expireAt: bigint | undefined;
  private readonly toLoad: SourceLibrary[] = [];
  /** Keys that the target took for good. */
  private taken = 0;

  constructor(protected override readonly options: RestoreSinkOptions) {
    super(options);
    this.batches = new OpenBatches(this.codec, options);
    this.segments = new Segments(
      { ...options, onDone: (segment) => this.done(segment) },
      this.batches,
      (segment, closing) => void this.apart(segment, closing),
    );
    this.runs = new PlainRecords(this.codec, { ...options, expired: (db, expireAt) => this.expired(db, expireAt) }, this.batches, this.segments);
    this.refused = new RefusedValue((rejected) => this.segments.current.leaveOut(rejected));
    this.records = new KeyCommandsWriter(this.codec, options.target, options.conflict);
  }

  override fileBegin(file: SourceFile): void {
    super.fileBegin(file);
    this.batches.file = file;
  }

  /** Servers say which keys they have, and a dry run sees to it when a key would be sent. */
  protected override isNew(): boolean {
    return true;
  }

  protected override firstRepeated(_batch: Batch, _from: number, to: number): number {
    return to;
  }

  /** The database that keys of a source's database go to. */
  target(db: number): number {
    return this.options.intoDb ?? this.options.dbMap?.get(db) ?? db;
  }

  override frame(kind: number, frame: Frame): void {
    const { db, expireAt, expireHi, expireLo } = frame;
    const before = this.changedKeys;
    if (frame.first) this.head(frame);
    this.segments.midKey = !frame.last;
    if (!this.passing && this.dropped) {
      this.clock = undefined;
      if (!frame.first) this.refused.add(frame);
    } else if (!this.passing) {
      if (this.options.intoDb !== undefined) frame.db = this.options.intoDb;
      if (this.options.dry === true) this.lookInto(kind, frame);
      super.frame(kind, frame);
      if (this.changedKeys > before) this.segments.current.ledger.at(this.target(this.sourceDb), '').transcoded++;
    }
    Object.assign(frame, { db, expireAt, expireHi, expireLo });
  }

  private get changedKeys(): number {
    const { adapted, lost, rewritten } = this.counts;
    return adapted + lost + rewritten;
  }

  protected override wholeRecord(frame: Frame): void {
    const before = this.changedKeys;
    this.segments.offset = frame.offset;
    this.segments.midKey = false;
    this.expireAt = frame.hasExpire ? frame.expireMs : undefined;
    this.dropped = false;
    if (this.hasExpired(frame)) {
      this.dropped = true;
      this.expired(frame.db, frame.expireAt);
    } else if (frame.db >= this.options.databases) {
      this.refuseDatabase(frame, frame.db);
    } else {
      if (this.options.dry === true) this.lookInto(RECORD, frame);
      super.wholeRecord(frame);
    }
    if (this.changedKeys > before) this.segments.current.ledger.at(frame.db, '').transcoded++;
    if (this.dropped) this.clock = undefined;
  }

  protected override adapted(db: number): void {
    this.segments.current.ledger.at(db, '').transcoded++;
  }

  /** By the clock of the server that gets the key. */
  private hasExpired({ expireAt, hasExpire, keyBytes, keyEnd, keyStart }: Frame): boolean {
    return hasExpire && expireAt <= this.batches.connectionOf(keyStart, keyEnd, keyBytes).clock.now();
  }

  private refuseDatabase(frame: Frame, db: number): void {
    this.refuse(frame, `the target has no database ${db}; --db-map ${this.sourceDb}:0 puts its keys into another`);
  }

  /** What can be said of the key of a value in parts before the value is looked at. */
  private head(frame: Frame): void {
    const { databases, from, stripTtl, ttlShift = 0 } = this.options;
    const db = this.target(frame.db);
    this.segments.offset = frame.offset;
    this.sourceDb = frame.db;
    this.dropped = false;
    this.passing = frame.offset < from;
    if (this.passing) return;
    if (frame.hasExpire && ttlShift !== 0) frame.setExpireMs(frame.expireMs + BigInt(ttlShift));
    const expires = frame.hasExpire && stripTtl !== true;
    this.expireAt = expires ? frame.expireMs : undefined;
    if (expires && this.hasExpired(frame)) {
      this.dropped = true;
      this.expired(db, frame.expireAt);
    } else if (db >= databases) {
      this.refuseDatabase(frame, db);
    }
  }

  protected take(kind: number, frame: Frame): void {
    if (kind !== RECORD) {
      this.part(frame);
      return;
    }
    const head = payloadHead(frame);
    const size = head.length + frame.end - frame.start + PAYLOAD_FOOTER;
    const { delivery, maxPayload } = this.options;
    if (size > maxPayload || size >= delivery.tooLarge) this.part(frame);
    else if (this.fault !== undefined) this.reject(frame, this.fault, undefined);
    else if (this.options.dry === true) this.foresee(frame, undefined);
    else this.record(frame, head, size);
  }

  /** A part of a value that does not go into a batch. */
  private part(frame: Frame): void {
    if (this.options.dry === true) {
      this.lookAt(frame);
      return;
    }
    if (frame.first) {
      const { current } = this.segments;
      this.larges.begin(new LargeValue(frame, current, { ...this.largeOptions, sentVersion: this.sentVersion(frame) }));
      current.expect(1);
    }
    this.larges.add(frame);
  }

  private get largeOptions(): Omit<LargeOptions, 'sentVersion'> {
    return { ...this.options, countReplaced: this.batches.counts, codec: this.codec, version: this.version };
  }

  /** A value of a batch that a server closes the connection at goes on its own, beside the others. */
  private async apart(segment: Segment, closing: Closing): Promise<void> {
    const { delivery, signal } = this.options;
    try {
      await LargeValue.at(closing, segment, this.largeOptions).send();
    } catch (error) {
      if (signal?.aborted === true) return;
      delivery.fail(error instanceof ServerError ? error : new ServerError('LOST', closing.server, reasonOf(error), error));
    }
  }

  /** Looks at the value as it stands in the source, as deeply as the server does that checks what it is given. */
  private lookInto(kind: number, frame: Frame): void {
    if (frame.first) this.fault = undefined;
    if (frame.type.form !== 'stream' || this.fault !== undefined) return;
    const error = this.streams.fault(kind, frame);
    if (error !== undefined) this.fault = `its value is damaged: expected ${error.expected}, got ${error.got}; a server may crash on it`;
  }

  private lookAt(frame: Frame): void {
    const { conflict, keepsRejects, maxPayload } = this.options;
    if (frame.first) {
      this.lookedAtSize = payloadHead(frame).length + PAYLOAD_FOOTER;
      this.lookedAt?.close();
      const mayBeRejected = !RespValues.can(frame) || frame.type.form === 'stream' || (conflict === 'error' && this.seen !== undefined);
      this.lookedAt = keepsRejects && mayBeRejected ? new HeldPayload(frame, this.version) : undefined;
    }
    this.lookedAtSize += frame.end - frame.start;
    this.lookedAt?.add(frame);
    if (!frame.last) return;
    const held = this.lookedAt;
    this.lookedAt = undefined;
    if (this.fault !== undefined && this.lookedAtSize <= maxPayload) this.reject(frame, this.fault, held);
    else if (this.lookedAtSize > maxPayload && !RespValues.can(frame)) this.reject(frame, RespValues.refusal(frame), held);
    else this.foresee(frame, held);
  }

  /** What is to become of a key: another source or database may have had it, too. `held` has its payload where that came in parts. */
  private foresee(frame: Frame, held: HeldPayload | undefined): void {
    const { conflict } = this.options;
    const counts = this.segments.current.ledger.at(frame.db, '');
    const isNew = this.seen?.add(frame.db, frame.keyBytes, frame.keyStart, frame.keyEnd) !== false;
    if (!isNew && conflict === 'error') {
      this.reject(frame, THERE, held, this.version);
      return;
    }
    held?.close();
    if (isNew) counts.restored++;
    else if (conflict === 'skip') counts.skipped++;
    else counts.replaced++;
  }

  protected settleTaken(): Promise<void> {
    return this.larges.waiting || this.segments.current.holds ? this.unlessBroken(() => this.sendLarges()) : Promise.resolve();
  }

  /** What was on its way when this went wrong is not waited for. */
  private async unlessBroken(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.broken = this.options.signal?.aborted !== true;
      throw error;
    }
  }

  /** Sends large values; those that are refused are written to the file of rejects before more is read, so that there are never many. */
  private async sendLarges(): Promise<void> {
    const { rateLimit, signal } = this.options;
    this.batches.sendAll();
    await this.larges.send(rateLimit, signal);
    if (this.segments.current.holds) await this.segments.settle(signal);
  }

  protected override run(batch: Batch, row: number): number {
    return this.options.dry === true ? this.foreseeRows(batch, row) : this.runs.take(batch, row, this.file);
  }

  /** Rows of which a dry run knows at once what becomes of them. */
  private foreseeRows(batch: Batch, first: number): number {
    const { table, to } = batch;
    let row = first;
    for (; row < to; row++) {
      if (table.has(row, DROPPED)) continue;
      const isOdd = this.seen !== undefined || !this.runs.isKnown(batch, row) || STREAMS.has(table.word(row, TYPE));
      if (isOdd || this.runs.hasExpired(batch, row)) break;
      this.segments.current.ledger.at(table.word(row, DB), '').restored++;
      this.segments.offset = table.double(row, OFFSET);
    }
    return row;
  }

  override batch(batch: Batch): void {
    super.batch(batch);
    this.segments.offset = batch.table.double(batch.to - 1, OFFSET);
  }

  private done(segment: Segment): void {
    const { replaced, restored } = segment.ledger.total;
    this.taken += restored + replaced;
    this.options.onDone(segment);
  }

  async accepted(): Promise<number> {
    const { signal } = this.options;
    await this.flush();
    await this.unlessBroken(() => this.segments.settle(signal));
    return this.taken;
  }

  /** A key with its value, that does not go the way of a kernel. */
  private record(frame: Frame, head: Uint8Array, size: number): void {
    const { batches } = this;
    const { current } = this.segments;
    const connection = batches.connectionOf(frame.keyStart, frame.keyEnd, frame.keyBytes);
    const batch = batches.withRoom(connection, frame.db, current, recordRoom(frame, size));
    this.records.write(batch, frame, head, size, this.sentVersion(frame));
    current.expect(1);
    if (batches.isFull(batch)) batches.sendOff(connection, batch);
  }

  private sentVersion(frame: Frame): number {
    return sentVersion(this.options.target, frame, this.file.version);
  }

  protected override refuse(frame: Frame, reason: string): void {
    const { first, last } = frame;
    const held = this.options.keepsRejects && !(first && last) ? new HeldPayload(frame, this.file.version, first ? undefined : this.takeParts()) : undefined;
    if (first) held?.add(frame);
    this.reject(frame, reason, held);
  }

  /** `held` has all parts so far of a value that does not come whole. */
  private reject(frame: Frame, reason: string, held: HeldPayload | undefined, version = this.file.version): void {
    super.refuse(frame, reason);
    const { keyBytes, keyEnd, keyStart } = frame;
    const whole = frame.first && frame.last;
    const payload = whole ? encodePayload(frame.type.id, frame.bytes.subarray(frame.start, frame.end), version, frame.metaBytes) : held;
    const key = formatText(keyBytes, keyStart, keyEnd);
    this.refused.begin({ db: this.target(this.sourceDb), key, server: undefined, error: reason, payload, expireAt: this.expireAt }, frame);
  }

  meta(frame: Frame): void {
    if (frame.offset < this.options.from) return;
    const { name } = frame.opcode ?? {};
    if (name === 'AUX') this.keyAux(frame);
    else if (name === 'FUNCTION2' || name === 'FUNCTION_PRE_GA') this.library(frame);
    else if (name === 'MODULE_AUX') this.tell('data of a module that belongs to no key, for which there is no command');
  }

  private library(frame: Frame): void {
    const { target } = this.options;
    if (this.leavesLibraryOut(frame)) return;
    const name = frameLibraryName(frame);
    if (frame.opcode?.name !== 'FUNCTION2') this.refuseLibrary(name, 'which is of a release candidate of Redis 7.0: no server loads it');
    else if (!hasFunctions(target)) this.refuseLibrary(name, `which ${targetName(target)} does not know`);
    else this.toLoad.push({ name, code: functionCode(frame) });
  }

  private async load(library: SourceLibrary): Promise<void> {
    const { delivery, dry, forecast, libraryConflict } = this.options;
    const { name } = library;
    if (dry !== true) {
      const problem = await loadLibrary(delivery, library, libraryConflict, ({ outcome, server }) => this.noteLibrary(name, outcome, server));
      if (problem !== undefined) this.tell(problem);
      return;
    }
    const outcomes = await forecast.of(library);
    for (const { outcome, server } of outcomes) this.noteLibrary(name, outcome, server);
    if (outcomes.some(({ outcome }) => outcome === 'refused')) this.tell(`the function library ${JSON.stringify(name)}: the target has one of that name, with other code`);
  }

  get full(): boolean {
    const { delivery, rateLimit } = this.options;
    return this.batches.sent - this.sentAtTurn >= TURN_BYTES || this.batches.scarce || this.toLoad.length > 0 || this.larges.waiting || rateLimit.owes || delivery.failure !== undefined;
  }

  flush(): Promise<void> {
    this.options.signal?.throwIfAborted();
    return this.unlessBroken(() => this.makeRoom());
  }

  private async makeRoom(): Promise<void> {
    const { delivery, rateLimit, signal } = this.options;
    for (const library of this.toLoad.splice(0)) await this.load(library);
    await this.settleTaken();
    await rateLimit.wait(signal);
    await delivery.calm();
    await this.batches.untilFree();
    this.sentAtTurn = this.batches.sent;
    await turn();
  }

  /** The frames at hand are all read: a segment may end here. */
  override release(): void {
    this.segments.endIfLong();
  }

  /** A key for a database of the target had expired. */
  private expired(db: number, expireAt: number): void {
    this.segments.current.ledger.at(db, '').expired++;
    this.options.onExpired(expireAt - (this.options.ttlShift ?? 0));
  }

  /** Until everything is delivered. */
  override async finish(): Promise<void> {
    if (this.broken) return;
    this.larges.forget();
    this.forget();
    const { signal } = this.options;
    if (signal?.aborted !== true && this.full) await this.flush();
    this.segments.end();
    await this.segments.untilDone(signal);
  }

  /** What is not done when it is over, and may be sent again by the next run. */
  get unfinished(): readonly Segment[] {
    return this.segments.unfinished;
  }

  fileEnd(): void {
    // `finish` follows
  }

  get written(): number {
    return this.batches.sent + this.larges.sent;
  }

  protected takeBack(): boolean {
    return true; // `finish` has forgotten the beginning of a value
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  /** The rest of the value at hand does not come. */
  private forget(): void {
    this.refused.close();
    this.lookedAt?.close();
    this.lookedAt = undefined;
  }

  override close(): Promise<void> {
    this.forget();
    this.larges.abandon();
    return Promise.resolve();
  }
}
