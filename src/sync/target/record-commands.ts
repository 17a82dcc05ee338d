import type { Fences, KeyName } from '../fences.js';
import { fenceField, fenceFields, type LaneRecord, LANES_FIELD, type RecordKeys, recordText } from '../record.js';

export interface RecordCommandsOptions {
  readonly lane: number;
  readonly keys: RecordKeys;
  /** Writes are sent in transactions that set the position, which only a single server can. */
  readonly transactions: boolean;
  /** While keys are wanted, commands of the stream are left out for them: that may not count as done. */
  readonly fences: Pick<Fences, 'all' | 'takeUnrecorded' | 'wanted'>;
  /** Generation and name of the run. */
  readonly run: string;
  /** The rest of the record. */
  readonly record: (place: RecordPlace) => Omit<LaneRecord, 'slots'>;
}

/** What changes of a record. */
export type RecordPlace = Pick<LaneRecord, 'certain' | 'db' | 'sent'>;

/** A command of our own. */
export type OwnCommand = readonly (string | Uint8Array)[];

/** Keys of one HSET or HDEL of fences. */
const FENCES_AT_ONCE = 500;

/** The commands that write what the masters of the target hold of a lane: its record, and the fences of keys. */
export class RecordCommands {
  constructor(
    private readonly options: RecordCommandsOptions,
    /** The slot of the records of each master; -1 for a single server. */
    readonly places: readonly number[],
    /** The slots of each master, for its record. */
    private readonly slots: readonly string[],
  ) {}

  /** The record of a master, by its index. */
  record(index: number, place: RecordPlace): OwnCommand {
    const { keys, lane } = this.options;
    const record = recordText({ ...this.options.record(place), slots: this.slots[index] });
    return ['HSET', keys.records(this.places[index]), `${lane}`, record];
  }

  /** The same where there is no record any more. */
  newRecord(index: number, place: RecordPlace): OwnCommand {
    const { lane, run } = this.options;
    return [...this.record(index, place), `${lane}:run`, run];
  }

  /** Which slots belong to which lane. */
  lanes(index: number, text: string): OwnCommand {
    return ['HSET', this.options.keys.records(this.places[index]), LANES_FIELD, text];
  }

  /** Fences at a master, some at a time. `lane`: whose offsets they are. */
  *fences(index: number, keys: readonly (KeyName & { readonly offset: number })[], lane = this.options.lane): Generator<OwnCommand> {
    const name = this.options.keys.fences(this.places[index]);
    for (let at = 0; at < keys.length; at += FENCES_AT_ONCE) {
      yield ['HSET', name, ...fenceFields(lane, keys.slice(at, at + FENCES_AT_ONCE))];
    }
  }

  /** Removes fences at a master, some at a time. */
  *noFences(index: number, keys: readonly KeyName[]): Generator<OwnCommand> {
    const { keys: names, lane } = this.options;
    const name = names.fences(this.places[index]);
    for (let at = 0; at < keys.length; at += FENCES_AT_ONCE) {
      yield ['HDEL', name, ...keys.slice(at, at + FENCES_AT_ONCE).map(({ db, key }) => fenceField(lane, db, key))];
    }
  }

  /** On a single server, what is certain may be beyond commands whose keys are yet to be fetched: its fences say so. */
  newFences(offset: number): OwnCommand[] {
    const { fences, keys, lane, transactions } = this.options;
    const wanted = transactions ? fences.takeUnrecorded() : [];
    return wanted.length === 0 ? [] : [['HSET', keys.fences(-1), ...fenceFields(lane, wanted.map((key) => ({ ...key, offset })))]];
  }

  /** All fences, where the keys that hold them were deleted: those of keys in other databases stand. */
  allFences(offset: number): OwnCommand[] {
    const { fences, transactions } = this.options;
    return transactions ? [...this.fences(0, fences.all(offset))] : [];
  }
}
