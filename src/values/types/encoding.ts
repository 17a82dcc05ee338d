import { ByteBuilder } from '../../bytes/builder.js';
import { BYTES, Element, LARGE, LZF } from '../../encodings/element.js';
import { toInteger } from '../../encodings/integer.js';
import { IntsetWriter } from '../../encodings/intset.js';
import { ListpackWriter } from '../../encodings/listpack.js';
import type { PackedWriter } from '../../encodings/packed-writer.js';
import { ZiplistWriter } from '../../encodings/ziplist.js';
import type { Spill } from '../../io/spill.js';
import { Scratch } from '../../rdb/string.js';
import type { TypeRow } from '../../rdb/types.js';
import type { Items } from '../items.js';
import { TargetLimits } from '../target-limits.js';
import type { Target } from '../targets.js';
import { Body } from './body.js';

/**
 * Servers keep collections packed up to these numbers of elements, of limited size each. The defaults have never changed:
 * set-max-intset-entries, set-max-listpack-entries and -value, zset-max-… and hash-max-… (-ziplist- before 7.0).
 */
export const INTSET_ITEMS = 512;
/** Of sets and sorted sets. */
export const PACKED_ITEMS = 128;
/** Of hashes, and of lists before 3.2. */
export const PACKED_FIELDS = 512;
const PACKED_BYTES = 64;

/** What values are encoded with: who for, writers of packed forms, and where they go. One value at a time. */
export class Encoding extends TargetLimits {
  /** The elements: all but what `ValueWriter.finish` writes. */
  readonly body = new Body();
  readonly listpack: ListpackWriter;
  readonly ziplist = new ZiplistWriter();
  readonly intset = new IntsetWriter();
  /** Milliseconds added to the expiries of hash fields. */
  fieldShift = 0;
  private readonly scratch = new Scratch();
  private readonly element = new Element();

  constructor(target: Target, allowLoss: boolean) {
    super(target, allowLoss);
    this.listpack = new ListpackWriter(target.wide);
  }

  override begin(): void {
    super.begin();
    this.body.clear();
  }

  /** The element without compression; another one is overwritten by it. */
  plain(element: Element): Element {
    if (element.kind !== LZF) return element;
    this.scratch.inflate(this.element.copy(element));
    return this.element;
  }
}

/**
 * Makes a value of one Redis type in an RDB encoding that the target reads, from items in their order: the only place where encodings of
 * this type are written. The elements go to `Encoding.body`, which is put aside where it is large.
 *
 *     writer.open(source); the calls of Items; const type = writer.finish(head);
 */
export interface ValueWriter extends Items {
  /**
   * Another value begins. With the type that it was read from, it stays packed where it was and is small, and lists keep their nodes;
   * without, the encoding is chosen as servers choose it for new values. Throws NotRepresentable if the target has no encoding for it.
   */
  open(source?: TypeRow): void;
  /** Writes what stands before the body. Returns the type. Throws NotRepresentable for what the target cannot be told. */
  finish(head: ByteBuilder): TypeRow;
  /** Takes a large item, and what stands before its bytes, where these are held: instead of largeBegin and the bytes. */
  large?(spill: Spill): void;
  /** Where the body is not written as it stands. */
  pieces?(): Iterable<Uint8Array> | undefined;
}

/** A few short elements, held. */
export class Small {
  private readonly out = new ByteBuilder();
  private readonly elements: Element[] = [];
  count = 0;
  /** Whether all of them are integers. */
  integers = true;
  private readonly element = new Element();

  begin(): void {
    this.out.clear();
    this.count = 0;
    this.integers = true;
  }

  add(element: Element): void {
    const { count, elements, out } = this;
    if (count === elements.length) elements.push(new Element());
    const copy = elements[count].copy(element);
    this.count++;
    if (this.integers) this.integers = toInteger(this.element.copy(element));
    if (element.kind !== BYTES) return;
    copy.start = out.length;
    out.copy(element.bytes, element.start, element.end);
    copy.end = out.length;
  }

  /** Number `i`, until another one is added. */
  at(i: number): Element {
    const element = this.elements[i];
    if (element.kind === BYTES) element.bytes = this.out.bytes;
    return element;
  }

  /** All of them as one packed value. */
  pack(writer: PackedWriter): Uint8Array {
    writer.begin();
    for (let i = 0; i < this.count; i++) writer.add(this.at(i));
    return writer.finish();
  }
}

/** Whether an element may stand in a packed collection. */
export function isShort({ end, kind, num, start }: Element): boolean {
  if (kind === BYTES) return end - start <= PACKED_BYTES;
  return kind === LZF ? num <= PACKED_BYTES : kind !== LARGE;
}
