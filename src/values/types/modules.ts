import type { ByteBuilder } from '../../bytes/builder.js';
import type { Element } from '../../encodings/element.js';
import type { Spill } from '../../io/spill.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addLength64 } from '../../rdb/write-string.js';
import { MODULE_CHARSET, MODULE_DOUBLE, MODULE_EOF, MODULE_FLOAT, MODULE_STRING, type ModuleType } from '../module.js';
import { addUnsigned } from './arrays.js';
import type { Body } from './body.js';
import type { Encoding, ValueWriter } from './encoding.js';

const float = new DataView(new ArrayBuffer(4));

/**
 * Adds a module part: opcode and operand (redis rdb.c, rdbLoadCheckModuleValue). The string of a LARGE element is in `large`, which is
 * closed.
 */
export function addModulePart(body: Body, opcode: number, element: Element, large?: Spill): void {
  const { out } = body;
  addLength(out, opcode);
  switch (opcode) {
    case MODULE_FLOAT:
      float.setFloat32(0, element.num, true);
      out.le(float.getInt32(0, true), 4);
      break;
    case MODULE_DOUBLE:
      out.double(element.num);
      break;
    case MODULE_STRING:
      if (large === undefined) body.string(element);
      else body.spilled(large);
      break;
    default:
      addUnsigned(out, element);
  }
  body.flushIfFull();
}

/** A name as a number: 6 bits for each character, the first in the highest ones. */
export function moduleNameBits(name: string): bigint {
  return Array.from(name).reduce((bits, letter) => (bits << 6n) | BigInt(MODULE_CHARSET.indexOf(letter)), 0n);
}

/** A module ID as a length: see moduleType. */
export function addModuleId(out: ByteBuilder, { name, version }: ModuleType): void {
  const id = (moduleNameBits(name) << 10n) | BigInt(version);
  addLength64(out, Number(id >> 32n), Number(id & 0xffffffffn));
}

/** A value of a module (7). */
export class ModuleWriter implements ValueWriter {
  private type!: ModuleType;

  constructor(private readonly encoding: Encoding) {}

  open(source?: TypeRow): void {
    if (source !== undefined) throw this.encoding.lacks(source);
  }

  module(type: ModuleType): void {
    this.type = type;
  }

  modulePart(opcode: number, element: Element, large?: Spill): void {
    addModulePart(this.encoding.body, opcode, element, large);
  }

  finish(head: ByteBuilder): TypeRow {
    addModuleId(head, this.type);
    this.encoding.body.out.byte(MODULE_EOF);
    return this.encoding.choose('MODULE_2');
  }
}
