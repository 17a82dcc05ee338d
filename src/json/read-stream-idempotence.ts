import { ByteBuilder } from '../bytes/builder.js';
import { addLength, addStringOf } from '../rdb/write-string.js';
import { Fields, type Unknown } from './fields.js';
import { IntegerPlace } from './number-places.js';
import { ArrayPlace, ObjectPlace, type Place, TextPlace } from './places.js';
import { bytesOf } from './read-stream-groups.js';
import { addIdLengths, addUnsigned, type Id, IdPlace } from './read-stream-ids.js';

/** For a stream that says nothing of it, but needs a type that has it. */
const DURATION = 100n;
const MAX_ENTRIES = 100n;

/** Idempotent producing (redis 8.6): parameters, producers with the IDs that they used, two counters. */
export class Idempotence {
  readonly place: Place;
  private duration = DURATION;
  private maxEntries = MAX_ENTRIES;
  private added = 0n;
  private duplicates = 0n;
  private readonly out = new ByteBuilder();
  private producers = 0;
  private producer: Uint8Array = new Uint8Array(0);
  private readonly ids = new ByteBuilder();
  private idCount = 0;

  constructor(unknown: Unknown) {
    const fields = new Fields(
      {
        duration: new IntegerPlace('seconds', (value) => (this.duration = value)),
        maxEntries: new IntegerPlace('a number of IDs', (value) => (this.maxEntries = value)),
        producers: this.producersPlace(unknown),
        added: new IntegerPlace('a counter', (value) => (this.added = value)),
        duplicates: new IntegerPlace('a counter', (value) => (this.duplicates = value)),
      },
      ['duration', 'maxEntries', 'producers', 'added', 'duplicates'],
      unknown,
      () => undefined,
    );
    this.place = new ObjectPlace('idempotence: an object', () => fields.begin());
  }

  private producersPlace(unknown: Unknown): Place {
    let id: Uint8Array = new Uint8Array(0);
    let streamId: Id = 0n;
    const nothing = (): void => undefined;
    const used = new Fields(
      { id: new TextPlace((text) => (id = bytesOf(text))), streamId: new IdPlace((value) => (streamId = value)) },
      ['id', 'streamId'],
      unknown,
      () => {
        this.idCount++;
        addStringOf(this.ids, id);
        addIdLengths(this.ids, streamId);
      },
    );
    const entries = new ArrayPlace(
      'an array of IDs',
      new ObjectPlace('an ID that was used: an object', () => used.begin()),
      nothing,
      nothing,
    );
    const producer = new Fields(
      { id: new TextPlace((text) => (this.producer = bytesOf(text))), entries },
      ['id', 'entries'],
      unknown,
      () => {
        this.producers++;
        addStringOf(this.out, this.producer);
        addLength(this.out, this.idCount);
        this.out.copy(this.ids.bytes, 0, this.ids.length);
      },
    );
    const begin = (): Fields => {
      this.ids.clear();
      this.idCount = 0;
      return producer.begin();
    };
    return new ArrayPlace('an array of producers', new ObjectPlace('a producer: an object', begin), nothing, nothing);
  }

  begin(): void {
    this.out.clear();
    this.producers = 0;
    this.duration = DURATION;
    this.maxEntries = MAX_ENTRIES;
    this.added = this.duplicates = 0n;
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
