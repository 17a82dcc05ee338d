/** Adds `b[j, j + 4)` to `a[i, i + 4)`, both words of an integer of 128 bits, lowest first; modulo 2^128. */
export function add128(a: Int32Array, i: number, b: Int32Array, j: number): void {
  let carry = 0;
  for (let k = 0; k < 4; k++) {
    const sum = (a[i + k] >>> 0) + (b[j + k] >>> 0) + carry;
    a[i + k] = sum | 0;
    carry = sum > 0xffffffff ? 1 : 0;
  }
}

export function same128(a: Int32Array, i: number, b: Int32Array, j: number): boolean {
  return a[i] === b[j] && a[i + 1] === b[j + 1] && a[i + 2] === b[j + 2] && a[i + 3] === b[j + 3];
}
