import type { Answers } from './answers.js';
import { encodeCommand } from './commands.js';

/** A connection that somebody has for himself. */
export class ExclusiveConnection {
  constructor(
    private readonly answers: Answers,
    private readonly put: (bytes: Uint8Array) => Promise<void>,
    /** Of the server at the other end: see ServerProcess. */
    readonly runId: string,
  ) {}

  /** Writes bytes of commands; they must not change until this is over. `commands` of them begin there. */
  async write(bytes: Uint8Array, commands: number): Promise<void> {
    this.answers.expect(commands);
    await this.put(bytes);
  }

  /** The first error so far of what was written. */
  get error(): string | undefined {
    return this.answers.error;
  }

  /** Replies that have come. */
  get received(): number {
    return this.answers.received;
  }

  /** Until all replies so far have come. */
  drained(): Promise<void> {
    return this.answers.drained();
  }

  /** Waits for all replies so far, sends a command, and waits for its reply: the text of an error, or the integer where it is one. */
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

  /** Nothing more is sent; waits for all replies. */
  async end(): Promise<void> {
    this.answers.close();
    await this.answers.all();
  }
}
