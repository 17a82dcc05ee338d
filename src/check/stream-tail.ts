import { formatText } from '../bytes/text.js';
import { INT, type Element } from '../encodings/element.js';
import { StreamId } from '../encodings/stream.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import { Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import type { Findings } from './findings.js';
import type { Strings } from './strings.js';

const ID = 16;
const MS = 8;
const NONE = 0;
const OWNED = 1;
const SHOWN = 40;

/**
 * What follows the nodes of a stream: length, IDs, groups, idempotent producing (redis 7.4 rdb.c, rdbLoadObject). Pending entries take
 * 9 bytes each meanwhile, names of groups and consumers as much as they are long.
 */
export class StreamTailCheck {
  private pos = 0;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly scratch = new Scratch();
  private readonly id = new StreamId();
  private readonly before = new StreamId();

  constructor(
    private readonly type: TypeRow,
    private readonly bytes: Uint8Array,
    private readonly end: number,
    private readonly findings: Findings,
    private readonly strings: Strings,
  ) {}

  /** `entries` and `last` are those of the nodes; undefined where they are not known. */
  check(entries: number | undefined, last: StreamId | undefined): void {
    const { id } = this.type;
    if (entries !== undefined) this.counts(entries, last);
    else this.skipLengths(3);
    if (id >= 19) this.skipLengths(5);
    this.groups();
    if (id >= 26) this.idempotence();
  }

  private counts(entries: number, last: StreamId | undefined): void {
    if (this.count() !== entries) this.bad(0, `a length of ${entries}, as its nodes have entries`, lengthText(this.length));
    const at = this.pos;
    const lastId = this.lengthId();
    if (last?.isAfter(lastId) === true) this.bad(at, 'a last ID that no entry exceeds', 'a lesser one');
  }

  private groups(): void {
    const names = new Set<string>();
    for (let left = this.count(); left > 0; left--) {
      this.name(names, 'group');
      this.skipLengths(this.type.id >= 19 ? 3 : 2);
      this.group();
    }
  }

  private group(): void {
    const { bytes } = this;
    const pending = this.count();
    const starts = new Float64Array(this.plausible(pending, ID + MS + 1));
    const owned = new Uint8Array(pending);
    this.ascending(pending, "a group's pending entry", (i) => {
      starts[i] = this.pos;
      this.pos += MS + ID;
      this.count();
    });
    const names = new Set<string>();
    for (let left = this.count(); left > 0; left--) {
      this.name(names, 'consumer');
      this.pos += this.type.id >= 21 ? 2 * MS : MS;
      this.owned(starts, owned, "a consumer's pending entry");
    }
    if (this.type.id >= 27) this.owned(starts, owned, 'a pending entry that was handed back');
    const free = owned.indexOf(NONE);
    if (free >= 0) {
      const id = new StreamId().read(bytes, starts[free]);
      const others = owned.reduce((count, owner) => (owner === NONE ? count + 1 : count), -1);
      this.bad(starts[free], 'an owner of every pending entry', `${idText(id)} without one${others > 0 ? `, and ${others} more` : ''}`);
    }
  }

  /** IDs that refer to the pending entries of the group. */
  private owned(starts: Float64Array, owned: Uint8Array, what: string): void {
    this.ascending(this.plausible(this.count(), ID), what, () => {
      const found = this.find(starts);
      if (found < 0) this.bad(this.pos, "an ID that is in its group's pending list", idText(this.id));
      else if (owned[found] === OWNED) this.bad(this.pos, 'one owner of a pending entry', `a second one of ${idText(this.id)}`);
      else owned[found] = OWNED;
      this.pos += ID;
    });
  }

  /** Goes over `count` raw IDs, which ascend; `next` goes past the one at `pos`, which is in `id`. */
  private ascending(count: number, what: string, next: (i: number) => void): void {
    const { before, id } = this;
    for (let i = 0; i < count; i++) {
      id.read(this.bytes, this.pos);
      if (i > 0 && !id.isAfter(before)) this.bad(this.pos, `${what} with a greater ID than the one before it`, idText(id));
      before.copy(id);
      next(i);
    }
  }

  /** Which pending entry has the current ID, or -1. */
  private find(starts: Float64Array): number {
    const { bytes, id } = this;
    const other = this.other;
    let [low, high] = [0, starts.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      other.read(bytes, starts[middle]);
      if (id.isAfter(other)) low = middle + 1;
      else if (other.isAfter(id)) high = middle - 1;
      else return middle;
    }
    return -1;
  }

  private readonly other = new StreamId();

  private idempotence(): void {
    this.skipLengths(2);
    const names = new Set<string>();
    for (let left = this.count(); left > 0; left--) {
      this.name(names, 'producer');
      const ids = new Set<string>();
      for (let i = this.count(); i > 0; i--) {
        this.name(ids, 'ID of a producer');
        this.skipLengths(2);
      }
    }
    this.skipLengths(2);
  }

  private name(names: Set<string>, what: string): void {
    const { strings } = this;
    const at = this.pos;
    this.pos = strings.next(this.bytes, at, this.end);
    if (!strings.whole) return;
    const text = this.text(strings.element);
    const key = Buffer.from(text.bytes.buffer, text.bytes.byteOffset + text.start, text.end - text.start).toString('latin1');
    if (names.has(key)) {
      const shown = Math.min(text.end, text.start + SHOWN);
      this.findings.add(
        'DUPLICATE',
        at,
        `every ${what} once`,
        `${JSON.stringify(formatText(text.bytes, text.start, shown))}${shown < text.end ? '…' : ''} again`,
      );
    }
    names.add(key);
  }

  private text(element: Element): Element {
    if (element.kind === INT) this.scratch.text(element);
    return element;
  }

  private lengthId(): StreamId {
    const { id, length } = this;
    this.count();
    id.msHi = length.hi;
    id.msLo = length.lo;
    this.count();
    id.seqHi = length.hi;
    id.seqLo = length.lo;
    return id;
  }

  private count(): number {
    this.pos = readLength(this.bytes, this.pos, this.end, this.length);
    return this.length.value;
  }

  private skipLengths(count: number): void {
    for (let i = 0; i < count; i++) this.count();
  }

  /** The framer has found all of it, so that a count is never greater than its bytes allow. */
  private plausible(count: number, size: number): number {
    if (count * size > this.end - this.pos) throw new RangeError('the framer passed a stream that is cut');
    return count;
  }

  private bad(at: number, expected: string, got: string): void {
    this.findings.add('BAD_STREAM', at, expected, got);
  }
}

function idText({ msHi, msLo, seqHi, seqLo }: StreamId): string {
  const number = (hi: number, lo: number): bigint => (BigInt(hi) << 32n) | BigInt(lo);
  return `${number(msHi, msLo)}-${number(seqHi, seqLo)}`;
}
