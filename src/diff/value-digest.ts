import type { Element } from '../encodings/element.js';
import { LARGE } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Codec } from '../kernels/codec.js';
import {
  DOMAIN_CONSUMER, DOMAIN_FIELD, DOMAIN_GROUP, DOMAIN_HYPERLOGLOG, DOMAIN_MEMBER, DOMAIN_META, DOMAIN_OFFSETS, DOMAIN_PENDING,
  DOMAIN_PRODUCER, DOMAIN_SCORED,
} from '../kernels/layout.js';
import type { Frame } from '../rdb/frame.js';
import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import type { AllItems } from '../values/by-type.js';
import { Gathered } from '../values/gathered.js';
import { FIELD, ITEM, MEMBER, MODULE_PART, TEXT, VALUE } from '../values/layouts.js';
import type { ModuleType } from '../values/module.js';
import type { StreamTail } from '../values/stream-tail.js';
import { scoreOf } from '../values/value-integers.js';
import { Chain, Sum } from './chain.js';
import { HYPERLOGLOG_BYTES, isHyperLogLog, LONGEST_HYPERLOGLOG, readHyperLogLog } from './hyperloglog.js';
import { ModuleDigest } from './modules.js';

export interface ValueDigestOptions {
  /**
   * What of a stream counts: `data` its entries, length, last ID, and its groups by name and last ID; `full` also what is pending, the
   * consumers, producers, and the counters of newer servers. Times at which consumers were seen never count.
   */
  readonly streams: 'data' | 'full';
}

/**
 * A digest of 128 bits of what a value is to its users, the same whatever its encoding, the server that wrote it, and the order of what
 * has none. It takes the calls of a reader, also those for a value in parts, and holds nothing but a HyperLogLog.
 *
 * Each string is hashed from a state: that of its domain, or of what precedes it (see Chain). Strings and what has an order are one
 * chain; members, fields with their values and so on are one chain each, which are added up. The digest of a collection is the hash of
 * the sum and the count.
 */
export class ValueDigest implements AllItems {
  /** Of the whole value, after `end`. */
  get words(): Int32Array {
    return this.value.state;
  }
  /** Of what only newer servers know of a stream; undefined where it is not known, or does not count. */
  offsets: Int32Array | undefined;
  /**
   * Items of a list or set, fields, members, entries of a stream, elements of an array; runs of bits of a
   * bitmap; bytes of a string; parts of a module value.
   */
  elements = 0;

  private redisType: RedisType = 'string';
  private readonly value: Chain;
  /** One element of a collection, or what comes after the entries of a stream. */
  private readonly single: Chain;
  private readonly inner: Chain;
  private readonly total = new Sum();
  private readonly modules: ModuleDigest;
  /** A string that may be a HyperLogLog, while it comes in pieces. */
  private readonly gathered = new Gathered();
  private gathers = false;
  private readonly registers = new Uint8Array(HYPERLOGLOG_BYTES);
  /** The chain that takes the pieces of a large string. */
  private target: Chain | undefined;
  private fields = 0;
  private readonly meta: Int32Array;
  private hasMeta = false;

  constructor(
    domains: Int32Array,
    private readonly options: ValueDigestOptions,
    codec: Codec,
  ) {
    this.value = new Chain(domains, codec);
    this.single = new Chain(domains, codec);
    this.inner = new Chain(domains, codec);
    this.modules = new ModuleDigest(this.value, domains, codec);
    this.meta = new Int32Array(4);
  }

  begin({ metaBytes, redisType }: Frame): void {
    this.redisType = redisType;
    this.elements = 0;
    this.offsets = undefined;
    this.total.begin();
    this.gathers = false;
    this.target = undefined;
    this.value.begin(REDIS_TYPES.indexOf(redisType));
    this.hasMeta = metaBytes !== undefined;
    if (metaBytes !== undefined) this.meta.set(this.single.begin(DOMAIN_META).bytes(metaBytes, 0, metaBytes.length).state);
  }

  end(): void {
    const { redisType, total, value } = this;
    if (redisType === 'set' || redisType === 'zset' || redisType === 'hash') value.sum(total);
    else if (redisType === 'list' || redisType === 'array') value.count(this.elements);
    else if (redisType === 'module') this.modules.end();
    if (this.hasMeta) value.words(this.meta);
  }

  text(element: Element): void {
    const { value } = this;
    if (element.kind === LARGE) {
      this.elements = element.num;
      if (this.gathers) this.gatheredText();
      return;
    }
    value.inflated(element);
    this.whole(element.bytes, element.start, element.end);
  }

  /** A string that is all here. */
  private whole(bytes: Uint8Array, start: number, end: number): void {
    const { registers, value } = this;
    this.elements = end - start;
    if (!isHyperLogLog(bytes, start, end) || !readHyperLogLog(bytes, start, end, registers)) value.bytes(bytes, start, end);
    else value.begin(DOMAIN_HYPERLOGLOG).bytes(registers, 0, registers.length);
  }

  private gatheredText(): void {
    const { gathered } = this;
    this.whole(gathered.bytes, 0, gathered.length);
    gathered.clear();
    this.gathers = false;
  }

  item(element: Element): void {
    this.elements++;
    if (this.redisType === 'list') {
      this.value.text(element);
      return;
    }
    if (element.kind !== LARGE) this.single.begin(DOMAIN_MEMBER).text(element);
    this.total.add(this.single);
  }

  pair(field: Element, value: Element, expireAt: number): void {
    const { single } = this;
    this.elements++;
    if (value.kind !== LARGE) {
      if (field.kind !== LARGE) single.begin(DOMAIN_FIELD).text(field);
      single.text(value);
    }
    if (expireAt > 0) single.count(expireAt);
    this.total.add(single);
  }

  scored(member: Element, score: Element): void {
    const { single } = this;
    this.elements++;
    if (member.kind !== LARGE) single.begin(DOMAIN_SCORED).text(member);
    this.total.add(single.score(scoreOf(score)));
  }

  largeBegin(role: number, length: number, field: Element | undefined): void {
    const { single, value } = this;
    switch (role) {
      case TEXT:
        this.gathers = length <= LONGEST_HYPERLOGLOG;
        this.target = value;
        break;
      case ITEM:
        this.target = this.redisType === 'list' ? value : single.begin(DOMAIN_MEMBER);
        break;
      case FIELD:
        this.target = single.begin(DOMAIN_FIELD);
        break;
      case VALUE:
        this.target = field === undefined || field.kind === LARGE ? single : single.begin(DOMAIN_FIELD).text(field);
        break;
      case MEMBER:
        this.target = single.begin(DOMAIN_SCORED);
        break;
      case MODULE_PART:
        this.target = undefined;
        this.modules.open();
        return;
      default:
        throw new TypeError(`no large string of role ${role}`);
    }
    if (!this.gathers) this.target.open();
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.gathers) this.gathered.add(bytes, start, end);
    else if (this.target === undefined) this.modules.piece(bytes, start, end);
    else this.target.piece(bytes, start, end);
  }

  largeEnd(): void {
    if (this.gathers) return;
    if (this.target === undefined) this.modules.close();
    else this.target.close();
  }

  entry(id: StreamId): void {
    this.elements++;
    this.fields = 0;
    this.value.id(id);
  }

  entryField(name: Element, value: Element): void {
    this.fields++;
    this.value.text(name).text(value);
  }

  entryEnd(): void {
    this.value.count(this.fields);
  }

  streamTail(tail: StreamTail): void {
    const { inner, single, total, value } = this;
    const isFull = this.options.streams === 'full';
    value.integer(tail.length).id(tail.lastId);
    const pending = new Sum();
    const consumers = new Sum();
    const reads = new Sum();
    tail.groups({
      groupBegin: (name, lastId, entriesRead) => {
        pending.begin();
        consumers.begin();
        single.begin(DOMAIN_GROUP).text(name).id(lastId);
        if (entriesRead !== undefined) reads.add(inner.begin(DOMAIN_OFFSETS).text(name).integer(entriesRead));
      },
      pending: (id, consumer, deliveredAt, deliveries) => {
        inner.begin(DOMAIN_PENDING).id(id).integer(deliveredAt).integer(deliveries);
        if (consumer !== undefined) inner.text(consumer);
        pending.add(inner);
      },
      consumer: (name) => consumers.add(inner.begin(DOMAIN_CONSUMER).text(name)),
      groupEnd: () => {
        if (isFull) single.sum(pending).sum(consumers);
        total.add(single);
      },
    });
    value.sum(total);
    if (!isFull) return;
    if (tail.hasOffsets) {
      single.begin(DOMAIN_OFFSETS).id(tail.firstId).id(tail.maxDeletedId).integer(tail.entriesAdded).sum(reads);
      this.offsets = single.state.slice();
    }
    if (tail.hasIdempotence) this.idempotence(tail);
  }

  /** Idempotent producing counts if there are producers: without any, a stream is the same as one of a server that knows none. */
  private idempotence(tail: StreamTail): void {
    const { single, total, value } = this;
    const { added, duplicates, duration, maxEntries, producers } = tail.idempotence();
    total.begin();
    let isOpen = false;
    const close = (): void => {
      if (isOpen) total.add(single);
      isOpen = true;
    };
    producers({
      producer: (id) => {
        close();
        single.begin(DOMAIN_PRODUCER).text(id);
      },
      produced: (id, streamId) => single.text(id).id(streamId),
    });
    close();
    if (total.count > 0) value.integer(duration).integer(maxEntries).integer(added).integer(duplicates).sum(total);
  }

  module(type: ModuleType): void {
    this.modules.begin(type);
  }

  modulePart(opcode: number, element: Element): void {
    this.elements++;
    this.modules.part(opcode, element);
  }

  arrayElement(index: Element, value: Element): void {
    this.elements++;
    this.value.integer(index).text(value);
  }

  arrayInsertIndex(index: Element): void {
    this.value.integer(index);
  }

  bitmap(lengthHi: number, lengthLo: number): void {
    this.value.halves(lengthHi, lengthLo);
  }

  bits(hi: number, first: number, last: number): void {
    this.elements++;
    this.value.halves(hi, 0).halves(last, first);
  }
}
