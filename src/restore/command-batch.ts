import { commandEnd } from '../redis/commands.js';

/** What becomes of units: whoever made them hears of it, once for each unit. */
export interface Delivery {
  /** The server has them. `replaced` of them took the place of a key that was there; of `uncounted` nobody knows whether they did. */
  delivered(batch: Batch, node: string, units: number, replaced: number, uncounted?: number): void;
  /** The key is there, and was not written by us. */
  conflict(batch: Batch, node: string, unit: Uint8Array): void;
  /** The server does not take it. */
  refused(batch: Batch, node: string, unit: Uint8Array, error: string): void;
  /** The server closes the connection where the unit comes: its last words, where it has said something. */
  closing(batch: Batch, node: string, unit: Uint8Array, words: string | undefined): void;
  /** The bytes of the batch are free again. */
  released(batch: Batch): void;
}

/** How often in a row a server has closed the connection where a unit was the first without a reply, and which run of it. */
export interface Closings {
  readonly times: number;
  readonly runId: string;
}

/** What is known of a unit whose reply has come: nothing, that its key was there before, that it was not. */
const WAS_THERE = 1;
const WAS_NOT = 2;
/** The unit is dealt with elsewhere: it is to be sent again, or was refused. */
const APART = 4;

/**
 * Commands for one server and one database, in RESP, that are sent in one piece. A unit is what writes one key: `perUnit`
 * commands, of which the last one is the RESTORE, whose reply alone says whether the key was written; an integer that one before
 * it answers with says whether the key was there.
 * The bytes say everything that there is to know of a unit, so what has to be sent again is cut out of them.
 */
export class Batch {
  length = 0;
  units = 0;
  /** Unix milliseconds when the first unit was written, by the clock of the server: relative expiries count from there. */
  builtAt = 0;
  /** Whether the units may have been applied by an earlier attempt. */
  again = false;
  /** Whether ASKING stands before every command: the slot is on its way to this server. */
  asking = false;
  /** Bytes of units that are sent again. */
  retried = 0;
  /** Unix milliseconds when one of its units was sent in vain for the first time. */
  since = 0;
  /** Of its only unit, where the connection was closed at that before. */
  closings: Closings | undefined;
  /** Units whose replies have come. */
  answered = 0;
  /** Replies of the unit at hand that have come, and the errors among them, by command. */
  private replies = 0;
  private errors: (string | undefined)[] | undefined;
  /** Units that were told to have arrived. */
  arrived = 0;
  private marks: Uint8Array | undefined;
  private apart = 0;
  /** Where a unit begins: the last one that was looked for. */
  private walkedUnit = 0;
  private walkedTo = 0;

  constructor(
    readonly delivery: Delivery,
    public bytes: Uint8Array,
    public db: number,
    readonly perUnit: number,
  ) {}

  /** Makes sure that `size` bytes fit behind `length`. */
  room(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(this.length + size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Up to `count` replies `+OK`. Returns how many were taken. */
  takeOks(count: number): number {
    if (this.perUnit !== 1) {
      this.takeOne(undefined, undefined);
      return 1;
    }
    const taken = Math.min(count, this.units - this.answered);
    this.answered += taken;
    return taken;
  }

  /** The next reply. Returns whether it ends a unit. */
  takeOne(error: string | undefined, integer: number | undefined): boolean {
    if (error !== undefined) (this.errors ??= [])[this.replies] = error;
    if (integer !== undefined && this.wasThere(this.answered) === undefined) this.setWasThere(this.answered, integer > 0);
    this.replies++;
    if (this.replies < this.perUnit) return false;
    this.replies = 0;
    this.answered++;
    return true;
  }

  /** The errors of the unit that ended last, by command, if there was one. */
  takeErrors(): readonly (string | undefined)[] | undefined {
    const { errors } = this;
    this.errors = undefined;
    return errors;
  }

  get complete(): boolean {
    return this.answered === this.units;
  }

  private mark(unit: number, mark: number): void {
    this.marks ??= new Uint8Array(this.units);
    this.marks[unit] |= mark;
  }

  /** The unit is dealt with apart from the others. */
  setApart(unit: number): void {
    this.mark(unit, APART);
    this.apart++;
  }

  isApart(unit: number): boolean {
    return this.apart === this.units || (this.marks !== undefined && (this.marks[unit] & APART) !== 0);
  }

  setWasThere(unit: number, was: boolean): void {
    this.mark(unit, was ? WAS_THERE : WAS_NOT);
  }

  /** Whether its key was there, where that is known. */
  wasThere(unit: number): boolean | undefined {
    const mark = this.marks?.[unit] ?? 0;
    return (mark & WAS_THERE) !== 0 ? true : (mark & WAS_NOT) !== 0 ? false : undefined;
  }

  /** Tells of the units that were answered and are not apart: they have arrived. They are apart from then on. */
  deliver(node: string): void {
    const units = this.answered - this.apart;
    if (units === 0) return;
    const asked = this.perUnit > (this.asking ? 2 : 1);
    let replaced = 0;
    let uncounted = 0;
    for (let unit = 0; unit < this.answered && (asked || this.marks !== undefined); unit++) {
      const mark = this.marks?.[unit] ?? 0;
      if ((mark & APART) !== 0) continue;
      if ((mark & WAS_THERE) !== 0) replaced++;
      else if (asked && (mark & WAS_NOT) === 0) uncounted++;
    }
    if (this.complete) this.apart = this.units;
    else for (let unit = 0; unit < this.answered; unit++) if (!this.isApart(unit)) this.setApart(unit);
    this.arrived += units;
    this.delivery.delivered(this, node, units, replaced, uncounted);
  }

  /** Units that were answered, and are not apart. */
  get taken(): number {
    return this.answered - this.apart;
  }

  /** The bytes of a unit; a view. */
  unit(unit: number): Uint8Array {
    if (unit < this.walkedUnit) this.walkedUnit = this.walkedTo = 0;
    while (this.walkedUnit < unit) {
      this.walkedTo = this.unitEnd(this.walkedTo);
      this.walkedUnit++;
    }
    return this.bytes.subarray(this.walkedTo, this.unitEnd(this.walkedTo));
  }

  private unitEnd(at: number): number {
    let end = at;
    for (let i = 0; i < this.perUnit; i++) end = commandEnd(this.bytes, end);
    return end;
  }
}
