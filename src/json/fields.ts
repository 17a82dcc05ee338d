import { RdbError } from '../bytes/errors.js';
import { type Container, IGNORED, pathOf, type Place } from './places.js';
import type { Text } from './read-text.js';

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
