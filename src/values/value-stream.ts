import type { Element } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { GroupVisitor, IdempotenceVisitor, StreamTail } from './stream-tail.js';
import { idText, signedOf, unsignedOf } from './value-integers.js';
import type { Texts } from './value-texts.js';
import type { StreamEntry, StreamGroup, StreamIdempotence, StreamValue } from './value-types.js';

/** A stream from its entries and its tail. */
export function streamOf<T>(entries: StreamEntry<T>[], tail: StreamTail, texts: Texts<T>): StreamValue<T> {
  const groups = new Groups(texts);
  tail.groups(groups);
  return {
    entries,
    length: unsignedOf(tail.length),
    lastId: idText(tail.lastId),
    ...(tail.hasOffsets
      ? { firstId: idText(tail.firstId), maxDeletedId: idText(tail.maxDeletedId), entriesAdded: unsignedOf(tail.entriesAdded) }
      : {}),
    groups: groups.all,
    ...(tail.hasIdempotence ? { idempotence: idempotenceOf(tail, texts) } : {}),
  };
}

class Groups<T> implements GroupVisitor {
  readonly all: StreamGroup<T>[] = [];
  private group!: StreamGroup<T>;

  constructor(private readonly texts: Texts<T>) {}

  groupBegin(name: Element, lastId: StreamId, entriesRead: Element | undefined): void {
    this.group = {
      name: this.texts.element(name),
      lastId: idText(lastId),
      entriesRead: entriesRead === undefined ? null : unsignedOf(entriesRead),
      pending: [],
      consumers: [],
    };
  }

  pending(id: StreamId, consumer: Element | undefined, deliveredAt: Element, deliveries: Element): void {
    this.group.pending.push({
      id: idText(id),
      consumer: consumer === undefined ? null : this.texts.element(consumer),
      deliveredAt: signedOf(deliveredAt),
      deliveries: unsignedOf(deliveries),
    });
  }

  consumer(name: Element, seenTime: Element, activeTime: Element | null | undefined): void {
    this.group.consumers.push({
      name: this.texts.element(name),
      seenTime: signedOf(seenTime),
      ...(activeTime === undefined ? {} : { activeTime: activeTime === null ? null : signedOf(activeTime) }),
    });
  }

  groupEnd(): void {
    this.all.push(this.group);
  }
}

function idempotenceOf<T>(tail: StreamTail, texts: Texts<T>): StreamIdempotence<T> {
  const { duration, maxEntries, added, duplicates, producers: tell } = tail.idempotence();
  const producers: StreamIdempotence<T>['producers'] = [];
  const visitor: IdempotenceVisitor = {
    producer: (id) => void producers.push({ id: texts.element(id), entries: [] }),
    produced: (id, streamId) => void producers.at(-1)?.entries.push({ id: texts.element(id), streamId: idText(streamId) }),
  };
  tell(visitor);
  return {
    duration: unsignedOf(duration),
    maxEntries: unsignedOf(maxEntries),
    producers,
    added: unsignedOf(added),
    duplicates: unsignedOf(duplicates),
  };
}
