import type { Element } from '../encodings/element.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { payloadOrigin } from '../rdb/payload.js';
import { Scratch } from '../rdb/string.js';
import type { RedisType } from '../rdb/types.js';
import { PartsReader } from '../values/parts.js';

/** The command that returns the size of a key, by type. */
export const SIZES: Readonly<Partial<Record<RedisType, string>>> = {
  string: 'STRLEN',
  list: 'LLEN',
  set: 'SCARD',
  zset: 'ZCARD',
  hash: 'HLEN',
  stream: 'XLEN',
};

/** The command that returns the size of the value in a payload, and what it returns; undefined for types without one. */
export function sizeOf(payload: Uint8Array): { command: string; size: number } | undefined {
  const frame = payloadFrame(payload, payloadOrigin(payload));
  const command = SIZES[frame.redisType];
  if (command === undefined) return undefined;
  const scratch = new Scratch();
  let size = 0;
  const count = (): void => {
    size++;
  };
  const reader = new PartsReader({
    text: (element: Element) => {
      scratch.text(element);
      size = element.end - element.start;
    },
    ...{ item: count, pair: count, scored: count, entryEnd: count },
  });
  reader.record(frame);
  return { command, size };
}
