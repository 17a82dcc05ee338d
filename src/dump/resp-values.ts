import { ByteBuilder } from '../bytes/builder.js';
import { writeInt } from '../bytes/decimal.js';
import { writeDouble } from '../bytes/double.js';
import { LzfStream } from '../bytes/lzf.js';
import { BYTES, type Element, EMPTY, INT, LARGE, LZF } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Frame } from '../rdb/frame.js';
import { Scratch } from '../rdb/string.js';
import type { RedisType } from '../rdb/types.js';
import { Gathered } from '../values/gathered.js';
import type { AllItems } from '../values/by-type.js';
import { FIELD, MEMBER, TEXT } from '../values/layouts.js';
import { PartsReader } from '../values/parts.js';
import type { StreamTail } from '../values/stream-tail.js';
import { idText, scoreOf, signedOf, unsignedOf } from '../values/value-integers.js';
import { ascii } from '../json/writer.js';
import type { RespWriter } from './resp-writer.js';

/** A command ends with this many arguments or bytes. */
const MOST_ARGS = 1000;
const MOST_BYTES = 1 << 18;

/** By type: the command that adds elements. HMSET is HSET with several fields, as servers before 4.0 need it. */
const ADD: Readonly<Partial<Record<RedisType, string>>> = { list: 'RPUSH', set: 'SADD', zset: 'ZADD', hash: 'HMSET' };

/** Bytes around an argument, at most. */
const AROUND_ARG = 32;

const DOLLAR = 0x24;
const CRLF = ascii('\r\n');

/**
 * Writes values as plain commands, for those too large for one RESTORE. The key is deleted first, unless it `isNew`. A large element is
 * written part by part, unless something that comes later has to precede it.
 */
export class RespValues implements AllItems {
  /** The keys do not exist, so they are not deleted first. */
  isNew = false;
  private key: Uint8Array = EMPTY;
  private add = '';
  /** Arguments of the current command as RESP, and their number. */
  private readonly batch = new ByteBuilder();
  private args = 0;
  /** Fields in the current command that expire, and when. */
  private expiries: [field: Uint8Array, ms: number][] = [];
  private entryArgs: Uint8Array[] = [];
  private entryId = '';
  private entries = 0;
  private readonly text_ = new Scratch();
  private readonly scoreText = new Uint8Array(32);
  /** Where the parts of the current large string go; a large field or member is gathered until its value or score is known. */
  private largeTo: 'output' | 'append' | Gathered = 'output';
  private name: Uint8Array = EMPTY;
  private readonly reader = new PartsReader(this);

  constructor(
    private readonly resp: RespWriter,
    /** The target's release: 700 for 7.0. */
    private readonly release: number,
  ) {}

  /** Takes a record or a part of one (see Framer). */
  frame(kind: number, frame: Frame): void {
    this.reader.frame(kind, frame);
  }

  record(frame: Frame): void {
    this.reader.record(frame);
  }

  /** Whether plain commands can write the value, and all that belongs to it. */
  static can({ metaBytes, redisType }: Frame): boolean {
    return metaBytes === undefined && RespValues.canWrite(redisType);
  }

  /** Whether plain commands can write values of the type. */
  static canWrite(redisType: RedisType): boolean {
    return redisType === 'string' || redisType === 'stream' || ADD[redisType] !== undefined;
  }

  /** Why a value of another type is not written. */
  static refusal({ metaBytes, redisType }: Frame): string {
    const what = metaBytes === undefined ? `make a value of the type ${redisType}` : 'write the metadata that a module keeps with it';
    return `its payload is larger than --max-payload, and no commands ${what}`;
  }

  begin(frame: Frame): void {
    this.key = frame.keyBytes.slice(frame.keyStart, frame.keyEnd);
    this.add = ADD[frame.redisType] ?? '';
    this.args = this.entries = 0;
    this.batch.clear();
    this.expiries = [];
    if (!this.isNew) this.command('DEL');
  }

  /** Writes a whole command with the key as its first argument. */
  private command(name: string, ...args: (string | Uint8Array)[]): void {
    this.resp.command(args.length + 2);
    this.resp.word(name);
    this.resp.arg(this.key);
    for (const arg of args) this.resp.arg(typeof arg === 'string' ? ascii(arg) : arg);
  }

  end(): void {
    this.flushBatch();
  }

  private flushBatch(): void {
    const { batch, resp } = this;
    if (this.args > 0) {
      resp.command(this.args + 2);
      resp.word(this.add);
      resp.arg(this.key);
      resp.raw(batch.bytes, 0, batch.length);
    }
    this.args = 0;
    batch.clear();
    for (const [field, ms] of this.expiries) this.command('HPEXPIREAT', `${ms}`, 'FIELDS', '1', field);
    this.expiries = [];
  }

  private flushIfFull(): void {
    if (this.args >= MOST_ARGS || this.batch.length >= MOST_BYTES) this.flushBatch();
  }

  /** The bytes of an element that is not large, in place or in an own buffer. */
  private bytesOf(element: Element): Uint8Array {
    this.text_.text(element);
    return element.bytes.subarray(element.start, element.end);
  }

  /** Adds `bytes[start, end)` as an argument. */
  private push(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const { batch } = this;
    const size = end - start;
    batch.room(size + AROUND_ARG);
    batch.bytes[batch.length++] = DOLLAR;
    batch.length = writeInt(size, batch.bytes, batch.length);
    batch.copy(CRLF, 0, 2);
    batch.copy(bytes, start, end);
    batch.copy(CRLF, 0, 2);
    this.args++;
  }

  private argument(element: Element): void {
    this.text_.text(element);
    this.push(element.bytes, element.start, element.end);
  }

  text(element: Element): void {
    if (element.kind === LARGE) return;
    if (element.kind === LZF && element.num > MOST_BYTES) {
      const plain = new LzfStream(element.num, (bytes, start, end) => this.command('APPEND', bytes.subarray(start, end)));
      plain.push(element.bytes, element.start, element.end);
      plain.finish();
      return;
    }
    const bytes = this.bytesOf(element);
    this.command('SET', bytes.subarray(0, MOST_BYTES));
    for (let at = MOST_BYTES; at < bytes.length; at += MOST_BYTES) this.command('APPEND', bytes.subarray(at, at + MOST_BYTES));
  }

  item(element: Element): void {
    if (element.kind === LARGE) return;
    this.argument(element);
    this.flushIfFull();
  }

  pair(field: Element, value: Element, expireAt: number): void {
    const name = this.nameOf(field);
    if (value.kind !== LARGE) {
      this.flushIfFull();
      this.push(name);
      if (expireAt > 0) this.expiries.push([name.slice(), expireAt]);
      this.argument(value);
    } else if (expireAt > 0) {
      this.expiries.push([name.slice(), expireAt]);
    }
  }

  /** A field or member. */
  private nameOf(element: Element): Uint8Array {
    return element.kind === LARGE ? this.name : this.bytesOf(element);
  }

  scored(member: Element, element: Element): void {
    this.flushIfFull();
    this.score(element);
    if (member.kind === LARGE) this.push(this.name);
    else this.argument(member);
  }

  private score(element: Element): void {
    if (element.kind === BYTES || element.kind === INT) {
      this.argument(element); // a packed value has it as text
      return;
    }
    const score = scoreOf(element);
    const size = Number.isFinite(score) ? writeDouble(score, this.scoreText, 0) : 0;
    if (size > 0) this.push(this.scoreText, 0, size);
    else this.push(ascii(String(score).replace('Infinity', 'inf')));
  }

  entry(id: StreamId): void {
    this.entryId = idText(id);
    this.entryArgs = [];
  }

  entryField(name: Element, value: Element): void {
    this.entryArgs.push(this.bytesOf(name).slice(), this.bytesOf(value).slice());
  }

  entryEnd(): void {
    this.entries++;
    this.command('XADD', this.entryId, ...this.entryArgs);
  }

  streamTail(tail: StreamTail): void {
    const last = idText(tail.lastId);
    if (this.entries === 0) this.command('XADD', 'MAXLEN', '0', last === '0-0' ? '0-1' : last, 'x', 'y');
    const counters = this.release >= 700 && tail.hasOffsets;
    this.command(
      'XSETID',
      last,
      ...(counters ? ['ENTRIESADDED', `${unsignedOf(tail.entriesAdded)}`, 'MAXDELETEDID', idText(tail.maxDeletedId)] : []),
    );
    let group: Uint8Array = EMPTY;
    tail.groups({
      groupBegin: (name, lastId, entriesRead) => {
        group = this.bytesOf(name).slice();
        const read = counters && entriesRead !== undefined ? ['ENTRIESREAD', `${unsignedOf(entriesRead)}`] : [];
        this.groupCommand('CREATE', group, idText(lastId), ...read);
      },
      pending: (id, consumer, deliveredAt, deliveries) => {
        if (consumer === undefined) return;
        const times = ['TIME', `${signedOf(deliveredAt)}`, 'RETRYCOUNT', `${unsignedOf(deliveries)}`, 'JUSTID', 'FORCE'];
        this.command('XCLAIM', group, this.bytesOf(consumer).slice(), '0', idText(id), ...times);
      },
      consumer: (name) => {
        if (this.release >= 602) this.groupCommand('CREATECONSUMER', group, this.bytesOf(name).slice());
      },
      groupEnd: () => undefined,
    });
  }

  private groupCommand(name: string, ...args: (string | Uint8Array)[]): void {
    this.resp.command(args.length + 3);
    this.resp.words('XGROUP', name);
    this.resp.arg(this.key);
    for (const arg of args) this.resp.arg(typeof arg === 'string' ? ascii(arg) : arg);
  }

  largeBegin(role: number, size: number, field: Element | undefined): void {
    if (role === TEXT) {
      this.largeTo = 'append';
    } else if (role === FIELD || role === MEMBER) {
      this.largeTo = new Gathered();
    } else {
      this.flushBatch();
      this.largeTo = 'output';
      this.resp.command(field === undefined ? 3 : 4);
      this.resp.word(this.add);
      this.resp.arg(this.key);
      if (field !== undefined) this.resp.arg(this.nameOf(field));
      this.resp.open(size);
    }
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.largeTo === 'append') this.command('APPEND', bytes.subarray(start, end));
    else if (this.largeTo === 'output') this.resp.raw(bytes, start, end);
    else this.largeTo.add(bytes, start, end);
  }

  largeEnd(): void {
    const { largeTo } = this;
    if (largeTo === 'output') this.resp.end();
    else if (largeTo !== 'append') this.name = largeTo.bytes.subarray(0, largeTo.length);
  }
}
