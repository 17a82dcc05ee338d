import { keySlot } from '../../bytes/crc16.js';
import { commandOf } from '../commands/args.js';
import { repeatable, withEffect } from '../commands/effects.js';
import { newKeyArgs } from '../commands/spec.js';
import { type Fences, keyId, type KeyName } from '../fences.js';
import type { Planner } from '../planner.js';
import type { LaneRecord } from '../record.js';
import type { AttachedTarget } from '../target/attached-target.js';
import type { LaneOptions } from './lane-options.js';
import type { Problems } from './problems.js';
import type { StreamKeys } from './stream-keys.js';

type OfLane = Pick<LaneOptions, 'crossing' | 'hold' | 'name' | 'number' | 'onEvent' | 'onNote' | 'sourceOffset' | 'spool' | 'table'>;

export interface DoubtsOptions extends OfLane {
  readonly fences: Fences;
  readonly planner: Pick<Planner, 'learn'>;
  readonly problems: Problems;
  readonly attached: AttachedTarget;
  readonly stream: StreamKeys;
  /** The wanted keys of the source that may be this one of the target. */
  readonly sourceNames: (db: number, key: Uint8Array) => readonly KeyName[];
  /** There are keys to be fetched. */
  readonly interrupt: () => void;
}

/** Of which keys it is not certain what the target has: since an earlier run ended amid them, or since it refused commands. */
export class Doubts {
  /** Commands refused since the writer was attached, whose keys are to be fetched. */
  private refusals = 0;
  /** Keys of refused commands, since the target may have something else there. */
  private doubtful = new Map<string, KeyName>();

  constructor(private readonly options: DoubtsOptions) {}

  /** How many commands were refused whose keys may not have been fetched. */
  get refused(): number {
    return this.refusals;
  }

  /** The same; from now on, their keys have been fetched. */
  takeRefused(): number {
    const { refusals } = this;
    this.refusals = 0;
    return refusals;
  }

  /** Whether what commands wrote that were sent after a refused one is yet to be looked at. */
  get areToSpread(): boolean {
    return this.doubtful.size > 0;
  }

  /** The connection on which commands were refused is gone. */
  forget(): void {
    this.refusals = 0;
    this.doubtful.clear(); // nothing counts as certain since their commands
  }

  /**
   * What the stream says of (certain, sent] may be applied or not. Keys whose commands there may be repeated are left to that; the values
   * of others are fetched, and those that may have expired on the target.
   */
  async resolve({ certain, db, refetch = -1 }: LaneRecord, sent: number): Promise<void> {
    const { crossing, fences, hold, name, number, onEvent, sourceOffset, spool, stream } = this.options;
    const end = sent <= spool.end ? sent : Math.min(sent, await sourceOffset());
    const effects = new Map<string, KeyName & { effects: number }>();
    for await (const { command, db: at } of stream.commandsIn(certain, end, db)) {
      for (const { effect, key, db: of } of await stream.written(command, at)) {
        const id = keyId(of, key);
        if (command.offset <= refetch) fences.want(of, key);
        else effects.set(id, { db: of, key, effects: withEffect(effects.get(id)?.effects ?? 0, effect) });
      }
    }
    const { size } = fences.wanted;
    if (size > 0 && refetch >= 0) onEvent(`${name}: ${size} keys were written since expiries were released: they are fetched`);
    let fetched = 0;
    for (const { db: of, effects: all, key } of effects.values()) {
      if (repeatable(all, hold !== undefined) && crossing?.isForeign(number, keySlot(key)) !== true) continue;
      fences.want(of, key);
      fetched++;
    }
    if (effects.size > 0) {
      onEvent(`${name}: ${effects.size} keys were being written: ${fetched} are fetched again, the others repeated`);
    }
  }

  /** A command was refused: the keys that it writes are to be fetched. */
  onRefused(args: readonly Uint8Array[], db: number, error: string): void {
    const { fences, interrupt, name, onNote, planner, problems, sourceNames, table } = this.options;
    this.refusals++;
    interrupt();
    const command = commandOf(args);
    const spec = table.of(command);
    const found = newKeyArgs();
    if (spec === undefined || !spec.keys(command, found)) return;
    const moves = /^(?:ASK|TRYAGAIN|EXECABORT) /.test(error); // the command itself is well
    planner.learn(spec.name, args.length, error);
    for (const arg of found.writes) {
      for (const source of sourceNames(db, args[arg])) {
        const id = keyId(source.db, source.key);
        if (!moves && spec.name === 'restore' && fences.wasFetched(id)) problems.tell(source, error);
        else fences.want(source.db, source.key);
        this.doubtful.set(id, source);
      }
    }
    if (moves) return;
    onNote(`${name}: the target refused ${spec.name.toUpperCase()} (${error}): the keys that it writes are fetched from the source`);
  }

  /**
   * Commands that were sent after one that was refused may have read what that did not write: what they write is fetched, too. Nothing
   * counts as certain since then, so they are in the spool.
   */
  async spread(to: number): Promise<void> {
    const doubtful = this.doubtful;
    const { attached, fences, stream } = this.options;
    const { certain, dbAtCertain } = attached.writer;
    this.doubtful = new Map();
    if (doubtful.size === 0) return;
    for await (const { command, db } of stream.commandsIn(certain, to, dbAtCertain)) {
      const reads = stream.touched(command, db);
      if (!reads.some((id) => doubtful.has(id))) continue;
      for (const name of await stream.written(command, db)) {
        const id = keyId(name.db, name.key);
        if (doubtful.has(id)) continue;
        doubtful.set(id, name);
        fences.want(name.db, name.key);
      }
    }
  }
}
