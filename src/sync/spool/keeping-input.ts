import type { Input } from '../../io/input.js';
import { OutputError } from '../../io/output-error.js';
import { ThroughInput } from '../../io/through-input.js';
import { Signal } from '../../redis/signal.js';
import type { KeptCopy, KeptFile, KeptMark } from './kept-copy.js';

export interface KeepingOptions {
  readonly kept: KeptCopy;
  /** What the copy is; asked for when it has come. */
  readonly mark: () => KeptMark;
  /** Makes the buffer that the chunks are in. */
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** All bytes of the copy are in its file, which has this size. */
  readonly onKept: (bytes: number) => void;
  /** It cannot be kept. */
  readonly onGivenUp: (error: OutputError) => void;
}

const CHUNK = 1 << 20;

/**
 * Writes the RDB that a server sends to a file, as fast as it comes, and gives what is in the file: so the server is done with it early,
 * however slow the reader is. Where the file cannot grow further, it is no more than a buffer between the two: a server that waited until
 * the reader has read all of it would end the transfer.
 */
export class KeepingInput extends ThroughInput {
  private given = 0;
  /** The end of the last chunk, which the file cannot take. */
  private rest: Uint8Array = NOTHING;
  /** `buffered`: it comes, and is not kept; `direct`: what is in the file is followed by `rest`, and by what comes then. */
  private state: 'coming' | 'buffered' | 'direct' | 'whole' | 'ended' | 'failed' = 'coming';
  private failure: unknown;
  /** What is being done with the file. */
  private busy: Promise<void> | undefined;
  private stopped = false;
  private readonly more = new Signal();
  private readonly less = new Signal();

  constructor(
    input: Input,
    private readonly options: KeepingOptions,
  ) {
    super(input);
  }

  /** Bytes that were given. */
  override get bytesRead(): number {
    return this.given;
  }

  override async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    const source = this.input.chunks();
    const file = await this.options.kept.create().catch((error: unknown) => {
      this.state = 'direct';
      this.giveUp(error);
    });
    try {
      if (file !== undefined) yield* this.throughFile(source, file);
      if (this.rest.length > 0) yield this.counted(this.rest);
      if (this.state === 'direct') for await (const chunk of source) yield this.counted(chunk);
    } finally {
      void source.return(undefined).catch(() => undefined); // it may be waiting for the server, which is not waited for
    }
  }

  private async *throughFile(source: AsyncGenerator<Uint8Array, void, void>, file: KeptFile): AsyncGenerator<Uint8Array, void, void> {
    const buffer = this.options.allocate?.(CHUNK) ?? new Uint8Array(CHUNK);
    void this.fill(source, file);
    try {
      for (;;) {
        if (this.state === 'failed') throw this.failure; // at once: what has come already may take a slow target hours
        if (this.given < file.size) {
          const chunk = this.counted(await file.read(buffer, this.given));
          this.less.fire();
          yield chunk;
        } else if (this.isFilling) await this.more.wait();
        else return;
      }
    } finally {
      this.stopped = true;
      this.less.fire();
      await this.busy;
      if (this.state !== 'whole') await file.remove();
      await file.close();
    }
  }

  private get isFilling(): boolean {
    return this.state === 'coming' || this.state === 'buffered';
  }

  private counted(chunk: Uint8Array): Uint8Array {
    this.given += chunk.length;
    return chunk;
  }

  /** Never rejects. */
  private async fill(source: AsyncGenerator<Uint8Array, void, void>, file: KeptFile): Promise<void> {
    try {
      while (this.isFilling) {
        const next = await source.next();
        if (this.stopped) return;
        this.busy = next.done === true ? this.finish(file) : this.add(file, next.value);
        await this.busy;
        this.more.fire();
      }
    } catch (error) {
      this.state = 'failed';
      this.failure = error;
      this.more.fire();
    }
  }

  private async add(file: KeptFile, chunk: Uint8Array): Promise<void> {
    const before = file.size;
    if (this.state === 'coming') {
      try {
        if (before === 0) await file.assertRoom(this.size ?? 0);
        await file.write(chunk);
        return;
      } catch (error) {
        this.giveUp(error);
        await file.wrap();
      }
    }
    this.state = file.capacity < CHUNK ? 'direct' : 'buffered';
    try {
      while (this.state === 'buffered' && file.size - before < chunk.length) {
        const room = file.capacity - (file.size - this.given);
        const at = file.size - before;
        if (room > 0) await file.write(chunk.subarray(at, at + room));
        else await this.less.wait();
        if (this.stopped) return;
        this.more.fire();
      }
    } catch (error) {
      if (!(error instanceof OutputError)) throw error;
      this.state = 'direct';
    }
    this.rest = chunk.subarray(file.size - before);
  }

  private async finish(file: KeptFile): Promise<void> {
    if (this.state === 'buffered') {
      this.state = 'ended';
      return;
    }
    try {
      await file.commit(this.options.mark());
      this.state = 'whole';
      this.options.onKept(file.size);
    } catch (error) {
      this.state = 'ended';
      this.giveUp(error);
      await file.remove();
    }
  }

  /** Says it. */
  private giveUp(error: unknown): void {
    if (!(error instanceof OutputError)) throw error;
    this.options.onGivenUp(error);
  }
}

const NOTHING = new Uint8Array(0);
