import { RdbError } from '../bytes/errors.js';
import { DOUBLE, type Element } from '../encodings/element.js';
import { type Length, readLength } from '../rdb/length.js';
import { readString } from '../rdb/string.js';
import { readDouble } from './layouts.js';

/** The module that wrote a value, and its format version. */
export interface ModuleType {
  /** Nine characters. */
  readonly name: string;
  readonly version: number;
}

/** The parts of a module value (redis server.h, RDB_MODULE_OPCODE_*). */
export const MODULE_EOF = 0;
export const MODULE_SINT = 1;
export const MODULE_UINT = 2;
export const MODULE_FLOAT = 3;
export const MODULE_DOUBLE = 4;
export const MODULE_STRING = 5;

/** The alphabet of module and class names, by 6-bit values (redis module.c). */
export const MODULE_CHARSET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** A module ID: nine characters of 6 bits, most significant first, and 10 bits of version (module.c, moduleTypeEncodeId). */
export function moduleType(id: Length): ModuleType {
  const bits = (BigInt(id.hi) << 32n) | BigInt(id.lo);
  let name = '';
  for (let shift = 58n; shift >= 10n; shift -= 6n) name += MODULE_CHARSET[Number((bits >> shift) & 63n)];
  return { name, version: Number(bits & 1023n) };
}

const length: Length = { value: 0, hi: 0, lo: 0 };
const float = new DataView(new ArrayBuffer(4));

/**
 * Reads the part at `pos`: an opcode byte (a length below 64) and its operand, into `element`: SINT and UINT as 64 bits, FLOAT and
 * DOUBLE as a double, STRING as a string. Returns the position after it.
 */
export function readModulePart(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  const operand = readLength(bytes, pos, end, length);
  const opcode = length.value;
  let next = operand;
  switch (opcode) {
    case MODULE_EOF:
      break;
    case MODULE_SINT:
    case MODULE_UINT:
      next = readLength(bytes, operand, end, length);
      element.setInt64(length.hi | 0, length.lo);
      break;
    case MODULE_FLOAT:
      next = operand + 4;
      for (let i = 0; i < 4; i++) float.setUint8(i, bytes[operand + i] ?? 0);
      element.kind = DOUBLE;
      element.num = float.getFloat32(0, true);
      break;
    case MODULE_DOUBLE:
      next = operand + 8;
      element.kind = DOUBLE;
      element.num = readDouble(bytes, operand);
      break;
    case MODULE_STRING:
      next = readString(bytes, operand, end, element);
      break;
    default:
      throw new RdbError('BAD_MODULE', { within: pos, expected: 'a module opcode of 0 to 5', got: `${opcode}` });
  }
  if (next < 0 || next > end) throw new RdbError('BAD_MODULE', { within: pos, expected: 'a whole part', got: 'the end of the value' });
  return next;
}

/** Modules by the names of their data types; files have these, MODULE LIST has those. */
const MODULES: Readonly<Record<string, string>> = {
  'ReJSON-RL': 'ReJSON',
  'MBbloom--': 'bf',
  MBbloomCF: 'bf',
  'CMSk-TYPE': 'bf',
  'TopK-TYPE': 'bf',
  'TDIS-TYPE': 'bf',
  'TSDB-TYPE': 'timeseries',
  ft_index0: 'search',
  scdtype00: 'search',
  trietype0: 'search',
  vectorset: 'vectorset',
};

/** The module of a data type; the type itself if that is not known. */
export const moduleOfType = (type: string): string => (Object.hasOwn(MODULES, type) ? MODULES[type] : type);
