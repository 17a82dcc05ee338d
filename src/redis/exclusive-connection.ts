import type { Answers } from './answers.js';
import { encodeCommand } from './commands.js';

/** A connection in exclusive use. */
export class ExclusiveConnection {
  constructor(
    private readonly answers: Answers,
    private readonly put: (bytes: Uint8Array) => Promise<void>,
    /** Of the connected server: see ServerProcess. */
    readonly runId: string,
  ) {}

  /** Writes bytes of commands, which must not change until it resolves. `commands`: how many commands begin in them. */
  async write(bytes: Uint8Array, commands: number): Promise<void> {
    this.answers.expect(commands);
    await this.put(bytes);
  }

  /** The first error reply so far to what was written. */
  get error(): string | undefined {
    return this.answers.error;
  }

  /** Replies received. */
  get received(): number {
    return this.answers.received;
  }

  /** Waits for all replies due so far. */
  drained(): Promise<void> {
    return this.answers.drained();
  }

  /** Waits for all replies due, sends a command, and returns its reply: the text of an error, or the integer. */
  async ask(...command: (string | Uint8Array)[]): Promise<string | number> {
    const { answers } = this;
    await answers.drained();
    const before = answers.takeError();
    await this.write(encodeCommand(command), 1);
    await answers.drained();
    const error = answers.takeError();
    answers.error = before;
    return error ?? answers.integer;
  }

  /** No more commands follow; waits for all replies. */
  async end(): Promise<void> {
    this.answers.close();
    await this.answers.all();
  }
}
