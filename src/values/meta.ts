import { formatText } from '../bytes/text.js';
import { Element, uint32 } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import { type Length, readLength } from '../rdb/length.js';
import { MEMBER_EXPIRY } from '../rdb/opcodes.js';
import { readString, Scratch } from '../rdb/string.js';
import type { OpcodeRow } from '../rdb/types.js';
import type { KeyMeta, MetaRecord } from './meta-records.js';
import { MODULE_CHARSET, MODULE_EOF, moduleType, readModulePart } from './module.js';
import { type ModulePart, modulePartOf } from './js-values.js';
import type { Texts } from './value-texts.js';

/** The record of a META frame. */
export function metaRecord<T>(frame: Frame, texts: Texts<T>): MetaRecord<T> {
  const opcode = frame.opcode as OpcodeRow;
  const reader = new MetaReader(frame.bytes, frame.start, frame.end, texts);
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
      const [name, engine] = [reader.text(), reader.text()];
      const description = reader.number() === 0 ? null : reader.text();
      return { type: 'function', name, engine, description, value: reader.text() };
    }
    case 'MODULE_AUX': {
      const { name, version } = moduleType(reader.length());
      reader.number(); // the opcode UINT before `when`
      const when = reader.number();
      return { type: 'moduleAux', module: name, version, when, parts: reader.moduleParts() };
    }
    case 'HASH_TEMPLATE':
      return { type: 'hashTemplate', id: reader.number(), fields: reader.list(() => reader.string()) };
    default:
      throw new TypeError(`no record for the opcode ${opcode.name}`);
  }
}

/** KEY_META: for each module class, a specification of 4 bytes and the parts of a module value (redis keymeta.c). */
export function keyMetaOf<T>(bytes: Uint8Array, texts: Texts<T>): KeyMeta<T>[] {
  const reader = new MetaReader(bytes, 0, bytes.length, texts);
  return reader.list(() => {
    const spec = reader.uint32();
    return { module: className(spec), version: (spec >>> 3) & 31, flags: spec & 7, parts: reader.moduleParts() };
  });
}

/** Four characters of 6 bits, most significant first. */
function className(spec: number): string {
  return [26, 20, 14, 8].map((shift) => MODULE_CHARSET[(spec >>> shift) & 63]).join('');
}

class MetaReader<T> {
  private readonly element = new Element();
  private readonly scratch = new Scratch();
  private readonly read: Length = { value: 0, hi: 0, lo: 0 };

  constructor(
    private readonly bytes: Uint8Array,
    private pos: number,
    private readonly end: number,
    private readonly texts: Texts<T>,
  ) {}

  /** User data. */
  string(): T {
    this.pos = readString(this.bytes, this.pos, this.end, this.element);
    return this.texts.element(this.element);
  }

  /** Text from the server. */
  text(): string {
    this.pos = readString(this.bytes, this.pos, this.end, this.element);
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

  list<Item>(item: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.number(); left > 0; left--) items.push(item());
    return items;
  }

  moduleParts(): ModulePart<T>[] {
    const parts: ModulePart<T>[] = [];
    for (;;) {
      const opcode = this.bytes[this.pos];
      this.pos = readModulePart(this.bytes, this.pos, this.end, this.element);
      if (opcode === MODULE_EOF) return parts;
      parts.push(modulePartOf(opcode, this.element, this.texts));
    }
  }
}

const element = new Element();
const scratch = new Scratch();

/**
 * AUX fields about the file, the data set or its replication that do not hold for a new file. `slot-info` (Valkey 8) and the like
 * are hints for table sizes.
 */
const STALE: ReadonlySet<string> = new Set(['repl-stream-db', 'repl-id', 'repl-offset', 'aof-preamble', 'aof-base', 'slot-info']);

/** The name of an AUX frame that also holds for a new file; otherwise undefined. */
export function auxName({ bytes, end, start }: Frame): string | undefined {
  readString(bytes, start, end, element);
  scratch.text(element);
  const name = formatText(element.bytes, element.start, element.end);
  return STALE.has(name) ? undefined : name;
}

/**
 * AUX fields of KeyDB after a key: two for every expiring member of a set or field of a hash, with the member and Unix
 * milliseconds.
 */
export const MEMBER_EXPIRES: readonly string[] = [MEMBER_EXPIRY, 'keydb-subexpire-when'];

/** The code of a function library (FUNCTION2), decompressed: a copy. */
export function functionCode({ bytes, end, start }: Frame): Uint8Array {
  readString(bytes, start, end, element);
  scratch.text(element);
  return element.bytes.slice(element.start, element.end);
}

/** The name of the function library of a frame (FUNCTION2, FUNCTION_PRE_GA), in the text form. */
export function frameLibraryName(frame: Frame): string {
  if (frame.opcode?.name === 'FUNCTION2') return libraryName(functionCode(frame));
  readString(frame.bytes, frame.start, frame.end, element);
  scratch.text(element);
  return formatText(element.bytes, element.start, element.end);
}

/** The library name in the first line of its code: `#!lua name=mylib` (redis functions.c, functionExtractLibMetaData). */
export function libraryName(code: Uint8Array): string {
  const line = code.indexOf(0x0a);
  const head = formatText(code, 0, line < 0 ? code.length : line);
  return /\bname=["']?([^\s"']+)/i.exec(head)?.[1] ?? '';
}
