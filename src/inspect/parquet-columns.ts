import { INT64, type ParquetChunk, type ParquetColumn } from './parquet-file.js';

/** Distinct values of a chunk that become a dictionary, at most: indexes of 14 bits, where the values take 32 or 64. */
const MOST_DISTINCT = 1 << 14;
/** Places in the hash table that finds them. */
const PLACES = MOST_DISTINCT * 4;
const PLACE_BITS = 16;

/** Finds distinct numbers. */
class Distinct {
  readonly values = new Float64Array(MOST_DISTINCT);
  /** For each number that was looked at, which one it is. */
  indexes = new Uint16Array(0);
  private readonly places = new Uint16Array(PLACES);

  /** How many there are; 0 if there are too many. */
  count(numbers: Float64Array): number {
    const { places, values } = this;
    places.fill(0);
    if (this.indexes.length < numbers.length) this.indexes = new Uint16Array(numbers.length);
    const { indexes } = this;
    let count = 0;
    for (let i = 0; i < numbers.length; i++) {
      const value = numbers[i];
      let place = Math.imul((value | 0) ^ (value / 0x100000000), 0x9e3779b1) >>> (32 - PLACE_BITS);
      let found = places[place];
      while (found !== 0 && values[found - 1] !== value) {
        place = (place + 1) & (PLACES - 1);
        found = places[place];
      }
      if (found === 0) {
        if (count === MOST_DISTINCT) return 0;
        values[count++] = value;
        places[place] = found = count;
      }
      indexes[i] = found - 1;
    }
    return count;
  }
}

const distinct = new Distinct();

/** The chunk of a column of whole numbers (INT32 or INT64); NaN where one is missing. */
export function numberChunk({ optional = false, type }: ParquetColumn, numbers: Float64Array): ParquetChunk {
  const present = optional ? withoutMissing(numbers) : numbers;
  const levels = optional ? levelsOf(numbers, numbers.length - present.length) : undefined;
  const width = type === INT64 ? 8 : 4;
  const count = distinct.count(present);
  let min = Infinity;
  let max = -Infinity;
  for (const value of count === 0 ? present : distinct.values.subarray(0, count)) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return {
    dictionary: count === 0 ? undefined : { values: count, bytes: plainNumbers(distinct.values.subarray(0, count), width) },
    data: joined(levels, count === 0 ? plainNumbers(present, width) : indexesOf(distinct.indexes.subarray(0, present.length), count)),
    missing: numbers.length - present.length,
    bounds: present.length === 0 ? undefined : [plainNumbers(Float64Array.of(min), width), plainNumbers(Float64Array.of(max), width)],
  };
}

/** The chunk of a column of texts, given as numbers of `texts`. */
export function textChunk(numbers: Float64Array, texts: readonly Uint8Array[]): ParquetChunk {
  const count = distinct.count(numbers);
  const used = count === 0 ? new Set(numbers) : distinct.values.subarray(0, count);
  const sorted = Array.from(used, (number) => texts[number]).sort((a, b) => Buffer.compare(a, b));
  const bounds = [sorted[0], sorted[sorted.length - 1]] as const;
  if (count === 0) return { data: plainTexts(numbers, texts), missing: 0, bounds };
  return {
    dictionary: { values: count, bytes: plainTexts(distinct.values.subarray(0, count), texts) },
    data: indexesOf(distinct.indexes.subarray(0, numbers.length), count),
    missing: 0,
    bounds,
  };
}

function plainNumbers(numbers: Float64Array, width: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(numbers.length * width);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < numbers.length; i++) {
    view.setInt32(i * width, numbers[i], true);
    if (width === 8) view.setInt32(i * 8 + 4, Math.floor(numbers[i] / 0x100000000), true);
  }
  return bytes;
}

function plainTexts(numbers: Float64Array, texts: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const number of numbers) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(texts[number].length);
    parts.push(length, texts[number]);
  }
  return Buffer.concat(parts);
}

function withoutMissing(numbers: Float64Array): Float64Array {
  const present = new Float64Array(numbers.length);
  let count = 0;
  for (const value of numbers) if (!Number.isNaN(value)) present[count++] = value;
  return present.subarray(0, count);
}

function presence(numbers: Float64Array): Uint16Array {
  const levels = new Uint16Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) if (!Number.isNaN(numbers[i])) levels[i] = 1;
  return levels;
}

/** Definition levels, 1 for a value and 0 for a missing one, with their length before them. */
function levelsOf(numbers: Float64Array, missing: number): Uint8Array {
  const levels =
    missing === 0 || missing === numbers.length
      ? run(numbers.length, missing === 0 ? 1 : 0, 1)
      : bitPacked(presence(numbers), 1);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(levels.length);
  return joined(length, levels);
}

/** Indexes into a dictionary, with their width before them. */
function indexesOf(indexes: Uint16Array, count: number): Uint8Array {
  const bits = Math.max(1, 32 - Math.clz32(count - 1));
  return joined(Uint8Array.of(bits), count === 1 ? run(indexes.length, 0, bits) : bitPacked(indexes, bits));
}

/** One value, `count` times (parquet-format, Encodings.md, "RLE/Bit-Packing Hybrid"). */
function run(count: number, value: number, bits: number): Uint8Array {
  const bytes = varint(count * 2);
  for (let bit = 0; bit < bits; bit += 8) bytes.push((value >> bit) & 0xff);
  return Uint8Array.from(bytes);
}

/** Values of these many bits, the lowest bit first, filled up to groups of eight. */
function bitPacked(values: Uint16Array, bits: number): Uint8Array {
  const groups = Math.ceil(values.length / 8);
  const header = varint(groups * 2 + 1);
  const bytes = new Uint8Array(header.length + groups * bits);
  bytes.set(header);
  let at = header.length;
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < values.length; i++) {
    held |= values[i] << heldBits;
    heldBits += bits;
    for (; heldBits >= 8; heldBits -= 8) {
      bytes[at++] = held;
      held >>>= 8;
    }
  }
  if (heldBits > 0) bytes[at] = held;
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

function joined(first: Uint8Array | undefined, second: Uint8Array): Uint8Array {
  return first === undefined ? second : Buffer.concat([first, second]);
}

/** Texts as a page of a column that is required, in PLAIN encoding: each with its length before it. */
export class TextPage {
  length = 0;
  bytes: Uint8Array;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** Makes sure that `size` bytes fit after `length`. */
  room(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + size, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  get chunk(): ParquetChunk {
    return { data: this.bytes.subarray(0, this.length), missing: 0 };
  }
}
