import type { Frame } from '../rdb/frame.js';
import type { TypeRow } from '../rdb/types.js';
import { NotRepresentable, type Outcome } from './target-limits.js';
import { hasListpacks } from './listpack-borders.js';
import { Rewriting } from './rewriting.js';
import { hasKeyMeta, reads, type Target, targetName } from './targets.js';
import { isRewritable, type Refused, refusedBy, type TranscodeOptions } from './transcode.js';
import { expiringHash } from './transcode-hashes.js';
import { PartsRewriter } from './transcode-parts.js';
import { streamType } from './transcode-stream.js';

/** What becomes of a value in parts. */
export interface PartsPlan {
  readonly outcome: Outcome;
  readonly type: TypeRow;
  /** The parts are written as they are. */
  readonly verbatim: boolean;
  /** See Transcoded. */
  readonly metaBytes: Uint8Array | undefined;
  readonly leftOut: readonly string[];
}

/**
 * Puts values that come in parts into an encoding that a target reads, the second half of Transcoder:
 *
 *     begin(frame)          with the first part: a plan, where no part need be changed, or a refusal;
 *     measure(kind, frame)  else, with all parts, which the caller keeps: a plan or a refusal with the last one;
 *     write(kind, frame)    where that is not `verbatim`, with the same parts again, cut in the same places: bytes for each
 */
export class PartsTranscoder {
  private readonly to: Rewriting;
  private readonly rewriter: PartsRewriter;

  constructor(
    private readonly target: Target,
    { allowLoss = false }: TranscodeOptions = {},
  ) {
    this.to = new Rewriting(target, allowLoss);
    this.rewriter = new PartsRewriter(this.to);
  }

  begin(frame: Frame): PartsPlan | Refused | undefined {
    const { rewriter, target, to } = this;
    const { redisType, type } = frame;
    to.begin();
    return refusedBy(() => {
      to.keyMeta(frame.metaBytes);
      if (reads(target, type) && !hasListpacks(type)) return this.plan(frame, type, true);
      if (!isRewritable(redisType)) throw new NotRepresentable(`${targetName(target)} has no values of type ${redisType} (${type.name})`);
      rewriter.measure(type, redisType === 'stream' || redisType === 'list' ? this.typeOf(frame) : type);
      return undefined;
    });
  }

  /** Throws RdbError where the value is damaged. */
  measure(kind: number, frame: Frame): PartsPlan | Refused | undefined {
    const { rewriter, to } = this;
    return refusedBy(() => {
      rewriter.frame(kind, frame);
      to.out.clear();
      return frame.last ? this.decide(frame) : undefined;
    });
  }

  private decide(frame: Frame): PartsPlan {
    const { rewriter, target } = this;
    const { redisType, type } = frame;
    if (reads(target, type) && redisType !== 'stream' && !rewriter.found.border) return this.plan(frame, type, true);
    const into = this.typeOf(frame);
    rewriter.write(into);
    return this.plan(frame, into, false);
  }

  private typeOf({ redisType, type }: Frame): TypeRow {
    const { rewriter, to } = this;
    switch (redisType) {
      case 'stream':
        return streamType(to, type);
      case 'list':
        return to.choose('LIST_QUICKLIST_2', 'LIST_QUICKLIST', 'LIST');
      case 'set':
        return to.choose('SET');
      case 'zset':
        return to.choose('ZSET_2', 'ZSET');
      default:
        return expiringHash(to, rewriter.found) ?? to.choose('HASH');
    }
  }

  private plan({ metaBytes }: Frame, type: TypeRow, verbatim: boolean): PartsPlan {
    const { to } = this;
    return { outcome: to.outcome(verbatim ? 'same' : 'rewritten'), type, verbatim, metaBytes: hasKeyMeta(to.target) ? metaBytes : undefined, leftOut: to.leftOut };
  }

  /** The bytes to write for a part of the second walk: borrowed until the next one. */
  write(kind: number, frame: Frame): Uint8Array {
    const { rewriter, to } = this;
    to.out.clear();
    rewriter.frame(kind, frame);
    return to.out.view();
  }
}
