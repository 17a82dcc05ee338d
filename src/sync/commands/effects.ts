/**
 * What one command does to one key, as bits: from them it follows whether the commands on a key may be applied again. It is assumed
 * that a source sends only what had an effect there (a command that changes nothing is not replicated), and that a command is sent as
 * `heldExpiry` writes it.
 */
export const Effect = {
  /** The key's value and expiry afterwards do not depend on what it was, of whatever type: SET, DEL, RESTORE … REPLACE. */
  WHOLE: 1 << 0,
  /** Puts elements or bytes in place, whether or not they are there; never deletes the key: HSET, SADD, SETRANGE. */
  PUT: 1 << 1,
  /** Takes elements out, if they are there: HDEL, SREM. The key goes with its last element. */
  REMOVE: 1 << 2,
  /** Sets or removes an expiry of the key or of elements, and nothing else: PEXPIREAT, PERSIST. */
  EXPIRY: 1 << 3,
  /** Depends on what the key was, and on nothing else: INCR, RPUSH, XADD. */
  OWN: 1 << 4,
  /** Depends on other keys, or on more than this table knows: RENAME, SUNIONSTORE, commands of modules. */
  NEVER: 1 << 5,
  /** Sets a point in time at which a server deletes the key or elements of it by itself. */
  EXPIRES: 1 << 6,
  /** Its expiry counts from when it is applied: SETEX, as servers before 6.2 send it. */
  RELATIVE: 1 << 7,
  /** Applied elsewhere, it may give another value, since a clock or chance takes part: SPOP, TS.INCRBY without a time. */
  INEXACT: 1 << 8,
  /** Types of values, for PUT, REMOVE and EXPIRY of elements: the command is an error for a key of another type. */
  STRING: 1 << 9,
  /** A string, too, but what PFADD and SETRANGE do to it cannot be told apart from the commands alone. */
  HLL: 1 << 10,
  LIST: 1 << 11,
  SET: 1 << 12,
  ZSET: 1 << 13,
  HASH: 1 << 14,
} as const;

const TYPES = Effect.STRING | Effect.HLL | Effect.LIST | Effect.SET | Effect.ZSET | Effect.HASH;

/**
 * The effect of a sequence of commands on a key, from that of the sequence before and that of its next command; begin with 0. After a
 * WHOLE, what came before no longer matters, so that is where to repeat from: see `repeatable`.
 */
export function withEffect(before: number, next: number): number {
  return (next & Effect.WHOLE) === 0 ? before | next : next;
}

/**
 * Whether the commands on a key from its last WHOLE on, or all of them if there is none, lead to the state that they led to, when they
 * are applied in order to any state reached by a first part of them, or by repeating such parts. `effects` is by `withEffect`; `held`
 * says that expiries lie far in the future (`heldExpiry`), so that the target deletes nothing by itself.
 *
 * - After a WHOLE, what the key was is no longer looked at. So what came before it may be applied again, too, or not; it may be refused.
 * - PUTs of one type: for each element the last one decides. None of them deletes the key, so its expiry is that of the last EXPIRY.
 * - REMOVEs of one type: nothing comes back, so the key is deleted where the last element went.
 * - Both: the key may be empty for a moment the second time, though it was not the first time, and lose its expiry with it.
 * - Types do not change without a WHOLE: the key would have to be emptied and filled in between.
 * - An expiry that passes between the two times deletes what a later PERSIST or PEXPIREAT kept.
 */
export function repeatable(effects: number, held: boolean): boolean {
  if ((effects & (Effect.NEVER | Effect.RELATIVE | Effect.INEXACT)) !== 0) return false;
  if (!held && (effects & Effect.EXPIRES) !== 0) return false;
  if ((effects & Effect.WHOLE) !== 0) return true;
  const types = effects & TYPES;
  const puts = (effects & Effect.PUT) !== 0;
  const removes = (effects & Effect.REMOVE) !== 0;
  return (effects & Effect.OWN) === 0 && !(puts && removes) && (types & (types - 1)) === 0;
}
