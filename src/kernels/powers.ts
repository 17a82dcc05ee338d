const LEAST = -292;
const GREATEST = 324;

let table: BigUint64Array | undefined;

/**
 * The powers of ten from 10^-292 to 10^324 as 128-bit numbers with the highest bit set, rounded up: high and low half of each
 * (for assembly/numbers.ts).
 */
export function powersOfTen(): BigUint64Array {
  if (table === undefined) {
    table = new BigUint64Array((GREATEST - LEAST + 1) * 2);
    for (let exponent = LEAST; exponent <= GREATEST; exponent++) {
      const power = normalised(exponent);
      table[(exponent - LEAST) * 2] = power >> 64n;
      table[(exponent - LEAST) * 2 + 1] = BigInt.asUintN(64, power);
    }
  }
  return table;
}

function normalised(exponent: number): bigint {
  const ten = 10n ** BigInt(Math.abs(exponent));
  const bits = ten.toString(16).length * 4 - Math.clz32(parseInt(ten.toString(16).charAt(0), 16)) + 28;
  if (exponent >= 0) return shifted(ten, BigInt(128 - bits));
  const shift = BigInt(127 + bits);
  const quotient = ((1n << shift) + ten - 1n) / ten;
  return quotient >> 128n === 0n ? quotient : (quotient + 1n) >> 1n;
}

/** Shifted left by `by`, or right and rounded up. */
function shifted(value: bigint, by: bigint): bigint {
  return by >= 0n ? value << by : (value + (1n << -by) - 1n) >> -by;
}
