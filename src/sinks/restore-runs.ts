import { SLOTS } from '../bytes/crc16.js';
import { RdbError } from '../bytes/errors.js';
import { type Hot, RESTORE_EXISTS, RESTORE_REPLACE, type RestoreRun } from '../bytes/hot.js';
import { Frame, shownKey } from '../rdb/frame.js';
import { EXPIRE_HI, EXPIRE_LO, FLAGS, FrameTable, GROWN, HAS_EXPIRE, HAS_META, KEY_END, KEY_START, OFFSET, TYPE, TYPE_NUMBERS, typeNumber, typeOfNumber, versionTable } from '../rdb/frame-table.js';
import type { Framer } from '../rdb/framer.js';
import { TABLES } from '../rdb/types.js';
import { hasListpacks, hasMisreadListpacks, LARGEST_SAFE } from '../values/listpack-borders.js';
import { hasAbsoluteTtl, reads, sentVersion, type Target } from '../values/targets.js';
import type { DumpSinkOptions } from './dump-sink.js';
import type { BatchOptions, RestoreBatches } from './restore-batches.js';
import type { Stretches } from './restore-stretches.js';
import { LARGEST_RUN, RUN_BYTES, RUN_ROWS } from './run-limits.js';

export interface RunsOptions extends BatchOptions, Pick<DumpSinkOptions, 'dbMap' | 'stripTtl'> {
  /** Payloads over this many bytes become plain commands. */
  readonly maxPayload: number;
  /** Databases that the target has. */
  readonly databases: number;
  /** Milliseconds. */
  readonly ttlShift?: number | undefined;
  /** Records with a value at an offset below this are there already. */
  readonly from: number;
  /** Only looked at: nothing is sent. */
  readonly dry?: boolean | undefined;
}

/** Runs of records that kernels frame and write; rows of them that cannot go as they are go to `slowly`, one by one. */
export class RestoreRuns {
  private readonly rows: FrameTable;
  private readonly rowFrame = new Frame();
  /** By the number of a type: the largest value, in decompressed bytes, that goes as it is. */
  private readonly plain: Float64Array;
  /** By the number of a type: the RDB version that payloads are sent with, of a file of `fileVersion`. */
  private readonly versions: Uint16Array;
  private fileVersion = 0;
  private owners: Int16Array | undefined;
  /** Of a run that ended with an error: records that were taken before. */
  takenBefore = 0;
  private slots: Uint16Array | undefined;
  private readonly kernelFits: boolean;

  constructor(
    private readonly hot: Hot,
    private readonly options: RunsOptions,
    private readonly batches: RestoreBatches,
    private readonly stretches: Stretches,
    private readonly slowly: (frame: Frame) => void,
  ) {
    const { dbMap, dry, maxPayload, stripTtl, target, ttlShift = 0 } = options;
    this.rows = FrameTable.allocate(hot, RUN_ROWS);
    this.kernelFits = maxPayload >= LARGEST_RUN && hasAbsoluteTtl(target) && dbMap === undefined && stripTtl !== true && ttlShift === 0 && dry !== true;
    this.plain = plainTypes(target, hot);
    this.versions = versionTable(hot);
  }

  /** Whether keys of a database, of the target, can go this way now. */
  can(db: number): boolean {
    return this.kernelFits && this.options.bulk.tooLarge > LARGEST_RUN && db < this.options.databases && this.batches.hasFree;
  }

  /** Takes `most` records at the most, into a database of the target. Returns how many were taken. */
  take(framer: Framer, most: number, db: number): number {
    const { rows } = this;
    const { from, pace } = this.options;
    const { position: to } = framer;
    const taken = framer.run({ table: rows.words, row: 0, rows: Math.min(RUN_ROWS, most, pace.burst), to, room: Math.min(RUN_BYTES, pace.burstBytes), read: 0, expired: 0, now: 0 });
    if (taken === 0) return 0;
    const last = rows.double(taken - 1, OFFSET);
    if (last >= from) this.send(taken, db, framer);
    this.stretches.offset = last; // also where one before it went slowly
    return taken;
  }

  private send(taken: number, db: number, { bytes, running, version }: Framer): void {
    const { batches, plain: largest, rows, versions } = this;
    const now = this.options.bulk.masters.map(({ clock }) => clock.now());
    const options = (this.options.conflict === 'replace' ? RESTORE_REPLACE : 0) | (batches.perUnit === 2 ? RESTORE_EXISTS : 0);
    const run = { table: rows.words, bytes, routes: this.routes(), largest, running, now, versions, options };
    if (version !== this.fileVersion) this.useVersion(version);
    let row = 0;
    while (rows.double(row, OFFSET) < this.options.from) row++;
    while (row < taken) {
      row = this.write(run, row, taken, db);
      if (row === taken) break;
      if (this.isPlain(row, bytes)) this.writeOne({ ...run, largest: undefined }, row, db);
      else this.one(row, bytes);
      row++;
    }
    batches.sendFull();
  }

  /** Which master has which slot, where kernels find it. */
  private routes(): Uint16Array | undefined {
    const { owners } = this.options.bulk;
    if (owners === undefined || owners === this.owners) return this.slots;
    this.owners = owners;
    const { buffer, byteOffset } = this.slots ?? this.hot.allocate(SLOTS * 2);
    this.slots ??= new Uint16Array(buffer, byteOffset, SLOTS);
    this.slots.set(owners.map((owner) => Math.max(owner, 0)));
    return this.slots;
  }

  private write(run: RestoreRun, row: number, rows: number, db: number): number {
    const done = this.hot.restoreRecords(run, row, rows, this.batches.filled(this.options.bulk.masters, db));
    this.stretches.current.expect(done - row);
    return done;
  }

  /** A row that can go as it is: the kernel could not see that, or its batch has no room, or is yet to be begun. */
  private writeOne(run: RestoreRun, row: number, db: number): void {
    if (this.write(run, row, row + 1, db) > row) return;
    const { batches, rows, stretches } = this;
    const link = batches.linkOf(rows.word(row, KEY_START), rows.word(row, KEY_END), run.bytes);
    const batch = batches.at(link, db, stretches.current);
    if (batch.units > 0 && batches.isPooled(batch)) {
      batches.sendOff(link, batch);
      batches.at(link, db, stretches.current);
    }
    if (this.write(run, row, row + 1, db) === row) this.one(row, run.bytes);
  }

  private one(row: number, bytes: Uint8Array): void {
    const frame = this.frameOf(row, bytes);
    this.takenBefore = row;
    try {
      this.slowly(frame);
    } catch (error) {
      throw error instanceof RdbError ? error.at({ db: frame.db, key: shownKey(frame) }) : error;
    }
  }

  /** Whether a row can go as it is. */
  private isPlain(row: number, bytes: Uint8Array): boolean {
    const { rows } = this;
    const flags = rows.word(row, FLAGS);
    const plain = this.plain[rows.word(row, TYPE)];
    return !((flags & HAS_EXPIRE) !== 0 && this.hasExpired(row, bytes)) && plain >= 0 && (flags & HAS_META) === 0 && (rows.word(row, GROWN) <= plain || this.readsWell(row, bytes));
  }

  /** By the clock of the server that gets the key. */
  private hasExpired(row: number, bytes: Uint8Array): boolean {
    const { batches, rows } = this;
    const { clock } = batches.linkOf(rows.word(row, KEY_START), rows.word(row, KEY_END), bytes);
    return rows.word(row, EXPIRE_HI) * 0x100000000 + (rows.word(row, EXPIRE_LO) >>> 0) <= clock.now();
  }

  private useVersion(version: number): void {
    this.fileVersion = version;
    for (const number of this.versions.keys()) {
      const type = typeOfNumber(number);
      if (type !== undefined) this.versions[number] = sentVersion(this.options.target, { type }, version);
    }
  }

  /** Whether the target reads all listpacks of a value as they are. */
  private readsWell(row: number, bytes: Uint8Array): boolean {
    return !hasMisreadListpacks(this.frameOf(row, bytes), this.options.target.wide);
  }

  private frameOf(row: number, bytes: Uint8Array): Frame {
    this.rows.read(row, this.rowFrame, bytes);
    return this.rowFrame;
  }
}

/** By number of type: the largest value that goes as it is; larger ones may have something that the target reads otherwise. */
function plainTypes(target: Target, hot: Hot): Float64Array {
  const { buffer, byteOffset } = hot.allocate(TYPE_NUMBERS * 8);
  const sizes = new Float64Array(buffer, byteOffset, TYPE_NUMBERS).fill(-1);
  for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
    if (type !== undefined && reads(target, type)) sizes[typeNumber(type)] = hasListpacks(type) ? LARGEST_SAFE : Infinity;
  }
  return sizes;
}
