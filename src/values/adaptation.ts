import type { TypeRow } from '../rdb/types.js';
import { type Target, targetName, typeFor } from './targets.js';

/** Thrown, and caught by whoever hands on keys, where a value cannot be said to the target. */
export class Unsayable extends Error {
  /** @param avoidable whether leaving something out, which was not allowed, would make it sayable */
  constructor(
    readonly reason: string,
    readonly avoidable = false,
  ) {
    super(reason);
  }
}

/** Who a value is written for, and what of it was left out. */
export class Adaptation {
  /** What the target has no place for and can do without. */
  adapted: string[] = [];
  /** What is lost. */
  lost: string[] = [];

  constructor(
    readonly target: Target,
    private readonly allowLoss: boolean,
  ) {}

  /** Another value follows. */
  begin(): void {
    if (this.adapted.length > 0) this.adapted = [];
    if (this.lost.length > 0) this.lost = [];
  }

  /** The type of the first of these names that the target reads. */
  choose(...names: string[]): TypeRow {
    for (const name of names) {
      const type = typeFor(this.target, name);
      if (type !== undefined) return type;
    }
    throw new Unsayable(`${targetName(this.target)} has no ${names.join(' or ')}`);
  }

  /** Leaves something out that is part of the value, where that is allowed. `what` goes with "Redis 6.2 has no …". */
  lose(what: string, detail: string): void {
    if (!this.allowLoss) throw new Unsayable(`${targetName(this.target)} has no ${what}: ${detail}`, true);
    this.lost.push(what);
  }
}
