import { RdbError } from '../bytes/errors.js';
import type { Token } from './tokens.js';
import type { Container, Place } from './places.js';
import { LongText, ShortText } from './read-text.js';

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
    if (this.ended) throw new RdbError('BAD_JSON', { expected: 'the end of the line', got: 'another value behind the object' });
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
