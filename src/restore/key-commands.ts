import { commandArgs, commandsOf, encodeCommand, lastCommand } from '../redis/commands.js';
import type { Codec } from '../kernels/codec.js';
import type { Frame } from '../rdb/frame.js';
import type { CommandBatch } from './command-batch.js';
import { hasAbsoluteTtl, hasReplace, type Target } from '../values/targets.js';
import type { RestoreConflict } from './outcomes.js';
import { RespWriter } from '../dump/resp-writer.js';
import { RestoreWriter } from '../dump/restore-writer.js';

const ZERO = 0x30;

/** Bytes of commands around key and payload, at most. */
const AROUND = 1 << 10;

/** Most bytes that the commands for a key take; `size` is that of its payload. */
export const recordRoom = ({ keyEnd, keyStart }: Frame, size: number): number => 2 * (keyEnd - keyStart) + size + AROUND;

/** Writes the commands for keys that kernels do not write. */
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

  /** `head` begins the payload, `size` is that of the whole payload; the batch must have room for it. */
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
    this.restores.addValue(frame.bytes, frame.start, frame.end);
    this.restores.end(version);
    batch.keys++;
  }
}

/** The arguments of RESTORE, the last command of a key. */
export interface Restored {
  readonly key: Uint8Array;
  /** Milliseconds, relative or absolute as the command says. */
  readonly ttl: bigint;
  readonly payload: Uint8Array;
  /** Arguments after the payload. */
  readonly modifiers: readonly string[];
}

export function restoredBy(bytes: Uint8Array): Restored {
  const [, key, ttl, payload, ...modifiers] = commandArgs(bytes, lastCommand(bytes));
  const text = ({ buffer, byteLength, byteOffset }: Uint8Array): string => Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
  return { key, ttl: ttl.length === 1 && ttl[0] === ZERO ? 0n : BigInt(text(ttl)), payload, modifiers: modifiers.map(text) };
}

/** Unix milliseconds of the expiry in a RESTORE built at `builtAt`; undefined if there is none. */
export function expiryOf(ttl: bigint, target: Target, builtAt: number): bigint | undefined {
  if (ttl === 0n) return undefined;
  return hasAbsoluteTtl(target) ? ttl : ttl + BigInt(builtAt);
}

/** The same commands with a relative expiry that is `elapsed` milliseconds shorter. */
export function withElapsed(bytes: Uint8Array, elapsed: number): Uint8Array {
  const commands = [...commandsOf(bytes)];
  const [name, key, ttl, ...rest] = commandArgs(commands[commands.length - 1], 0);
  const before = Number(Buffer.from(ttl).toString('latin1'));
  if (before === 0) return bytes;
  commands[commands.length - 1] = encodeCommand([name, key, `${Math.max(1, before - elapsed)}`, ...rest]);
  return Buffer.concat(commands);
}
