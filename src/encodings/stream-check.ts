import { Element, INT } from './element.js';
import { toInteger } from './integer.js';
import { LISTPACK_HEADER, readListpack } from './listpack.js';
import { ListpackCheck } from './listpack-check.js';
import type { Report } from './packed-check.js';
import { DELETED, SAME_FIELDS, StreamId } from './stream.js';

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
