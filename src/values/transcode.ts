import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, type Element } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import type { RedisType, TypeRow } from '../rdb/types.js';
import { WRITERS } from './by-type.js';
import { type Outcome, NotRepresentable } from './target-limits.js';
import type { Items } from './items.js';
import { BORDER_STRINGS, copyWithListpacks, hasListpacks, hasMisreadListpacks } from './listpack-borders.js';
import { PartsReader } from './parts.js';
import { hasKeyMeta, reads, type Target } from './targets.js';
import { Encoding, type ValueWriter } from './types/encoding.js';
import { isShifted } from './types/hashes.js';

export interface TranscodeOptions {
  /** Leave out what the target cannot hold (default: refuse such a key). */
  readonly allowLoss?: boolean;
  /** Milliseconds added to the expiries of hash fields. */
  readonly fieldShift?: number | undefined;
}

/** A value in an encoding that the target reads. */
export interface Transcoded {
  readonly outcome: Outcome;
  readonly type: TypeRow;
  /**
   * `bytes[start, end)` is the value without its type byte. Borrowed: the frame's own bytes if they are unchanged, else the
   * transcoder's, until its next use.
   */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Module metadata to write before the type byte, if the target has such. */
  readonly metaBytes: Uint8Array | undefined;
  /** What was left out of an adapted or lossy value. */
  readonly leftOut: readonly string[];
}

/** A value that the target cannot hold. */
export interface Refused {
  readonly outcome: 'refused';
  /** A sentence that names the target and what it lacks. */
  readonly reason: string;
  /** Whether `allowLoss` would let it pass. */
  readonly avoidable: boolean;
}

/** How to write a value in parts. */
export interface PartsPlan {
  readonly outcome: Outcome;
  readonly type: TypeRow;
  /** The parts are written as they are. */
  readonly verbatim: boolean;
  /** See Transcoded. */
  readonly metaBytes: Uint8Array | undefined;
  readonly leftOut: readonly string[];
}

/** Converts values to encodings that a target reads, with the smallest change: if it reads the type, the bytes are copied. */
abstract class Rewriting {
  protected readonly encoding: Encoding;
  protected readonly reader = new PartsReader();
  private readonly writers = new Map<RedisType, ValueWriter>();
  protected writer!: ValueWriter;
  private readonly head = new ByteBuilder();

  constructor(
    readonly target: Target,
    { allowLoss = false, fieldShift = 0 }: TranscodeOptions = {},
  ) {
    this.encoding = new Encoding(target, allowLoss);
    this.encoding.fieldShift = fieldShift;
  }

  set fieldShift(by: number) {
    this.encoding.fieldShift = by;
  }

  /** Whether the target reads a type, and nothing of its values changes. */
  protected isKept(type: TypeRow): boolean {
    return reads(this.target, type) && !isShifted(type, this.encoding.fieldShift);
  }

  /** Begins to write a value of another type. Throws NotRepresentable if the target has none for it. */
  protected open({ redisType, type }: Frame): ValueWriter {
    let writer = this.writers.get(redisType);
    if (writer === undefined) {
      writer = WRITERS[redisType](this.encoding);
      this.writers.set(redisType, writer);
    }
    writer.open(type);
    return (this.writer = writer);
  }

  /** Ends the value; returns its type. */
  protected finish(): TypeRow {
    this.head.clear();
    return this.writer.finish(this.head);
  }

  /** The written bytes, in pieces, each valid until the next one. */
  *pieces(): Generator<Uint8Array, void, void> {
    yield this.head.view();
    yield* this.writer.pieces?.() ?? this.encoding.body.pieces();
  }
}

/** For whole values: RECORD frames (with `limit: Infinity` a framer yields no others). For values in parts, see PartsTranscoder. */
export class Transcoder extends Rewriting {
  private readonly out = new ByteBuilder();

  /** Throws RdbError if a value that has to be rewritten, or a listpack of 16 KiB or more, is damaged. */
  record(frame: Frame): Transcoded | Refused {
    const { encoding, out, target } = this;
    if (!frame.first || !frame.last) throw new TypeError('a part of a value: only whole ones can be transcoded');
    encoding.begin();
    return refusedBy(() => {
      const metaBytes = encoding.keyMeta(frame.metaBytes);
      if (this.isKept(frame.type) && !hasMisreadListpacks(frame, target.wide)) {
        const { bytes, end, start, type } = frame;
        return { outcome: encoding.outcome('same'), type, bytes, start, end, metaBytes, leftOut: encoding.leftOut };
      }
      out.clear();
      const type = this.rewrite(frame);
      return {
        outcome: encoding.outcome('rewritten'),
        type,
        bytes: out.bytes,
        start: 0,
        end: out.length,
        metaBytes,
        leftOut: encoding.leftOut,
      };
    });
  }

  private rewrite(frame: Frame): TypeRow {
    const { encoding, out, target } = this;
    if (this.isKept(frame.type)) {
      copyWithListpacks(out, encoding.listpack, target.wide, frame);
      return frame.type;
    }
    this.reader.record(frame, this.open(frame));
    const type = this.finish();
    for (const piece of this.pieces()) out.copy(piece, 0, piece.length);
    return type;
  }
}

/** Notes whether an element has a length that the target may misread: see listpack-borders.ts. */
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

/** Returned by `take` if the value has to be passed once more. */
export const AGAIN = 'again';

/**
 * For values in parts:
 *
 *     begin(frame)        with the head: returns a plan if no part has to change, or a refusal;
 *     take(kind, frame)   otherwise with every part: returns a plan, a refusal or AGAIN for the last one, or a refusal earlier;
 *     pieces()            if the plan is not `verbatim`: the new value, each piece valid until the next one
 *
 * A type that the target does not read is rewritten as its parts come. One that it reads, but may misread, is searched first.
 */
export class PartsTranscoder extends Rewriting {
  private search: BorderSearch | undefined;

  begin(frame: Frame): PartsPlan | Refused | undefined {
    const { encoding } = this;
    const { redisType, type } = frame;
    encoding.begin();
    this.search = undefined;
    return refusedBy(() => {
      encoding.keyMeta(frame.metaBytes);
      const isKept = this.isKept(type);
      if (isKept && !hasListpacks(type)) return this.plan(frame, type, true);
      if (isKept && redisType !== 'stream') this.search = new BorderSearch();
      this.reader.handler = this.search ?? this.open(frame);
      return undefined;
    });
  }

  /** Throws RdbError if the value is damaged. */
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

  /** Frees what was written. */
  close(): void {
    this.encoding.body.clear();
  }

  private plan({ metaBytes }: Frame, type: TypeRow, verbatim: boolean): PartsPlan {
    const { encoding, target } = this;
    return {
      outcome: encoding.outcome(verbatim ? 'same' : 'rewritten'),
      type,
      verbatim,
      metaBytes: hasKeyMeta(target) ? metaBytes : undefined,
      leftOut: encoding.leftOut,
    };
  }
}

/** The result of `attempt`, or why the target cannot hold the value. */
export function refusedBy<T>(attempt: () => T): T | Refused {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof NotRepresentable) return { outcome: 'refused', reason: error.reason, avoidable: error.avoidable };
    throw error;
  }
}

/** Transcodes one whole frame; for many, use a Transcoder. The result borrows at most from the frame. */
export function transcode(frame: Frame, target: Target, options?: TranscodeOptions): Transcoded | Refused {
  return new Transcoder(target, options).record(frame);
}
