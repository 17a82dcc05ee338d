import type { Compression, Input } from './input.js';

/** An input that gives what another one does, unless told otherwise. */
export abstract class ThroughInput implements Input {
  constructor(protected readonly input: Input) {}

  get name(): string {
    return this.input.name;
  }

  get size(): number | undefined {
    return this.input.size;
  }

  get compression(): Compression | undefined {
    return this.input.compression;
  }

  get plainSize(): number | undefined {
    return this.input.plainSize;
  }

  get ofPayloads(): boolean {
    return this.input.ofPayloads;
  }

  get bytesRead(): number {
    return this.input.bytesRead;
  }

  get pass(): Input['pass'] {
    return this.input.pass;
  }

  abstract chunks(): AsyncGenerator<Uint8Array, void, void>;
}
