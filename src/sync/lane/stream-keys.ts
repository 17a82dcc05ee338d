import { numberArg, textArg } from '../commands/args.js';
import { Effect } from '../commands/effects.js';
import { newKeyArgs } from '../commands/spec.js';
import { otherDatabase } from '../commands/split.js';
import { keptOf } from '../commands/table.js';
import { keyId, type KeyName } from '../fences.js';
import type { InterruptibleReader } from '../spool/interruptible-reader.js';
import type { StreamCommand } from '../stream-command.js';
import { StreamParser } from '../stream-parser.js';
import { Detached } from '../target/detached.js';
import type { LaneOptions } from './lane-options.js';

export interface StreamKeysOptions extends Pick<LaneOptions, 'learn' | 'name' | 'positions' | 'spool' | 'table' | 'takes' | 'wants'> {
  readonly reader: InterruptibleReader;
  /** Whether the source has taken back its last writes: those are not awaited. */
  readonly isTakenBack: () => boolean;
}

/** What the stream says of keys between two offsets that the spool still has. */
export class StreamKeys {
  constructor(private readonly options: StreamKeysOptions) {}

  /** Commands of the spool in (from, to], with the database that is selected; the last one may end beyond `to`. */
  async *commandsIn(from: number, to: number, db: number): AsyncGenerator<{ command: StreamCommand; db: number }, void, void> {
    const { isTakenBack, reader, spool } = this.options;
    const parser = new StreamParser(from, keptOf(this.options.table));
    let selected = db;
    for (let at = from; at < to;) {
      const piece = spool.readNow(at) ?? (await reader.read(at));
      if (piece === undefined && isTakenBack()) throw new Detached(this.options.name, 'it has taken back its last writes');
      if (piece === undefined) continue;
      parser.push(piece.bytes.slice()); // they may be trimmed meanwhile
      at = piece.offset;
      for (let command = parser.next(); command !== undefined; command = parser.next()) {
        if (command.offset - command.size >= to) return;
        const spec = this.options.table.of(command);
        if (spec?.kind === 'select') selected = numberArg(command, 1);
        yield { command, db: selected };
      }
    }
  }

  /** The wanted keys that a command writes, and what it does to each. */
  async written(command: StreamCommand, db: number): Promise<(KeyName & { effect: number })[]> {
    const { positions, table, takes, wants } = this.options;
    let spec = table.of(command);
    if (spec === undefined && (await this.options.learn(textArg(command, 0)))) spec = table.of(command);
    if (spec === undefined || !['write', 'script', 'move', 'copy'].includes(spec.kind) || takes?.(spec.name) === false) return [];
    const found = newKeyArgs();
    if (!spec.keys(command, found)) return [];
    const other = spec.kind === 'move' || spec.kind === 'copy' ? otherDatabase(command, spec) : undefined;
    const effect = command.kept < command.args ? Effect.NEVER : spec.effect(command);
    return found.writes.flatMap((arg) => {
      const [start, end] = [command.starts[arg], command.ends[arg]];
      if (positions.has(command.bytes, start, end)) return [];
      const key = command.bytes.slice(start, end);
      const databases = other === undefined || other === db ? [db] : [db, other];
      return databases.filter((of) => wants?.(of, key, 0, key.length) !== false).map((of) => ({ db: of, key, effect }));
    });
  }

  /** The keys that a command with several of them reads or writes. */
  touched(command: StreamCommand, db: number): string[] {
    const spec = this.options.table.of(command);
    const found = newKeyArgs();
    if (spec === undefined || spec.key > 0 || spec.split !== undefined || !spec.keys(command, found)) return [];
    return [...found.reads, ...found.writes].map((arg) => keyId(db, command.bytes, command.starts[arg], command.ends[arg]));
  }
}
