import { keySlot, SLOTS } from '../bytes/crc16.js';
import { slotsIn } from '../redis/topology.js';

/*
 * What a sync keeps on its target, to go on after it was killed. On each master that has slots there are two hashes, whose names have a
 * hash tag of a slot of that master:
 *
 *     rdbkit:sync:<id>{<tag>}           <lane> → record as JSON;
 *                                       <lane>:run → generation and name of the run that writes it;
 *                                       lanes → which slots of the source belong to which lane
 *     rdbkit:sync:<id>:fences{<tag>}    <lane> <db> <key> → offset: the value of the key may be that of the source at this offset
 *
 * A sync that shares its target with other sources has a third one, for all masters: see `left`.
 *
 * A lane is a master of the source, numbered from 0.
 */

/** Names of the keys of all syncs begin with it. */
export const RECORD_PREFIX = 'rdbkit:sync:';

/** The field of a hash of records that says which slots of the source belong to which lane: see Crossing. */
export const LANES_FIELD = 'lanes';

/** `full`: keys are being copied; `changes`: the writes since are; `scan`: the source is read by scan, and there is no position. */
export type Phase = 'full' | 'changes' | 'scan';

/** How far a lane is, according to one master of the target. */
export interface LaneRecord {
  readonly phase: Phase;
  /** The replication id that the offsets belong to. */
  readonly id: string;
  /** All writes up to this offset are certainly applied. */
  readonly certain: number;
  /** No write beyond this offset was sent; of those in transactions, the last one was that far. */
  readonly sent: number;
  /** The database that the source's stream has selected at `certain`. */
  readonly db: number;
  /** Runs so far: one that finds a higher number has been replaced. */
  readonly generation: number;
  /** The slots that the master had when it was written: `0-5460 9000`. Empty for a single server. */
  readonly slots: string;
  /** Number of lanes. */
  readonly lanes: number;
  /** Digest of the options that decide what is written. */
  readonly options: string;
  /** The target had no keys but those of this sync when it began. */
  readonly alone: boolean;
  /** It had none but those of the syncs of one command with several sources. */
  readonly among?: boolean | undefined;
  /** Databases of the target that its source has, or had, keys for, where there are others. */
  readonly used?: readonly number[] | undefined;
  readonly expiries: ExpiryState;
  /** Keys that were written up to here are fetched, whatever the commands: they may have expired on the target by themselves. */
  readonly refetch?: number | undefined;
}

/**
 * What the target may do with keys that expire: `held`: it keeps them; `released`: they have, or are about to get, their real expiries;
 * `holding`: they are about to be held again; `exact`: they were never held. See holds.ts.
 */
export type ExpiryState = 'held' | 'released' | 'holding' | 'exact';
const STATES: readonly unknown[] = ['held', 'released', 'holding', 'exact'];

/** Undefined if it is none that this program wrote. */
export function parseRecord(text: string): LaneRecord | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const { alone, certain, db, expiries, generation, id, lanes, options, phase, refetch, sent, slots } = read as Record<string, unknown>;
  const counts = [certain, sent, db, generation, lanes].every((value) => Number.isSafeInteger(value) && Number(value) >= 0);
  const fits =
    counts &&
    (phase === 'full' || phase === 'changes' || phase === 'scan') &&
    typeof id === 'string' &&
    typeof options === 'string' &&
    typeof slots === 'string' &&
    typeof alone === 'boolean' &&
    STATES.includes(expiries) &&
    (refetch === undefined || Number.isSafeInteger(refetch)) &&
    Number(certain) <= Number(sent);
  return fits ? (read as LaneRecord) : undefined;
}

export const slotsText = (ranges: readonly (readonly [from: number, to: number])[]): string =>
  ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' ');

export const slotsOf = (text: string): number[] =>
  slotsIn(
    (text === '' ? [] : text.split(' ')).map((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return [from, to] as const;
    }),
  );

export const recordText = (record: LaneRecord): string => JSON.stringify(record);

/** The names of the keys of a sync. */
export class RecordKeys {
  constructor(
    /** Chosen by the user, or made from the names of source and target. */
    readonly id: string,
    readonly prefix = RECORD_PREFIX,
  ) {}

  /** The hash of records on the master of a slot; of a single server for slot -1. */
  records(slot: number): string {
    return `${this.prefix}${this.id}${tagOf(slot)}`;
  }

  /** The hash of keys that the sync leaves to other sources: `<db> <key>` of its source → the name of the other one. */
  get left(): string {
    return `${this.prefix}${this.id}:left`;
  }

  fences(slot: number): string {
    return `${this.prefix}${this.id}:fences${tagOf(slot)}`;
  }
}

/** A hash tag for a slot, with its braces. */
export function tagOf(slot: number): string {
  if (slot < 0) return '';
  tags ??= allTags();
  return `{${tags[slot]}}`;
}

let tags: string[] | undefined;

/** The first number in base 36 for each slot. */
function allTags(): string[] {
  const found: (string | undefined)[] = new Array<undefined>(SLOTS);
  for (let left = SLOTS, number = 0; left > 0; number++) {
    const text = number.toString(36);
    const slot = keySlot(Buffer.from(text));
    if (found[slot] !== undefined) continue;
    found[slot] = text;
    left--;
  }
  return found.map((tag) => tag ?? '');
}

/** The fields of fences, and their values, as HSET takes them. */
export const fenceFields = (
  lane: number,
  fences: readonly { readonly db: number; readonly key: Uint8Array; readonly offset: number }[],
): (Buffer | string)[] => fences.flatMap(({ db, key, offset }) => [fenceField(lane, db, key), `${offset}`]);

/** The field of a fence. */
export const fenceField = (lane: number, db: number, key: Uint8Array): Buffer => Buffer.concat([Buffer.from(`${lane} ${db} `), key]);

/** Undefined for a field of another lane. */
export function parseFence(lane: number, field: Uint8Array): { db: number; key: Uint8Array } | undefined {
  const match = /^(\d+) (\d+) /.exec(Buffer.from(field.buffer, field.byteOffset, Math.min(field.length, 24)).toString('latin1'));
  if (match === null || Number(match[1]) !== lane) return undefined;
  return { db: Number(match[2]), key: field.subarray(match[0].length) };
}
