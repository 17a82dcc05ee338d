import { formatText } from '../bytes/text.js';
import { BYTES, DOUBLE, type Element, INT } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import type { ErrorCode } from '../bytes/errors.js';
import { Scratch } from '../rdb/string.js';
import type { RedisType } from '../rdb/types.js';
import { Duplicates } from '../values/duplicates.js';
import type { Findings } from './findings.js';

/** What the elements of a collection are, in turn. */
export type Role = 'item' | 'name' | 'value' | 'score' | 'expiry';

/** Greatest expiry of a hash field (redis 7.4 ebuckets.h, EB_EXPIRE_TIME_MAX). */
export const GREATEST_EXPIRY = 0xffff_ffff_ffff;
const SHOWN = 40;

const CODES: Readonly<Partial<Record<RedisType, ErrorCode>>> = { zset: 'BAD_ZSET', hash: 'BAD_HASH' };

/** What is checked of the elements of a collection, whatever its encoding. */
export class Collection {
  private readonly duplicates = new Duplicates();
  private readonly scratch = new Scratch();
  private roles: readonly Role[] = [];
  private phase = 0;
  private name = '';
  private code: ErrorCode = 'DUPLICATE';
  private lastExpiry = 0;
  private ordered = false;
  /** Items, members or pairs so far. */
  count = 0;

  constructor(
    private readonly findings: Findings,
    private readonly deep: boolean,
  ) {}

  /** `ordered`: fields with expiries come first, in their order (redis 7.4 t_hash.c, listpackExAddNew). */
  begin(type: RedisType, roles: readonly Role[], ordered = false): void {
    this.roles = roles;
    this.code = CODES[type] ?? 'DUPLICATE';
    this.name = type === 'hash' ? 'field' : 'member';
    this.phase = this.count = this.lastExpiry = 0;
    this.ordered = ordered;
    if (this.deep) this.duplicates.begin();
  }

  private get part(): string {
    return `${this.name} ${this.count}`;
  }

  /** What the next element is. */
  get role(): Role {
    return this.roles[this.phase];
  }

  /** Whether the bytes of the next element matter. */
  get looks(): boolean {
    const role = this.roles[this.phase];
    return role === 'score' || role === 'expiry' || (role === 'name' && this.deep);
  }

  /** An element; LZF is decompressed by then. */
  add(element: Element, pos: number): void {
    const role = this.roles[this.phase];
    if (role === 'name') {
      if (this.deep) this.nameOf(element, pos);
    } else if (role === 'score') {
      this.score(element, pos);
    } else if (role === 'expiry') {
      this.expiry(element, pos);
    }
    this.pass();
  }

  /** Goes to the next element. */
  pass(): void {
    if (++this.phase < this.roles.length) return;
    this.phase = 0;
    this.count++;
  }

  private nameOf(element: Element, pos: number): void {
    this.scratch.text(element);
    const { bytes, end, start } = element;
    if (this.duplicates.isNew(bytes, start, end, this.count)) return;
    const shown = Math.min(end, start + SHOWN);
    this.findings.add(
      'DUPLICATE',
      pos,
      `every ${this.name} once`,
      `${JSON.stringify(formatText(bytes, start, shown))}${shown < end ? '…' : ''} again`,
      this.part,
    );
  }

  /** A large element, in pieces: beginLarge, addLarge…, endLarge. */
  beginLarge(): void {
    if (this.roles[this.phase] === 'name' && this.deep) this.duplicates.beginLarge();
  }

  addLarge(bytes: Uint8Array, start: number, end: number): void {
    if (this.roles[this.phase] === 'name' && this.deep) this.duplicates.addLarge(bytes, start, end);
  }

  endLarge(pos: number): void {
    const isName = this.roles[this.phase] === 'name' && this.deep;
    if (isName && !this.duplicates.isNewLarge(this.count)) {
      this.findings.add('DUPLICATE', pos, `every ${this.name} once`, 'a large one again', this.part);
    }
    this.pass();
  }

  private score(element: Element, pos: number): void {
    if (element.kind === DOUBLE) {
      if (Number.isNaN(element.num)) this.findings.add('BAD_ZSET', pos, 'a score', 'nan', this.part);
      return;
    }
    if (element.kind !== BYTES || isNumber(element)) return;
    this.findings.add(
      'BAD_ZSET',
      pos,
      'a score',
      formatText(element.bytes, element.start, Math.min(element.end, element.start + SHOWN)),
      this.part,
    );
  }

  /** The expiry of a field as a listpack has it: 0 for none. */
  private expiry(element: Element, pos: number): void {
    if (!toInteger(element) || element.kind !== INT || element.num < 0 || element.num > GREATEST_EXPIRY) {
      this.findings.add('BAD_HASH', pos, 'a field expiry in Unix milliseconds below 2^48, or 0', 'something else', this.part);
      return;
    }
    const ms = element.num;
    if (this.ordered && this.count > 0 && (this.lastExpiry === 0 ? ms > 0 : ms > 0 && ms < this.lastExpiry)) {
      this.findings.add(
        'BAD_HASH',
        pos,
        'fields in the order of their expiries, those without at the end',
        `${ms} after ${this.lastExpiry}`,
        this.part,
      );
    }
    this.lastExpiry = ms;
  }

  /** The end of the value, at `pos`. `complete`: all of its elements were seen. */
  end(pos: number, complete = true): void {
    const { code, findings, name } = this;
    if (complete && this.phase !== 0) {
      findings.add(code, pos, name === 'field' ? 'a value for every field' : 'a score for every member', 'one fewer', this.part);
    } else if (complete && this.count === 0) {
      findings.add('EMPTY_VALUE', pos, 'one element or more', 'none');
    }
    if (this.deep) {
      this.duplicates.end((index) => findings.add('DUPLICATE', pos, `every ${name} once`, 'one that comes twice', `${name} ${index}`));
    }
  }
}

/** Whether servers read a number from the text (strtod: what follows the number is passed over), and it is no NaN. */
function isNumber({ bytes, end, start }: Element): boolean {
  let at = start;
  if (bytes[at] === 0x2d || bytes[at] === 0x2b) at++;
  if (at >= end) return false;
  const byte = bytes[at];
  if (byte >= 0x30 && byte <= 0x39) return true;
  if (byte === 0x2e) return at + 1 < end && bytes[at + 1] >= 0x30 && bytes[at + 1] <= 0x39;
  return /^inf/i.test(String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 3))));
}
