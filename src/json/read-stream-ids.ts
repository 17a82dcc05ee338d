import type { ByteBuilder } from '../bytes/builder.js';
import { addLength64 } from '../rdb/write-string.js';
import { MOST_UNSIGNED } from './number-places.js';
import { type Place, WordPlace } from './places.js';

/** Milliseconds and sequence, as one number of 128 bits. */
export type Id = bigint;

const FORM = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/;

/** An ID as commands print it. */
export class IdPlace extends WordPlace {
  constructor(set: (id: Id) => void) {
    super('an ID like "1700000000000-0"', (word, place) => set(parseId(word, place)));
  }
}

function parseId(word: string, place: Place): Id {
  const match = FORM.exec(word);
  const [ms, seq] = match === null ? [-1n, -1n] : [BigInt(match[1]), BigInt(match[2])];
  if (match === null || ms > MOST_UNSIGNED || seq > MOST_UNSIGNED) throw place.wrong(JSON.stringify(word.slice(0, 60)));
  return (ms << 64n) | seq;
}

const high = (value: bigint): number => Number((value >> 32n) & 0xffffffffn);
const low = (value: bigint): number => Number(value & 0xffffffffn);

/** 16 bytes, big-endian (redis t_stream.c, streamEncodeID). */
export function addId(out: ByteBuilder, id: Id): void {
  for (const shift of [96n, 64n, 32n, 0n]) out.be(Number((id >> shift) & 0xffffffffn), 4);
}

/** As two lengths. */
export function addIdLengths(out: ByteBuilder, id: Id): void {
  addUnsigned(out, id >> 64n);
  addUnsigned(out, id & MOST_UNSIGNED);
}

/** A length of 64 bits; a negative one as two's complement. */
export function addUnsigned(out: ByteBuilder, value: bigint): void {
  addLength64(out, high(value), low(value));
}

/** 8 bytes, little-endian. */
export function addMs(out: ByteBuilder, ms: bigint): void {
  out.le64(high(ms), low(ms));
}

/** Milliseconds and sequence of one ID less those of another, as 64 bits each that wrap around. */
export function differences(id: Id, from: Id): [ms: bigint, seq: bigint] {
  return [(id >> 64n) - (from >> 64n), (id & MOST_UNSIGNED) - (from & MOST_UNSIGNED)];
}
