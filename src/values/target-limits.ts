import type { TypeRow } from '../rdb/types.js';
import { hasKeyMeta, type Target, targetName, typeFor } from './targets.js';

/** Thrown, and caught by whoever hands on keys, where a value cannot be said to the target. */
export class NotRepresentable extends Error {
  /** @param avoidable whether leaving something out, which was not allowed, would make it sayable */
  constructor(
    readonly reason: string,
    readonly avoidable = false,
  ) {
    super(reason);
  }
}

/**
 * `same`: the bytes of the file. `rewritten`: another encoding of all there is. `adapted`: without bookkeeping that the target's
 * encoding has no place for and that it can do without. `lossy`: without what `allowLoss` gave up.
 */
export type Outcome = 'same' | 'rewritten' | 'adapted' | 'lossy';

/** Who a value is written for, and what of it was left out. */
export class TargetLimits {
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
    throw new NotRepresentable(`${targetName(this.target)} has no ${names.join(' or ')}`);
  }

  /** Leaves something out that is part of the value, where that is allowed. `what` goes with "Redis 6.2 has no …". */
  lose(what: string, detail: string): void {
    if (!this.allowLoss) throw new NotRepresentable(`${targetName(this.target)} has no ${what}: ${detail}`, true);
    this.lost.push(what);
  }

  /** Metadata that modules put to a key, of any type (redis 8.6), where the target has it. */
  keyMeta(metaBytes: Uint8Array | undefined): Uint8Array | undefined {
    if (metaBytes === undefined || hasKeyMeta(this.target)) return metaBytes;
    this.lose('module metadata of keys', `this one has ${metaBytes.length} bytes of it`);
    return undefined;
  }

  /** What became of a value that was left as it is, or written anew. */
  outcome(whole: 'same' | 'rewritten'): Outcome {
    return this.lost.length > 0 ? 'lossy' : this.adapted.length > 0 ? 'adapted' : whole;
  }

  get leftOut(): readonly string[] {
    return [...new Set([...this.lost, ...this.adapted])];
  }
}
