import type { ByteBuilder } from '../bytes/builder.js';
import { Element, INT, LZF } from '../encodings/element.js';
import { LISTPACK_HEADER, type ListpackWriter, readListpack } from '../encodings/listpack.js';
import type { Frame } from '../rdb/frame.js';
import { readLength } from '../rdb/length.js';
import { readString, Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import { addBytes } from '../rdb/write-string.js';

/**
 * After an entry of 16383, 2097151 or 268435455 bytes, servers wrote one byte more than needed, until Valkey 9.1 (valkey #3601) and
 * Redis 8.8 (redis #15151). They find the next entry by what they would have written, so each misreads the other's form: Valkey
 * 9.1.2 answers "Bad data format" if it sanitizes payloads, and otherwise continues with the wrong bytes. So a listpack with such
 * an entry is rewritten for a server of the other kind.
 */

/** Listpacks up to this size have no such entry. */
export const LARGEST_SAFE = 0x3fff;
/** Bytes of such an entry with its backward length, in the older and in the newer, wide form; no other entries have these sizes. */
const NARROW: readonly number[] = [16_386, 2_097_155, 268_435_460];
const WIDE: readonly number[] = [16_385, 2_097_154, 268_435_459];

/** Lengths of the strings in such entries. */
export const BORDER_STRINGS: ReadonlySet<number> = new Set([16_378, 2_097_146, 268_435_450]);

const element = new Element();
const entry = new Element();
const scratch = new Scratch();
const length = { value: 0, hi: 0, lo: 0 };

/** Reads the string at `pos`. If it is a listpack that the target misreads, it is in `element` afterwards. */
function misread(bytes: Uint8Array, pos: number, end: number, wide: boolean): boolean {
  const next = readString(bytes, pos, end, element);
  if (next < 0 || element.kind === INT) return false;
  if ((element.kind === LZF ? element.num : element.end - element.start) <= LARGEST_SAFE) return false;
  scratch.inflate(element);
  const other = wide ? NARROW : WIDE;
  for (let at = element.start + LISTPACK_HEADER; at < element.end - 1; ) {
    const after = readListpack(element.bytes, at, element.end - 1, entry);
    if (after < 0) return false;
    if (other.includes(after - at)) return true;
    at = after;
  }
  return false;
}

/** Copies the string at `pos`, which is a listpack, or rewrites it for the target. Returns the position after it, or -1. */
export function copyListpack(out: ByteBuilder, writer: ListpackWriter, wide: boolean, bytes: Uint8Array, pos: number, end: number): number {
  const next = readString(bytes, pos, end, entry);
  if (next < 0) return -1;
  if (!misread(bytes, pos, end, wide)) {
    out.copy(bytes, pos, next);
    return next;
  }
  writer.begin();
  for (let at = element.start + LISTPACK_HEADER; at >= 0 && at < element.end - 1; ) {
    at = readListpack(element.bytes, at, element.end - 1, entry);
    writer.add(entry);
  }
  const again = writer.finish();
  addBytes(out, again, 0, again.length);
  return next;
}

/** Whether values of this type have listpacks that a target may misread. */
export function hasListpacks({ form }: TypeRow): boolean {
  return form === 'listpack' || form === 'listpack-ex' || form === 'quicklist2' || form === 'stream';
}

/** The positions of the listpack strings of a value. */
function* listpacksOf({ bytes, end, start, type }: Frame): Generator<number> {
  let pos = start;
  switch (type.form) {
    case 'listpack':
      yield pos;
      break;
    case 'listpack-ex':
      yield type.id < 24 ? pos : pos + 8; // the least expiry
      break;
    case 'quicklist2':
    case 'stream': {
      pos = readLength(bytes, pos, end, length);
      for (let nodes = length.value; nodes > 0; nodes--) {
        const inStream = type.form === 'stream';
        pos = inStream ? readString(bytes, pos, end, entry) : readLength(bytes, pos, end, length); // key, or container
        if (inStream || length.value === 2) yield pos;
        pos = readString(bytes, pos, end, entry);
      }
      break;
    }
    default: // no listpacks
  }
}

/** Whether a value of a type that the target reads contains listpacks that it misreads. */
export function hasMisreadListpacks(frame: Frame, wide: boolean): boolean {
  if (frame.end - frame.start <= LARGEST_SAFE && !mayBeCompressed(frame)) return false;
  for (const pos of listpacksOf(frame)) if (misread(frame.bytes, pos, frame.end, wide)) return true;
  return false;
}

/** LZF makes at most 264 bytes of 3. */
function mayBeCompressed({ end, start }: Frame): boolean {
  return end - start > Math.floor(LARGEST_SAFE / 88);
}

/** Copies a value with its listpacks in the target's form. */
export function copyWithListpacks(out: ByteBuilder, writer: ListpackWriter, wide: boolean, frame: Frame): void {
  let copied = frame.start;
  for (const pos of listpacksOf(frame)) {
    out.copy(frame.bytes, copied, pos);
    copied = copyListpack(out, writer, wide, frame.bytes, pos, frame.end);
  }
  out.copy(frame.bytes, copied, frame.end);
}
