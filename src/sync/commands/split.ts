import type { KeyPrefixes } from '../../values/key-prefixes.js';
import type { StreamCommand } from '../stream-command.js';
import { findWord, isWord, numberArg, writer } from './args.js';
import type { CommandSpec } from './spec.js';

/** Commands written anew, with the same meaning for what they are applied to. */

/** The part of a command that concerns some of its keys, `keep`: their numbers of argument. Its spec has `split`. Bytes of its own. */
export function splitCommand(command: StreamCommand, spec: CommandSpec, keep: readonly number[]): Uint8Array {
  const { split } = spec;
  if (split === undefined) throw new TypeError(`${spec.name} cannot be taken apart`);
  writer.begin(split.first + keep.length * split.step);
  writer.copyAll(command, 0, split.first);
  for (const key of keep) writer.copyAll(command, key, key + split.step);
  return writer.done();
}

/** The command with the new names of its keys, which are the arguments `keys`; itself if none has another name. */
export function withNames(command: StreamCommand, keys: readonly number[], names: KeyPrefixes): StreamCommand {
  const { bytes, ends, starts } = command;
  const isRenamed = (arg: number): boolean => names.pairOf({ keyBytes: bytes, keyStart: starts[arg], keyEnd: ends[arg] }) >= 0;
  const renamed = new Set(keys.filter(isRenamed));
  if (renamed.size === 0) return command;
  const [newStarts, newEnds] = [new Int32Array(command.args), new Int32Array(command.args)];
  writer.begin(command.args);
  for (let arg = 0; arg < command.args; arg++) {
    const { keyBytes, keyEnd, keyStart } = renamed.has(arg)
      ? names.nameOf({ keyBytes: bytes, keyStart: starts[arg], keyEnd: ends[arg] })
      : { keyBytes: bytes, keyStart: starts[arg], keyEnd: ends[arg] };
    writer.slice(keyBytes, keyStart, keyEnd);
    newEnds[arg] = writer.length - 2;
    newStarts[arg] = newEnds[arg] - (keyEnd - keyStart);
  }
  const made = writer.done();
  return { ...command, bytes: made, start: 0, end: made.length, starts: newStarts, ends: newEnds };
}

/** FUNCTION LOAD with REPLACE, which it comes without; undefined: it is none, or has it. Bytes of its own. */
export function withReplace(command: StreamCommand): Uint8Array | undefined {
  if (command.args !== 3 || !isWord(command, 1, 'load')) return undefined;
  writer.begin(4);
  writer.copyAll(command, 0, 2);
  writer.text('REPLACE');
  writer.copy(command, 2);
  return writer.done();
}

/** The database that a MOVE or COPY writes to; undefined: its own, or no number. */
export function otherDatabase(command: StreamCommand, spec: CommandSpec): number | undefined {
  const at = spec.kind === 'move' ? 2 : findWord(command, 'db', 3) + 1;
  const database = at < command.args ? numberArg(command, at) : NaN;
  return Number.isNaN(database) ? undefined : database;
}
