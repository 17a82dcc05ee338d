import { INT, uint32 } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body, StringCheck } from './body.js';
import { type Collection, GREATEST_EXPIRY, type Role } from './collection.js';
import type { Findings } from './findings.js';
import { type PackedForm, PackedString } from './packed.js';
import type { Strings } from './strings.js';

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
