import { SLOTS } from '../bytes/crc16.js';
import { type Hot, NEVER, RESTORE_EXISTS, RESTORE_REPLACE, type RestoreRun } from '../bytes/hot.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, KIND, OFFSET, RECORD } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { PAYLOAD_FOOTER } from '../rdb/payload.js';
import { hasAbsoluteTtl, type Target } from '../values/targets.js';
import { PlainTypes } from './plain-types.js';
import type { BatchOptions, RestoreBatches } from './restore-batches.js';
import type { Stretches } from './restore-stretches.js';
import type { SourceFile } from './sink.js';

export interface RunsOptions extends BatchOptions {
  readonly target: Target;
  /** Payloads over this many bytes become plain commands. */
  readonly maxPayload: number;
  /** Databases that the target has. */
  readonly databases: number;
  /** Only looked at: nothing is sent. */
  readonly dry?: boolean | undefined;
}

/** Records that a kernel writes into batches of commands. */
export class RestoreRuns {
  private readonly plain: PlainTypes;
  private owners: Int16Array | undefined;
  private slots: Uint16Array | undefined;
  private readonly kernelOptions: number;
  private readonly kernelFits: boolean;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(
    private readonly hot: Hot,
    private readonly options: RunsOptions,
    private readonly batches: RestoreBatches,
    private readonly stretches: Stretches,
  ) {
    const { conflict, maxPayload, target } = options;
    this.kernelOptions = (conflict === 'replace' ? RESTORE_REPLACE : 0) | (batches.perUnit === 2 ? RESTORE_EXISTS : 0);
    this.kernelFits = hasAbsoluteTtl(target);
    this.plain = new PlainTypes(hot, target, () => true, maxPayload - 1 - PAYLOAD_FOOTER);
  }

  /** Takes rows from `first` on, as long as they are plain. Returns the first that is not. */
  take(batch: Batch, first: number, { running }: SourceFile, version: number): number {
    const { batches, kernelOptions: options, plain, stretches } = this;
    const { bytes, table, to } = batch;
    const run: RestoreRun = { table: table.words, bytes, routes: this.routes(), largest: plain.largest, running, now: NEVER, db: 0, version, options };
    for (let row = first; ; ) {
      while (row < to && table.has(row, DROPPED)) row++;
      if (row === to || !this.isPlain(batch, row)) return row;
      const db = table.word(row, DB);
      if (this.options.dry === true) {
        stretches.current.ledger.at(db, '').restored++;
        stretches.offset = table.double(row++, OFFSET);
        continue;
      }
      let next = this.write({ ...run, db }, row, to);
      if (next === row) next = this.writeOne({ ...run, db, largest: undefined }, batch, row);
      if (next === row) return row;
      stretches.offset = table.double(next - 1, OFFSET);
      row = next;
      batches.sendFull();
    }
  }

  /** Whether a row can go as it is. */
  private isPlain(batch: Batch, row: number): boolean {
    const { table } = batch;
    return this.kernelFits && table.word(row, KIND) === RECORD && table.word(row, DB) < this.options.databases && this.batches.hasFree && this.plain.has(batch, row);
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

  private write(run: RestoreRun, row: number, to: number): number {
    const outs = this.batches.filled(this.options.bulk.masters, run.db);
    const before = units(outs);
    const done = this.hot.restoreRecords(run, row, to, outs);
    this.stretches.current.expect(units(outs) - before);
    return done;
  }

  /** A row that can go as it is: its batch has no room, or is yet to be begun. */
  private writeOne(run: RestoreRun, batch: Batch, row: number): number {
    const { batches, key, stretches } = this;
    const next = this.write(run, row, row + 1);
    if (next > row) return next;
    batch.readKey(row, key);
    const link = batches.linkOf(key.keyStart, key.keyEnd, key.keyBytes);
    const commands = batches.at(link, run.db, stretches.current);
    if (commands.units > 0 && batches.isPooled(commands)) {
      batches.sendOff(link, commands);
      batches.at(link, run.db, stretches.current);
    }
    return this.write(run, row, row + 1);
  }
}

const units = (outs: readonly ({ units: number } | undefined)[]): number => outs.reduce((sum, out) => sum + (out?.units ?? 0), 0);
