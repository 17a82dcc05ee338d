import { type Hot, RESTORE_EXISTS, RESTORE_REPLACE } from '../bytes/hot.js';
import { Frame } from '../rdb/frame.js';
import { END, EXPIRE_HI, EXPIRE_LO, FLAGS, FRAME_WORDS, FrameTable, HAS_EXPIRE, HAS_META, KEY_END, KEY_START, OFFSET, START, TYPE, typeNumber } from '../rdb/frame-table.js';
import type { Framer } from '../rdb/framer.js';
import { TABLES } from '../rdb/types.js';
import { hasListpacks, hasMisreadListpacks, LARGEST_SAFE } from '../values/listpack-borders.js';
import { hasAbsoluteTtl, reads, type Target } from '../values/targets.js';
import type { DumpSinkOptions } from './dump-sink.js';
import type { BatchOptions, RestoreBatches } from './restore-batches.js';
import type { Stretches } from './restore-stretches.js';

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

const RUN_ROWS = 1 << 10;
const RUN_BYTES = 1 << 18;
/** No payload in a run has more bytes: whole values are smaller than that. */
const LARGEST_RUN = 2 << 20;

/** Runs of records that kernels frame and write; rows of them that cannot go as they are go to `slowly`, one by one. */
export class RestoreRuns {
  private readonly rows: FrameTable;
  private readonly rowFrame = new Frame();
  /** By the number of a type: the largest value that goes as it is. */
  private readonly plain: Float64Array;
  private readonly kernelOptions: number;
  private readonly kernelFits: boolean;

  constructor(
    private readonly hot: Hot,
    private readonly options: RunsOptions,
    private readonly batches: RestoreBatches,
    private readonly stretches: Stretches,
    private readonly slowly: (frame: Frame) => void,
  ) {
    const { conflict, dbMap, dry, maxPayload, stripTtl, target, ttlShift = 0 } = options;
    const { buffer, byteOffset } = hot.allocate(RUN_ROWS * FRAME_WORDS * 4);
    this.rows = new FrameTable(buffer, byteOffset, RUN_ROWS);
    this.kernelOptions = (conflict === 'replace' ? RESTORE_REPLACE : 0) | (batches.perUnit === 2 ? RESTORE_EXISTS : 0);
    this.kernelFits = maxPayload >= LARGEST_RUN && hasAbsoluteTtl(target) && dbMap === undefined && stripTtl !== true && ttlShift === 0 && dry !== true;
    this.plain = plainTypes(target);
  }

  /** Whether keys of a database, of the target, can go this way now. */
  can(db: number): boolean {
    return this.kernelFits && db < this.options.databases && this.batches.hasFree;
  }

  /** Takes `most` records at the most, into a database of the target. Returns how many were taken. */
  take(framer: Framer, most: number, db: number, version: number): number {
    const { rows } = this;
    const { from, pace } = this.options;
    const { bytes, position: to } = framer;
    const taken = framer.run({ table: rows.words, row: 0, rows: Math.min(RUN_ROWS, most, pace.burst), to, room: Math.min(RUN_BYTES, pace.burstBytes), read: 0, expired: 0, now: 0 });
    if (taken === 0) return 0;
    this.stretches.offset = rows.double(taken - 1, OFFSET);
    if (this.stretches.offset >= from) this.send(taken, db, version, bytes);
    return taken;
  }

  private send(taken: number, db: number, version: number, bytes: Uint8Array): void {
    const now = Date.now();
    const { sharded } = this.options.bulk;
    let first = 0;
    for (let row = 0; row < taken; row++) {
      const plain = this.isPlain(row, now, db, bytes);
      if (!plain || sharded) {
        this.runOf(first, row, db, version, bytes);
        if (plain) this.runOf(row, row + 1, db, version, bytes);
        first = row + 1;
      }
    }
    this.runOf(first, taken, db, version, bytes);
  }

  /** Whether a row can go as it is; other rows are dealt with. */
  private isPlain(row: number, now: number, db: number, bytes: Uint8Array): boolean {
    const { rows } = this;
    if (rows.double(row, OFFSET) < this.options.from) return false;
    if ((rows.word(row, FLAGS) & HAS_EXPIRE) !== 0 && rows.word(row, EXPIRE_HI) * 0x100000000 + (rows.word(row, EXPIRE_LO) >>> 0) <= now) {
      this.stretches.current.ledger.at(db, '').expired++;
      return false;
    }
    const size = rows.word(row, END) - rows.word(row, START);
    const plain = this.plain[rows.word(row, TYPE)];
    if (plain >= 0 && (rows.word(row, FLAGS) & HAS_META) === 0 && (size <= plain || this.readsWell(row, bytes))) return true;
    this.slowly(this.frameOf(row, bytes));
    return false;
  }

  /** Whether the target reads all listpacks of a value as they are. */
  private readsWell(row: number, bytes: Uint8Array): boolean {
    return !hasMisreadListpacks(this.frameOf(row, bytes), this.options.target.wide);
  }

  private frameOf(row: number, bytes: Uint8Array): Frame {
    this.rows.read(row, this.rowFrame, bytes);
    return this.rowFrame;
  }

  /** Rows [row, rows) that go as they are, all to one server. */
  private runOf(row: number, rows: number, db: number, version: number, bytes: Uint8Array): void {
    const { batches, stretches } = this;
    while (row < rows) {
      const link = batches.linkOf(this.rows.word(row, KEY_START), this.rows.word(row, KEY_END), bytes);
      const batch = batches.at(link, db, stretches.current);
      const done = this.hot.restoreRecords(this.rows.words, row, rows, bytes, batch.bytes, batch.length, version, this.kernelOptions);
      if (done > row) {
        batch.length = this.hot.recordsEnd;
        batch.units += done - row;
        stretches.current.expect(done - row);
        row = done;
      } else if (batch.units > 0 && batches.isPooled(batch)) {
        batches.sendOff(link, batch);
        continue;
      } else {
        this.slowly(this.frameOf(row++, bytes)); // which sends the batch off by itself where that makes it full
        continue;
      }
      if (row < rows || batches.isFull(batch)) batches.sendOff(link, batch);
    }
  }
}

/** By number of type: the largest value that goes as it is; larger ones may have something that the target reads otherwise. */
function plainTypes(target: Target): Float64Array {
  const sizes = new Float64Array(512).fill(-1);
  for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
    if (type !== undefined && reads(target, type)) sizes[typeNumber(type)] = hasListpacks(type) ? LARGEST_SAFE : Infinity;
  }
  return sizes;
}
