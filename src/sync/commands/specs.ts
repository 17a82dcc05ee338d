import type { StreamCommand } from '../stream-command.js';
import { findWord, isOneOf, isWord, numberArg, textArg } from './args.js';
import { Effect } from './effects.js';
import { CONDITIONS, findRestoreOption } from './expiries.js';
import {
  andOthers,
  geoRadiusKeys,
  migrateKeys,
  noKeys,
  readGroupKeys,
  scriptKeys,
  sortKeys,
  storeCounted,
  writesAt,
  writesCounted,
  writesFrom,
  writesFromAll,
  writesFromOn,
} from './keys.js';
import type { CommandKind, CommandSpec, ExpiryForm, KeyArgs, KeyRule } from './spec.js';

/**
 * The commands that can be in a stream of writes: of Redis up to 8.12 and Valkey up to 9.2, their modules and KeyDB, also those that
 * servers send in another form, since older ones did not. What a command does the second time is in `effects.ts`.
 */
const { WHOLE, PUT, REMOVE, EXPIRY, OWN, NEVER, EXPIRES, RELATIVE, INEXACT, STRING, HLL, LIST, SET, ZSET, HASH } = Effect;

/** Constant, or by its options. */
type EffectRule = number | ((command: StreamCommand) => number);

interface Row {
  /** 'write' if left out. */
  readonly kind?: CommandKind;
  /** The argument that is its only key, 1 if left out; or a rule. */
  readonly keys?: number | KeyRule;
  /** OWN if left out. */
  readonly effect?: EffectRule;
  /** 0 if left out. */
  readonly changed?: number | ((command: StreamCommand) => number);
  readonly split?: CommandSpec['split'];
  readonly expiry?: ExpiryForm;
  readonly parts?: readonly CommandSpec[];
}

export function makeSpec(name: string, { kind = 'write', keys = 1, effect = OWN, changed = 0, split, expiry, parts }: Row): CommandSpec {
  const rule = typeof keys === 'number' ? writesAt(keys) : keys;
  return {
    name,
    kind,
    key: typeof keys === 'number' ? keys : 0,
    keys: (command: StreamCommand, found: KeyArgs): boolean => {
      found.writes.length = 0;
      found.reads.length = 0;
      found.undeclared = 'none';
      return rule(command, found);
    },
    effect: typeof effect === 'number' ? () => effect : effect,
    changed: typeof changed === 'number' ? () => changed : changed,
    split,
    expiry,
    parts,
  };
}

const rows = (names: string, row: Row): CommandSpec[] => names.split(' ').map((name) => makeSpec(name, row));

/** What an option adds to an effect, if it is one for an expiry. */
function timeEffect(command: StreamCommand, arg: number): number {
  if (isWord(command, arg, 'pxat') || isWord(command, arg, 'exat')) return EXPIRES;
  return isWord(command, arg, 'ex') || isWord(command, arg, 'px') ? RELATIVE : 0;
}

/** The same for options [from, to). */
function timeEffects(command: StreamCommand, from: number, to = command.args): number {
  let effect = 0;
  for (let arg = from; arg < to; arg++) effect |= timeEffect(command, arg);
  return effect;
}

/** SET key value [NX|XX|IFEQ …] [GET] [EX …|KEEPTTL]. GET is an error for a key that is no string. */
function setEffect(command: StreamCommand): number {
  if (command.args === 3) return WHOLE;
  let effect: number = WHOLE;
  for (let arg = 3; arg < command.args; arg++) {
    const time = timeEffect(command, arg);
    effect |= time;
    if (time !== 0) arg++;
    else if (isWord(command, arg, 'keepttl') || isWord(command, arg, 'get')) effect = (effect & ~WHOLE) | PUT | STRING;
    else return OWN | EXPIRES | RELATIVE;
  }
  return effect;
}

/** HSETEX key [FNX|FXX|NX|XX] [EX …|KEEPTTL] FIELDS …. KEEPTTL keeps what an earlier command gave a field that was not there. */
function hsetexEffect(command: StreamCommand): number {
  const fields = findWord(command, 'fields', 2);
  const conditional = ['fnx', 'fxx', 'nx', 'xx', 'keepttl'].some((word) => findWord(command, word, 2, fields) < fields);
  return timeEffects(command, 2, fields) | (conditional ? OWN : PUT | HASH);
}

/** HPEXPIREAT and the like: with a condition, several fields are sent though some did not meet it. */
function fieldsEffect(time: number): EffectRule {
  return (command) => {
    const several = isOneOf(command, 3, CONDITIONS) && numberArg(command, 5) !== 1;
    return time | (several ? OWN : EXPIRY | HASH);
  };
}

/** MSETEX number key value … [NX|XX] [EX …|KEEPTTL]. */
function msetexEffect(command: StreamCommand): number {
  const from = 2 + 2 * numberArg(command, 1);
  for (let arg = from; arg < command.args; arg++) if (isOneOf(command, arg, ['nx', 'xx', 'keepttl'])) return NEVER;
  return WHOLE | timeEffects(command, from);
}

/** RESTORE key ttl payload [ABSTTL] …; it is sent on with REPLACE. */
/** RDB types of hashes with field expiries, of Redis (22 to 25) and Valkey (22). */
const FIRST_EXPIRING = 22;
const LAST_EXPIRING = 25;

/** A hash whose fields may have expiries is fetched, since those within a payload are not seen. */
function restoreEffect(command: StreamCommand): number {
  const type = command.args > 3 ? command.bytes[command.starts[3]] : 0;
  const whole = type >= FIRST_EXPIRING && type <= LAST_EXPIRING ? WHOLE | INEXACT : WHOLE;
  if (numberArg(command, 2) === 0) return whole;
  return whole | (findRestoreOption(command, 'absttl') < command.args ? EXPIRES : RELATIVE);
}

/** ZADD and GEOADD: with NX, XX, GT, LT or INCR they depend on what the key holds. */
function zaddEffect(command: StreamCommand): number {
  for (let arg = 2; arg < command.args && arg < 6; arg++) {
    if (isWord(command, arg, 'incr') || isOneOf(command, arg, CONDITIONS)) return OWN;
    if (!isWord(command, arg, 'ch')) break;
  }
  return PUT | ZSET;
}

/** LREM key 0 element takes out all that are equal. */
const lremEffect = (command: StreamCommand): number => (numberArg(command, 2) === 0 ? REMOVE | LIST : OWN);

/** It counts from the server's clock unless it says a time. */
const timedEffect = (word: string): EffectRule => (command) => NEVER | (findWord(command, word, 2) < command.args ? 0 : INEXACT);

/**
 * XCLAIM of an entry that was deleted: since 7.0 it is no longer pending then. XREADGROUP comes as XCLAIM, too, for each entry: XCLAIM key
 * group consumer 0 ID TIME ms RETRYCOUNT 1 FORCE JUSTID LASTID ID. These are too many to be fetched, and all servers do the same with them;
 * a deleted entry that is the last one its group has had, and was delivered once, looks the same, and stays pending before 7.0.
 */
function claimChanged(command: StreamCommand): number {
  const isRead = command.args === 14 && numberArg(command, 9) === 1 && textArg(command, 13) === textArg(command, 5);
  return isRead ? 0 : 700;
}

const option = (from: number, until = ''): ExpiryForm => ({ form: 'option', from, until });

const STRINGS = [
  ...rows('set', { effect: setEffect, expiry: option(3) }),
  ...rows('setex', { effect: WHOLE | RELATIVE, expiry: { form: 'setex', unit: 1000 } }),
  ...rows('psetex', { effect: WHOLE | RELATIVE, expiry: { form: 'setex', unit: 1 } }),
  ...rows('getset', { effect: PUT | STRING }),
  ...rows('getdel', { effect: REMOVE | STRING }),
  ...rows('getex', {
    effect: (command) => EXPIRY | STRING | timeEffects(command, 2),
    expiry: { form: 'getex' },
  }),
  ...rows('setrange setbit', { effect: PUT | STRING }),
  ...rows('append bitfield decr decrby delex delifeq incr incrby incrbyfloat setnx', {}),
  ...rows('increx', { effect: (command) => OWN | timeEffects(command, 2), expiry: option(2) }),
  ...rows('mset', { keys: writesFromOn(1, 2), effect: WHOLE, split: { first: 1, step: 2 } }),
  ...rows('msetnx', { keys: writesFromOn(1, 2), effect: NEVER }),
  ...rows('msetex', { keys: writesCounted(1, 2), effect: msetexEffect, expiry: { form: 'msetex' } }),
  ...rows('bitop', { keys: writesFromAll(2, 3), effect: NEVER }),
  ...rows('pfadd', { effect: PUT | HLL }),
  // it keeps the count of its key in the value
  ...rows('pfcount', { keys: writesFromOn(1), effect: (command) => (command.args === 2 ? OWN : NEVER) }),
  ...rows('pfmerge', { keys: writesFromAll(1, 2, 0), effect: NEVER }),
  ...rows('pfdebug', { keys: 2 }),
  // a rate limit counts from the server's clock
  ...rows('gcra', { effect: NEVER | INEXACT }),
];

const KEYS = [
  ...rows('del unlink', { keys: writesFromOn(1), effect: WHOLE, split: { first: 1, step: 1 } }),
  ...rows('touch exists', { kind: 'quiet', keys: noKeys }),
  ...rows('expire', { effect: EXPIRY | RELATIVE, expiry: { form: 'key', unit: 1000, relative: true } }),
  ...rows('pexpire', { effect: EXPIRY | RELATIVE, expiry: { form: 'key', unit: 1, relative: true } }),
  ...rows('expireat', { effect: EXPIRY | EXPIRES, expiry: { form: 'key', unit: 1000, relative: false } }),
  ...rows('pexpireat', { effect: EXPIRY | EXPIRES, expiry: { form: 'key', unit: 1, relative: false } }),
  ...rows('persist', { effect: EXPIRY }),
  ...rows('rename renamenx', { keys: writesAt(1, 2), effect: NEVER }),
  ...rows('restore restore-asking', { effect: restoreEffect, expiry: { form: 'restore' } }),
  ...rows('migrate', { keys: migrateKeys, effect: NEVER }),
  ...rows('sort', { keys: sortKeys, effect: NEVER }),
  // Redis 8.12: BLESS SET and CLEAR; whether a key is protected from eviction is in no DUMP
  ...rows('bless', { keys: 2, effect: NEVER }),
  ...rows('move', { kind: 'move', keys: writesAt(1), effect: NEVER }),
  ...rows('copy', { kind: 'copy', keys: writesFrom(2, 1), effect: NEVER }),
];

const LISTS = [
  ...rows('linsert lpop lpush lpushx ltrim rpop rpush rpushx', {}),
  ...rows('lset', { effect: PUT | LIST }),
  ...rows('lrem', { effect: lremEffect }),
  ...rows('lmove rpoplpush blmove brpoplpush lmovem blmovem', { keys: writesAt(1, 2), effect: NEVER }),
  ...rows('lmpop', { keys: writesCounted(1), effect: NEVER }),
  ...rows('blmpop', { keys: writesCounted(2), effect: NEVER }),
  ...rows('blpop brpop', { keys: writesFromOn(1, 1, 1), effect: NEVER }),
];

const SETS = [
  ...rows('sadd', { effect: PUT | SET }),
  ...rows('srem', { effect: REMOVE | SET }),
  ...rows('spop', { effect: NEVER | INEXACT }),
  ...rows('smove', { keys: writesAt(1, 2), effect: NEVER }),
  ...rows('sdiffstore sinterstore sunionstore', { keys: writesFromAll(1, 2), effect: NEVER }),
  // members with expiries, Redis 8.12: whether SADD clears that of a member has not been seen on a server
  ...rows('sexpire', { effect: OWN | RELATIVE, expiry: { form: 'elements', as: 'SPEXPIREAT', unit: 1000, relative: true } }),
  ...rows('spexpire', { effect: OWN | RELATIVE, expiry: { form: 'elements', as: 'SPEXPIREAT', unit: 1, relative: true } }),
  ...rows('sexpireat', { effect: OWN | EXPIRES, expiry: { form: 'elements', as: 'SPEXPIREAT', unit: 1000, relative: false } }),
  ...rows('spexpireat', { effect: OWN | EXPIRES, expiry: { form: 'elements', as: 'SPEXPIREAT', unit: 1, relative: false } }),
  ...rows('spersist', {}),
  ...rows('saddex', { effect: (command) => OWN | timeEffects(command, 2, findWord(command, 'members', 2)), expiry: option(2, 'members') }),
];

const SORTED_SETS = [
  ...rows('zadd', { effect: zaddEffect }),
  ...rows('geoadd', { effect: zaddEffect }),
  ...rows('zrem zremrangebyscore', { effect: REMOVE | ZSET }),
  ...rows('zincrby zpopmax zpopmin zremrangebylex zremrangebyrank', {}),
  ...rows('zdiffstore zinterstore zunionstore', { keys: storeCounted, effect: NEVER }),
  ...rows('zrangestore geosearchstore', { keys: writesFrom(1, 2), effect: NEVER }),
  ...rows('zmove bzmove zmovemember', { keys: writesAt(1, 2), effect: NEVER }),
  ...rows('zmpop', { keys: writesCounted(1), effect: NEVER }),
  ...rows('bzmpop', { keys: writesCounted(2), effect: NEVER }),
  ...rows('bzpopmax bzpopmin', { keys: writesFromOn(1, 1, 1), effect: NEVER }),
  // before 7.0, with a source that is not there, they left the key that they store to as it was
  ...rows('georadius', { keys: geoRadiusKeys(6), effect: NEVER, changed: 700 }),
  ...rows('georadiusbymember', { keys: geoRadiusKeys(5), effect: NEVER, changed: 700 }),
];

const HASHES = [
  ...rows('hset hmset', { effect: PUT | HASH }),
  ...rows('hdel hgetdel', { effect: REMOVE | HASH }),
  ...rows('hincrby hincrbyfloat hsetnx', {}),
  ...rows('hexpire', { effect: fieldsEffect(RELATIVE), expiry: { form: 'elements', as: 'HPEXPIREAT', unit: 1000, relative: true } }),
  ...rows('hpexpire', { effect: fieldsEffect(RELATIVE), expiry: { form: 'elements', as: 'HPEXPIREAT', unit: 1, relative: true } }),
  ...rows('hexpireat', { effect: fieldsEffect(EXPIRES), expiry: { form: 'elements', as: 'HPEXPIREAT', unit: 1000, relative: false } }),
  ...rows('hpexpireat', { effect: fieldsEffect(EXPIRES), expiry: { form: 'elements', as: 'HPEXPIREAT', unit: 1, relative: false } }),
  ...rows('hpersist', { effect: EXPIRY | HASH }),
  ...rows('hgetex', {
    effect: (command) => EXPIRY | HASH | timeEffects(command, 2, findWord(command, 'fields', 2)),
    expiry: { form: 'hgetex' },
  }),
  ...rows('hsetex', { effect: hsetexEffect, expiry: option(2, 'fields') }),
  // Redis 8.10: HIMPORT SET depends on what the connection prepared; it comes as RESTORE, or as HSETC in early builds
  ...rows('himport', { keys: 2, effect: NEVER }),
  ...rows('hsetc', { effect: NEVER }),
  // Valkey 9.2
  ...rows('phset phdel phdelprefix phincrby phincrbyfloat', { effect: NEVER }),
];

const STREAMS = [
  ...rows('xack xackdel xadd xcfgset xdel xdelex xidmprecord xnack xsetid xtrim', {}),
  ...rows('xclaim', { effect: timedEffect('time'), changed: claimChanged }),
  ...rows('xautoclaim', { effect: NEVER | INEXACT }),
  ...rows('xreadgroup', { keys: readGroupKeys, effect: NEVER | INEXACT }),
  ...rows('xgroup', { keys: 2 }),
];

const ARRAYS = rows('ardel ardelrange arinsert armset arring arseek arset', {});

/** Commands of modules: what they do a second time is not known here. */
const MODULES = [
  ...rows(
    'json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del json.forget json.merge json.numincrby ' +
      'json.nummultby json.numpowby json.set json.strappend json.toggle',
    { effect: NEVER },
  ),
  ...rows('json.mset', { keys: writesFromOn(1, 3), effect: NEVER, split: { first: 1, step: 3 } }),
  ...rows('bf.add bf.insert bf.load bf.loadchunk bf.madd bf.reserve', { effect: NEVER }),
  ...rows('cf.add cf.addnx cf.compact cf.del cf.insert cf.insertnx cf.loadchunk cf.reserve', { effect: NEVER }),
  ...rows('cms.incrby cms.initbydim cms.initbyprob', { effect: NEVER }),
  ...rows('cms.merge tdigest.merge', { keys: storeCounted, effect: NEVER }),
  ...rows('topk.reserve', { effect: NEVER }),
  // which items decay is left to chance; TOPK.COUNT has the flag of a write, and changes nothing
  ...rows('topk.add topk.incrby', { effect: NEVER | INEXACT }),
  ...rows('topk.count', { effect: NEVER }),
  ...rows('tdigest.add tdigest.create tdigest.reset', { effect: NEVER }),
  ...rows('ts.create ts.alter', { effect: NEVER }),
  // a series with rules writes to others
  ...rows('ts.add ts.del', { keys: andOthers(writesAt(1)), effect: NEVER }),
  ...rows('ts.incrby ts.decrby', { keys: andOthers(writesAt(1)), effect: timedEffect('timestamp') }),
  ...rows('ts.madd', { keys: andOthers(writesFromOn(1, 3)), effect: NEVER, split: { first: 1, step: 3 } }),
  ...rows('ts.createrule ts.deleterule', { keys: writesAt(1, 2), effect: NEVER }),
  ...rows('vadd vrem vsetattr', { effect: NEVER }),
  ...rows('ft.sugadd ft.sugdel', { effect: NEVER }),
  ...rows('ft.add ft.safeadd ft.del', { keys: 2, effect: NEVER }),
  ...rows(
    'ft.create ft._createifnx ft.alter ft._alterifnx ft.drop ft._dropifx ft.dropindex ft._dropindexifx ft.aliasadd ft._aliasaddifnx ' +
      'ft.aliasupdate ft.aliasdel ft._aliasdelifx ft.synadd ft.synupdate ft.dictadd ft.dictdel',
    { kind: 'indexes', keys: noKeys },
  ),
  // KeyDB: expiries of members, and RESTORE with its version of a key
  ...rows('expiremember expirememberat pexpirememberat keydb.cron keydb.hrename keydb.mvccrestore', { effect: NEVER }),
];

const OTHERS = [
  ...rows('eval evalsha fcall', { kind: 'script', keys: scriptKeys, effect: NEVER }),
  ...rows('select', { kind: 'select', keys: noKeys }),
  ...rows('multi', { kind: 'multi', keys: noKeys }),
  ...rows('exec', { kind: 'exec', keys: noKeys }),
  ...rows('flushall', { kind: 'flushall', keys: noKeys }),
  ...rows('flushdb', { kind: 'flushdb', keys: noKeys }),
  ...rows('swapdb', { kind: 'swapdb', keys: noKeys }),
  ...rows('function', { kind: 'functions', keys: noKeys }),
  ...rows('publish spublish', { kind: 'publish', keys: noKeys }),
  ...rows('cluster', { kind: 'quiet', keys: noKeys, parts: rows('flushslot', { kind: 'flushslot', keys: noKeys }) }),
  // also of ElastiCache (REPLCONF TIMESTAMP) and of Alibaba Cloud (OPINFO)
  ...rows('ping replconf opinfo script trimslots', { kind: 'quiet', keys: noKeys }),
];

export const SPECS: readonly CommandSpec[] = [
  ...STRINGS,
  ...KEYS,
  ...LISTS,
  ...SETS,
  ...SORTED_SETS,
  ...HASHES,
  ...STREAMS,
  ...ARRAYS,
  ...MODULES,
  ...OTHERS,
];
