import { type Frame, shownKey } from '../rdb/frame.js';

/** Sorted sets with scores that are not numbers, in a batch or a file. */
export interface NanScores {
  readonly count: number;
  readonly first: NamedKey | undefined;
  /** One of them was begun before the batch. */
  readonly resumed: boolean;
  /** The value that comes last is one of them. */
  readonly open: boolean;
}

interface NamedKey {
  readonly db: number;
  /** In the text form, cut if it is long. */
  readonly key: string;
}

const NONE: NanScores = { count: 0, first: undefined, resumed: false, open: false };

/** Counts the sorted sets that have scores that are not numbers (NaN), each once. */
export class NanCount {
  private count = 0;
  private first: NamedKey | undefined;
  private resumed = false;
  /** A value has begun since the last `take`. */
  private began = false;
  /** The current value is counted, and whether as the first. */
  private counted = false;
  private isFirst = false;

  begin(): void {
    this.began = true;
    this.counted = false;
  }

  /** The current value was begun elsewhere, and may be counted there. */
  resume(): void {
    this.counted = false;
  }

  /** The current value has such a score. */
  found(frame: Frame): void {
    if (this.counted) return;
    this.counted = true;
    this.isFirst = this.count === 0;
    if (this.isFirst) this.first = { db: frame.db, key: shownKey(frame) };
    this.count++;
    this.resumed ||= !this.began;
  }

  /** The current value is taken back. */
  takeBack(): void {
    if (!this.counted || this.count === 0) return;
    this.counted = false;
    this.count--;
    if (this.isFirst) this.first = undefined;
  }

  /** Adds what a thread found in the next batch. `began`: whether a value began in it. */
  add({ count, first, open, resumed }: NanScores = NONE, began: boolean): void {
    this.count += count - (resumed && this.counted ? 1 : 0);
    this.first ??= first;
    this.counted = open || (this.counted && !began);
  }

  /** What was found since the last call. */
  take(): NanScores | undefined {
    const { count, counted: open, first, resumed } = this;
    this.count = 0;
    this.first = undefined;
    this.resumed = this.began = false;
    return count === 0 ? undefined : { count, first, open, resumed };
  }
}

/** What to say of a file. */
export function nanText({ count, first }: NanScores): string {
  const place = first === undefined ? '' : `key ${JSON.stringify(first.key)} of database ${first.db}`;
  const what =
    count === 1
      ? `a sorted set has a score that is not a number (NaN), ${place}`
      : `${count} sorted sets have scores that are not numbers (NaN), the first is ${place}`;
  return `${what}: no server loads that; rdbkit check lists them`;
}
