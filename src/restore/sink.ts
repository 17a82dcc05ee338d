import { setImmediate as turn } from 'node:timers/promises';
import { RdbError } from '../bytes/errors.js';
import { keySlot } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { DAMAGED, DB, DROPPED, KIND, OFFSET, RECORD } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import type { Frame } from '../rdb/frame.js';
import type { LargeValue } from '../io/large-value.js';
import { encodePayload, PAYLOAD_FOOTER, payloadHead } from '../rdb/payload.js';
import { hasFunctions, sentVersion, type Target, targetName } from '../values/targets.js';
import { DumpSink, type DumpSinkOptions } from '../dump/dump-sink.js';
import { OutputError } from '../io/output-error.js';
import { reasonOf, ServerError } from '../redis/errors.js';
import { HeldPayload } from './held-payload.js';
import { functionCode } from '../values/meta.js';
import { RespValues } from '../dump/resp-values.js';
import { OpenBatches } from './batches.js';
import { type LibraryForecast, loadLibrary, type SourceLibrary } from './functions.js';
import { type LargeOptions, LargeRestore } from './large-restore.js';
import { KeyCommandsWriter, recordRoom } from './key-commands.js';
import { type Rejected, type RestoreConflict, THERE } from './outcomes.js';
import { PlainRecords, type PlainRecordsOptions } from './plain-records.js';
import { damageText, Sanitizer, type SanitizeLevel } from './sanitizer.js';
import { type Closing, type Segment, type SegmentOptions, Segments } from './segments.js';
import type { SourceFile } from '../pipeline/sink.js';

export interface RestoreSinkOptions extends DumpSinkOptions, Omit<PlainRecordsOptions, 'expired'>, SegmentOptions {
  readonly target: Target;
  /** What happens to function libraries that the target has with other code. */
  readonly libraryConflict: RestoreConflict;
  /** Records whose value is at a lower offset are on the target already. */
  readonly from: number;
  /** Milliseconds. */
  readonly ttlShift?: number | undefined;
  /** For a dry run. */
  readonly forecast: LibraryForecast;
  /** Dry run: nothing is sent. */
  readonly dry?: boolean | undefined;
  readonly sanitize: SanitizeLevel;
  /** Ranges of slots that no master owned when the restore began. */
  readonly uncovered: readonly (readonly [from: number, to: number])[];
  /** All keys go to this database. */
  readonly intoDb?: number | undefined;
  /** Whether rejected values keep their payload, for the rejects file. */
  readonly keepsRejects: boolean;
  /** A key was left out since it had expired; `expireAt`: Unix milliseconds, as in the source. */
  onExpired(expireAt: number): void;
  /** When it is aborted, replies are no longer waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes sent between two turns of the event loop. */
const TURN_BYTES = 1 << 20;

/** Sends keys as RESTORE commands to the servers that own them. */
export class RestoreSink extends DumpSink {
  private readonly batches: OpenBatches;
  private readonly segments: Segments;
  private readonly runs: PlainRecords;
  private readonly records: KeyCommandsWriter;
  /** Values that were read whole but are too large for a batch, waiting to be sent. */
  private readonly larges: LargeRestore[] = [];
  /** Bytes of large values sent. */
  private largeSent = 0;
  /** Bytes sent in batches at the last turn. */
  private sentAtTurn = 0;
  private broken = false;
  private readonly sanitizer: Sanitizer | undefined;
  private readonly toLoad: SourceLibrary[] = [];
  /** Keys that the target accepted. */
  private taken = 0;

  constructor(protected override readonly options: RestoreSinkOptions) {
    super(options);
    const { sanitize } = options;
    if (sanitize !== 'none') this.sanitizer = new Sanitizer(sanitize, this.codec, options.damage !== undefined);
    this.batches = new OpenBatches(this.codec, options);
    this.segments = new Segments(
      { ...options, onDone: (segment) => this.done(segment) },
      this.batches,
      (segment, closing) => void this.apart(segment, closing),
    );
    this.runs = new PlainRecords(
      this.codec,
      { ...options, expired: (db, expireAt) => this.expired(db, expireAt) },
      this.batches,
      this.segments,
    );
    this.records = new KeyCommandsWriter(this.codec, options.target, options.conflict);
  }

  override fileBegin(file: SourceFile): void {
    super.fileBegin(file);
    this.batches.file = file;
  }

  /** Servers tell which keys exist; a dry run checks when a key would be sent. */
  protected override isNew(): boolean {
    return true;
  }

  protected override firstRepeated(_batch: Batch, _from: number, to: number): number {
    return to;
  }

  /** The database on the target for a database of the source. */
  target(db: number): number {
    return this.options.intoDb ?? this.options.dbMap?.get(db) ?? db;
  }

  override async large(value: LargeValue): Promise<void> {
    const { head } = value;
    const before = this.changedKeys;
    this.segments.offset = head.offset;
    this.segments.midKey = true;
    this.sourceDb = value.sourceDb;
    this.dropped = this.leavesOut(head);
    const refusal = this.dropped ? undefined : this.refusal(head);
    if (refusal !== undefined) {
      await this.refuseLarge(value, refusal);
    } else if (!this.dropped) {
      const fault = await this.sanitizer?.faultIn(value);
      if (fault === undefined) await this.largeUnlessDamaged(value);
      else await this.rejectLarge(value, fault, this.file.version, this.skips);
      if (this.changedKeys > before) this.adapted(head.db);
    }
    value.dropped = this.dropped;
    if (this.dropped) this.clock = undefined;
    await value.pull();
    this.segments.midKey = false;
    await this.settleLarges();
    this.segments.endIfLong();
  }

  private async largeUnlessDamaged(value: LargeValue): Promise<void> {
    try {
      await super.large(value);
    } catch (error) {
      if (!(error instanceof RdbError) || value.broken || !this.skips) throw error;
      await this.rejectLarge(value, damageText(error), this.file.version, true);
    }
  }

  /** Whether damaged values are gone past. */
  private get skips(): boolean {
    return this.options.damage !== undefined;
  }

  protected override skip(frame: Frame, error: RdbError): void {
    this.reject(frame, damageText(error), this.file.version, true);
  }

  private get changedKeys(): number {
    const { adapted, lost, rewritten } = this.counts;
    return adapted + lost + rewritten;
  }

  protected override wholeRecord(frame: Frame): void {
    const before = this.changedKeys;
    this.segments.offset = frame.offset;
    this.dropped = this.leavesOut(frame);
    const refusal = this.dropped ? undefined : this.refusal(frame);
    if (refusal !== undefined) {
      this.refuse(frame, refusal);
    } else if (!this.dropped) {
      const fault = this.sanitizer?.faultAt(this.rowAt);
      if (fault === undefined) super.wholeRecord(frame);
      else this.reject(frame, fault, this.file.version, this.skips);
    }
    if (this.changedKeys > before) this.adapted(frame.db);
    if (this.dropped) this.clock = undefined;
  }

  protected override adapted(db: number): void {
    this.segments.current.ledger.at(db, '').transcoded++;
  }

  /** By the clock of the server that owns the key. */
  private hasExpired({ expireAt, hasExpire, keyBytes, keyEnd, keyStart }: Frame): boolean {
    return hasExpire && expireAt <= this.batches.connectionOf(keyStart, keyEnd, keyBytes).clock.now();
  }

  /** Whether a key is left out because it has expired; if so, it is counted. */
  private leavesOut(frame: Frame): boolean {
    if (!this.hasExpired(frame)) return false;
    this.expired(frame.db, frame.expireAt);
    return true;
  }

  /** Why no server takes a key: its slot had no owner at the beginning, and still has none. */
  private slotRefusal({ keyBytes, keyEnd, keyStart }: Pick<Frame, 'keyBytes' | 'keyEnd' | 'keyStart'>): string | undefined {
    const { delivery, uncovered } = this.options;
    if (uncovered.length === 0) return undefined;
    const slot = keySlot(keyBytes, keyStart, keyEnd);
    const isOpen = (delivery.owners?.[slot] ?? 0) < 0 && uncovered.some(([from, to]) => slot >= from && slot <= to);
    return isOpen ? `no master owns slot ${slot}: assign it (redis-cli --cluster fix), and restore the key again` : undefined;
  }

  /** Marks the rows that no kernel may send. */
  private markUnowned(batch: Batch): void {
    const { table, to } = batch;
    for (let row = batch.from; row < to; row++) {
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.readKey(row, this.key);
      if (this.slotRefusal(this.key) !== undefined) batch.mark(row, DAMAGED);
    }
  }

  /** Why the target cannot have a key, whatever its value. */
  private refusal(frame: Frame): string | undefined {
    return frame.db >= this.options.databases ? this.noDatabase(frame) : this.slotRefusal(frame);
  }

  private noDatabase({ db }: Frame): string {
    return `the target has no database ${db}; --db-map ${this.sourceDb}:0 writes its keys to database 0`;
  }

  protected take(frame: Frame): void {
    const head = payloadHead(frame);
    const size = head.length + frame.end - frame.start + PAYLOAD_FOOTER;
    const { delivery, dry, maxPayload } = this.options;
    if (dry === true) {
      const refusal = this.foreseenRefusal(frame, size);
      if (refusal !== undefined) this.reject(frame, refusal, this.file.version);
      else if (!this.foresee(frame)) this.reject(frame, THERE, this.version);
    } else if (size > maxPayload && !RespValues.can(frame)) {
      this.reject(frame, RespValues.refusal(frame), this.version);
    } else if (size >= delivery.tooLarge) {
      this.expectLarge(LargeRestore.of(frame, this.segments.current, this.largeOptionsOf(frame)));
    } else {
      this.record(frame, head, size);
    }
  }

  protected async takeLarge(value: LargeValue): Promise<void> {
    const { head } = value;
    if (this.options.dry === true) await this.foreseeLarge(value);
    else this.expectLarge(new LargeRestore(head, await value.takeHeld(), this.segments.current, this.largeOptionsOf(head)));
  }

  private expectLarge(large: LargeRestore): void {
    this.larges.push(large);
    this.segments.current.expect(1);
  }

  private largeOptionsOf(frame: Frame): LargeOptions {
    return { ...this.largeOptions, sentVersion: this.sentVersion(frame) };
  }

  private get largeOptions(): Omit<LargeOptions, 'sentVersion'> {
    return { ...this.options, countReplaced: this.batches.counts, codec: this.codec, version: this.version };
  }

  /** Restores a key of a batch apart from the batches. */
  private async apart(segment: Segment, closing: Closing): Promise<void> {
    const { delivery, signal } = this.options;
    try {
      await delivery.sendAside(closing.commands.length, () => LargeRestore.at(closing, segment, this.largeOptions).send());
    } catch (error) {
      if (signal?.aborted === true) return;
      delivery.fail(
        error instanceof ServerError || error instanceof OutputError
          ? error
          : new ServerError('LOST', closing.server, reasonOf(error), error),
      );
    }
  }

  private async foreseeLarge(value: LargeValue): Promise<void> {
    const { conflict, keepsRejects } = this.options;
    const { head } = value;
    const mayBeRejected = !RespValues.can(head) || (conflict === 'error' && this.seen !== undefined);
    if (keepsRejects && mayBeRejected) value.hold();
    await value.pull();
    const refusal = this.foreseenRefusal(head, payloadHead(head).length + value.size + PAYLOAD_FOOTER);
    if (refusal !== undefined) await this.rejectLarge(value, refusal, this.version);
    else if (!this.foresee(head)) await this.rejectLarge(value, THERE, this.version);
  }

  /** Why no server would take a key with a payload of this size. */
  private foreseenRefusal(frame: Frame, size: number): string | undefined {
    return size <= this.options.maxPayload || RespValues.can(frame) ? undefined : RespValues.refusal(frame);
  }

  /**
   * Counts the predicted outcome of a key, which another source or database may have had, too. Returns false if that is an error.
   */
  private foresee(frame: Frame): boolean {
    const { conflict } = this.options;
    const counts = this.segments.current.ledger.at(frame.db, '');
    const isNew = this.seen?.add(frame.db, frame.keyBytes, frame.keyStart, frame.keyEnd) !== false;
    if (isNew) counts.restored++;
    else if (conflict === 'skip') counts.skipped++;
    else if (conflict === 'replace') counts.replaced++;
    return isNew || conflict !== 'error';
  }

  /** Sends the waiting large values and writes rejected ones. */
  private async settleLarges(): Promise<void> {
    if (this.larges.length > 0 || this.segments.current.holds) await this.unlessBroken(() => this.sendLarges());
  }

  /** If `work` fails, nothing in flight is waited for. */
  private async unlessBroken(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.broken = this.options.signal?.aborted !== true;
      throw error;
    }
  }

  /** Sends large values. Refused ones are written to the rejects file before more is read, so that few are held. */
  private async sendLarges(): Promise<void> {
    const { rateLimit, signal } = this.options;
    this.batches.sendAll();
    for (let large = this.larges.shift(); large !== undefined; large = this.larges.shift()) {
      rateLimit.spend(1, large.size);
      this.largeSent += large.size;
      await large.send();
      await rateLimit.untilAllowed(signal);
    }
    if (this.segments.current.holds) await this.segments.settle(signal);
  }

  protected override run(batch: Batch, row: number): number {
    return this.options.dry === true ? this.foreseeRows(batch, row) : this.runs.take(batch, row, this.file);
  }

  /** Counts rows whose outcome a dry run knows from the head. */
  private foreseeRows(batch: Batch, first: number): number {
    const { table, to } = batch;
    let row = first;
    for (; row < to; row++) {
      if (table.has(row, DROPPED)) continue;
      const isOdd = this.seen !== undefined || !this.runs.isKnown(batch, row);
      if (isOdd || this.runs.hasExpired(batch, row)) break;
      this.segments.current.ledger.at(table.word(row, DB), '').restored++;
      this.segments.offset = table.double(row, OFFSET);
    }
    return row;
  }

  override batch(batch: Batch): void {
    this.sanitizer?.batch(batch);
    if (this.options.uncovered.length > 0) this.markUnowned(batch);
    super.batch(batch);
    this.segments.offset = batch.table.double(batch.to - 1, OFFSET);
    if (this.larges.length === 0) this.segments.endIfLong();
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

  /** Writes a key that no kernel writes. */
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
    this.reject(frame, reason, this.file.version);
  }

  protected override refuseLarge(value: LargeValue, reason: string): Promise<void> {
    return this.rejectLarge(value, reason, this.file.version);
  }

  /** `version`: RDB version of the payload. */
  private reject(frame: Frame, reason: string, version: number, damaged = false): void {
    super.refuse(frame, reason);
    const payload = encodePayload(frame.type.id, frame.bytes.subarray(frame.start, frame.end), version, frame.metaBytes);
    this.leaveOut(frame, { error: reason, payload, damaged });
  }

  /** If the payload is kept, no part of the value may have been pulled, unless it is held. */
  private async rejectLarge(value: LargeValue, reason: string, version: number, damaged = false): Promise<void> {
    const { head } = value;
    super.refuse(head, reason);
    value.dropped = true;
    const payload = this.options.keepsRejects ? new HeldPayload(head, version, await value.takeHeld()) : undefined;
    this.leaveOut(head, { error: reason, payload, damaged });
  }

  private leaveOut(
    { db, expireMs, hasExpire, keyBytes, keyEnd, keyStart }: Frame,
    rejected: Pick<Rejected, 'error' | 'payload' | 'damaged'>,
  ): void {
    const key = formatText(keyBytes, keyStart, keyEnd);
    this.segments.current.leaveOut({ db, key, server: undefined, expireAt: hasExpire ? expireMs : undefined, ...rejected });
  }

  meta(frame: Frame): void {
    if (frame.offset >= this.options.from) this.metaAsCommands(frame, (name) => this.library(name, frame));
  }

  private library(name: string, frame: Frame): void {
    const { target } = this.options;
    if (hasFunctions(target)) this.toLoad.push({ name, code: functionCode(frame) });
    else this.refuseLibrary(name, `which ${targetName(target)} does not support`);
  }

  private async load(library: SourceLibrary): Promise<void> {
    const { delivery, dry, forecast, libraryConflict } = this.options;
    const { name } = library;
    if (dry !== true) {
      const problem = await loadLibrary(delivery, library, libraryConflict, ({ outcome, server }) =>
        this.noteLibrary(name, outcome, server),
      );
      if (problem !== undefined) this.tell(problem);
      return;
    }
    const outcomes = await forecast.of(library);
    for (const { outcome, server } of outcomes) this.noteLibrary(name, outcome, server);
    if (outcomes.some(({ outcome }) => outcome === 'refused')) {
      this.tell(`the function library ${JSON.stringify(name)}: the target has one of that name, with other code`);
    }
  }

  get full(): boolean {
    const { delivery, rateLimit } = this.options;
    return (
      this.batches.sent - this.sentAtTurn >= TURN_BYTES ||
      this.batches.scarce ||
      this.toLoad.length > 0 ||
      this.larges.length > 0 ||
      rateLimit.owes ||
      delivery.failure !== undefined
    );
  }

  flush(): Promise<void> {
    this.options.signal?.throwIfAborted();
    return this.unlessBroken(() => this.makeRoom());
  }

  private async makeRoom(): Promise<void> {
    const { delivery, rateLimit, signal } = this.options;
    for (const library of this.toLoad.splice(0)) await this.load(library);
    await this.settleLarges();
    await rateLimit.untilAllowed(signal);
    await delivery.calm();
    await this.batches.untilFree();
    this.sentAtTurn = this.batches.sent;
    await turn();
  }

  /** A key had expired; `db` is its database on the target. */
  private expired(db: number, expireAt: number): void {
    this.segments.current.ledger.at(db, '').expired++;
    this.options.onExpired(expireAt - (this.options.ttlShift ?? 0));
  }

  /** Resolves when everything is delivered. */
  override async finish(): Promise<void> {
    if (this.broken) return;
    const { signal } = this.options;
    if (signal?.aborted !== true && this.full) await this.flush();
    this.segments.end();
    await this.segments.untilDone(signal);
  }

  /** Segments that were not done at the end: the next run may send them again. */
  get unfinished(): readonly Segment[] {
    return this.segments.unfinished;
  }

  fileEnd(): void {
    // `finish` follows
  }

  get written(): number {
    return this.batches.sent + this.largeSent;
  }

  rollback(): boolean {
    return true; // a value is only sent when it is complete
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  override close(): Promise<void> {
    for (const large of this.larges.splice(0)) large.abandon();
    return Promise.resolve();
  }
}
