import { hexByte, RdbError } from '../bytes/errors.js';
import { lzfMaxLength } from '../bytes/lzf.js';
import { Element } from '../encodings/element.js';
import { LISTPACK_HEADER, openListpack, readListpack } from '../encodings/listpack.js';
import { badLength, type Length, lengthText, MAX_LENGTH, readLength } from './length.js';
import { readString, Scratch } from './string.js';

/**
 * A shape describes the bytes after a type byte or an opcode as far as needed to find their end: a small program of these
 * operations. It knows lengths, not values.
 */

/** A string: raw, integer or LZF (rdb.c, rdbGenericLoadStringObject). */
export const STR = 1;
/** A length-encoded unsigned integer of up to 64 bits (rdb.c, rdbLoadLenByRef). */
export const LEN = 2;
/** A double as ASCII text after one length byte; 253, 254, 255 stand for nan, inf, -inf (rdb.c, rdbLoadDoubleValue). */
export const ASCII_DOUBLE = 3;
/** A length n, then n times the operations of the body. Followed by the body's size. */
const LOOP = 4;
/**
 * Module opcodes until EOF (0): SINT 1 and UINT 2 (a length), FLOAT 3 (4 bytes), DOUBLE 4 (8 bytes), STRING 5 (rdb.c,
 * rdbLoadCheckModuleValue). Followed by `MODULE_STR`, the string of opcode 5.
 */
const MODULE = 5;
const MODULE_STR = 6;
/** A length; the next operation is done only if it is not 0. */
const IF = 7;
/**
 * The tag of an array element: 1 and 2 with 8 bytes after it, 0 and 3 with a string, which is the operation that
 * follows (redis 8.8).
 */
const TAGGED = 8;
/** A length, remembered as the count of the following `REPEAT`s. Followed by the body's size. */
const COUNT = 9;
const REPEAT = 10;
/** The number of a hash template defined earlier in the file; its number of fields is remembered (redis 8.10). */
const TEMPLATE = 11;
/**
 * The field names stored with a hash (redis 8.10): 0 and `NAMES`, a listpack of them, or 1 and the two operations after that,
 * `COUNT` and `REPEAT`. Either way their number is remembered.
 */
const NAMES_FORMAT = 12;
const NAMES = 13;
/** `FIX + n`: n bytes. */
const FIX = 16;

export type Shape = readonly number[];

export const fix = (bytes: number): number => FIX + bytes;
export const loop = (...body: (number | Shape)[]): Shape => {
  const flat = body.flat();
  return [LOOP, flat.length, ...flat];
};
export const optional = (op: number): Shape => [IF, op];
export const moduleParts: Shape = [MODULE, MODULE_STR];
const repeat = (...body: number[]): Shape => [REPEAT, body.length, ...body];
/** A count; the index that ARINSERT uses next, if any; then index and tagged value of each element. */
export const array: Shape = [COUNT, IF, LEN, ...repeat(LEN, TAGGED, STR)];
export const templateNames: Shape = [NAMES_FORMAT, NAMES, COUNT, ...repeat(STR)];
export const templateValues: Shape = repeat(STR);
export const templateRef: Shape = [TEMPLATE, ...templateValues];
/** Whether it has only lengths, strings, ASCII doubles, loops and fixed bytes. */
export function isPlain(program: Shape): boolean {
  for (let pc = 0; pc < program.length; pc++) {
    const op = program[pc];
    if (op === LOOP) pc++;
    else if (op !== STR && op !== LEN && op !== ASCII_DOUBLE && op < FIX) return false;
  }
  return true;
}
export const shape = (...ops: (number | Shape)[]): Shape => ops.flat();

/** Why a scan stopped. */
export const DONE = 0;
/** The bytes end within an operation. */
export const MORE = 1;
/** `cutAt` bytes were passed, and the item that they end in. */
export const CUT = 2;
/** A string over `bigAt` bytes begins: its sizes are in `big*`. */
export const BIG = 3;

/**
 * Runs a shape over bytes; can be stopped and resumed between any two operations. Positions are relative to the bytes given; `pos`
 * is the end of the last whole operation.
 */
export class ShapeWalker {
  pos = 0;
  /** Bytes passed since it was last set to 0, with strings at their decompressed length. */
  weight = 0;
  cutAt = Infinity;
  bigAt = Infinity;

  /** The string that stopped a scan with BIG: start of its bytes, their number, decompressed length. */
  bigBody = 0;
  bigSize = 0;
  bigLength = 0;
  bigLzf = false;

  /** Program counter. */
  pc = 0;
  private program: Shape = [];
  /** Start of the first loop's body in the program. */
  private firstBody = 0;
  private depth = 0;
  private readonly bodyStart = [0, 0, 0, 0];
  private readonly bodyEnd = [0, 0, 0, 0];
  private readonly left = [0, 0, 0, 0];
  /** The last length read. */
  private length = 0;
  /** The last count remembered. */
  private remembered = 0;
  private readonly element = new Element();
  private readonly scratch = new Scratch();
  private readonly read: Length = { value: 0, hi: 0, lo: 0 };

  /** Number of fields of a hash template; throws for an unknown template. */
  templateSize: (id: number) => number = (id) => {
    throw new RdbError('BAD_TEMPLATE', { expected: 'a template defined before', got: `template ${id}` });
  };

  start(program: Shape, pos: number): void {
    this.program = program;
    this.firstBody = program.indexOf(LOOP) + 2;
    this.pos = pos;
    this.pc = 0;
    this.depth = 0;
    this.weight = 0;
  }

  /** Whether the shape is complete. */
  get finished(): boolean {
    return this.pc >= this.program.length;
  }

  /** Whether no loop is within its body: values are cut here. */
  private get betweenItems(): boolean {
    return this.depth === 0 || this.pc === this.bodyStart[this.depth - 1];
  }

  /** Items left of the first, outermost loop, between two items; else 0. */
  get itemsLeft(): number {
    return this.depth === 1 && this.pc === this.bodyStart[0] && this.pc === this.firstBody ? this.left[0] : 0;
  }

  /** Passes the string that stopped the last scan with BIG. The caller sets `pos`. */
  passBig(): void {
    this.advance(this.program[this.pc] === MODULE_STR ? this.pc - 1 : this.pc + 1);
  }

  scan(bytes: Uint8Array, end: number): number {
    const { program } = this;
    while (this.pc < program.length) {
      const op = program[this.pc];
      const { pos } = this;
      let next: number;
      let pc = this.pc + 1;
      switch (op) {
        case STR:
        case MODULE_STR:
          next = this.string(bytes, pos, end);
          if (next < 0) return next === -2 ? BIG : MORE;
          if (op === MODULE_STR) pc -= 2;
          break;
        case LEN:
          next = this.readLength(bytes, pos, end);
          break;
        case LOOP:
          next = this.readLength(bytes, pos, end);
          if (next < 0) return MORE;
          pc = this.enter(pc);
          break;
        case MODULE:
          next = this.modulePart(bytes, pos, end);
          if (this.length === 0) pc += 1;
          else if (this.length !== 5) pc -= 1;
          break;
        case IF:
          next = this.readLength(bytes, pos, end);
          if (this.length === 0) pc += 1;
          break;
        case TAGGED:
          next = this.readLength(bytes, pos, end);
          if (next >= 0 && this.length > 3) {
            throw new RdbError('BAD_LENGTH', { expected: 'an array element tag of 0 to 3', got: lengthText(this.read) });
          }
          if (this.length === 1 || this.length === 2) {
            next = next < 0 ? next : next + 8;
            pc += 1;
          }
          break;
        case COUNT:
          next = this.readLength(bytes, pos, end);
          this.remembered = this.length;
          break;
        case REPEAT:
          next = pos;
          this.length = this.remembered;
          pc = this.enter(pc);
          break;
        case TEMPLATE:
          next = this.readLength(bytes, pos, end);
          if (next >= 0 && this.length > MAX_LENGTH) throw badLength(this.read);
          if (next >= 0) this.remembered = this.templateSize(this.length);
          break;
        case NAMES_FORMAT:
          next = this.readLength(bytes, pos, end);
          if (next >= 0 && this.length > 1) {
            throw new RdbError('BAD_TEMPLATE', { expected: 'names in format 0 or 1', got: `format ${lengthText(this.read)}` });
          }
          if (this.length === 1) pc += 1;
          break;
        case NAMES:
          next = this.names(bytes, pos, end);
          pc += 4;
          break;
        case ASCII_DOUBLE: {
          const size = bytes[pos];
          next = pos < end ? pos + 1 + (size < 253 ? size : 0) : -1;
          break;
        }
        default:
          next = pos + op - FIX;
      }
      if (next < 0 || next > end) return MORE;
      this.weight += next - pos;
      this.pos = next;
      this.advance(pc);
      if (this.weight >= this.cutAt && this.pc < program.length && this.betweenItems) return CUT;
    }
    return DONE;
  }

  /** Sets the next operation, repeating or leaving loops that end there. */
  private advance(pc: number): void {
    let next = pc;
    while (this.depth > 0 && next === this.bodyEnd[this.depth - 1]) {
      const left = (this.left[this.depth - 1]) - 1;
      if (left > 0) {
        this.left[this.depth - 1] = left;
        next = this.bodyStart[this.depth - 1];
        break;
      }
      this.depth--;
    }
    this.pc = next;
  }

  /** Enters the loop whose body size is at `pc`, or skips it if its count is 0. */
  private enter(pc: number): number {
    const body = pc + 1;
    const end = body + (this.program[pc]);
    if (this.length > MAX_LENGTH) throw badLength(this.read);
    if (this.length === 0) return end;
    this.bodyStart[this.depth] = body;
    this.bodyEnd[this.depth] = end;
    this.left[this.depth] = this.length;
    this.depth++;
    return body;
  }

  /** The listpack string at `pos`: counts its entries. */
  private names(bytes: Uint8Array, pos: number, end: number): number {
    const next = readString(bytes, pos, end, this.element);
    if (next < 0) return -1;
    this.scratch.inflate(this.element);
    const { bytes: listpack, start, end: stop } = this.element;
    openListpack(listpack, start, stop);
    this.remembered = 0;
    for (let at = start + LISTPACK_HEADER; at < stop - 1; this.remembered++) {
      at = readListpack(listpack, at, stop - 1, this.element);
      if (at < 0) throw new RdbError('BAD_TEMPLATE', { expected: 'a listpack of field names', got: 'a damaged one' });
    }
    return next;
  }

  /** Position after the string at `pos`; -1 if the bytes end before, -2 if it is over `bigAt`. */
  private string(bytes: Uint8Array, pos: number, end: number): number {
    if (pos >= end) return -1;
    const first = bytes[pos];
    let body: number;
    let size: number;
    if (first < 0x40) {
      return inside(pos + 1 + first, end);
    } else if (first < 0xc0) {
      body = this.readLength(bytes, pos, end);
      if (body < 0) return -1;
      size = this.length;
      if (size > MAX_LENGTH) throw badLength(this.read);
      if (size <= this.bigAt) return inside(body + size, end);
      this.bigLength = size;
      this.bigLzf = false;
    } else if (first < 0xc3) {
      return inside(pos + 1 + (1 << (first - 0xc0)), end);
    } else if (first === 0xc3) {
      const middle = this.readLength(bytes, pos + 1, end);
      if (middle < 0) return -1;
      size = this.length;
      if (size > MAX_LENGTH) throw badLength(this.read);
      body = this.readLength(bytes, middle, end);
      if (body < 0) return -1;
      if (this.length > MAX_LENGTH) throw badLength(this.read);
      if (this.length > lzfMaxLength(size)) {
        throw new RdbError('BAD_LZF', {
          expected: `at most ${lzfMaxLength(size)} bytes from ${size} compressed ones`,
          got: `a stated length of ${this.length}`,
        });
      }
      if (size <= this.bigAt && this.length <= this.bigAt) {
        const next = body + size;
        if (next <= end) this.weight += this.length - size;
        return inside(next, end);
      }
      this.bigLength = this.length;
      this.bigLzf = true;
    } else {
      throw new RdbError('BAD_STRING', { expected: 'a string encoding c0 to c3 or a length', got: hexByte(first) });
    }
    this.bigBody = body;
    this.bigSize = size;
    return -2;
  }

  /** Reads the length at `pos` into `length`; returns the position after it or -1. */
  private readLength(bytes: Uint8Array, pos: number, end: number): number {
    const next = readLength(bytes, pos, end, this.read);
    this.length = this.read.value;
    return next;
  }

  /** One module opcode and, but for a string, its operand; the opcode is left in `length`. */
  private modulePart(bytes: Uint8Array, pos: number, end: number): number {
    if (pos >= end) return -1;
    const opcode = bytes[pos];
    const next = pos + 1;
    let after = next;
    if (opcode === 1 || opcode === 2) after = this.readLength(bytes, next, end);
    else if (opcode === 3) after = next + 4;
    else if (opcode === 4) after = next + 8;
    else if (opcode !== 0 && opcode !== 5) {
      throw new RdbError('BAD_MODULE', { expected: 'a module opcode of 0 to 5', got: `${opcode}` });
    }
    this.length = opcode;
    return after;
  }
}

function inside(next: number, end: number): number {
  return next <= end ? next : -1;
}
