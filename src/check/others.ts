import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { BYTES, Element, INT } from '../encodings/element.js';
import { RoaringReader } from '../encodings/roaring.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { Form, TypeRow } from '../rdb/types.js';
import { MODULE_DOUBLE, MODULE_FLOAT, MODULE_SINT, MODULE_STRING, MODULE_UINT } from '../values/module.js';
import type { Body, StringCheck, Strings } from './body.js';
import type { Collection, Role } from './collection.js';
import type { Findings } from './findings.js';
import { PackedString } from './packed.js';

/** A string: only that it can be decompressed. */
class StringBody implements Body {
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
class ModuleBody implements Body {
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
class BitmapBody implements Body {
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
class ArrayBody extends HeldBody {
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
class TemplateBody extends HeldBody {
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

type OtherForm = 'string' | 'module' | 'array' | 'bitmap' | Extract<Form, `template${string}`>;

/** Bodies by form. */
export function otherBodies(findings: Findings, strings: Strings, collection: Collection): Readonly<Record<OtherForm, Body>> {
  const template = new TemplateBody(findings, strings, collection);
  return {
    string: new StringBody(strings),
    module: new ModuleBody(strings),
    array: new ArrayBody(findings, strings),
    bitmap: new BitmapBody(findings, strings),
    template,
    'template-listpack': template,
    'template-ref': template,
    'template-ref-listpack': template,
  };
}
