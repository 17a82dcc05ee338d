import { ByteBuilder } from '../bytes/builder.js';

/** Gives bytes that come in pieces to a reader that takes whole elements, and keeps for it what it has left. */
export class Pieces {
  private readonly held = new ByteBuilder();

  /** `take` returns where it stopped. */
  constructor(private readonly take: (bytes: Uint8Array, start: number, end: number) => number) {}

  add(bytes: Uint8Array, start: number, end: number): void {
    const { held } = this;
    if (held.length === 0) {
      held.copy(bytes, this.take(bytes, start, end), end);
      return;
    }
    held.copy(bytes, start, end);
    const stop = this.take(held.bytes, 0, held.length);
    if (stop === 0) return;
    held.bytes.copyWithin(0, stop, held.length);
    held.length -= stop;
  }
}
