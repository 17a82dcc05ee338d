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

const INTEGER = /^-?(?:0|[1-9]\d{0,19})$/;

/** The integer, where the text is one between the bounds. */
export function integer(digits: string, least: bigint, greatest: bigint): bigint | undefined {
  if (!INTEGER.test(digits)) return undefined;
  const value = BigInt(digits);
  return value >= least && value <= greatest ? value : undefined;
}

export const MOST_UNSIGNED = 2n ** 64n - 1n;
export const LEAST_SIGNED = -(2n ** 63n);
export const MOST_SIGNED = 2n ** 63n - 1n;

/** An integer as a JSON number. */
export class IntegerPlace extends Place {
  constructor(
    what: string,
    private readonly set: (value: bigint) => void,
    private readonly least = 0n,
    private readonly greatest = MOST_UNSIGNED,
    /** What null means, where it may stand there. */
    private readonly absent?: () => void,
  ) {
    super(`${what}: an integer from ${least} to ${greatest}${absent === undefined ? '' : ', or null'}`);
  }

  override number(digits: string): void {
    const value = integer(digits, this.least, this.greatest);
    if (value === undefined) super.number(digits);
    else this.set(value);
  }

  override literal(value: boolean | null): void {
    if (value !== null || this.absent === undefined) super.literal(value);
    else this.absent();
  }
}

/** An integer of 64 bits as text. */
export class IntegerTextPlace extends WordPlace {
  constructor(what: string, least: bigint, greatest: bigint, set: (value: bigint) => void) {
    super(`${what}: an integer from ${least} to ${greatest} as a string`, (word, place) => {
      const value = integer(word, least, greatest);
      if (value === undefined) throw place.wrong(shown(word));
      set(value);
    });
  }
}

const SPECIAL: Readonly<Record<string, number | undefined>> = { __proto__: null as never, inf: Infinity, '-inf': -Infinity, nan: NaN };

/** A double as docs/json-lines.md has it: a number, or "inf", "-inf", "nan". */
export class DoublePlace extends Place {
  constructor(private readonly set: (value: number, place: Place) => void) {
    super('a number, "inf", "-inf" or "nan"');
  }

  override number(digits: string): void {
    const value = Number(digits);
    if (Number.isFinite(value)) this.set(value, this);
    else super.number(digits);
  }

  override text(text: Text): void {
    const value = text.word === undefined ? undefined : SPECIAL[text.word];
    if (value === undefined) super.text(text);
    else this.set(value, this);
  }
}

/** What becomes of fields that nobody knows: refused, or, where that was asked for, left out and counted. */
export interface Unknown {
  readonly lenient: boolean;
  left: number;
}

/** An object with fields that have names of their own, in any order. */
export class Fields implements Container {
  private readonly places = new Map<string, { readonly bit: number; readonly place: Place }>();
  private readonly required: number;
  private seen = 0;
  private at: Place | undefined;
  private name = '';

  constructor(
    fields: Readonly<Record<string, Place>>,
    required: readonly string[],
    private readonly unknown: Unknown,
    private readonly atEnd: () => void,
  ) {
    Object.entries(fields).forEach(([name, place], i) => this.places.set(name, { bit: 1 << i, place }));
    this.required = required.reduce((bits, name) => bits | (this.places.get(name)?.bit ?? 0), 0);
  }

  begin(): this {
    this.seen = 0;
    this.name = '';
    return this;
  }

  /** Whether the field was there. */
  has(name: string): boolean {
    return (this.seen & (this.places.get(name)?.bit ?? 0)) !== 0;
  }

  get path(): string {
    return this.name === '' ? '' : pathOf(this.name);
  }

  key({ word }: Text): void {
    const field = word === undefined ? undefined : this.places.get(word);
    this.name = word ?? 'a name over a mebibyte';
    if (field === undefined) {
      if (!this.unknown.lenient) {
        throw new RdbError('BAD_LINE', {
          expected: `one of the fields ${[...this.places.keys()].join(', ')}`,
          got: 'another one (--lenient leaves it out)',
        });
      }
      this.unknown.left++;
      this.at = IGNORED;
      return;
    }
    if ((this.seen & field.bit) !== 0) throw new RdbError('BAD_LINE', { expected: 'a field once', got: 'the same field again' });
    this.seen |= field.bit;
    this.at = field.place;
  }

  value(): Place {
    return this.at ?? IGNORED;
  }

  end(): void {
    this.name = '';
    if ((this.seen & this.required) !== this.required) {
      const missing = [...this.places].filter(([, { bit }]) => (this.required & bit & ~this.seen) !== 0).map(([name]) => name);
      throw new RdbError('BAD_LINE', {
        expected: `the ${missing.length === 1 ? 'field' : 'fields'} ${missing.join(', ')}`,
        got: 'an object without',
      });
    }
    this.atEnd();
  }
}
