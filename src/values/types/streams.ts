import { ByteBuilder } from '../../bytes/builder.js';
import { type Element, LARGE } from '../../encodings/element.js';
import type { Spill } from '../../io/spill.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addStringOf } from '../../rdb/write-string.js';
import { copyListpack } from '../listpack-borders.js';
import { NotRepresentable } from '../target-limits.js';
import { targetName, typeFor } from '../targets.js';
import type { Encoding, ValueWriter } from './encoding.js';
import { ACTIVE_TIME, HANDED_BACK, IDEMPOTENCE, LEFT_OUT, OFFSETS, TailCopy } from './stream-copies.js';
import { addId, addIdLengths, addMs, addUnsigned, type Id, Nodes } from './stream-nodes.js';

/** Stream types, the first one first. */
const TYPES = ['STREAM_LISTPACKS', 'STREAM_LISTPACKS_2', 'STREAM_LISTPACKS_3', 'STREAM_LISTPACKS_4', 'STREAM_LISTPACKS_5'];

/** How servers write that something is not known, or never was. */
export const NEVER = -1n;

/** What a new stream says beside entries, groups and producers. */
export interface StreamFacts {
  readonly lastId: Id;
  readonly firstId: Id;
  readonly maxDeletedId: Id;
  readonly entriesAdded: bigint;
  /** Whether the last three, or producers, were said by the source, so that a type that has them is wanted. */
  readonly saysOffsets: boolean;
  readonly saysIdempotence: boolean;
}

/**
 * A stream. One that is read from an RDB is copied: nodes and IDs as they stand, as the latest type that the target reads. A new one,
 * of which entries, groups and facts are told, becomes the first type that has all that it says, or the one with active times if no
 * consumer lacks one, or the target's last one; what that has no place for is left out in both cases.
 *
 * For a new one: entryBegin, entryId, entryText…, entryEnd for each entry; groups and producers; `facts`, after all entries.
 */
export class StreamWriter implements ValueWriter {
  readonly groups: Groups;
  readonly idempotence = new Idempotence();
  private readonly nodes: Nodes;
  private said!: StreamFacts;
  private readonly tail = new ByteBuilder();
  private held: Spill | undefined;
  /** Of a stream that is copied: its type, and nodes so far. */
  private copied: TypeRow | undefined;
  private copiedNodes = 0;

  constructor(private readonly encoding: Encoding) {
    this.nodes = new Nodes(encoding);
    this.groups = new Groups(encoding);
  }

  open(source?: TypeRow): void {
    this.copiedNodes = 0;
    this.copied = source === undefined ? undefined : this.copyType(source);
    if (source !== undefined) return;
    this.nodes.begin();
    this.groups.begin();
    this.idempotence.begin();
    this.held?.close();
    this.held = undefined;
  }

  private copyType(source: TypeRow): TypeRow {
    const type = this.known(TYPES.slice(0, TYPES.indexOf(source.name) + 1)).at(-1);
    return type as TypeRow;
  }

  /** Those that the target has, at least one. */
  private known(names: readonly string[]): readonly TypeRow[] {
    const { target } = this.encoding;
    const known = names.map((name) => typeFor(target, name)).filter((type) => type !== undefined);
    if (known.length === 0) throw new NotRepresentable(`${targetName(target)} has no streams`);
    return known;
  }

  storedNodeKey(bytes: Uint8Array, start: number, end: number): void {
    this.copiedNodes++;
    this.encoding.body.bytes(bytes, start, end);
  }

  storedNode(bytes: Uint8Array, start: number, end: number): void {
    const { body, listpack, target } = this.encoding;
    copyListpack(body.out, listpack, target.wide, bytes, start, end);
    body.flushIfFull();
  }

  storedTail(source: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    new TailCopy(this.encoding, source, this.copied as TypeRow, bytes, start, end).tail();
  }

  /** Entries so far, the first ID and the last. */
  get entries(): number {
    return this.nodes.entries;
  }

  get first(): Id {
    return this.nodes.first;
  }

  get last(): Id {
    return this.nodes.last;
  }

  entryBegin(): void {
    this.nodes.entryBegin();
  }

  entryId(id: Id): void {
    this.nodes.entryId(id);
  }

  /** A name or a value of the current entry; that of a LARGE element was given to `large`. */
  entryText(element: Element): void {
    const { held, nodes } = this;
    nodes.add(element.kind === LARGE ? (held?.read() ?? []) : [element.bytes.subarray(element.start, element.end)]);
    held?.close();
    this.held = undefined;
  }

  entryEnd(): void {
    this.nodes.entryEnd();
  }

  large(spill: Spill): void {
    this.held = spill;
  }

  facts(facts: StreamFacts): void {
    this.said = facts;
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.copied !== undefined) {
      addLength(head, this.copiedNodes);
      return this.copied;
    }
    const { encoding, groups, nodes, said, tail } = this;
    nodes.end();
    addLength(head, nodes.nodes);
    const type = this.newType();
    tail.clear();
    addUnsigned(tail, BigInt(nodes.entries));
    addIdLengths(tail, said.lastId);
    if (type.id >= OFFSETS) {
      addIdLengths(tail, said.firstId);
      addIdLengths(tail, said.maxDeletedId);
      addUnsigned(tail, said.entriesAdded);
    }
    groups.write(tail, type.id);
    if (type.id >= IDEMPOTENCE) this.idempotence.write(tail);
    encoding.body.out.copy(tail.bytes, 0, tail.length);
    return type;
  }

  private newType(): TypeRow {
    const { needs } = this;
    const known = this.known(TYPES);
    const least = needs === OFFSETS && this.groups.allActiveTimes ? ACTIVE_TIME : needs;
    const type = known.find(({ id }) => id >= least) ?? known[known.length - 1];
    if (needs > type.id) this.tell(type.id);
    return type;
  }

  private get needs(): number {
    const { saysIdempotence, saysOffsets } = this.said;
    return Math.max(saysOffsets ? OFFSETS : 0, this.groups.needs, saysIdempotence ? IDEMPOTENCE : 0);
  }

  private tell(type: number): void {
    const { adapted } = this.encoding;
    if (type < OFFSETS) adapted.push(LEFT_OUT.offsets);
    if (type < ACTIVE_TIME) adapted.push(LEFT_OUT.activeTimes);
    if (type < IDEMPOTENCE && this.said.saysIdempotence) adapted.push(LEFT_OUT.idempotence);
  }
}

export interface Consumer {
  readonly name: Uint8Array;
  readonly seenTime: bigint;
  readonly activeTime: bigint | undefined;
}

/** The entries of one consumer, or of none. */
interface Held {
  /** 16 bytes an entry. */
  readonly ids: ByteBuilder;
  count: number;
}

/** A new group, which is held as a whole. Consumers are known by their names, each byte as the character with that code. */
export class Group {
  name: Uint8Array = new Uint8Array(0);
  lastId: Id = 0n;
  /** NEVER if that is not known. */
  entriesRead = NEVER;
  readonly consumers = new Map<string, Consumer>();
  /** By the name of the consumer; undefined for those handed back. */
  readonly held = new Map<string | undefined, Held>();
  /** The pending entries as they are written, and where those begin and end that no consumer holds. */
  readonly pending = new ByteBuilder();
  readonly free: [from: number, to: number][] = [];
  pendingCount = 0;

  /** A pending entry; `consumer` is undefined for one that was handed back. */
  addPending(id: Id, consumer: string | undefined, deliveredAt: bigint, deliveries: bigint): void {
    const { free, held, pending } = this;
    const from = pending.length;
    addId(pending, id);
    addMs(pending, deliveredAt);
    addUnsigned(pending, deliveries);
    if (consumer === undefined) free.push([from, pending.length]);
    this.pendingCount++;
    let of = held.get(consumer);
    if (of === undefined) held.set(consumer, (of = { ids: new ByteBuilder(), count: 0 }));
    addId(of.ids, id);
    of.count++;
  }
}

/** The consumer groups of a new stream (redis rdb.c, rdbSaveObject; the layouts are in rdb/types.ts). */
class Groups {
  private groups: Group[] = [];

  constructor(private readonly encoding: Encoding) {}

  begin(): void {
    this.groups = [];
  }

  add(group: Group): void {
    this.groups.push(group);
  }

  /** Whether every consumer has an active time. */
  get allActiveTimes(): boolean {
    return this.groups.every(({ consumers }) => [...consumers.values()].every(({ activeTime }) => activeTime !== undefined));
  }

  /** The least type that has all there is. */
  get needs(): number {
    const { groups } = this;
    if (groups.some(({ held }) => held.has(undefined))) return HANDED_BACK;
    if (groups.some(({ consumers }) => [...consumers.values()].some(({ activeTime }) => activeTime !== undefined))) return ACTIVE_TIME;
    return groups.some(({ entriesRead }) => entriesRead !== NEVER) ? OFFSETS : 0;
  }

  /** Writes them as a type with this number has them. Tells what it has no place for. */
  write(out: ByteBuilder, type: number): void {
    addLength(out, this.groups.length);
    for (const group of this.groups) {
      addStringOf(out, group.name);
      addIdLengths(out, group.lastId);
      if (type >= OFFSETS) addUnsigned(out, group.entriesRead);
      this.pendings(out, group, type);
      this.consumers(out, group, type);
      if (type < HANDED_BACK) continue;
      addIds(out, group.held.get(undefined));
    }
  }

  private pendings(out: ByteBuilder, { free, pending, pendingCount }: Group, type: number): void {
    const left = type < HANDED_BACK ? free : [];
    if (left.length > 0) this.encoding.lose(LEFT_OUT.handedBack, `${left.length} are pending in a group`);
    addLength(out, pendingCount - left.length);
    let at = 0;
    for (const [from, to] of left) {
      out.copy(pending.bytes, at, from);
      at = to;
    }
    out.copy(pending.bytes, at, pending.length);
  }

  private consumers(out: ByteBuilder, { consumers, held }: Group, type: number): void {
    addLength(out, consumers.size);
    for (const [key, { activeTime, name, seenTime }] of consumers) {
      addStringOf(out, name);
      addMs(out, seenTime);
      if (type >= ACTIVE_TIME) addMs(out, activeTime ?? seenTime); // as servers read the older types
      addIds(out, held.get(key));
    }
  }
}

function addIds(out: ByteBuilder, held: Held | undefined): void {
  addLength(out, held?.count ?? 0);
  if (held !== undefined) out.copy(held.ids.bytes, 0, held.ids.length);
}

/** Defaults are for a stream that says nothing of it, but needs a type that has it. */
const DURATION = 100n;
const MAX_ENTRIES = 100n;

/** Idempotent producing of a new stream (redis 8.6): parameters, producers with the IDs that they used, two counters. */
class Idempotence {
  /** Seconds. */
  duration = DURATION;
  maxEntries = MAX_ENTRIES;
  added = 0n;
  duplicates = 0n;
  private readonly out = new ByteBuilder();
  private producers = 0;
  private readonly ids = new ByteBuilder();
  private idCount = 0;

  begin(): void {
    this.out.clear();
    this.producers = 0;
    this.duration = DURATION;
    this.maxEntries = MAX_ENTRIES;
    this.added = this.duplicates = 0n;
  }

  producerBegin(): void {
    this.ids.clear();
    this.idCount = 0;
  }

  /** An ID that the current producer used. */
  used(id: Uint8Array, streamId: Id): void {
    this.idCount++;
    addStringOf(this.ids, id);
    addIdLengths(this.ids, streamId);
  }

  producerEnd(producer: Uint8Array): void {
    this.producers++;
    addStringOf(this.out, producer);
    addLength(this.out, this.idCount);
    this.out.copy(this.ids.bytes, 0, this.ids.length);
  }

  write(out: ByteBuilder): void {
    addUnsigned(out, this.duration);
    addUnsigned(out, this.maxEntries);
    addLength(out, this.producers);
    out.copy(this.out.bytes, 0, this.out.length);
    addUnsigned(out, this.added);
    addUnsigned(out, this.duplicates);
  }
}
