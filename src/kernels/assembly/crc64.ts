/*
 * CRC-64 of Redis (bytes/crc64.ts is the reference). A step of eight bytes waits for the one before, so three lanes
 * are taken at once, and their checksums put together: the effect of a run of zero bytes on a checksum is a table, too.
 */

const POLY: u64 = 0x95ac9329ac4bc9b5;

/**
 * Address of 8 times 256 words of 64 bits: of a byte 0 to 7 places from the end of a step. Behind them SHIFTS tables of 16 times
 * 16 words: what 2^k bytes of 0 do to each of the 16 halves of bytes of a checksum.
 */
let table: usize = 0;
const SHIFT_TABLES: usize = 8 * 256 * 8;
const SHIFTS: usize = 22;

/** Longest and shortest lane, log2 of bytes. Below the shortest, combining costs more than it saves. */
const LONGEST_LANE: usize = 11;
const SHORTEST_LANE: usize = 6;

let crc: u64 = 0;

export function crcInit(at: usize): void {
  table = at;
  for (let byte = 0; byte < 256; byte++) {
    let value: u64 = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >> 1) ^ POLY : value >> 1;
    store<u64>(at + (byte << 3), value);
  }
  for (let i = 256; i < 8 * 256; i++) store<u64>(at + (i << 3), zeros(load<u64>(at + ((i - 256) << 3)), 1));
  for (let k: usize = 0; k < SHIFTS; k++) {
    const shift = at + SHIFT_TABLES + (k << 11);
    for (let half: usize = 0; half < 16; half++) {
      const words = shift + (half << 7);
      store<u64>(words, 0);
      for (let word: usize = 1; word < 16; word++) {
        const least = word & -word;
        const bit = (least as u64) << (half << 2);
        const value = word != least
          ? load<u64>(words + (least << 3)) ^ load<u64>(words + ((word ^ least) << 3))
          : k == 0 ? zeros(bit, 1) : shifted(shift - 2048, shifted(shift - 2048, bit));
        store<u64>(words + (word << 3), value);
      }
    }
  }
}

@inline
function half(at: usize, which: usize, word: u64): u64 {
  return load<u64>(at + (which << 7) + (((word as u32) & 15) << 3));
}

/** A checksum after the run of zero bytes that the table at `at` is for. */
@inline
function shifted(at: usize, x: u64): u64 {
  return (
    ((half(at, 0, x) ^ half(at, 1, x >> 4)) ^ (half(at, 2, x >> 8) ^ half(at, 3, x >> 12))) ^
    ((half(at, 4, x >> 16) ^ half(at, 5, x >> 20)) ^ (half(at, 6, x >> 24) ^ half(at, 7, x >> 28))) ^
    ((half(at, 8, x >> 32) ^ half(at, 9, x >> 36)) ^ (half(at, 10, x >> 40) ^ half(at, 11, x >> 44))) ^
    ((half(at, 12, x >> 48) ^ half(at, 13, x >> 52)) ^ (half(at, 14, x >> 56) ^ half(at, 15, x >> 60)))
  );
}

/** Values of fewer bytes are quicker read twice; those of more have no tables. */
const LEAST_SHARED: usize = 64;
const MOST_SHARED: usize = (1 << SHIFTS) - 1;

/** A checksum that goes along with payloads: it has all bytes before `runningTo`. */
let running: u64 = 0;
let runningTo: usize = 0;

export function crcRunning(to: usize): void {
  running = crc;
  runningTo = to;
}

export function crcRan(): usize {
  crc = running;
  return runningTo;
}

/**
 * The checksum of a byte and [start, end). Where the running one has not got there yet, it has these bytes afterwards, which are
 * read once for both: the checksum of A and B is that of A after as many bytes of 0 as B has, and that of B.
 */
export function crcShared(byte: u32, start: usize, end: usize): u64 {
  let before = entry(table, 0, byte as u64);
  let size = end - start;
  if (start < runningTo || size < LEAST_SHARED || size > MOST_SHARED) return updated(before, start, end);
  let ahead = updated(running, runningTo, start);
  const own = updated(0, start, end);
  for (; size != 0; size &= size - 1) {
    const at = table + SHIFT_TABLES + ((ctz(size) as usize) << 11);
    ahead = shifted(at, ahead);
    before = shifted(at, before);
  }
  running = ahead ^ own;
  runningTo = end;
  return before ^ own;
}

/** The checksum after `count` bytes of 0. */
function zeros(value: u64, count: usize): u64 {
  for (let i: usize = 0; i < count; i++) value = (value >> 8) ^ load<u64>(table + (((value as u32) & 255) << 3));
  return value;
}

export function crcSet(hi: u32, lo: u32): void {
  crc = ((hi as u64) << 32) | (lo as u64);
}

export function crcHi(): u32 {
  return (crc >> 32) as u32;
}

export function crcLo(): u32 {
  return crc as u32;
}

@inline
function entry(at: usize, which: usize, word: u64): u64 {
  return load<u64>(at + (which << 11) + (((word as u32) & 255) << 3));
}

/** Eight bytes, already combined with the checksum before them. */
@inline
function step(at: usize, x: u64): u64 {
  return (
    (entry(at, 7, x) ^ entry(at, 6, x >> 8)) ^ (entry(at, 5, x >> 16) ^ entry(at, 4, x >> 24)) ^
    ((entry(at, 3, x >> 32) ^ entry(at, 2, x >> 40)) ^ (entry(at, 1, x >> 48) ^ entry(at, 0, x >> 56)))
  );
}

export function crcUpdate(start: usize, end: usize): void {
  crc = updated(crc, start, end);
}

/** The checksum `c` continued over [start, end). */
export function updated(c: u64, start: usize, end: usize): u64 {
  const t = table;
  let p = start;
  for (let k = LONGEST_LANE; k >= SHORTEST_LANE; k--) {
    const lane: usize = 1 << k;
    const shift = t + SHIFT_TABLES + (k << 11);
    for (; p + 3 * lane <= end; p += 2 * lane) {
      let c1: u64 = 0;
      let c2: u64 = 0;
      let p1 = p + lane;
      let p2 = p1 + lane;
      for (const stop = p1; p < stop; p += 8, p1 += 8, p2 += 8) {
        c = step(t, load<u64>(p) ^ c);
        c1 = step(t, load<u64>(p1) ^ c1);
        c2 = step(t, load<u64>(p2) ^ c2);
      }
      c = shifted(shift, shifted(shift, c) ^ c1) ^ c2;
    }
  }
  for (; p + 8 <= end; p += 8) c = step(t, load<u64>(p) ^ c);
  for (; p < end; p++) c = (c >> 8) ^ entry(t, 0, c ^ (load<u8>(p) as u64));
  return c;
}
