import { ByteBuilder } from '../bytes/builder.js';
import type { ErrorCode } from '../bytes/errors.js';
import { INT, uint32 } from '../encodings/element.js';
import { IntsetCheck } from '../encodings/intset.js';
import { ListpackCheck } from '../encodings/listpack.js';
import type { PackedCheck, Report, Visit } from '../encodings/packed-check.js';
import { ZiplistCheck } from '../encodings/ziplist.js';
import { ZipmapCheck } from '../encodings/zipmap.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body, StringCheck, Strings } from './body.js';
import { type Collection, GREATEST_EXPIRY, type Role } from './collection.js';
import type { Findings } from './findings.js';

/** Gives bytes that come in pieces to a reader that takes whole elements, and keeps for it what it has left. */
class Pieces {
  private readonly held = new ByteBuilder();

  /** `take` returns where it stopped. */
  constructor(private readonly take: (bytes: Uint8Array, start: number, end: number) => number) {}

  add(bytes: Uint8Array, start: number, end: number): void {
    const { held } = this;
    if (held.length === 0) {
      held.copy(bytes, this.take(bytes, start, end), end);
      return;
    }
    held.copy(bytes, start, end);
    const stop = this.take(held.bytes, 0, held.length);
    if (stop === 0) return;
    held.bytes.copyWithin(0, stop, held.length);
    held.length -= stop;
  }
}

type PackedForm = 'listpack' | 'ziplist' | 'zipmap' | 'intset';

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

const FORMS = ['listpack', 'ziplist', 'zipmap', 'intset'] as const;

const ROLES: Readonly<Record<string, readonly Role[]>> = {
  list: ['item'],
  set: ['name'],
  zset: ['name', 'score'],
  hash: ['name', 'value'],
};
const WITH_EXPIRY: readonly Role[] = ['name', 'value', 'expiry'];
const INTEGERS: readonly Role[] = ['item'];

/** HASH_LISTPACK_EX begins with the least expiry of its fields, 8 bytes. */
const LISTPACK_EX = 25;

/** Values that are one packed string. */
export class PackedBody implements Body {
  readonly holdsStrings = false;
  private readonly packed: Readonly<Record<PackedForm, PackedString>>;
  private form: PackedForm = 'listpack';
  private hasLeast = false;

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
    private readonly collection: Collection,
  ) {
    const made = FORMS.map((form) => [form, new PackedString(form, findings, (element, _, pos) => collection.add(element, pos))]);
    this.packed = Object.fromEntries(made) as Record<PackedForm, PackedString>;
  }

  begin(type: TypeRow): void {
    const isEx = type.form === 'listpack-ex';
    this.form = isEx ? 'listpack' : (type.form as PackedForm);
    this.hasLeast = type.id === LISTPACK_EX;
    const roles = isEx ? WITH_EXPIRY : this.form === 'intset' ? INTEGERS : ROLES[type.redisType];
    this.collection.begin(type.redisType, roles, this.hasLeast);
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    const { findings, strings } = this;
    let pos = start;
    if (this.hasLeast && pos < end) {
      const least = uint32(bytes, pos + 4) * 2 ** 32 + uint32(bytes, pos);
      if (least > GREATEST_EXPIRY + 1) findings.add('BAD_HASH', pos, 'a least field expiry of up to 2^48', `${least}`);
      pos += 8;
      this.hasLeast = false;
    }
    if (pos >= end) return;
    strings.next(bytes, pos, end);
    const { element } = strings;
    if (!strings.whole) return;
    if (element.kind === INT) {
      findings.add('BAD_STRING', pos, `a ${this.form}`, 'an integer');
      return;
    }
    findings.enter(findings.base + pos, element.start);
    const packed = this.packed[this.form];
    packed.whole(element.bytes, element.start, element.end);
    this.collection.end(element.start, !packed.broken);
    findings.leave();
  }

  string(length: number): StringCheck {
    const packed = this.packed[this.form];
    const { bytes, end } = packed.pieces(length);
    return {
      bytes,
      end: (lost) => {
        end(lost);
        this.collection.end(0, !lost && !packed.broken);
      },
    };
  }

  end(): void {
    // with its string
  }
}

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
