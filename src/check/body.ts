import { Element, LZF } from '../encodings/element.js';
import type { Codec } from '../kernels/codec.js';
import { readString, Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import type { Findings } from './findings.js';

/** Takes the bytes of a large string, decompressed, as they come. */
export interface StringCheck {
  readonly bytes: (bytes: Uint8Array, start: number, end: number) => void;
  /** `lost`: it could not be decompressed, which was told, and not all of its bytes came. */
  readonly end: (lost: boolean) => void;
}

/** Looks at values of one form, which may come in parts. Positions in findings are those in the bytes that it gets. */
export interface Body {
  begin(type: TypeRow): void;
  /** Whole elements, nodes, lengths: the framer cuts nowhere else. */
  fragment(bytes: Uint8Array, start: number, end: number): void;
  /**
   * A string that comes in pieces, because it is too large to be held: undefined where its bytes mean nothing. Where `holdsStrings`, it
   * is a part of the next fragment instead, as the file has it.
   */
  string(length: number): StringCheck | undefined;
  readonly holdsStrings: boolean;
  end(): void;
}

/** Reads the strings of a value, one after another. */
export class Strings {
  /** The string that was read last, decompressed. */
  readonly element = new Element();
  private readonly scratch: Scratch;

  constructor(
    private readonly findings: Findings,
    codec: Codec,
  ) {
    this.scratch = new Scratch(codec, codec.allocate(1 << 21));
  }

  /**
   * Reads the string at `pos`, number `index` of its value where there are several; returns the position after it. `whole` is false where
   * it cannot be decompressed, which is a finding.
   */
  next(bytes: Uint8Array, pos: number, end: number, index = -1): number {
    const { element, findings } = this;
    const next = readString(bytes, pos, end, element);
    this.whole = next >= 0;
    if (element.kind !== LZF || !this.whole) return next;
    const at = element.start;
    findings.enter(findings.base + pos, at);
    try {
      this.scratch.inflate(element);
    } catch (error) {
      findings.failed(error, pos, index < 0 ? undefined : `element ${index}`);
      this.whole = false;
    }
    findings.leave();
    return next;
  }

  whole = true;
}
