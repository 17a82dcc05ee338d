/** What hashes of the same field names, and equal values, take together: both in bounded memory. */

/** Field sets that are counted at once. */
const MOST_SETS = 1 << 13;

interface FieldSet {
  hashes: number;
  /** Bytes of the names, of one hash. */
  bytes: number;
}

export interface FieldSetsParts {
  readonly dropped: number;
  readonly sets: ReadonlyMap<number, FieldSet>;
}

/** Hashes by the set of their field names. When there are too many sets, the half with the fewest bytes of names is dropped. */
export class FieldSets {
  private sets = new Map<number, FieldSet>();
  /** Hashes whose sets were dropped: what is told is too low by at most this many. */
  dropped = 0;

  add(fields: number, bytes: number): void {
    const set = this.sets.get(fields);
    if (set !== undefined) {
      set.hashes++;
      return;
    }
    if (this.sets.size === MOST_SETS) this.prune();
    this.sets.set(fields, { hashes: 1, bytes });
  }

  /** What others have counted; their sets, which were pruned apart, are added one by one. */
  merge({ dropped, sets }: FieldSetsParts): void {
    this.dropped += dropped;
    for (const [fields, { bytes, hashes }] of sets) {
      this.add(fields, bytes);
      const set = this.sets.get(fields);
      if (set !== undefined) set.hashes += hashes - 1;
    }
  }

  get parts(): FieldSetsParts {
    const { dropped, sets } = this;
    return { dropped, sets };
  }

  private prune(): void {
    const sorted = [...this.sets].sort(([, a], [, b]) => b.hashes * b.bytes - a.hashes * a.bytes);
    this.sets = new Map(sorted.slice(0, MOST_SETS / 2));
    for (const [, { hashes }] of sorted.slice(MOST_SETS / 2)) this.dropped += hashes;
  }

  /** Of sets that several hashes have: how many sets and hashes, and the bytes of names beyond the first of each. */
  get shared(): { readonly sets: number; readonly hashes: number; readonly bytes: number } {
    const shared = { sets: 0, hashes: 0, bytes: 0 };
    for (const { bytes, hashes } of this.sets.values()) {
      if (hashes < 2) continue;
      shared.sets++;
      shared.hashes += hashes;
      shared.bytes += (hashes - 1) * bytes;
    }
    return shared;
  }
}

/** Values that are sampled at once. */
const MOST_VALUES = 1 << 15;

/** Keys with the same value, and the memory of all of them. */
interface SameValue {
  keys: number;
  memory: number;
}

export interface DuplicatesParts {
  readonly step: number;
  readonly values: ReadonlyMap<number, SameValue>;
}

/**
 * Equal values, by a digest. A sample of the digests is kept: one of `step`, which is doubled whenever there are too many. All values
 * with the same digest are in the sample, or none.
 */
export class Duplicates {
  private readonly values = new Map<number, SameValue>();
  private step = 1;

  add(digest: number, memory: number): void {
    if (this.step > 1 && digest % this.step !== 0) return;
    const value = this.values.get(digest);
    if (value !== undefined) {
      value.keys++;
      value.memory += memory;
      return;
    }
    while (this.values.size >= MOST_VALUES) this.sampleEach(this.step * 2);
    if (digest % this.step !== 0) return;
    this.values.set(digest, { keys: 1, memory });
  }

  private sampleEach(step: number): void {
    this.step = step;
    for (const digest of this.values.keys()) if (digest % step !== 0) this.values.delete(digest);
  }

  merge({ step, values }: DuplicatesParts): void {
    if (step > this.step) this.sampleEach(step);
    for (const [digest, { keys, memory }] of values) {
      this.add(digest, memory);
      const value = this.values.get(digest);
      if (value !== undefined) value.keys += keys - 1;
    }
  }

  get parts(): DuplicatesParts {
    const { step, values } = this;
    return { step, values };
  }

  /** As estimated: keys whose value an earlier one has, too, and their memory. */
  get found(): { readonly keys: number; readonly memory: number; readonly exact: boolean } {
    const found = { keys: 0, memory: 0, exact: this.step === 1 };
    for (const { keys, memory } of this.values.values()) {
      if (keys < 2) continue;
      found.keys += (keys - 1) * this.step;
      found.memory += ((memory * (keys - 1)) / keys) * this.step;
    }
    return found;
  }
}
