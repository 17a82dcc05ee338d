import { RdbError } from '../../bytes/errors.js';
import { type HeldBytes, Spill } from '../../io/spill.js';
import { type Answer, BULK, garbled, type ReplyLink } from '../../redis/reply-link.js';
import type { Frame } from '../../rdb/frame.js';
import { payloadFrame } from '../../rdb/payload-frame.js';
import { PAYLOAD_FOOTER, payloadOrigin } from '../../rdb/payload.js';

/** A value that is too large for memory. */
export interface LargeValueAside {
  /** Type and metadata of the key, without the value, the key, and its expiry. */
  readonly frame: Frame;
  /** RDB version of the server that it comes from. */
  readonly version: number;
  /** The value, as it stands in an RDB. */
  readonly value: HeldBytes;
  /** What the payload ended with: version and checksum. */
  readonly footer: Uint8Array;
}

/** Larger payloads, in bytes, are put aside. */
const LARGE = 1 << 20;

/** Bytes that come before a value in a payload, at most: metadata of the key, and the type. */
const MOST_BEFORE = 1 << 16;

/** A DUMP payload that is put aside as it comes. */
export class PayloadAside {
  private readonly spill = new Spill(0);
  private readonly head: Uint8Array;
  private readonly footer = new Uint8Array(PAYLOAD_FOOTER);
  private came = 0;

  /** `size`: bytes of the payload. */
  constructor(readonly size: number) {
    this.head = new Uint8Array(Math.min(size - PAYLOAD_FOOTER, MOST_BEFORE));
  }

  /** Throws OutputError. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const { came, footer, head, size } = this;
    if (came < head.length) head.set(bytes.subarray(start, Math.min(end, start + head.length - came)), came);
    const footerAt = size - PAYLOAD_FOOTER;
    const from = Math.max(came, footerAt);
    if (came + end - start > from) footer.set(bytes.subarray(start + from - came, end), from - footerAt);
    this.spill.add(bytes, start, end);
    this.came += end - start;
  }

  /** The whole payload has come. The value closes what was put aside. Throws RdbError where the payload makes no sense. */
  finish(): LargeValueAside {
    const { footer, head, size, spill } = this;
    const ends = new Uint8Array(head.length + footer.length);
    ends.set(head);
    ends.set(footer, head.length);
    const origin = payloadOrigin(ends);
    const frame = payloadFrame(ends, origin);
    const from = frame.start;
    frame.bytes = ends.subarray(0, 0);
    frame.start = frame.end = 0;
    return { frame, version: origin.version, value: rangeOf(spill, from, size - PAYLOAD_FOOTER), footer };
  }

  close(): void {
    this.spill.close();
  }
}

/** Bytes [from, to) of what was put aside. */
const rangeOf = (spill: Spill, from: number, to: number): HeldBytes => ({
  size: to - from,
  *read() {
    let at = 0;
    for (const piece of spill.read()) {
      const [start, end] = [Math.max(0, from - at), Math.min(piece.length, to - at)];
      if (start < end) yield piece.subarray(start, end);
      at += piece.length;
    }
  },
  close: () => spill.close(),
});

/** Reads a reply, which is put aside if it is a large payload and `keep` is set. Throws ConnectionLost, SyntaxError and OutputError. */
export async function payloadAnswer(link: ReplyLink, keep: boolean): Promise<Answer | PayloadAside> {
  await link.more(1);
  if (link.bytes[link.pos] !== BULK) return link.answer();
  link.pos = await link.whole(() => link.number(link.pos));
  const size = link.value;
  if (size < 0) return null;
  const aside = size > LARGE ? new PayloadAside(size) : undefined;
  const bytes = new Uint8Array(aside === undefined ? size : 0);
  try {
    for (let at = 0; at < size; ) {
      await link.more(1);
      const end = Math.min(link.end, link.pos + size - at);
      if (aside === undefined) bytes.set(link.bytes.subarray(link.pos, end), at);
      else if (keep) aside.add(link.bytes, link.pos, end);
      at += end - link.pos;
      link.pos = end;
    }
    await link.more(2);
    if (link.bytes[link.pos] !== 0x0d || link.bytes[link.pos + 1] !== 0x0a) throw garbled(link.bytes, link.pos, link.end);
  } catch (error) {
    aside?.close();
    throw error;
  }
  link.pos += 2;
  return aside ?? bytes;
}

/** What a large payload holds, or why that is not known. */
export function largeOf(aside: PayloadAside): LargeValueAside | RdbError {
  try {
    return aside.finish();
  } catch (error) {
    aside.close();
    if (error instanceof RdbError) return error;
    throw error;
  }
}

export function closeLarge(large: LargeValueAside | RdbError | undefined): void {
  if (large !== undefined && !(large instanceof RdbError)) large.value.close();
}
