import { parseDouble } from '../bytes/double.js';
import { RdbError } from '../bytes/errors.js';
import { DOUBLE, type Element, INT, INT64 } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';

/** The number of a signed integer element; the nearest one above 2^53. */
export function signedOf(element: Element): number {
  return element.kind === INT64 ? element.hi * 0x100000000 + element.lo : element.num;
}

/** The same for an unsigned integer, which elements hold as two's complement. */
export function unsignedOf(element: Element): number {
  const value = signedOf(element);
  return value < 0 ? Number(uint64Of(element)) : value;
}

export function int64Of(element: Element): bigint {
  return element.kind === INT64 ? (BigInt(element.hi) << 32n) | BigInt(element.lo) : BigInt(element.num);
}

export function uint64Of(element: Element): bigint {
  return BigInt.asUintN(64, int64Of(element));
}

/** A score as a double: elements have a number, or a text in old and packed encodings. */
export function scoreOf(element: Element): number {
  if (element.kind === DOUBLE || element.kind === INT) return element.num;
  if (element.kind === INT64) return signedOf(element);
  const score = parseDouble(element.bytes, element.start, element.end);
  if (score === undefined) throw new RdbError('BAD_NUMBER', { within: element.start, expected: 'a score', got: 'another text' });
  return score;
}

/** `milliseconds-sequence`, as commands print IDs. */
export function idText(id: StreamId): string {
  return `${half(id.msHi, id.msLo)}-${half(id.seqHi, id.seqLo)}`;
}

function half(hi: number, lo: number): number | bigint {
  return hi < 0x200000 ? hi * 0x100000000 + lo : (BigInt(hi) << 32n) | BigInt(lo);
}
