import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import type { Words128 } from '../bytes/murmur3.js';
import { addLength, addStringOf } from '../rdb/write-string.js';
import { DigestSet } from '../values/digest-set.js';
import type { LineEncoding } from './value-encoder.js';
import { Fields } from './fields.js';
import { IntegerPlace, LEAST_SIGNED, MOST_SIGNED } from './number-places.js';
import { ArrayPlace, type Container, ObjectPlace, type Place, TextPlace } from './places.js';
import { addId, addIdLengths, addMs, addUnsigned, type Id, IdPlace } from './read-stream-ids.js';
import type { Text } from './read-text.js';

/** Types that have: offsets, active times, entries handed back. */
const OFFSETS = 19;
const ACTIVE_TIME = 21;
const HANDED_BACK = 27;

/** How servers write that something is not known, or never was. */
const NEVER = -1n;

/** A copy of a text that is kept in memory, as all of a group is. */
export function bytesOf({ element, spilled }: Text): Uint8Array {
  if (element !== undefined) return element.bytes.slice(element.start, element.end);
  const out = new ByteBuilder();
  for (const piece of spilled?.read() ?? []) out.copy(piece, 0, piece.length);
  return out.view();
}

const nameOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

interface Consumer {
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

/** A group, which is held as a whole. */
class Group {
  name: Uint8Array = new Uint8Array(0);
  lastId: Id = 0n;
  entriesRead = NEVER;
  consumers = new Map<string, Consumer>();
  /** By the name of the consumer; undefined for those handed back. */
  held = new Map<string | undefined, Held>();
  /** The pending entries as they are written, and where those begin and end that no consumer holds. */
  readonly pending = new ByteBuilder();
  readonly free: [from: number, to: number][] = [];
  pendingCount = 0;
}

/** The consumer groups of a stream (redis rdb.c, rdbSaveObject; the layouts are in rdb/types.ts). */
export class StreamGroups {
  readonly place: Place;
  private groups: Group[] = [];
  private group = new Group();
  private readonly names = new Set<string>();
  /** Of the pending entries of the current group. */
  private readonly ids = new DigestSet();
  private readonly words: Words128 = [0, 0, 0, 0];
  private hasActiveTime = false;
  /** Whether every consumer has an active time. */
  allActiveTimes = true;

  constructor(private readonly encoding: LineEncoding) {
    const { unknown } = encoding;
    const fields = new Fields(
      {
        name: new TextPlace((text) => (this.group.name = bytesOf(text))),
        lastId: new IdPlace((id) => (this.group.lastId = id)),
        entriesRead: new IntegerPlace(
          'how many entries the group has read',
          (value) => (this.group.entriesRead = value),
          0n,
          MOST_SIGNED,
          () => (this.group.entriesRead = NEVER),
        ),
        pending: this.pendingPlace(),
        consumers: this.consumersPlace(),
      },
      ['name', 'lastId'],
      unknown,
      () => this.groupEnd(),
    );
    const group = new ObjectPlace('a consumer group: an object', () => {
      this.group = new Group();
      this.ids.clear();
      return fields.begin();
    });
    this.place = new ArrayPlace('an array of consumer groups', group, () => undefined, () => undefined);
  }

  begin(): void {
    this.groups = [];
    this.names.clear();
    this.hasActiveTime = false;
    this.allActiveTimes = true;
  }

  /** The least type that has all there is. */
  get needs(): number {
    if (this.groups.some(({ held }) => held.has(undefined))) return HANDED_BACK;
    if (this.hasActiveTime) return ACTIVE_TIME;
    return this.groups.some(({ entriesRead }) => entriesRead !== NEVER) ? OFFSETS : 0;
  }

  private consumersPlace(): Place {
    let name: Uint8Array = new Uint8Array(0);
    let seenTime = 0n;
    let activeTime: bigint | undefined;
    const fields = new Fields(
      {
        name: new TextPlace((text) => (name = bytesOf(text))),
        seenTime: new IntegerPlace('Unix milliseconds', (ms) => (seenTime = ms), LEAST_SIGNED, MOST_SIGNED),
        activeTime: new IntegerPlace('Unix milliseconds', (ms) => (activeTime = ms), LEAST_SIGNED, MOST_SIGNED, () => (activeTime = NEVER)),
      },
      ['name', 'seenTime'],
      this.encoding.unknown,
      () => this.consumer({ name, seenTime, activeTime }),
    );
    const begin = (): Container => {
      activeTime = undefined;
      return fields.begin();
    };
    return new ArrayPlace('an array of consumers', new ObjectPlace('a consumer: an object', begin), () => undefined, () => undefined);
  }

  private consumer(consumer: Consumer): void {
    const name = nameOf(consumer.name);
    if (this.group.consumers.has(name)) throw new RdbError('BAD_LINE', { expected: 'a consumer once', got: 'one of the same name again' });
    this.group.consumers.set(name, consumer);
    if (consumer.activeTime === undefined) this.allActiveTimes = false;
    else this.hasActiveTime = true;
  }

  private pendingPlace(): Place {
    let id: Id = 0n;
    let consumer: string | undefined;
    let deliveredAt = 0n;
    let deliveries = 0n;
    const fields = new Fields(
      {
        id: new IdPlace((value) => (id = value)),
        consumer: new ConsumerPlace((name) => (consumer = name)),
        deliveredAt: new IntegerPlace('Unix milliseconds', (ms) => (deliveredAt = ms), LEAST_SIGNED, MOST_SIGNED),
        deliveries: new IntegerPlace('how often it was delivered', (count) => (deliveries = count)),
      },
      ['id', 'consumer', 'deliveredAt', 'deliveries'],
      this.encoding.unknown,
      () => this.pending(id, consumer, deliveredAt, deliveries),
    );
    return new ArrayPlace(
      'an array of pending entries',
      new ObjectPlace('a pending entry: an object', () => fields.begin()),
      () => undefined,
      () => undefined,
    );
  }

  private pending(id: Id, consumer: string | undefined, deliveredAt: bigint, deliveries: bigint): void {
    const { group, words } = this;
    const { free, held, pending } = group;
    for (let word = 0; word < 4; word++) words[word] = Number((id >> BigInt(32 * word)) & 0xffffffffn);
    if (!this.ids.add(words)) throw new RdbError('BAD_LINE', { expected: 'a pending entry once', got: 'the same ID again' });
    const from = pending.length;
    addId(pending, id);
    addMs(pending, deliveredAt);
    addUnsigned(pending, deliveries);
    if (consumer === undefined) free.push([from, pending.length]);
    group.pendingCount++;
    let of = held.get(consumer);
    if (of === undefined) held.set(consumer, (of = { ids: new ByteBuilder(), count: 0 }));
    addId(of.ids, id);
    of.count++;
  }

  private groupEnd(): void {
    const { consumers, held, name } = this.group;
    for (const consumer of held.keys()) {
      if (consumer !== undefined && !consumers.has(consumer))
        throw new RdbError('BAD_LINE', { expected: 'consumers that all pending entries name', got: 'a pending entry of another one' });
    }
    if (this.names.has(nameOf(name))) throw new RdbError('BAD_LINE', { expected: 'a group once', got: 'one of the same name again' });
    this.names.add(nameOf(name));
    this.groups.push(this.group);
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
    if (left.length > 0) this.encoding.lose('stream entries that were handed back by a consumer', `${left.length} are pending in a group`);
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

/** The name of a consumer, or null. */
class ConsumerPlace extends TextPlace {
  constructor(private readonly name: (name: string | undefined) => void) {
    super((text) => name(nameOf(bytesOf(text))), 'the name of a consumer, or null');
  }

  override literal(value: boolean | null): void {
    if (value === null) this.name(undefined);
    else super.literal(value);
  }
}
