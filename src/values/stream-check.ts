import { RdbError } from '../bytes/errors.js';
import { Element, INT } from '../encodings/element.js';
import { StreamId } from '../encodings/stream.js';
import { StreamNodeCheck } from '../encodings/stream-check.js';
import type { Frame } from '../rdb/frame.js';
import { lengthText, readLength } from '../rdb/length.js';
import { readString } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import { PartsReader } from './parts.js';

/**
 * Looks at the listpacks of a stream, whole or in parts, as deeply as a server with `sanitize-dump-payload yes`: one that does not look may
 * end itself on them.
 */
export class StreamCheck extends PartsReader {
  private readonly check = new StreamNodeCheck((within, expected, got) => {
    throw new RdbError('BAD_STREAM', { within: within + this.nodeStart, expected, got });
  });
  private nodeStart = 0;
  private readonly string = new Element();
  private readonly before = new StreamId();
  private nodes = 0;
  private entries = 0;

  /** What is wrong with the value of the frame, or this part of it. Nothing is to be asked of parts behind that. */
  fault(kind: number, frame: Frame): RdbError | undefined {
    try {
      this.frame(kind, frame);
      return undefined;
    } catch (error) {
      if (error instanceof RdbError) return error;
      throw error;
    }
  }

  protected begin(): void {
    this.nodes = this.entries = 0;
  }

  protected override streamKey(bytes: Uint8Array, pos: number, end: number): number {
    const { before, streamId } = this;
    const next = super.streamKey(bytes, pos, end);
    if (this.nodes > 0 && !streamId.isAfter(before)) {
      throw new RdbError('BAD_STREAM', { within: pos, expected: 'a node with a greater ID than the one before it', got: 'another one' });
    }
    before.copy(streamId);
    this.nodes++;
    return next;
  }

  protected override streamNode(bytes: Uint8Array, pos: number, end: number): number {
    const { check, string } = this;
    const next = readString(bytes, pos, end, string);
    if (next < 0 || string.kind === INT) {
      throw new RdbError('BAD_STREAM', { within: pos, expected: 'a listpack', got: 'an integer or nothing' });
    }
    this.origin = string.start;
    this.scratch.inflate(string);
    this.origin = string.start;
    this.nodeStart = string.start;
    check.check(this.streamId, string.bytes, string.start, string.end);
    this.entries += check.live;
    return next;
  }

  protected override streamRest(_: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    readLength(bytes, start, end, this.length);
    const { value } = this.length;
    if (value !== this.entries) {
      const expected = `a length of ${this.entries}, as its nodes have entries`;
      throw new RdbError('BAD_STREAM', { within: start, expected, got: lengthText(this.length) });
    }
  }

  protected end(): void {
    // all was seen
  }

  text(): void {
    // no stream
  }

  item(): void {
    // no stream
  }

  field(): void {
    // no stream
  }

  value(): void {
    // no stream
  }

  expiry(): void {
    // no stream
  }

  member(): void {
    // no stream
  }

  score(): void {
    // no stream
  }

  entry(): void {
    // nodes are looked at as a whole
  }

  entryElement(): void {
    // the same
  }

  entryEnd(): void {
    // the same
  }

  streamTail(): void {
    // only its length
  }

  module(): void {
    // no stream
  }

  modulePart(): void {
    // no stream
  }

  arrayElement(): void {
    // no stream
  }

  arrayInsertIndex(): void {
    // no stream
  }

  protected bigBegin(): void {
    // large nodes are gathered
  }

  protected bigBytes(): void {
    // the same
  }

  protected bigEnd(): void {
    // the same
  }
}
