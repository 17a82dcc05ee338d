import { NEVER, RESTORE_REPLACE } from '../kernels/codec.js';
import { DROPPED, KIND, RECORD } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import type { Frame } from '../rdb/frame.js';
import { versionTable } from '../rdb/frame-table.js';
import { PAYLOAD_FOOTER, payloadHead } from '../rdb/payload.js';
import { hasAbsoluteTtl, hasFunctions, hasReplace, isFileOnly, releaseNumber, targetName } from '../values/targets.js';
import type { DumpSinkOptions } from './dump-sink.js';
import type { LargeValue } from '../io/large-value.js';
import type { Output } from '../io/output.js';
import { PlainTypes } from './plain-types.js';
import { functionCode } from '../values/meta.js';
import { RespValues } from './resp-values.js';
import { RespWriter, writeExpiry } from './resp-writer.js';
import { RestoreWriter } from './restore-writer.js';
import { SingleOutputSink } from './single-output-sink.js';
import { isShifted } from '../values/types/hashes.js';

export interface RespSinkOptions extends DumpSinkOptions {
  /** Larger payloads, in bytes, are written with plain commands. */
  readonly maxPayload: number;
  /** Unix milliseconds that relative expiries count from. */
  readonly now: number;
}

const NEWEST = 9999;

/** Bytes of a payload besides its value: type byte and footer. */
const AROUND_VALUE = 1 + PAYLOAD_FOOTER;

/**
 * Keys as commands for `redis-cli --pipe`: SELECT, RESTORE, FUNCTION LOAD. A large value is held until its size is known, since the
 * length of the payload precedes it.
 */
export class RespSink extends SingleOutputSink {
  private readonly resp: RespWriter;
  private readonly restores: RestoreWriter;
  private readonly values: RespValues;
  private readonly server: number;
  private readonly plain: PlainTypes;
  private readonly versions: Uint16Array;
  private db = 0;
  /** A command is incomplete, so nothing can follow. */
  stopped = false;

  constructor(
    output: Output,
    protected override readonly options: RespSinkOptions,
  ) {
    super(output, options);
    this.resp = new RespWriter(output, this.codec);
    this.restores = new RestoreWriter(this.codec.crc64(), options.target);
    const { fieldShift, maxPayload, target } = options;
    this.plain = new PlainTypes(this.codec, target, (type) => !isFileOnly(type) && !isShifted(type, fieldShift), maxPayload - AROUND_VALUE);
    this.versions = versionTable(this.codec);
    this.server = options.target === undefined ? NEWEST : releaseNumber(options.target);
    this.values = new RespValues(this.resp, this.server);
  }

  /** Writes plain records through a kernel. */
  protected override run(batch: Batch, first: number): number {
    const { codec, output, plain } = this;
    const { target } = this.options;
    if (!hasAbsoluteTtl(target)) return first;
    const { bytes, table, to } = batch;
    const run = {
      table: table.words,
      bytes,
      routes: undefined,
      databases: undefined,
      largest: plain.largest,
      running: this.file.running,
      now: [NEVER],
      versions: this.versions.fill(this.version),
      options: RESTORE_REPLACE,
    };
    for (let row = first; ;) {
      while (row < to && table.has(row, DROPPED)) row++;
      if (row === to || table.word(row, KIND) !== RECORD || !plain.has(batch, row)) return row;
      const out = { bytes: output.bytes, length: output.length, keys: 0 };
      let next = codec.restoreRecords({ ...run, db: this.db }, row, to, [out]);
      if (next === row) next = codec.restoreRecords({ ...run, db: this.db, largest: undefined }, row, row + 1, [out]);
      output.length = out.length;
      if (next === row) return row;
      this.db = codec.restoredDb;
      row = next;
    }
  }

  private isTooLarge(size: number): boolean {
    return size + PAYLOAD_FOOTER > this.options.maxPayload;
  }

  protected take(frame: Frame): void {
    const { bytes, end, start } = frame;
    const head = payloadHead(frame);
    const size = head.length + end - start;
    if (this.isTooLarge(size)) {
      if (!RespValues.can(frame)) {
        this.refuse(frame, RespValues.refusal(frame));
        return;
      }
      this.begin(frame);
      this.values.record(frame);
      writeExpiry(this.resp, frame);
    } else {
      this.begin(frame);
      this.restore(frame, head, size);
      this.restores.addValue(bytes, start, end);
      this.restores.end(this.version);
    }
    this.unmark();
  }

  private begin(frame: Frame): void {
    this.mark();
    this.select(frame.db);
  }

  private select(db: number): void {
    if (db === this.db) return;
    this.db = db;
    this.resp.command(2);
    this.resp.words('SELECT', `${db}`);
  }

  /** Writes a RESTORE up to the value. */
  private restore(frame: Frame, head: Uint8Array, size: number): void {
    const { resp } = this;
    const { now, target } = this.options;
    if (!hasReplace(target)) {
      resp.command(2);
      resp.word('DEL');
      resp.arg(frame.keyBytes, frame.keyStart, frame.keyEnd);
    }
    this.restores.begin(resp, frame, { head, size: size + PAYLOAD_FOOTER, replaces: true, now });
  }

  protected async takeLarge(value: LargeValue): Promise<void> {
    const { output, resp, restores, values } = this;
    const { head } = value;
    value.hold();
    await value.pull();
    const payload = payloadHead(head);
    const size = payload.length + value.size;
    const isTooLarge = this.isTooLarge(size);
    if (isTooLarge && !RespValues.can(head)) {
      await this.refuseLarge(value, RespValues.refusal(head));
      return;
    }
    value.letGo();
    this.begin(head);
    if (isTooLarge) {
      for await (const { frame, kind } of value.parts()) {
        values.frame(kind, frame);
        await output.flushIfFull();
      }
      writeExpiry(resp, head);
    } else {
      this.restore(head, payload, size);
      for await (const piece of value.pieces()) {
        restores.addValue(piece, 0, piece.length);
        await output.flushIfFull();
      }
      restores.end(this.version);
    }
    this.unmark();
  }

  meta(frame: Frame): void {
    this.metaAsCommands(frame, (name) => this.library(name, frame));
  }

  private library(name: string, frame: Frame): void {
    const { target } = this.options;
    if (!hasFunctions(target)) {
      this.refuseLibrary(name, `which ${target === undefined ? 'the target' : targetName(target)} does not know`);
      return;
    }
    const code = functionCode(frame);
    this.noteLibrary(name, 'written');
    this.resp.command(4);
    this.resp.words('FUNCTION', 'LOAD', 'REPLACE');
    this.resp.arg(code);
  }

  fileEnd(): void {
    // commands of several files can follow one another
  }

  protected forget(): void {
    // nothing is kept besides the output
  }

  protected leaveTorn(): void {
    this.stopped = true;
  }
}
