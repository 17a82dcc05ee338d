import { ByteBuilder } from '../../bytes/builder.js';
import { KEY_META, PAYLOAD_FOOTER, payloadVersion } from '../../rdb/payload.js';
import { addLength } from '../../rdb/write-string.js';
import { TARGETS } from '../../values/targets.js';
import type { KeyPage } from './key-page.js';
import { CRC_SIZE, type KeyReplies, metaSize, RECORD_HEAD, type Segment } from './key-replies.js';
import { NoRanges, RangeReader } from './range-reader.js';
import { BULK, garbled, type ReplyLink } from '../../redis/reply-link.js';
import { copy, TIME_EVERY } from './scan-commands.js';
import { vendorOf } from './scan-output.js';
import type { ScanServer } from './scan-server.js';
import type { SideLink } from './side-link.js';

/** Bytes of metadata before the type of a large value, at most. */
const MOST_META = 1 << 16;

const CR = 0x0d;

export interface LargeValuesEvents {
  /** A value cannot be read in ranges: it is to be asked for with DUMP. */
  dumpLater(page: KeyPage, index: number, reason: string): void;
  /** What is said of the first key that it holds for. */
  tellOnce(what: string, key: Uint8Array): void;
}

/** Values that do not fit into memory: passed on as they arrive, or read in ranges. */
export class LargeValues {
  /** Whether a record is written in part. */
  torn = false;

  constructor(
    private readonly server: ScanServer,
    private readonly replies: KeyReplies,
    private readonly side: SideLink,
    private readonly events: LargeValuesEvents,
  ) {}

  /**
   * Passes a large value on as it arrives. Its expiry is asked for on another connection, as the reply that says it comes after the
   * value: it is younger than the value all the same. Returns the bytes read.
   */
  async stream({ from, page }: Segment): Promise<number> {
    const { replies, server } = this;
    const { link, settings } = server;
    const { counts, keys, output } = settings;
    const index = replies.at;
    link.pos = await link.whole(() => replies.beforeDump(link.pos, (index - from) % TIME_EVERY === 0));
    const { idle } = replies;
    const size = await link.numberOf(BULK);
    const expiry = await this.side.expiryOf(page.key(index));
    await link.more(Math.min(size, output.version === 0 || output.hasKeyMeta ? MOST_META : 1));
    if (output.version === 0) await this.askVersion();
    const isMeta = link.bytes[link.pos] === KEY_META && output.hasKeyMeta;
    const typeAt = isMeta ? metaSize(link.bytes.subarray(link.pos, link.pos + Math.min(size, MOST_META))) : 0;
    const type = link.bytes[link.pos + typeAt];
    const problem = replies.typeProblem(type);
    const isWanted = expiry !== undefined && problem === undefined && page.remember(keys, index);
    if (expiry === undefined) counts.gone++;
    else if (problem !== undefined) server.problem(page.key(index), problem);
    else if (!isWanted) counts.repeated++;
    if (isWanted) {
      if (!output.pipe.fits(RECORD_HEAD)) await output.pipe.room();
      output.select(server.db);
      const head = new ByteBuilder();
      head.length = replies.modifiers(head.bytes, head.room(RECORD_HEAD), expiry, expiry.now, idle);
      head.copy(link.bytes, link.pos, link.pos + typeAt + 1);
      addLength(head, page.end(index) - page.starts[index]);
      this.torn = true;
      await output.pipe.put(head.bytes, 0, head.length);
      await output.pipe.put(page.bytes, page.starts[index], page.end(index));
    }
    const { crc } = replies;
    crc.hi = crc.lo = 0;
    crc.update(link.bytes, link.pos, link.pos + typeAt + 1);
    link.pos += typeAt + 1;
    await this.through(size - typeAt - 1 - PAYLOAD_FOOTER, isWanted);
    await link.more(PAYLOAD_FOOTER + 2);
    if (isWanted) {
      crc.update(link.bytes, link.pos, link.pos + PAYLOAD_FOOTER - CRC_SIZE);
      replies.compare(page, index, link.bytes, link.pos + PAYLOAD_FOOTER - CRC_SIZE);
    }
    replies.checkVersion(link.bytes[link.pos] | (link.bytes[link.pos + 1] << 8));
    if (link.bytes[link.pos + PAYLOAD_FOOTER] !== CR) throw garbled(link.bytes, link.pos + PAYLOAD_FOOTER, link.end);
    link.pos += PAYLOAD_FOOTER + 2;
    this.torn = false;
    if (isWanted) counts.written++;
    await this.skipExpiry();
    replies.at++;
    return size;
  }

  /** Reads a large value in ranges, over the other connection. */
  async ranged(page: KeyPage, index: number): Promise<void> {
    const { replies, server } = this;
    const { counts, keys, output } = server.settings;
    const side = await this.side.selected();
    if (output.version === 0) await this.askVersion();
    const { object } = server.questions;
    const key = page.key(index);
    const use = object === undefined ? -1 : await side.ask('OBJECT', object, key);
    const reader = this.rangeReader(side);
    const value = reader instanceof RangeReader ? await reader.read(key) : reader;
    const expiry = value === undefined || value instanceof NoRanges ? undefined : await this.side.expiryOf(key);
    if (value instanceof NoRanges) this.events.dumpLater(page, index, value.reason);
    else if (value === undefined || expiry === undefined) counts.gone++;
    else if (!page.remember(keys, index)) counts.repeated++;
    else {
      if (value.doubt !== undefined) this.events.tellOnce(value.doubt, key);
      if (!output.pipe.fits(RECORD_HEAD)) await output.pipe.room();
      output.select(server.db);
      const head = new ByteBuilder();
      const idle = typeof use === 'number' ? use : -1;
      head.length = replies.modifiers(head.bytes, head.room(RECORD_HEAD), expiry, expiry.now, idle);
      head.byte(value.type.id);
      addLength(head, key.length);
      await output.pipe.put(head.bytes, 0, head.length);
      await output.pipe.put(page.bytes, page.starts[index], page.end(index));
      for (const piece of value.pieces) await output.pipe.put(piece, 0, piece.length);
      counts.written++;
    }
    if (reader instanceof RangeReader) reader.close();
  }

  private rangeReader(side: ReplyLink): RangeReader | NoRanges {
    const { version } = this.server.settings.output;
    const target = TARGETS.findLast(({ rdbVersion, vendor }) => rdbVersion === version && vendor === vendorOf(version));
    if (target === undefined) return new NoRanges(`what servers of RDB version ${version} read is not known`);
    if (this.server.questions.asking) return new NoRanges('its slot is moving');
    return new RangeReader(side, target);
  }

  /** Passes `size` bytes of the link on, or over. */
  private async through(size: number, isWanted: boolean): Promise<void> {
    const { link, settings } = this.server;
    const { pipe } = settings.output;
    for (let left = size; left > 0; ) {
      await link.more(1);
      if (isWanted && !pipe.fits(1)) await pipe.room();
      const step = Math.min(left, link.end - link.pos, isWanted ? pipe.capacity - pipe.length : left);
      if (isWanted) {
        this.replies.crc.update(link.bytes, link.pos, link.pos + step);
        pipe.length = copy(link.bytes, link.pos, link.pos + step, pipe.bytes, pipe.length);
      }
      link.pos += step;
      left -= step;
      pipe.told();
    }
  }

  private async skipExpiry(): Promise<void> {
    const { link, questions } = this.server;
    for (let lines = questions.asking ? 2 : 1; lines > 0; lines--) {
      link.pos = await link.whole(() => link.lineEnd(link.pos));
    }
  }

  /** The RDB version, where the first value is a large one, whose footer is far. */
  private async askVersion(): Promise<void> {
    const link = await this.side.connect();
    const answer = await link.ask('FUNCTION', 'DUMP');
    const isPayload = answer instanceof Uint8Array && answer.length >= PAYLOAD_FOOTER;
    this.server.beginOutput(isPayload ? payloadVersion(answer).version : undefined);
  }
}
