import { ByteBuilder } from '../../bytes/builder.js';
import { RdbError } from '../../bytes/errors.js';
import { BYTES, Element } from '../../encodings/element.js';
import { addBytes, addLength64 } from '../../rdb/write-string.js';
import type { Encoding } from './encoding.js';

/** Milliseconds and sequence, as one number of 128 bits. */
export type Id = bigint;

/** Limits of a node: entries (stream-node-max-entries) and bytes (stream-node-max-bytes). */
const NODE_ENTRIES = 100;
const NODE_BYTES = 4096;
/** Servers refuse larger listpacks (redis listpack.c, LISTPACK_MAX_SAFETY_LIMIT). */
const GREATEST_LISTPACK = 1 << 30;

const SAME_FIELDS = 2;

/** An entry as it waits for its node: where its elements end in `bytes`, names and values in turn. */
interface Waiting {
  readonly id: Id;
  readonly ends: readonly number[];
  readonly sameFields: boolean;
}

/** Gathers entries into nodes, whose layout is told in encodings/stream.ts. */
export class Nodes {
  /** Entries and nodes so far, the first ID and the last. */
  entries = 0;
  nodes = 0;
  first: Id = 0n;
  last: Id = 0n;

  private readonly bytes = new ByteBuilder();
  private readonly key = new ByteBuilder();
  private waiting: Waiting[] = [];
  private ends: number[] = [];
  private startAt = 0;
  private id: Id | undefined;
  private readonly element = new Element();

  constructor(private readonly encoding: Encoding) {}

  begin(): void {
    this.entries = this.nodes = 0;
    this.first = this.last = 0n;
    this.bytes.clear();
    this.waiting = [];
    this.entryBegin();
  }

  entryBegin(): void {
    this.id = undefined;
    this.ends = [];
    this.startAt = this.bytes.length;
  }

  entryId(id: Id): void {
    this.id = id;
  }

  /** A name or a value of the current entry. */
  add(pieces: Iterable<Uint8Array>): void {
    const { bytes } = this;
    for (const piece of pieces) bytes.copy(piece, 0, piece.length);
    if (bytes.length - this.startAt > GREATEST_LISTPACK)
      throw new RdbError('BAD_LINE', { expected: 'an entry of up to a gibibyte', got: 'a larger one' });
    this.ends.push(bytes.length);
  }

  entryEnd(): void {
    const id = this.id as Id;
    if (this.waiting.length >= NODE_ENTRIES || (this.waiting.length > 0 && this.bytes.length >= NODE_BYTES)) this.flushBefore();
    if (this.entries === 0) this.first = id;
    this.last = id;
    this.entries++;
    this.waiting.push({ id, ends: this.ends, sameFields: this.hasFieldsOfFirst() });
    this.entryBegin();
  }

  /** The end of the stream. */
  end(): void {
    if (this.waiting.length > 0) this.flush();
  }

  /** Writes the entries before the current one, which becomes the first of the next node. */
  private flushBefore(): void {
    const { bytes, startAt } = this;
    const entry = bytes.bytes.slice(startAt, bytes.length);
    this.flush();
    this.startAt = 0;
    this.ends = this.ends.map((end) => end - startAt);
    bytes.copy(entry, 0, entry.length);
  }

  private hasFieldsOfFirst(): boolean {
    const { ends, waiting } = this;
    if (waiting.length === 0) return true;
    const first = waiting[0].ends;
    if (first.length !== ends.length) return false;
    for (let i = 0; i < ends.length; i += 2)
      if (Buffer.compare(this.view(first, i, 0), this.view(ends, i, this.startAt)) !== 0) return false;
    return true;
  }

  private view(ends: readonly number[], i: number, startAt: number): Uint8Array {
    return this.bytes.bytes.subarray(i === 0 ? startAt : ends[i - 1], ends[i]);
  }

  private flush(): void {
    const { encoding, key, waiting } = this;
    const { body, listpack } = encoding;
    key.clear();
    addId(key, waiting[0].id);
    addBytes(body.out, key.bytes, 0, key.length);
    listpack.begin();
    this.number(waiting.length);
    this.number(0);
    this.number(waiting[0].ends.length / 2);
    for (let i = 0; i < waiting[0].ends.length; i += 2) this.text(waiting[0].ends, i, 0);
    this.number(0);
    waiting.forEach((entry, i) => this.entry(entry, waiting[0].id, i === 0 ? 0 : (waiting[i - 1].ends.at(-1) as number)));
    if (listpack.size > GREATEST_LISTPACK)
      throw new RdbError('BAD_LINE', { expected: 'a stream node of up to a gibibyte', got: 'a larger one' });
    body.packed(listpack.finish());
    this.nodes++;
    this.waiting = [];
    this.bytes.clear();
  }

  private entry({ ends, id, sameFields }: Waiting, master: Id, startAt: number): void {
    this.number(sameFields ? SAME_FIELDS : 0);
    for (const difference of differences(id, master)) this.big(difference);
    if (!sameFields) this.number(ends.length / 2);
    for (let i = sameFields ? 1 : 0; i < ends.length; i += sameFields ? 2 : 1) this.text(ends, i, startAt);
    this.number(sameFields ? ends.length / 2 + 3 : ends.length + 4);
  }

  private text(ends: readonly number[], i: number, startAt: number): void {
    const { element } = this;
    element.kind = BYTES;
    element.bytes = this.bytes.bytes;
    element.start = i === 0 ? startAt : ends[i - 1];
    element.end = ends[i];
    this.encoding.listpack.add(element);
  }

  private number(value: number): void {
    this.element.setInt(value);
    this.encoding.listpack.add(this.element);
  }

  private big(value: bigint): void {
    const signed = BigInt.asIntN(64, value);
    this.element.setInt64(Number(signed >> 32n), Number(signed & 0xffffffffn));
    this.encoding.listpack.add(this.element);
  }
}

const MOST_UNSIGNED = 2n ** 64n - 1n;

const high = (value: bigint): number => Number((value >> 32n) & 0xffffffffn);
const low = (value: bigint): number => Number(value & 0xffffffffn);

/** 16 bytes, big-endian (redis t_stream.c, streamEncodeID). */
export function addId(out: ByteBuilder, id: Id): void {
  for (const shift of [96n, 64n, 32n, 0n]) out.be(Number((id >> shift) & 0xffffffffn), 4);
}

/** As two lengths. */
export function addIdLengths(out: ByteBuilder, id: Id): void {
  addUnsigned(out, id >> 64n);
  addUnsigned(out, id & MOST_UNSIGNED);
}

/** A length of 64 bits; a negative one as two's complement. */
export function addUnsigned(out: ByteBuilder, value: bigint): void {
  addLength64(out, high(value), low(value));
}

/** 8 bytes, little-endian. */
export function addMs(out: ByteBuilder, ms: bigint): void {
  out.le64(high(ms), low(ms));
}

/** Milliseconds and sequence of one ID less those of another, as 64 bits each that wrap around. */
function differences(id: Id, from: Id): [ms: bigint, seq: bigint] {
  return [(id >> 64n) - (from >> 64n), (id & MOST_UNSIGNED) - (from & MOST_UNSIGNED)];
}
