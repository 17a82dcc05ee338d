import { RdbError } from '../bytes/errors.js';
import { BYTES } from '../encodings/element.js';
import { RoaringReader } from '../encodings/roaring.js';
import { type Length, readLength } from '../rdb/length.js';
import { MODULE_DOUBLE, MODULE_FLOAT, MODULE_SINT, MODULE_STRING, MODULE_UINT } from '../values/module.js';
import type { Body, StringCheck } from './body.js';
import type { Findings } from './findings.js';
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
      if (opcode === MODULE_SINT || opcode === MODULE_UINT) pos = readLength(bytes, pos, end, this.length);
      else if (opcode === MODULE_FLOAT) pos += 4;
      else if (opcode === MODULE_DOUBLE) pos += 8;
      else this.inString = opcode === MODULE_STRING;
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

/** A bitmap: containers in order, with as many bits as they say, and none at or beyond its length. */
export class BitmapBody implements Body {
  readonly holdsStrings = false;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  /** The first bit beyond the length. */
  private bitsEnd = 0n;
  private lost = false;
  private readonly roaring = new RoaringReader((hi, _, last) => this.bits(hi, last));

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
  ) {}

  begin(): void {
    this.lost = false;
    this.roaring.begin();
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    const pos = readLength(bytes, start, end, this.length);
    this.bitsEnd = ((BigInt(this.length.hi) << 32n) | BigInt(this.length.lo >>> 0)) * 8n;
    if (pos >= end) return;
    const { element } = this.strings;
    this.strings.next(bytes, pos, end);
    if (!this.strings.whole) return;
    if (element.kind !== BYTES) {
      this.findings.add('BAD_BITMAP', pos, 'a serialised bitmap', 'an integer');
      return;
    }
    this.findings.enter(this.findings.base + pos, 0);
    this.take(element.bytes, element.start, element.end);
    this.finish();
    this.findings.leave();
  }

  string(): StringCheck {
    return {
      bytes: (bytes, start, end) => this.take(bytes, start, end),
      end: (lost) => {
        if (!lost) this.finish();
      },
    };
  }

  private take(bytes: Uint8Array, start: number, end: number): void {
    this.attempt(() => this.roaring.add(bytes, start, end));
  }

  private finish(): void {
    this.attempt(() => this.roaring.end());
  }

  /** After the first damage, it is not known what the bytes mean. */
  private attempt(read: () => void): void {
    if (this.lost) return;
    try {
      read();
    } catch (error) {
      this.lost = true;
      this.findings.failed(error, 0);
    }
  }

  private bits(hi: number, last: number): void {
    const bit = (BigInt(hi) << 32n) + BigInt(last);
    if (bit < this.bitsEnd) return;
    throw new RdbError('BAD_BITMAP', { expected: `bits below ${this.bitsEnd}, as its length says`, got: `bit ${bit}` });
  }

  end(): void {
    // the string has its own end
  }
}
