import { Place, shown, WordPlace } from './places.js';
import type { Text } from './read-text.js';

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
