import { ByteBuilder } from '../bytes/builder.js';
import { formatText } from '../bytes/text.js';
import { BYTES, type Element, INT } from '../encodings/element.js';
import { StreamId, StreamNodeCheck } from '../encodings/stream.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import { Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body, Strings } from './body.js';
import type { Findings } from './findings.js';

const ID = 16;

/**
 * Streams (redis 7.4 rdb.c, rdbLoadObject; t_stream.c). One node is held at a time, and what follows the nodes: groups and their
 * pending entries.
 */
export class StreamBody implements Body {
  /** A cut node is held until it is whole. */
  readonly holdsStrings = true;
  private type!: TypeRow;
  private begun = false;
  private nodesLeft = 0;
  private node = 0;
  private inNode = false;
  private entries = 0;
  /** A node is damaged: the number of entries and the last ID are not known. */
  private damaged = false;
  private readonly key = new StreamId();
  private readonly last = new StreamId();
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly nodes: StreamNodeCheck;
  private readonly rest = new ByteBuilder();
  private restBase = 0;
  private origin = 0;

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
  ) {
    this.nodes = new StreamNodeCheck((at, expected, got, entry) => {
      this.damaged = true;
      findings.add('BAD_STREAM', at + this.origin, expected, got, `${entry === undefined ? '' : `entry ${entry} of `}node ${this.node}`);
    });
  }

  begin(type: TypeRow): void {
    this.type = type;
    this.begun = this.inNode = this.damaged = false;
    this.nodesLeft = this.node = this.entries = 0;
    this.rest.clear();
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.begun) {
      pos = readLength(bytes, pos, end, this.length);
      this.nodesLeft = this.length.value;
    }
    this.begun = true;
    while (pos < end && this.nodesLeft > 0) {
      pos = this.inNode ? this.listpack(bytes, pos, end) : this.nodeKey(bytes, pos, end);
      if (this.inNode) this.nodesLeft--;
      this.inNode = !this.inNode;
      if (!this.inNode) this.node++;
    }
    if (pos === end) return;
    if (this.rest.length === 0) this.restBase = this.findings.base + pos;
    this.rest.copy(bytes, pos, end);
  }

  private nodeKey(bytes: Uint8Array, pos: number, end: number): number {
    const { findings, key, last, strings } = this;
    const next = strings.next(bytes, pos, end, this.node);
    const { element } = strings;
    if (!strings.whole) return next;
    if (element.kind !== BYTES || element.end - element.start !== ID) {
      this.damaged = true;
      findings.add('BAD_STREAM', pos, 'an ID of 16 bytes as the key of a node', 'another string', `node ${this.node}`);
      return next;
    }
    key.read(element.bytes, element.start);
    if (this.node > 0 && !key.isAfter(last)) {
      findings.add(
        'BAD_STREAM',
        pos,
        'a node with a greater ID than the entries before it',
        'the same or a lesser one',
        `node ${this.node}`,
      );
    }
    return next;
  }

  private listpack(bytes: Uint8Array, pos: number, end: number): number {
    const { findings, key, last, nodes, strings } = this;
    const next = strings.next(bytes, pos, end, this.node);
    const { element } = strings;
    if (!strings.whole || element.kind === INT) {
      this.damaged = true;
      if (strings.whole) findings.add('BAD_STREAM', pos, 'a listpack', 'an integer', `node ${this.node}`);
      return next;
    }
    findings.enter(findings.base + pos, element.start);
    this.origin = element.start;
    nodes.check(key, element.bytes, element.start, element.end);
    findings.leave();
    this.entries += nodes.live;
    last.copy(nodes.last);
    return next;
  }

  string(): undefined {
    return undefined;
  }

  end(): void {
    const { entries, findings, last, rest } = this;
    findings.base = this.restBase;
    const tail = new StreamTailCheck(this.type, rest.bytes, rest.length, findings, this.strings);
    tail.check(this.damaged ? undefined : entries, this.node > 0 && !this.damaged ? last : undefined);
    rest.clear();
  }
}

const MS = 8;
const NONE = 0;
const OWNED = 1;
const SHOWN = 40;

/**
 * What follows the nodes of a stream: length, IDs, groups, idempotent producing (redis 7.4 rdb.c, rdbLoadObject). Pending entries take
 * 9 bytes each meanwhile, names of groups and consumers as much as they are long.
 */
class StreamTailCheck {
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
