import { SLOTS } from '../bytes/crc16.js';
import { type Codec, RESTORE_EXISTS, RESTORE_REPLACE, type RestoreRun } from '../kernels/codec.js';
import { EMPTY } from '../encodings/element.js';
import { DAMAGED, DB, DROPPED, HAS_EXPIRE, KIND, OFFSET, RECORD } from '../kernels/layout.js';
import { type Batch, LARGEST_PAYLOAD } from '../rdb/batch.js';
import { typeOfNumber, versionTable } from '../rdb/frame-table.js';
import type { DeliveryConnection } from './delivery-connection.js';
import type { TypeRow } from '../rdb/types.js';
import { isShifted } from '../values/types/hashes.js';
import { hasAbsoluteTtl, sentVersion, type Target } from '../values/targets.js';
import { PlainTypes } from '../dump/plain-types.js';
import { RespValues } from '../dump/resp-values.js';
import type { BatchOptions, OpenBatches } from './batches.js';
import type { Segments } from './segments.js';
import type { SourceFile } from '../pipeline/sink.js';

export interface PlainRecordsOptions extends BatchOptions {
  readonly target: Target;
  /** Larger payloads, in bytes, are written with plain commands. */
  readonly maxPayload: number;
  /** Number of databases of the target. */
  readonly databases: number;
  /** Milliseconds added to the expiries of hash fields. */
  readonly fieldShift?: number | undefined;
  /** A key had expired; `db` is its database on the target. */
  expired(db: number, expireAt: number): void;
}

/** Writes plain records into command batches through a kernel. */
export class PlainRecords {
  private readonly plain: PlainTypes;
  /** By type number: the RDB version of payloads from a file of `fileVersion`. */
  private readonly versions: Uint16Array;
  private fileVersion = 0;
  private owners: Int16Array | undefined;
  private slots: Uint16Array | undefined;
  private readonly kernelFits: boolean;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(
    private readonly codec: Codec,
    private readonly options: PlainRecordsOptions,
    private readonly batches: OpenBatches,
    private readonly segments: Segments,
  ) {
    const { fieldShift, maxPayload, target } = options;
    this.kernelFits = hasAbsoluteTtl(target);
    // larger ones become commands when they are sent
    const fits = (type: TypeRow): boolean =>
      (maxPayload > LARGEST_PAYLOAD || RespValues.canWrite(type.redisType)) && !isShifted(type, fieldShift);
    this.plain = new PlainTypes(codec, target, fits);
    this.versions = versionTable(codec);
  }

  /** Writes rows from `first` on as long as they are plain. Returns the first that is not. */
  take(batch: Batch, first: number, { running, version }: SourceFile): number {
    const { batches, plain, segments, versions } = this;
    const { delivery, conflict } = this.options;
    if (!this.kernelFits || delivery.tooLarge <= LARGEST_PAYLOAD) return first;
    if (version !== this.fileVersion) this.useVersion(version);
    const { bytes, table, to } = batch;
    const now = delivery.masters.map(({ clock }) => clock.now());
    const options = (conflict === 'replace' ? RESTORE_REPLACE : 0) | (batches.perKey === 2 ? RESTORE_EXISTS : 0);
    const run: Omit<RestoreRun, 'databases'> = {
      table: table.words,
      bytes,
      routes: this.routes(),
      largest: plain.largest,
      running,
      now,
      db: 0,
      versions,
      options,
    };
    for (let row = first; ;) {
      while (row < to && table.has(row, DROPPED)) row++;
      if (row === to || !this.isPlain(batch, row)) return row;
      if (this.hasExpired(batch, row)) {
        this.expire(batch, row);
        segments.offset = table.double(row++, OFFSET);
        continue;
      }
      let next = this.write(run, row, to);
      if (next === row) next = this.writeOne({ ...run, largest: undefined }, batch, row);
      if (next === row) return row;
      segments.offset = table.double(next - 1, OFFSET);
      row = next;
      batches.sendFull();
    }
  }

  /** Whether a record has expired by the clock of the server that owns its key. */
  hasExpired(batch: Batch, row: number): boolean {
    return batch.table.has(row, HAS_EXPIRE) && batch.table.expireAt(row) <= this.connectionOf(batch, row).clock.now();
  }

  private expire(batch: Batch, row: number): void {
    const { table } = batch;
    batch.mark(row, DROPPED);
    this.options.expired(table.word(row, DB), table.expireAt(row));
  }

  private connectionOf(batch: Batch, row: number): DeliveryConnection {
    const { key } = this;
    batch.readKey(row, key);
    return this.batches.connectionOf(key.keyStart, key.keyEnd, key.keyBytes);
  }

  private useVersion(version: number): void {
    this.fileVersion = version;
    for (const number of this.versions.keys()) {
      const type = typeOfNumber(number);
      if (type !== undefined) this.versions[number] = sentVersion(this.options.target, { type }, version);
    }
  }

  /** Whether a row can be written by a kernel. */
  private isPlain(batch: Batch, row: number): boolean {
    return this.batches.hasFree && this.isKnown(batch, row);
  }

  /** Whether the head of a row has nothing that a kernel cannot write. */
  isKnown(batch: Batch, row: number): boolean {
    const { table } = batch;
    if (table.word(row, KIND) !== RECORD || table.has(row, DAMAGED)) return false;
    return table.word(row, DB) < this.options.databases && this.plain.has(batch, row);
  }

  /** The slot map, in kernel memory. */
  private routes(): Uint16Array | undefined {
    const { owners } = this.options.delivery;
    if (owners === undefined || owners === this.owners) return this.slots;
    this.owners = owners;
    const { buffer, byteOffset } = this.slots ?? this.codec.allocate(SLOTS * 2);
    this.slots ??= new Uint16Array(buffer, byteOffset, SLOTS);
    this.slots.set(owners.map((owner) => Math.max(owner, 0)));
    return this.slots;
  }

  private write(run: Omit<RestoreRun, 'databases'>, row: number, to: number): number {
    const { databases, outs } = this.batches.outputs(this.options.delivery.masters);
    const before = keys(outs);
    const done = this.codec.restoreRecords({ ...run, databases }, row, to, outs);
    this.segments.current.expect(keys(outs) - before);
    return done;
  }

  /** Writes a plain row for which the batch has no room or is not open yet. */
  private writeOne(run: Omit<RestoreRun, 'databases'>, batch: Batch, row: number): number {
    const { batches, segments } = this;
    const db = batch.table.word(row, DB);
    const next = this.write(run, row, row + 1);
    if (next > row) return next;
    const connection = this.connectionOf(batch, row);
    const commands = batches.at(connection, db, segments.current);
    if (commands.keys > 0 && batches.isPooled(commands)) {
      batches.sendOff(connection, commands);
      batches.at(connection, db, segments.current);
    }
    return this.write(run, row, row + 1);
  }
}

const keys = (outs: readonly ({ keys: number } | undefined)[]): number => outs.reduce((sum, out) => sum + (out?.keys ?? 0), 0);
