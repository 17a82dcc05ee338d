import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import type { Words128 } from '../bytes/murmur3.js';
import type { TypeRow } from '../rdb/types.js';
import { DigestSet } from '../values/duplicates.js';
import { TEXT } from '../values/layouts.js';
import type { Id } from '../values/types/stream-nodes.js';
import { type Consumer, Group, NEVER, StreamWriter } from '../values/types/streams.js';
import {
  ArrayPlace,
  type Container,
  Fields,
  IntegerPlace,
  LEAST_SIGNED,
  MOST_SIGNED,
  MOST_UNSIGNED,
  ObjectPlace,
  type Place,
  TextPlace,
  WordPlace,
} from './places.js';
import { bytesOf } from './read-text.js';
import { elementOf, type LineEncoding, type ValueEncoder } from './value-encoder.js';

const nothing = (): void => undefined;

const FORM = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/;

/**
 * A stream. What the line leaves out is what a server would find: the last ID is that of the last entry, and so on. Which type it becomes,
 * the writer chooses.
 */
export class StreamEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly writer: StreamWriter;
  private readonly groups: GroupPlaces;
  private readonly fields: Fields;
  private length = 0n;
  private lastId: Id = 0n;
  private firstId: Id = 0n;
  private maxDeletedId: Id = 0n;
  private entriesAdded = 0n;

  constructor(private readonly encoding: LineEncoding) {
    const { unknown } = encoding;
    const writer = (this.writer = new StreamWriter(encoding));
    this.groups = new GroupPlaces(encoding, (group) => writer.groups.add(group));
    this.fields = new Fields(
      {
        entries: this.entriesPlace(),
        length: new IntegerPlace('how many entries there are', (value) => (this.length = value)),
        lastId: new IdPlace((id) => (this.lastId = id)),
        firstId: new IdPlace((id) => (this.firstId = id)),
        maxDeletedId: new IdPlace((id) => (this.maxDeletedId = id)),
        entriesAdded: new IntegerPlace('how many entries were ever added', (value) => (this.entriesAdded = value)),
        groups: this.groups.place,
        idempotence: this.idempotencePlace(),
      },
      ['entries'],
      unknown,
      () => this.check(),
    );
    this.place = new ObjectPlace('a stream: an object', () => this.fields.begin());
  }

  private entriesPlace(): Place {
    const { encoding, writer } = this;
    let id: Id = 0n;
    let strings = 0;
    const text = new TextPlace((text) => {
      strings++;
      writer.entryText(elementOf(text, TEXT, writer, encoding));
    });
    const fields = new Fields(
      {
        id: new IdPlace((value) => writer.entryId((id = value))),
        fields: new ArrayPlace('an array of names and values', text, nothing, nothing),
      },
      ['id', 'fields'],
      encoding.unknown,
      () => {
        if (strings === 0 || strings % 2 === 1)
          throw new RdbError('BAD_LINE', { expected: 'names and values in turn', got: `${strings} strings` });
        if (id <= writer.last)
          throw new RdbError('BAD_LINE', { expected: 'IDs that rise from entry to entry, above 0-0', got: 'one that does not' });
        writer.entryEnd();
      },
    );
    const entry = new ObjectPlace('an entry: an object', () => {
      strings = 0;
      writer.entryBegin();
      return fields.begin();
    });
    return new ArrayPlace('an array of entries', entry, nothing, nothing);
  }

  /** Idempotent producing (redis 8.6). */
  private idempotencePlace(): Place {
    const { encoding: { unknown }, writer: { idempotence } } = this;
    let id: Uint8Array = new Uint8Array(0);
    let streamId: Id = 0n;
    let producerId: Uint8Array = new Uint8Array(0);
    const used = new Fields(
      { id: new TextPlace((text) => (id = bytesOf(text))), streamId: new IdPlace((value) => (streamId = value)) },
      ['id', 'streamId'],
      unknown,
      () => idempotence.used(id, streamId),
    );
    const entry = new ObjectPlace('an ID that was used: an object', () => used.begin());
    const producer = new Fields(
      {
        id: new TextPlace((text) => (producerId = bytesOf(text))),
        entries: new ArrayPlace('an array of IDs', entry, nothing, nothing),
      },
      ['id', 'entries'],
      unknown,
      () => idempotence.producerEnd(producerId),
    );
    const begin = (): Fields => {
      idempotence.producerBegin();
      return producer.begin();
    };
    const fields = new Fields(
      {
        duration: new IntegerPlace('seconds', (value) => (idempotence.duration = value)),
        maxEntries: new IntegerPlace('a number of IDs', (value) => (idempotence.maxEntries = value)),
        producers: new ArrayPlace('an array of producers', new ObjectPlace('a producer: an object', begin), nothing, nothing),
        added: new IntegerPlace('a counter', (value) => (idempotence.added = value)),
        duplicates: new IntegerPlace('a counter', (value) => (idempotence.duplicates = value)),
      },
      ['duration', 'maxEntries', 'producers', 'added', 'duplicates'],
      unknown,
      nothing,
    );
    return new ObjectPlace('idempotence: an object', () => fields.begin());
  }

  begin(): void {
    this.writer.open();
    this.groups.begin();
    this.length = this.entriesAdded = 0n;
    this.lastId = this.firstId = this.maxDeletedId = 0n;
  }

  /** The end of the object. */
  private check(): void {
    const { fields, writer } = this;
    if (!fields.has('lastId')) this.lastId = writer.last;
    if (!fields.has('firstId')) this.firstId = writer.first;
    if (!fields.has('entriesAdded')) this.entriesAdded = BigInt(writer.entries);
    if (fields.has('length') && this.length !== BigInt(writer.entries)) {
      throw new RdbError('BAD_LINE', { expected: `the length ${writer.entries}, of the entries that are there`, got: `${this.length}` });
    }
    if (this.lastId < writer.last)
      throw new RdbError('BAD_LINE', { expected: 'a lastId that is not below the last entry', got: 'a lower one' });
    const { entriesAdded, firstId, lastId, maxDeletedId } = this;
    const saysOffsets = fields.has('firstId') || fields.has('maxDeletedId') || fields.has('entriesAdded');
    writer.facts({ lastId, firstId, maxDeletedId, entriesAdded, saysOffsets, saysIdempotence: fields.has('idempotence') });
  }

  finish(head: ByteBuilder): TypeRow {
    return this.writer.finish(head);
  }
}

const nameOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** The consumer groups of a stream. */
class GroupPlaces {
  readonly place: Place;
  private group = new Group();
  private readonly names = new Set<string>();
  /** Of the pending entries of the current group. */
  private readonly ids = new DigestSet();
  private readonly words: Words128 = [0, 0, 0, 0];

  constructor(
    private readonly encoding: LineEncoding,
    private readonly take: (group: Group) => void,
  ) {
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
    this.place = new ArrayPlace('an array of consumer groups', group, nothing, nothing);
  }

  begin(): void {
    this.names.clear();
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
    return new ArrayPlace('an array of consumers', new ObjectPlace('a consumer: an object', begin), nothing, nothing);
  }

  private consumer(consumer: Consumer): void {
    const name = nameOf(consumer.name);
    if (this.group.consumers.has(name)) throw new RdbError('BAD_LINE', { expected: 'a consumer once', got: 'one of the same name again' });
    this.group.consumers.set(name, consumer);
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
      nothing,
      nothing,
    );
  }

  private pending(id: Id, consumer: string | undefined, deliveredAt: bigint, deliveries: bigint): void {
    const { group, words } = this;
    for (let word = 0; word < 4; word++) words[word] = Number((id >> BigInt(32 * word)) & 0xffffffffn);
    if (!this.ids.add(words)) throw new RdbError('BAD_LINE', { expected: 'a pending entry once', got: 'the same ID again' });
    group.addPending(id, consumer, deliveredAt, deliveries);
  }

  private groupEnd(): void {
    const { consumers, held, name } = this.group;
    for (const consumer of held.keys()) {
      if (consumer !== undefined && !consumers.has(consumer))
        throw new RdbError('BAD_LINE', { expected: 'consumers that all pending entries name', got: 'a pending entry of another one' });
    }
    if (this.names.has(nameOf(name))) throw new RdbError('BAD_LINE', { expected: 'a group once', got: 'one of the same name again' });
    this.names.add(nameOf(name));
    this.take(this.group);
  }
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

/** An ID as commands print it. */
class IdPlace extends WordPlace {
  constructor(set: (id: Id) => void) {
    super('an ID like "1700000000000-0"', (word, place) => set(parseId(word, place)));
  }
}

function parseId(word: string, place: Place): Id {
  const match = FORM.exec(word);
  const [ms, seq] = match === null ? [-1n, -1n] : [BigInt(match[1]), BigInt(match[2])];
  if (match === null || ms > MOST_UNSIGNED || seq > MOST_UNSIGNED) throw place.wrong(JSON.stringify(word.slice(0, 60)));
  return (ms << 64n) | seq;
}
