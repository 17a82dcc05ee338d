import { Crc64 } from './crc64.js';

type Halves = Readonly<Pick<Crc64, 'hi' | 'lo'>>;

/** A linear map of 64 bits: the image of each bit. */
type BitMap = readonly Halves[];

/** The map that one appended zero byte applies to a CRC-64. */
function oneZero(): BitMap {
  const zero = new Uint8Array(1);
  return Array.from({ length: 64 }, (_, bit) => {
    const crc = new Crc64();
    crc.hi = bit < 32 ? 0 : (1 << (bit - 32)) >>> 0;
    crc.lo = bit < 32 ? (1 << bit) >>> 0 : 0;
    return crc.update(zero);
  });
}

function apply(map: BitMap, { hi, lo }: Halves): Halves {
  let [outHi, outLo] = [0, 0];
  for (let bit = 0; bit < 64; bit++) {
    const set = bit < 32 ? (lo >>> bit) & 1 : (hi >>> (bit - 32)) & 1;
    if (set === 0) continue;
    outHi ^= map[bit].hi;
    outLo ^= map[bit].lo;
  }
  return { hi: outHi >>> 0, lo: outLo >>> 0 };
}

/**
 * The CRC-64 of bytes followed by `zeros` zero bytes, from the CRC of the bytes: one squaring of a bit matrix per binary digit of
 * `zeros`. As the CRC starts at 0 and is linear, this is what changed bytes add by xor to the CRC of everything.
 */
export function crc64Shift(crc: Halves, zeros: number): Halves {
  let result: Halves = { hi: crc.hi, lo: crc.lo };
  let map = oneZero();
  for (let left = zeros; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = apply(map, result);
    const square = map;
    map = square.map((bit) => apply(square, bit));
  }
  return result;
}
