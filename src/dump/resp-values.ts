import { writeDouble } from '../bytes/double.js';
import { type Element, EMPTY } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Frame } from '../rdb/frame.js';
import { Scratch } from '../rdb/string.js';
import { Gathered } from '../values/gathered.js';
import { TEXT, VALUE } from '../values/layouts.js';
import { PartsReader } from '../values/parts.js';
import type { StreamTail } from '../values/stream-tail.js';
import { idText, scoreOf, signedOf, unsignedOf } from '../values/value-integers.js';
import { ascii } from '../json/writer.js';
import type { RespWriter } from './resp-writer.js';

/** A batch is a command; it ends with this many arguments or bytes. */
const MOST_ARGS = 1000;
const MOST_BYTES = 1 << 18;

/** By type: the command that adds elements. HMSET is what HSET of several fields was before 4.0, and still is. */
const ADD: Readonly<Record<string, string>> = { list: 'RPUSH', set: 'SADD', zset: 'ZADD', hash: 'HMSET' };

const CRLF = ascii('\r\n');

/**
 * Values as commands that make them anew: for those that are too large for one RESTORE. The key is deleted first. An element
 * that is too large itself is written as it comes, unless something has to stand before it that comes later.
 */
export class RespValues extends PartsReader {
  private key: Uint8Array = EMPTY;
  private add = '';
  /** Arguments of the batch at hand, as RESP, and how many. */
  private readonly batch = new Gathered();
  private args = 0;
  /** A member until its score comes, as RESP. */
  private readonly member_ = new Gathered();
  /** The field at hand, and expiries of fields that the batch has. */
  private field_: Uint8Array = EMPTY;
  /** Whether the expiry of a field comes before it, and that of the field that comes next. */
  private expiryBefore = false;
  private nextExpiry = 0;
  private expiries: [field: Uint8Array, ms: number][] = [];
  private entryArgs: Uint8Array[] = [];
  private entryId = '';
  private entries = 0;
  private readonly text_ = new Scratch();
  private readonly scoreText = new Uint8Array(32);
  /** Where the large string at hand goes. */
  private bigTo: 'output' | 'append' | Gathered = 'output';
  private bigIsMember = false;

  constructor(
    private readonly resp: RespWriter,
    /** The release that is written for: 700 for 7.0. */
    private readonly release: number,
  ) {
    super();
  }

  /** Whether commands can make values of the type. */
  static can({ redisType }: Frame): boolean {
    return redisType !== 'module' && redisType !== 'array';
  }

  /** Why a value of another type is not written. */
  static refusal({ redisType }: Frame): string {
    return `its payload is larger than --max-payload, and no commands make a value of the type ${redisType}`;
  }

  protected begin(frame: Frame): void {
    this.key = frame.keyBytes.slice(frame.keyStart, frame.keyEnd);
    this.add = ADD[frame.redisType] ?? '';
    this.args = this.entries = this.nextExpiry = 0;
    this.expiryBefore = frame.type.form === 'hash-metadata';
    this.batch.clear();
    this.expiries = [];
    this.command('DEL');
  }

  /** A whole command about the key. */
  private command(name: string, ...args: (string | Uint8Array)[]): void {
    this.resp.command(args.length + 2);
    this.resp.word(name);
    this.resp.arg(this.key);
    for (const arg of args) this.resp.arg(typeof arg === 'string' ? ascii(arg) : arg);
  }

  protected end(): void {
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

  /** The bytes of an element, in place or in a buffer of ours. */
  private bytesOf(element: Element): Uint8Array {
    this.text_.text(element);
    return element.bytes.subarray(element.start, element.end);
  }

  private push(to: Gathered, bytes: Uint8Array): void {
    const head = ascii(`$${bytes.length}\r\n`);
    to.add(head, 0, head.length);
    to.add(bytes, 0, bytes.length);
    to.add(CRLF, 0, 2);
  }

  private argument(element: Element): void {
    this.push(this.batch, this.bytesOf(element));
    this.args++;
  }

  text(element: Element): void {
    const bytes = this.bytesOf(element);
    this.command('SET', bytes.subarray(0, MOST_BYTES));
    for (let at = MOST_BYTES; at < bytes.length; at += MOST_BYTES) this.command('APPEND', bytes.subarray(at, at + MOST_BYTES));
  }

  item(element: Element): void {
    this.argument(element);
    this.flushIfFull();
  }

  field(element: Element): void {
    this.flushIfFull();
    this.named(this.bytesOf(element).slice());
  }

  /** The field at hand is this one. */
  private named(field: Uint8Array): void {
    this.field_ = field;
    this.push(this.batch, field);
    this.args++;
    if (this.nextExpiry > 0) this.expiries.push([field, this.nextExpiry]);
    this.nextExpiry = 0;
  }

  value(element: Element): void {
    this.argument(element);
  }

  expiry(ms: number): void {
    if (this.expiryBefore) this.nextExpiry = ms;
    else if (ms > 0) this.expiries.push([this.field_, ms]);
  }

  member(element: Element): void {
    this.flushIfFull();
    this.member_.clear();
    this.push(this.member_, this.bytesOf(element));
  }

  score(element: Element): void {
    const score = scoreOf(element);
    const size = Number.isFinite(score) ? writeDouble(score, this.scoreText, 0) : 0;
    this.push(this.batch, size > 0 ? this.scoreText.subarray(0, size) : ascii(String(score).replace('Infinity', 'inf')));
    this.batch.add(this.member_.bytes, 0, this.member_.length);
    this.args += 2;
  }

  entry(id: StreamId): void {
    this.entryId = idText(id);
    this.entryArgs = [];
  }

  entryElement(element: Element): void {
    this.entryArgs.push(this.bytesOf(element).slice());
  }

  entryEnd(): void {
    this.entries++;
    this.command('XADD', this.entryId, ...this.entryArgs);
  }

  streamTail(tail: StreamTail): void {
    const last = idText(tail.lastId);
    if (this.entries === 0) this.command('XADD', 'MAXLEN', '0', last === '0-0' ? '0-1' : last, 'x', 'y');
    const counters = this.release >= 700 && tail.hasOffsets;
    this.command('XSETID', last, ...(counters ? ['ENTRIESADDED', `${unsignedOf(tail.entriesAdded)}`, 'MAXDELETEDID', idText(tail.maxDeletedId)] : []));
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

  protected bigBegin(role: number, size: number): void {
    const { resp } = this;
    this.bigIsMember = false;
    if (role === TEXT) {
      this.bigTo = 'append';
      return;
    }
    if (role === VALUE || this.add === 'RPUSH' || this.add === 'SADD') {
      const fields = role === VALUE ? this.takeField() : [];
      const expiry = this.expiries.at(-1)?.[0] === this.field_ ? this.expiries.splice(-1) : [];
      this.flushBatch();
      this.expiries = role === VALUE ? expiry : [];
      resp.command(fields.length + 3);
      resp.word(this.add);
      resp.arg(this.key);
      for (const field of fields) resp.arg(field);
      resp.open(size);
      this.bigTo = 'output';
      return;
    }
    this.bigIsMember = true;
    this.bigTo = new Gathered();
  }

  /** Takes the field that was put into the batch last out of it again. */
  private takeField(): Uint8Array[] {
    const size = this.field_.length + ascii(`$${this.field_.length}\r\n`).length + 2;
    this.batch.length -= size;
    this.args--;
    return [this.field_];
  }

  protected bigBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.bigTo === 'append') this.command('APPEND', bytes.subarray(start, end));
    else if (this.bigTo === 'output') this.resp.raw(bytes, start, end);
    else this.bigTo.add(bytes, start, end);
  }

  protected bigEnd(): void {
    const { bigTo } = this;
    if (bigTo === 'output') this.resp.end();
    if (!this.bigIsMember || typeof bigTo === 'string') return;
    const bytes = bigTo.bytes.slice(0, bigTo.length);
    if (this.add === 'ZADD') {
      this.member_.clear();
      this.push(this.member_, bytes);
    } else {
      this.named(bytes);
    }
  }

  module(): void {
    throw new TypeError('no commands make a module value');
  }

  modulePart(): void {
    throw new TypeError('no commands make a module value');
  }

  arrayElement(): void {
    throw new TypeError('no commands make an array');
  }

  arrayInsertIndex(): void {
    throw new TypeError('no commands make an array');
  }
}
