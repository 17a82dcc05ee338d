import { SLOTS } from '../../bytes/crc16.js';
import { Crc64 } from '../../bytes/crc64.js';
import { formatText } from '../../bytes/text.js';
import { uint32 } from '../../encodings/element.js';
import { KEY_META, PAYLOAD_FOOTER, payloadVersion } from '../../rdb/payload.js';
import { payloadFrame } from '../../rdb/payload-frame.js';
import { TABLES } from '../../rdb/types.js';
import { EXPIRETIME_MS, FREQ, IDLE, IDLE_SINCE, LENGTH_SIZE, writeLength, writeUint64LE } from '../../rdb/write.js';
import { ConnectionLost, reasonOf } from '../../redis/errors.js';
import { redirection, refusalOf } from '../../redis/refusals.js';
import type { KeyPage } from './key-page.js';
import { ARRAY, BULK, ERROR, garbled, INTEGER } from '../../redis/reply-link.js';
import { copy, TIME_EVERY } from './scan-commands.js';
import { ScanOutput } from './scan-output.js';
import { isOfKey, type ScanServer } from './scan-server.js';
import type { ExpiryAnswer } from './side-link.js';

/** Keys of a page that were asked for together. */
export interface Segment {
  readonly page: KeyPage;
  readonly from: number;
  readonly to: number;
  readonly request: Uint8Array;
}

/** Results of `take`. */
export const DONE = 0;
/** `need` bytes have to arrive first. */
export const MORE = 1;
/** The output has no room for the next record. */
export const ROOM = 2;
/** The next value is too large to wait until it has arrived. */
export const STREAM = 3;
/** The next value is to be read in ranges. */
export const RANGED = 4;

/** Payloads above this are passed on as they arrive, in bytes. */
const LARGE = 1 << 20;
/** What a record has beside key and value: SELECTDB, expiry, idle time, type, length. */
export const RECORD_HEAD = ScanOutput.SELECT_SIZE + 9 + 1 + LENGTH_SIZE + 1 + LENGTH_SIZE;
/** Bytes of the checksum at the end of a payload. */
export const CRC_SIZE = 8;
/** The shortest payload: type, a value, footer. */
const LEAST_PAYLOAD = PAYLOAD_FOOTER + 1;
/** The shortest reply to a question for an expiry: `:0\r\n`. */
const SHORTEST_REPLY = 4;

const CR = 0x0d;

/** Slots of keys that were answered with MOVED, and with ASK. */
export interface RedirectedSlots {
  readonly moved: Set<number>;
  readonly asked: Set<number>;
}

/** Reads the replies to `KeyCommands` where they arrived, and writes them as records of an RDB. */
export class KeyReplies {
  /** The next key of the segment that is read. */
  at = 0;
  /** Bytes that `take` waits for. */
  need = 1;
  /** Idle time or frequency of the key that is read; -1 for none. */
  idle = -1;
  /** Unix milliseconds by the server's clock, at or before what is read next. */
  serverTime = 0;
  /** Of the payload that is read. */
  readonly crc = new Crc64();

  constructor(
    private readonly server: ScanServer,
    private readonly redirected: RedirectedSlots,
  ) {}

  /** Writes the records whose replies have arrived whole. Positions are those in `link.bytes`. */
  take(segment: Segment): number {
    const { plain } = this;
    const { link, questions, settings } = this.server;
    const { counts, keys, output } = settings;
    const { from, page, to } = segment;
    const { pipe } = output;
    const { bytes, end } = link;
    while (this.at < to) {
      const { pos } = link;
      const index = this.at;
      this.need = end - pos + 1;
      if (page.ranged[index] === 1) {
        if (questions.timed && (index - from) % TIME_EVERY === 0) {
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
      const expiryAt = questions.asking ? link.lineEnd(after) : after;
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
        if (problem !== undefined) this.server.problem(page.key(index), problem);
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
    const { asking, expiry, object, timed } = this.server.questions;
    return !asking && !timed && object === undefined && expiry === 'PEXPIRETIME';
  }

  /** Reads what comes before the reply of DUMP. Returns the position of that, or -1 if it has not arrived. */
  beforeDump(pos: number, withTime: boolean): number {
    const { link, questions } = this.server;
    let at = pos;
    if (questions.timed && withTime) {
      at = this.time(at);
      if (at < 0) return -1;
    }
    if (!questions.timed) this.serverTime = this.server.now();
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
    const { link } = this.server;
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
    const { output } = this.server.settings;
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
  compare(page: KeyPage, index: number, bytes: Uint8Array, at: number): void {
    const [lo, hi] = [uint32(bytes, at), uint32(bytes, at + 4)];
    if ((lo === this.crc.lo && hi === this.crc.hi) || (lo === 0 && hi === 0)) return;
    const key = page.key(index);
    throw new ConnectionLost(`DUMP ${formatText(key, 0, key.length)}: some bytes have changed on the way, as its checksum says`);
  }

  typeProblem(type: number): string | undefined {
    const isKnown = TABLES[this.server.settings.output.vendor].types[type] !== undefined;
    return isKnown ? undefined : `DUMP: a value of type ${type}, which is not known`;
  }

  checkVersion(version: number): void {
    const { output } = this.server.settings;
    if (version === output.version) return;
    if (output.version === 0) this.server.beginOutput(version);
    else output.check(version, this.server.target.name);
  }

  /** Writes a record; there is room. The last number read is its expiry. */
  private record(key: Uint8Array, keyStart: number, keyEnd: number, start: number, size: number): void {
    const { db, link, settings } = this.server;
    const { output } = settings;
    const { pipe } = output;
    output.select(db);
    const out = pipe.bytes;
    let at = this.modifiers(out, pipe.length, link, this.serverTime, this.idle);
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

  /** Writes expiry, and idle time or frequency; returns where they end. `now` is the server's time for a relative expiry. */
  modifiers(out: Uint8Array, from: number, { hi, lo, value }: ExpiryAnswer, now: number, idle: number): number {
    const { questions, settings } = this.server;
    let at = from;
    if (value !== -1) {
      out[at] = EXPIRETIME_MS;
      if (questions.expiry === 'PEXPIRETIME') at = writeUint64LE(out, at + 1, hi, lo);
      else {
        const absolute = now + value;
        at = writeUint64LE(out, at + 1, Math.floor(absolute / 2 ** 32), absolute | 0);
      }
    }
    if (idle >= 0 && settings.output.version >= IDLE_SINCE) {
      const isFreq = questions.object === 'FREQ';
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
      this.server.settings.counts.moved++;
      (text.startsWith('ASK') ? this.redirected.asked : this.redirected.moved).add(to.slot);
      return;
    }
    const command = ofDump ? 'DUMP' : this.server.questions.expiry;
    const refusal = refusalOf(text);
    if (refusal === 'later') throw new ConnectionLost(text);
    if (refusal === 'stop' && !isOfKey(text)) throw this.server.refused(`${command}: ${text}`);
    this.server.problem(page.key(index), `${command}: ${text}`);
  }
}

/** Bytes of the metadata that a payload begins with, with their opcode. Throws RdbError. */
export function metaSize(payload: Uint8Array): number {
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
