/** The same bytes as a plain Uint8Array, whose `slice` copies them: that of a Buffer does not. */
export const plain = (bytes: Uint8Array): Uint8Array =>
  bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
