import { formatText } from '../bytes/text.js';
import { DOUBLE, Element, INT64, uint32 } from '../encodings/element.js';
import type { Frame } from '../rdb/framer.js';
import { type Length, readLength } from '../rdb/length.js';
import { readString, Scratch } from '../rdb/string.js';
import type { OpcodeRow } from '../rdb/types.js';
import { MODULE_EOF, MODULE_SINT, MODULE_STRING, MODULE_UINT, moduleType, readModulePart } from '../values/module.js';

/*
 * Records that are no keys, as JSON values: they are few, so plain objects serve. 64-bit integers that a double does not
 * hold, and all of a module, are texts.
 */

export const MODULE_PART_NAMES: readonly string[] = ['eof', 'sint', 'uint', 'float', 'double', 'string'];

type Json = string | number | null | Json[] | { [name: string]: Json };

/** The JSON object of a META frame, or undefined for one that has none (RESIZEDB is a hint about sizes, not data). */
export function metaJson(frame: Frame): { [name: string]: Json } {
  const opcode = frame.opcode as OpcodeRow;
  const reader = new MetaReader(frame.bytes, frame.start, frame.end);
  switch (opcode.name) {
    case 'AUX':
      return { type: 'aux', key: reader.text(), value: reader.text() };
    case 'RESIZEDB':
      return { type: 'resizeDb', db: frame.db, keys: reader.number(), expires: reader.number() };
    case 'SLOT_INFO':
      return { type: 'slotInfo', slot: reader.number(), keys: reader.number(), expires: reader.number() };
    case 'SLOT_IMPORT':
      return { type: 'slotImport', job: reader.text(), slots: reader.list(() => [reader.number(), reader.number()]) };
    case 'FUNCTION2':
      return { type: 'function', value: reader.text() };
    case 'FUNCTION_PRE_GA': {
      const name = reader.text();
      const engine = reader.text();
      const description = reader.number() === 0 ? null : reader.text();
      return { type: 'function', name, engine, description, value: reader.text() };
    }
    case 'MODULE_AUX': {
      const type = moduleType(reader.length());
      reader.number(); // the opcode UINT of `when`
      const when = reader.number();
      return { type: 'moduleAux', module: type.name, version: type.version, when, parts: reader.moduleParts() };
    }
    case 'HASH_TEMPLATE':
      return { type: 'hashTemplate', id: reader.number(), fields: reader.list(() => reader.text()) };
    default:
      return { type: opcode.name };
  }
}

/** KEY_META (redis 8.6): what modules attached to a key, per module class. */
export function keyMetaJson(bytes: Uint8Array): Json {
  const reader = new MetaReader(bytes, 0, bytes.length);
  return reader.list(() => {
    const spec = reader.uint32();
    return { module: className(spec), version: (spec >>> 3) & 31, flags: spec & 7, parts: reader.moduleParts() };
  });
}

/** Four characters of 6 bits, the first in the highest ones (redis keymeta.c). */
function className(spec: number): string {
  const charset = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return [26, 20, 14, 8].map((shift) => charset[(spec >>> shift) & 63]).join('');
}

class MetaReader {
  private readonly element = new Element();
  private readonly scratch = new Scratch();
  private readonly read: Length = { value: 0, hi: 0, lo: 0 };

  constructor(
    private readonly bytes: Uint8Array,
    private pos: number,
    private readonly end: number,
  ) {}

  text(): string {
    this.pos = readString(this.bytes, this.pos, this.end, this.element);
    return this.elementText();
  }

  private elementText(): string {
    this.scratch.text(this.element);
    return formatText(this.element.bytes, this.element.start, this.element.end);
  }

  length(): Length {
    this.pos = readLength(this.bytes, this.pos, this.end, this.read);
    return this.read;
  }

  number(): number {
    return this.length().value;
  }

  uint32(): number {
    this.pos += 4;
    return uint32(this.bytes, this.pos - 4);
  }

  list<T extends Json>(item: () => T): T[] {
    const items: T[] = [];
    for (let left = this.number(); left > 0; left--) items.push(item());
    return items;
  }

  moduleParts(): Json[] {
    const parts: Json[] = [];
    for (;;) {
      const opcode = this.bytes[this.pos];
      this.pos = readModulePart(this.bytes, this.pos, this.end, this.element);
      if (opcode === MODULE_EOF) return parts;
      parts.push({ [MODULE_PART_NAMES[opcode]]: this.operand(opcode) });
    }
  }

  private operand(opcode: number): Json {
    const { element } = this;
    if (element.kind === DOUBLE) return Number.isFinite(element.num) ? element.num : String(element.num).replace('Infinity', 'inf').toLowerCase();
    if (opcode === MODULE_UINT) return unsignedText(element);
    if (opcode === MODULE_SINT || opcode === MODULE_STRING) return this.elementText();
    return null;
  }
}

function unsignedText(element: Element): string {
  const value = element.kind === INT64 ? (BigInt(element.hi) << 32n) | BigInt(element.lo) : BigInt(element.num);
  return BigInt.asUintN(64, value).toString();
}

