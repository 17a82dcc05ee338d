import { decodeBase64 } from '../bytes/byte-forms.js';
import { RdbError } from '../bytes/errors.js';
import { formatText, parseText } from '../bytes/text.js';
import type { Frame } from '../rdb/frame.js';
import { MAX_DB } from '../rdb/opcodes.js';

/** A line of `dump --format payload`. */
export interface PayloadLine {
  readonly bytes: Uint8Array;
  /** What it says of the key; without db or key there is none. */
  readonly db: number;
  readonly key: Uint8Array;
  readonly expireAt: bigint | undefined;
  readonly idle: number;
  readonly freq: number;
}

const MARK = ',"payload":"';
const QUOTE = 0x22;
/** Servers count accesses in a byte. */
const MOST_FREQ = 255;

/**
 * Reads a line. In it, `,"payload":"` stands nowhere but before the payload: inside a string of JSON there is a backslash before a
 * quote. So a payload of any size is decoded where it stands, and only the rest is parsed. Throws BAD_PAYLOAD.
 */
export function parsePayloadLine(line: Uint8Array): PayloadLine {
  const view = Buffer.from(line.buffer, line.byteOffset, line.length);
  const mark = view.indexOf(MARK, 0, 'latin1');
  const from = mark + MARK.length;
  const to = mark < 0 ? -1 : line.indexOf(QUOTE, from);
  if (to < 0) throw noPayload(view);
  const key = keyOf(view.toString('utf8', 0, mark) + view.toString('utf8', to + 1));
  const bytes = decodeBase64(line.subarray(from, to));
  if (typeof bytes !== 'number') return { bytes, ...key };
  const error = bad('base64', `${JSON.stringify(String.fromCharCode(line[from + bytes]))} in the payload`);
  throw key.db < 0 ? error : error.at({ db: key.db, key: formatText(key.key) });
}

/** Other lines of JSON may be those of decode, which have a value, and its --meta records. */
function noPayload(line: Buffer): RdbError {
  const isValue = /^\s*\{.*"(?:value|type)":/.test(line.toString('latin1', 0, SHOWN));
  return bad(
    'an object with "payload" after its other fields, as rdbkit dump --format payload writes it',
    isValue ? 'a line as rdbkit decode writes it: rdbkit encode makes an RDB file of those' : 'another line',
  );
}

/** Bytes that show what a line is: a key may be longer, which is told as another line. */
const SHOWN = 1 << 16;

function keyOf(text: string): Omit<PayloadLine, 'bytes'> {
  const { db, expireAt, freq, idle, key } = parse(text);
  if (key !== undefined && typeof key !== 'string') throw bad('a string as key', JSON.stringify(key));
  const named = {
    idle: count('idle', idle),
    freq: count('freq', freq, MOST_FREQ),
    expireAt: expireAt === undefined ? undefined : expiry(text),
  };
  const number = count('db', db, MAX_DB);
  const hasKey = number >= 0 && key !== undefined;
  return { ...named, db: hasKey ? number : -1, key: hasKey ? textBytes(key) : new Uint8Array(0) };
}

/** -1 where the field is absent. */
function count(name: string, value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (value === undefined) return -1;
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most) return value as number;
  throw bad(`an integer from 0 to ${most} as ${name}`, JSON.stringify(value));
}

/** As written in the line: a number may be too large for JSON.parse. */
function expiry(text: string): bigint {
  const digits = /[{,]\s*"expireAt"\s*:\s*(-?\d{1,19})\s*[,}]/.exec(text)?.[1];
  const ms = digits === undefined ? undefined : BigInt(digits);
  if (ms === undefined || BigInt.asIntN(64, ms) !== ms) throw bad('Unix milliseconds of 64 bits as expireAt', digits ?? 'something else');
  return ms;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw bad('a line of JSON', 'something that is none', cause);
  }
}

function textBytes(key: string): Uint8Array {
  try {
    return parseText(key);
  } catch (cause) {
    throw bad('a key in the text form', JSON.stringify(key), cause);
  }
}

function bad(expected: string, got: string, cause?: unknown): RdbError {
  return new RdbError('BAD_PAYLOAD', { expected, got, cause });
}

/** Puts what the line says of the key into the frame of its value. */
export function nameFrame(frame: Frame, { db, expireAt, freq, idle, key }: PayloadLine): void {
  Object.assign(frame, { db, idle, freq, keyBytes: key, keyStart: 0, keyEnd: key.length });
  if (expireAt !== undefined) frame.setExpireMs(expireAt);
}
