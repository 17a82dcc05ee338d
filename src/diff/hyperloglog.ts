/*
 * HyperLogLogs, which are strings to all but the PF commands (redis hyperloglog.c): a header of 16 bytes, then 2^14 registers of 6 bits,
 * all of them or compressed. The same registers in either form, and with or without a cached cardinality, are the same HyperLogLog.
 */
const HEADER = 16;
const ENCODING = 4;
/** After the encoding: not used, and left as they are. */
const UNUSED = 5;
const UNUSED_END = 8;
const DENSE = 0;
const SPARSE = 1;
const REGISTERS = 1 << 14;
const REGISTER_BITS = 6;
const DENSE_BYTES = HEADER + (REGISTERS * REGISTER_BITS) / 8;
const MAGIC = [0x48, 0x59, 0x4c, 0x4c]; // HYLL

/** Longer strings are none: at worst, each register of a sparse one takes a byte. */
export const LONGEST_HYPERLOGLOG = HEADER + REGISTERS;

export const isHyperLogLog = (bytes: Uint8Array, start: number, end: number): boolean =>
  end - start > HEADER && end - start <= LONGEST_HYPERLOGLOG && MAGIC.every((byte, i) => bytes[start + i] === byte);

/** The unused bytes of the header, and a byte for each register: `HYPERLOGLOG_BYTES`. */
export const HYPERLOGLOG_BYTES = UNUSED_END - UNUSED + REGISTERS;

/** Writes what counts of a HyperLogLog to `out`. Returns whether it is a valid one. */
export function readHyperLogLog(bytes: Uint8Array, start: number, end: number, out: Uint8Array): boolean {
  for (let i = UNUSED; i < UNUSED_END; i++) out[i - UNUSED] = bytes[start + i];
  const at = UNUSED_END - UNUSED;
  const encoding = bytes[start + ENCODING];
  if (encoding === DENSE) return end - start === DENSE_BYTES && dense(bytes, start + HEADER, out, at);
  return encoding === SPARSE && sparse(bytes, start + HEADER, end, out, at);
}

/** Registers follow one another from the lowest bit of the first byte on. */
function dense(bytes: Uint8Array, start: number, out: Uint8Array, at: number): boolean {
  for (let i = 0; i < REGISTERS; i++) {
    const bit = i * REGISTER_BITS;
    const byte = start + (bit >> 3);
    out[at + i] = ((bytes[byte] | (bytes[byte + 1] << 8)) >> (bit & 7)) & 63;
  }
  return true;
}

/** 00xxxxxx: x + 1 zeros; 01xxxxxx yyyyyyyy: xy + 1 zeros; 1vvvvvxx: x + 1 times v + 1. */
function sparse(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): boolean {
  const last = at + REGISTERS;
  let to = at;
  for (let pos = start; pos < end; pos++) {
    const byte = bytes[pos];
    let run = (byte & 63) + 1;
    let value = 0;
    if (byte >= 0x80) {
      run = (byte & 3) + 1;
      value = ((byte >> 2) & 31) + 1;
    } else if (byte >= 0x40) {
      if (++pos === end) return false;
      run = (((byte & 63) << 8) | bytes[pos]) + 1;
    }
    if (to + run > last) return false;
    out.fill(value, to, to + run);
    to += run;
  }
  return to === last;
}
