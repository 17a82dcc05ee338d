import { RdbError } from '../../bytes/errors.js';
import { Element, INT } from '../../encodings/element.js';
import { LISTPACK_HEADER, openListpack, readListpack } from '../../encodings/listpack.js';
import type { Frame } from '../../rdb/frame.js';
import { type Length, readLength } from '../../rdb/length.js';
import { readString, Scratch } from '../../rdb/string.js';
import type { Items } from '../items.js';
import type { OwnForm } from '../own-form.js';

const length: Length = { value: 0, hi: 0, lo: 0 };
const element = new Element();
const scratch = new Scratch();

/**
 * A hash with the field names in a template (redis 8.10): types 30 and 32 refer to a template of the file, 29 and 31 contain the
 * names; the values follow in the order of the names, as strings or as a listpack whose first entry is the template's number. No server
 * of this version was available: the layout is from the sources (see docs/compatibility.md).
 */
export const templateHash: OwnForm<Items> = {
  whole(handler: Items, { templates, type }: Frame, bytes: Uint8Array, start: number, end: number): void {
    let names: readonly Uint8Array[] | undefined;
    let pos = start;
    if (type.form === 'template' || type.form === 'template-listpack') {
      [names, pos] = ownNames(bytes, pos, end);
    } else if (type.form === 'template-ref') {
      pos = readLength(bytes, pos, end, length);
      names = templates.get(length.value);
    }
    if (type.form === 'template' || type.form === 'template-ref') {
      for (const name of names ?? []) {
        pos = readString(bytes, pos, end, element);
        handler.pair?.(bytesElement(name), element, 0);
      }
      return;
    }
    const values = listpackEntries(bytes, pos, end);
    const number = values.at(0);
    if (number?.kind !== INT) throw new RdbError('BAD_TEMPLATE', { within: pos, expected: 'the number of a template', got: 'no number' });
    names ??= templates.get(number.num);
    if (names?.length !== values.length - 1) {
      const expected = names === undefined ? 'a template defined before' : `${names.length} values`;
      throw new RdbError('BAD_TEMPLATE', { within: pos, expected, got: `template ${number.num} with ${values.length - 1} values` });
    }
    names.forEach((name, i) => handler.pair?.(bytesElement(name), values[i + 1], 0));
  },
};

function bytesElement(bytes: Uint8Array): Element {
  const copy = new Element();
  copy.bytes = bytes;
  copy.end = bytes.length;
  return copy;
}

function ownNames(bytes: Uint8Array, start: number, end: number): [Uint8Array[], number] {
  let pos = readLength(bytes, start, end, length);
  if (length.value === 0) {
    const next = readString(bytes, pos, end, element);
    return [listpackEntries(bytes, pos, end).map((entry) => textBytes(entry)), next];
  }
  pos = readLength(bytes, pos, end, length);
  const names: Uint8Array[] = [];
  for (let left = length.value; left > 0; left--) {
    pos = readString(bytes, pos, end, element);
    names.push(textBytes(element));
  }
  return [names, pos];
}

/** The entries of the listpack string at `pos`, copied. */
function listpackEntries(bytes: Uint8Array, pos: number, end: number): Element[] {
  const box = new Element();
  readString(bytes, pos, end, box);
  new Scratch().inflate(box);
  openListpack(box.bytes, box.start, box.end);
  const entries: Element[] = [];
  for (let at = box.start + LISTPACK_HEADER; at < box.end - 1; ) {
    const entry = new Element();
    at = readListpack(box.bytes, at, box.end - 1, entry);
    if (at < 0) throw new RdbError('BAD_LISTPACK', { within: box.start, expected: 'a whole element', got: 'the end of the listpack' });
    entries.push(entry);
  }
  return entries;
}

function textBytes(entry: Element): Uint8Array {
  scratch.text(entry);
  return entry.bytes.slice(entry.start, entry.end);
}
