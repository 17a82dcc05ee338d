import { NEVER, RESTORE_REPLACE } from '../kernels/codec.js';
import { DROPPED, KIND } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, NEED, RECORD } from '../rdb/frame.js';
import { versionTable } from '../rdb/frame-table.js';
import { Framer } from '../rdb/framer.js';
import { PAYLOAD_FOOTER, payloadHead } from '../rdb/payload.js';
import { hasAbsoluteTtl, hasFunctions, hasReplace, isFileOnly, releaseNumber, targetName } from '../values/targets.js';
import type { DumpSinkOptions } from './dump-sink.js';
import type { Output } from '../io/output.js';
import { PlainTypes } from './plain-types.js';
import { frameLibraryName, functionCode } from '../values/rdb-meta.js';
import { RespValues } from './resp-values.js';
import { RespWriter, writeExpiry } from './resp-writer.js';
import { RestoreWriter } from './restore-writer.js';
import { SingleOutputSink } from './single-output-sink.js';
import { Spill } from '../io/spill.js';

export interface RespSinkOptions extends DumpSinkOptions {
  /** Payloads over this many bytes become plain commands. */
  readonly maxPayload: number;
  /** Unix milliseconds: relative expiries count from here. */
  readonly now: number;
}

const NEWEST = 9999;

/** Bytes of a payload beside its value: type byte and footer. */
const AROUND_VALUE = 1 + PAYLOAD_FOOTER;

/** Parts of values are read again in such pieces. */
const LIMIT = 1 << 20;

/**
 * Keys as commands for a server, as `redis-cli --pipe` takes them: SELECT, RESTORE, FUNCTION LOAD. A value in parts is put aside
 * until its size is known, since the length of a payload stands before it.
 */
export class RespSink extends SingleOutputSink {
  private readonly resp: RespWriter;
  private readonly restores: RestoreWriter;
  private readonly values: RespValues;
  private readonly server: number;
  private readonly plain: PlainTypes;
  private readonly versions: Uint16Array;
  private db = 0;
  /** The value in parts at hand: its bytes so far, and what reads them again. */
  private readonly held = new Spill();
  private again: Framer | undefined;
  private complete = false;
  /** A command is not complete, so nothing can follow. */
  stopped = false;

  constructor(
    output: Output,
    protected override readonly options: RespSinkOptions,
  ) {
    super(output, options);
    this.resp = new RespWriter(output, this.codec);
    this.restores = new RestoreWriter(this.codec.crc64(), options.target);
    this.plain = new PlainTypes(this.codec, options.target, (type) => !isFileOnly(type), options.maxPayload - AROUND_VALUE);
    this.versions = versionTable(this.codec);
    this.server = options.target === undefined ? NEWEST : releaseNumber(options.target);
    this.values = new RespValues(this.resp, this.server);
  }

  protected take(kind: number, frame: Frame): void {
    if (kind === RECORD) {
      this.record(frame);
      return;
    }
    if (frame.first) {
      this.held.close();
      this.complete = false;
      this.again = Framer.ofValue(frame, { limit: LIMIT });
    }
    this.held.add(frame.bytes, frame.start, frame.end);
    this.complete = frame.last;
    if (frame.last && this.isTooLarge(payloadHead(frame).length + this.held.size) && !RespValues.can(frame)) this.refuseLarge(frame);
  }

  /** Records that stay as they are, written by a kernel. */
  protected override run(batch: Batch, first: number): number {
    const { codec, output, plain } = this;
    const { target } = this.options;
    if (!hasAbsoluteTtl(target)) return first;
    const { bytes, table, to } = batch;
    const run = { table: table.words, bytes, routes: undefined, databases: undefined, largest: plain.largest, running: this.file.running, now: [NEVER], versions: this.versions.fill(this.version), options: RESTORE_REPLACE };
    for (let row = first; ; ) {
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

  private refuseLarge(frame: Frame): void {
    this.complete = false;
    this.held.close();
    this.refuse(frame, RespValues.refusal(frame));
  }

  private record(frame: Frame): void {
    const { bytes, end, start } = frame;
    const head = payloadHead(frame);
    const size = head.length + end - start;
    if (this.isTooLarge(size)) {
      if (!RespValues.can(frame)) {
        this.refuseLarge(frame);
        return;
      }
      this.begin(frame);
      this.values.record(frame);
      writeExpiry(this.resp, frame);
    } else {
      this.begin(frame);
      this.restore(frame, head, size);
      this.restores.add(bytes, start, end);
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

  /** RESTORE, up to what stands before the value. */
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

  /** Writes the value in parts, once it is there. */
  protected async settleTaken(): Promise<void> {
    const { again, held, output } = this;
    if (!this.complete || again === undefined) return;
    this.complete = false;
    this.again = undefined;
    const { frame } = again;
    const head = payloadHead(frame);
    const size = head.length + held.size;
    this.begin(frame);
    if (this.isTooLarge(size)) {
      await this.commands(again);
    } else {
      this.restore(frame, head, size);
      for (const piece of held.drain()) {
        this.restores.add(piece, 0, piece.length);
        await output.flushIfFull();
      }
      this.restores.end(this.version);
    }
    this.unmark();
  }

  private async commands(again: Framer): Promise<void> {
    const key = Object.assign(new Frame(), again.frame); // behind its value, a key has lost its expiry
    for (const piece of this.held.drain()) {
      again.push(new Uint8Array(piece));
      for (let kind = again.next(); kind !== NEED; kind = again.next()) {
        this.values.frame(kind, again.frame);
        await this.output.flushIfFull();
      }
    }
    writeExpiry(this.resp, key);
  }

  meta(frame: Frame): void {
    const { name } = frame.opcode ?? {};
    if (name === 'AUX') this.keyAux(frame);
    else if (name === 'FUNCTION2' || name === 'FUNCTION_PRE_GA') this.library(frame);
    else if (name === 'MODULE_AUX') this.tell('data of a module that belongs to no key, for which there is no command');
  }

  private library(frame: Frame): void {
    const { target } = this.options;
    if (this.leavesLibraryOut(frame)) return;
    const name = frameLibraryName(frame);
    if (frame.opcode?.name !== 'FUNCTION2') {
      this.refuseLibrary(name, 'which is of a release candidate of Redis 7.0: no server loads it');
      return;
    }
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
    // the commands of one file follow those of another
  }

  protected forget(): void {
    this.held.close();
    this.complete = false;
  }

  protected leaveTorn(): void {
    this.stopped = true;
  }
}
