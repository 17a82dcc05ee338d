import { writeAscii, writeInt, writeInt64, writeUint64 } from '../bytes/decimal.js';
import { DOUBLE_SIZE, writeDouble } from '../bytes/double.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { jsonTextSize } from '../bytes/json.js';
import { BYTES, type Element, INT, LZF } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import { Scratch } from '../rdb/string.js';
import { scoreOf } from '../values/value-integers.js';
import type { Output } from '../io/output.js';

const QUOTE = 0x22;
const HYPHEN = 0x2d;

/** Room for what stands around a text or number: punctuation, an integer, an ID. */
const MARGIN = 144;

/** The bytes of an ASCII string, for texts that are written often. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Writes JSON tokens to an output. Texts, numbers and IDs leave `MARGIN` bytes of room after them, so that `byte` and
 * short `bytes` after them need no check.
 */
export class JsonWriter {
  private readonly scratch: Scratch;

  constructor(
    readonly output: Output,
    private readonly codec: Codec = TS_CODEC,
  ) {
    this.scratch = new Scratch(codec, codec.allocate(1 << 20));
  }

  byte(value: number): void {
    const { output } = this;
    output.bytes[output.length++] = value;
  }

  /** A few bytes for which there is room. */
  bytes(bytes: Uint8Array): void {
    const { output } = this;
    const { bytes: out } = output;
    let o = output.length;
    for (let i = 0; i < bytes.length; i++) out[o++] = bytes[i];
    output.length = o;
  }

  /** ASCII as it is, of any length. */
  raw(text: string): void {
    const { output } = this;
    output.room(text.length + MARGIN);
    output.length = writeAscii(text, output.bytes, output.length);
  }

  /** An element as a JSON string; integers in decimal. */
  text(element: Element): void {
    const { output } = this;
    if (element.kind === LZF) this.scratch.inflate(element);
    if (element.kind === BYTES) {
      output.room(jsonTextSize(element.end - element.start) + MARGIN);
      output.length = this.codec.writeJsonText(element.bytes, element.start, element.end, output.bytes, output.length);
      return;
    }
    output.room(2 * MARGIN);
    const { bytes } = output;
    let o = output.length;
    bytes[o++] = QUOTE;
    o = element.kind === INT ? writeInt(element.num, bytes, o) : writeInt64(element.hi, element.lo, bytes, o);
    bytes[o++] = QUOTE;
    output.length = o;
  }

  /** A score: its shortest number. Returns it. */
  score(element: Element): number {
    const { output } = this;
    output.room(DOUBLE_SIZE + MARGIN);
    if (element.kind === INT) {
      output.length = writeInt(element.num, output.bytes, output.length);
      return element.num;
    }
    const score = scoreOf(element);
    output.length = writeDouble(score, output.bytes, output.length);
    return score;
  }

  /** An unsigned integer of up to 64 bits. */
  unsigned(element: Element): void {
    const { output } = this;
    output.room(2 * MARGIN);
    if (element.kind === INT && element.num >= 0) output.length = writeInt(element.num, output.bytes, output.length);
    else output.length = writeUint64(highWord(element), lowWord(element), output.bytes, output.length);
  }

  /** A signed one. */
  signed(element: Element): void {
    const { output } = this;
    output.room(2 * MARGIN);
    if (element.kind === INT) output.length = writeInt(element.num, output.bytes, output.length);
    else output.length = writeInt64(element.hi, element.lo, output.bytes, output.length);
  }

  /** A stream ID, ms-seq, without quotes. */
  id(id: StreamId): void {
    const { output } = this;
    output.room(2 * MARGIN);
    const { bytes } = output;
    let o = writeUint64(id.msHi, id.msLo, bytes, output.length);
    bytes[o++] = HYPHEN;
    output.length = writeUint64(id.seqHi, id.seqLo, bytes, o);
  }

  quotedId(id: StreamId): void {
    this.output.room(2 * MARGIN);
    this.byte(QUOTE);
    this.id(id);
    this.byte(QUOTE);
  }
}

function highWord(element: Element): number {
  return element.kind === INT ? Math.floor(element.num / 0x100000000) >>> 0 : element.hi >>> 0;
}

function lowWord(element: Element): number {
  return element.kind === INT ? element.num >>> 0 : element.lo;
}
