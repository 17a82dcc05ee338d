/*
 * Rows of a frame table (rdb/frame-table.ts) as RESTORE commands for servers that know ABSTTL (5.0), with REPLACE or without, and
 * with an EXISTS before each of them or without. dump/resp-sink.ts and dump/restore-writer.ts are the reference.
 */
import { crcShared, updated } from './crc64';
import { keySlot } from './slots';
import { digits, unsigned } from './numbers';
import { DAMAGED, DROPPED, HAS_EXPIRE, HAS_META, KEY_HELD, NO_OUTPUT, RECORD, ROUTED_DATABASES } from '../layout';
import { DB, END, EXPIRE, FLAGS, FREQ, GROWN, IDLE, KEY_END, KEY_START, KIND, ROW, START, TYPE } from './row';

/** Most bytes written around key and payload. */
const AROUND: usize = 512;
/** RDB version and CRC-64. */
const FOOTER: usize = 10;

/** '$7\r\nRESTORE\r\n$' */
const RESTORE: usize = memory.data<u8>([0x24, 0x37, 0x0d, 0x0a, 0x52, 0x45, 0x53, 0x54, 0x4f, 0x52, 0x45, 0x0d, 0x0a, 0x24]);
const RESTORE_SIZE: usize = 14;
/** '*2\r\n$6\r\nEXISTS\r\n' */
const EXISTS: usize = memory.data<u8>([0x2a, 0x32, 0x0d, 0x0a, 0x24, 0x36, 0x0d, 0x0a, 0x45, 0x58, 0x49, 0x53, 0x54, 0x53, 0x0d, 0x0a]);
const EXISTS_SIZE: usize = 16;
/** '$7\r\nREPLACE\r\n' */
const REPLACE: usize = memory.data<u8>([0x24, 0x37, 0x0d, 0x0a, 0x52, 0x45, 0x50, 0x4c, 0x41, 0x43, 0x45, 0x0d, 0x0a]);
const REPLACE_SIZE: usize = 13;
/** '$6\r\nABSTTL\r\n' */
const ABSTTL: usize = memory.data<u8>([0x24, 0x36, 0x0d, 0x0a, 0x41, 0x42, 0x53, 0x54, 0x54, 0x4c, 0x0d, 0x0a]);
const ABSTTL_SIZE: usize = 12;
/** '$8\r\nIDLETIME\r\n$' */
const IDLETIME: usize = memory.data<u8>([0x24, 0x38, 0x0d, 0x0a, 0x49, 0x44, 0x4c, 0x45, 0x54, 0x49, 0x4d, 0x45, 0x0d, 0x0a, 0x24]);
const IDLETIME_SIZE: usize = 15;
/** '$4\r\nFREQ\r\n$' */
const FREQ_WORD: usize = memory.data<u8>([0x24, 0x34, 0x0d, 0x0a, 0x46, 0x52, 0x45, 0x51, 0x0d, 0x0a, 0x24]);
const FREQ_SIZE: usize = 11;

/** Bits of the options, as in kernels/codec.ts. */
const WITH_REPLACE = 1;
const WITH_EXISTS = 2;

/** '*2\r\n$6\r\nSELECT\r\n' */
const SELECT: usize = memory.data<u8>([0x2a, 0x32, 0x0d, 0x0a, 0x24, 0x36, 0x0d, 0x0a, 0x53, 0x45, 0x4c, 0x45, 0x43, 0x54, 0x0d, 0x0a]);
const SELECT_SIZE: usize = 16;

/** The database of the last record that was written. */
let selected: i32 = 0;

export function restoresDb(): i32 {
  return selected;
}

/** Bytes of a row of the table of outputs: address of the next command, end of the room, commands so far, the server's clock (f64). */
const OUT: usize = 24;
const OUT_END: usize = 4;
const OUT_UNITS: usize = 8;
const OUT_NOW: usize = 16;

/**
 * Writes rows [row, rows), whose positions count from `base`, each to the output whose number is the sum of what `routes` (16384 numbers
 * of 16 bits; 0 for none) has for the slot of its key and what `databases` (ROUTED_DATABASES numbers of 16 bits) has for its database.
 * Where `databases` is 0, SELECT is written where the database is not that of the record before, which was `db`. Rows of records that
 * were dropped are passed over. Stops at a row that is no whole record, that is damaged, that goes to a database without an output, that
 * has expired by the clock of its output, whose decompressed value is larger than `largest` allows (512 doubles by type; 0 for any), or
 * whose output has no room. Returns that row. `versions`: 512 numbers of 16 bits, by type.
 */
export function restores(
  table: usize, row: i32, rows: i32, base: usize, outs: usize, routes: usize, databases: usize, largest: usize, db: i32, versions: usize,
  options: i32,
): i32 {
  const replaces = (options & WITH_REPLACE) != 0;
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0) continue;
    if (load<i32>(at, KIND) != RECORD || (flags & (HAS_META | KEY_HELD | DAMAGED)) != 0) break;
    const rowDb = load<i32>(at, DB);
    let out = outs;
    if (databases != 0) {
      if ((rowDb as u32) >= (ROUTED_DATABASES as u32)) break;
      const first = load<u16>(databases + ((rowDb as usize) << 1)) as usize;
      if (first == (NO_OUTPUT as usize)) break;
      out += first * OUT;
    }
    const keyStart = base + (load<u32>(at, KEY_START) as usize);
    const keySize = base + (load<u32>(at, KEY_END) as usize) - keyStart;
    const start = base + (load<u32>(at, START) as usize);
    const size = base + (load<u32>(at, END) as usize) - start;
    const type = load<u32>(at, TYPE) as usize;
    if (largest != 0 && !((load<u32>(at, GROWN) as f64) <= load<f64>(largest + (type << 3)))) break;
    const expires = (flags & HAS_EXPIRE) != 0;
    const expire = load<i64>(at, EXPIRE);
    if (routes != 0) out += (load<u16>(routes + (keySlot(keyStart, keySize) << 1)) as usize) * OUT;
    if (expires && expire <= (load<f64>(out, OUT_NOW) as i64)) break;
    let o = load<u32>(out) as usize;
    const payload: usize = 1 + size + FOOTER;
    if (o + keySize + keySize + payload + AROUND > (load<u32>(out, OUT_END) as usize)) break;

    if (databases == 0 && rowDb != db) {
      db = rowDb;
      o = literal(o, SELECT, SELECT_SIZE);
      store<u8>(o, 0x24);
      o = number(rowDb as u64, o + 1);
    }
    const idle = load<f64>(at, IDLE);
    const freq = load<i32>(at, FREQ);
    if ((options & WITH_EXISTS) != 0) {
      o = literal(o, EXISTS, EXISTS_SIZE);
      store<u8>(o, 0x24);
      o = lineEnd(unsigned(keySize as u64, o + 1));
      o = lineEnd(copy(keyStart, keySize, o));
    }
    store<u32>(o, 0x0a0d302a + ((4 + (replaces ? 1 : 0) + (expires ? 1 : 0) + (idle >= 0 || freq >= 0 ? 2 : 0)) << 8)); // *n
    o = literal(o + 4, RESTORE, RESTORE_SIZE);
    o = lineEnd(unsigned(keySize as u64, o));
    o = lineEnd(copy(keyStart, keySize, o));
    store<u8>(o, 0x24);
    o = number(!expires ? 0 : expire < 1 ? 1 : (expire as u64), o + 1);
    store<u8>(o, 0x24);
    o = lineEnd(unsigned(payload as u64, o + 1));
    store<u8>(o, type as u8); // type numbers of Valkey are 256 more
    o = copy(start, size, o + 1);
    store<u16>(o, load<u16>(versions + (type << 1)));
    store<u64>(o, updated(crcShared(type as u8, start, start + size), o, o + 2), 2);
    o = lineEnd(o + FOOTER);
    if (replaces) o = literal(o, REPLACE, REPLACE_SIZE);
    if (expires) o = literal(o, ABSTTL, ABSTTL_SIZE);
    if (idle >= 0) o = number(idle as u64, literal(o, IDLETIME, IDLETIME_SIZE));
    else if (freq >= 0) o = number(freq as u64, literal(o, FREQ_WORD, FREQ_SIZE));
    store<u32>(out, o as u32);
    store<u32>(out, load<u32>(out, OUT_UNITS) + 1, OUT_UNITS);
  }
  selected = db;
  return row;
}

/** Copies a text of up to 16 bytes. */
@inline
function literal(at: usize, text: usize, size: usize): usize {
  v128.store(at, v128.load(text));
  return at + size;
}

/** A number as an argument, after its `$`. */
function number(value: u64, at: usize): usize {
  return lineEnd(unsigned(value, lineEnd(unsigned(digits(value) as u64, at))));
}

@inline
function lineEnd(at: usize): usize {
  store<u16>(at, 0x0a0d);
  return at + 2;
}

/** The copy of the runtime is a call, and slow for little; 16 bytes more may change. */
@inline
function copy(from: usize, size: usize, to: usize): usize {
  if (size > 512) memory.copy(to, from, size);
  else for (let k: usize = 0; k < size; k += 16) v128.store(to + k, v128.load(from + k));
  return to + size;
}
