import { RdbError } from '../bytes/errors.js';
import type { Element } from '../encodings/element.js';
import { StreamId } from '../encodings/stream.js';
import { StreamNodeCheck } from '../encodings/stream-check.js';
import type { Frame } from '../rdb/frame.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Items } from './items.js';
import { PartsReader } from './parts.js';

/**
 * Checks the listpacks of a stream, whole or in parts, as thoroughly as a server with `sanitize-dump-payload yes`: a server that
 * does not check may crash on them.
 */
export class StreamCheck implements Items {
  private readonly check = new StreamNodeCheck();
  private readonly before = new StreamId();
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private nodes = 0;
  private entries = 0;
  private readonly reader = new PartsReader(this);

  /** What is wrong with the value of the frame, or with this part of it. After a fault, later parts must not be checked. */
  fault(kind: number, frame: Frame): RdbError | undefined {
    try {
      this.reader.frame(kind, frame);
      return undefined;
    } catch (error) {
      if (error instanceof RdbError) return error;
      throw error;
    }
  }

  begin(): void {
    this.nodes = this.entries = 0;
  }

  nodeKey(id: StreamId, pos: number): void {
    const { before } = this;
    if (this.nodes > 0 && !id.isAfter(before)) {
      throw new RdbError('BAD_STREAM', { within: pos, expected: 'a node with a greater ID than the one before it', got: 'another one' });
    }
    before.copy(id);
    this.nodes++;
  }

  node({ bytes, end, start }: Element): void {
    const { check } = this;
    const fault = check.fault(bytes, start, end);
    if (fault !== undefined) throw new RdbError('BAD_STREAM', { within: check.at, expected: 'a node as servers write it', got: fault });
    this.entries += check.live;
  }

  storedTail(_: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    readLength(bytes, start, end, this.length);
    const { value } = this.length;
    if (value !== this.entries) {
      throw new RdbError('BAD_STREAM', {
        within: start,
        expected: `a length of ${this.entries}, as its nodes have entries`,
        got: lengthText(this.length),
      });
    }
  }
}
