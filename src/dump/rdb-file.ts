import { Crc64, crc64Shift } from '../bytes/crc64.js';
import type { Codec } from '../kernels/codec.js';
import type { Vendor } from '../rdb/types.js';
import { writeCrc } from '../rdb/payload.js';
import { AUX_SINCE, EOF, LENGTH_SIZE, magicOf, RESIZEDB, SELECTDB, writeLength, writeLength32 } from '../rdb/write.js';
import type { ByteSink } from '../io/byte-sink.js';
import type { Output } from '../io/output.js';

/** Version and type numbering of an RDB file. */
export interface RdbFormat {
  /** Whose type numbers the file uses. */
  readonly vendor: Vendor;
  readonly version: number;
}

/** Files have a checksum since this version. */
const CRC_SINCE = 5;

/** Largest number that takes one byte as a length. */
const LONGEST_SHORT = 63;

/** RESIZEDB with two counts of 5 bytes, reserved before the counts are known. */
const HINT_SIZE = 11;

/** Counts of a database, and the position of its RESIZEDB. */
interface Database {
  keys: number;
  expires: number;
  hintAt: number;
}

/**
 * Writes one RDB file. The number of keys of a database is known at its end: in seekable outputs, RESIZEDB is reserved before its
 * first key and filled in later, and the checksum corrected.
 */
export class RdbFile {
  /** Set before anything is written. */
  format: RdbFormat | undefined;
  private readonly crc: Crc64;
  private readonly databases = new Map<number, Database>();
  private db: Database | undefined;
  private number = -1;
  private hints = true;
  private checked = true;

  constructor(
    readonly output: Output,
    private readonly sink: ByteSink,
    private readonly codec: Codec,
  ) {
    this.crc = codec.crc64();
  }

  /** Bytes written so far. */
  private get position(): number {
    return this.output.flushed + this.output.length;
  }

  /** `hints`: write the numbers of keys before those of each database. */
  begin(format: RdbFormat, hints = true): void {
    this.format = format;
    this.hints = hints;
    this.bytes(magicOf(format.vendor, format.version));
  }

  /** The file ends without a checksum, which is written as 0. */
  leaveUnchecked(): void {
    this.checked = false;
  }

  bytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const { output } = this;
    output.room(end - start);
    this.codec.copy(bytes, start, end, output.bytes, output.length);
    output.length += end - start;
  }

  /** Selects the database of the keys that follow. `counts`: its numbers of keys, if known. */
  select(number: number, counts?: { readonly keys: number; readonly expires: number }): void {
    if (number === this.number) return;
    this.number = number;
    const { output } = this;
    output.room(1 + LENGTH_SIZE);
    output.bytes[output.length] = SELECTDB;
    output.length = writeLength(output.bytes, output.length + 1, number);
    const before = this.databases.get(number);
    this.db = before ?? { keys: 0, expires: 0, hintAt: -1 };
    if (before !== undefined) return;
    this.databases.set(number, this.db);
    if (!this.hints || (this.format?.version ?? 0) < AUX_SINCE) return;
    if (this.sink.patch !== undefined) {
      this.db.hintAt = this.position;
      this.bytes(hint(0, 0));
    } else if (counts !== undefined) {
      this.bytes(hint(counts.keys, counts.expires));
    }
  }

  selected(number: number): boolean {
    return number === this.number;
  }

  /** Whether `bytes[start, end)` is what `select` would write. If so, the database is selected, and the caller copies them. */
  selectedBy(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    const db = number <= LONGEST_SHORT ? this.databases.get(number) : undefined;
    if (db === undefined || end - start !== 2 || bytes[start] !== SELECTDB || bytes[start + 1] !== number) return false;
    this.number = number;
    this.db = db;
    return true;
  }

  /** Keys were written to the selected database, some of them with an expiry. */
  count(keys: number, expiring: number): void {
    const { db } = this;
    if (db === undefined) return;
    db.keys += keys;
    db.expires += expiring;
  }

  async flush(): Promise<void> {
    const { crc, output } = this;
    crc.update(output.bytes, 0, output.length);
    await output.flush();
  }

  async flushIfFull(): Promise<void> {
    if (this.output.full) await this.flush();
  }

  /** Ends the file. A damaged one, which ends within a key, gets no end. */
  async end(damaged: boolean): Promise<void> {
    if (!damaged) this.bytes(Uint8Array.of(EOF));
    await this.flush();
    const { crc, output } = this;
    const size = output.flushed;
    const { patch } = this.sink;
    for (const { expires, hintAt, keys } of patch === undefined ? [] : this.databases.values()) {
      if (hintAt < 0) continue;
      const change = xor(hint(keys, expires), hint(0, 0));
      const moved = crc64Shift(new Crc64().update(change), size - hintAt - HINT_SIZE);
      crc.hi = (crc.hi ^ moved.hi) >>> 0;
      crc.lo = (crc.lo ^ moved.lo) >>> 0;
      await output.written();
      await patch?.(hintAt, hint(keys, expires));
    }
    if (!damaged && (this.format?.version ?? 0) >= CRC_SINCE) {
      const footer = new Uint8Array(8);
      if (this.checked) writeCrc(footer, 0, crc);
      this.bytes(footer);
      await output.flush();
    }
    await output.written();
  }
}

function hint(keys: number, expires: number): Uint8Array {
  const out = new Uint8Array(HINT_SIZE);
  out[0] = RESIZEDB;
  writeLength32(out, writeLength32(out, 1, keys), expires);
  return out;
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ b[i]);
}
