import type { Element } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { GroupVisitor, IdempotenceVisitor, StreamTail } from '../values/stream-tail.js';
import type { JsonWriter } from './writer.js';

/** What follows the entries of a stream, up to the end of its object. */
export function writeStreamTail(json: JsonWriter, tail: StreamTail): void {
  json.raw('],"length":');
  json.unsigned(tail.length);
  json.raw(',"lastId":');
  json.quotedId(tail.lastId);
  if (tail.hasOffsets) {
    json.raw(',"firstId":');
    json.quotedId(tail.firstId);
    json.raw(',"maxDeletedId":');
    json.quotedId(tail.maxDeletedId);
    json.raw(',"entriesAdded":');
    json.unsigned(tail.entriesAdded);
  }
  json.raw(',"groups":[');
  tail.groups(new Groups(json));
  json.raw(']');
  if (tail.hasIdempotence) writeIdempotence(json, tail);
}

class Groups implements GroupVisitor {
  private firstGroup = true;
  private first = true;
  private inConsumers = false;

  constructor(private readonly json: JsonWriter) {}

  groupBegin(name: Element, lastId: StreamId, entriesRead: Element | undefined): void {
    const { json } = this;
    json.raw(this.firstGroup ? '{"name":' : ',{"name":');
    json.text(name);
    json.raw(',"lastId":');
    json.quotedId(lastId);
    json.raw(',"entriesRead":');
    if (entriesRead === undefined) json.raw('null');
    else json.unsigned(entriesRead);
    json.raw(',"pending":[');
    this.firstGroup = false;
    this.first = true;
    this.inConsumers = false;
  }

  pending(id: StreamId, consumer: Element | undefined, deliveredAt: Element, deliveries: Element): void {
    const { json } = this;
    json.raw(this.first ? '{"id":' : ',{"id":');
    json.quotedId(id);
    json.raw(',"consumer":');
    if (consumer === undefined) json.raw('null');
    else json.text(consumer);
    json.raw(',"deliveredAt":');
    json.signed(deliveredAt);
    json.raw(',"deliveries":');
    json.unsigned(deliveries);
    json.raw('}');
    this.first = false;
  }

  consumer(name: Element, seenTime: Element, activeTime: Element | null | undefined): void {
    const { json } = this;
    this.beginConsumers();
    json.raw(this.first ? '{"name":' : ',{"name":');
    json.text(name);
    json.raw(',"seenTime":');
    json.signed(seenTime);
    if (activeTime !== undefined) {
      json.raw(',"activeTime":');
      if (activeTime === null) json.raw('null');
      else json.signed(activeTime);
    }
    json.raw('}');
    this.first = false;
  }

  groupEnd(): void {
    this.beginConsumers();
    this.json.raw(']}');
  }

  private beginConsumers(): void {
    if (this.inConsumers) return;
    this.json.raw('],"consumers":[');
    this.inConsumers = true;
    this.first = true;
  }
}

/** Idempotent producing (redis 8.6): the parameters, and the IDs that each producer used. */
function writeIdempotence(json: JsonWriter, tail: StreamTail): void {
  const idempotence = tail.idempotence();
  json.raw(',"idempotence":{"duration":');
  json.unsigned(idempotence.duration);
  json.raw(',"maxEntries":');
  json.unsigned(idempotence.maxEntries);
  json.raw(',"producers":[');
  const producers = new Producers(json);
  idempotence.producers(producers);
  producers.close();
  json.raw('],"added":');
  json.unsigned(idempotence.added);
  json.raw(',"duplicates":');
  json.unsigned(idempotence.duplicates);
  json.raw('}');
}

class Producers implements IdempotenceVisitor {
  private open = false;
  private first = true;

  constructor(private readonly json: JsonWriter) {}

  producer(id: Element): void {
    const { json } = this;
    json.raw(this.open ? ']},{"id":' : '{"id":');
    json.text(id);
    json.raw(',"entries":[');
    this.open = this.first = true;
  }

  produced(id: Element, streamId: StreamId): void {
    const { json } = this;
    json.raw(this.first ? '{"id":' : ',{"id":');
    json.text(id);
    json.raw(',"streamId":');
    json.quotedId(streamId);
    json.raw('}');
    this.first = false;
  }

  close(): void {
    if (this.open) this.json.raw(']}');
  }
}
