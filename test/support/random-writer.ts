import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { RandomWrites, type RandomWritesOptions } from './random-writes.js';
import { RespWriter } from './resp-writer.js';

export interface WriterOptions extends RandomWritesOptions {
  /** Of the server. */
  readonly port: number;
  /** As many, without those of the blocking clients; until `signal` where there is no number. */
  readonly count?: number;
  /** Clients that wait for lists, sorted sets and streams, each with one command after another. */
  readonly blockers?: number;
  readonly perSecond?: number;
  readonly signal?: AbortSignal;
}

export interface Written {
  /** Commands that were answered. */
  commands: number;
  /** Those answered by an error, by its first word. */
  readonly errors: Map<string, number>;
}

/** Bytes that are sent before the replies are waited for. */
const BATCH = 64 << 10;

/** Writes at random, in a pipeline, with blocking clients beside it. All commands are answered when it returns. */
export async function writeRandomly({ count = Infinity, blockers = 2, signal, ...options }: WriterOptions): Promise<Written> {
  const over = new AbortController();
  const waiting = Array.from({ length: blockers }, (_, i) =>
    block({ ...options, seed: (options.seed ?? 1) * 1000 + i + 1, signal: over.signal }),
  );
  for (const client of waiting) client.catch(() => undefined); // it is awaited at the end
  try {
    return await pour({ ...options, count, ...(signal !== undefined && { signal }) });
  } finally {
    over.abort();
    await Promise.all(waiting);
  }
}

async function pour({ count = Infinity, perSecond = Infinity, port, signal, ...options }: WriterOptions): Promise<Written> {
  const writes = new RandomWrites(options);
  const link = await WriterLink.open(port);
  const out = new RespWriter();
  try {
    link.send(out, writes.prepare(out));
    const { written } = link;
    const begun = performance.now();
    let sent = 0;
    while (sent < count && signal?.aborted !== true) {
      const most = Math.min(count, (perSecond * (performance.now() - begun + 10)) / 1000);
      let replies = 0;
      while (out.size < BATCH && sent + replies < most) replies += writes.next(out);
      if (replies === 0) await delay(1);
      link.send(out, replies);
      sent += replies;
      await link.answered(1);
    }
    await link.answered(0);
    return written;
  } finally {
    link.close();
  }
}

async function block({ port, signal, ...options }: WriterOptions): Promise<void> {
  const writes = new RandomWrites(options);
  const link = await WriterLink.open(port);
  const out = new RespWriter();
  try {
    while (signal?.aborted !== true) {
      link.send(out, writes.nextBlocking(out));
      await link.answered(0);
    }
  } finally {
    link.close();
  }
}

/** A connection that counts replies of RESP 2. */
class WriterLink {
  readonly written: Written = { commands: 0, errors: new Map() };
  /** Replies that are expected, for each batch in flight. */
  private readonly inFlight: number[] = [];
  /** Values that the reply that has begun still lacks; none has begun where it is 0. */
  private lacking = 0;
  /** Bytes of a string that are still to come. */
  private left = 0;
  private line = '';
  private failure: Error | undefined;
  private wake: () => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the server closed the connection')));
  }

  static open(port: number): Promise<WriterLink> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new WriterLink(socket)));
      socket.once('error', reject);
    });
  }

  send(out: RespWriter, replies: number): void {
    if (replies === 0) return;
    this.inFlight.push(replies);
    this.socket.write(out.take());
  }

  /** Until at most this many batches are unanswered. */
  async answered(batches: number): Promise<void> {
    while (this.inFlight.length > batches) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  close(): void {
    this.socket.removeAllListeners('close');
    this.socket.destroy();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake();
  }

  private take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const step = Math.min(this.left, chunk.length - at);
      this.left -= step;
      at += step;
      if (at === chunk.length) break;
      const end = chunk.indexOf(0x0a, at);
      this.line += chunk.toString('latin1', at, end < 0 ? chunk.length : end + 1);
      if (end < 0) break;
      at = end + 1;
      this.value(this.line);
      this.line = '';
    }
    this.wake();
  }

  private value(line: string): void {
    if (this.lacking === 0) this.lacking = 1;
    this.lacking--;
    const size = Number(line.slice(1, -2));
    if (line.startsWith('*') && size > 0) this.lacking += size;
    if (line.startsWith('$') && size >= 0) this.left = size + 2;
    if (line.startsWith('-')) {
      const [word] = line.slice(1, -2).split(' ', 1);
      this.written.errors.set(word, (this.written.errors.get(word) ?? 0) + 1);
    }
    if (this.lacking === 0) this.reply();
  }

  private reply(): void {
    this.written.commands++;
    this.inFlight[0]--;
    if (this.inFlight[0] === 0) this.inFlight.shift();
  }
}
