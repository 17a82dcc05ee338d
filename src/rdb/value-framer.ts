import type { RdbError } from '../bytes/errors.js';
import { type Frame, NEED } from './frame.js';
import { Framer } from './framer.js';

/**
 * A part of a value: its kind (RECORD if it is the whole value, else ITEMS_PART or STRING_PART) and its frame, borrowed until the
 * next one.
 */
export interface Part {
  readonly kind: number;
  readonly frame: Frame;
}

/**
 * Frames one value from its bytes alone, as the framer of its file would: from a payload, or from a spill. `frame` has its type and
 * key, and its offset in the file.
 */
export class ValueFramer {
  private readonly framer: Framer;

  /** Larger values, in decompressed bytes, come in parts (default 1 MiB). */
  constructor(frame: Frame, limit?: number) {
    this.framer = Framer.ofValue(frame, { limit });
  }

  /** The parts that the next bytes of the value complete. The bytes are borrowed until the end of the loop. */
  *parts(bytes: Uint8Array): Generator<Part, void, void> {
    const { framer } = this;
    const { frame } = framer;
    framer.push(bytes);
    for (let kind = framer.next(); kind !== NEED; kind = framer.next()) {
      yield { kind, frame };
      if (frame.last) return;
    }
  }

  /** Offset in the file up to which everything was read. */
  get offset(): number {
    return this.framer.offset;
  }

  /** Adds the place to an error in reading the current part. */
  failed(error: RdbError): RdbError {
    return this.framer.failed(error);
  }
}
