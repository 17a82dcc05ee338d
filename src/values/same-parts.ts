import { constants } from 'node:buffer';

export function haveSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Whether two optional values are the same. */
export function sameOrBothMissing<T>(a: T | undefined, b: T | undefined, same: (a: T, b: T) => boolean): boolean {
  return a === undefined || b === undefined ? a === b : same(a, b);
}

export function sameInOrder<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((one, i) => same(one, b[i]));
}

/** Whether two lists have the same elements in any order. Names are unique: a list with a repeated one is never the same. */
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
    named.delete(name); // so that a repeated one is not found
  }
  return true;
}

/** Each byte as the character with that code. Throws RangeError for more than JavaScript allows. */
function textOf(name: Buffer | string): string {
  if (typeof name === 'string') return name;
  if (name.length > constants.MAX_STRING_LENGTH) throw new RangeError(`a name of ${name.length} bytes`);
  return name.toString('latin1');
}
