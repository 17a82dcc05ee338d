import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, Element, INT } from '../encodings/element.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body } from './body.js';
import type { Collection, Role } from './collection.js';
import type { Findings } from './findings.js';
import { PackedString } from './packed.js';
import type { Strings } from './strings.js';

/*
 * Types of Redis 8.8 and 8.10, which no server of these versions was tested with: their layouts are read from the sources (see
 * docs/compatibility.md). Such values are held whole.
 */

/** A value that is looked at when it is whole. */
abstract class HeldBody implements Body {
  readonly holdsStrings = true;
  protected type!: TypeRow;
  private readonly held = new ByteBuilder();
  private begun = false;
  private base = 0;

  constructor(
    protected readonly findings: Findings,
    protected readonly strings: Strings,
  ) {}

  begin(type: TypeRow): void {
    this.type = type;
    this.held.clear();
    this.begun = false;
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    if (!this.begun) this.base = this.findings.base + start;
    this.begun = true;
    this.held.copy(bytes, start, end);
  }

  string(): undefined {
    return undefined;
  }

  end(): void {
    this.findings.base = this.base;
    this.value(this.held.bytes, this.held.length);
    this.held.clear();
  }

  protected abstract value(bytes: Uint8Array, end: number): void;
}

const INTEGER_TAG = 1;
const DOUBLE_TAG = 2;

/** An array: indexes ascend, and there is one or more. */
export class ArrayBody extends HeldBody {
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };

  protected value(bytes: Uint8Array, end: number): void {
    const { findings, length, strings } = this;
    let pos = readLength(bytes, 0, end, length);
    if (length.value === 0) findings.add('EMPTY_VALUE', 0, 'one element or more', 'none');
    const flagAt = pos;
    pos = readLength(bytes, pos, end, length);
    if (length.value > 1) findings.add('BAD_ARRAY', flagAt, '0 or 1 before the index of the next insertion', lengthText(length));
    if (length.value !== 0) pos = readLength(bytes, pos, end, length);
    let [hi, lo] = [-1, 0];
    for (let i = 0; pos < end; i++) {
      const at = pos;
      pos = readLength(bytes, pos, end, length);
      if (length.hi < hi || (length.hi === hi && length.lo <= lo)) {
        findings.add('BAD_ARRAY', at, 'a greater index than the one before', lengthText(length), `element ${i}`);
      }
      [hi, lo] = [length.hi, length.lo];
      pos = readLength(bytes, pos, end, length);
      if (length.value === INTEGER_TAG || length.value === DOUBLE_TAG) pos += 8;
      else pos = strings.next(bytes, pos, end, i);
    }
  }
}

const NAMES: readonly Role[] = ['name'];

/** A hash with the names of its fields in a template. */
export class TemplateBody extends HeldBody {
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly names: PackedString;
  private readonly values: PackedString;
  /** The first entry of the values, the number of a template. */
  private readonly number = new Element();

  constructor(
    findings: Findings,
    strings: Strings,
    private readonly collection: Collection,
  ) {
    super(findings, strings);
    this.names = new PackedString('listpack', findings, (element, _, pos) => collection.add(element, pos));
    this.values = new PackedString('listpack', findings, (element, index) => {
      if (index === 0) this.number.kind = element.kind;
    });
  }

  override begin(type: TypeRow): void {
    super.begin(type);
    this.collection.begin('hash', NAMES);
  }

  protected value(bytes: Uint8Array, end: number): void {
    const { form } = this.type;
    const hasNames = form === 'template' || form === 'template-listpack';
    let pos = hasNames ? this.ownNames(bytes, end) : 0;
    if (form === 'template-ref') pos = readLength(bytes, pos, end, this.length);
    if (form === 'template-listpack' || form === 'template-ref-listpack') {
      this.number.kind = BYTES;
      this.packed(this.values, bytes, pos, end);
      const stated = this.values.count - 1;
      if (this.number.kind !== INT) this.findings.add('BAD_TEMPLATE', pos, 'the number of a template first', 'no number');
      else if (hasNames && stated !== this.collection.count) {
        this.findings.add('BAD_TEMPLATE', pos, `${this.collection.count} values, one per field`, `${stated}`);
      }
    } else {
      for (let i = 0; pos < end; i++) pos = this.strings.next(bytes, pos, end, i);
    }
    if (hasNames) this.collection.end(0);
  }

  private ownNames(bytes: Uint8Array, end: number): number {
    const { collection, length, strings } = this;
    let pos = readLength(bytes, 0, end, length);
    if (length.value === 0) return this.packed(this.names, bytes, pos, end);
    pos = readLength(bytes, pos, end, length);
    for (let left = length.value; left > 0; left--) {
      const at = pos;
      pos = strings.next(bytes, pos, end, collection.count);
      if (strings.whole) collection.add(strings.element, at);
      else collection.pass();
    }
    return pos;
  }

  private packed(packed: PackedString, bytes: Uint8Array, pos: number, end: number): number {
    const { findings, strings } = this;
    const next = strings.next(bytes, pos, end);
    const { element } = strings;
    if (!strings.whole) return next;
    if (element.kind !== BYTES) {
      findings.add('BAD_TEMPLATE', pos, 'a listpack', 'an integer');
      return next;
    }
    findings.enter(findings.base + pos, element.start);
    packed.whole(element.bytes, element.start, element.end);
    findings.leave();
    return next;
  }
}
