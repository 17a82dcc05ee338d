import { type Decoded, decodeBase64, decodeHex, decodeQuoted } from '../bytes/byte-forms.js';
import { RdbError } from '../bytes/errors.js';
import { BEGINNING, isRdb, latin } from '../rdb/beginning.js';
import { LEAST_PAYLOAD, parsePayload } from '../rdb/payload.js';
import { KNOWN_VERSION, TABLES } from '../rdb/types.js';
import { PAYLOAD_FORMS, type PayloadForm } from './payload-terms.js';

export interface FoundPayload {
  readonly bytes: Uint8Array;
  readonly form: PayloadForm;
  /** Whether a trailing newline, which redis-cli adds, was removed. */
  readonly newline: boolean;
}

const decodeRaw = (given: Uint8Array): Decoded => given;
const DECODERS: Readonly<Record<PayloadForm, (given: Uint8Array) => Decoded>> = {
  quoted: decodeQuoted,
  hex: decodeHex,
  base64: decodeBase64,
  raw: decodeRaw,
};

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

/**
 * The payload in `given`, in the form that makes it most plausible: a right checksum is better than none, and that better than a
 * known version and type. Throws BAD_PAYLOAD if it cannot be one in any form.
 */
export function findPayload(given: Uint8Array, from?: PayloadForm): FoundPayload {
  let best: FoundPayload | undefined;
  let grade = 0;
  for (const form of from === undefined ? PAYLOAD_FORMS : [from]) {
    if (grade === BEST) break;
    if (from === undefined && !mayBe(form, given)) continue;
    const bytes = DECODERS[form](given);
    if (typeof bytes === 'number') {
      if (from !== undefined) throw notOf(form, given, bytes);
      continue;
    }
    for (const newline of form === 'raw' && bytes[bytes.length - 1] === NEWLINE ? [false, true] : [false]) {
      const payload = newline ? bytes.subarray(0, -1) : bytes;
      const found = gradeOf(payload);
      if (found > grade) [best, grade] = [{ bytes: payload, form, newline }, found];
    }
  }
  if (best === undefined || isFile(given) || isFile(best.bytes)) {
    throw new RdbError('BAD_PAYLOAD', {
      expected: expectedOf(from),
      got: describe(best !== undefined && isFile(best.bytes) ? best.bytes : given),
    });
  }
  return best;
}

/** The grade of a payload with a right checksum. */
const BEST = 4;

/** 0 if it is too short. */
function gradeOf(bytes: Uint8Array): number {
  if (bytes.length < LEAST_PAYLOAD) return 0;
  const { checksum, hasKeyMeta, type, vendor, version } = parsePayload(bytes);
  if (checksum === 'ok') return BEST;
  const known = version > 0 && version <= KNOWN_VERSION[vendor] && (hasKeyMeta || TABLES[vendor].types[type] !== undefined);
  if (checksum === 'none') return known ? 3 : 1;
  return known ? 2 : 1;
}

/** A quick test without decoding. A payload has unprintable bytes, so its quoted form has escapes. */
function mayBe(form: PayloadForm, given: Uint8Array): boolean {
  if (form === 'quoted') return given.includes(BACKSLASH);
  return form !== 'raw' || !isText(given);
}

/** Whether it is only printable ASCII and white space: then it cannot be the raw bytes. */
const isText = (given: Uint8Array): boolean => given.every((byte) => (byte >= 0x20 && byte <= 0x7e) || (byte >= 0x09 && byte <= 0x0d));

function notOf(form: PayloadForm, given: Uint8Array, at: number): RdbError {
  const character = at < given.length ? JSON.stringify(String.fromCharCode(given[at])) : 'the end';
  return new RdbError('BAD_PAYLOAD', { expected: `a payload in the form ${form}`, got: `${character} at character ${at + 1}` });
}

function expectedOf(from: PayloadForm | undefined): string {
  const form = from === undefined ? `one of the forms ${PAYLOAD_FORMS.join(', ')}` : `the form ${from}`;
  return `${LEAST_PAYLOAD} bytes or more in ${form}`;
}

/** An RDB file ends with a checksum like a payload, but its first byte is no type. */
const isFile = (given: Uint8Array): boolean => isRdb(latin(given, 0, BEGINNING));

/** What clients show of a reply that is no payload: nothing or (nil) for a key that does not exist, and errors. */
const LONGEST_REPLY = 500;
const NIL = /^"?(|\(nil\)|nil|None|null|\$-1)"?$/;
const ERROR_REPLY = /^(\(error\) .|-?[A-Z]{2,} [A-Za-z'])/;

function describe(given: Uint8Array): string {
  if (given.length === 0) return 'nothing';
  if (isFile(given)) return 'an RDB file: rdbkit decode reads it';
  const said = isText(given) && given.length <= LONGEST_REPLY ? latin(given, 0, given.length).trim() : '-';
  if (NIL.test(said)) return 'the answer for a key that does not exist: look at its name and at the database (redis-cli -n)';
  if (ERROR_REPLY.test(said)) return `an error of the server: ${said.replace(/^\(error\) /, '')}`;
  return isText(given) ? `text of ${given.length} characters` : `${given.length} bytes`;
}
