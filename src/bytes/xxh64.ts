/**
 * XXH64, the checksum at the end of zstd frames, in 32-bit halves: BigInt is some twenty times slower.
 * Source: xxHash specification 0.1.1 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
 */
/** A 64-bit number that is changed in place. */
class U64 {
  constructor(
    public hi: number,
    public lo: number,
  ) {}

  add(hi: number, lo: number): this {
    const sum = (this.lo >>> 0) + (lo >>> 0);
    this.hi = (this.hi + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
    this.lo = sum | 0;
    return this;
  }

  multiply(hi: number, lo: number): this {
    const a0 = this.lo & 0xffff;
    const a1 = this.lo >>> 16;
    const b0 = lo & 0xffff;
    const b1 = lo >>> 16;
    const p01 = Math.imul(a0, b1) >>> 0;
    const p10 = Math.imul(a1, b0) >>> 0;
    const middle = (Math.imul(a0, b0) >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
    const high = (Math.imul(a1, b1) + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16)) | 0;
    this.hi = (high + Math.imul(this.hi, lo) + Math.imul(this.lo, hi)) | 0;
    this.lo = Math.imul(this.lo, lo);
    return this;
  }

  xor(hi: number, lo: number): this {
    this.hi ^= hi;
    this.lo ^= lo;
    return this;
  }

  /** `bits` from 1 to 31. */
  rotate(bits: number): this {
    const { hi, lo } = this;
    this.hi = (hi << bits) | (lo >>> (32 - bits));
    this.lo = (lo << bits) | (hi >>> (32 - bits));
    return this;
  }

  /** this ^= this >>> bits, `bits` from 1 to 63. */
  fold(bits: number): this {
    const { hi, lo } = this;
    if (bits >= 32) return this.xor(0, bits === 32 ? hi : hi >>> (bits - 32));
    return this.xor(hi >>> bits, (lo >>> bits) | (hi << (32 - bits)));
  }

  copy(): U64 {
    return new U64(this.hi, this.lo);
  }
}

const P1 = [0x9e3779b1, 0x85ebca87] as const;
const P2 = [0xc2b2ae3d, 0x27d4eb4f] as const;
const P3 = [0x165667b1, 0x9e3779f9] as const;
const P4 = [0x85ebca77, 0xc2b2ae63] as const;
const P5 = [0x27d4eb2f, 0x165667c5] as const;
const STRIPE = 32;

const word = (b: Uint8Array, i: number): number => b[i] | (b[i + 1] << 8) | (b[i + 2] << 16) | (b[i + 3] << 24);

const scratch = new U64(0, 0);

function input(b: Uint8Array, i: number): U64 {
  scratch.hi = word(b, i + 4);
  scratch.lo = word(b, i);
  return scratch.multiply(P2[0], P2[1]);
}

function round(lane: U64, b: Uint8Array, i: number): void {
  const k = input(b, i);
  lane.add(k.hi, k.lo).rotate(31).multiply(P1[0], P1[1]);
}

export class Xxh64 {
  private readonly held = new Uint8Array(STRIPE);
  private heldLength = 0;
  private total = 0;
  private readonly lanes = [
    new U64(P1[0], P1[1]).add(P2[0], P2[1]),
    new U64(P2[0], P2[1]),
    new U64(0, 0),
    new U64(~P1[0], ~P1[1]).add(0, 1),
  ] as const;

  /** Adds `bytes[start, end)`; nothing of it is kept by reference. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.total += end - start;
    let i = start;
    if (this.heldLength > 0) {
      const take = Math.min(STRIPE - this.heldLength, end - i);
      this.held.set(bytes.subarray(i, i + take), this.heldLength);
      this.heldLength += take;
      i += take;
      if (this.heldLength < STRIPE) return this;
      this.stripe(this.held, 0);
      this.heldLength = 0;
    }
    for (; i + STRIPE <= end; i += STRIPE) this.stripe(bytes, i);
    this.held.set(bytes.subarray(i, end));
    this.heldLength = end - i;
    return this;
  }

  private stripe(bytes: Uint8Array, i: number): void {
    for (let lane = 0; lane < 4; lane++) round(this.lanes[lane], bytes, i + 8 * lane);
  }

  private merged(): U64 {
    if (this.total < STRIPE) return new U64(P5[0], P5[1]);
    const [v1, v2, v3, v4] = this.lanes.map((lane) => lane.copy()) as [U64, U64, U64, U64];
    const h = v1.copy().rotate(1);
    for (const [lane, bits] of [[v2, 7], [v3, 12], [v4, 18]] as const) {
      const turned = lane.copy().rotate(bits);
      h.add(turned.hi, turned.lo);
    }
    for (const lane of [v1, v2, v3, v4]) {
      lane.multiply(P2[0], P2[1]).rotate(31).multiply(P1[0], P1[1]);
      h.xor(lane.hi, lane.lo).multiply(P1[0], P1[1]).add(P4[0], P4[1]);
    }
    return h;
  }

  /** The checksum of everything so far; more may be added afterwards. */
  digest(): bigint {
    const h = this.merged().add(Math.floor(this.total / 2 ** 32), this.total | 0);
    let i = 0;
    for (; i + 8 <= this.heldLength; i += 8) {
      const k = input(this.held, i).rotate(31).multiply(P1[0], P1[1]);
      h.xor(k.hi, k.lo).rotate(27).multiply(P1[0], P1[1]).add(P4[0], P4[1]);
    }
    if (i + 4 <= this.heldLength) {
      const k = new U64(0, word(this.held, i)).multiply(P1[0], P1[1]);
      h.xor(k.hi, k.lo).rotate(23).multiply(P2[0], P2[1]).add(P3[0], P3[1]);
      i += 4;
    }
    for (; i < this.heldLength; i++) {
      const k = new U64(0, this.held[i]).multiply(P5[0], P5[1]);
      h.xor(k.hi, k.lo).rotate(11).multiply(P1[0], P1[1]);
    }
    h.fold(33).multiply(P2[0], P2[1]).fold(29).multiply(P3[0], P3[1]).fold(32);
    return (BigInt(h.hi >>> 0) << 32n) | BigInt(h.lo >>> 0);
  }
}
