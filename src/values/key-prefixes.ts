import { EMPTY } from '../encodings/element.js';
import type { PrefixPair } from '../kernels/codec.js';
import { type KeyPlace, startsWith } from './filters.js';

/** Other names of keys, by what they begin with: the first pair that fits a key counts, and a key that none fits keeps its name. */
export class KeyPrefixes {
  private readonly byFirst: readonly (readonly number[])[];
  /** The number of the pair for all keys that no other fits; -1 for none. */
  private readonly rest: number;
  private readonly found: KeyPlace = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  private made = new Uint8Array(1 << 10);

  constructor(readonly pairs: readonly PrefixPair[]) {
    const numbers = pairs.map((_, number) => number);
    this.rest = pairs.findIndex(({ from }) => from.length === 0);
    this.byFirst = Array.from({ length: 256 }, (_, first) => numbers.filter((number) => pairs[number].from[0] === first));
  }

  /** The pairs as base64, to be written down. */
  get words(): string[][] {
    return this.pairs.map(({ from, to }) => [from, to].map((bytes) => Buffer.from(bytes).toString('base64')));
  }

  /** The number of the pair for a key, or -1. */
  pairOf({ keyBytes, keyEnd, keyStart }: KeyPlace): number {
    if (keyStart === keyEnd) return this.rest;
    const { pairs, rest } = this;
    for (const number of this.byFirst[keyBytes[keyStart]]) {
      if (rest >= 0 && number > rest) break;
      if (startsWith(keyBytes, keyStart, keyEnd, pairs[number].from)) return number;
    }
    return rest;
  }

  /** The new name of a key; borrowed until the next call. */
  nameOf(key: KeyPlace): KeyPlace {
    const number = this.pairOf(key);
    return number < 0 ? key : this.exchanged(key, this.pairs[number].from, this.pairs[number].to);
  }

  /** The name that a key probably had: one that gets this name if there is one, else its own. Borrowed until the next one. */
  wasName(key: KeyPlace): KeyPlace {
    const { pairs } = this;
    for (let number = 0; number < pairs.length; number++) {
      const { from, to } = pairs[number];
      if (!startsWith(key.keyBytes, key.keyStart, key.keyEnd, to)) continue;
      const name = this.exchanged(key, to, from);
      if (this.pairOf(name) === number) return name;
    }
    return key;
  }

  /**
   * Whether one of the names that a key may have had passes; its own one, if no key gets this name. The names are borrowed until the next
   * one.
   */
  hadName(key: KeyPlace, passes: (name: KeyPlace) => boolean): boolean {
    const { pairs } = this;
    const isKept = this.pairOf(key) < 0;
    if (isKept && passes(key)) return true;
    let isMade = isKept;
    for (let number = 0; number < pairs.length; number++) {
      const { from, to } = pairs[number];
      if (!startsWith(key.keyBytes, key.keyStart, key.keyEnd, to)) continue;
      const name = this.exchanged(key, to, from);
      if (this.pairOf(name) !== number) continue;
      isMade = true;
      if (passes(name)) return true;
    }
    return !isMade && passes(key);
  }

  /** The pair that never counts, since one before it fits all of its keys; undefined if there is none. */
  get useless(): { readonly pair: number; readonly before: number } | undefined {
    const { pairs } = this;
    for (const [pair, { from }] of pairs.entries()) {
      const before = pairs.findIndex((other, i) => i < pair && startsWith(from, 0, from.length, other.from));
      if (before >= 0) return { pair, before };
    }
    return undefined;
  }

  /**
   * What names begin with that several keys may get; none if that is not possible. `prefixes`: what all keys begin with, one of these.
   */
  meetings(prefixes: readonly Uint8Array[] = []): Uint8Array[] {
    const { pairs } = this;
    const fits = (name: Uint8Array): boolean => pairs.some(({ from }) => startsWith(name, 0, name.length, from));
    const starts = prefixes.length === 0 ? [EMPTY] : prefixes;
    const used = pairs.filter(({ from }) => starts.some((start) => overlap(start, from)));
    const kept = starts.filter((start) => !fits(start));
    return used.flatMap(({ to }, i) => {
      const others = used.filter((other, j) => j > i && overlap(other.to, to)).map((other) => longer(other.to, to));
      return !fits(to) && kept.some((start) => overlap(start, to)) ? [to] : others;
    });
  }

  private exchanged({ keyBytes, keyEnd, keyStart }: KeyPlace, from: Uint8Array, to: Uint8Array): KeyPlace {
    const { found } = this;
    const rest = keyStart + from.length;
    const size = to.length + keyEnd - rest;
    if (this.made.length < size) this.made = new Uint8Array(2 * size);
    this.made.set(to);
    this.made.set(keyBytes.subarray(rest, keyEnd), to.length);
    found.keyBytes = this.made;
    found.keyEnd = size;
    return found;
  }
}

const longer = (a: Uint8Array, b: Uint8Array): Uint8Array => (a.length < b.length ? b : a);

/** Whether one begins with the other. */
function overlap(a: Uint8Array, b: Uint8Array): boolean {
  return startsWith(a, 0, a.length, b) || startsWith(b, 0, b.length, a);
}
