import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { parseBase64, PREFIX } from '../bytes/text.js';
import { BYTES, Element } from '../encodings/element.js';
import { Spill } from '../io/spill.js';

/** A text of JSON: a name, a number as text, or a Redis string in the text form of docs/json-lines.md. */
export interface Text {
  /** The bytes that it stands for. Undefined for a large one, whose bytes are in `spilled`. Borrowed until the next text. */
  readonly element: Element | undefined;
  /** The bytes of a large one. Whoever takes it away with `take` closes it. */
  readonly spilled: Spill | undefined;
  /** As it stands in the line; undefined for a large one. */
  readonly word: string | undefined;
  take(): Spill;
}

/** A copy of a text that is kept in memory. */
export function bytesOf({ element, spilled }: Text): Uint8Array {
  if (element !== undefined) return element.bytes.slice(element.start, element.end);
  const out = new ByteBuilder();
  for (const piece of spilled?.read() ?? []) out.copy(piece, 0, piece.length);
  return out.view();
}

const NO_SPILL = new TypeError('a text that is no large one');

/** Below this a loop is faster than a call into C++. */
const SHORT = 24;

const utf8 = new TextEncoder();

/** Text that came as one string. */
export class ShortText implements Text {
  readonly spilled = undefined;
  word = '';
  private made = false;
  private room = new Uint8Array(1 << 12);
  private readonly bytes = new Element();

  set(word: string): this {
    this.word = word;
    this.made = false;
    return this;
  }

  get element(): Element {
    if (!this.made) this.make();
    return this.bytes;
  }

  take(): Spill {
    throw NO_SPILL;
  }

  private make(): void {
    const { bytes, word } = this;
    this.made = true;
    bytes.kind = BYTES;
    bytes.start = 0;
    if (word.startsWith(PREFIX)) {
      bytes.bytes = base64(word.slice(PREFIX.length));
      bytes.end = bytes.bytes.length;
      return;
    }
    if (word.length * 3 > this.room.length) this.room = new Uint8Array(word.length * 3);
    bytes.bytes = this.room;
    bytes.end = writeText(word, this.room);
  }
}

function writeText(text: string, out: Uint8Array): number {
  const { length } = text;
  if (length < SHORT) {
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) break;
      out[i] = code;
    }
    if (i === length) return length;
  }
  checkSurrogates(text);
  return utf8.encodeInto(text, out).written;
}

const LONE = /\p{Surrogate}/u;

function checkSurrogates(text: string): void {
  if (text.isWellFormed()) return;
  const found = LONE.exec(text) as RegExpExecArray;
  const code = text.charCodeAt(found.index).toString(16);
  throw new RdbError('BAD_LINE', {
    expected: 'text that UTF-8 has (other bytes as base64:…)',
    got: `\\u${code}, half of a surrogate pair`,
  });
}

function base64(letters: string): Uint8Array {
  try {
    return parseBase64(letters);
  } catch (cause) {
    throw new RdbError('BAD_LINE', { expected: 'base64 after "base64:"', got: cause instanceof Error ? cause.message : '', cause });
  }
}

/** Characters that are gathered before they become bytes. A multiple of 4, so that base64 is cut between its groups. */
const GATHERED = 1 << 14;
/** Texts up to this many bytes are no large ones. */
const LARGEST_SHORT = 1 << 20;

/** Text that comes in pieces. */
export class LongText implements Text {
  spilled: Spill | undefined;
  /** What is short, after all. */
  private readonly short = new ShortText();
  private isShort = true;
  private readonly out = new ByteBuilder();
  private readonly bytes = new Element();
  private pending = '';
  private base64 = false;

  begin(): void {
    this.pending = '';
    this.isShort = true;
    if (this.spilled !== undefined) this.close();
  }

  /** Halves of a surrogate pair come in one piece. */
  add(piece: string): void {
    this.pending += piece;
    if (this.pending.length >= GATHERED) this.flush(false);
  }

  end(): void {
    if (this.isShort) this.short.set(this.pending);
    else this.flush(true);
  }

  get word(): string | undefined {
    return this.isShort ? this.short.word : undefined;
  }

  get element(): Element | undefined {
    const { bytes, out, spilled } = this;
    if (this.isShort) return this.short.element;
    if (spilled !== undefined) return undefined;
    bytes.kind = BYTES;
    bytes.bytes = out.bytes;
    bytes.start = 0;
    bytes.end = out.length;
    return bytes;
  }

  take(): Spill {
    const { spilled } = this;
    if (spilled === undefined) throw NO_SPILL;
    this.spilled = undefined;
    return spilled;
  }

  close(): void {
    this.spilled?.close();
    this.spilled = undefined;
  }

  private flush(last: boolean): void {
    const { out } = this;
    if (this.isShort) {
      this.isShort = false;
      out.clear();
      this.base64 = this.pending.startsWith(PREFIX);
      if (this.base64) this.pending = this.pending.slice(PREFIX.length);
    }
    const { pending } = this;
    if (this.base64) {
      this.letters(pending, last);
    } else {
      this.pending = '';
      const at = out.room(pending.length * 3);
      checkSurrogates(pending);
      out.length = at + utf8.encodeInto(pending, out.bytes.subarray(at)).written;
    }
    this.keep(last);
  }

  private letters(letters: string, last: boolean): void {
    // the last group may be the padded one, and the end not known yet
    const whole = last ? letters.length : (letters.length - 1) & ~3;
    this.pending = letters.slice(whole);
    const padded = last ? -1 : letters.indexOf('=');
    if (padded >= 0 && padded < whole) {
      throw new RdbError('BAD_LINE', { expected: 'base64 after "base64:"', got: 'more of it after "="' });
    }
    const bytes = base64(letters.slice(0, whole));
    this.out.copy(bytes, 0, bytes.length);
  }

  /** Puts bytes aside where they are many. */
  private keep(last: boolean): void {
    const { out } = this;
    if (this.spilled === undefined && out.length <= LARGEST_SHORT) return;
    if (!last && out.length < GATHERED) return;
    this.spilled ??= new Spill();
    this.spilled.add(out.bytes, 0, out.length);
    out.clear();
  }
}
