import type { Pending } from './in-flight.js';

/** Replies to commands that are waited for as a whole. */
export class Answers implements Pending {
  /** The first error among them, and the last integer. */
  error: string | undefined;
  integer = 0;
  private came = 0;
  private onDrained: (() => void) | undefined;
  private readonly result: Promise<this>;
  private resolve!: (answers: this) => void;
  private reject!: (cause: unknown) => void;

  constructor(
    /** Replies that are due; more may become due before the last one has come. */
    private due: number,
    /** Whether there is more to send, so that it is not over when all replies have come. */
    private open = false,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.result.catch(() => undefined); // it is thrown where it is awaited
  }

  get complete(): boolean {
    return !this.open && this.came === this.due;
  }

  /** Until all replies that are due have come; more may be sent then. */
  async drained(): Promise<void> {
    if (this.outstanding === 0) return;
    await Promise.race([this.result, new Promise<void>((resolve) => (this.onDrained = resolve))]);
  }

  /** Replies that have come. */
  get received(): number {
    return this.came;
  }

  private get outstanding(): number {
    return this.due - this.came;
  }

  expect(more: number): void {
    this.due += more;
  }

  /** Nothing more is sent. */
  close(): void {
    this.open = false;
    if (this.complete) this.resolve(this);
  }

  takeOks(): number {
    this.takeReply(undefined, undefined);
    return 1;
  }

  takeReply(error: string | undefined, integer: number | undefined): void {
    if (this.outstanding === 0) throw new SyntaxError('a reply came that nothing was sent for');
    this.came++;
    this.error ??= error;
    this.integer = integer ?? 0;
    if (this.outstanding === 0) this.onDrained?.();
    if (this.complete) this.resolve(this);
  }

  takeError(): string | undefined {
    const { error } = this;
    this.error = undefined;
    return error;
  }

  fail(cause: unknown): void {
    this.reject(cause);
  }

  /** Rejects with what ended the connection. */
  all(): Promise<this> {
    return this.result;
  }
}
