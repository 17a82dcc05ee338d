import { writeInt, writeInt64 } from '../bytes/decimal.js';
import type { Codec } from '../kernels/codec.js';
import { jsonTextSize } from '../bytes/json.js';
import type { Frame } from '../rdb/frame.js';
import type { RedisType } from '../rdb/types.js';
import { keyMetaJson } from './meta.js';
import { ascii, type JsonWriter } from './writer.js';

const OBJECT = 0x7b;
const DB = ascii('{"db":');
const KEY = ascii(',"key":');
const EXPIRE_AT = ascii(',"expireAt":');
const IDLE = ascii(',"idle":');
const FREQ = ascii(',"freq":');

/** By type: its name, what stands before the elements of a value, and what stands after them. */
export const VALUES = {
  string: [ascii(',"type":"string"'), ascii(',"value":'), ascii('}\n')],
  list: [ascii(',"type":"list"'), ascii(',"value":['), ascii(']}\n')],
  set: [ascii(',"type":"set"'), ascii(',"value":['), ascii(']}\n')],
  zset: [ascii(',"type":"zset"'), ascii(',"value":{'), ascii('}}\n')],
  hash: [ascii(',"type":"hash"'), ascii(',"value":{'), ascii('}}\n')],
  stream: [ascii(',"type":"stream"'), ascii(',"value":{"entries":['), ascii('}}\n')],
  module: [ascii(',"type":"module"'), ascii(',"value":{"module":'), ascii(']}}\n')],
  array: [ascii(',"type":"array"'), ascii(',"value":{"elements":['), ascii('}}\n')],
  bitmap: [ascii(',"type":"bitmap"'), ascii(',"value":{"length":'), ascii(']}}\n')],
} as const satisfies Record<RedisType, readonly [Uint8Array, Uint8Array, Uint8Array]>;

/** The longest that stands between the text of a key and the first element. */
const HEAD_SIZE = 256;

/** Room for `writeHead` and a few bytes after it. */
export function headSize({ keyEnd, keyStart }: Frame): number {
  return jsonTextSize(keyEnd - keyStart) + HEAD_SIZE;
}

/** Writes the beginning of the line of a key, up to what is said of its value. Room for it must be there. */
export function writeHead(json: JsonWriter, codec: Codec, frame: Frame): void {
  const { output } = json;
  const [type] = VALUES[frame.type.redisType];
  if (frame.db >= 0) {
    json.bytes(DB);
    output.length = writeInt(frame.db, output.bytes, output.length);
    json.bytes(KEY);
    output.length = codec.writeJsonText(frame.keyBytes, frame.keyStart, frame.keyEnd, output.bytes, output.length);
    json.bytes(type);
  } else {
    json.byte(OBJECT);
    json.bytes(type.subarray(1)); // without its comma
  }
  if (frame.hasExpire) {
    json.bytes(EXPIRE_AT);
    output.length = writeInt64(frame.expireHi, frame.expireLo, output.bytes, output.length);
  }
  if (frame.idle >= 0) {
    json.bytes(IDLE);
    output.length = writeInt(frame.idle, output.bytes, output.length);
  }
  if (frame.freq >= 0) {
    json.bytes(FREQ);
    output.length = writeInt(frame.freq, output.bytes, output.length);
  }
  if (frame.metaBytes !== undefined) writeKeyMeta(json, frame.metaBytes);
}

function writeKeyMeta(json: JsonWriter, bytes: Uint8Array): void {
  const text = new TextEncoder().encode(`,"keyMeta":${JSON.stringify(keyMetaJson(bytes))}`);
  json.output.room(text.length + HEAD_SIZE);
  json.bytes(text);
}
