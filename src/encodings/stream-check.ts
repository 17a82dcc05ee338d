import { Element, INT, uint32 } from './element.js';
import { toInteger } from './integer.js';
import { backlen, LISTPACK_HEADER, readListpack } from './listpack.js';
import { DELETED, SAME_FIELDS } from './stream.js';

const UNCOUNTED = 0xffff;
const END = 0xff;
/** Bytes of a backward length. */
const LONGEST_BACKLEN = 5;
/** Elements of an entry besides fields and values: flags, milliseconds, sequence; and its number of fields, if it has one. */
const HEAD = 3;

/**
 * The listpack of a stream node, looked at as deeply as servers do before they trust one (redis listpack.c, lpValidateNext;
 * t_stream.c, streamValidateListpackIntegrity). By default RESTORE does not (`sanitize-dump-payload no`), and a server that walks
 * backwards over an entry whose length is wrong ends itself.
 *
 * Nothing is allocated, unless something is wrong.
 */
export class StreamNodeCheck {
  /** Entries of the node that are not deleted. */
  live = 0;
  /** Where the damage is. */
  at = 0;

  private bytes!: Uint8Array;
  private last = 0;
  private elements = 0;
  private readonly element = new Element();

  /** What is wrong with the listpack in `bytes[start, end)`; undefined if nothing is. */
  fault(bytes: Uint8Array, start: number, end: number): string | undefined {
    this.bytes = bytes;
    this.at = start;
    this.elements = 0;
    if (end - start < LISTPACK_HEADER + 1) return 'a listpack without a header';
    if (uint32(bytes, start) !== end - start) return 'a listpack whose header has another length';
    if (bytes[end - 1] !== END) return 'a listpack without its end byte';
    this.last = end - 1;
    this.at = start + LISTPACK_HEADER;
    return this.nodeFault() ?? this.countFault(bytes[start + 4] | (bytes[start + 5] << 8), start);
  }

  private nodeFault(): string | undefined {
    const live = this.count();
    const deleted = this.count();
    const fields = this.count();
    if (live < 0 || deleted < 0 || fields < 0 || !this.skip(fields)) return 'a master entry that is damaged';
    const at = this.at;
    if (this.count() !== 0) return this.placed('a master entry without its end', at);
    let [seen, dead] = [0, 0];
    while (this.at < this.last) {
      const begins = this.at;
      const flags = this.count();
      if (flags < 0 || !this.integer() || !this.integer()) return 'an entry without flags and ID';
      const same = (flags & SAME_FIELDS) !== 0;
      const own = same ? fields : this.count();
      if (own < 0 || !this.skip(same ? own : own * 2)) return 'an entry without all its fields';
      if (this.count() !== (same ? HEAD + own : HEAD + 1 + own * 2)) {
        return this.placed('an entry that has another count of elements', begins);
      }
      if ((flags & DELETED) === 0) seen++;
      else dead++;
    }
    this.live = live;
    return seen === live && dead === deleted ? undefined : 'a node with another count of entries';
  }

  private countFault(count: number, start: number): string | undefined {
    return count === UNCOUNTED || count === this.elements ? undefined : this.placed('a listpack whose header has another count', start);
  }

  private placed(fault: string, at: number): string {
    this.at = at;
    return fault;
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
    const { at, bytes, element } = this;
    if (!this.pass()) return false;
    readListpack(bytes, at, this.last, element);
    return toInteger(element);
  }

  /** Skips the element at `at`; false if it is damaged. */
  private pass(): boolean {
    const { at, bytes, last } = this;
    const length = bodyLength(bytes, at, last);
    if (length < 0) return false;
    const after = at + length;
    const next = after + backlen(bytes, after, length);
    if (next > last || backwards(bytes, next) !== length) return false;
    this.elements++;
    this.at = next;
    return true;
  }
}

/** Bytes of the element at `at` without its trailing length; -1 if they do not end before `last`, or the encoding is unknown. */
function bodyLength(bytes: Uint8Array, at: number, last: number): number {
  if (at >= last) return -1;
  const left = last - at;
  const first = bytes[at];
  let length: number;
  if (first < 0x80) length = 1;
  else if (first < 0xc0) length = 1 + (first & 0x3f);
  else if (first < 0xe0) length = 2;
  else if (first < 0xf0) length = left < 2 ? left : 2 + (((first & 0x0f) << 8) | bytes[at + 1]);
  else if (first === 0xf0) length = left < 5 ? left : 5 + uint32(bytes, at + 1);
  else if (first < 0xf4) length = first - 0xee;
  else if (first === 0xf4) length = 9;
  else return -1;
  return length < left ? length : -1;
}

/** The length before `end`, read backwards (lpDecodeBacklen); -1 if it has too many bytes. */
function backwards(bytes: Uint8Array, end: number): number {
  let length = 0;
  let weight = 1;
  for (let i = 1; i <= LONGEST_BACKLEN; i++) {
    const byte = bytes[end - i];
    length += (byte & 0x7f) * weight;
    if ((byte & 0x80) === 0) return length;
    weight *= 0x80;
  }
  return -1;
}
