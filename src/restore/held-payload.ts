import { Crc64 } from '../bytes/crc64.js';
import type { Frame } from '../rdb/frame.js';
import { PAYLOAD_FOOTER, payloadHead, writePayloadFooter } from '../rdb/payload.js';
import type { RedisType } from '../rdb/types.js';
import type { HeldBytes } from '../io/spill.js';

/** A DUMP payload whose value was put aside. The last owner closes it. */
export class HeldPayload {
  /** The bytes before the value: see payloadHead. */
  readonly head: Uint8Array;
  readonly redisType: RedisType;

  constructor(
    frame: Pick<Frame, 'metaBytes' | 'redisType' | 'type'>,
    /** RDB version of the payload. */
    readonly version: number,
    /** The whole value. */
    private readonly held: HeldBytes,
  ) {
    this.head = payloadHead(frame);
    this.redisType = frame.redisType;
  }

  /** Bytes of the payload. */
  get size(): number {
    return this.head.length + this.held.size + PAYLOAD_FOOTER;
  }

  /** The value in pieces, each valid until the next one. Can be read any number of times. */
  value(): Generator<Uint8Array, void, void> {
    return this.held.read();
  }

  /** The whole payload in pieces, each valid until the next one. */
  *pieces(): Generator<Uint8Array, void, void> {
    const crc = new Crc64().update(this.head, 0, this.head.length);
    yield this.head;
    for (const piece of this.value()) {
      crc.update(piece, 0, piece.length);
      yield piece;
    }
    const footer = new Uint8Array(PAYLOAD_FOOTER);
    writePayloadFooter(footer, this.version, crc);
    yield footer;
  }

  close(): void {
    this.held.close();
  }
}
