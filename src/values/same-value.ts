import { RdbError } from '../bytes/errors.js';
import { LEAST_PAYLOAD, parsePayload, PAYLOAD_FOOTER, payloadVersion } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { type RedisType, TABLES } from '../rdb/types.js';
import { ValueFramer } from '../rdb/value-framer.js';
import { haveSameBytes, sameByName, sameInOrder, sameOrBothMissing } from './same-parts.js';
import { sameStream } from './same-stream.js';
import { ValueBuilder } from './value-builder.js';
import { BufferTexts } from './value-texts.js';
import type { ArrayValue, HashField, ModulePart, ModuleValue, Values, ZsetMember } from './value-types.js';

/**
 * Whether two DUMP payloads hold the same value, whatever their encodings, RDB versions and checksums. The order of sets, sorted
 * sets and hashes does not matter; fields include their expiries, and scores are compared as doubles (0 and -0 differ). For streams,
 * see sameStream. Module metadata of the key is part of the value.
 *
 * Integers of streams above 2^53 are compared as the nearest numbers (see value-types.ts).
 *
 * Payloads with the same bytes are the same without being decoded. Otherwise both values are held in memory, several times the
 * size of the payloads; false if one is damaged, has a wrong checksum, or a string longer than JavaScript allows.
 */
export function samePayload(a: Uint8Array, b: Uint8Array): boolean {
  if (haveSameBody(a, b)) return true;
  const one = valueOf(a);
  const other = one === undefined ? undefined : valueOf(b);
  if (one === undefined || other === undefined || one.type !== other.type) return false;
  if (!sameOrBothMissing(one.metaBytes, other.metaBytes, haveSameBytes)) return false;
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

const SAME: { readonly [Type in RedisType]: Same<Values<Buffer>[Type]> } = {
  string: haveSameBytes,
  list: (a, b) => sameInOrder(a, b, haveSameBytes),
  set: (a, b) => sameByName(a, b, (item) => item, () => true),
  zset: (a, b) => sameByName(a, b, ({ member }) => member, sameScore),
  hash: (a, b) => sameByName(a, b, ({ field }) => field, sameField),
  stream: sameStream,
  module: sameModule,
  array: sameArray,
  bitmap: (a, b) => a.length === b.length && sameInOrder(a.runs, b.runs, ([first, last], other) => first === other[0] && last === other[1]),
};

function sameValue(type: RedisType, a: Value, b: Value): boolean {
  return (SAME[type] as Same<Value>)(a, b);
}

const sameScore: Same<ZsetMember<Buffer>> = (a, b) => Object.is(a.score, b.score);
const sameField: Same<HashField<Buffer>> = (a, b) => a.expireAt === b.expireAt && haveSameBytes(a.value, b.value);

function sameModule(a: ModuleValue<Buffer>, b: ModuleValue<Buffer>): boolean {
  return a.module === b.module && a.version === b.version && sameInOrder(a.parts, b.parts, samePart);
}

function samePart(a: ModulePart<Buffer>, b: ModulePart<Buffer>): boolean {
  if (a.kind === 'string') return b.kind === 'string' && haveSameBytes(a.value, b.value);
  return a.kind === b.kind && Object.is(a.value, b.value);
}

function sameArray(a: ArrayValue<Buffer>, b: ArrayValue<Buffer>): boolean {
  return (
    a.insertIndex === b.insertIndex &&
    sameInOrder(a.elements, b.elements, (one, other) => one.index === other.index && haveSameBytes(one.value, other.value))
  );
}
