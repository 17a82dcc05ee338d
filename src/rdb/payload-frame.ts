import { RdbError } from '../bytes/errors.js';
import { Frame } from './frame.js';
import { KEY_META, PAYLOAD_FOOTER, type Payload } from './payload.js';
import { DONE, ShapeWalker } from './shapes.js';
import { strangerOf, TABLES, type Vendor } from './types.js';

/**
 * The frame of the value in a payload, for ValueFramer: offsets are those in the payload, there is no key, and the database
 * is -1. It ends before the footer: whether the value does is for the framer to find out. Throws RdbError where what stands
 * before the value makes no sense.
 */
export function payloadFrame(
  payload: Uint8Array,
  { hasKeyMeta, vendor, version }: Pick<Payload, 'hasKeyMeta' | 'vendor' | 'version'>,
): Frame {
  const end = payload.length - PAYLOAD_FOOTER;
  const typeAt = hasKeyMeta ? metaEnd(payload, end) : 0;
  const id = payload[typeAt];
  const type = TABLES[vendor].types[id];
  if (type === undefined) throw unknown(id, vendor, version, typeAt);
  const frame = new Frame();
  frame.db = -1;
  frame.type = type;
  frame.redisType = type.redisType;
  if (hasKeyMeta) frame.metaBytes = payload.slice(1, typeAt);
  frame.bytes = payload;
  frame.start = frame.offset = typeAt + 1;
  frame.end = end;
  return frame;
}

function unknown(id: number, vendor: Vendor, version: number, offset: number): RdbError {
  const stranger = strangerOf(id, vendor);
  return new RdbError(stranger?.unsupported === true ? 'UNSUPPORTED_TYPE' : 'UNKNOWN_OPCODE', {
    offset,
    expected: stranger?.unsupported === true ? 'a type that rdbkit reads' : `a value type of ${vendor} RDB version ${version}`,
    got: stranger?.isType === true ? stranger.name : `byte ${id}`,
  });
}

/** Where the metadata of the key ends that stands before the type byte. */
function metaEnd(payload: Uint8Array, end: number): number {
  const opcode = TABLES.redis.opcodes[KEY_META];
  const walker = new ShapeWalker();
  if (opcode !== undefined) walker.start(opcode.shape, 1);
  const status = walker.scan(payload, end);
  if (status === DONE && walker.pos < end) return walker.pos;
  throw new RdbError('TRUNCATED', { offset: end, expected: 'the rest of the metadata of the key, and a value', got: 'the footer' });
}
