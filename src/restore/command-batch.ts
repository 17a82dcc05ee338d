import type { Pending } from '../redis/in-flight.js';
import { commandEnd } from '../redis/commands.js';

/** What becomes of keys: whoever made them hears of it, once for each key. */
export interface KeyListener {
  /** The server has them. `replaced` of them took the place of a key that was there; of `uncounted` nobody knows whether they did. */
  delivered(batch: CommandBatch, node: string, keys: number, replaced: number, uncounted?: number): void;
  /** The key is there, and was not written by us. */
  conflict(batch: CommandBatch, node: string, commands: Uint8Array): void;
  /** The server does not take it. */
  refused(batch: CommandBatch, node: string, commands: Uint8Array, error: string): void;
  /** The server closes the connection where the key comes: its last words, where it has said something. */
  closing(batch: CommandBatch, node: string, commands: Uint8Array, words: string | undefined): void;
  /** The bytes of the batch are free again. */
  released(batch: CommandBatch): void;
}

/** How often in a row a server has closed the connection where a key was the first without a reply, and which run of it. */
export interface Closings {
  readonly times: number;
  readonly runId: string;
}

/** What is known of a key whose reply has come: nothing, that its key was there before, that it was not. */
const WAS_THERE = 1;
const WAS_NOT = 2;
/** The key is dealt with elsewhere: it is to be sent again, or was refused. */
const APART = 4;

/**
 * Commands for one server and one database, in RESP, that are sent in one piece. A key is what writes one key: `perKey`
 * commands, of which the last one is the RESTORE, whose reply alone says whether the key was written; an integer that one before
 * it answers with says whether the key was there.
 * The bytes say everything that there is to know of a key, so what has to be sent again is cut out of them.
 */
export class CommandBatch implements Pending {
  length = 0;
  keys = 0;
  /** Unix milliseconds when the first key was written, by the clock of the server: relative expiries count from there. */
  builtAt = 0;
  /** Whether the keys may have been applied by an earlier attempt. */
  again = false;
  /** Whether ASKING stands before every command: the slot is on its way to this server. */
  asking = false;
  /** Bytes of keys that are sent again. */
  retried = 0;
  /** Unix milliseconds when one of its keys was sent in vain for the first time. */
  since = 0;
  /** Of its only key, where the connection was closed at that before. */
  closings: Closings | undefined;
  /** Called when commands of a key were answered with errors: they are listed by command. */
  onKeyFailed: ((index: number, errors: readonly (string | undefined)[]) => void) | undefined;
  /** Keys whose replies have come. */
  answered = 0;
  /** Replies of the current key that have come, and the errors among them, by command. */
  private replies = 0;
  private errors: (string | undefined)[] | undefined;
  /** Keys that were told to have arrived. */
  arrived = 0;
  private marks: Uint8Array | undefined;
  private apart = 0;
  /** Where a key begins: the last one that was looked for. */
  private walkedKey = 0;
  private walkedTo = 0;

  constructor(
    readonly listener: KeyListener,
    public bytes: Uint8Array,
    public db: number,
    readonly perKey: number,
  ) {}

  /** Makes sure that `size` bytes fit after `length`. */
  room(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(this.length + size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Up to `count` replies `+OK`. Returns how many were taken. */
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

  /** The next reply. Returns whether it ends a key. */
  takeOne(error: string | undefined, integer: number | undefined): boolean {
    if (error !== undefined) (this.errors ??= [])[this.replies] = error;
    if (integer !== undefined && this.wasThere(this.answered) === undefined) this.setWasThere(this.answered, integer > 0);
    this.replies++;
    if (this.replies < this.perKey) return false;
    this.replies = 0;
    this.answered++;
    return true;
  }

  /** The errors of the key that ended last, by command, if there was one. */
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

  /** The key is dealt with apart from the others. */
  setApart(index: number): void {
    this.mark(index, APART);
    this.apart++;
  }

  isApart(index: number): boolean {
    return this.apart === this.keys || (this.marks !== undefined && (this.marks[index] & APART) !== 0);
  }

  setWasThere(index: number, was: boolean): void {
    this.mark(index, was ? WAS_THERE : WAS_NOT);
  }

  /** Whether its key was there, where that is known. */
  wasThere(index: number): boolean | undefined {
    const mark = this.marks?.[index] ?? 0;
    return (mark & WAS_THERE) !== 0 ? true : (mark & WAS_NOT) !== 0 ? false : undefined;
  }

  /** Tells of the keys that were answered and are not apart: they have arrived. They are apart from then on. */
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

  /** Keys that were answered, and are not apart. */
  get taken(): number {
    return this.answered - this.apart;
  }

  /** The bytes of a key; a view. */
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
