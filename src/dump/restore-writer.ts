import type { Crc64 } from '../bytes/crc64.js';
import type { Frame } from '../rdb/frame.js';
import { PAYLOAD_FOOTER, writePayloadFooter } from '../rdb/payload.js';
import { hasReplace, type Target } from '../values/targets.js';
import { modifiersOf, type RespWriter, ttlOf } from './resp-writer.js';

/** What a RESTORE needs besides its frame. */
export interface RestoreTerms {
  /** The bytes of the payload before the value: see payloadHead. */
  readonly head: Uint8Array;
  /** Bytes of the whole payload. */
  readonly size: number;
  readonly replaces: boolean;
  /** Unix milliseconds that relative expiries count from. */
  readonly now: number;
}

/** Writes RESTORE commands: `begin`, then `addValue` with the bytes of the value in any pieces, then `end`. */
export class RestoreWriter {
  private readonly footer = new Uint8Array(PAYLOAD_FOOTER);
  private modifiers: readonly string[] = [];
  private resp!: RespWriter;

  constructor(
    private readonly crc: Crc64,
    private readonly target: Target | undefined,
  ) {}

  begin(resp: RespWriter, frame: Frame, { head, now, replaces, size }: RestoreTerms): void {
    const { crc, target } = this;
    this.resp = resp;
    this.modifiers = modifiersOf(frame, target, replaces && hasReplace(target));
    resp.command(4 + this.modifiers.length);
    resp.word('RESTORE');
    resp.arg(frame.keyBytes, frame.keyStart, frame.keyEnd);
    resp.word(ttlOf(frame, target, now));
    resp.open(size);
    crc.hi = crc.lo = 0;
    this.addValue(head, 0, head.length);
  }

  addValue(bytes: Uint8Array, start: number, end: number): void {
    this.crc.update(bytes, start, end);
    this.resp.raw(bytes, start, end);
  }

  /** `version`: RDB version of the payload. */
  end(version: number): void {
    const { crc, footer, resp } = this;
    writePayloadFooter(footer, version, crc);
    resp.raw(footer, 0, PAYLOAD_FOOTER);
    resp.end();
    resp.words(...this.modifiers);
  }
}
