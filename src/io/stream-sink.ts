import type { Writable } from 'node:stream';
import type { ByteSink } from './byte-sink.js';
import { outputFailure } from './output-error.js';

/** Standard output, or any other stream. It is not closed at the end. */
export class StreamSink implements ByteSink {
  private failure: Error | undefined;
  private readonly onError = (error: Error): void => {
    this.failure ??= error;
  };

  constructor(
    private readonly stream: Writable,
    private readonly name = 'standard output',
  ) {
    stream.on('error', this.onError);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.failure !== undefined) throw outputFailure(this.name, this.failure);
    const error = await new Promise<Error | null | undefined>((resolve) => {
      this.stream.write(bytes, resolve);
    });
    if (error) throw outputFailure(this.name, error);
  }

  commit(): Promise<void> {
    this.stream.off('error', this.onError);
    return this.failure === undefined ? Promise.resolve() : Promise.reject(outputFailure(this.name, this.failure));
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
