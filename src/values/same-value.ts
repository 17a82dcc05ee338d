import { constants } from 'node:buffer';
import { RdbError } from '../bytes/errors.js';
import { EMPTY } from '../encodings/element.js';
import { LEAST_PAYLOAD, parsePayload, PAYLOAD_FOOTER, payloadVersion } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { type RedisType, TABLES } from '../rdb/types.js';
import { ValueFramer } from '../rdb/value-framer.js';
import { type StreamGroup, type StreamIdempotence, type StreamValue, ValueBuilder, type Values } from './js-values.js';
import { BufferTexts } from './value-texts.js';

/**
 * Whether two DUMP payloads hold the same value, whatever their encodings, RDB versions and checksums. The order of sets, sorted
 * sets and hashes does not matter; fields include their expiries, and scores are compared as doubles (0 and -0 differ). For streams,
 * see sameStream. Module metadata of the key is part of the value.
 *
 * Integers of streams above 2^53 are compared as the nearest numbers (see js-values.ts).
 *
 * Payloads with the same bytes are the same without being decoded. Otherwise both values are held in memory, several times the
 * size of the payloads; false if one is damaged, has a wrong checksum, or a string longer than JavaScript allows.
 */
export function samePayload(a: Uint8Array, b: Uint8Array): boolean {
  if (haveSameBody(a, b)) return true;
  const one = valueOf(a);
  const other = one === undefined ? undefined : valueOf(b);
  if (one === undefined || other === undefined || one.type !== other.type) return false;
  if (!haveSameBytes(one.metaBytes ?? EMPTY, other.metaBytes ?? EMPTY)) return false;
  return attempt(() => sameValue(one.type, one.value, other.value)) === true;
}

type Value = Values<Buffer>[RedisType];

interface PayloadValue {
  readonly type: RedisType;
  readonly metaBytes: Uint8Array | undefined;
  readonly value: Value;
}

/** Whether everything but the footer is the same, and means the same: some type numbers differ between Redis and Valkey. */
function haveSameBody(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length || a.length < LEAST_PAYLOAD) return false;
  const [one, other] = [a, b].map((payload) => payloadVersion(payload).vendor);
  if (one !== other && TABLES[one].types[a[0]] !== TABLES[other].types[b[0]]) return false;
  const end = a.length - PAYLOAD_FOOTER;
  return haveSameBytes(a.subarray(0, end), b.subarray(0, end));
}

/** The value of a payload; undefined if it cannot be read. */
function valueOf(bytes: Uint8Array): PayloadValue | undefined {
  if (bytes.length < LEAST_PAYLOAD) return undefined;
  const payload = parsePayload(bytes);
  if (payload.checksum === 'wrong') return undefined;
  return attempt(() => {
    const frame = payloadFrame(bytes, payload);
    const framer = new ValueFramer(frame);
    const builder = new ValueBuilder(new BufferTexts());
    let isWhole = false;
    for (const { frame: part, kind } of framer.parts(bytes.subarray(frame.start, frame.end))) {
      builder.frame(kind, part);
      isWhole = part.last;
    }
    return isWhole && framer.offset === frame.end ? { type: frame.redisType, metaBytes: frame.metaBytes, value: builder.built } : undefined;
  });
}

/** Undefined if something is damaged, or larger than JavaScript allows. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof RdbError || error instanceof RangeError) return undefined;
    throw error;
  }
}

type Same<T> = (a: T, b: T) => boolean;

/** Types whose values may be the same without being equal. */
const SAME: { readonly [Type in RedisType]?: Same<Values<Buffer>[Type]> } = {
  set: (a, b) => sameByName(a, b, (item) => item),
  zset: (a, b) => sameByName(a, b, ({ member }) => member),
  hash: (a, b) => sameByName(a, b, ({ field }) => field),
  stream: sameStream,
};

function sameValue(type: RedisType, a: Value, b: Value): boolean {
  return ((SAME[type] ?? isSame) as Same<Value>)(a, b);
}

function haveSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Whether plain data are equal: bytes, arrays in order, objects field by field. 0 and -0 are not. */
function isSame(a: unknown, b: unknown): boolean {
  if (Buffer.isBuffer(a)) return Buffer.isBuffer(b) && haveSameBytes(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((one, i) => isSame(one, b[i]));
  if (!isObject(a) || !isObject(b)) return Object.is(a, b);
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => isSame(a[name], b[name]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Whether two lists have the same elements in any order. Names are unique: a list with a repeated one is never the same. */
function sameByName<T>(a: readonly T[], b: readonly T[], nameOf: (one: T) => Buffer | string, same: Same<T> = isSame): boolean {
  if (a.length !== b.length) return false;
  const named = new Map<string, T>();
  for (const one of a) named.set(textOf(nameOf(one)), one);
  for (const other of b) {
    const name = textOf(nameOf(other));
    const one = named.get(name);
    if (one === undefined || !same(one, other)) return false;
    named.delete(name); // so that a repeated one is not found
  }
  return true;
}

/** Each byte as the character with that code. Throws RangeError for more than JavaScript allows. */
function textOf(name: Buffer | string): string {
  if (typeof name === 'string') return name;
  if (name.length > constants.MAX_STRING_LENGTH) throw new RangeError(`a name of ${name.length} bytes`);
  return name.toString('latin1');
}

type Stream = StreamValue<Buffer>;

/**
 * Whether two streams are the same: entries in order, length, last ID, groups with their pending entries and the names of their
 * consumers. Seen and active times of consumers are not compared. What only types since 7.0 have (first ID, greatest deleted ID,
 * entries added, entries read by groups) is compared if both have it: a server that loads an older type makes it up. A stream
 * without idempotent producing is the same as one without producers.
 */
function sameStream(a: Stream, b: Stream): boolean {
  const offsets = a.firstId !== undefined && b.firstId !== undefined;
  if (a.length !== b.length || a.lastId !== b.lastId || (offsets && !sameOffsets(a, b))) return false;
  return (
    isSame(a.entries, b.entries) &&
    sameByName(
      a.groups,
      b.groups,
      ({ name }) => name,
      (one, other) => sameGroup(one, other, offsets),
    ) &&
    sameProducing(a.idempotence, b.idempotence)
  );
}

const sameOffsets = (a: Stream, b: Stream): boolean =>
  a.firstId === b.firstId && a.maxDeletedId === b.maxDeletedId && a.entriesAdded === b.entriesAdded;

function sameGroup(a: StreamGroup<Buffer>, b: StreamGroup<Buffer>, offsets: boolean): boolean {
  if (a.lastId !== b.lastId || (offsets && a.entriesRead !== b.entriesRead)) return false;
  return (
    sameByName(a.pending, b.pending, ({ id }) => id) &&
    sameByName(
      a.consumers,
      b.consumers,
      ({ name }) => name,
      () => true,
    )
  );
}

type Producing = StreamIdempotence<Buffer>;

function sameProducing(a: Producing | undefined, b: Producing | undefined): boolean {
  if (a === undefined || b === undefined) return ((a ?? b)?.producers ?? []).length === 0;
  if (a.duration !== b.duration || a.maxEntries !== b.maxEntries || a.added !== b.added || a.duplicates !== b.duplicates) return false;
  return sameByName(a.producers, b.producers, ({ id }) => id);
}
