import { RdbError } from '../bytes/errors.js';
import type { Text } from './read-text.js';

/** An object or array of JSON whose values are being read. */
export interface Container {
  /** In an object: the name of the field that follows. */
  key(name: Text): void;
  /** Where the value that comes next belongs. */
  value(): Place;
  end(): void;
  /** The place of the current value, as in `.groups` or `[3]`; empty after the last one. */
  readonly path: string;
}

/** Where a value of JSON may stand. What is not overridden is refused. */
export class Place {
  constructor(readonly expected: string) {}

  text(text: Text): void {
    throw this.wrong(text.word === undefined ? 'a large string' : shown(text.word));
  }

  number(digits: string): void {
    throw this.wrong(digits.length > 40 ? 'a long number' : digits);
  }

  literal(value: boolean | null): void {
    throw this.wrong(String(value));
  }

  object(): Container {
    throw this.wrong('an object');
  }

  array(): Container {
    throw this.wrong('an array');
  }

  wrong(got: string): RdbError {
    return new RdbError('BAD_LINE', { expected: this.expected, got });
  }
}

const LONGEST_SHOWN = 60;

/** A word of the line for a message: quoted, and cut where it is long. */
export function shown(word: string): string {
  return JSON.stringify(word.length > LONGEST_SHOWN ? `${word.slice(0, LONGEST_SHOWN)}…` : word);
}

/** A Redis string. */
export class TextPlace extends Place {
  constructor(private readonly set: (text: Text) => void, expected = 'a string') {
    super(expected);
  }

  override text(text: Text): void {
    this.set(text);
  }
}

/** A string that is short and means something: a name, an ID. */
export class WordPlace extends Place {
  constructor(expected: string, private readonly set: (word: string, place: Place) => void) {
    super(expected);
  }

  override text(text: Text): void {
    if (text.word === undefined) super.text(text);
    else this.set(text.word, this);
  }
}

/** A container: what there is to do at its beginning, and what takes its values. */
export class ObjectPlace extends Place {
  constructor(expected: string, private readonly open: () => Container) {
    super(expected);
  }

  override object(): Container {
    return this.open();
  }
}

export class ArrayPlace extends Place {
  private readonly items: Items;

  constructor(expected: string, place: Place, private readonly begin: () => void, end: () => void) {
    super(expected);
    this.items = new Items(place, end);
  }

  override array(): Container {
    this.begin();
    return this.items.begin();
  }
}

/** The items of an array, all alike. */
class Items implements Container {
  private count = 0;

  constructor(
    private readonly place: Place,
    private readonly atEnd: () => void,
  ) {}

  begin(): this {
    this.count = 0;
    return this;
  }

  get path(): string {
    return this.count === 0 ? '' : `[${this.count - 1}]`;
  }

  key(): void {
    // arrays have no names
  }

  value(): Place {
    this.count++;
    return this.place;
  }

  end(): void {
    this.count = 0;
    this.atEnd();
  }
}

/** `.name`, or `["a name"]` where it is none of an identifier; cut where it is long. */
export function pathOf(name: string): string {
  return /^[A-Za-z_]\w{0,59}$/.test(name) ? `.${name}` : `[${shown(name)}]`;
}

/** Takes everything, for nothing. */
class Ignored extends Place implements Container {
  readonly path = '';

  override text(): void {
    // left out
  }

  override number(): void {
    // left out
  }

  override literal(): void {
    // left out
  }

  override object(): Container {
    return this;
  }

  override array(): Container {
    return this;
  }

  key(): void {
    // left out
  }

  value(): Place {
    return this;
  }

  end(): void {
    // left out
  }
}

export const IGNORED = new Ignored('anything');
