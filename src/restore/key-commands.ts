import type { Codec } from '../kernels/codec.js';
import type { Frame } from '../rdb/frame.js';
import type { CommandBatch } from './command-batch.js';
import { hasReplace, type Target } from '../values/targets.js';
import type { RestoreConflict } from './progress.js';
import { RespWriter } from '../dump/resp-writer.js';
import { RestoreWriter } from '../dump/restore-writer.js';

/** What stands around key and payload, at the most. */
const AROUND = 1 << 10;

/** Bytes that the commands for a key take at the most; `size` is that of its payload. */
export const recordRoom = ({ keyEnd, keyStart }: Frame, size: number): number => 2 * (keyEnd - keyStart) + size + AROUND;

/** Writes the commands for keys with their values that do not go the way of a kernel. */
export class KeyCommandsWriter {
  private readonly restores: RestoreWriter;
  private readonly replaces: boolean;

  constructor(
    private readonly codec: Codec,
    private readonly target: Target,
    conflict: RestoreConflict,
  ) {
    this.restores = new RestoreWriter(codec.crc64(), target);
    this.replaces = conflict === 'replace';
  }

  /** `head` is that of the payload, `size` of all of it; the batch has room for it. */
  write(batch: CommandBatch, frame: Frame, head: Uint8Array, size: number, version: number): void {
    const { target } = this;
    const { keyBytes, keyEnd, keyStart } = frame;
    const writer = new RespWriter(batch, this.codec);
    if (batch.perKey === 2) {
      writer.command(2);
      writer.word(hasReplace(target) ? 'EXISTS' : 'DEL');
      writer.arg(keyBytes, keyStart, keyEnd);
    }
    this.restores.begin(writer, frame, { head, size, replaces: this.replaces, now: batch.builtAt });
    this.restores.add(frame.bytes, frame.start, frame.end);
    this.restores.end(version);
    batch.keys++;
  }
}
