/*
 * Hashes for comparing values and names, fast rather than strong; the kernels have the same (kernels/assembly/hash.ts).
 */
const STRIPE = 32;
const A = 0x9e3779b1 | 0;
const B = 0x85ebca6b | 0;
const C = 0xc2b2ae35 | 0;
const LANES = 8;
const { imul } = Math;

const word = (b: Uint8Array, i: number): number => b[i] | (b[i + 1] << 8) | (b[i + 2] << 16) | (b[i + 3] << 24);

/** As in XXH32: a multiplication on either side, so that a bit of one word is not undone by a bit of the next. */
function mixed(lane: number, word: number): number {
  const sum = (lane + imul(word, A)) | 0;
  return imul((sum << 13) | (sum >>> 19), C);
}

function spread(lane: number, by: number): number {
  const h = imul(lane ^ (lane >>> 15), by);
  return h ^ (h >>> 13);
}

function finished(hash: number): number {
  let h = imul(hash ^ (hash >>> 16), B);
  h = imul(h ^ (h >>> 13), C);
  return h ^ (h >>> 16);
}

/** Values of fewer bytes are not worth comparing: their digest is 0. */
export const LEAST_DIGESTED = 64;

/** A digest of bytes that may come in pieces: an integer below 2^53, 0 below LEAST_DIGESTED bytes, else above. */
export class Digest {
  private readonly lanes = new Int32Array(LANES);
  private readonly held = new Uint8Array(STRIPE);
  private heldLength = 0;
  private total = 0;

  /** Begins another one: equal bytes with different seeds have different digests. */
  begin(seed: number): this {
    for (let i = 0; i < LANES; i++) this.lanes[i] = imul(seed + i + 1, B);
    this.heldLength = this.total = 0;
    return this;
  }

  add(bytes: Uint8Array, start: number, end: number): this {
    const { held } = this;
    this.total += end - start;
    let pos = start;
    if (this.heldLength > 0) {
      while (pos < end && this.heldLength < STRIPE) held[this.heldLength++] = bytes[pos++];
      if (this.heldLength < STRIPE) return this;
      this.stripes(held, 0, STRIPE);
      this.heldLength = 0;
    }
    pos = this.stripes(bytes, pos, end);
    while (pos < end) held[this.heldLength++] = bytes[pos++];
    return this;
  }

  end(): number {
    const { held, lanes, total } = this;
    if (total < LEAST_DIGESTED) return 0;
    this.stripes(held.fill(0, this.heldLength), 0, STRIPE);
    let [low, high] = [total | 0, total | 0];
    for (let i = 0; i < LANES / 2; i++) {
      const a = spread(lanes[i], B);
      const b = spread(lanes[i + LANES / 2], C);
      low = mixed(low, (a + b) | 0);
      high = mixed(high, imul(a, A) ^ b);
    }
    low = finished(low) >>> 0;
    high = finished(high) >>> 11;
    return high * 0x100000000 + low || 1;
  }

  /** Takes all whole stripes; returns where the rest begins. */
  private stripes(bytes: Uint8Array, start: number, end: number): number {
    const { lanes } = this;
    let [a, b, c, d, e, f, g, h] = lanes;
    let i = start;
    for (; i + STRIPE <= end; i += STRIPE) {
      a = mixed(a, word(bytes, i));
      b = mixed(b, word(bytes, i + 4));
      c = mixed(c, word(bytes, i + 8));
      d = mixed(d, word(bytes, i + 12));
      e = mixed(e, word(bytes, i + 16));
      f = mixed(f, word(bytes, i + 20));
      g = mixed(g, word(bytes, i + 24));
      h = mixed(h, word(bytes, i + 28));
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
    lanes[4] = e;
    lanes[5] = f;
    lanes[6] = g;
    lanes[7] = h;
    return i;
  }
}

/** Bytes of a name that are hashed, besides its length: of longer names, the first ones. */
export const HASHED_NAME = 256;

/** A hash of the field name of `length` bytes at `start`, for a sum over the fields of a hash: 32 bits, signed. */
export function nameHash(bytes: Uint8Array, start: number, length: number): number {
  const end = start + Math.min(length, HASHED_NAME);
  let h = imul(length + 1, C);
  let i = start;
  for (; i + 4 <= end; i += 4) h = mixed(h, word(bytes, i));
  let rest = 0;
  for (let shift = 0; i < end; i++, shift += 8) rest |= bytes[i] << shift;
  return finished(mixed(h, rest));
}

const whole = new Digest();

/** The digest of bytes that are all here. */
export function digestOf(seed: number, bytes: Uint8Array, start: number, end: number): number {
  return end - start < LEAST_DIGESTED ? 0 : whole.begin(seed).add(bytes, start, end).end();
}
