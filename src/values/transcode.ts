import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, type Element } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { type Outcome, NotRepresentable } from './target-limits.js';
import type { Items } from './items.js';
import { BORDER_STRINGS, copyWithListpacks, hasListpacks, hasMisreadListpacks } from './listpack-borders.js';
import { PartsReader } from './parts.js';
import { hasKeyMeta, reads, type Target, targetName } from './targets.js';
import { BitmapWriter } from './writers/bitmaps.js';
import { Encoding, type ValueWriter } from './writers/encoding.js';
import { HashWriter } from './writers/hashes.js';
import { listWriter } from './writers/lists.js';
import { SetWriter } from './writers/sets.js';
import { StreamCopyWriter } from './writers/stream-copies.js';
import { ZsetWriter } from './writers/zsets.js';

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

const WRITERS: Readonly<Partial<Record<RedisType, (encoding: Encoding) => ValueWriter>>> = {
  list: listWriter,
  set: (encoding) => new SetWriter(encoding),
  zset: (encoding) => new ZsetWriter(encoding),
  hash: (encoding) => new HashWriter(encoding),
  bitmap: (encoding) => new BitmapWriter(encoding),
  stream: (encoding) => new StreamCopyWriter(encoding),
};

/** Puts values into an encoding that a target reads, by the smallest change: where it reads the type, the bytes stay as they are. */
abstract class Rewriting {
  protected readonly encoding: Encoding;
  protected readonly reader = new PartsReader();
  private readonly writers = new Map<RedisType, ValueWriter>();
  protected writer!: ValueWriter;
  private readonly head = new ByteBuilder();

  constructor(
    readonly target: Target,
    { allowLoss = false }: TranscodeOptions = {},
  ) {
    this.encoding = new Encoding(target, allowLoss);
  }

  /** Begins to write a value of another type. Throws NotRepresentable where the target has nothing like it. */
  protected open({ redisType, type }: Frame): ValueWriter {
    let writer = this.writers.get(redisType);
    if (writer === undefined) {
      writer = WRITERS[redisType]?.(this.encoding);
      if (writer === undefined) throw new NotRepresentable(`${targetName(this.target)} has no values of type ${redisType} (${type.name})`);
      this.writers.set(redisType, writer);
    }
    writer.open(type);
    return (this.writer = writer);
  }

  /** The value is complete. */
  protected finish(): TypeRow {
    this.head.clear();
    return this.writer.finish(this.head);
  }

  /** What was written, in pieces that are valid until the next one. */
  *pieces(): Generator<Uint8Array, void, void> {
    yield this.head.view();
    yield* this.writer.pieces?.() ?? this.encoding.body.pieces();
  }
}

/** For whole values: RECORD frames; a framer with `limit: Infinity` gives no others. PartsTranscoder takes those in parts. */
export class Transcoder extends Rewriting {
  private readonly out = new ByteBuilder();

  /** Throws RdbError where a value that has to be rewritten, or a listpack of 16 KiB or more, is damaged. */
  record(frame: Frame): Transcoded | Refused {
    const { encoding, out, target } = this;
    if (!frame.first || !frame.last) throw new TypeError('a part of a value: only whole ones can be transcoded');
    encoding.begin();
    return refusedBy(() => {
      const metaBytes = encoding.keyMeta(frame.metaBytes);
      if (reads(target, frame.type) && !hasMisreadListpacks(frame, target.wide)) {
        const { bytes, end, start, type } = frame;
        return { outcome: encoding.outcome('same'), type, bytes, start, end, metaBytes, leftOut: encoding.leftOut };
      }
      out.clear();
      const type = this.rewrite(frame);
      return { outcome: encoding.outcome('rewritten'), type, bytes: out.bytes, start: 0, end: out.length, metaBytes, leftOut: encoding.leftOut };
    });
  }

  private rewrite(frame: Frame): TypeRow {
    const { encoding, out, target } = this;
    if (reads(target, frame.type)) {
      copyWithListpacks(out, encoding.listpack, target.wide, frame);
      return frame.type;
    }
    this.reader.record(frame, this.open(frame));
    const type = this.finish();
    for (const piece of this.pieces()) out.copy(piece, 0, piece.length);
    return type;
  }
}

/** Notes whether an element is of a length that the target may misread: see listpack-borders.ts. */
class BorderSearch implements Items {
  found = false;

  private see(element: Element): void {
    if (element.kind === BYTES && BORDER_STRINGS.has(element.end - element.start)) this.found = true;
  }

  item(element: Element): void {
    this.see(element);
  }

  pair(field: Element, value: Element): void {
    this.see(field);
    this.see(value);
  }

  scored(member: Element): void {
    this.see(member);
  }
}

/** What `take` says of a value whose parts it needs once more. */
export const AGAIN = 'again';

/**
 * For values that come in parts:
 *
 *     begin(frame)        with the head: a plan, where no part need be changed, or a refusal;
 *     take(kind, frame)   else, with all parts: a plan, a refusal or AGAIN with the last one, or a refusal before;
 *     pieces()            where the plan is not `verbatim`: what is written instead, each piece valid until the next one
 *
 * What the target does not read is written anew as its parts come. What it reads, but may misread, is looked through first.
 */
export class PartsTranscoder extends Rewriting {
  private search: BorderSearch | undefined;

  begin(frame: Frame): PartsPlan | Refused | undefined {
    const { encoding, target } = this;
    const { redisType, type } = frame;
    encoding.begin();
    this.search = undefined;
    return refusedBy(() => {
      encoding.keyMeta(frame.metaBytes);
      const isRead = reads(target, type);
      if (isRead && !hasListpacks(type)) return this.plan(frame, type, true);
      if (isRead && redisType !== 'stream') this.search = new BorderSearch();
      this.reader.handler = this.search ?? this.open(frame);
      return undefined;
    });
  }

  /** Throws RdbError where the value is damaged. */
  take(kind: number, frame: Frame): PartsPlan | Refused | typeof AGAIN | undefined {
    const { reader, search } = this;
    return refusedBy(() => {
      reader.frame(kind, frame);
      if (!frame.last) return undefined;
      if (search === undefined) return this.plan(frame, this.finish(), false);
      this.search = undefined;
      if (!search.found) return this.plan(frame, frame.type, true);
      reader.handler = this.open(frame);
      return AGAIN;
    });
  }

  /** Lets go of what was written. */
  close(): void {
    this.encoding.body.clear();
  }

  private plan({ metaBytes }: Frame, type: TypeRow, verbatim: boolean): PartsPlan {
    const { encoding, target } = this;
    return { outcome: encoding.outcome(verbatim ? 'same' : 'rewritten'), type, verbatim, metaBytes: hasKeyMeta(target) ? metaBytes : undefined, leftOut: encoding.leftOut };
  }
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
