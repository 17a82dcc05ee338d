import { setImmediate as turn } from 'node:timers/promises';
import type { Crc64 } from '../bytes/crc64.js';
import { keySlot } from '../bytes/crc16.js';
import { RESTORE_EXISTS, RESTORE_REPLACE } from '../bytes/hot.js';
import { formatText } from '../bytes/text.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { END, EXPIRE_HI, EXPIRE_LO, FLAGS, FRAME_WORDS, FrameTable, HAS_EXPIRE, KEY_END, KEY_START, OFFSET, HAS_META, START, typeNumber, TYPE } from '../rdb/frame-table.js';
import type { Framer } from '../rdb/framer.js';
import { encodePayload, PAYLOAD_FOOTER, payloadHead, writeCrc, writePayloadVersion } from '../rdb/payload.js';
import { TABLES } from '../rdb/types.js';
import { Batch } from '../redis/batch.js';
import type { Bulk } from '../redis/bulk.js';
import type { Link } from '../redis/link.js';
import { hasListpacks, hasMisreadListpacks, LARGEST_SAFE } from '../values/listpack-borders.js';
import { hasAbsoluteTtl, hasFunctions, hasReplace, reads, type Target, targetName } from '../values/targets.js';
import { DumpSink, type DumpSinkOptions } from './dump-sink.js';
import { functionCode } from './rdb-meta.js';
import type { Pace } from './pace.js';
import { LargeValue } from './restore-large.js';
import { type RestoreConflict, Stretch, type StretchEvents } from './restore-progress.js';
import { RespValues } from './resp-values.js';
import { modifiersOf, RespWriter, ttlOf } from './resp-writer.js';
import { loadLibrary } from './restore-functions.js';

export interface RestoreSinkOptions extends DumpSinkOptions {
  readonly target: Target;
  readonly bulk: Bulk;
  readonly conflict: RestoreConflict;
  /** What becomes of function libraries that the target has with other code. */
  readonly libraryConflict: RestoreConflict;
  /** Counts the keys that are replaced: the target has some. */
  readonly countReplaced: boolean;
  /** Payloads over this many bytes become plain commands. */
  readonly maxPayload: number;
  /** Databases that the target has. */
  readonly databases: number;
  /** All keys go into this database. */
  readonly intoDb?: number | undefined;
  /** Milliseconds. */
  readonly ttlShift?: number | undefined;
  readonly pace: Pace;
  /** Records with a value at an offset below this are there already. */
  readonly from: number;
  /** Bytes of commands that one server may be sent at a time. */
  readonly window: number;
  /** A stretch is done: all before it are, too. */
  onDone(stretch: Stretch): void;
  /** The filters left a key out. */
  onLeftOut(): void;
  /** When it is aborted, replies are not waited for any more. */
  readonly signal?: AbortSignal | undefined;
  /** Only looked at: nothing is sent. */
  readonly dry?: boolean | undefined;
}

const RUN_ROWS = 1 << 10;
const RUN_BYTES = 1 << 18;
/** No payload in a run has more bytes: whole values are smaller than that. */
const LARGEST_RUN = 2 << 20;
/** Room for the largest record that comes whole, its command, and a key of some length. */
export const BATCH_BYTES = (1 << 20) + (1 << 18);
/** Bytes of a source, and milliseconds, after which a stretch ends. */
const STRETCH_BYTES = 2 << 20;
const STRETCH_MS = 250;

/** How many buffers there are for the batches of so many servers: one is being filled for each, others are on their way. */
export const batchBuffers = (links: number): number => 2 * links + 8;

/** Keys as RESTORE commands to the servers that own them. */
export class RestoreSink extends DumpSink {
  private readonly bulk: Bulk;
  private readonly crc: Crc64;
  private readonly footer = new Uint8Array(PAYLOAD_FOOTER);
  private readonly rows: FrameTable;
  private readonly rowFrame = new Frame();
  /** By the number of a type: the largest value that goes as it is. */
  private readonly plain: Float64Array;
  /** Batches that are being filled. */
  private readonly filling = new Map<Link, Batch>();
  private readonly free: Uint8Array[];
  private readonly pool: ReadonlySet<Uint8Array>;
  private readonly perUnit: number;
  private readonly kernelOptions: number;
  private readonly kernelFits: boolean;
  private readonly stretches: Stretch[] = [];
  private stretch: Stretch;
  private stretchFrom = 0;
  private stretchAt = performance.now();
  private lastOffset = -1;
  /** There is more to come of the key at hand. */
  private midKey = false;
  /** The key at hand was delivered by a run before this one. */
  private passing = false;
  private sinceTurn = 0;
  private large: LargeValue | undefined;
  /** Those that are whole, and wait to be sent. */
  private readonly larges: LargeValue[] = [];
  private broken = false;
  /** Bytes of the payload at hand that is only looked at, so far. */
  private seenSize = 0;
  private libraries: Uint8Array[] = [];
  private sent = 0;
  private readonly events: StretchEvents;

  constructor(protected override readonly options: RestoreSinkOptions) {
    super(options);
    const { bulk, conflict, countReplaced, target, ttlShift = 0 } = options;
    this.bulk = bulk;
    this.crc = this.hot.crc64();
    const { buffer, byteOffset } = this.hot.allocate(RUN_ROWS * FRAME_WORDS * 4);
    this.rows = new FrameTable(buffer, byteOffset, RUN_ROWS);
    const replaces = conflict === 'replace';
    this.perUnit = replaces && (countReplaced || !hasReplace(target)) ? 2 : 1;
    this.kernelOptions = (replaces ? RESTORE_REPLACE : 0) | (this.perUnit === 2 ? RESTORE_EXISTS : 0);
    this.kernelFits = options.maxPayload >= LARGEST_RUN && hasAbsoluteTtl(target) && options.dbMap === undefined && options.stripTtl !== true && ttlShift === 0 && options.dry !== true;
    this.plain = plainTypes(target);
    const buffers = Array.from({ length: batchBuffers(bulk.servers.masters.length) }, () => this.hot.allocate(BATCH_BYTES));
    this.free = buffers;
    this.pool = new Set(buffers);
    const absolute = hasAbsoluteTtl(target);
    this.events = {
      conflictsAre: conflict === 'skip' ? 'skipped' : 'rejected',
      expireAt: (ttl, builtAt) => (ttl === 0n ? undefined : absolute ? ttl : ttl + BigInt(builtAt)),
      onRelease: (batch) => this.released(batch),
      onChange: () => this.changed(),
    };
    this.stretch = new Stretch(this.events);
  }

  private released({ bytes }: Batch): void {
    if (this.pool.has(bytes)) this.free.push(bytes);
    this.bulk.notify();
  }

  private changed(): void {
    while (this.stretches.length > 0 && this.stretches[0].done) this.options.onDone(this.stretches.shift() as Stretch);
    this.bulk.notify();
  }

  /** The database that keys of a source's database go to. */
  private target(db: number): number {
    return this.options.intoDb ?? this.options.dbMap?.get(db) ?? db;
  }

  override frame(kind: number, frame: Frame): void {
    const { db, expireAt, expireHi, expireLo } = frame;
    const before = this.changedKeys;
    if (frame.first) this.head(frame);
    this.midKey = !frame.last;
    if (!this.passing && !this.dropped) {
      if (this.options.intoDb !== undefined) frame.db = this.options.intoDb;
      super.frame(kind, frame);
      if (this.changedKeys > before) this.stretch.ledger.at(this.target(this.sourceDb), '').transcoded++;
    }
    Object.assign(frame, { db, expireAt, expireHi, expireLo });
  }

  private get changedKeys(): number {
    const { adapted, lost, rewritten } = this.counts;
    return adapted + lost + rewritten;
  }

  /** What can be said of a key before its value is looked at. */
  private head(frame: Frame): void {
    const { databases, from, stripTtl, ttlShift = 0 } = this.options;
    const db = this.target(frame.db);
    this.lastOffset = frame.offset;
    this.sourceDb = frame.db;
    this.dropped = false;
    this.passing = frame.offset < from;
    if (this.passing) return;
    if (frame.hasExpire && ttlShift !== 0) {
      const at = ((BigInt(frame.expireHi) << 32n) | BigInt(frame.expireLo)) + BigInt(ttlShift);
      frame.setExpire(Number(at >> 32n), Number(at & 0xffffffffn));
    }
    if (frame.hasExpire && stripTtl !== true && frame.expireAt <= Date.now()) {
      this.dropped = true;
      this.stretch.ledger.at(db, '').expired++;
    } else if (db >= databases) {
      this.refuse(frame, `the target has no database ${db}; --db-map ${frame.db}:0 puts its keys into another`);
    }
  }

  protected take(kind: number, frame: Frame): void {
    if (kind !== RECORD) {
      this.part(frame);
      return;
    }
    const head = payloadHead(frame);
    const size = head.length + frame.end - frame.start + PAYLOAD_FOOTER;
    if (size > this.options.maxPayload) this.part(frame);
    else if (this.options.dry === true) this.stretch.ledger.at(frame.db, '').restored++;
    else this.record(frame, head, size);
  }

  /** A part of a value that does not go into a batch. */
  private part(frame: Frame): void {
    if (this.options.dry === true) {
      this.lookAt(frame);
      return;
    }
    if (frame.first) {
      this.large = new LargeValue(frame, this.stretch, { ...this.options, hot: this.hot, version: this.version });
      this.stretch.expect(1);
    }
    this.large?.add(frame);
    if (this.large !== undefined && frame.last) this.larges.push(this.large);
    if (frame.last) this.large = undefined;
  }

  private lookAt(frame: Frame): void {
    if (frame.first) this.seenSize = payloadHead(frame).length + PAYLOAD_FOOTER;
    this.seenSize += frame.end - frame.start;
    if (!frame.last) return;
    if (this.seenSize > this.options.maxPayload && !RespValues.can(frame)) this.refuse(frame, RespValues.refusal(frame));
    else this.stretch.ledger.at(frame.db, '').restored++;
  }

  protected settleTaken(): Promise<void> {
    return this.larges.length === 0 ? Promise.resolve() : this.unlessBroken(() => this.sendLarges());
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

  private async sendLarges(): Promise<void> {
    this.sendAll();
    for (const large of this.larges.splice(0)) {
      this.options.pace.spend(1, large.size);
      this.sent += large.size;
      await large.send();
      await this.options.pace.wait(this.options.signal);
    }
  }

  takeRun(framer: Framer, most: number): number {
    const { rows } = this;
    const db = this.target(framer.frame.db);
    if (!this.kernelFits || db >= this.options.databases || this.free.length === 0) return 0;
    const { bytes, position: to } = framer;
    const taken = framer.run({ table: rows.words, row: 0, rows: Math.min(RUN_ROWS, most, this.options.pace.burst), to, room: Math.min(RUN_BYTES, this.options.pace.burstBytes), read: 0, expired: 0, now: 0 });
    this.dropped = false;
    if (taken === 0) return 0;
    this.lastOffset = rows.double(taken - 1, OFFSET);
    if (this.lastOffset < this.options.from) return taken;
    const now = Date.now();
    const { sharded } = this.bulk;
    let first = 0;
    for (let row = 0; row < taken; row++) {
      const plain = this.isPlain(row, now, db, bytes);
      if (!plain || sharded) {
        this.runOf(first, row, db, bytes);
        if (plain) this.runOf(row, row + 1, db, bytes);
        first = row + 1;
      }
    }
    this.runOf(first, taken, db, bytes);
    return taken;
  }

  /** Whether a row can go as it is; other rows are dealt with. */
  private isPlain(row: number, now: number, db: number, bytes: Uint8Array): boolean {
    const { rows } = this;
    if (rows.double(row, OFFSET) < this.options.from) return false;
    if ((rows.word(row, FLAGS) & HAS_EXPIRE) !== 0 && rows.word(row, EXPIRE_HI) * 0x100000000 + (rows.word(row, EXPIRE_LO) >>> 0) <= now) {
      this.stretch.ledger.at(db, '').expired++;
      return false;
    }
    const size = rows.word(row, END) - rows.word(row, START);
    const plain = this.plain[rows.word(row, TYPE)];
    if (plain >= 0 && (rows.word(row, FLAGS) & HAS_META) === 0 && (size <= plain || this.readsWell(row, bytes))) return true;
    this.slowly(row, bytes);
    return false;
  }

  /** Whether the target reads all listpacks of a value as they are. */
  private readsWell(row: number, bytes: Uint8Array): boolean {
    const { rowFrame, rows } = this;
    rows.read(row, rowFrame, bytes);
    return !hasMisreadListpacks(rowFrame, this.options.target.wide);
  }

  private slowly(row: number, bytes: Uint8Array): void {
    const { rowFrame, rows } = this;
    rows.read(row, rowFrame, bytes);
    this.frame(RECORD, rowFrame);
    this.dropped = false;
  }

  /** Rows [row, rows) that go as they are, all to one server. */
  private runOf(row: number, rows: number, db: number, bytes: Uint8Array): void {
    while (row < rows) {
      const link = this.linkOf(this.rows.word(row, KEY_START), this.rows.word(row, KEY_END), bytes);
      const batch = this.batchFor(link, db);
      const done = this.hot.restoreRecords(this.rows.words, row, rows, bytes, batch.bytes, batch.length, this.version, this.kernelOptions);
      if (done > row) {
        batch.length = this.hot.recordsEnd;
        batch.units += done - row;
        this.stretch.expect(done - row);
        row = done;
      } else if (batch.units > 0 && this.pool.has(batch.bytes)) {
        this.sendOff(link, batch);
        continue;
      } else {
        this.slowly(row++, bytes); // which sends the batch off by itself where that makes it full
        continue;
      }
      if (row < rows || this.isFull(batch)) this.sendOff(link, batch);
    }
  }

  private linkOf(start: number, end: number, bytes: Uint8Array): Link {
    return this.bulk.link(this.bulk.sharded ? keySlot(bytes, start, end) : 0);
  }

  /** The batch that is being filled for a server. */
  private batchFor(link: Link, db: number): Batch {
    const filling = this.filling.get(link);
    if (filling?.db === db) return filling;
    if (filling !== undefined) this.sendOff(link, filling);
    const batch = new Batch(this.stretch, this.free.pop() ?? new Uint8Array(BATCH_BYTES), db, this.perUnit);
    batch.builtAt = Date.now();
    this.filling.set(link, batch);
    return batch;
  }

  private isFull({ length, units }: Batch): boolean {
    const { pace, window } = this.options;
    return length >= Math.min(window / 2, pace.burstBytes) || units >= pace.burst;
  }

  private sendOff(link: Link, batch: Batch): void {
    this.filling.delete(link);
    if (batch.units === 0) {
      this.released(batch); // its only key so far was refused; no reply would ever come
      return;
    }
    this.options.pace.spend(batch.units, batch.length);
    this.sinceTurn += batch.length;
    this.sent += batch.length;
    this.bulk.send(link, batch);
  }

  private sendAll(): void {
    for (const [link, batch] of this.filling) this.sendOff(link, batch);
  }

  /** A key with its value, that does not go the way of a kernel. */
  private record(frame: Frame, head: Uint8Array, size: number): void {
    const { conflict, target } = this.options;
    const link = this.linkOf(frame.keyStart, frame.keyEnd, frame.keyBytes);
    let batch = this.batchFor(link, frame.db);
    const room = 2 * (frame.keyEnd - frame.keyStart) + size + AROUND;
    if (batch.units > 0 && batch.length + room > batch.bytes.length) {
      this.sendOff(link, batch);
      batch = this.batchFor(link, frame.db);
    }
    if (room > batch.bytes.length) {
      this.released(batch);
      batch.bytes = new Uint8Array(room);
    }
    const writer = new RespWriter(batch, this.hot);
    const { bytes, end, keyBytes, keyEnd, keyStart, start } = frame;
    const modifiers = modifiersOf(frame, target, conflict === 'replace' && hasReplace(target));
    if (this.perUnit === 2) {
      writer.command(2);
      writer.word(hasReplace(target) ? 'EXISTS' : 'DEL');
      writer.arg(keyBytes, keyStart, keyEnd);
    }
    writer.command(4 + modifiers.length);
    writer.word('RESTORE');
    writer.arg(keyBytes, keyStart, keyEnd);
    writer.word(ttlOf(frame, target, batch.builtAt));
    writer.open(size);
    const from = batch.length;
    writer.raw(head, 0, head.length);
    writer.raw(bytes, start, end);
    writePayloadVersion(this.footer, 0, this.version);
    writer.raw(this.footer, 0, 2);
    this.crc.hi = this.crc.lo = 0;
    this.crc.update(batch.bytes, from, batch.length);
    writeCrc(this.footer, 2, this.crc);
    writer.raw(this.footer, 2, PAYLOAD_FOOTER);
    writer.end();
    writer.words(...modifiers);
    batch.units++;
    this.stretch.expect(1);
    if (this.isFull(batch)) this.sendOff(link, batch);
  }

  protected override refuse(frame: Frame, reason: string): void {
    super.refuse(frame, reason);
    const { keyBytes, keyEnd, keyStart } = frame;
    const whole = frame.first && frame.last;
    const payload = whole ? encodePayload(frame.type.id, frame.bytes.subarray(frame.start, frame.end), this.file.version, frame.metaBytes) : undefined;
    const expireAt = frame.hasExpire ? (BigInt(frame.expireHi) << 32n) | BigInt(frame.expireLo) : undefined;
    this.stretch.leaveOut({ db: this.target(this.sourceDb), key: formatText(keyBytes, keyStart, keyEnd), server: undefined, error: reason, payload, expireAt });
  }

  meta(frame: Frame): void {
    const { dry, from, target } = this.options;
    if (frame.offset < from) return;
    const { name } = frame.opcode ?? {};
    if (name === 'AUX') this.keyAux(frame);
    else if (name === 'FUNCTION2' && !hasFunctions(target)) this.tell(`a function library, which ${targetName(target)} does not know`);
    else if (name === 'FUNCTION2' && dry !== true) this.libraries.push(functionCode(frame));
    else if (name === 'FUNCTION_PRE_GA') this.tell('a function library of a release candidate of Redis 7.0, which no server loads');
    else if (name === 'MODULE_AUX') this.tell('data of a module that belongs to no key, for which there is no command');
  }

  get full(): boolean {
    return this.sinceTurn >= TURN_BYTES || this.free.length < LEAST_FREE || this.libraries.length > 0 || this.larges.length > 0 || this.options.pace.owes || this.bulk.failure !== undefined;
  }

  flush(): Promise<void> {
    this.options.signal?.throwIfAborted();
    return this.unlessBroken(() => this.makeRoom());
  }

  private async makeRoom(): Promise<void> {
    const { bulk, options } = this;
    for (const library of this.libraries.splice(0)) {
      const problem = await loadLibrary(bulk, library, options.libraryConflict);
      if (problem !== undefined) this.tell(problem);
    }
    await this.settleTaken();
    await options.pace.wait(options.signal);
    await bulk.calm();
    while (this.free.length < LEAST_FREE) {
      await bulk.wait();
      await bulk.calm();
    }
    this.sinceTurn = 0;
    await turn();
  }

  /** The frames at hand are all read: a stretch may end here. */
  override release(): void {
    const now = performance.now();
    if (this.midKey) return; // nobody has said yet that it is on its way
    if (this.lastOffset - this.stretchFrom < STRETCH_BYTES && now - this.stretchAt < STRETCH_MS) return;
    this.endStretch();
  }

  override leftOut(): void {
    super.leftOut();
    this.options.onLeftOut();
  }

  private endStretch(): void {
    this.sendAll();
    this.stretches.push(this.stretch);
    const { stretch } = this;
    this.stretch = new Stretch(this.events);
    this.stretchFrom = this.lastOffset;
    this.stretchAt = performance.now();
    stretch.close(this.midKey ? this.lastOffset : this.lastOffset + 1);
  }

  /** Until everything is delivered. */
  override async finish(): Promise<void> {
    if (this.broken) return;
    this.large?.forget();
    this.large = undefined;
    if (this.options.signal?.aborted !== true && this.full) await this.flush();
    this.endStretch();
    while (this.stretches.length > 0 && this.options.signal?.aborted !== true) {
      await this.bulk.calm();
      await this.bulk.wait();
    }
  }

  /** What is not done when it is over, and may be sent again by the next run. */
  get unfinished(): readonly Stretch[] {
    return [...this.stretches, this.stretch];
  }

  fileEnd(): void {
    // `finish` follows
  }

  get written(): number {
    return this.sent;
  }

  protected takeBack(): boolean {
    return true; // `finish` has forgotten the beginning of a value
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  override close(): Promise<void> {
    for (const large of this.larges.splice(0)) large.abandon();
    return Promise.resolve();
  }
}

/** Between two turns of everything else that goes on. */
const TURN_BYTES = 1 << 20;
/** Buffers that there should be before more is read. */
const LEAST_FREE = 2;
/** What stands around key and payload, at the most. */
const AROUND = 1 << 10;

/** By number of type: the largest value that goes as it is; larger ones may have something that the target reads otherwise. */
function plainTypes(target: Target): Float64Array {
  const sizes = new Float64Array(512).fill(-1);
  for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
    if (type !== undefined && reads(target, type)) sizes[typeNumber(type)] = hasListpacks(type) ? LARGEST_SAFE : Infinity;
  }
  return sizes;
}
