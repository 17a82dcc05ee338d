import { keySlot } from '../../bytes/crc16.js';
import { encodeCommand } from '../../redis/commands.js';
import { ConnectionLost } from '../../redis/errors.js';
import { redirection, refusalOf } from '../../redis/refusals.js';
import type { KeyPlace } from '../../values/filters.js';
import { KeyPage } from './key-page.js';
import { DONE, type KeyReplies, MORE, RANGED, ROOM, type Segment } from './key-replies.js';
import { LargeValues } from './large-values.js';
import { ARRAY, BULK, ERROR, garbled, INTEGER } from '../../redis/reply-link.js';
import { KeyCommands, sizeCommands } from './scan-commands.js';
import type { ScanPace } from './scan-pace.js';
import { isOfKey, type ScanServer } from './scan-server.js';
import type { SideLink } from './side-link.js';

/** A page of at most this many batches is not divided. */
const ABOUT = 1.5;
/** Bytes of a key, at most. */
const LONGEST_KEY = 512 << 20;
/** Keys of one reply of SCAN, in bytes: more than any server gives that looks at thousands of keys. */
const MOST_PAGE = 1 << 30;
/** Digits of 64 bits. */
const LENGTH_OF_CURSOR = 20;

const CR = 0x0d;

/** Keys of a page whose sizes were asked for together. */
class Sizes {
  constructor(
    readonly page: KeyPage,
    readonly to: number,
  ) {}
}

/** A reply of SCAN in the queue. */
const SCAN = undefined;

export interface DatabaseScanParts {
  readonly server: ScanServer;
  readonly replies: KeyReplies;
  readonly side: SideLink;
  readonly pace: ScanPace;
  /** Which keys are asked for; undefined for all. */
  readonly wanted: ((key: KeyPlace) => boolean) | undefined;
  /** All keys that SCAN gave before this cursor are written. */
  readonly onCursor: (cursor: string) => void;
  /** Says a thing that holds for many keys, and names the first one. */
  readonly onKeyNote: (what: string, key: Uint8Array) => void;
  readonly onNote: (text: string) => void;
}

/** Reads the keys of one database after another over a connection: SCAN and the questions for keys are in flight at the same time. */
export class DatabaseScan {
  readonly large: LargeValues;
  private readonly server: ScanServer;
  private readonly replies: KeyReplies;
  private readonly pace: ScanPace;
  private readonly wanted: ((key: KeyPlace) => boolean) | undefined;
  private readonly commands: KeyCommands;
  private readonly place: KeyPlace = { keyBytes: new Uint8Array(0), keyStart: 0, keyEnd: 0 };
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
  /** Bytes that `takeKeys` waits for. */
  private need = 1;

  constructor(private readonly parts: DatabaseScanParts) {
    const { onKeyNote, pace, replies, server, side, wanted } = parts;
    this.server = server;
    this.replies = replies;
    this.pace = pace;
    this.wanted = wanted;
    this.commands = new KeyCommands(server.questions);
    const dumpLater = (page: KeyPage, index: number, reason: string): void => this.dumpLater(page, index, reason);
    this.large = new LargeValues(server, replies, side, { dumpLater, tellOnce: onKeyNote });
  }

  /** Reads the keys of the selected database, from a cursor on. */
  async run(cursor: string): Promise<void> {
    this.next = cursor;
    for (;;) {
      await this.send();
      if (this.queue.length === 0) break;
      const due = this.queue.shift();
      if (due === SCAN) await this.readPage();
      else if (due instanceof Sizes) await this.readSizes(due);
      else await this.readSegment(due);
    }
  }

  /** Asks for keys as long as there may be more in flight. The next SCAN goes before them, so that its reply is there in time. */
  private async send(): Promise<void> {
    const { pace } = this;
    for (;;) {
      const [unsent, left] = this.pages.reduce(([sized, all], page) => [sized + page.unsent, all + page.count - page.sent], [0, 0]);
      if (!this.scanning && this.next !== undefined && left <= 2 * pace.portion) this.sendScan(this.next);
      if (unsent === 0 || this.inFlight >= pace.most) return;
      await pace.untilAllowed(this.server.settings.signal);
      this.sendKeys();
    }
  }

  private sendScan(cursor: string): void {
    const { link, scanOptions } = this.server;
    link.write(encodeCommand(['SCAN', cursor, ...scanOptions, 'COUNT', String(this.pace.count)]));
    this.scanning = true;
    this.queue.push(SCAN);
  }

  private sendKeys(): void {
    const page = this.pages.find(({ unsent }) => unsent > 0);
    if (page === undefined) return;
    const { commands, pace, server } = this;
    const from = page.sent;
    const { portion } = pace;
    const to = page.unsent <= portion * ABOUT ? page.sized : from + portion;
    const size = commands.size(page, from, to);
    const spare = this.spareRequests.pop();
    const request = spare !== undefined && spare.length >= size ? spare : new Uint8Array(size * 2);
    server.link.write(request.subarray(0, commands.write(page, from, to, request)));
    page.sent = to;
    this.inFlight += to - from;
    pace.limit.spend(to - from, 0);
    this.queue.push({ page, from, to, request });
  }

  /** Reads a reply of SCAN: a cursor, and keys. */
  private async readPage(): Promise<void> {
    const { link } = this.server;
    await link.more(1);
    if (link.bytes[link.pos] === ERROR) throw this.scanRefused(await link.errorLine());
    if ((await link.numberOf(ARRAY)) !== 2) throw garbled(link.bytes, link.pos, link.end);
    const cursorSize = await link.numberOf(BULK);
    if (cursorSize < 1 || cursorSize > LENGTH_OF_CURSOR) throw new SyntaxError(`a cursor of ${cursorSize} bytes`);
    await link.more(cursorSize + 2);
    const cursor = Buffer.from(link.bytes.buffer, link.bytes.byteOffset + link.pos, cursorSize).toString('latin1');
    if (!/^\d+$/.test(cursor)) throw new SyntaxError(`SCAN answers with ${JSON.stringify(cursor)} where a cursor is due`);
    link.pos += cursorSize + 2;
    const total = await link.numberOf(ARRAY);
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
    this.pace.scanned(page.count);
    this.finishPages();
  }

  /** With `maxDump`, the sizes of keys are asked for a page earlier than the keys. */
  private get asksSizes(): boolean {
    return this.server.settings.scan.maxDump !== undefined && !this.sizesRefused;
  }

  private sendSizes(page: KeyPage): void {
    if (page.count === 0) return;
    const { link, questions } = this.server;
    link.write(sizeCommands(page, 0, page.count, questions.asking));
    this.queue.push(new Sizes(page, page.count));
  }

  private async readSizes({ page, to }: Sizes): Promise<void> {
    const { link, questions } = this.server;
    const { maxDump = Infinity } = this.server.settings.scan;
    for (let i = page.sized; i < to; i++) {
      if (questions.asking) link.pos = await link.whole(() => link.lineEnd(link.pos));
      await link.more(1);
      if (link.bytes[link.pos] === INTEGER) {
        if ((await link.numberOf(INTEGER)) > maxDump) page.ranged[i] = 1;
      } else if (link.bytes[link.pos] === ERROR) this.sizeRefused(await link.errorLine());
      else if ((await link.numberOf(BULK)) !== -1) throw garbled(link.bytes, link.pos, link.end);
    }
    page.sized = to;
  }

  /** Errors for one key come again at its DUMP. */
  private sizeRefused(text: string): void {
    if (refusalOf(text) === 'later') throw new ConnectionLost(text);
    if (redirection(text) !== undefined || isOfKey(text) || this.sizesRefused) return;
    this.sizesRefused = true;
    this.parts.onNote(`sizes are not known, and all values are read with DUMP: MEMORY USAGE: ${text}`);
  }

  private scanRefused(text: string): Error {
    return refusalOf(text) === 'later' ? new ConnectionLost(text) : this.server.refused(`SCAN: ${text}`);
  }

  /** Takes the keys that have arrived whole, of `left` ones. Returns how many are left, with `need` set. */
  private takeKeys(page: KeyPage, left: number): number {
    const { place, server, wanted } = this;
    const { db, link } = server;
    const { counts, keys } = server.settings;
    const { slots, unowned } = server.target;
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
        if (page.isKnown(keys, db)) {
          page.drop();
          counts.repeated++;
        }
      }
    }
    return rest;
  }

  /** Reads the replies for the keys of a segment. */
  private async readSegment(segment: Segment): Promise<void> {
    const { large, replies, server } = this;
    const { link } = server;
    const { output } = server.settings;
    const { from, page, request, to } = segment;
    let bytes = 0;
    replies.at = from;
    for (;;) {
      const before = link.pos;
      const status = replies.take(segment);
      bytes += link.pos - before;
      output.pipe.told();
      if (status === DONE) break;
      if (status === MORE) await link.more(replies.need);
      else if (status === ROOM) await output.pipe.room();
      else if (status === RANGED) await large.ranged(page, replies.at++);
      else bytes += await large.stream(segment);
    }
    this.spareRequests.push(request);
    this.inFlight -= to - from;
    page.done += to - from;
    this.pace.answered(to - from, bytes);
    this.finishPages();
  }

  /** Tells the cursor after pages that are done. */
  private finishPages(): void {
    let cursor: string | undefined;
    while (this.pages.length > 0 && this.pages[0].done === this.pages[0].count) {
      const page = this.pages.shift();
      if (page === undefined) break;
      cursor = page.next ?? cursor;
      this.sparePages.push(page);
    }
    if (cursor !== undefined) this.parts.onCursor(cursor);
  }

  /** A page before all others, so that no position counts the key as written. */
  private dumpLater({ bulks, bytes, starts }: KeyPage, index: number, reason: string): void {
    const { db, settings } = this.server;
    const page = this.sparePages.pop() ?? new KeyPage();
    page.clear();
    page.next = undefined;
    page.add(bytes, bulks[index], starts[index], bulks[index + 1]);
    page.isKnown(settings.keys, db);
    page.sized = 1;
    this.pages.unshift(page);
    this.parts.onKeyNote(`read with DUMP all the same: ${reason}`, page.key(0));
  }
}
