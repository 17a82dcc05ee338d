import type { Codec } from '../kernels/codec.js';
import { DOMAIN_JSON, DOMAIN_JSON_MEMBER } from '../kernels/layout.js';
import { Gathered } from '../values/gathered.js';
import { Chain, Sum } from './chain.js';

/** Kinds of values. */
const LITERAL = 1;
const INTEGER = 2;
const DOUBLE = 3;
const STRING = 4;
const ARRAY = 5;
const OBJECT = 6;

/** What may come next. */
const VALUE = 0;
const VALUE_OR_END = 1;
const NAME = 2;
const NAME_OR_END = 3;
const COLON = 4;
const COMMA_OR_END = 5;
const NOTHING = 6;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DEEPEST = 1024;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LITERALS: ReadonlySet<string> = new Set(['true', 'false', 'null']);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** An array or object that is open. */
interface Open {
  readonly isObject: boolean;
  /** Of an array: the chain so far. */
  readonly items: Int32Array;
  /** Of an object. */
  readonly members: Sum;
  readonly name: Int32Array;
  count: number;
}

/**
 * A digest of what a JSON text means, which comes in pieces: white space, escapes, the order of members and the way that a double is
 * written do not count. 1 and 1.0 differ, and integers of any size are compared digit by digit. A text that is no JSON, or nested deeper
 * than DEEPEST, counts as it is written.
 */
export class JsonDigest {
  private readonly text: Chain;
  private readonly node: Chain;
  private readonly token = new Gathered();
  private readonly open: Open[] = [];
  private next = VALUE;
  private inString = false;
  private escaped = false;
  private hasEscapes = false;
  private valid = true;

  constructor(domains: Int32Array, codec: Codec) {
    this.text = new Chain(domains, codec);
    this.node = new Chain(domains, codec);
  }

  begin(): void {
    this.text.begin(DOMAIN_JSON).open();
    this.token.clear();
    this.open.length = 0;
    this.next = VALUE;
    this.inString = this.escaped = false;
    this.valid = true;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    this.text.piece(bytes, start, end);
    for (let pos = start; pos < end && this.valid; ) {
      if (this.inString) {
        pos = this.stringPart(bytes, pos, end);
      } else if (isWordByte(bytes[pos])) {
        const from = pos;
        while (pos < end && isWordByte(bytes[pos])) pos++;
        this.token.add(bytes, from, pos);
      } else {
        this.word();
        this.sign(bytes[pos++]);
      }
    }
  }

  /** Four words. */
  end(): Int32Array {
    this.text.close();
    if (this.valid) this.word();
    return this.valid && this.next === NOTHING && !this.inString ? this.node.state : this.text.state;
  }

  private stringPart(bytes: Uint8Array, start: number, end: number): number {
    let pos = start;
    for (; pos < end; pos++) {
      if (this.escaped) {
        this.escaped = false;
      } else if (bytes[pos] === BACKSLASH) {
        this.escaped = this.hasEscapes = true;
      } else if (bytes[pos] === QUOTE) {
        this.token.add(bytes, start, pos);
        this.inString = false;
        this.string();
        return pos + 1;
      }
    }
    this.token.add(bytes, start, end);
    return pos;
  }

  private string(): void {
    const { node, token } = this;
    let [bytes, length] = [token.bytes, token.length];
    if (this.hasEscapes) {
      const plain = unescaped(bytes.subarray(0, length));
      if (plain === undefined) {
        this.valid = false;
        return;
      }
      [bytes, length] = [plain, plain.length];
    }
    const isName = this.next === NAME || this.next === NAME_OR_END;
    node.begin(isName ? DOMAIN_JSON_MEMBER : DOMAIN_JSON).count(STRING).bytes(bytes, 0, length);
    token.clear();
    if (isName) {
      this.open[this.open.length - 1].name.set(node.state);
      this.next = COLON;
    } else {
      this.value();
    }
  }

  /** The end of a number or literal, if there is one. */
  private word(): void {
    const { node, token } = this;
    if (token.length === 0) return;
    const text = Buffer.from(token.bytes.subarray(0, token.length)).toString('latin1');
    node.begin(DOMAIN_JSON);
    if (LITERALS.has(text)) {
      node.count(LITERAL).bytes(token.bytes, 0, token.length);
    } else if (NUMBER.test(text) && Number.isFinite(Number(text))) {
      if (/[.eE]/.test(text)) node.count(DOUBLE).double(Number(text));
      else node.count(INTEGER).bytes(token.bytes, 0, token.length);
    } else {
      this.valid = false;
    }
    token.clear();
    this.value();
  }

  private sign(byte: number): void {
    switch (String.fromCharCode(byte)) {
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        return;
      case '"':
        this.inString = true;
        this.hasEscapes = false;
        this.valid &&= this.next < COLON;
        return;
      case '[':
        this.begins(false);
        return;
      case '{':
        this.begins(true);
        return;
      case ']':
        this.ends(false);
        return;
      case '}':
        this.ends(true);
        return;
      case ':':
        this.valid &&= this.next === COLON;
        this.next = VALUE;
        return;
      case ',':
        this.valid &&= this.next === COMMA_OR_END;
        this.next = this.open.at(-1)?.isObject === true ? NAME : VALUE;
        return;
      default:
        this.valid = false;
    }
  }

  private begins(isObject: boolean): void {
    this.valid &&= this.next <= VALUE_OR_END && this.open.length < DEEPEST;
    const items = this.node.begin(DOMAIN_JSON).state.slice();
    this.open.push({ isObject, items, members: new Sum(), name: new Int32Array(4), count: 0 });
    this.next = isObject ? NAME_OR_END : VALUE_OR_END;
  }

  private ends(isObject: boolean): void {
    const { node } = this;
    const last = this.open.pop();
    this.valid &&= last?.isObject === isObject && (this.next === COMMA_OR_END || this.next === (isObject ? NAME_OR_END : VALUE_OR_END));
    if (last === undefined) return;
    node.begin(DOMAIN_JSON);
    if (isObject) node.count(OBJECT).sum(last.members);
    else node.count(ARRAY).words(last.items).count(last.count);
    this.next = VALUE;
    this.value();
  }

  /** A value is complete, and its digest in `node`. */
  private value(): void {
    const { node, open } = this;
    this.valid &&= this.next <= VALUE_OR_END;
    const last = open.at(-1);
    this.next = last === undefined ? NOTHING : COMMA_OR_END;
    if (last === undefined) return;
    last.count++;
    const found = node.state.slice();
    if (last.isObject) {
      last.members.add(node.begin(DOMAIN_JSON_MEMBER).words(last.name).words(found));
    } else {
      last.items.set(node.resume(last.items).words(found).state);
    }
  }
}

/** Of a number or a literal. */
const isWordByte = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x45;

/** What a string with escapes means, in UTF-8; undefined if it is damaged, or has half a surrogate pair, which UTF-8 has not. */
function unescaped(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const text = JSON.parse(`"${utf8.decode(bytes)}"`) as string;
    const encoded = Buffer.from(text);
    return encoded.toString() === text ? encoded : undefined;
  } catch {
    return undefined;
  }
}
