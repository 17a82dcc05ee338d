import { setTimeout as delay } from 'node:timers/promises';
import { SLOTS, keySlot } from '../bytes/crc16.js';
import { ByteBuilder } from '../bytes/builder.js';
import { Crc64 } from '../bytes/crc64.js';
import { RdbError } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import { uint32 } from '../encodings/element.js';
import { KEY_META, PAYLOAD_FOOTER, payloadVersion } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { TABLES } from '../rdb/types.js';
import { EXPIRETIME_MS, FREQ, IDLE, IDLE_SINCE, LENGTH_SIZE, writeLength, writeUint64LE } from '../rdb/write.js';
import { addLength } from '../rdb/write-string.js';
import { encodeCommand } from '../redis/commands.js';
import type { Opened } from '../redis/connect.js';
import { ConnectionLost, reasonOf, ServerError } from '../redis/errors.js';
import { RateLimit } from '../redis/rate-limit.js';
import { redirection, refusalOf } from '../redis/refusals.js';
import { parseInfo, type ServerInfo, type ServerProcess } from '../redis/server-info.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { compileKeyFilter, type KeyPlace } from '../values/filters.js';
import { TARGETS } from '../values/targets.js';
import { KeyPage } from './key-page.js';
import { LatencyGuard } from './latency-guard.js';
import { type Answer, ARRAY, BULK, ERROR, ErrorAnswer, garbled, INTEGER, ReplyLink, textOf } from './reply-link.js';
import { NoRanges, RangeReader } from './range-reader.js';
import { copy, KeyCommands, type KeyQuestions, sizeCommands, TIME_EVERY } from './scan-commands.js';
import { scanOptionsOf } from './scan-filter.js';
import { ScanOutput, vendorOf } from './scan-output.js';
import type { NodeScanTarget, ScanPosition, ScanSettings } from './scan-terms.js';

/** Keys asked for at once: at first, at least, and at most. */
const FIRST_BATCH = 100;
const LEAST_BATCH = 10;
const MOST_BATCH = 1000;
/** Bytes of replies that a batch should have; up to two batches and a half are in flight. */
const BATCH_BYTES = 1 << 19;
/** Bytes of a key in a note. */
const SHOWN = 100;
/** A page of at most this many batches is not divided. */
const ABOUT = 1.5;
/** Keys looked at by one SCAN where few of them are wanted. */
const MOST_COUNT = 2000;
/** Payloads above this are passed on as they arrive, in bytes. */
const LARGE = 1 << 20;
/** Bytes of a key, at most. */
const LONGEST_KEY = 512 << 20;
/** Bytes of metadata before the type of a large value, at most. */
const MOST_META = 1 << 16;
/** Keys of one reply of SCAN, in bytes: more than any server gives that looks at thousands of keys. */
const MOST_PAGE = 1 << 30;
/** What a record has beside key and value: SELECTDB, expiry, idle time, type, length. */
const RECORD_HEAD = ScanOutput.SELECT_SIZE + 9 + 1 + LENGTH_SIZE + 1 + LENGTH_SIZE;
/** Bytes of the checksum at the end of a payload. */
const CRC_SIZE = 8;
/** The shortest payload: type, a value, footer. */
const LEAST_PAYLOAD = PAYLOAD_FOOTER + 1;
/** Databases that are tried where INFO does not list them. */
const MOST_DBS = 1024;
/** Milliseconds between attempts to connect: at first, and at most. */
const FIRST_WAIT = 50;
const LONGEST_WAIT = 2000;

const CR = 0x0d;

/** Results of `take`. */
const DONE = 0;
const MORE = 1;
const ROOM = 2;
const STREAM = 3;
const RANGED = 4;

/** Keys of a page that were asked for together. */
interface Segment {
  readonly page: KeyPage;
  readonly from: number;
  readonly to: number;
  readonly request: Uint8Array;
}

/** Keys of a page whose sizes were asked for together. */
class Sizes {
  constructor(
    readonly page: KeyPage,
    readonly to: number,
  ) {}
}

interface Progress {
  readonly written: number;
  readonly cursor: string | undefined;
  readonly runId: string;
}

/** A reply of SCAN in the queue. */
const SCAN = undefined;

/** Scans all databases of one server, over one connection at a time; a new one goes on where the last one was lost. */
export class NodeScan {
  /** Slots of keys that were answered with MOVED, and with ASK. */
  readonly movedSlots = new Set<number>();
  readonly askedSlots = new Set<number>();
  private readonly wanted: ((key: KeyPlace) => boolean) | undefined;
  /** Of the payload that is read. */
  private readonly crc = new Crc64();
  private readonly place: KeyPlace = { keyBytes: new Uint8Array(0), keyStart: 0, keyEnd: 0 };
  private current: ReplyLink | undefined;
  private side: { readonly link: ReplyLink; db: number } | undefined;
  private info: Omit<ServerInfo, 'clockAhead'> = parseInfo('');
  private clockAhead: number | undefined;
  /** Unix milliseconds by the server's clock, at or before what is read next. */
  private serverTime = 0;
  private questions: KeyQuestions = { expiry: 'PEXPIRETIME', timed: false, object: undefined, asking: false };
  private commands = new KeyCommands(this.questions);
  private scanOptions: (string | Uint8Array)[] = [];
  /** Where to go on after a lost connection. */
  private runId = '';
  private db = 0;
  private cursor: string | undefined;
  /** Of the last server. */
  private history: { readonly address: string | undefined; readonly id: string } = { address: undefined, id: '' };
  private readonly finished = new Set<number>();
  /** What replies are due, in order. */
  private queue: (Segment | Sizes | typeof SCAN)[] = [];
  /** Pages whose keys are not all answered, in order. */
  private pages: KeyPage[] = [];
  private readonly sparePages: KeyPage[] = [];
  private readonly spareRequests: Uint8Array[] = [];
  /** The cursor for the next SCAN; undefined after the last one. */
  private next: string | undefined;
  private scanning = false;
  private inFlight = 0;
  private sizesRefused = false;
  private readonly told = new Set<string>();
  private batch: number;
  /** Keys that one SCAN looks at: more than a batch where few are wanted. */
  private count: number;
  private meanBytes = 0;
  private readonly limit: RateLimit;
  private guard: LatencyGuard | undefined;
  /** The next key of the segment that is read. */
  private at = 0;
  private idle = -1;
  /** Bytes that `take` waits for. */
  private need = 1;
  /** Whether a record is written in part. */
  private torn = false;
  /** How far it was when the last connection was lost. */
  private progress: Progress = { written: 0, cursor: undefined, runId: '' };

  constructor(
    private readonly target: NodeScanTarget,
    private readonly settings: ScanSettings,
  ) {
    this.wanted = wantedOf(settings, () => this.db);
    const { count = FIRST_BATCH, maxBytesPerSecond, maxKeysPerSecond } = settings.scan;
    this.batch = this.count = count;
    this.limit = new RateLimit({ bytesPerSecond: maxBytesPerSecond, keysPerSecond: maxKeysPerSecond });
  }

  private get link(): ReplyLink {
    if (this.current === undefined) throw new ConnectionLost('there is no connection');
    return this.current;
  }

  /**
   * Writes all keys. Throws RdbError: SOURCE_LOST, SOURCE_REFUSED; or the reason of the signal.
   * `from`: a position that an earlier scan of the same server told.
   */
  async run(from?: ScanPosition): Promise<void> {
    const { retryFor, signal } = this.settings;
    if (from !== undefined) {
      this.runId = from.runId;
      this.db = from.db;
      this.cursor = from.cursor;
    }
    let [downSince, wait] = [0, FIRST_WAIT];
    for (;;) {
      try {
        await this.session(await this.opened(), from);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        const failure = this.failureOf(error);
        if (failure !== undefined) throw failure;
        if (this.hasProgressed()) [downSince, wait] = [0, FIRST_WAIT];
        if (downSince === 0) this.settings.onEvent(`${this.target.name}: ${reasonOf(error)}: trying again`, true);
        downSince ||= Date.now();
        if (Date.now() - downSince >= retryFor) throw this.lost(reasonOf(error), error);
        await delay(Math.min(wait, retryFor), undefined, { signal });
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    }
  }

  /** Whether keys were written, or pages finished, since it was last asked. */
  private hasProgressed(): boolean {
    const { cursor, progress, runId } = this;
    const { restarts, written } = this.settings.counts;
    this.progress = { written, cursor, runId };
    // after a restart, the cursor may move over the same keys again and again
    return written > progress.written || (restarts === 0 && runId === progress.runId && cursor !== progress.cursor);
  }

  private opened(): Promise<Opened> {
    return unlessAborted(this.target.open(), this.settings.signal, ({ socket }) => socket.destroy());
  }

  /** The error that another attempt does not help against; undefined if one may. */
  private failureOf(error: unknown): Error | undefined {
    if (error instanceof RdbError) return error;
    if (error instanceof SyntaxError) return this.lost(error.message, error);
    if (error instanceof ServerError && error.code === 'REFUSED' && !error.passing) return this.refused(error.reason, error);
    if (!(error instanceof ServerError || error instanceof ConnectionLost)) {
      return error instanceof Error ? error : new Error(String(error));
    }
    return this.torn ? this.lost(`${reasonOf(error)}, in the middle of a large value`, error) : undefined;
  }

  private lost(got: string, cause?: unknown): RdbError {
    const { name } = this.target;
    const reached = `${this.settings.counts.written} keys were read, up to database ${this.db}`;
    return new RdbError('SOURCE_LOST', { file: name, got: `${got}; ${reached}`, cause });
  }

  private refused(got: string, cause?: unknown): RdbError {
    return new RdbError('SOURCE_REFUSED', { file: this.target.name, got, cause });
  }

  /** One connection, from its beginning to the end of the scan. */
  private async session({ clockAhead, process, socket }: Opened, from: ScanPosition | undefined): Promise<void> {
    const { onBytes, onEvent, onNote, scan, signal } = this.settings;
    const link = new ReplyLink(socket, onBytes, signal);
    this.current = link;
    const { maxLatency: limit } = scan;
    if (limit !== undefined) this.guard = new LatencyGuard({ target: this.target, limit, signal, onNote, onEvent });
    this.clockAhead = clockAhead;
    try {
      await this.introduce();
      if (process.runId !== this.runId || this.runId === '') this.cursor = undefined; // cursors are of one process
      if (process.runId !== this.runId && this.runId !== '' && !this.goesOn(process)) this.settings.counts.restarts++;
      this.runId = process.runId;
      this.history = { address: process.address, id: this.info.replicationId };
      await this.writeFunctions();
      const swaps = await this.swaps();
      const first = this.finished.size === 0 ? from?.db : undefined;
      for (const db of await this.databases()) {
        if (this.finished.has(db) || (first !== undefined && db < first)) continue;
        if (db !== this.db) this.cursor = undefined;
        this.db = db;
        await this.database();
        this.finished.add(db);
      }
      if (swaps !== undefined && ((await this.swaps()) ?? 0) > swaps) this.settings.counts.swaps++;
      this.beginOutput(releaseVersion(this.info));
    } finally {
      link.close();
      this.side?.link.close();
      this.side = undefined;
      this.guard?.stop();
    }
  }

  /**
   * Whether another node goes on with the same history: a replica that became the master. One that was restarted at its address may have
   * lost keys, whatever it says of its history (redis server.c, loadDataFromDisk).
   */
  private goesOn({ address }: ServerProcess): boolean {
    const { history, info } = this;
    const isSame = history.id !== '' && [info.replicationId, info.earlierReplicationId].includes(history.id);
    return isSame && address !== undefined && address !== history.address;
  }

  /** A command outside the scan. Throws what its error means, unless it is the command that is refused: then the error is returned. */
  private async ask(...args: string[]): Promise<Answer> {
    const answer = await this.link.ask(...args);
    if (!(answer instanceof ErrorAnswer) || isOfSlot(answer.text)) return answer;
    if (refusalOf(answer.text) === 'later') throw new ConnectionLost(answer.text);
    return answer;
  }

  /** How often SWAPDB ran; undefined if the server does not tell. */
  private async swaps(): Promise<number | undefined> {
    const stats = textOf(await this.ask('INFO', 'commandstats'));
    return stats === undefined ? undefined : Number(/^cmdstat_swapdb:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
  }

  private async introduce(): Promise<void> {
    const { asking = false, readOnly = false } = this.target;
    const { filter, scan } = this.settings;
    const readable = readOnly ? await this.ask('READONLY') : undefined;
    this.info = parseInfo(textOf(await this.ask('INFO')) ?? '');
    if (readable instanceof ErrorAnswer && (await this.isReplica())) {
      throw this.refused(`READONLY: ${readable.text}`); // it would answer MOVED for every key
    }
    await this.ask('CLIENT', 'NO-TOUCH', 'ON'); // since 7.2; without it, DUMP counts as a use of the key
    const exact = isAllowed(await this.ask('PEXPIRETIME', ''));
    const timed = !exact && Array.isArray(await this.ask('TIME'));
    this.questions = {
      expiry: exact ? 'PEXPIRETIME' : 'PTTL',
      timed,
      object: scan.idleTimes === true ? await this.useQuestion() : undefined,
      asking,
    };
    this.commands = new KeyCommands(this.questions);
    const [major] = this.info.redisVersion.split('.').map(Number);
    this.scanOptions = scanOptionsOf(filter, major >= 6);
  }

  /** By INFO, or by HELLO, to which every user has the right. */
  private async isReplica(): Promise<boolean> {
    if (this.info.role !== '') return this.info.role === 'slave';
    const hello = await this.ask('HELLO');
    return Array.isArray(hello) && hello.some((word: Answer) => textOf(word) === 'replica');
  }

  /** The subcommand of OBJECT that tells when or how often keys were used; undefined, with a note, if it is refused. */
  private async useQuestion(): Promise<KeyQuestions['object']> {
    const name = this.info.maxMemoryPolicy.includes('lfu') ? 'FREQ' : 'IDLETIME';
    const answer = await this.ask('OBJECT', name, '');
    if (isAllowed(answer)) return name;
    const reason = answer instanceof ErrorAnswer ? answer.text : '';
    this.settings.onNote(`${name === 'FREQ' ? 'frequencies' : 'idle times'} are not read: OBJECT ${name}: ${reason}`);
    return undefined;
  }

  private now(): number {
    return Date.now() + (this.clockAhead ?? 0);
  }

  private beginOutput(version: number): void {
    this.settings.output.begin(version, this.info, this.now());
  }

  /** What FUNCTION DUMP gives is what stands in an RDB, and a footer. */
  private async writeFunctions(): Promise<void> {
    const { functions, onNote, output } = this.settings;
    if (!functions || output.version > 0) return;
    const answer = await this.ask('FUNCTION', 'DUMP');
    if (answer instanceof Uint8Array && answer.length >= PAYLOAD_FOOTER) {
      this.beginOutput(payloadVersion(answer).version);
      await output.pipe.put(answer, 0, answer.length - PAYLOAD_FOOTER);
      return;
    }
    const reason = answer instanceof ErrorAnswer ? answer.text : 'an answer that is no payload';
    const major = Number(this.info.redisVersion.split('.')[0]);
    if (this.info.redisVersion === '' || major >= 7) {
      onNote(`its function libraries are not read: FUNCTION DUMP: ${reason}`);
    }
  }

  /** The databases that have keys, in order. */
  private async databases(): Promise<number[]> {
    const { db: chosen = [] } = this.settings.filter;
    const isWanted = (db: number): boolean => chosen.length === 0 || chosen.includes(db);
    if (this.info.redisVersion === '') return chosen.length > 0 ? [...chosen].sort((a, b) => a - b) : this.triedDatabases();
    return [...this.info.keys.keys()].filter(isWanted).sort((a, b) => a - b);
  }

  /** Where INFO is refused: those that can be selected, unless they say that they are empty, and the first one without the right to. */
  private async triedDatabases(): Promise<number[]> {
    const found: number[] = [];
    for (let db = 0; db < MOST_DBS; db++) {
      const answer = await this.ask('SELECT', String(db));
      if (answer instanceof ErrorAnswer) {
        const hasOne = this.target.slots !== undefined && db === 0; // as clusters do, before Valkey 9
        if (answer.text.startsWith('NOPERM') && !hasOne) return db === 0 ? [0, 1] : [...found, db];
        if (answer.text.startsWith('NOPERM')) this.settings.onNote(`only database 0 is read: SELECT: ${answer.text}`);
        return db === 0 ? [0] : found;
      }
      if ((await this.ask('DBSIZE')) !== 0) found.push(db);
    }
    throw this.refused(`it has more than ${MOST_DBS} databases and refuses INFO, which tells those that have keys: choose them with --db`);
  }

  private async database(): Promise<void> {
    this.queue = [];
    this.sparePages.push(...this.pages.splice(0));
    this.inFlight = 0;
    this.scanning = false;
    this.cursor ??= '0';
    this.next = this.cursor;
    await this.select();
    for (;;) {
      await this.send();
      if (this.queue.length === 0) break;
      const segment = this.queue.shift();
      if (segment === SCAN) await this.readPage();
      else if (segment instanceof Sizes) await this.readSizes(segment);
      else await this.readSegment(segment);
    }
    this.cursor = undefined;
  }

  /** A proxy or a cluster that has only database 0 may refuse SELECT. */
  private async select(): Promise<void> {
    const answer = await this.ask('SELECT', String(this.db));
    if (answer instanceof ErrorAnswer && this.db !== 0) throw this.refused(`SELECT ${this.db}: ${answer.text}`);
  }

  /** Asks for keys as long as there may be more in flight. The next SCAN goes before them, so that its reply is there in time. */
  private async send(): Promise<void> {
    for (;;) {
      const [unsent, left] = this.pages.reduce(([sized, all], page) => [sized + page.unsent, all + page.count - page.sent], [0, 0]);
      if (!this.scanning && this.next !== undefined && left <= 2 * this.portion) this.sendScan(this.next);
      // where others must not wait, one batch at a time
      if (unsent === 0 || this.inFlight >= (this.guard === undefined ? 2 * this.portion : 1)) return;
      await this.pace();
      this.sendKeys();
    }
  }

  /** Waits until more may be asked for. */
  private async pace(): Promise<void> {
    if (this.limit.owes) await this.limit.untilAllowed(this.settings.signal);
    if (this.guard !== undefined) await this.guard.untilCalm();
  }

  /** Keys to ask for at once: a batch, or what limits leave of it. */
  private get portion(): number {
    const { guard, limit, meanBytes } = this;
    const most = limit.limited ? Math.min(limit.burst, limit.burstBytes / Math.max(1, meanBytes)) : Infinity;
    return Math.max(1, Math.floor(Math.min(this.batch * (guard?.share ?? 1), most)));
  }

  private sendScan(cursor: string): void {
    const count = this.guard === undefined ? this.count : this.portion;
    this.link.write(encodeCommand(['SCAN', cursor, ...this.scanOptions, 'COUNT', String(count)]));
    this.scanning = true;
    this.queue.push(SCAN);
  }

  private sendKeys(): void {
    const page = this.pages.find(({ unsent }) => unsent > 0);
    if (page === undefined) return;
    const from = page.sent;
    const { portion } = this;
    const to = page.unsent <= portion * ABOUT ? page.sized : from + portion;
    const size = this.commands.size(page, from, to);
    const spare = this.spareRequests.pop();
    const request = spare !== undefined && spare.length >= size ? spare : new Uint8Array(size * 2);
    this.link.write(request.subarray(0, this.commands.write(page, from, to, request)));
    page.sent = to;
    this.inFlight += to - from;
    this.limit.spend(to - from, 0);
    this.queue.push({ page, from, to, request });
  }

  /** Reads a reply of SCAN: a cursor, and keys. */
  private async readPage(): Promise<void> {
    const { link } = this;
    await link.more(1);
    if (link.bytes[link.pos] === ERROR) throw this.scanRefused(await this.errorLine());
    if ((await this.number(ARRAY)) !== 2) throw garbled(link.bytes, link.pos, link.end);
    const cursorSize = await this.number(BULK);
    if (cursorSize < 1 || cursorSize > LENGTH_OF_CURSOR) throw new SyntaxError(`a cursor of ${cursorSize} bytes`);
    await link.more(cursorSize + 2);
    const cursor = Buffer.from(link.bytes.buffer, link.bytes.byteOffset + link.pos, cursorSize).toString('latin1');
    if (!/^\d+$/.test(cursor)) throw new SyntaxError(`SCAN answers with ${JSON.stringify(cursor)} where a cursor is due`);
    link.pos += cursorSize + 2;
    const total = await this.number(ARRAY);
    if (total < 0) throw new SyntaxError('SCAN answers without keys');
    const page = this.sparePages.pop() ?? new KeyPage();
    page.clear();
    page.next = cursor;
    for (let left = total; left > 0; ) {
      left = this.takeKeys(page, left);
      if (left > 0) await link.more(this.need);
    }
    this.scanning = false;
    this.next = cursor === '0' ? undefined : cursor;
    this.pages.push(page);
    if (this.asksSizes) this.sendSizes(page);
    else page.sized = page.count;
    this.adaptCount(page.count);
    this.finishPages();
  }

  /** With `maxDump`, the sizes of keys are asked for a page earlier than the keys. */
  private get asksSizes(): boolean {
    return this.settings.scan.maxDump !== undefined && !this.sizesRefused;
  }

  private sendSizes(page: KeyPage): void {
    if (page.count === 0) return;
    this.link.write(sizeCommands(page, 0, page.count, this.questions.asking));
    this.queue.push(new Sizes(page, page.count));
  }

  private async readSizes({ page, to }: Sizes): Promise<void> {
    const { link } = this;
    const { maxDump = Infinity } = this.settings.scan;
    for (let i = page.sized; i < to; i++) {
      if (this.questions.asking) link.pos = await link.whole(() => link.lineEnd(link.pos));
      await link.more(1);
      if (link.bytes[link.pos] === INTEGER) {
        if ((await this.number(INTEGER)) > maxDump) page.ranged[i] = 1;
      } else if (link.bytes[link.pos] === ERROR) this.sizeRefused(await this.errorLine());
      else if ((await this.number(BULK)) !== -1) throw garbled(link.bytes, link.pos, link.end);
    }
    page.sized = to;
  }

  /** Errors for one key come again at its DUMP. */
  private sizeRefused(text: string): void {
    if (refusalOf(text) === 'later') throw new ConnectionLost(text);
    if (redirection(text) !== undefined || isOfKey(text) || this.sizesRefused) return;
    this.sizesRefused = true;
    this.settings.onNote(`${this.target.name}: sizes are not known, and all values are read with DUMP: MEMORY USAGE: ${text}`);
  }

  private async number(kind: number): Promise<number> {
    const { link } = this;
    await link.more(1);
    if (link.bytes[link.pos] !== kind) throw garbled(link.bytes, link.pos, link.end);
    link.pos = await link.whole(() => link.number(link.pos));
    return link.value;
  }

  private async errorLine(): Promise<string> {
    const { link } = this;
    const end = await link.whole(() => link.lineEnd(link.pos));
    const text = link.line(link.pos, end);
    link.pos = end;
    return text;
  }

  private scanRefused(text: string): Error {
    return refusalOf(text) === 'later' ? new ConnectionLost(text) : this.refused(`SCAN: ${text}`);
  }

  /** Takes the keys that have arrived whole, of `left` ones. Returns how many are left, with `need` set. */
  private takeKeys(page: KeyPage, left: number): number {
    const { counts, keys } = this.settings;
    const { link, place, wanted } = this;
    const { slots, unowned } = this.target;
    const { bytes, end } = link;
    place.keyBytes = bytes;
    let rest = left;
    this.need = link.end - link.pos + 1;
    while (rest > 0 && link.pos < end) {
      const { pos } = link;
      if (bytes[pos] !== BULK) throw garbled(bytes, pos, end);
      const start = link.number(pos);
      if (start < 0) {
        this.need = end - pos + 1;
        break;
      }
      const size = link.value;
      if (size < 0 || size > LONGEST_KEY || page.length + size > MOST_PAGE) {
        throw new SyntaxError(`SCAN answers with a key of ${size} bytes, after ${page.length}`);
      }
      const after = start + size + 2;
      if (after > end) {
        this.need = after - pos;
        break;
      }
      if (bytes[after - 2] !== CR) throw garbled(bytes, after - 2, end);
      link.pos = after;
      this.need = 1;
      rest--;
      place.keyStart = start;
      place.keyEnd = start + size;
      if (wanted !== undefined && !wanted(place)) counts.unwanted++;
      else if (slots !== undefined && slots[keySlot(bytes, start, start + size)] === 0) {
        counts.unowned++;
        if (unowned !== undefined) unowned[keySlot(bytes, start, start + size)]++;
      } else {
        page.add(bytes, pos, start, after);
        if (page.isKnown(keys, this.db)) {
          page.drop();
          counts.repeated++;
        }
      }
    }
    return rest;
  }

  /** Where few keys are wanted, each SCAN looks at more. */
  private adaptCount(found: number): void {
    if (this.settings.scan.count !== undefined) return;
    const share = Math.max(found / this.count, 0.05);
    this.count = Math.round(Math.min(Math.max(this.batch / share, this.batch), Math.max(this.batch, MOST_COUNT), this.count * 2));
  }

  /** After a batch of `keys` with `bytes` of replies. */
  private adaptBatch(keys: number, bytes: number): void {
    if (this.settings.scan.count !== undefined || keys === 0) return;
    const mean = bytes / keys;
    this.meanBytes = this.meanBytes === 0 ? mean : (this.meanBytes + mean) / 2;
    const fitting = Math.floor(BATCH_BYTES / Math.max(1, this.meanBytes));
    this.batch = Math.max(LEAST_BATCH, Math.min(fitting, MOST_BATCH, this.batch * 2));
    this.count = Math.max(this.batch, Math.min(this.count, MOST_COUNT));
  }

  /** Reads the replies for the keys of a segment. */
  private async readSegment(segment: Segment): Promise<void> {
    const { link, settings } = this;
    const { output } = settings;
    const { from, page, request, to } = segment;
    let bytes = 0;
    this.at = from;
    for (;;) {
      const before = link.pos;
      const status = this.take(segment);
      bytes += link.pos - before;
      output.pipe.told();
      if (status === DONE) break;
      if (status === MORE) await link.more(this.need);
      else if (status === ROOM) await output.pipe.room();
      else if (status === RANGED) await this.ranged(page, this.at++);
      else bytes += await this.stream(segment);
    }
    this.spareRequests.push(request);
    this.inFlight -= to - from;
    page.done += to - from;
    this.limit.spend(0, bytes);
    this.adaptBatch(to - from, bytes);
    this.finishPages();
  }

  /** Tells the position after pages that are done. */
  private finishPages(): void {
    let cursor: string | undefined;
    while (this.pages.length > 0 && this.pages[0].done === this.pages[0].count) {
      const page = this.pages.shift();
      if (page === undefined) break;
      cursor = page.next ?? cursor;
      this.sparePages.push(page);
    }
    if (cursor === undefined) return;
    this.cursor = cursor;
    // the last cursor is 0, which would begin again: the database after it begins at its own 0
    const [db, next] = cursor === '0' ? [this.db + 1, '0'] : [this.db, cursor];
    this.settings.onPosition({ runId: this.runId, db, cursor: next });
  }

  /** Writes the records whose replies have arrived whole. Positions are those in `link.bytes`. */
  private take(segment: Segment): number {
    const { link, plain } = this;
    const { counts, keys, output } = this.settings;
    const { from, page, to } = segment;
    const { pipe } = output;
    const { bytes, end } = link;
    while (this.at < to) {
      const { pos } = link;
      const index = this.at;
      this.need = end - pos + 1;
      if (page.ranged[index] === 1) {
        if (this.questions.timed && (index - from) % TIME_EVERY === 0) {
          const after = this.time(pos);
          if (after < 0) return MORE;
          link.pos = after;
        }
        return RANGED;
      }
      const first = plain ? pos : this.beforeDump(pos, (index - from) % TIME_EVERY === 0);
      if (first < 0 || first >= end) return MORE;
      // DUMP
      let size = -1;
      let start = first;
      let after: number;
      const isError = bytes[first] === ERROR;
      if (isError) {
        after = link.lineEnd(first);
        if (after < 0) return MORE;
      } else {
        if (bytes[first] !== BULK) throw garbled(bytes, first, end);
        start = after = link.number(first);
        if (start < 0) return MORE;
        size = link.value;
        if (size > LARGE) return STREAM;
        if (size >= 0) {
          after = start + size + 2;
          if (after >= end) {
            this.need = after + SHORTEST_REPLY - pos;
            return MORE;
          }
          if (bytes[after - 2] !== CR) throw garbled(bytes, after - 2, end);
        }
      }
      // its expiry
      const expiryAt = this.questions.asking ? link.lineEnd(after) : after;
      if (expiryAt < 0 || expiryAt >= end) return MORE;
      const isUnsure = bytes[expiryAt] === ERROR;
      if (!isUnsure && bytes[expiryAt] !== INTEGER) throw garbled(bytes, expiryAt, end);
      const done = isUnsure ? link.lineEnd(expiryAt) : link.number(expiryAt);
      if (done < 0) return MORE;
      if (isError || (isUnsure && size >= 0)) {
        this.keyRefused(page, index, isError ? link.line(first, after) : link.line(expiryAt, done), isError);
      } else if (size < 0 || link.value === -2) {
        counts.gone++;
      } else {
        const keyStart = page.starts[index];
        const keyEnd = page.bulks[index + 1] - 2;
        const room = RECORD_HEAD + keyEnd - keyStart + size + (output.version === 0 ? ScanOutput.HEADER_SIZE : 0);
        if (room > pipe.capacity) return STREAM;
        if (!pipe.fits(room)) return ROOM;
        if (size >= LEAST_PAYLOAD) this.verify(page, index, bytes, start, size);
        const problem = this.payloadProblem(bytes, start, size);
        if (problem !== undefined) this.problem(page, index, problem);
        else if (!page.remember(keys, index)) counts.repeated++;
        else {
          this.record(page.bytes, keyStart, keyEnd, start, size);
          counts.written++;
        }
      }
      link.pos = done;
      this.at++;
    }
    return DONE;
  }

  /** Whether only DUMP and an absolute expiry are asked for. */
  private get plain(): boolean {
    const { asking, object, timed } = this.questions;
    return !asking && !timed && object === undefined && this.questions.expiry === 'PEXPIRETIME';
  }

  /** Reads what comes before the reply of DUMP. Returns the position of that, or -1 if it has not arrived. */
  private beforeDump(pos: number, withTime: boolean): number {
    const { link, questions } = this;
    let at = pos;
    if (questions.timed && withTime) {
      at = this.time(at);
      if (at < 0) return -1;
    }
    if (!questions.timed) this.serverTime = this.now();
    this.idle = -1;
    if (questions.object !== undefined) {
      if (questions.asking) at = link.lineEnd(at);
      if (at < 0 || at >= link.end) return -1;
      const isNumber = link.bytes[at] === INTEGER;
      const isOther = link.bytes[at] === ERROR || link.bytes[at] === BULK;
      if (!isNumber && !isOther) throw garbled(link.bytes, at, link.end);
      at = isNumber ? link.number(at) : link.lineEnd(at);
      if (at < 0) return -1;
      if (isNumber && link.value >= 0) this.idle = link.value;
    }
    return questions.asking ? link.lineEnd(at) : at;
  }

  /** Reads a reply of TIME. */
  private time(pos: number): number {
    const { link } = this;
    if (pos >= link.end) return -1;
    if (link.bytes[pos] !== ARRAY) throw garbled(link.bytes, pos, link.end);
    let at = link.number(pos);
    const parts: number[] = [];
    for (let i = 0; i < 2; i++) {
      if (at < 0 || at >= link.end) return -1;
      at = link.number(at); // the length
      if (at < 0) return -1;
      at = link.number(at - 1); // a number in a line of its own
      if (at < 0) return -1;
      parts.push(link.value);
    }
    this.serverTime = parts[0] * 1000 + Math.floor(parts[1] / 1000);
    return at;
  }

  /** Why a payload cannot be written; undefined if it can. Throws SOURCE_REFUSED where it is of another kind of server. */
  private payloadProblem(bytes: Uint8Array, start: number, size: number): string | undefined {
    const { output } = this.settings;
    if (size < LEAST_PAYLOAD) return `DUMP: a payload of ${size} bytes`;
    const footer = start + size - PAYLOAD_FOOTER;
    this.checkVersion(bytes[footer] | (bytes[footer + 1] << 8));
    const type = bytes[start];
    return type === KEY_META && output.hasKeyMeta ? metaProblem(bytes.subarray(start, start + size)) : this.typeProblem(type);
  }

  /**
   * Throws ConnectionLost if a payload is not as the server made it: the key is asked for again, over another connection. Takes about
   * as long as copying the value, and far less than the server takes for the same checksum.
   */
  private verify(page: KeyPage, index: number, bytes: Uint8Array, start: number, size: number): void {
    const { crc } = this;
    const end = start + size - CRC_SIZE;
    crc.hi = crc.lo = 0;
    crc.update(bytes, start, end);
    this.compare(page, index, bytes, end);
  }

  /** With the checksum at `at`; zero is none. */
  private compare(page: KeyPage, index: number, bytes: Uint8Array, at: number): void {
    const [lo, hi] = [uint32(bytes, at), uint32(bytes, at + 4)];
    if ((lo === this.crc.lo && hi === this.crc.hi) || (lo === 0 && hi === 0)) return;
    const key = page.key(index);
    throw new ConnectionLost(`DUMP ${formatText(key, 0, key.length)}: some bytes have changed on the way, as its checksum says`);
  }

  private typeProblem(type: number): string | undefined {
    const isKnown = TABLES[this.settings.output.vendor].types[type] !== undefined;
    return isKnown ? undefined : `DUMP: a value of type ${type}, which is not known`;
  }

  private checkVersion(version: number): void {
    const { output } = this.settings;
    if (version === output.version) return;
    if (output.version === 0) this.beginOutput(version);
    else output.check(version, this.target.name);
  }

  /** Writes a record; there is room. The last number read is its expiry. */
  private record(key: Uint8Array, keyStart: number, keyEnd: number, start: number, size: number): void {
    const { link } = this;
    const { output } = this.settings;
    const { pipe } = output;
    output.select(this.db);
    const out = pipe.bytes;
    let at = this.modifiers(out, pipe.length);
    const { bytes } = link;
    let typeAt = start;
    if (bytes[start] === KEY_META && output.hasKeyMeta) {
      typeAt += metaSize(bytes.subarray(start, start + size));
      at = copy(bytes, start, typeAt, out, at);
    }
    out[at++] = bytes[typeAt];
    at = writeLength(out, at, keyEnd - keyStart);
    at = copy(key, keyStart, keyEnd, out, at);
    pipe.length = copy(bytes, typeAt + 1, start + size - PAYLOAD_FOOTER, out, at);
  }

  /** Writes expiry, and idle time or frequency. */
  private modifiers(out: Uint8Array, from: number): number {
    const { idle, link } = this;
    let at = from;
    if (link.value !== -1) {
      out[at] = EXPIRETIME_MS;
      if (this.questions.expiry === 'PEXPIRETIME') at = writeUint64LE(out, at + 1, link.hi, link.lo);
      else {
        const absolute = this.serverTime + link.value;
        at = writeUint64LE(out, at + 1, Math.floor(absolute / 2 ** 32), absolute | 0);
      }
    }
    if (idle >= 0 && this.settings.output.version >= IDLE_SINCE) {
      const isFreq = this.questions.object === 'FREQ';
      out[at] = isFreq ? FREQ : IDLE;
      if (isFreq) out[at + 1] = Math.min(idle, 0xff);
      at = isFreq ? at + 2 : writeLength(out, at + 1, idle);
    }
    return at;
  }

  /** An error for one key. */
  private keyRefused(page: KeyPage, index: number, text: string, ofDump: boolean): void {
    const to = redirection(text);
    if (to !== undefined && to.slot < SLOTS) {
      this.settings.counts.moved++;
      (text.startsWith('ASK') ? this.askedSlots : this.movedSlots).add(to.slot);
      return;
    }
    const command = ofDump ? 'DUMP' : this.questions.expiry;
    const refusal = refusalOf(text);
    if (refusal === 'later') throw new ConnectionLost(text);
    if (refusal === 'stop' && !isOfKey(text)) throw this.refused(`${command}: ${text}`);
    this.problem(page, index, `${command}: ${text}`);
  }

  private problem(page: KeyPage, index: number, reason: string): void {
    this.settings.counts.problems++;
    this.settings.onProblem(this.db, page.key(index), reason);
  }

  /**
   * Passes a large value on as it arrives. Its expiry is asked for on another connection, as the reply that says it comes after the
   * value: it is younger than the value all the same. Returns the bytes read.
   */
  private async stream({ from, page }: Segment): Promise<number> {
    const { link } = this;
    const { counts, keys, output } = this.settings;
    const index = this.at;
    link.pos = await link.whole(() => this.beforeDump(link.pos, (index - from) % TIME_EVERY === 0));
    const { idle, serverTime } = this;
    const size = await this.number(BULK);
    const expiry = await this.expiryAside(page, index);
    await link.more(Math.min(size, output.version === 0 || output.hasKeyMeta ? MOST_META : 1));
    if (output.version === 0) await this.askVersion();
    const isMeta = link.bytes[link.pos] === KEY_META && output.hasKeyMeta;
    const typeAt = isMeta ? metaSize(link.bytes.subarray(link.pos, link.pos + Math.min(size, MOST_META))) : 0;
    const type = link.bytes[link.pos + typeAt];
    const problem = this.typeProblem(type);
    const isWanted = expiry !== undefined && problem === undefined && page.remember(keys, index);
    if (expiry === undefined) counts.gone++;
    else if (problem !== undefined) this.problem(page, index, problem);
    else if (!isWanted) counts.repeated++;
    if (isWanted) {
      if (!output.pipe.fits(RECORD_HEAD)) await output.pipe.room();
      output.select(this.db);
      const head = new ByteBuilder();
      [link.value, link.hi, link.lo] = expiry;
      this.idle = idle;
      head.length = this.modifiers(head.bytes, head.room(RECORD_HEAD));
      head.copy(link.bytes, link.pos, link.pos + typeAt + 1);
      addLength(head, page.end(index) - page.starts[index]);
      this.torn = true;
      await output.pipe.put(head.bytes, 0, head.length);
      await output.pipe.put(page.bytes, page.starts[index], page.end(index));
    }
    this.crc.hi = this.crc.lo = 0;
    this.crc.update(link.bytes, link.pos, link.pos + typeAt + 1);
    link.pos += typeAt + 1;
    await this.through(size - typeAt - 1 - PAYLOAD_FOOTER, isWanted);
    await link.more(PAYLOAD_FOOTER + 2);
    if (isWanted) {
      this.crc.update(link.bytes, link.pos, link.pos + PAYLOAD_FOOTER - CRC_SIZE);
      this.compare(page, index, link.bytes, link.pos + PAYLOAD_FOOTER - CRC_SIZE);
    }
    this.checkVersion(link.bytes[link.pos] | (link.bytes[link.pos + 1] << 8));
    if (link.bytes[link.pos + PAYLOAD_FOOTER] !== CR) throw garbled(link.bytes, link.pos + PAYLOAD_FOOTER, link.end);
    link.pos += PAYLOAD_FOOTER + 2;
    this.torn = false;
    if (isWanted) counts.written++;
    this.serverTime = serverTime;
    await this.skipExpiry();
    this.at++;
    return size;
  }

  /** Reads a large value in ranges, over the other connection. */
  private async ranged(page: KeyPage, index: number): Promise<void> {
    const { counts, keys, output } = this.settings;
    const { serverTime } = this;
    const { link: side } = await this.selectAside();
    if (output.version === 0) await this.askVersion();
    const { object } = this.questions;
    const key = page.key(index);
    const use = object === undefined ? -1 : await side.ask('OBJECT', object, key);
    const reader = this.rangeReader(side);
    const value = reader instanceof RangeReader ? await reader.read(key) : reader;
    const expiry = value === undefined || value instanceof NoRanges ? undefined : await this.expiryAside(page, index);
    if (value instanceof NoRanges) this.dumpLater(page, index, value.reason);
    else if (value === undefined || expiry === undefined) counts.gone++;
    else if (!page.remember(keys, index)) counts.repeated++;
    else {
      if (value.doubt !== undefined) this.tellOnce(value.doubt, key);
      if (!output.pipe.fits(RECORD_HEAD)) await output.pipe.room();
      output.select(this.db);
      const head = new ByteBuilder();
      const { link } = this;
      [link.value, link.hi, link.lo] = expiry;
      this.idle = typeof use === 'number' ? use : -1;
      head.length = this.modifiers(head.bytes, head.room(RECORD_HEAD));
      head.byte(value.type.id);
      addLength(head, key.length);
      await output.pipe.put(head.bytes, 0, head.length);
      await output.pipe.put(page.bytes, page.starts[index], page.end(index));
      for (const piece of value.pieces) await output.pipe.put(piece, 0, piece.length);
      counts.written++;
    }
    if (reader instanceof RangeReader) reader.close();
    this.serverTime = serverTime;
  }

  private rangeReader(side: ReplyLink): RangeReader | NoRanges {
    const { version } = this.settings.output;
    const target = TARGETS.findLast(({ rdbVersion, vendor }) => rdbVersion === version && vendor === vendorOf(version));
    if (target === undefined) return new NoRanges(`what servers of RDB version ${version} read is not known`);
    if (this.questions.asking) return new NoRanges('its slot is moving');
    return new RangeReader(side, target);
  }

  /** A page before all others, so that no position counts the key as written. */
  private dumpLater({ bulks, bytes, starts }: KeyPage, index: number, reason: string): void {
    const page = this.sparePages.pop() ?? new KeyPage();
    page.clear();
    page.next = undefined;
    page.add(bytes, bulks[index], starts[index], bulks[index + 1]);
    page.isKnown(this.settings.keys, this.db);
    page.sized = 1;
    this.pages.unshift(page);
    this.tellOnce(`read with DUMP all the same: ${reason}`, page.key(0));
  }

  /** Of the keys that it holds for, the first one is named. */
  private tellOnce(what: string, key: Uint8Array): void {
    if (this.told.has(what)) return;
    this.told.add(what);
    this.settings.onNote(`${this.target.name}: key ${JSON.stringify(formatText(key.subarray(0, SHOWN)))} of database ${this.db}: ${what}`);
  }

  /** Passes `size` bytes of the link on, or over. */
  private async through(size: number, isWanted: boolean): Promise<void> {
    const { link } = this;
    const { pipe } = this.settings.output;
    for (let left = size; left > 0; ) {
      await link.more(1);
      if (isWanted && !pipe.fits(1)) await pipe.room();
      const step = Math.min(left, link.end - link.pos, isWanted ? pipe.capacity - pipe.length : left);
      if (isWanted) {
        this.crc.update(link.bytes, link.pos, link.pos + step);
        pipe.length = copy(link.bytes, link.pos, link.pos + step, pipe.bytes, pipe.length);
      }
      link.pos += step;
      left -= step;
      pipe.told();
    }
  }

  private async skipExpiry(): Promise<void> {
    const { link } = this;
    for (let lines = this.questions.asking ? 2 : 1; lines > 0; lines--) {
      link.pos = await link.whole(() => link.lineEnd(link.pos));
    }
  }

  /** The expiry of a key: value, and its 64 bits; undefined if the key is gone. */
  private async expiryAside(page: KeyPage, index: number): Promise<readonly [number, number, number] | undefined> {
    const { link } = await this.selectAside();
    const { asking, expiry } = this.questions;
    this.serverTime = await this.timeOf(link);
    if (asking) await link.ask('ASKING');
    const answer = await link.ask(expiry, page.key(index));
    if (typeof answer !== 'number') {
      throw new ConnectionLost(answer instanceof ErrorAnswer ? `${expiry}: ${answer.text}` : `${expiry}: an answer that is no number`);
    }
    return answer === -2 ? undefined : [link.value, link.hi, link.lo];
  }

  private async selectAside(): Promise<{ readonly link: ReplyLink }> {
    const side = await this.sideLink();
    if (side.db !== this.db) {
      const selected = await side.link.ask('SELECT', String(this.db));
      if (selected instanceof ErrorAnswer) throw new ConnectionLost(selected.text);
      side.db = this.db;
    }
    return side;
  }

  private async timeOf(link: ReplyLink): Promise<number> {
    if (!this.questions.timed) return this.now();
    const answer = await link.ask('TIME');
    const [seconds, microseconds] = Array.isArray(answer) ? answer.map((part: Answer) => Number(textOf(part))) : [];
    if (!(seconds > 0)) throw new ConnectionLost('TIME: an answer that is no time');
    return seconds * 1000 + Math.floor(microseconds / 1000);
  }

  /** Another connection to the same process. */
  private async sideLink(): Promise<{ readonly link: ReplyLink; db: number }> {
    if (this.side !== undefined) return this.side;
    const { process, socket } = await this.opened();
    const { onBytes, signal } = this.settings;
    const link = new ReplyLink(socket, onBytes, signal);
    if (process.runId !== this.runId) {
      link.close();
      throw new ConnectionLost('another server answers at its address');
    }
    this.side = { link, db: 0 };
    if (this.target.readOnly === true) await link.ask('READONLY');
    return this.side;
  }

  /** The RDB version, where the first value is a large one, whose footer is far. */
  private async askVersion(): Promise<void> {
    const { link } = await this.sideLink();
    const answer = await link.ask('FUNCTION', 'DUMP');
    const isPayload = answer instanceof Uint8Array && answer.length >= PAYLOAD_FOOTER;
    this.beginOutput(isPayload ? payloadVersion(answer).version : releaseVersion(this.info));
  }
}

/** The shortest reply to a question for an expiry: `:0\r\n`. */
const SHORTEST_REPLY = 4;
/** Digits of 64 bits. */
const LENGTH_OF_CURSOR = 20;

/** Whether an error is about this key alone, and not about the command. */
const isOfKey = (text: string): boolean => /^NOPERM .*\b(?:access|keys?)\b/i.test(text) || /^OOM\b/.test(text);

/** Whether an error says that no node owns the slot of the key (redis cluster.c, CLUSTER_REDIR_DOWN_UNBOUND). */
const isOfSlot = (text: string): boolean => text.startsWith('CLUSTERDOWN Hash slot not served');

/** Whether a command is known and may be run. Keys of other slots, or that may not be read, do not matter. */
const isAllowed = (answer: Answer): boolean =>
  !(answer instanceof ErrorAnswer) || isOfKey(answer.text) || isOfSlot(answer.text) || redirection(answer.text) !== undefined;

/** Bytes of the metadata that a payload begins with, with their opcode. Throws RdbError. */
function metaSize(payload: Uint8Array): number {
  return payloadFrame(payload, { hasKeyMeta: true, vendor: 'redis', version: payloadVersion(payload).version }).start - 1;
}

/** Why metadata before a value cannot be read; undefined if it can. */
function metaProblem(payload: Uint8Array): string | undefined {
  try {
    metaSize(payload);
    return undefined;
  } catch (error) {
    return `DUMP: ${reasonOf(error)}`;
  }
}

/** What a server of this release writes, as far as that is known; else what the latest one does. */
function releaseVersion({ make, redisVersion, version }: Omit<ServerInfo, 'clockAhead'>): number {
  const vendor = make === 'valkey' ? 'valkey' : 'redis';
  const [major, minor] = (vendor === 'valkey' ? version : redisVersion).split('.');
  const own = TARGETS.filter((target) => target.vendor === vendor);
  return own.find(({ release }) => release === `${major}.${minor}`)?.rdbVersion ?? OLDEST_COMMON;
}

/** An RDB without values is read by all servers with this version. */
const OLDEST_COMMON = 9;

/** Which keys are asked for; undefined for all. */
function wantedOf({ filter, wants }: ScanSettings, db: () => number): ((key: KeyPlace) => boolean) | undefined {
  const fits = compileKeyFilter(filter);
  if (wants === undefined) return fits;
  return (key) => (fits === undefined || fits(key)) && wants(db(), key.keyBytes, key.keyStart, key.keyEnd);
}
