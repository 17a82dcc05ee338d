import { Element, LZF } from '../encodings/element.js';
import type { Codec } from '../kernels/codec.js';
import { readString, Scratch } from '../rdb/string.js';
import type { Findings } from './findings.js';

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
