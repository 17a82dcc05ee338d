import { constants } from 'node:buffer';

export function haveSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** What two things have, or neither has. */
export function sameOrBothMissing<T>(a: T | undefined, b: T | undefined, same: (a: T, b: T) => boolean): boolean {
  return a === undefined || b === undefined ? a === b : same(a, b);
}

export function sameInOrder<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((one, i) => same(one, b[i]));
}

/** Whether two lists have the same things in any order. Each has a name of its own: where one comes twice, they are not the same. */
export function sameByName<T>(
  a: readonly T[],
  b: readonly T[],
  nameOf: (one: T) => Buffer | string,
  same: (a: T, b: T) => boolean,
): boolean {
  if (a.length !== b.length) return false;
  const named = new Map<string, T>();
  for (const one of a) named.set(textOf(nameOf(one)), one);
  for (const other of b) {
    const name = textOf(nameOf(other));
    const one = named.get(name);
    if (one === undefined || !same(one, other)) return false;
    named.delete(name); // so that a second one finds nothing
  }
  return true;
}

/** Bytes as characters of the same numbers. RangeError where that is longer than JavaScript allows. */
function textOf(name: Buffer | string): string {
  if (typeof name === 'string') return name;
  if (name.length > constants.MAX_STRING_LENGTH) throw new RangeError(`a name of ${name.length} bytes`);
  return name.toString('latin1');
}
