import { type Frame, RECORD } from '../../src/rdb/frame.js';
import { Framer } from '../../src/rdb/framer.js';
import type { RedisType } from '../../src/rdb/types.js';
import { reads, type Target } from '../../src/values/targets.js';
import type { Transcoded } from '../../src/values/transcode.js';
import { type StreamValue, ValueBuilder } from '../../src/values/js-values.js';
import { StringTexts } from '../../src/values/value-texts.js';
import { bytes, type Part, rdb, str } from './support.js';

export const magic = ({ rdbVersion }: Pick<Target, 'rdbVersion'>): string => (rdbVersion >= 80 ? `VALKEY${String(rdbVersion).padStart(3, '0')}` : `REDIS${String(rdbVersion).padStart(4, '0')}`);

/** All keys of an RDB, one after another, each whole. */
export function* framesOf(file: Uint8Array): Generator<Frame> {
  const framer = new Framer({ limit: Infinity, meta: false });
  framer.push(file);
  for (let kind = framer.next(); kind === RECORD; kind = framer.next()) yield framer.frame;
  framer.finish();
}

/** A file with one key, `before` it what the file needs. */
export const fileOf = (head: string, type: number, value: Part, before: Part = []): Uint8Array => rdb(head, [before, type, str('k'), value]);

export function frameOf(head: string, type: number, value: Part, before: Part = []): Frame {
  for (const frame of framesOf(fileOf(head, type, value, before))) return frame;
  throw new Error('no key');
}

export type Value = ReturnType<typeof decoded>;

/** A value without the encoding; items of sets in an order of their own. */
export function decoded(frame: Frame) {
  const builder = new ValueBuilder(new StringTexts());
  builder.frame(RECORD, frame);
  return frame.redisType === 'set' ? [...(builder.built as string[])].sort() : builder.built;
}

/** What the target finds in a transcoded value. Fails where it does not know the type. */
export function received(target: Target, { bytes: all, end, start, type }: Transcoded): Value {
  if (!reads(target, type)) throw new Error(`${type.name} for ${target.vendor} ${target.release}`);
  return decoded(frameOf(magic(target), type.id, bytes(all.subarray(start, end))));
}

/** A stream as a type with this number can have it. */
export function streamAs(type: number, { firstId, maxDeletedId, entriesAdded, idempotence, groups, ...stream }: StreamValue<string>, free = false): StreamValue<string> {
  return {
    ...stream,
    ...(type >= 19 && firstId !== undefined && maxDeletedId !== undefined && entriesAdded !== undefined ? { firstId, maxDeletedId, entriesAdded } : {}),
    ...(type >= 26 && idempotence !== undefined ? { idempotence } : {}),
    groups: groups.map((group) => ({
      ...group,
      entriesRead: type >= 19 ? group.entriesRead : null,
      pending: group.pending.filter(({ consumer }) => free || type >= 27 || consumer !== null),
      consumers: group.consumers.map(({ activeTime, ...consumer }) => (type >= 21 && activeTime !== undefined ? { ...consumer, activeTime } : consumer)),
    })),
  };
}

/** What should arrive of a value that was written as another type. */
export function expected(redisType: RedisType, value: Value, { outcome, type }: Transcoded): unknown {
  if (redisType === 'stream' && outcome !== 'same') return streamAs(type.id, value as StreamValue<string>);
  if (redisType === 'hash' && outcome === 'lossy') return (value as { field: string; value: string }[]).map(({ field, value: text }) => ({ field, value: text }));
  return value;
}
