import { RdbError } from '../bytes/errors.js';
import { Element, INT, int32, uint32 } from '../encodings/element.js';
import { StreamId } from '../encodings/stream.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import { readString, Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';

/** Receives the groups of a stream, in this order. */
export interface GroupVisitor {
  /** `entriesRead`: an INT element, or undefined if the server does not know. */
  groupBegin(name: Element, lastId: StreamId, entriesRead: Element | undefined): void;
  /** `consumer` is undefined for an entry that was handed back (redis 8.8). */
  pending(id: StreamId, consumer: Element | undefined, deliveredAt: Element, deliveries: Element): void;
  /** `activeTime` is undefined before 7.2, null for a consumer that was never active. */
  consumer(name: Element, seenTime: Element, activeTime: Element | null | undefined): void;
  groupEnd(): void;
}

/** Idempotent producing (redis 8.6). */
export interface IdempotenceVisitor {
  producer(id: Element): void;
  produced(id: Element, streamId: StreamId): void;
}

const PEL_ID = 16;

/** Servers write -1 for unknown. */
function isMinusOne(element: Element): boolean {
  return element.kind === INT && element.num === -1;
}

/**
 * What follows the nodes of a stream (redis rdb.c, rdbSaveObject): lengths and IDs, then the consumer groups. A group has all its
 * pending entries with times and counts, and after them each consumer with the IDs of its own, so they are matched here: 8 bytes of
 * memory per pending entry besides the input.
 */
export class StreamTail {
  readonly lastId = new StreamId();
  readonly firstId = new StreamId();
  readonly maxDeletedId = new StreamId();
  /** INT or INT64 elements, unsigned. */
  readonly length = new Element();
  readonly entriesAdded = new Element();
  /** Whether there are firstId, maxDeletedId and entriesAdded (since 7.0). */
  readonly hasOffsets: boolean;
  readonly hasIdempotence: boolean;

  private readonly hasActiveTime: boolean;
  private readonly hasHandedBack: boolean;
  private readonly read: Length = { value: 0, hi: 0, lo: 0 };
  private readonly string = new Element();
  private readonly scratch = new Scratch();
  private pos: number;

  constructor(
    type: TypeRow,
    private readonly bytes: Uint8Array,
    start: number,
    private readonly end: number,
  ) {
    this.hasOffsets = type.id >= 19;
    this.hasActiveTime = type.id >= 21;
    this.hasIdempotence = type.id >= 26;
    this.hasHandedBack = type.id >= 27;
    this.pos = start;
    this.number(this.length);
    this.id(this.lastId);
    if (!this.hasOffsets) return;
    this.id(this.firstId);
    this.id(this.maxDeletedId);
    this.number(this.entriesAdded);
  }

  /** Visits every group. Once, and before `idempotence`. */
  groups(visitor: GroupVisitor): void {
    const name = new Element();
    const lastId = new StreamId();
    const entriesRead = new Element();
    for (let left = this.count(); left > 0; left--) {
      this.text(name);
      this.id(lastId);
      if (this.hasOffsets) this.number(entriesRead);
      const known = this.hasOffsets && !isMinusOne(entriesRead);
      visitor.groupBegin(name, lastId, known ? entriesRead : undefined);
      this.group(visitor);
    }
  }

  private group(visitor: GroupVisitor): void {
    const entries = this.count();
    const starts = new Float64Array(this.plausible(entries, PEL_ID + 8 + 1));
    for (let i = 0; i < entries; i++) {
      starts[i] = this.pos;
      this.pos += PEL_ID + 8;
      this.count();
    }
    const owners = new Int32Array(entries).fill(-1);
    const consumers = this.count();
    const names = new Float64Array(this.plausible(consumers, 10));
    const consumersStart = this.pos;
    for (let c = 0; c < consumers; c++) {
      names[c] = this.pos;
      this.consumerHead();
      for (let left = this.count(); left > 0; left--) {
        owners[this.find(starts, this.pos)] = c;
        this.pos += PEL_ID;
      }
    }
    if (this.hasHandedBack) this.skipIds();
    const after = this.pos;
    this.pendingEntries(visitor, starts, owners, names);
    this.pos = consumersStart;
    for (let c = 0; c < consumers; c++) this.tellConsumer(visitor);
    visitor.groupEnd();
    this.pos = after;
  }

  private pendingEntries(visitor: GroupVisitor, starts: Float64Array, owners: Int32Array, names: Float64Array): void {
    const id = new StreamId();
    const deliveredAt = new Element();
    const deliveries = new Element();
    const consumer = new Element();
    let named = -1;
    for (let i = 0; i < starts.length; i++) {
      const owner = owners[i];
      if (owner < 0 && !this.hasHandedBack) throw this.bad('a consumer for every pending entry', 'an entry without one');
      if (owner >= 0 && owner !== named) {
        this.pos = names[owner];
        this.text(consumer);
        named = owner;
      }
      this.pos = starts[i];
      id.read(this.bytes, this.pos);
      this.pos += PEL_ID;
      this.time(deliveredAt);
      this.number(deliveries);
      visitor.pending(id, owner < 0 ? undefined : consumer, deliveredAt, deliveries);
    }
  }

  private tellConsumer(visitor: GroupVisitor): void {
    const name = new Element();
    const seen = new Element();
    const active = new Element();
    this.text(name);
    this.time(seen);
    if (this.hasActiveTime) this.time(active);
    visitor.consumer(name, seen, this.hasActiveTime ? (isMinusOne(active) ? null : active) : undefined);
    this.skipIds();
  }

  private skipIds(): void {
    const count = this.plausible(this.count(), PEL_ID);
    this.pos += count * PEL_ID;
  }

  private consumerHead(): void {
    this.text(this.string);
    this.pos += this.hasActiveTime ? 16 : 8;
  }

  /** Visits the producers; returns the duration in seconds, the maximum count and two counters. Types 26 and up. */
  idempotence(): {
    duration: Element;
    maxEntries: Element;
    added: Element;
    duplicates: Element;
    producers: (visitor: IdempotenceVisitor) => void;
  } {
    const read = { duration: new Element(), maxEntries: new Element(), added: new Element(), duplicates: new Element() };
    this.number(read.duration);
    this.number(read.maxEntries);
    const start = this.pos;
    this.producers(undefined);
    this.number(read.added);
    this.number(read.duplicates);
    return {
      ...read,
      producers: (visitor) => {
        this.pos = start;
        this.producers(visitor);
      },
    };
  }

  private producers(visitor: IdempotenceVisitor | undefined): void {
    const id = new StreamId();
    for (let left = this.count(); left > 0; left--) {
      this.text(this.string);
      visitor?.producer(this.string);
      for (let ids = this.count(); ids > 0; ids--) {
        this.text(this.string);
        this.id(id);
        visitor?.produced(this.string, id);
      }
    }
  }

  /** The index of the pending entry with the ID at `pos`: they are ordered by ID. */
  private find(starts: Float64Array, pos: number): number {
    let low = 0;
    let high = starts.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.compare(starts[middle], pos);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    throw this.bad("an ID that is in its group's pending list", 'another one');
  }

  private compare(a: number, b: number): number {
    for (let i = 0; i < PEL_ID; i++) {
      const order = (this.bytes[a + i]) - (this.bytes[b + i]);
      if (order !== 0) return order;
    }
    return 0;
  }

  private count(): number {
    this.pos = readLength(this.bytes, this.pos, this.end, this.read);
    if (this.pos < 0) throw this.bad('a count', 'the end of the value');
    return this.read.value;
  }

  /** A count of things of at least `size` bytes each, checked against the bytes left. */
  private plausible(count: number, size: number): number {
    if (count * size > this.end - this.pos) throw this.bad(`${lengthText(this.read)} entries`, 'the end of the value');
    return count;
  }

  private number(element: Element): void {
    this.count();
    element.setInt64(this.read.hi | 0, this.read.lo);
  }

  private time(element: Element): void {
    element.setInt64(int32(this.bytes, this.pos + 4), uint32(this.bytes, this.pos));
    this.pos += 8;
  }

  private text(element: Element): void {
    this.pos = readString(this.bytes, this.pos, this.end, element);
    this.scratch.inflate(element);
  }

  private id(id: StreamId): void {
    this.count();
    id.msHi = this.read.hi;
    id.msLo = this.read.lo;
    this.count();
    id.seqHi = this.read.hi;
    id.seqLo = this.read.lo;
  }

  private bad(expected: string, got: string): RdbError {
    return new RdbError('BAD_STREAM', { within: Math.max(0, this.pos), expected, got });
  }
}
