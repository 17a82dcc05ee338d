import type { Pending } from '../redis/in-flight.js';
import { commandEnd } from '../redis/commands.js';

/** Told the outcome of the keys of a batch, once for each key. */
export interface KeyListener {
  /** The server has them. `replaced` of them replaced a key; for `uncounted` of them it is not known whether they did. */
  delivered(batch: CommandBatch, node: string, keys: number, replaced: number, uncounted?: number): void;
  /** The server had the key already, and it was not ours. */
  conflict(batch: CommandBatch, node: string, commands: Uint8Array): void;
  /** The server refused the key. */
  refused(batch: CommandBatch, node: string, commands: Uint8Array, error: string): void;
  /** The key has to be sent without others. `half`: the server has a part of it. */
  alone(batch: CommandBatch, node: string, commands: Uint8Array, half: boolean): void;
  /** The server closes the connection at this key. `words`: the error that it sent before, if any. */
  closing(batch: CommandBatch, node: string, commands: Uint8Array, words: string | undefined): void;
  /** The bytes of the batch are free again. */
  released(batch: CommandBatch): void;
}

/** How often in a row a server closed the connection with this key as the first one unanswered, and its run id. */
export interface Closings {
  readonly times: number;
  readonly runId: string;
}

/** What is known of an answered key: nothing, that it replaced a key, that it did not. */
const WAS_THERE = 1;
const WAS_NOT = 2;
/** The key is handled elsewhere: it was refused or is sent again. */
const APART = 4;
/** The server has a part of the key. */
const HALF = 8;

/**
 * RESP commands for one server and one database, sent together. Each key has `perKey` commands. The last one is RESTORE, whose
 * reply alone decides whether the key was written; an integer reply to an earlier one says whether the key existed. Everything
 * known about a key is in the bytes, so a key that must be sent again is cut out of them.
 */
export class CommandBatch implements Pending {
  length = 0;
  keys = 0;
  /** Unix milliseconds by the clock of the server when the first key was written: relative expiries count from here. */
  builtAt = 0;
  /** Whether an earlier attempt may have applied the keys. */
  again = false;
  /** Whether ASKING precedes every command: the slot is being migrated to this server. */
  asking = false;
  /** Bytes of keys that are sent again. */
  retried = 0;
  /** Unix milliseconds of the first failed attempt at one of its keys. */
  since = 0;
  /** For a batch of one key: the connections closed at that key so far. */
  closings: Closings | undefined;
  /** Called when commands of a key were answered with errors; `errors` has an entry for each command. */
  onKeyFailed: ((index: number, errors: readonly (string | undefined)[]) => void) | undefined;
  /** Keys with all replies in. */
  answered = 0;
  /** Replies so far for the current key, and the errors among them by command. */
  private replies = 0;
  private errors: (string | undefined)[] | undefined;
  /** Keys reported as delivered. */
  arrived = 0;
  private marks: Uint8Array | undefined;
  private apart = 0;
  /** Cursor of `commandsAt`: the last key looked up, and where it begins. */
  private walkedKey = 0;
  private walkedTo = 0;

  constructor(
    readonly listener: KeyListener,
    public bytes: Uint8Array,
    public db: number,
    readonly perKey: number,
  ) {}

  /** Makes room for `size` bytes after `length`. */
  room(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(this.length + size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Takes up to `count` replies `+OK`. Returns how many were taken. */
  takeOks(count: number): number {
    if (this.perKey !== 1) {
      this.takeReply(undefined, undefined);
      return 1;
    }
    const taken = Math.min(count, this.keys - this.answered);
    this.answered += taken;
    return taken;
  }

  takeReply(error: string | undefined, integer: number | undefined): void {
    if (!this.takeOne(error, integer)) return;
    const errors = this.takeErrors();
    if (errors !== undefined) this.onKeyFailed?.(this.answered - 1, errors);
  }

  /** Takes the next reply. Returns whether it was the last one of a key. */
  takeOne(error: string | undefined, integer: number | undefined): boolean {
    if (error !== undefined) (this.errors ??= [])[this.replies] = error;
    if (integer !== undefined && this.wasThere(this.answered) === undefined) this.setWasThere(this.answered, integer > 0);
    this.replies++;
    if (this.replies < this.perKey) return false;
    this.replies = 0;
    this.answered++;
    return true;
  }

  /** The errors of the key that was answered last, by command; undefined if it had none. */
  takeErrors(): readonly (string | undefined)[] | undefined {
    const { errors } = this;
    this.errors = undefined;
    return errors;
  }

  get complete(): boolean {
    return this.answered === this.keys;
  }

  private mark(index: number, mark: number): void {
    this.marks ??= new Uint8Array(this.keys);
    this.marks[index] |= mark;
  }

  /** Leaves a key out of what `deliver` reports. */
  setApart(index: number): void {
    this.mark(index, APART);
    this.apart++;
  }

  isApart(index: number): boolean {
    return this.apart === this.keys || (this.marks !== undefined && (this.marks[index] & APART) !== 0);
  }

  setHalf(index: number): void {
    this.mark(index, HALF);
  }

  isHalf(index: number): boolean {
    return ((this.marks?.[index] ?? 0) & HALF) !== 0;
  }

  setWasThere(index: number, was: boolean): void {
    this.mark(index, was ? WAS_THERE : WAS_NOT);
  }

  /** Whether the key existed before, if that is known. */
  wasThere(index: number): boolean | undefined {
    const mark = this.marks?.[index] ?? 0;
    return (mark & WAS_THERE) !== 0 ? true : (mark & WAS_NOT) !== 0 ? false : undefined;
  }

  /** Reports the answered keys that are not set apart as delivered, and sets them apart. */
  deliver(node: string): void {
    const keys = this.answered - this.apart;
    if (keys === 0) return;
    const asked = this.perKey > (this.asking ? 2 : 1);
    let replaced = 0;
    let uncounted = 0;
    for (let index = 0; index < this.answered && (asked || this.marks !== undefined); index++) {
      const mark = this.marks?.[index] ?? 0;
      if ((mark & APART) !== 0) continue;
      if ((mark & WAS_THERE) !== 0) replaced++;
      else if (asked && (mark & WAS_NOT) === 0) uncounted++;
    }
    if (this.complete) this.apart = this.keys;
    else for (let index = 0; index < this.answered; index++) if (!this.isApart(index)) this.setApart(index);
    this.arrived += keys;
    this.listener.delivered(this, node, keys, replaced, uncounted);
  }

  /** Answered keys that are not set apart. */
  get taken(): number {
    return this.answered - this.apart;
  }

  /** The commands of a key; a view. */
  commandsAt(index: number): Uint8Array {
    if (index < this.walkedKey) this.walkedKey = this.walkedTo = 0;
    while (this.walkedKey < index) {
      this.walkedTo = this.keyEnd(this.walkedTo);
      this.walkedKey++;
    }
    return this.bytes.subarray(this.walkedTo, this.keyEnd(this.walkedTo));
  }

  private keyEnd(at: number): number {
    let end = at;
    for (let i = 0; i < this.perKey; i++) end = commandEnd(this.bytes, end);
    return end;
  }
}
