import type { Crc64 } from '../bytes/crc64.js';
import type { Hot } from '../bytes/hot.js';
import type { Frame } from '../rdb/frame.js';
import { PAYLOAD_FOOTER, writeCrc, writePayloadVersion } from '../rdb/payload.js';
import type { Batch } from '../redis/batch.js';
import { hasReplace, type Target } from '../values/targets.js';
import type { RestoreConflict } from './restore-progress.js';
import { modifiersOf, RespWriter, ttlOf } from './resp-writer.js';

/** What stands around key and payload, at the most. */
const AROUND = 1 << 10;

/** Bytes that the commands for a key take at the most; `size` is that of its payload. */
export const recordRoom = ({ keyEnd, keyStart }: Frame, size: number): number => 2 * (keyEnd - keyStart) + size + AROUND;

/** Writes the commands for keys with their values that do not go the way of a kernel. */
export class RecordWriter {
  private readonly crc: Crc64;
  private readonly footer = new Uint8Array(PAYLOAD_FOOTER);
  private readonly replaces: boolean;

  constructor(
    private readonly hot: Hot,
    private readonly target: Target,
    conflict: RestoreConflict,
  ) {
    this.crc = hot.crc64();
    this.replaces = conflict === 'replace' && hasReplace(target);
  }

  /** `head` is that of the payload, `size` of all of it; the batch has room for it. */
  write(batch: Batch, frame: Frame, head: Uint8Array, size: number, version: number): void {
    const { target } = this;
    const { keyBytes, keyEnd, keyStart } = frame;
    const writer = new RespWriter(batch, this.hot);
    const modifiers = modifiersOf(frame, target, this.replaces);
    if (batch.perUnit === 2) {
      writer.command(2);
      writer.word(hasReplace(target) ? 'EXISTS' : 'DEL');
      writer.arg(keyBytes, keyStart, keyEnd);
    }
    writer.command(4 + modifiers.length);
    writer.word('RESTORE');
    writer.arg(keyBytes, keyStart, keyEnd);
    writer.word(ttlOf(frame, target, batch.builtAt));
    writer.open(size);
    this.payload(writer, batch, frame, head, version);
    writer.end();
    writer.words(...modifiers);
    batch.units++;
  }

  private payload(writer: RespWriter, batch: Batch, { bytes, end, start }: Frame, head: Uint8Array, version: number): void {
    const { crc, footer } = this;
    const from = batch.length;
    writer.raw(head, 0, head.length);
    writer.raw(bytes, start, end);
    writePayloadVersion(footer, 0, version);
    writer.raw(footer, 0, 2);
    crc.hi = crc.lo = 0;
    crc.update(batch.bytes, from, batch.length);
    writeCrc(footer, 2, crc);
    writer.raw(footer, 2, PAYLOAD_FOOTER);
  }
}
