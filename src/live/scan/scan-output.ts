import { ByteBuilder } from '../../bytes/builder.js';
import { RdbError } from '../../bytes/errors.js';
import { FIRST_KEY_META_VERSION, VALKEY_VERSION } from '../../rdb/payload.js';
import type { Vendor } from '../../rdb/types.js';
import { AUX, AUX_SINCE, EOF, LENGTH_SIZE, magicOf, SELECTDB, writeLength } from '../../rdb/write.js';
import { addStringOf } from '../../rdb/write-string.js';
import type { ServerInfo } from '../../redis/server-info.js';
import type { ChunkPipe } from '../chunk-pipe.js';

/** Characters of what a server tells of itself. */
const LONGEST_AUX = 64;
/** Versions up to this one are the same in Redis and Valkey. */
const COMMON_VERSION = 11;

export const vendorOf = (version: number): Vendor => (version >= VALKEY_VERSION ? 'valkey' : 'redis');

/** The RDB that scans make, one after another: header, records, end. Its checksum is zero, for none. */
export class ScanOutput {
  /** RDB version; 0 before the header. */
  version = 0;
  private db = -1;

  constructor(readonly pipe: ChunkPipe) {}

  get vendor(): Vendor {
    return vendorOf(this.version);
  }

  /** Whether payloads may have metadata before their type. */
  get hasKeyMeta(): boolean {
    return this.version >= FIRST_KEY_META_VERSION && this.version < VALKEY_VERSION;
  }

  /** Writes the header where there is none yet. `version`: the RDB version of the server; `now`: Unix milliseconds by its clock. */
  begin(version: number, { make, redisVersion, usedMemory, version: release }: Omit<ServerInfo, 'clockAhead'>, now: number): void {
    if (this.version > 0) return;
    this.version = version;
    const out = new ByteBuilder();
    const magic = magicOf(vendorOf(version), version);
    out.copy(magic, 0, magic.length);
    if (version >= AUX_SINCE) {
      if (make === 'valkey') aux(out, 'valkey-ver', release);
      if (redisVersion !== '') aux(out, 'redis-ver', redisVersion);
      aux(out, 'redis-bits', '64');
      aux(out, 'ctime', String(Math.floor(now / 1000)));
      if (usedMemory > 0) aux(out, 'used-mem', String(usedMemory));
    }
    this.pipe.bytes.set(out.view(), this.pipe.length);
    this.pipe.length += out.length;
  }

  /** Throws SOURCE_REFUSED where values of this version do not belong into the RDB. */
  check(version: number, file: string): void {
    if (version === this.version) return;
    if (version < this.version && version > 0 && (vendorOf(version) === this.vendor || version <= COMMON_VERSION)) return;
    throw new RdbError('SOURCE_REFUSED', {
      file,
      expected: `values of RDB version ${this.version}, as the first ones`,
      got: `one of version ${version}: servers of different versions answer`,
    });
  }

  /** Bytes that `begin` and `select` write at most. */
  static readonly HEADER_SIZE = 512;
  static readonly SELECT_SIZE = 1 + LENGTH_SIZE;

  /** Says that records of this database follow. There has to be room. */
  select(db: number): void {
    if (db === this.db) return;
    const { pipe } = this;
    this.db = db;
    pipe.bytes[pipe.length] = SELECTDB;
    pipe.length = writeLength(pipe.bytes, pipe.length + 1, db);
  }

  async end(): Promise<void> {
    const { pipe } = this;
    if (!pipe.fits(9)) await pipe.room();
    pipe.bytes[pipe.length] = EOF;
    pipe.bytes.fill(0, pipe.length + 1, pipe.length + 9);
    pipe.length += 9;
  }
}

function aux(out: ByteBuilder, name: string, value: string): void {
  out.byte(AUX);
  addStringOf(out, Buffer.from(name, 'latin1'));
  addStringOf(out, Buffer.from(value.slice(0, LONGEST_AUX), 'latin1'));
}
