import type { Frame } from '../rdb/frame.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { NotRepresentable, type Outcome } from './target-limits.js';
import { copyWithListpacks, hasMisreadListpacks } from './listpack-borders.js';
import { Rewriting } from './rewriting.js';
import { reads, type Target, targetName } from './targets.js';
import { rewriteHash } from './transcode-hashes.js';
import { rewriteList, rewriteSet, rewriteZset } from './transcode-lists.js';
import { rewriteStream } from './transcode-stream.js';

export interface TranscodeOptions {
  /** Leave out what the target cannot be told (default: such a key is refused). */
  readonly allowLoss?: boolean;
}

/** A value as the target reads it. */
export interface Transcoded {
  readonly outcome: Outcome;
  readonly type: TypeRow;
  /**
   * `bytes[start, end)` is the value without its type byte. Borrowed: the frame's own where they are the same, else the
   * transcoder's, until it is used again.
   */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** The metadata of the key that goes before the type byte, where the target has it. */
  readonly metaBytes: Uint8Array | undefined;
  /** What was left out: of an adapted or lossy value only. */
  readonly leftOut: readonly string[];
}

/** A value that cannot be said to the target. */
export interface Refused {
  readonly outcome: 'refused';
  /** A sentence that names the target and what it lacks. */
  readonly reason: string;
  /** Whether `allowLoss` would let it pass. */
  readonly avoidable: boolean;
}

type Rewrite = (to: Rewriting, frame: Frame) => TypeRow;

const REWRITES: Readonly<Partial<Record<RedisType, Rewrite>>> = {
  list: rewriteList,
  set: rewriteSet,
  zset: rewriteZset,
  hash: rewriteHash,
  stream: rewriteStream,
};

/**
 * Puts values into an encoding that a target reads, by the smallest change: where it reads the type, the bytes stay as they are.
 *
 * Whole values only (RECORD frames; a framer with `limit: Infinity` gives no others); PartsTranscoder takes those in parts.
 */
export class Transcoder {
  private readonly rewriting: Rewriting;

  constructor(
    readonly target: Target,
    { allowLoss = false }: TranscodeOptions = {},
  ) {
    this.rewriting = new Rewriting(target, allowLoss);
  }

  /** Throws RdbError where a value that has to be rewritten, or a listpack of 16 KiB or more, is damaged. */
  record(frame: Frame): Transcoded | Refused {
    const { rewriting: to } = this;
    if (!frame.first || !frame.last) throw new TypeError('a part of a value: only whole ones can be transcoded');
    to.begin();
    return refusedBy(() => {
      const metaBytes = to.keyMeta(frame.metaBytes);
      if (reads(this.target, frame.type) && !hasMisreadListpacks(frame, this.target.wide)) {
        const { bytes, end, start, type } = frame;
        return { outcome: to.outcome('same'), type, bytes, start, end, metaBytes, leftOut: to.leftOut };
      }
      const type = this.rewrite(frame);
      return { outcome: to.outcome('rewritten'), type, bytes: to.out.bytes, start: 0, end: to.out.length, metaBytes, leftOut: to.leftOut };
    });
  }

  private rewrite(frame: Frame): TypeRow {
    const { listpack, out, target } = this.rewriting;
    if (reads(target, frame.type)) {
      copyWithListpacks(out, listpack, target.wide, frame);
      return frame.type;
    }
    const rewrite = REWRITES[frame.redisType];
    if (rewrite !== undefined) return rewrite(this.rewriting, frame);
    throw new NotRepresentable(`${targetName(target)} has no values of type ${frame.redisType} (${frame.type.name})`);
  }
}

/** Whether values of this type can be put into another encoding. */
export function isRewritable(type: RedisType): boolean {
  return REWRITES[type] !== undefined;
}

/** What `attempt` gives, or why the value cannot be said to the target. */
export function refusedBy<T>(attempt: () => T): T | Refused {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof NotRepresentable) return { outcome: 'refused', reason: error.reason, avoidable: error.avoidable };
    throw error;
  }
}

/** The value of one whole frame for a target; see Transcoder, which is the one for many. What is returned is borrowed from the frame at most. */
export function transcode(frame: Frame, target: Target, options?: TranscodeOptions): Transcoded | Refused {
  return new Transcoder(target, options).record(frame);
}
