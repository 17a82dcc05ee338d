import { ByteBuilder } from './builder.js';

/** The bytes of the pieces, in blocks of `size` (the last may be shorter). A block is borrowed until the next one is requested. */
export function* blocks(pieces: Iterable<Uint8Array>, size: number): Generator<Uint8Array, void, void> {
  const held = new ByteBuilder();
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const end = Math.min(piece.length, at + size - held.length);
      held.copy(piece, at, end);
      at = end;
      if (held.length < size) continue;
      yield held.view();
      held.clear();
    }
  }
  if (held.length > 0) yield held.view();
}
