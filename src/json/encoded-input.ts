import { RdbError } from '../bytes/errors.js';
import { BEGINNING, isRdb, latin } from '../rdb/beginning.js';
import { EOF } from '../rdb/write.js';
import type { Compression, Input } from '../io/input.js';
import { Lines } from '../io/lines.js';
import { LineEncoder, type LineEncoderOptions } from './line-encoder.js';

/** Bytes that are gathered before they are handed on. */
const FULL = 1 << 18;

export interface EncodedOptions extends LineEncoderOptions {
  /** Takes an error of one line, which is left out then. Unless given, the first one is the end. */
  readonly onBadLine?: ((error: RdbError) => void) | undefined;
}

/**
 * JSON lines as an RDB file: what `chunks` gives are the bytes of one that a server loads, without a checksum. Each record is
 * complete before any of it is handed on, so nothing of a bad line is written.
 */
export class EncodedInput implements Input {
  private readonly encoder: LineEncoder;
  private readonly lines: Lines;

  constructor(
    private readonly input: Input,
    private readonly options: EncodedOptions,
  ) {
    this.encoder = new LineEncoder(options);
    this.lines = new Lines(this.encoder);
  }

  get name(): string {
    return this.input.name;
  }

  get size(): number | undefined {
    return this.input.size;
  }

  get ofPayloads(): boolean {
    return this.input.ofPayloads;
  }

  /** Nobody knows before the end. */
  get plainSize(): undefined {
    return undefined;
  }

  get compression(): Compression | undefined {
    return this.input.compression;
  }

  get bytesRead(): number {
    return this.input.bytesRead;
  }

  /** Bytes of JSON understood. */
  get position(): number {
    return this.lines.position;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    const { encoder, lines } = this;
    try {
      for await (const chunk of this.input.chunks()) {
        if (lines.position === 0 && isRdb(latin(chunk, 0, BEGINNING)))
          throw new RdbError('BAD_JSON', {
            file: this.name,
            expected: 'lines of JSON',
            got: 'an RDB file: rdbkit decode makes lines of it',
          });
        lines.push(chunk);
        for (;;) {
          const { error, more } = this.next();
          if (error !== undefined || encoder.rest !== undefined || encoder.out.length > FULL) yield* this.made();
          if (error !== undefined) this.bad(error);
          if (!more) break;
        }
        yield* this.made();
      }
      const error = this.attempt(() => lines.finish());
      encoder.finish();
      yield* this.made();
      if (error !== undefined) this.bad(error);
      yield Uint8Array.of(EOF, 0, 0, 0, 0, 0, 0, 0, 0);
    } finally {
      encoder.close();
    }
  }

  /** One line, or the part of it that was read. More lines may follow a wrong one. */
  private next(): { readonly error: RdbError | undefined; readonly more: boolean } {
    let more = true;
    const error = this.attempt(() => (more = this.lines.next()));
    return { error, more };
  }

  private attempt(work: () => void): RdbError | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      const { number, offset } = this.lines;
      error.offset = offset + (error.offset ?? 0);
      return error.at({ file: this.name, line: number });
    }
  }

  private bad(error: RdbError): void {
    if (this.options.onBadLine === undefined) throw error;
    this.options.onBadLine(error);
  }

  /** What there is, once its header is. */
  private *made(): Generator<Uint8Array, void, void> {
    const { encoder } = this;
    if (!encoder.begun) return;
    const { rest } = encoder;
    encoder.rest = undefined;
    if (encoder.out.length > 0) yield encoder.out.view();
    encoder.out.clear();
    if (rest !== undefined) yield* rest;
  }
}
