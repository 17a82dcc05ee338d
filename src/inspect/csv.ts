import { writeAscii, writeInt } from '../bytes/decimal.js';
import type { ByteSink } from '../io/byte-sink.js';
import { Output } from '../io/output.js';
import { DB, FLAGS, HAS_EXPIRE, ROW_WORDS, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { TYPE_NUMBERS, typeOfNumber } from '../rdb/frame-table.js';
import type { RedisType } from '../rdb/types.js';
import { EMPTY } from '../encodings/element.js';
import { writeDateTime } from './date-time.js';
import type { KeyRows } from './key-rows.js';
import { keyTextSize, writeKeyText } from './key-text.js';
import { type Encoding, ENCODINGS, type Measures } from './measures.js';

const HEADER = 'database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry\n';

const COMMA = 0x2c;
const LINE_END = 0x0a;
const QUOTE = 0x22;
const B = 0x62; // base64:

/** Bytes of the columns beside the key, at most: three numbers of 17 digits, one of 10, two words, a time, seven commas, a line end. */
const COLUMNS = 160;

/** Bytes that stand for themselves: ASCII without what has to be quoted. */
const PLAIN = new Uint8Array(256).fill(1, 0, 0x80);
for (const byte of [COMMA, LINE_END, QUOTE, 0x0d]) PLAIN[byte] = 0;

/** Where redis-rdb-tools has another name than TYPE and OBJECT ENCODING (rdbtools/memprofiler.py, parser.py). */
const TYPE_NAMES: Partial<Record<RedisType, string>> = { zset: 'sortedset' };
const ENCODING_NAMES: Partial<Record<Encoding, string>> = { int: 'string', embstr: 'string', raw: 'string', stream: 'listpack' };

const TYPES = Array.from({ length: TYPE_NUMBERS }, (_, number) => {
  const type = typeOfNumber(number)?.redisType;
  return type === undefined ? '' : (TYPE_NAMES[type] ?? type);
});
const ENCODING_WORDS = ENCODINGS.map((encoding) => ENCODING_NAMES[encoding] ?? encoding);

/**
 * A line for each key, with the columns of the memory report of redis-rdb-tools, and its line ends (\n). Keys in text form
 * (bytes/text.ts), in quotes where RFC 4180 asks for them.
 */
export class CsvRows implements KeyRows {
  private readonly output: Output;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(sink: ByteSink) {
    this.output = new Output(sink);
    this.output.length = writeAscii(HEADER, this.output.bytes, 0);
  }

  add(batch: Batch, row: number, { elements, encoding, largest, memory }: Measures): void {
    const { key, output } = this;
    const { table } = batch;
    const { words } = table;
    const at = row * ROW_WORDS;
    batch.readKey(row, key);
    const { keyBytes, keyEnd, keyStart } = key;
    output.room(COLUMNS + keyTextSize(keyEnd - keyStart));
    const { bytes } = output;
    let o = writeInt(words[at + DB], bytes, output.length);
    bytes[o++] = COMMA;
    o = writeAscii(TYPES[words[at + TYPE]], bytes, o);
    bytes[o++] = COMMA;
    const plainEnd = copyPlain(keyBytes, keyStart, keyEnd, bytes, o);
    if (plainEnd < 0) {
      output.length = o;
      this.addText(keyBytes, keyStart, keyEnd);
      output.room(COLUMNS);
      o = output.length;
    } else {
      o = plainEnd;
    }
    const out = output.bytes;
    out[o++] = COMMA;
    o = writeInt(Math.floor(memory[row]), out, o);
    out[o++] = COMMA;
    o = writeAscii(ENCODING_WORDS[encoding[row]], out, o);
    out[o++] = COMMA;
    o = writeInt(elements[row], out, o);
    out[o++] = COMMA;
    o = writeInt(largest[row], out, o);
    out[o++] = COMMA;
    if ((words[at + FLAGS] & HAS_EXPIRE) !== 0) o = writeDateTime(table.expireAt(row), out, o);
    out[o++] = LINE_END;
    output.length = o;
  }

  /** Adds a key that may need quotes or base64. */
  private addText(src: Uint8Array, start: number, end: number): void {
    const { output } = this;
    const most = keyTextSize(end - start);
    output.room(most * 3);
    const { bytes, length } = output;
    const from = length + most * 2; // quoted, it is twice as long at most: it can grow towards its own text, not past it
    const to = writeKeyText(src, start, end, bytes, from);
    let quoted = false;
    for (let i = from; i < to && !quoted; i++) quoted = PLAIN[bytes[i]] === 0 && bytes[i] < 0x80;
    if (!quoted) {
      bytes.copyWithin(length, from, to);
      output.length = length + to - from;
      return;
    }
    let o = length;
    bytes[o++] = QUOTE;
    for (let i = from; i < to; i++) {
      const byte = bytes[i];
      if (byte === QUOTE) bytes[o++] = QUOTE;
      bytes[o++] = byte;
    }
    bytes[o++] = QUOTE;
    output.length = o;
  }

  get full(): boolean {
    return this.output.full;
  }

  flush(): Promise<void> {
    return this.output.flushIfFull();
  }

  async end(): Promise<void> {
    await this.output.flush();
    await this.output.written();
  }

  get written(): number {
    return this.output.flushed + this.output.length;
  }
}

/** Copies a key whose bytes all stand for themselves. Returns the position after it; -1 for any other key. */
function copyPlain(src: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  if (src[start] === B && end - start > 6 && src[start + 6] === 0x3a) return -1; // it may begin with base64:
  let o = at;
  for (let i = start; i < end; i++) {
    const byte = src[i];
    if (PLAIN[byte] === 0) return -1;
    out[o++] = byte;
  }
  return o;
}
