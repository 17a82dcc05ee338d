import { RdbError } from '../bytes/errors.js';
import { Spill } from '../io/spill.js';
import type { Container, Place } from './places.js';
import { LongText, ShortText } from './read-text.js';
import { PartTokens, type Token, TypeScan } from './tokens.js';

/** Characters of a number: doubles have at most about 330, written out. */
const LONGEST_NUMBER = 1000;

/** Takes the tokens of one line, an object, to where they belong. */
export class JsonWalk {
  private readonly stack: Container[] = [];
  private readonly short = new ShortText();
  private readonly long = new LongText();
  private digits = '';
  private ended = false;
  private root!: Place;
  /** Where the string in pieces belongs. */
  private textPlace!: Place;

  /** A line begins, its object in this place. */
  begin(root: Place): void {
    this.root = root;
    this.ended = false;
    this.stack.length = 0;
    this.long.close();
  }

  /** Throws RdbError with the path of what is wrong. */
  take(tokens: readonly Token[]): void {
    try {
      for (const token of tokens) this.token(token);
    } catch (error) {
      throw error instanceof RdbError ? error.at({ path: this.path }) : error;
    }
  }

  /** The end of the line. */
  end(): void {
    if (!this.ended) throw new RdbError('BAD_JSON', { expected: 'the rest of the object', got: 'the end of the line', path: this.path });
  }

  close(): void {
    this.long.close();
  }

  private get path(): string | undefined {
    const path = this.stack.map((container) => container.path).join('');
    return path === '' ? undefined : path.replace(/^\./, '');
  }

  private place(): Place {
    const { stack } = this;
    if (stack.length > 0) return stack[stack.length - 1].value();
    if (this.ended) throw new RdbError('BAD_JSON', { expected: 'the end of the line', got: 'another value after the object' });
    return this.root;
  }

  private token(token: Token): void {
    const { long, short, stack } = this;
    switch (token.name) {
      case 'keyValue':
        stack[stack.length - 1].key(short.set(token.value));
        return;
      case 'stringValue':
        this.place().text(short.set(token.value));
        return;
      case 'numberValue':
        this.place().number(token.value);
        return;
      case 'startObject':
        stack.push(this.place().object());
        return;
      case 'startArray':
        stack.push(this.place().array());
        return;
      case 'endObject':
      case 'endArray':
        stack[stack.length - 1].end();
        stack.pop();
        this.ended = stack.length === 0;
        return;
      case 'nullValue':
      case 'trueValue':
      case 'falseValue':
        this.place().literal(token.value);
        return;
      case 'startString':
        this.textPlace = this.place();
        long.begin();
        return;
      case 'startKey':
        long.begin();
        return;
      case 'stringChunk':
        long.add(token.value);
        return;
      case 'endKey':
        long.end();
        stack[stack.length - 1].key(long);
        return;
      case 'endString':
        long.end();
        this.textPlace.text(long);
        return;
      default:
        this.numberPart(token);
    }
  }

  private numberPart(token: Token): void {
    if (token.name === 'startNumber') this.digits = '';
    else if (token.name === 'endNumber') this.place().number(this.digits);
    else if (token.name === 'numberChunk') this.digits += token.value;
    if (this.digits.length > LONGEST_NUMBER) throw this.place().wrong('a long number');
  }
}

/** Bytes that are made tokens at a time: these are larger. */
const SLICE = 1 << 14;

/** Who is told of a line: the type first, wherever it stands in the line, and then all tokens. */
interface PartedLineTaker {
  begin(type: string | undefined): void;
  take(tokens: readonly Token[]): void;
}

/** One line that comes in parts. Until its type is known, they are put aside. Offsets in errors count from the beginning of the line. */
export class PartedLine {
  private readonly held = new Spill();
  private readonly scan = new TypeScan();
  private readonly scanned = new PartTokens();
  private readonly tokens = new PartTokens();
  private started = false;
  /** Offset of the current part in the line. */
  private offset = 0;

  constructor(private readonly taker: PartedLineTaker) {}

  /** Throws RdbError where the line is not JSON, and what the taker throws. */
  add(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += SLICE) this.slice(bytes, at, Math.min(end, at + SLICE));
  }

  /** The line is complete. */
  end(): void {
    if (!this.started) this.start();
    this.taker.take(this.tokens.end(this.offset));
  }

  private slice(bytes: Uint8Array, start: number, end: number): void {
    const { offset } = this;
    this.offset += end - start;
    if (this.started) {
      this.taker.take(this.tokens.read(bytes, start, end, offset));
      return;
    }
    this.held.add(bytes, start, end);
    if (this.scan.take(this.scanned.read(bytes, start, end, offset))) this.start();
  }

  /** The type is known, or the line has none. */
  private start(): void {
    this.started = true;
    this.taker.begin(this.scan.type);
    let at = 0;
    for (const piece of this.held.drain(SLICE)) {
      this.taker.take(this.tokens.read(piece, 0, piece.length, at));
      at += piece.length;
    }
  }

  /** Lets go of what was put aside. */
  close(): void {
    this.held.close();
  }
}
