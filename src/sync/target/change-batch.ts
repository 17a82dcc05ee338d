import type { Pending } from '../../redis/in-flight.js';
import type { OtherReply } from '../../redis/replies.js';
import { argsOf, isWord, numberArg } from '../commands/args.js';
import { commandsOfParts } from '../stream-parser.js';

/** A command of a batch that the target refused. */
export interface BatchFailure {
  /** Its place among the commands of the batch. */
  readonly index: number;
  readonly error: string;
}

/** Commands sent together, and what their replies say. Errors are kept, everything else is counted. */
export class ChangeBatch implements Pending {
  readonly failures: BatchFailure[] = [];
  /** The last integer among the replies. */
  integer = 0;
  private came = 0;
  /** Of a MULTI in the batch that is not over: where it began among the commands, -1 for none. */
  private multi = -1;

  constructor(
    /** The bytes sent; they must not change until it is complete. */
    readonly parts: readonly Uint8Array[],
    /** Commands in them. */
    readonly commands: number,
    /** The database that was selected before it. */
    readonly db: number,
    /** Called when all replies are in. */
    readonly onComplete: (batch: ChangeBatch) => void,
  ) {}

  get complete(): boolean {
    return this.came === this.commands;
  }

  takeOks(count: number): number {
    if (count > 0) this.multi = -1; // also where EXEC was refused
    return this.take(count);
  }

  takeQueued(count: number): number {
    if (this.multi < 0) this.multi = this.came - 1;
    return this.take(count);
  }

  private take(count: number): number {
    const taken = Math.min(count, this.commands - this.came);
    this.came += taken;
    return taken;
  }

  takeReply(error: string | undefined, integer: number | undefined, other?: OtherReply): void {
    const index = this.came++;
    if (integer !== undefined) {
      this.integer = integer;
      this.multi = -1;
    }
    if (error !== undefined) this.failures.push({ index, error });
    if (typeof other === 'object' && other.errors.length > 0) {
      const { multi } = this; // by EXEC; else by a script
      for (const { index: at, text } of other.errors) this.failures.push({ index: multi < 0 ? index : multi + 1 + at, error: text });
    }
    if (typeof other === 'object' || error?.startsWith('EXECABORT') === true) this.multi = -1;
  }

  /** The places of the commands between MULTI and an EXEC. */
  unitBefore(exec: number): number[] {
    const places: number[] = [];
    for (let at = exec - 1; at >= 0 && !isNamed(this.commandAt(at).args, 'multi'); at--) places.push(at);
    return places.reverse();
  }

  /** The arguments of a command, copied, and the database that it was for. */
  commandAt(index: number): { args: Uint8Array[]; db: number } {
    let { db } = this;
    let at = 0;
    for (const command of commandsOfParts(this.parts)) {
      if (at++ === index) return { args: argsOf(command), db };
      if (command.args === 2 && isWord(command, 0, 'select')) db = numberArg(command, 1);
    }
    throw new RangeError(`a batch of ${this.commands} commands has none at ${index}`);
  }
}

export const isNamed = ([word]: readonly Uint8Array[], name: string): boolean =>
  Buffer.from(word).toString('latin1').toLowerCase() === name;
