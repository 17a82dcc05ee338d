import type { Pending } from './in-flight.js';

/** Replies to commands that are awaited together. */
export class Answers implements Pending {
  /** The first error reply so far, and the last integer reply. */
  error: string | undefined;
  integer = 0;
  private came = 0;
  private onDrained: (() => void) | undefined;
  private readonly result: Promise<this>;
  private resolve!: (answers: this) => void;
  private reject!: (cause: unknown) => void;

  constructor(
    /** Replies due; more may become due later. */
    private due: number,
    /** Whether more commands may follow, so that it is not complete when all replies so far are in. */
    private open = false,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.result.catch(() => undefined); // rethrown where it is awaited
  }

  get complete(): boolean {
    return !this.open && this.came === this.due;
  }

  /** Waits for all replies due so far; more may be sent then. */
  async drained(): Promise<void> {
    if (this.outstanding === 0) return;
    await Promise.race([this.result, new Promise<void>((resolve) => (this.onDrained = resolve))]);
  }

  /** Replies received. */
  get received(): number {
    return this.came;
  }

  private get outstanding(): number {
    return this.due - this.came;
  }

  expect(more: number): void {
    this.due += more;
  }

  /** No more commands follow. */
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

  /** Rejects with the reason why the connection ended. */
  all(): Promise<this> {
    return this.result;
  }
}
