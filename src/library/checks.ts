import { kindOf } from './source.js';

/** Returns what is wrong with a value, or undefined. */
export type Check = (value: unknown) => string | undefined;

/**
 * Checks an options object against a table. Unknown names are errors: a misspelt filter would let everything pass. Undefined counts
 * as absent. Throws TypeError.
 */
export function checkOptions(what: string, options: unknown, checks: Readonly<Record<string, Check>>): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${what}: expected an object, got ${kindOf(options)}`);
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) {
      throw new TypeError(`${what}: no option is called ${JSON.stringify(name)}; there are ${Object.keys(checks).join(', ')}`);
    }
    const expected = value === undefined ? undefined : check(value);
    if (expected !== undefined) throw new TypeError(`${what}: ${name}: expected ${expected}, got ${kindOf(value)}`);
  }
}

const check = (expected: string, fits: (value: unknown) => boolean): Check => (value) => (fits(value) ? undefined : expected);

export const isBoolean = check('true or false', (value) => typeof value === 'boolean');
export const isFunction = check('a function', (value) => typeof value === 'function');
export const isObject = check('an object', (value) => typeof value === 'object' && value !== null);
export const isSignal = check('an AbortSignal', (value) => value instanceof AbortSignal);
export const isCount = check('a whole number from 0, or Infinity', (value) => value === Infinity || isWhole(value));
export const isNumber = check('a number', (value) => typeof value === 'number' && !Number.isNaN(value));

export const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

export const oneOf = (names: readonly string[]): Check => check(`one of ${names.join(', ')}`, (value) => names.includes(value as string));

/** An array of valid elements. */
export const listOf = (expected: string, fits: (value: unknown) => boolean): Check =>
  check(`an array of ${expected}`, (value) => Array.isArray(value) && value.every((item) => fits(item)));
