import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ConnectionClosed, ConnectionLost, reasonOf } from './errors.js';

/** Bytes to read ahead of who pulls; then the socket is paused. */
const READ_AHEAD = 1 << 20;
/** The longest error that Redis sends is about a quarter of it. */
const MAX_LINE = 4096;
const LF = 0x0a;

export interface PulledSocketOptions {
  /** Milliseconds without a byte, while somebody waits for one, after which the connection counts as lost. */
  readonly patience: number;
  /** Ends it: what waits rejects with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of a socket, as they are asked for; one reader at a time. What had arrived before the connection ended can still be
 * read. Reading then throws ConnectionClosed, or ConnectionLost if the server was silent for too long.
 */
export class PulledSocket {
  private readonly queue: Buffer[] = [];
  /** Bytes read from the first chunk of the queue. */
  private at = 0;
  private queued = 0;
  /** Why no more bytes come. */
  private endedBy: Error | undefined;
  private aborted = false;
  private wake: (() => void) | undefined;
  /** Since when the socket is paused because nobody pulls (`performance.now()`); 0 if it is not. */
  private pausedAt = 0;
  private longest = 0;

  /** `socket` is paused, and nothing else listens to it. */
  constructor(
    private readonly socket: Duplex,
    private readonly options: PulledSocketOptions,
  ) {
    const { signal } = options;
    socket.on('data', (chunk: Buffer) => this.arrived(chunk));
    socket.on('error', (error) => this.ended(new ConnectionClosed(reasonOf(error), { cause: error })));
    for (const event of ['end', 'close'] as const) socket.on(event, () => this.ended(new ConnectionClosed('the connection was closed')));
    if (socket.destroyed) this.ended(new ConnectionClosed('the connection was closed'));
    signal?.addEventListener('abort', this.abort);
    if (signal?.aborted === true) this.abort();
    socket.resume();
  }

  private readonly abort = (): void => {
    this.aborted = true;
    this.endedBy = this.options.signal?.reason as Error;
    this.close();
    this.wake?.();
  };

  private arrived(chunk: Buffer): void {
    this.queue.push(chunk);
    this.queued += chunk.length;
    if (this.queued >= READ_AHEAD && this.pausedAt === 0) {
      this.pausedAt = performance.now();
      this.socket.pause();
    }
    this.wake?.();
  }

  private ended(reason: Error): void {
    this.endedBy ??= reason;
    this.wake?.();
  }

  /** Milliseconds of the longest time that the server had to wait because nobody read. */
  get longestPause(): number {
    return Math.max(this.longest, this.pausedAt === 0 ? 0 : performance.now() - this.pausedAt);
  }

  /** Resolves when there is a byte. */
  private async ready(): Promise<void> {
    while (this.queue.length === 0 || this.aborted) {
      if (this.endedBy !== undefined) throw this.endedBy;
      await this.change();
    }
  }

  private change(): Promise<void> {
    const { patience } = this.options;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.ended(new ConnectionLost(`no byte came for ${Math.round(patience / 1000)} s`));
        this.close();
      }, patience);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
    });
  }

  /** Bytes were taken from the first chunk. */
  private took(count: number): void {
    this.at += count;
    this.queued -= count;
    if (this.at === this.queue[0].length) {
      this.queue.shift();
      this.at = 0;
    }
    if (this.pausedAt === 0 || this.queued > READ_AHEAD / 2) return;
    this.longest = this.longestPause;
    this.pausedAt = 0;
    this.socket.resume();
  }

  /** Copies bytes that have arrived, waiting for the first one. Returns how many. */
  async read(into: Uint8Array): Promise<number> {
    await this.ready();
    let count = 0;
    while (this.queue.length > 0 && count < into.length) {
      const step = Math.min(this.queue[0].length - this.at, into.length - count);
      into.set(this.queue[0].subarray(this.at, this.at + step), count);
      this.took(step);
      count += step;
    }
    return count;
  }

  /** The next bytes, at least one; they are the caller's. A plain Uint8Array. */
  async next(): Promise<Uint8Array> {
    await this.ready();
    const { buffer, byteOffset, length } = this.queue[0];
    const bytes = new Uint8Array(buffer, byteOffset + this.at, length - this.at);
    this.took(bytes.length);
    return bytes;
  }

  /** Puts bytes back that were read: the next ones are these. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.at > 0) this.queue[0] = this.queue[0].subarray(this.at);
    this.at = 0;
    this.queue.unshift(Buffer.from(bytes));
    this.queued += bytes.length;
  }

  /** The next line as latin-1, without its end. Throws RangeError if it is too long. */
  async line(): Promise<string> {
    let text = '';
    for (;;) {
      await this.ready();
      const chunk = this.queue[0];
      const end = chunk.indexOf(LF, this.at);
      text += chunk.toString('latin1', this.at, end < 0 ? undefined : end);
      this.took((end < 0 ? chunk.length : end + 1) - this.at);
      if (text.length > MAX_LINE) throw new RangeError(`a line of more than ${MAX_LINE} bytes`);
      if (end >= 0) return text.endsWith('\r') ? text.slice(0, -1) : text;
    }
  }

  /** The bytes must not change. What fails is seen by who reads. */
  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Closes the socket. What has arrived can still be read. */
  close(): void {
    this.options.signal?.removeEventListener('abort', this.abort);
    this.ended(new ConnectionLost('closed'));
    this.socket.destroy();
  }

  /** Waits this many milliseconds for the server to close; nothing is read any more. The process may end meanwhile. */
  closeAfter(milliseconds: number): void {
    const { socket } = this;
    this.options.signal?.removeEventListener('abort', this.abort);
    this.ended(new ConnectionLost('closed'));
    if (socket.destroyed || socket.readableEnded) return void socket.destroy();
    socket.removeAllListeners('data');
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), milliseconds).unref();
    for (const event of ['end', 'close'] as const) {
      socket.once(event, () => {
        clearTimeout(timer);
        socket.destroy();
      });
    }
    if (socket instanceof Socket) socket.unref();
  }
}
