/*
 * A DataView reads and writes four bytes at any position as one machine instruction, where byte by byte takes four loads
 * and four bounds checks. Making a view costs as much as copying some hundred bytes, and the hot loops work on the same
 * few buffers again and again: the last two are remembered.
 */
const NONE = new Uint8Array(0);
let bytesA: Uint8Array = NONE;
let viewA: DataView = new DataView(NONE.buffer);
let bytesB: Uint8Array = NONE;
let viewB = viewA;

/** The view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes === bytesA) return viewA;
  if (bytes === bytesB) return viewB;
  bytesB = bytesA;
  viewB = viewA;
  bytesA = bytes;
  viewA = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return viewA;
}
