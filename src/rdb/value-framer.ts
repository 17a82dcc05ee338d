import type { RdbError } from '../bytes/errors.js';
import { type Frame, NEED } from './frame.js';
import { Framer } from './framer.js';

/** A part of a value: its kind (RECORD where it is all of it, else FRAGMENT or PIECE) and its frame, borrowed until the next one. */
export interface Part {
  readonly kind: number;
  readonly frame: Frame;
}

/**
 * Frames one value from its bytes alone, as the framer of its file would: that of a payload, or a large one that was put aside.
 * `frame` says type and key, and the offset that the value has in its file.
 */
export class ValueFramer {
  private readonly framer: Framer;

  /** A value over `limit` bytes, decompressed, comes in parts (default 1 MiB). */
  constructor(frame: Frame, limit?: number) {
    this.framer = Framer.ofValue(frame, { limit });
  }

  /** The parts that the next bytes of the value complete, up to its last one. The bytes are borrowed until the end of the loop. */
  *parts(bytes: Uint8Array): Generator<Part, void, void> {
    const { framer } = this;
    const { frame } = framer;
    framer.push(bytes);
    for (let kind = framer.next(); kind !== NEED; kind = framer.next()) {
      yield { kind, frame };
      if (frame.last) return;
    }
  }

  /** Offset in the file up to which everything was understood. */
  get offset(): number {
    return this.framer.offset;
  }

  /** Adds the place to an error in reading the current part. */
  failed(error: RdbError): RdbError {
    return this.framer.failed(error);
  }
}
