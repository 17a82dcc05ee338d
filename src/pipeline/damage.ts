import type { RdbError } from '../bytes/errors.js';
import type { LargeValue } from '../io/large-value.js';
import type { Counts } from './sink.js';
import type { Pass } from './passes.js';

/** A damaged value that a thread found after its key was counted as written. */
export interface LateDamage {
  readonly error: RdbError;
  readonly torn: boolean;
  /** Unix milliseconds; undefined if the key does not expire. */
  readonly expireAt: number | undefined;
}

/** Damaged values that a run goes past: counts and reports them. Where there is none of these, damage ends the source. */
export class Damage {
  /** The current source. */
  file = '';
  private late = 0;
  private lateExpired = 0;
  private last: { readonly offset: number; readonly expired: boolean } | undefined;

  constructor(
    private readonly counts: Counts,
    private readonly now: number,
    private readonly onDamaged: (error: RdbError, torn: boolean) => void,
  ) {}

  /** A key was read and is not written; `torn`: but for the beginning of its value. */
  take(error: RdbError, torn = false): void {
    this.counts.damaged++;
    this.onDamaged(error.at({ file: this.file }), torn);
  }

  /** The same for a key that is counted as written. The counts are set right by `settle`. */
  takeLate({ error, expireAt, torn }: LateDamage): void {
    const expired = expireAt !== undefined && expireAt <= this.now;
    this.late++;
    if (expired) this.lateExpired++;
    this.last = { offset: error.offset ?? 0, expired };
    this.onDamaged(error.at({ file: this.file }), torn);
  }

  /** The value at this offset, the last that was read, was not counted as written after all: it did not come to its end. */
  uncount(offset: number): void {
    const { last } = this;
    this.last = undefined;
    if (last === undefined || last.offset < offset) return;
    this.late--;
    if (last.expired) this.lateExpired--;
  }

  /** No thread is at work, and none has counts from before. */
  settle(): void {
    const { counts } = this;
    counts.keys -= this.late;
    counts.damaged += this.late;
    counts.expired -= this.lateExpired;
    this.late = this.lateExpired = 0;
    this.last = undefined;
  }
}

/** Looks for damage in values that the sink does not read, and drops them. */
export interface DamageCheck {
  /** Rows [batch.from, batch.to). */
  readonly rows: Pass;
  /** The damage in a large value. It is held, to be read again. */
  large(value: LargeValue): Promise<RdbError | undefined>;
}
