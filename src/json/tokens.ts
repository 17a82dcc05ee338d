import { isAscii, isUtf8 } from 'node:buffer';
import { jsonParser, type Token } from 'stream-json/parser.js';
import { ByteBuilder } from '../bytes/builder.js';
import { hexByte, RdbError } from '../bytes/errors.js';
import { utf8Length } from '../bytes/json.js';

export type { Token } from 'stream-json/parser.js';

type Parse = ReturnType<typeof jsonParser>;

/** Strings and numbers as one token each. */
const WHOLE = { packValues: true, streamValues: false, jsonStreaming: true };
/** Strings and numbers in pieces, between a token for their beginning and one for their end. */
const PIECES = { packValues: false, streamValues: true, jsonStreaming: true };

/** After every line: the parser waits for so much before it says that a word or an escape is none. */
const END = `\n${' '.repeat(16)}`;

const NONE: readonly Token[] = [];

const STRING = 'a string, with control characters and backslashes escaped';

function tokensOf(parse: Parse, text: string): readonly Token[] {
  const tokens = parse(text);
  return typeof tokens === 'symbol' ? NONE : tokens.values;
}

/** The bytes as text. RdbError, with `base` added to the position, where they are not UTF-8. */
function textOf(bytes: Uint8Array, start: number, end: number, base: number): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  if (isAscii(view)) return view.toString('latin1');
  if (isUtf8(view)) return view.toString('utf8');
  let i = start;
  for (let length = utf8Length(bytes, i, end); length > 0; length = utf8Length(bytes, i, end)) i += length;
  throw new RdbError('BAD_JSON', {
    offset: base + i - start,
    expected: 'text in UTF-8',
    got: `${hexByte(bytes[i])}, which no character has there`,
  });
}

/** Tokens of lines, one after another. */
export class WholeTokens {
  private parse: Parse | undefined;

  /** Throws RdbError where the line is not JSON; `base` is its offset. That it is complete, the tokens tell. */
  read(bytes: Uint8Array, start: number, end: number, base: number): readonly Token[] {
    const text = textOf(bytes, start, end, base);
    this.parse ??= jsonParser(WHOLE);
    try {
      return tokensOf(this.parse, text + END);
    } catch (cause) {
      this.parse = undefined;
      throw notJson(text, base, cause);
    }
  }

  /** After a line that was not complete. */
  reset(): void {
    this.parse = undefined;
  }
}

/** Tokens of one line that comes in parts. */
export class PartTokens {
  private readonly parse = jsonParser(PIECES);
  /** The beginning of a character that the last part cut. */
  private readonly cut = new ByteBuilder();

  /** `base` is the offset of the part. Throws RdbError where the line is not JSON. */
  read(bytes: Uint8Array, start: number, end: number, base: number): readonly Token[] {
    const { cut } = this;
    const before = cut.length;
    if (before > 0) {
      cut.copy(bytes, start, end);
      const { length } = cut;
      cut.length = 0;
      return this.text(cut.bytes.slice(0, length), 0, length, base - before);
    }
    return this.text(bytes, start, end, base);
  }

  /** The end of the line, `base` its offset. */
  end(base: number): readonly Token[] {
    if (this.cut.length > 0) textOf(this.cut.bytes, 0, this.cut.length, base - this.cut.length);
    return this.tokens(END, base);
  }

  private text(bytes: Uint8Array, start: number, end: number, base: number): readonly Token[] {
    const whole = end - cutLength(bytes, start, end);
    this.cut.copy(bytes, whole, end);
    return this.tokens(textOf(bytes, start, whole, base), base);
  }

  private tokens(text: string, base: number): readonly Token[] {
    try {
      return tokensOf(this.parse, text);
    } catch (cause) {
      throw new RdbError('BAD_JSON', { offset: base, expected: expectedBy(cause), got: 'something else', cause });
    }
  }
}

/** How many bytes at the end are the beginning of a character. */
function cutLength(bytes: Uint8Array, start: number, end: number): number {
  for (let size = 1; size <= 3 && end - size >= start; size++) {
    const byte = bytes[end - size];
    if (byte >= 0xc0) return size < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? size : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/** The parser says what is wrong, but not where: the shortest beginning of the text that it refuses ends there. */
function notJson(text: string, base: number, cause: unknown): RdbError {
  let [good, bad] = [0, text.length + END.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (refuses((text + END).slice(0, middle))) bad = middle;
    else good = middle;
  }
  if (expectedBy(cause) === 'a value') good = wordBefore(text, good);
  if (expectedBy(cause) === STRING) good = brokenString(text) ?? good;
  const atEnd = good >= text.trimEnd().length;
  const got = atEnd ? 'the end of the line' : JSON.stringify(String.fromCodePoint(text.codePointAt(good) ?? 0));
  const offset = base + Buffer.byteLength(text.slice(0, atEnd ? text.length : good));
  return new RdbError('BAD_JSON', { offset, expected: expectedBy(cause), got, cause });
}

/** The parser looks some characters ahead for `true`, `false` and `null`: where what stands there instead begins. */
function wordBefore(text: string, end: number): number {
  const from = Math.max(0, end - END.length);
  const found = /[a-z]\w*[^\w"]*$/i.exec(text.slice(from, end + 1));
  return found === null ? end : from + found.index;
}

/** The parser looks ahead in strings, too: where the first control character or wrong escape stands in one. */
function brokenString(text: string): number | undefined {
  const special = /["\\\p{Cc}]/gu;
  const escape = /\\(?:["\\/bfnrt]|u[\da-f]{4})/iy;
  let inside = false;
  for (let found = special.exec(text); found !== null; found = special.exec(text)) {
    escape.lastIndex = found.index;
    if (found[0] === '"') inside = !inside;
    else if (inside && escape.test(text)) special.lastIndex = escape.lastIndex;
    else if (inside && found[0] < ' ' || found[0] === '\\') return found.index;
  }
  return undefined;
}

function refuses(text: string): boolean {
  try {
    jsonParser(WHOLE)(text);
    return false;
  } catch {
    return true;
  }
}

/** What the messages of stream-json say that it expected. */
function expectedBy(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  if (message.endsWith('escaped characters')) return STRING;
  return /expected (?:an? |':'|'[^']*'|a).*$/.exec(message)?.[0].replace(/^expected /, '') ?? 'one JSON object per line';
}

/** Longer texts are no names of types. */
const LONGEST = 64;

/**
 * Looks for the string `type` in the object of a line: what a line says depends on it, wherever it stands. Tokens may come in
 * any number of calls.
 */
export class TypeScan {
  type: string | undefined;
  private depth = 0;
  private key = '';
  private text = '';

  /** Returns whether the type is known. */
  take(tokens: readonly Token[]): boolean {
    for (const token of tokens) {
      this.token(token);
      if (this.type !== undefined) return true;
    }
    return false;
  }

  private token(token: Token): void {
    switch (token.name) {
      case 'startObject':
      case 'startArray':
        this.depth++;
        return;
      case 'endObject':
      case 'endArray':
        this.depth--;
        return;
      case 'keyValue':
        this.key = token.value;
        return;
      case 'stringValue':
        this.value(token.value);
        return;
      case 'startKey':
      case 'startString':
        this.text = '';
        return;
      case 'stringChunk':
        if (this.text.length < LONGEST) this.text += token.value;
        return;
      case 'endKey':
        this.key = this.text;
        return;
      case 'endString':
        this.value(this.text);
        return;
      default: // no other value is a type
    }
  }

  private value(text: string): void {
    if (this.depth === 1 && this.key === 'type') this.type = text;
  }
}
