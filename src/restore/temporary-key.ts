import { keySlot } from '../bytes/crc16.js';
import { ascii } from '../json/writer.js';

/** By slot: a hash tag that belongs to it, as far as they were looked for. */
const tags = new Map<number, string>();
let tried = 0;

function tagOf(slot: number): string {
  for (let tag = tags.get(slot); ; tag = tags.get(slot)) {
    if (tag !== undefined) return tag;
    const text = `${tried++}`;
    const found = keySlot(ascii(text), 0, text.length);
    if (!tags.has(found)) tags.set(found, text);
  }
}

/** The key that a value is built under before it gets its own; `slot` is undefined if there is only one server. */
export function temporaryKey(slot: number | undefined, suffix = ''): Uint8Array {
  return ascii(`rdbkit:${slot === undefined ? '' : `{${tagOf(slot)}}:`}restoring${suffix}`);
}
