import { ITEMS_PART, Frame } from '../rdb/frame.js';
import type { PartsPlan, PartsTranscoder, Refused } from '../values/transcode.js';
import { Spill } from '../io/spill.js';

const EMPTY = new Uint8Array(0);

/**
 * A value in parts for a target: put aside (see Spill) until it is known what it becomes, and then written in parts again. One
 * whose parts can stay as they are is not put aside.
 */
export class HeldParts {
  private held = new Spill();
  private frame = new Frame();
  /** What the value at hand becomes, once that is known. */
  private plan: PartsPlan | undefined;

  constructor(private readonly transcoder: PartsTranscoder) {}

  /** Takes a part; one with which the value is refused is kept with those before it, unless it is the first. Returns the plan or the refusal, once there is one: with the first part or the last. */
  take(kind: number, frame: Frame): PartsPlan | Refused | undefined {
    if (frame.first) {
      this.close();
      const known = this.transcoder.begin(frame);
      if (known !== undefined) return known;
      this.frame = copyOf(frame);
    }
    this.held.add(frame.bytes, frame.start, frame.end);
    const made = this.transcoder.take(kind, frame, this.held);
    if (made?.outcome !== 'refused') this.plan = made;
    return made;
  }

  /** Whether the value at hand is complete and to be written. */
  get ready(): boolean {
    return this.plan !== undefined;
  }

  /** The value, in parts: each is borrowed until the next one is asked for. The last one is empty. */
  *parts(): Generator<Frame, void, void> {
    const { frame, plan } = this;
    if (plan === undefined) return;
    this.plan = undefined;
    const part = partOf(frame, plan);
    for (const bytes of plan.verbatim ? this.held.drain() : this.transcoder.pieces()) {
      Object.assign(part, { bytes, start: 0, end: bytes.length });
      yield part;
      part.first = false;
    }
    yield Object.assign(part, { bytes: EMPTY, start: 0, end: 0, last: true });
    this.transcoder.close();
  }

  /** The parts that are kept, as one: whoever takes them closes them. */
  handOver(): Spill {
    const { held } = this;
    this.held = new Spill();
    return held;
  }

  close(): void {
    this.held.close();
    this.plan = undefined;
    this.transcoder.close();
  }
}

/** The kind of the frames that `parts` gives. */
export const HELD_KIND = ITEMS_PART;

/** The frame of a first part, with its head and key in memory of their own. */
function copyOf(frame: Frame): Frame {
  const { headBytes, headEnd, headStart, keyBytes, keyEnd, keyStart, typeAt } = frame;
  const head = headBytes.slice(headStart, headEnd);
  const key = keyBytes.slice(keyStart, keyEnd);
  return Object.assign(new Frame(), frame, { keyBytes: key, keyStart: 0, keyEnd: key.length, headBytes: head, headStart: 0, typeAt: typeAt - headStart, headEnd: head.length });
}

/** A frame of the value as it is written; its type byte and key stand in memory of their own. */
function partOf(frame: Frame, { metaBytes, type }: PartsPlan): Frame {
  const headBytes = frame.headBytes.slice(frame.typeAt, frame.headEnd);
  headBytes[0] = type.id;
  return Object.assign(new Frame(), frame, { type, redisType: type.redisType, metaBytes, headBytes, headStart: 0, typeAt: 0, headEnd: headBytes.length, first: true, last: false });
}
