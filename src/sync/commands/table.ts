import type { StreamCommand } from '../stream-command.js';
import type { Kept } from '../stream-parser.js';
import { isWord } from './args.js';
import { SPECS } from './specs.js';
import type { CommandSpec } from './spec.js';

/** Every byte in lower case, as servers compare names. */
const LOWER = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));

/** Longer names are of no command, so they are not looked at. */
const LONGEST = 64;

/** The commands that can be in a stream of writes, by name. */
export class CommandTable {
  private readonly specs: CommandSpec[] = [];
  private readonly names: Uint8Array[] = [];
  /** Open addressing by the hash of the name: numbers in `specs`, plus 1. At most half full. */
  private slots = new Int32Array(1024);

  constructor(specs: readonly CommandSpec[] = SPECS) {
    for (const spec of specs) this.add(spec);
  }

  /** By the name in `bytes[start, end)`, in any case. */
  find(bytes: Uint8Array, start: number, end: number): CommandSpec | undefined {
    if (end - start > LONGEST) return undefined;
    const mask = this.slots.length - 1;
    for (let slot = hash(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const number = this.slots[slot];
      if (number === 0) return undefined;
      if (isName(this.names[number - 1], bytes, start, end)) return this.specs[number - 1];
    }
  }

  /** The spec of a command, by its second word, too, where that matters. */
  of(command: StreamCommand): CommandSpec | undefined {
    if (command.args === 0) return undefined;
    const spec = this.find(command.bytes, command.starts[0], command.ends[0]);
    if (spec?.parts === undefined || command.args === 1) return spec;
    return spec.parts.find(({ name }) => isWord(command, 1, name)) ?? spec;
  }

  /** Adds a command, in place of the one of its name. */
  add(spec: CommandSpec): void {
    const name = Uint8Array.from(spec.name, (char) => LOWER[char.charCodeAt(0)]);
    const known = this.names.findIndex((other) => isName(other, name, 0, name.length));
    if (known >= 0) {
      this.specs[known] = spec;
      return;
    }
    this.specs.push(spec);
    this.names.push(name);
    const full = this.specs.length * 2 > this.slots.length;
    if (full) this.slots = new Int32Array(this.slots.length * 2);
    for (let number = full ? 1 : this.specs.length; number <= this.specs.length; number++) this.place(number);
  }

  private place(number: number): void {
    const mask = this.slots.length - 1;
    const name = this.names[number - 1];
    let slot = hash(name, 0, name.length) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = number;
  }
}

/** How many arguments of a large command to keep: those up to its key, if it writes just one. The rest only says how that key changes. */
export const keptOf =
  (table: CommandTable): Kept =>
  (command) => {
    const spec = table.of(command);
    return spec?.kind === 'write' && spec.key > 0 ? spec.key + 1 : 0;
  };

function hash(bytes: Uint8Array, start: number, end: number): number {
  let sum = end - start;
  for (let at = start; at < end; at++) sum = (Math.imul(sum, 31) + LOWER[bytes[at]]) | 0;
  return sum ^ (sum >>> 11);
}

function isName(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== LOWER[bytes[start + i]]) return false;
  return true;
}
