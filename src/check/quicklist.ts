import { INT } from '../encodings/element.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body, StringCheck } from './body.js';
import type { Findings } from './findings.js';
import { PackedString } from './packed.js';
import type { Strings } from './strings.js';

const PLAIN = 1;
const PACKED = 2;

/**
 * Lists of nodes (redis 7.0 rdb.c, rdbLoadObject). A node without elements is no finding: servers before 6.2 left some, and later ones
 * pass over them. A list of nothing else is empty.
 */
export class QuicklistBody implements Body {
  readonly holdsStrings = false;
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly ziplist: PackedString;
  private readonly listpack: PackedString;
  private hasKinds = false;
  private begun = false;
  /** The kind of the next node, or 0 where it was not read yet. */
  private kind = 0;
  private node = 0;
  private elements = 0;
  private at = 0;

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
  ) {
    this.ziplist = new PackedString('ziplist', findings, () => undefined);
    this.listpack = new PackedString('listpack', findings, () => undefined);
  }

  begin(type: TypeRow): void {
    this.hasKinds = type.form === 'quicklist2';
    this.begun = false;
    this.node = this.elements = this.at = 0;
    this.kind = this.hasKinds ? 0 : PACKED;
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.begun) pos = readLength(bytes, pos, end, this.length);
    this.begun = true;
    while (pos < end) {
      if (this.kind === 0) {
        pos = this.readKind(bytes, pos, end);
        continue;
      }
      pos = this.whole(bytes, pos, end);
      this.nodeEnd();
    }
    this.at = end;
  }

  private readKind(bytes: Uint8Array, pos: number, end: number): number {
    const next = readLength(bytes, pos, end, this.length);
    const { value } = this.length;
    if (value !== PLAIN && value !== PACKED) {
      this.findings.add('BAD_QUICKLIST', pos, 'a node of kind 1 or 2', `kind ${lengthText(this.length)}`, `node ${this.node}`);
    }
    this.kind = value === PACKED ? PACKED : PLAIN;
    return next;
  }

  private whole(bytes: Uint8Array, pos: number, end: number): number {
    const { findings, strings } = this;
    const next = strings.next(bytes, pos, end, this.node);
    const { element } = strings;
    if (!strings.whole) {
      this.elements++;
    } else if (this.kind === PLAIN) {
      if (element.kind !== INT && element.start === element.end) {
        findings.add('BAD_QUICKLIST', pos, 'a node with an element', 'an empty string', `node ${this.node}`);
      }
      this.elements++;
    } else if (element.kind === INT) {
      findings.add('BAD_QUICKLIST', pos, 'a packed node', 'an integer', `node ${this.node}`);
    } else {
      findings.enter(findings.base + pos, element.start);
      this.packed.whole(element.bytes, element.start, element.end);
      findings.leave();
      this.elements += this.packed.count;
    }
    return next;
  }

  private get packed(): PackedString {
    return this.hasKinds ? this.listpack : this.ziplist;
  }

  private nodeEnd(): void {
    this.node++;
    if (this.hasKinds) this.kind = 0;
  }

  string(length: number): StringCheck | undefined {
    if (this.kind === PLAIN) {
      this.elements++;
      this.nodeEnd();
      return undefined;
    }
    const { packed } = this;
    const { bytes, end } = packed.pieces(length);
    return {
      bytes,
      end: (lost) => {
        end(lost);
        this.elements += packed.count;
        this.nodeEnd();
      },
    };
  }

  end(): void {
    if (this.elements === 0 && this.findings.size === 0) {
      this.findings.add('EMPTY_VALUE', this.at, 'one element or more', this.node === 0 ? 'none' : 'empty nodes');
    }
  }
}
