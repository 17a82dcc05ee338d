import type { ErrorCode } from '../bytes/errors.js';
import { IntsetCheck } from '../encodings/intset-check.js';
import { ListpackCheck } from '../encodings/listpack-check.js';
import type { PackedCheck, Report, Visit } from '../encodings/packed-check.js';
import { ZiplistCheck } from '../encodings/ziplist-check.js';
import { ZipmapCheck } from '../encodings/zipmap-check.js';
import type { StringCheck } from './body.js';
import { Pieces } from './pieces.js';
import type { Findings } from './findings.js';

export type PackedForm = 'listpack' | 'ziplist' | 'zipmap' | 'intset';

const CHECKS: Readonly<Record<PackedForm, readonly [ErrorCode, new (report: Report, visit: Visit) => PackedCheck]>> = {
  listpack: ['BAD_LISTPACK', ListpackCheck],
  ziplist: ['BAD_ZIPLIST', ZiplistCheck],
  zipmap: ['BAD_ZIPMAP', ZipmapCheck],
  intset: ['BAD_INTSET', IntsetCheck],
};

/** A packed value, in one or in pieces: the string that `findings` was told to have entered. */
export class PackedString {
  private readonly check: PackedCheck;
  /** Index of its first byte in the current bytes. */
  private origin = 0;

  constructor(form: PackedForm, findings: Findings, visit: Visit) {
    const [code, Check] = CHECKS[form];
    this.check = new Check(
      (at, expected, got, element) => {
        findings.add(code, at + this.origin, expected, got, element === undefined ? undefined : `element ${element}`);
      },
      (element, index, at) => visit(element, index, at + this.origin),
    );
  }

  /** Entries that were seen. */
  get count(): number {
    return this.check.count;
  }

  /** Whether an entry did not say where it ends, so that those after it were not seen. */
  get broken(): boolean {
    return this.check.broken;
  }

  whole(bytes: Uint8Array, start: number, end: number): void {
    const { check } = this;
    this.origin = start;
    check.begin(end - start);
    check.take(bytes, start, end);
    check.finish();
  }

  /** In pieces; `findings` was told that index 0 is where it begins. */
  pieces(size: number): StringCheck {
    const { check } = this;
    this.origin = 0;
    check.begin(size);
    const pieces = new Pieces((bytes, start, end) => check.take(bytes, start, end));
    return {
      bytes: (bytes, start, end) => pieces.add(bytes, start, end),
      end: (lost) => {
        if (!lost) check.finish();
      },
    };
  }
}
