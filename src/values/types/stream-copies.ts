import { RdbError } from '../../bytes/errors.js';
import { Element } from '../../encodings/element.js';
import { type Length, readLength } from '../../rdb/length.js';
import { readString } from '../../rdb/string.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength } from '../../rdb/write-string.js';
import type { Encoding } from './encoding.js';

/** First types that have: offsets, consumers' active times, idempotent producing, entries handed back. */
export const OFFSETS = 19;
export const ACTIVE_TIME = 21;
export const IDEMPOTENCE = 26;
export const HANDED_BACK = 27;

/** What types before those have no place for. */
export const LEFT_OUT = {
  offsets: 'first ID, greatest deleted ID, entries ever added and read by groups',
  activeTimes: "consumers' active times",
  idempotence: 'the IDs of idempotent producers',
  handedBack: 'stream entries that were handed back by a consumer',
} as const;

const ID = 16;
const MS = 8;

/**
 * Copies what follows the nodes of a stream. Groups, pending entries and consumers are copied as they stand; what the older type has no
 * place for is left out (redis rdb.c, rdbSaveObject; the layouts are in rdb/types.ts):
 *
 *     27 → 26  entries that no consumer holds any more: they are lost, since nobody would be given them again
 *     26 → 21  the IDs of idempotent producers: a repeated message would be added again
 *     21 → 19  when consumers last got something
 *     19 → 15  first ID, greatest deleted ID, entries ever added, entries read by groups: servers count anew
 */
export class TailCopy {
  private readonly from: number;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly element = new Element();

  constructor(
    private readonly to: Encoding,
    source: TypeRow,
    private readonly type: TypeRow,
    private readonly bytes: Uint8Array,
    private pos: number,
    private readonly end: number,
  ) {
    this.from = source.id;
  }

  tail(): void {
    const { to } = this;
    const start = this.pos;
    this.counts(3); // length, last ID
    this.copy(start);
    if (this.dropping(OFFSETS)) to.adapted.push(LEFT_OUT.offsets);
    if (this.from >= OFFSETS) this.keep(OFFSETS, () => this.counts(5));
    if (this.dropping(ACTIVE_TIME)) to.adapted.push(LEFT_OUT.activeTimes);
    const groupsAt = this.pos;
    const groups = this.count();
    this.copy(groupsAt);
    for (let left = groups; left > 0; left--) this.group();
    if (this.from >= IDEMPOTENCE) this.keep(IDEMPOTENCE, () => this.idempotence());
  }

  /** Whether the value has what came with this type, and the target's type has not. */
  private dropping(since: number): boolean {
    return this.from >= since && this.type.id < since;
  }

  /** Passes something that came with a type, and copies it where the target's type has it. */
  private keep(since: number, pass: () => void): void {
    const start = this.pos;
    pass();
    if (this.type.id >= since) this.copy(start);
  }

  private group(): void {
    const start = this.pos;
    this.string();
    this.counts(2); // last ID
    this.copy(start);
    if (this.from >= OFFSETS) this.keep(OFFSETS, () => this.counts(1));
    if (this.dropping(HANDED_BACK)) this.pendingHeld();
    else this.pending();
    this.consumers();
    if (this.from >= HANDED_BACK) this.keep(HANDED_BACK, () => this.pass(this.count() * ID));
  }

  private pending(): void {
    const start = this.pos;
    for (let left = this.count(); left > 0; left--) this.pendingEntry();
    this.copy(start);
  }

  private pendingEntry(): void {
    this.pass(ID + MS);
    this.counts(1);
  }

  /** Copies the pending entries but for those that no consumer holds; their IDs follow the consumers. */
  private pendingHeld(): void {
    const start = this.pos;
    const entries = this.count();
    for (let left = entries; left > 0; left--) this.pendingEntry();
    const after = this.pos;
    const free = this.handedBack();
    this.pos = start;
    this.count();
    if (free.size > 0) this.to.lose(LEFT_OUT.handedBack, `${free.size} are pending in a group`);
    addLength(this.to.body.out, entries - free.size);
    for (let left = entries; left > 0; left--) {
      const at = this.pos;
      this.pendingEntry();
      if (!free.has(this.id(at))) this.copy(at);
    }
    this.pos = after;
  }

  /** The IDs after the consumers, which begin here. */
  private handedBack(): ReadonlySet<string> {
    for (let left = this.count(); left > 0; left--) this.consumer();
    const ids = new Set<string>();
    for (let left = this.count(); left > 0; left--) {
      ids.add(this.id(this.pos));
      this.pass(ID);
    }
    return ids;
  }

  private id(at: number): string {
    return String.fromCharCode(...this.bytes.subarray(at, at + ID));
  }

  private consumers(): void {
    const start = this.pos;
    const count = this.count();
    this.copy(start);
    for (let left = count; left > 0; left--) {
      const at = this.pos;
      this.string();
      this.pass(MS);
      this.copy(at);
      if (this.from >= ACTIVE_TIME) this.keep(ACTIVE_TIME, () => this.pass(MS));
      const ids = this.pos;
      this.pass(this.count() * ID);
      this.copy(ids);
    }
  }

  private consumer(): void {
    this.string();
    this.pass(this.from >= ACTIVE_TIME ? 2 * MS : MS);
    this.pass(this.count() * ID);
  }

  /** Duration, greatest count, producers and their IDs, two counters. */
  private idempotence(): void {
    this.counts(2);
    let producers = 0;
    for (let left = this.count(); left > 0; left--, producers++) {
      this.string();
      for (let ids = this.count(); ids > 0; ids--) {
        this.string();
        this.counts(2);
      }
    }
    this.counts(2);
    if (producers > 0 && this.dropping(IDEMPOTENCE)) this.to.adapted.push(LEFT_OUT.idempotence);
  }

  private copy(start: number): void {
    this.to.body.out.copy(this.bytes, start, this.pos);
  }

  private count(): number {
    this.moved(readLength(this.bytes, this.pos, this.end, this.length));
    return this.length.value;
  }

  private counts(number: number): void {
    for (let i = 0; i < number; i++) this.count();
  }

  private string(): void {
    this.moved(readString(this.bytes, this.pos, this.end, this.element));
  }

  private pass(size: number): void {
    this.moved(this.pos + size);
  }

  private moved(next: number): void {
    if (next < 0 || next > this.end)
      throw new RdbError('BAD_STREAM', { within: this.pos, expected: 'the rest of a stream', got: 'the end of the value' });
    this.pos = next;
  }
}
