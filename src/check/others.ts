import { type Length, readLength } from '../rdb/length.js';
import type { Body, StringCheck } from './body.js';
import type { Strings } from './strings.js';

/** A string: only that it can be decompressed. */
export class StringBody implements Body {
  readonly holdsStrings = false;

  constructor(private readonly strings: Strings) {}

  begin(): void {
    // nothing is remembered
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    if (start < end && bytes[start] === 0xc3) this.strings.next(bytes, start, end);
  }

  string(): StringCheck | undefined {
    return undefined;
  }

  end(): void {
    // nothing is remembered
  }
}

const OPCODES = { sint: 1, uint: 2, float: 3, double: 4, string: 5 } as const;

/** A module value: the framer knows its opcodes; what they mean, its module alone. Its strings can be decompressed. */
export class ModuleBody implements Body {
  readonly holdsStrings = false;
  private begun = false;
  private inString = false;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };

  constructor(private readonly strings: Strings) {}

  begin(): void {
    this.begun = this.inString = false;
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.begun) pos = readLength(bytes, pos, end, this.length);
    this.begun = true;
    while (pos < end) {
      if (this.inString) {
        pos = this.strings.next(bytes, pos, end);
        this.inString = false;
        continue;
      }
      const opcode = bytes[pos++];
      if (opcode === OPCODES.sint || opcode === OPCODES.uint) pos = readLength(bytes, pos, end, this.length);
      else if (opcode === OPCODES.float) pos += 4;
      else if (opcode === OPCODES.double) pos += 8;
      else this.inString = opcode === OPCODES.string;
    }
  }

  string(): StringCheck | undefined {
    this.inString = false;
    return undefined;
  }

  end(): void {
    // each part is for itself
  }
}
