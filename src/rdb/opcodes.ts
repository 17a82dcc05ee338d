import { RdbError } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import { BYTES, Element, int32 } from '../encodings/element.js';
import { latin } from './beginning.js';
import type { Frame } from './frame.js';
import { badLength, type Length, lengthText, MAX_LENGTH, readLength } from './length.js';
import { readString, Scratch } from './string.js';
import type { Opcode, Writer } from './types.js';

/** Opcodes whose operands affect the records after them. */
const NEEDED: ReadonlySet<Opcode | undefined> = new Set(['SELECTDB', 'EXPIRETIME', 'IDLE', 'AUX', 'KEY_META', 'HASH_TEMPLATE']);

/** Servers number databases with a C int. */
export const MAX_DB = 2 ** 31 - 1;

const length: Length = { value: 0, hi: 0, lo: 0 };
const element = new Element();
const scratch = new Scratch();

/** Whether the operands must be there in whole. */
export function isNeeded(frame: Frame): boolean {
  return NEEDED.has(frame.opcode?.name);
}

/**
 * Carries out what the opcode in `frame`, with its operands in `bytes[start, end)`, says about the records after it. Returns
 * false for one that says something of the file, which is for the consumer.
 */
export function applyOpcode(frame: Frame): boolean {
  const { bytes, start, end } = frame;
  switch (frame.opcode?.name) {
    case 'SELECTDB':
      frame.db = bounded('a database number', bytes, start, end, MAX_DB);
      return true;
    case 'EXPIRETIME': {
      const ms = BigInt(int32(bytes, start)) * 1000n;
      frame.setExpire(Number(ms >> 32n), Number(ms & 0xffffffffn));
      return true;
    }
    case 'IDLE':
      frame.idle = bounded('an idle time', bytes, start, end, Number.MAX_SAFE_INTEGER);
      return true;
    case 'KEY_META':
      frame.metaBytes = bytes.slice(start, end);
      return true;
    case 'HASH_TEMPLATE':
      defineTemplate(frame);
      return false;
    default:
      return false;
  }
}

/** How a file says that it is the base of an AOF: in Redis 4 to 6 the commands follow in the same file, since 7 in others. */
export type AofMark = 'aof-preamble' | 'aof-base';

const ONE = 0x31;

/** Whether an aux field says that the file is the base of an AOF. */
export function aofMarkOf({ bytes, end, opcode, start }: Frame): AofMark | undefined {
  if (opcode?.name !== 'AUX') return undefined;
  const next = readString(bytes, start, end, element);
  if (element.kind !== BYTES) return undefined;
  const size = element.end - element.start;
  if (size < 8 || size > 12) return undefined;
  const name = latin(element.bytes, element.start, element.end);
  if (name !== 'aof-preamble' && name !== 'aof-base') return undefined;
  readString(bytes, next, end, element);
  scratch.text(element);
  return element.end - element.start === 1 && element.bytes[element.start] === ONE ? name : undefined;
}

/** KeyDB's aux field with its clock of active replication, which comes before every key (rdb.cpp, rdbSaveKeyValuePair). */
const KEY_CLOCK = 'mvcc-tstamp';

export function isKeyClock({ bytes, opcode, start }: Frame): boolean {
  if (opcode?.name !== 'AUX' || bytes[start] !== KEY_CLOCK.length) return false;
  for (let i = 0; i < KEY_CLOCK.length; i++) if (bytes[start + 1 + i] !== KEY_CLOCK.charCodeAt(i)) return false;
  return true;
}

/** KeyDB's aux field that names a member of the set or hash before it which expires; one with the time follows. */
export const MEMBER_EXPIRY = 'keydb-subexpire-key';

export function isMemberExpiry({ bytes, end, opcode, start }: Frame): boolean {
  if (opcode?.name !== 'AUX') return false;
  readString(bytes, start, end, element);
  if (element.kind !== BYTES || element.end - element.start !== MEMBER_EXPIRY.length) return false;
  return String.fromCharCode(...element.bytes.subarray(element.start, element.end)) === MEMBER_EXPIRY;
}

/** Aux fields by which servers say that a file is their own. */
const WRITERS: Readonly<Record<string, Writer | undefined>> = { 'valkey-ver': 'valkey', 'df-ver': 'dragonfly' };
const LONGEST_NAME = 10;

/** The server that an aux field names as the writer of the file, and its version. */
export function writerOf(frame: Frame): { writer: Writer; release: string } | undefined {
  if (frame.opcode?.name !== 'AUX') return undefined;
  const { bytes, end, start } = frame;
  const next = readString(bytes, start, end, element);
  if (element.kind !== BYTES || element.end - element.start > LONGEST_NAME) return undefined;
  const writer = WRITERS[String.fromCharCode(...element.bytes.subarray(element.start, element.end))];
  if (writer === undefined) return undefined;
  readString(bytes, next, end, element);
  scratch.text(element);
  return { writer, release: formatText(element.bytes, element.start, Math.min(element.end, element.start + LONGEST_RELEASE)) };
}

const LONGEST_RELEASE = 32;

/** A length that is no greater than any server writes. */
function bounded(what: string, bytes: Uint8Array, start: number, end: number, greatest: number): number {
  readLength(bytes, start, end, length);
  if (length.value > greatest) throw new RdbError('BAD_LENGTH', { expected: `${what} of ${greatest} at most`, got: lengthText(length) });
  return length.value;
}

/** Remembers the field names of a hash template (redis 8.10): its number, a count, names. */
function defineTemplate({ bytes, start, end, templates }: Frame): void {
  let pos = readLength(bytes, start, end, length);
  const id = length.value;
  if (id > MAX_LENGTH) throw badLength(length);
  if (templates.has(id)) throw new RdbError('BAD_TEMPLATE', { expected: 'a new template', got: `template ${id} again` });
  pos = readLength(bytes, pos, end, length);
  const names: Uint8Array[] = [];
  while (pos < end) {
    pos = readString(bytes, pos, end, element);
    scratch.text(element);
    names.push(element.bytes.slice(element.start, element.end));
  }
  templates.set(id, names);
}

/** For messages: `count` expiries of members (KeyDB) have no place in the output. */
export const lostMemberExpiries = (count: number): string =>
  count === 1 ? '1 member expiry of KeyDB is not kept' : `${count.toLocaleString('en-US')} member expiries of KeyDB are not kept`;
