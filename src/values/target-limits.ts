import type { TypeRow } from '../rdb/types.js';
import { hasKeyMeta, type Target, targetName, typeFor } from './targets.js';

/** Thrown if the target cannot hold a value; caught by those that pass keys on. */
export class NotRepresentable extends Error {
  /** @param avoidable whether it could be written with `allowLoss` */
  constructor(
    readonly reason: string,
    readonly avoidable = false,
  ) {
    super(reason);
  }
}

/**
 * `same`: the bytes of the file. `rewritten`: another encoding of the same content. `adapted`: without dispensable bookkeeping that
 * the target's encoding has no place for. `lossy`: without what `allowLoss` gave up.
 */
export type Outcome = 'same' | 'rewritten' | 'adapted' | 'lossy';

/** The target that a value is written for, and what was left out of it. */
export class TargetLimits {
  /** What the target has no place for and does not need. */
  adapted: string[] = [];
  /** What was lost. */
  lost: string[] = [];

  constructor(
    readonly target: Target,
    private readonly allowLoss: boolean,
  ) {}

  /** Resets it for another value. */
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

  /** The refusal of a value whose type has one encoding only, which the target does not read. */
  lacks({ name, redisType }: TypeRow): NotRepresentable {
    return new NotRepresentable(`${targetName(this.target)} has no values of type ${redisType} (${name})`);
  }

  /** Leaves a part of the value out, if that is allowed. `what` completes "Redis 6.2 has no …". */
  lose(what: string, detail: string): void {
    if (!this.allowLoss) throw new NotRepresentable(`${targetName(this.target)} has no ${what}: ${detail}`, true);
    this.lost.push(what);
  }

  /** Module metadata of a key of any type (redis 8.6), if the target has such. */
  keyMeta(metaBytes: Uint8Array | undefined): Uint8Array | undefined {
    if (metaBytes === undefined || hasKeyMeta(this.target)) return metaBytes;
    this.lose('module metadata of keys', `this one has ${metaBytes.length} bytes of it`);
    return undefined;
  }

  /** The outcome for a value that was copied or rewritten. */
  outcome(whole: 'same' | 'rewritten'): Outcome {
    return this.lost.length > 0 ? 'lossy' : this.adapted.length > 0 ? 'adapted' : whole;
  }

  get leftOut(): readonly string[] {
    return [...new Set([...this.lost, ...this.adapted])];
  }
}
