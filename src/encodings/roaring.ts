import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { int16, uint32 } from './element.js';

/*
 * A set of 64-bit numbers as CRoaring serialises it portably (RoaringFormatSpec; redis 8.12 rdb.c, RDB_TYPE_BITMAP), all of it
 * little-endian:
 *
 *     buckets (8), then for each bucket, ascending: the high 32 bits of its numbers (4), and a 32-bit bitmap:
 *       cookie (4)        12346, then the number of containers (4); or 12347 in the low half with the number of containers - 1 in
 *                         the high half, then a bit for each container: whether it has runs
 *       headers           for each container, ascending: bits 16 to 31 of its numbers (2), how many it has - 1 (2)
 *       offsets           4 bytes for each container, from the cookie: without runs always, with runs from 4 containers on
 *       containers        runs: a count (2), then first (2) and length - 1 (2) of each; up to 4096 numbers: their low halves (2 each);
 *                         more: 65,536 bits, lowest first
 */
const NO_RUNS = 12346;
const WITH_RUNS = 12347;
/** With runs, fewer containers have no offsets. */
const OFFSETS_FROM = 4;
const MOST_CONTAINERS = 1 << 16;
const MOST_IN_ARRAY = 4096;
const BITSET_BYTES = 8192;

/** Gets runs of set bits in ascending order: bits first to last, inclusive, of the 2^32 that begin at bit hi × 2^32. */
export type OnRun = (hi: number, first: number, last: number) => void;

const BUCKETS = 0;
const KEY = 1;
const COOKIE = 2;
const COUNT = 3;
const RUN_FLAGS = 4;
const HEADERS = 5;
const OFFSETS = 6;
const RUN_COUNT = 7;
const CONTAINER = 8;
const DONE = 9;

/**
 * Reads a serialised bitmap in chunks of any size; holds at most the headers of one bucket (256 KiB). Runs that touch are told as one,
 * within a bucket. Throws RdbError with a position in all bytes so far.
 */
export class RoaringReader {
  private state = BUCKETS;
  /** Bytes of the part that comes next, and those that are here. */
  private need = 8;
  private readonly held = new ByteBuilder();
  /** Bytes before the current part. */
  private at = 0;

  private buckets = 0;
  private hi = -1;
  private bucketAt = 0;
  private containers = 0;
  private runFlags = new Uint8Array(0);
  private keys = new Uint16Array(0);
  private sizes = new Uint16Array(0);
  private index = 0;
  /** Bytes of the current container with its count of runs, and of those before it in the bucket, from the cookie. */
  private containerAt = 0;
  private offsets = new Uint32Array(0);
  private hasOffsets = false;

  /** The run that may go on. */
  private first = -1;
  private last = -1;

  constructor(private readonly onRun: OnRun) {}

  /** Begins another bitmap. `at` is the position that errors have for its first byte. */
  begin(at = 0): void {
    this.state = BUCKETS;
    this.need = 8;
    this.held.clear();
    this.at = at;
    this.hi = this.first = this.last = -1;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    while (pos < end) {
      if (this.state === DONE) throw this.bad('the end of the bitmap', `${end - pos} more bytes`);
      const { held, need } = this;
      if (held.length === 0 && end - pos >= need) {
        this.part(bytes, pos);
        pos += need;
      } else {
        const more = Math.min(need - held.length, end - pos);
        held.copy(bytes, pos, pos + more);
        pos += more;
        if (held.length < need) return;
        this.part(held.bytes, 0);
        held.clear();
      }
      this.at += need;
    }
  }

  end(): void {
    if (this.state !== DONE) throw this.bad(`${this.need - this.held.length} more bytes`, 'the end of the bitmap');
  }

  private bad(expected: string, got: string): RdbError {
    return new RdbError('BAD_BITMAP', { within: this.at, expected, got });
  }

  private next(state: number, need: number): void {
    this.state = state;
    this.need = need;
  }

  /** Takes the `need` bytes at `pos`. */
  private part(bytes: Uint8Array, pos: number): void {
    switch (this.state) {
      case BUCKETS:
        this.buckets = uint32(bytes, pos);
        if (uint32(bytes, pos + 4) !== 0) throw this.bad('at most 4294967295 buckets', 'a larger number');
        this.nextBucket();
        return;
      case KEY: {
        const hi = uint32(bytes, pos);
        if (hi <= this.hi) throw this.bad('buckets in ascending order', `bucket ${hi} after ${this.hi}`);
        this.hi = hi;
        this.bucketAt = this.at + 4;
        this.next(COOKIE, 4);
        return;
      }
      case COOKIE:
        this.cookie(uint32(bytes, pos));
        return;
      case COUNT:
        this.counted(uint32(bytes, pos));
        this.runFlags = new Uint8Array(0);
        this.next(HEADERS, 4 * this.containers);
        return;
      case RUN_FLAGS:
        this.runFlags = bytes.slice(pos, pos + this.need);
        this.next(HEADERS, 4 * this.containers);
        return;
      case HEADERS:
        this.headers(bytes, pos);
        return;
      case OFFSETS:
        this.offsets = new Uint32Array(this.containers);
        for (let i = 0; i < this.containers; i++) this.offsets[i] = uint32(bytes, pos + 4 * i);
        this.nextContainer();
        return;
      case RUN_COUNT: {
        const runs = uint16(bytes, pos);
        if (runs === 0) throw this.bad('a container with runs', 'one without');
        this.next(CONTAINER, 4 * runs);
        return;
      }
      default:
        if (this.hasRuns) this.runs(bytes, pos);
        else if (this.size <= MOST_IN_ARRAY) this.array(bytes, pos);
        else this.bitset(bytes, pos);
        this.containerAt += this.need + (this.hasRuns ? 2 : 0);
        this.index++;
        this.nextContainer();
    }
  }

  private nextBucket(): void {
    if (this.buckets-- > 0) this.next(KEY, 4);
    else this.next(DONE, 1);
  }

  private cookie(cookie: number): void {
    this.index = 0;
    if (cookie === NO_RUNS) {
      this.hasOffsets = true;
      this.next(COUNT, 4);
      return;
    }
    if ((cookie & 0xffff) !== WITH_RUNS) throw this.bad(`the cookie ${NO_RUNS} or ${WITH_RUNS}`, `${cookie}`);
    this.counted((cookie >>> 16) + 1);
    this.hasOffsets = this.containers >= OFFSETS_FROM;
    this.next(RUN_FLAGS, (this.containers + 7) >> 3);
  }

  private counted(containers: number): void {
    if (containers === 0 || containers > MOST_CONTAINERS) throw this.bad('1 to 65536 containers', `${containers}`);
    this.containers = containers;
  }

  private headers(bytes: Uint8Array, pos: number): void {
    const { containers } = this;
    this.keys = new Uint16Array(containers);
    this.sizes = new Uint16Array(containers);
    for (let i = 0; i < containers; i++) {
      this.keys[i] = uint16(bytes, pos + 4 * i);
      this.sizes[i] = uint16(bytes, pos + 4 * i + 2);
      if (i > 0 && this.keys[i] <= this.keys[i - 1])
        throw this.bad('containers in ascending order', `container ${this.keys[i]} after ${this.keys[i - 1]}`);
    }
    this.offsets = new Uint32Array(0);
    const headEnd = this.at + 4 * containers - this.bucketAt;
    this.containerAt = headEnd + (this.hasOffsets ? 4 * containers : 0);
    if (this.hasOffsets) this.next(OFFSETS, 4 * containers);
    else this.nextContainer();
  }

  private get hasRuns(): boolean {
    const { index, runFlags } = this;
    return index >> 3 < runFlags.length && ((runFlags[index >> 3] >> (index & 7)) & 1) === 1;
  }

  private get size(): number {
    return this.sizes[this.index] + 1;
  }

  private nextContainer(): void {
    const { containerAt, index, offsets, size } = this;
    if (index === this.containers) {
      this.flush();
      this.nextBucket();
      return;
    }
    if (index < offsets.length && offsets[index] !== containerAt)
      throw this.bad(`a container at ${containerAt}`, `one at ${offsets[index]}`);
    if (this.hasRuns) this.next(RUN_COUNT, 2);
    else this.next(CONTAINER, size <= MOST_IN_ARRAY ? 2 * size : BITSET_BYTES);
  }

  /** Bits of the current container. */
  private run(first: number, last: number): void {
    const base = this.keys[this.index] * 0x10000;
    if (this.first >= 0 && base + first === this.last + 1) {
      this.last = base + last;
      return;
    }
    this.flush();
    this.first = base + first;
    this.last = base + last;
  }

  private flush(): void {
    if (this.first >= 0) this.onRun(this.hi, this.first, this.last);
    this.first = -1;
  }

  private runs(bytes: Uint8Array, pos: number): void {
    let before = -1;
    let total = 0;
    for (let at = pos; at < pos + this.need; at += 4) {
      const first = uint16(bytes, at);
      const last = first + uint16(bytes, at + 2);
      if (first <= before || last > 0xffff) throw this.bad('runs in ascending order', `a run from ${first} to ${last} after ${before}`);
      total += last - first + 1;
      before = last;
      this.run(first, last);
    }
    this.counts(total);
  }

  private array(bytes: Uint8Array, pos: number): void {
    let before = -1;
    for (let at = pos; at < pos + this.need; at += 2) {
      const bit = uint16(bytes, at);
      if (bit <= before) throw this.bad('numbers in ascending order', `${bit} after ${before}`);
      before = bit;
      this.run(bit, bit);
    }
  }

  private bitset(bytes: Uint8Array, pos: number): void {
    let total = 0;
    let first = -1;
    for (let i = 0; i < BITSET_BYTES; i++) {
      const byte = bytes[pos + i];
      if (byte === 0xff && first >= 0) continue;
      if (byte === 0 && first < 0) continue;
      for (let bit = 0; bit < 8; bit++) {
        const isSet = ((byte >> bit) & 1) === 1;
        if (isSet && first < 0) first = i * 8 + bit;
        if (isSet || first < 0) continue;
        total += i * 8 + bit - first;
        this.run(first, i * 8 + bit - 1);
        first = -1;
      }
    }
    if (first >= 0) {
      total += 0x10000 - first;
      this.run(first, 0xffff);
    }
    this.counts(total);
  }

  private counts(total: number): void {
    if (total !== this.size) throw this.bad(`a container of ${this.size} numbers`, `one of ${total}`);
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return int16(bytes, at) & 0xffff;
}

/** What is said of the containers of one bucket before them. */
interface Bucket {
  readonly hi: number;
  readonly keys: number[];
  readonly sizes: number[];
  readonly runs: boolean[];
  readonly lengths: number[];
}

/**
 * Writes a serialised bitmap from runs in ascending order, each container in the smallest of its three forms, as CRoaring does after
 * `run_optimize`. All but the number of buckets, which goes before them (8 bytes). What stands before the containers of a bucket is
 * known at its end: they go to `body`, whose owner takes them away when `onBucket` gives it what goes before them.
 */
export class RoaringWriter {
  buckets = 0;
  private bucket: Bucket | undefined;
  /** Runs of the current container: first and last by turns. */
  private open: number[] = [];
  private key = -1;

  constructor(
    private readonly body: { readonly out: ByteBuilder; flushIfFull(): void },
    private readonly onBucket: (head: Uint8Array) => void,
  ) {}

  begin(): void {
    this.buckets = 0;
    this.bucket = undefined;
    this.open = [];
    this.key = -1;
  }

  run(hi: number, first: number, last: number): void {
    for (let from = first; from <= last; ) {
      const key = Math.floor(from / 0x10000);
      const to = Math.min(last, key * 0x10000 + 0xffff);
      if (this.bucket?.hi !== hi || key !== this.key) this.container(hi, key);
      const { open } = this;
      const bit = from & 0xffff;
      if (open.length > 0 && open[open.length - 1] === bit - 1) open[open.length - 1] = to & 0xffff;
      else open.push(bit, to & 0xffff);
      from = to + 1;
    }
  }

  private container(hi: number, key: number): void {
    this.close();
    if (this.bucket?.hi !== hi) {
      this.finish();
      this.buckets++;
      this.bucket = { hi, keys: [], sizes: [], runs: [], lengths: [] };
    }
    this.key = key;
  }

  private close(): void {
    const { body, bucket, key, open } = this;
    if (bucket === undefined || open.length === 0) return;
    let size = 0;
    for (let i = 0; i < open.length; i += 2) size += open[i + 1] - open[i] + 1;
    const { out } = body;
    const before = out.length;
    const asRuns = 2 + 2 * open.length < Math.min(2 * size, BITSET_BYTES);
    if (asRuns) this.writeRuns(out);
    else if (size <= MOST_IN_ARRAY) this.writeArray(out);
    else this.writeBitset(out);
    bucket.keys.push(key);
    bucket.sizes.push(size);
    bucket.runs.push(asRuns);
    bucket.lengths.push(out.length - before);
    this.open = [];
    body.flushIfFull();
  }

  private writeRuns(out: ByteBuilder): void {
    const { open } = this;
    out.le(open.length / 2, 2);
    for (let i = 0; i < open.length; i += 2) {
      out.le(open[i], 2);
      out.le(open[i + 1] - open[i], 2);
    }
  }

  private writeArray(out: ByteBuilder): void {
    const { open } = this;
    for (let i = 0; i < open.length; i += 2) for (let bit = open[i]; bit <= open[i + 1]; bit++) out.le(bit, 2);
  }

  private writeBitset(out: ByteBuilder): void {
    const { open } = this;
    const at = out.room(BITSET_BYTES);
    out.bytes.fill(0, at, at + BITSET_BYTES);
    for (let i = 0; i < open.length; i += 2)
      for (let bit = open[i]; bit <= open[i + 1]; bit++) out.bytes[at + (bit >> 3)] |= 1 << (bit & 7);
    out.length = at + BITSET_BYTES;
  }

  /** The end of the last bucket. */
  finish(): void {
    this.close();
    if (this.bucket === undefined) return;
    const head = new ByteBuilder();
    bucketHead(head, this.bucket);
    this.bucket = undefined;
    this.onBucket(head.view());
  }
}

function bucketHead(out: ByteBuilder, { hi, keys, lengths, runs, sizes }: Bucket): void {
  const count = keys.length;
  out.le(hi, 4);
  const cookieAt = out.length;
  const withRuns = runs.includes(true);
  if (withRuns) {
    out.le(WITH_RUNS | ((count - 1) << 16), 4);
    for (let i = 0; i < count; i += 8) out.byte(runs.slice(i, i + 8).reduce((byte, flag, bit) => byte | (Number(flag) << bit), 0));
  } else {
    out.le(NO_RUNS, 4);
    out.le(count, 4);
  }
  for (let i = 0; i < count; i++) {
    out.le(keys[i], 2);
    out.le(sizes[i] - 1, 2);
  }
  if (withRuns && count < OFFSETS_FROM) return;
  let at = out.length - cookieAt + 4 * count;
  for (let i = 0; i < count; i++) {
    out.le(at, 4);
    at += lengths[i];
  }
}
