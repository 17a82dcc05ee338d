import { RdbError } from '../bytes/errors.js';
import { Element, INT, uint32 } from './element.js';
import { toInteger } from './integer.js';
import { LISTPACK_HEADER, ListpackCheck, openListpack, readListpack } from './listpack.js';
import type { Report } from './packed-check.js';

/** A stream ID: two unsigned 64-bit numbers as 32-bit halves. */
export class StreamId {
  msHi = 0;
  msLo = 0;
  seqHi = 0;
  seqLo = 0;

  /** Reads the 16 bytes of a key or pending entry, big-endian (redis t_stream.c, streamEncodeID). */
  read(bytes: Uint8Array, at: number): this {
    this.msHi = swapped(bytes, at);
    this.msLo = swapped(bytes, at + 4);
    this.seqHi = swapped(bytes, at + 8);
    this.seqLo = swapped(bytes, at + 12);
    return this;
  }

  copy(other: StreamId): this {
    this.msHi = other.msHi;
    this.msLo = other.msLo;
    this.seqHi = other.seqHi;
    this.seqLo = other.seqLo;
    return this;
  }

  /** Whether it is greater than another one. */
  isAfter(other: StreamId): boolean {
    if (this.msHi !== other.msHi) return this.msHi > other.msHi;
    if (this.msLo !== other.msLo) return this.msLo > other.msLo;
    if (this.seqHi !== other.seqHi) return this.seqHi > other.seqHi;
    return this.seqLo > other.seqLo;
  }

  addMs(element: Element): void {
    const lo = this.msLo + lowHalf(element);
    this.msHi = (this.msHi + highHalf(element) + (lo > 0xffffffff ? 1 : 0)) >>> 0;
    this.msLo = lo >>> 0;
  }

  addSeq(element: Element): void {
    const lo = this.seqLo + lowHalf(element);
    this.seqHi = (this.seqHi + highHalf(element) + (lo > 0xffffffff ? 1 : 0)) >>> 0;
    this.seqLo = lo >>> 0;
  }
}

function swapped(bytes: Uint8Array, at: number): number {
  const word = uint32(bytes, at);
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function lowHalf(element: Element): number {
  return element.kind === INT ? element.num >>> 0 : element.lo;
}

function highHalf(element: Element): number {
  return element.kind === INT ? Math.floor(element.num / 0x100000000) : element.hi;
}

/** Flags of an entry (redis t_stream.c, STREAM_ITEM_FLAG_…). */
const DELETED = 1;
export const SAME_FIELDS = 2;

/**
 * The entries of one stream node (redis t_stream.c, "Every listpack of the stream"): a listpack of
 *
 *     count, deleted, number of fields, fields…, 0                                       the master entry
 *     flags, ms - master ms, seq - master seq, [number of fields,] values…, elements     an entry; the bracketed only
 *                                                                                        where it has fields of its own,
 *                                                                                        then fields and values in turn
 *
 *     while (node.next()) while (node.nextField()) use(node.field, node.value);
 *
 * Deleted entries are left out.
 */
export class StreamNode {
  readonly id = new StreamId();
  /** Of the current entry. */
  readonly field = new Element();
  readonly value = new Element();
  private readonly element = new Element();

  private bytes!: Uint8Array;
  private start = 0;
  private end = 0;
  private pos = 0;
  private readonly master = new StreamId();
  private masterFields = 0;
  private masterStart = 0;
  private live = 0;
  private deleted = 0;
  /** Fields of the current entry not returned yet, and how many elements it has. */
  private left = 0;
  private size = 0;
  private sameFields = false;
  private fieldPos = 0;

  open(master: StreamId, bytes: Uint8Array, start: number, end: number): void {
    openListpack(bytes, start, end);
    this.bytes = bytes;
    this.start = start;
    this.end = end - 1;
    this.pos = start + LISTPACK_HEADER;
    this.master.copy(master);
    this.live = this.count('a number of entries');
    this.deleted = this.count('a number of deleted entries');
    this.masterFields = this.count('a number of fields');
    this.masterStart = this.pos;
    for (let i = 0; i < this.masterFields; i++) this.read(this.element);
    if (this.count('the end of the master entry') !== 0) throw this.bad('the end of the master entry, 0', 'something else');
  }

  /** Moves to the next entry, with its ID in `id`. Returns false after the last one. */
  next(): boolean {
    for (;;) {
      if (this.pos >= this.end) return this.closed();
      const flags = this.count('the flags of an entry');
      this.id.copy(this.master);
      this.id.addMs(this.integer('the milliseconds of an ID'));
      this.id.addSeq(this.integer('the sequence of an ID'));
      this.sameFields = (flags & SAME_FIELDS) !== 0;
      const fields = this.sameFields ? this.masterFields : this.count('a number of fields');
      this.left = fields;
      this.size = this.sameFields ? fields + 3 : fields * 2 + 4;
      this.fieldPos = this.masterStart;
      if ((flags & DELETED) === 0) {
        this.live--;
        return true;
      }
      this.deleted--;
      while (this.nextField());
    }
  }

  /** Moves to the next field and its value. Returns false after the last one. */
  nextField(): boolean {
    if (this.left === 0) {
      if (this.count('the number of elements of an entry') !== this.size) {
        throw this.bad(`an entry of ${this.size} elements`, 'another number at its end');
      }
      return false;
    }
    this.left--;
    if (this.sameFields) this.fieldPos = readListpack(this.bytes, this.fieldPos, this.end, this.field);
    else this.read(this.field);
    this.read(this.value);
    return true;
  }

  private closed(): false {
    if (this.live !== 0 || this.deleted !== 0) {
      throw this.bad('as many entries as the master entry says', `${this.live} live and ${this.deleted} deleted ones fewer`);
    }
    return false;
  }

  private read(element: Element): void {
    const next = this.pos < this.end ? readListpack(this.bytes, this.pos, this.end, element) : -1;
    if (next < 0) throw this.bad('another element', 'the end of the node');
    this.pos = next;
  }

  /** Servers take an integer as text, too (lpGetIntegerIfValid). */
  private integer(what: string): Element {
    this.read(this.element);
    if (!toInteger(this.element)) throw this.bad(what, 'a string');
    return this.element;
  }

  private count(what: string): number {
    const { kind, num } = this.integer(what);
    if (kind !== INT || num < 0 || num > 0xffffffff) throw this.bad(what, 'a number out of range');
    return num;
  }

  private bad(expected: string, got: string): RdbError {
    return new RdbError('BAD_STREAM', { within: Math.max(this.pos, this.start), expected, got });
  }
}

/** Elements of an entry that are no fields and values: flags, milliseconds, sequence; and its count of fields, where it has one. */
const HEAD = 3;
const KNOWN_FLAGS = DELETED | SAME_FIELDS;

/**
 * The listpack of a stream node, looked at as deeply as servers do before they trust one (redis 7.0 listpack.c, lpValidateNext;
 * t_stream.c, streamValidateListpackIntegrity), and for IDs that ascend. By default RESTORE does not (`sanitize-dump-payload no`), and a
 * server that walks backwards over an entry whose length is wrong ends itself.
 *
 * Nothing is allocated, unless something is wrong.
 */
export class StreamNodeCheck {
  /** Entries of the node that are not deleted. */
  live = 0;
  /** The ID of the last entry, deleted or not; the master's where there is none. */
  readonly last = new StreamId();

  private bytes!: Uint8Array;
  private at = 0;
  private start = 0;
  private end = 0;
  private entry = 0;
  private readonly element = new Element();
  private readonly id = new StreamId();
  private readonly listpack: ListpackCheck;
  private faults = 0;

  constructor(private readonly report: Report) {
    this.listpack = new ListpackCheck(
      (at, expected, got, element) => {
        this.faults++;
        report(at, expected, element === undefined ? got : `${got} at element ${element} of its listpack`);
      },
      () => undefined,
    );
  }

  /** Looks at the listpack in `bytes[start, end)`, whose IDs count from `master`. Places are told from `start` on. */
  check(master: StreamId, bytes: Uint8Array, start: number, end: number): void {
    const { listpack } = this;
    this.live = this.faults = this.entry = 0;
    this.last.copy(master);
    listpack.begin(end - start);
    listpack.take(bytes, start, end);
    listpack.finish();
    if (this.faults > 0 || listpack.count === 0) {
      if (listpack.count === 0 && this.faults === 0) this.report(0, 'a stream node with a master entry', 'an empty listpack');
      return;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end - 1;
    this.at = start + LISTPACK_HEADER;
    this.entries(master);
  }

  private entries(master: StreamId): void {
    const live = this.count();
    const deleted = this.count();
    const fields = this.count();
    if (live < 0 || deleted < 0 || fields < 0 || !this.skip(fields)) {
      this.fault(this.at, 'the counts and fields of a master entry', 'others');
      return;
    }
    const zeroAt = this.at;
    if (this.count() !== 0) {
      this.fault(zeroAt, '0 at the end of the master entry', 'something else');
      return;
    }
    let [seen, dead] = [0, 0];
    for (; this.at < this.end; this.entry++) {
      const begins = this.at;
      const flags = this.count();
      this.id.copy(master);
      if (flags < 0 || !this.integer()) {
        this.cut(begins, 'flags and milliseconds');
        return;
      }
      this.id.addMs(this.element);
      if (!this.integer()) {
        this.cut(begins, 'a sequence');
        return;
      }
      this.id.addSeq(this.element);
      const same = (flags & SAME_FIELDS) !== 0;
      const own = same ? fields : this.count();
      if (own < 0 || !this.skip(same ? own : own * 2)) {
        this.cut(begins, 'all its fields and values');
        return;
      }
      const elements = same ? HEAD + own : HEAD + 1 + own * 2;
      const countAt = this.at;
      const stated = this.count();
      if (stated !== elements) {
        this.fault(countAt, `${elements} as the number of elements of an entry`, stated < 0 ? 'no number' : `${stated}`);
        return;
      }
      if ((flags & ~KNOWN_FLAGS) !== 0) this.fault(begins, 'flags of an entry, 0 to 3', `${flags}`);
      if (this.entry > 0 ? !this.id.isAfter(this.last) : master.isAfter(this.id)) {
        this.fault(begins, 'an entry with a greater ID than the one before it', 'the same or a lesser one');
      }
      this.last.copy(this.id);
      if ((flags & DELETED) === 0) seen++;
      else dead++;
    }
    this.live = seen;
    if (seen !== live || dead !== deleted) {
      this.report(LISTPACK_HEADER, `${seen} live and ${dead} deleted entries in the master entry, as follow it`, `${live} and ${deleted}`);
    }
  }

  private cut(at: number, what: string): void {
    this.fault(at, `an entry with ${what}`, 'one without');
  }

  private fault(at: number, expected: string, got: string): void {
    this.report(at - this.start, expected, got, this.entry);
  }

  /** Skips `count` elements. */
  private skip(count: number): boolean {
    for (let left = count; left > 0; left--) if (!this.pass()) return false;
    return true;
  }

  /** A count at `at`, or -1; integers may be stored as text. */
  private count(): number {
    const { element } = this;
    return this.integer() && element.kind === INT && element.num >= 0 ? element.num : -1;
  }

  private integer(): boolean {
    return this.pass() && toInteger(this.element);
  }

  /** Goes past the element at `at`; false where there is none. */
  private pass(): boolean {
    if (this.at >= this.end) return false;
    this.at = readListpack(this.bytes, this.at, this.end, this.element);
    return true;
  }
}
