import type { KeyMeta } from '../values/meta-records.js';
import type { Values } from '../values/js-values.js';

/** A key of one type. */
export interface KeyOf<Type extends keyof Values<unknown>, T> {
  /** Database number. */
  db: number;
  key: T;
  type: Type;
  /** Unix milliseconds; only if the key expires. It may be in the past: servers save keys that they have not deleted yet. */
  expireAt?: number;
  /** Seconds since the last access; only in files of servers with an LRU eviction policy. */
  idle?: number;
  /** The LFU counter, 0 to 255; only in files of servers with an LFU eviction policy. */
  freq?: number;
  keyMeta?: KeyMeta<T>[];
  value: Values<T>[Type];
}

/**
 * A key and its value; `type` determines what `value` is. `T` is the type of Redis strings: Buffer, or string with the option
 * `text`.
 */
export type KeyRecord<T = Buffer> = { [Type in keyof Values<T>]: KeyOf<Type, T> }[keyof Values<T>];
