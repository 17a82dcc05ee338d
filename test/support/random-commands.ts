import { createHash } from 'node:crypto';
import { type Draw, sealed, type Word } from './random-draw.js';
import { str } from './support.js';

/** How often it comes, and what makes its arguments. */
type Maker = readonly [weight: number, make: (draw: Draw) => Word[]];

/** By the command's name as COMMAND has it, subcommands after a bar. */
type Makers = Readonly<Record<string, Maker>>;

const FLAGS = ['NX', 'XX', 'GT', 'LT'];

const STRINGS: Makers = {
  set: [40, (d) => (d.maybe(0.3) ? [d.key('number'), d.integer()] : [d.key('text'), d.value(), ...setOptions(d)])],
  setex: [4, (d) => [d.key('text'), d.seconds(), d.value()]],
  psetex: [4, (d) => [d.key('text'), d.life(), d.value()]],
  setnx: [4, (d) => [d.key('text'), d.value()]],
  getset: [4, (d) => [d.key('text'), d.value()]],
  getdel: [4, (d) => [d.key('text')]],
  getex: [10, (d) => [d.key('text'), ...(d.maybe(0.2) ? ['PERSIST'] : d.expiry())]],
  mset: [5, (d) => d.some(1, 4, () => [d.key('text'), d.value()]).flat()],
  msetnx: [2, (d) => d.some(1, 2, () => [d.key('text'), d.value()]).flat()],
  append: [15, (d) => [d.key('text'), d.value()]],
  setrange: [10, (d) => [d.key('text'), d.maybe(0.02) ? 50_000 : d.below(200), d.value()]],
  incr: [20, (d) => [d.key('number')]],
  decr: [5, (d) => [d.key('number')]],
  incrby: [10, (d) => [d.key('number'), d.integer()]],
  decrby: [5, (d) => [d.key('number'), d.integer()]],
  incrbyfloat: [8, (d) => [d.key('float'), d.decimal()]],
  setbit: [8, (d) => [d.key('bits'), d.below(4000), d.below(2)]],
  bitfield: [8, (d) => [d.key('bits'), ...d.perhaps(0.3, 'OVERFLOW', d.one(['WRAP', 'SAT', 'FAIL'])), ...bits(d)]],
  bitop: [4, (d) => (d.maybe(0.2) ? ['NOT', ...d.pair('bits')] : [d.one(['AND', 'OR', 'XOR']), ...d.keysOf('bits', 2, 4)])],
  pfadd: [8, (d) => [d.key('hll'), ...d.some(1, 3, () => d.below(1e6))]],
  pfmerge: [3, (d) => d.keysOf('hll', 2, 3)],
  pfcount: [2, (d) => [d.key('hll')]],
  pfdebug: [1, (d) => ['TODENSE', d.key('hll')]],
  delifeq: [2, (d) => [d.key('number'), d.between(-5, 5)]],
  delex: [2, (d) => [d.key('number'), d.one(['IFEQ', 'IFNE']), d.between(-5, 5)]],
  msetex: [3, (d) => [1, d.key('text'), d.value(), ...d.perhaps(0.3, d.one(['NX', 'XX'])), ...d.expiry()]],
};

function setOptions(d: Draw): Word[] {
  const condition = d.perhaps(0.2, d.one(['NX', 'XX']));
  const expiry = d.maybe(0.3) ? d.expiry() : d.perhaps(0.1, 'KEEPTTL');
  return [...condition, ...d.perhaps(0.1, 'GET'), ...expiry];
}

const bits = (d: Draw): Word[] => [
  ...(d.maybe(0.5) ? ['SET'] : ['INCRBY']),
  d.one(['u8', 'i5', 'u63', 'i64']),
  `#${d.below(40)}`,
  d.below(16),
];

const LISTS: Makers = {
  lpush: [15, (d) => [d.list(), ...d.membersOf(1, 3)]],
  rpush: [20, (d) => [d.list(), ...(d.maybe(0.1) ? [d.value()] : d.membersOf(1, 3))]],
  lpushx: [4, (d) => [d.list(), d.member()]],
  rpushx: [4, (d) => [d.list(), d.member()]],
  lpop: [8, (d) => [d.list(), ...d.perhaps(0.3, d.between(1, 4))]],
  rpop: [8, (d) => [d.list(), ...d.perhaps(0.3, d.between(1, 4))]],
  linsert: [5, (d) => [d.list(), d.one(['BEFORE', 'AFTER']), d.member(), d.member()]],
  lset: [6, (d) => [d.key('list'), d.between(-4, 3), d.member()]],
  lrem: [5, (d) => [d.key('list'), d.between(-2, 2), d.member()]],
  ltrim: [5, (d) => [d.key('list'), d.below(3), d.between(10, 60)]],
  lmove: [6, (d) => [d.list(), d.list(), ...sides(d), ...sides(d)]],
  rpoplpush: [4, (d) => [d.list(), d.list()]],
  lmpop: [5, (d) => [2, d.list(), d.list(), ...sides(d), ...d.perhaps(0.4, 'COUNT', d.between(1, 4))]],
  sort: [5, (d) => [d.key(d.one(['list', 'set', 'zset', 'integers'])), ...sorting(d), 'STORE', d.key('list')]],
};

const sides = (d: Draw): Word[] => [d.one(['LEFT', 'RIGHT'])];
const sorting = (d: Draw): Word[] => [
  ...d.perhaps(0.2, 'LIMIT', 1, 20),
  ...d.perhaps(0.2, 'GET', '#'),
  ...d.perhaps(0.3, 'DESC'),
  ...d.perhaps(0.8, 'ALPHA'),
];

const SETS: Makers = {
  sadd: [
    30,
    (d) => (d.maybe(0.3) ? [d.key(d.one(['set', 'integers'])), ...d.some(1, 4, () => d.below(500))] : [d.key('set'), ...d.membersOf(1, 4)]),
  ],
  srem: [8, (d) => [d.key('set'), ...d.membersOf(1, 4)]],
  spop: [8, (d) => [d.key('set'), ...d.perhaps(0.4, d.one([1, 3, 8]))]],
  smove: [5, (d) => [...d.pair('set'), d.member()]],
  sunionstore: [2, (d) => d.keysOf('set', 2, 4)],
  sinterstore: [3, (d) => d.keysOf('set', 2, 3)],
  sdiffstore: [3, (d) => d.keysOf('set', 2, 3)],
};

const HASHES: Makers = {
  hset: [25, (d) => [d.key('hash'), ...d.some(1, 4, () => [d.member(), d.value()]).flat()]],
  hmset: [5, (d) => [d.key('hash'), d.member(), d.value()]],
  hsetnx: [4, (d) => [d.key('hash'), d.member(), d.value()]],
  hdel: [10, (d) => [d.key('hash'), ...d.membersOf(1, 6)]],
  hincrby: [10, (d) => [d.key('hash'), counter(d), d.integer()]],
  hincrbyfloat: [5, (d) => [d.key('hash'), `float:${d.below(3)}`, d.decimal()]],
  hexpire: [5, (d) => [d.key('hash'), d.seconds(), ...d.perhaps(0.2, d.one(FLAGS)), ...d.fields()]],
  hpexpire: [8, (d) => [d.key('hash'), d.life(), ...d.perhaps(0.2, d.one(FLAGS)), ...d.fields()]],
  hexpireat: [4, (d) => [d.key('hash'), Math.floor(Date.now() / 1000) + d.seconds(), ...d.fields()]],
  hpexpireat: [4, (d) => [d.key('hash'), Date.now() + d.life(), ...d.fields()]],
  hpersist: [4, (d) => [d.key('hash'), ...d.fields()]],
  hsetex: [
    8,
    (d) => [
      d.key('hash'),
      ...d.perhaps(0.2, d.one(['FNX', 'FXX'])),
      ...(d.maybe(0.2) ? ['KEEPTTL'] : d.expiry()),
      ...d.fields(() => d.value()),
    ],
  ],
  hgetex: [5, (d) => [d.key('hash'), ...(d.maybe(0.2) ? ['PERSIST'] : d.expiry()), ...d.fields()]],
  hgetdel: [5, (d) => [d.key('hash'), ...d.fields()]],
};

const counter = (d: Draw): Word => `counter:${d.below(5)}`;

const ZSETS: Makers = {
  zadd: [
    35,
    (d) => (d.maybe(0.1) ? [d.key('lex'), ...d.some(1, 4, () => [0, d.member()]).flat()] : [d.zset(), ...zaddFlags(d), ...scored(d)]),
  ],
  zincrby: [8, (d) => [d.key('zset'), d.integer(), d.member()]],
  zrem: [8, (d) => [d.zset(), ...d.membersOf(1, 4)]],
  zpopmin: [4, (d) => [d.zset(), ...d.perhaps(0.3, 3)]],
  zpopmax: [4, (d) => [d.zset(), ...d.perhaps(0.3, 3)]],
  zmpop: [4, (d) => [2, d.zset(), d.zset(), d.one(['MIN', 'MAX']), ...d.perhaps(0.4, 'COUNT', d.between(1, 4))]],
  zremrangebyrank: [3, (d) => [d.key('zset'), d.below(5), d.between(5, 9)]],
  zremrangebyscore: [3, (d) => [d.key('zset'), d.between(-50, 40), `(${d.between(-40, 50)}`]],
  zremrangebylex: [2, (d) => [d.key('lex'), '[member:1', '(member:13']],
  zunionstore: [2, (d) => [d.key('zset'), 2, ...d.pair('zset'), ...d.perhaps(0.5, 'WEIGHTS', 2, 0.5), ...aggregate(d)]],
  zinterstore: [3, (d) => [d.key('zset'), 2, ...d.pair('zset'), ...aggregate(d)]],
  zdiffstore: [3, (d) => [d.key('zset'), 2, ...d.pair('zset')]],
  zrangestore: [4, (d) => (d.maybe(0.3) ? [d.key('zset'), d.key('lex'), '-', '[member:7', 'BYLEX'] : [...d.pair('zset'), ...zrange(d)])],
  geoadd: [10, (d) => [d.key('geo'), ...d.some(1, 3, () => [...d.place(), d.member()]).flat()]],
  georadius: [3, (d) => [d.key('geo'), ...d.place(), 900, 'km', d.one(['STORE', 'STOREDIST']), d.key('geo')]],
  georadiusbymember: [3, (d) => [d.key('geo'), d.member(), 900, 'km', 'STORE', d.key('geo')]],
  geosearchstore: [3, (d) => [...d.pair('geo'), 'FROMLONLAT', ...d.place(), 'BYBOX', 900, 900, 'km', ...d.perhaps(0.3, 'STOREDIST')]],
  vadd: [
    3,
    (d) => [d.key('vector'), 'VALUES', 3, d.decimal(), d.decimal(), d.decimal(), d.member(), ...d.perhaps(0.3, 'SETATTR', '{"year":1950}')],
  ],
  vrem: [1, (d) => [d.key('vector'), d.member()]],
  vsetattr: [1, (d) => [d.key('vector'), d.member(), '{"year":1951}']],
};

const scored = (d: Draw): Word[] => d.some(1, 4, () => [d.score(), d.member()]).flat();
const zaddFlags = (d: Draw): Word[] => [...d.perhaps(0.2, d.one(FLAGS)), ...d.perhaps(0.2, 'CH')];
const aggregate = (d: Draw): Word[] => d.perhaps(0.4, 'AGGREGATE', d.one(['SUM', 'MIN', 'MAX']));

const zrange = (d: Draw): Word[] =>
  d.maybe(0.5) ? [0, -1, ...d.perhaps(0.3, 'REV')] : [-50, 50, 'BYSCORE', ...d.perhaps(0.5, 'LIMIT', 1, 10)];

const STREAMS: Makers = {
  xadd: [
    25,
    (d) =>
      d.maybe(0.2)
        ? [d.key('clock'), ...trimming(d), '*', ...d.membersOf(2, 2)]
        : [d.stream(), ...d.perhaps(0.05, 'NOMKSTREAM'), ...trimming(d), d.newEntry(), ...pairs(d)],
  ],
  xtrim: [3, (d) => [d.stream(), ...(d.maybe(0.5) ? ['MAXLEN', '~', 50] : ['MINID', d.entry()])]],
  xdel: [4, (d) => [d.stream(), d.entry(), d.entry()]],
  xsetid: [2, (d) => [d.stream(), d.topEntry(), ...d.perhaps(0.3, 'ENTRIESADDED', 1_000_000, 'MAXDELETEDID', '1-1')]],
  'xgroup|create': [12, (d) => [d.stream(), group(d), d.one(['0', '$']), 'MKSTREAM', ...d.perhaps(0.2, 'ENTRIESREAD', 3)]],
  'xgroup|createconsumer': [2, (d) => [d.stream(), group(d), consumer(d)]],
  'xgroup|delconsumer': [1, (d) => [d.stream(), group(d), consumer(d)]],
  'xgroup|destroy': [1, (d) => [d.stream(), group(d)]],
  'xgroup|setid': [2, (d) => [d.stream(), group(d), d.one(['0', '$', d.entry()]), ...d.perhaps(0.2, 'ENTRIESREAD', 5)]],
  xreadgroup: [12, (d) => reading(d, [])],
  xack: [6, (d) => [d.stream(), group(d), d.entry(), d.entry(), d.entry()]],
  xclaim: [6, (d) => [d.stream(), group(d), consumer(d), 0, d.entry(), d.entry(), ...claiming(d)]],
  xautoclaim: [5, (d) => [d.stream(), group(d), consumer(d), 0, '0-0', 'COUNT', 5, ...d.perhaps(0.3, 'JUSTID')]],
  xdelex: [3, (d) => [d.stream(), ...references(d), 'IDS', 1, d.entry()]],
  xackdel: [3, (d) => [d.stream(), group(d), ...references(d), 'IDS', 1, d.entry()]],
};

const pairs = (d: Draw): Word[] => d.some(1, 3, () => [d.member(), d.value()]).flat();
const group = (d: Draw): string => (d.maybe(0.8) ? 'group' : 'other');
const consumer = (d: Draw): string => `consumer:${d.below(3)}`;
const trimming = (d: Draw): Word[] => d.perhaps(0.4, 'MAXLEN', d.one(['=', '~']), d.between(5, 60));
const claiming = (d: Draw): Word[] => [
  ...d.perhaps(0.3, 'IDLE', 1000),
  ...d.perhaps(0.3, 'RETRYCOUNT', 3),
  ...d.perhaps(0.6, 'FORCE'),
  ...d.perhaps(0.3, 'JUSTID'),
];
const references = (d: Draw): Word[] => d.perhaps(0.5, d.one(['KEEPREF', 'DELREF', 'ACKED']));

function reading(d: Draw, block: Word[]): Word[] {
  const key = d.stream();
  return ['GROUP', group(d), consumer(d), 'COUNT', d.between(1, 4), ...block, ...d.perhaps(0.1, 'NOACK'), 'STREAMS', key, '>'];
}

const KEYS: Makers = {
  del: [8, (d) => d.some(1, 3, () => d.anyKey())],
  unlink: [4, (d) => d.some(1, 3, () => d.anyKey())],
  expire: [4, (d) => [d.anyKey(), d.seconds(), ...d.perhaps(0.3, d.one(FLAGS))]],
  pexpire: [5, (d) => [d.anyKey(), d.life(), ...d.perhaps(0.3, d.one(FLAGS))]],
  expireat: [3, (d) => [d.anyKey(), Math.floor(Date.now() / 1000) + d.seconds(), ...d.perhaps(0.3, d.one(FLAGS))]],
  pexpireat: [3, (d) => [d.anyKey(), Date.now() + d.life(), ...d.perhaps(0.3, d.one(FLAGS))]],
  persist: [8, (d) => [d.anyKey()]],
  rename: [4, (d) => d.pair()],
  renamenx: [2, (d) => d.pair()],
  copy: [4, (d) => [...d.pair(), ...(d.options.across ? d.perhaps(0.3, 'DB', d.otherDatabase()) : []), ...d.perhaps(0.7, 'REPLACE')]],
  move: [3, (d) => [d.anyKey(), d.otherDatabase()]],
  restore: [5, restoring],
  'restore-asking': [1, restoring],
  get: [1, (d) => [d.key('text')]],
  publish: [1, (d) => ['channel', d.value()]],
};

function restoring(d: Draw): Word[] {
  const [kind, payload] = d.payload();
  const life = d.maybe(0.5) ? [0, payload] : d.maybe(0.5) ? [Math.max(1, d.life()), payload] : [Date.now() + d.life(), payload, 'ABSTTL'];
  return [d.key(kind), ...life, ...d.perhaps(0.85, 'REPLACE'), ...d.perhaps(0.1, 'IDLETIME', 5)];
}

/** Effects that differ from the call: random, of several keys, of the clock, none. */
const SCRIPTS = [
  `redis.call('SET', KEYS[1], ARGV[1]) return redis.call('APPEND', KEYS[2], ARGV[1])`,
  `local member = redis.call('SRANDMEMBER', KEYS[1])
   if member then redis.call('SREM', KEYS[1], member) end
   return redis.call('SADD', KEYS[2], ARGV[1])`,
  `local now = redis.call('TIME') redis.call('RPUSH', KEYS[1], now[2]) return redis.call('PEXPIRE', KEYS[2], 60000 + now[2] % 1000)`,
  `for i = 1, 3 do redis.call('ZADD', KEYS[1], math.random(), i .. ARGV[1]) end return redis.call('HSET', KEYS[2], 'field', ARGV[1])`,
  `return redis.call('LLEN', KEYS[1])`,
] as const;
const SCRIPT_KINDS = [
  ['text', 'text'],
  ['set', 'set'],
  ['list', 'list'],
  ['zset', 'hash'],
  ['list', 'list'],
] as const;

const LIBRARIES = 4;
const library = (i: number): string =>
  `#!lua name=library${i}
   redis.register_function('function${i}', function(keys, args)
     return redis.call('${i % 2 === 0 ? 'SET' : 'RPUSH'}', keys[1], args[1])
   end)`;

function scripted(d: Draw, name: (script: string) => string): Word[] {
  const index = d.below(SCRIPTS.length);
  const [first, second] = SCRIPT_KINDS[index];
  return [name(SCRIPTS[index]), 2, d.key(first), d.key(second), d.member()];
}

const FUNCTIONS: Makers = {
  eval: [6, (d) => scripted(d, (script) => script)],
  evalsha: [6, (d) => scripted(d, (script) => createHash('sha1').update(script).digest('hex'))],
  fcall: [6, (d) => calling(d)],
  'function|load': [4, (d) => ['REPLACE', library(d.below(LIBRARIES))]],
  'function|delete': [1, (d) => [`library${d.below(LIBRARIES)}`]],
};

function calling(d: Draw): Word[] {
  const index = d.below(LIBRARIES);
  return [`function${index}`, 1, d.key(index % 2 === 0 ? 'text' : 'list'), d.value()];
}

/** Opcode of a function in an RDB. */
const FUNCTION2 = 0xf5;

/** Those that many keys depend on: seldom, whatever their weights. */
export const RARE: Makers = {
  flushdb: [4, (d) => d.perhaps(0.5, d.one(['SYNC', 'ASYNC']))],
  flushall: [1, (d) => d.perhaps(0.5, d.one(['SYNC', 'ASYNC']))],
  swapdb: [4, (d) => [d.otherDatabase(), d.otherDatabase()]],
  'cluster|flushslot': [2, (d) => [d.slot()]],
  'function|flush': [1, () => []],
  'function|restore': [2, (d) => [sealed(10, FUNCTION2, str(library(d.below(LIBRARIES)))), 'REPLACE']],
};

/** Seconds that a command waits at most; Redis counts from the moment that it blocks. */
const PATIENCE = 0.03;

/** Those that may wait: for clients of their own, and within MULTI, where they do not wait. */
export const BLOCKING: Makers = {
  blpop: [4, (d) => [...d.keysOf('fedList', 1, 2), PATIENCE]],
  brpop: [4, (d) => [...d.keysOf('fedList', 1, 2), PATIENCE]],
  blmove: [4, (d) => [d.key('fedList'), d.key('list'), ...sides(d), ...sides(d), PATIENCE]],
  brpoplpush: [3, (d) => [d.key('fedList'), d.key('list'), PATIENCE]],
  blmpop: [3, (d) => [PATIENCE, 2, ...d.pair('fedList'), ...sides(d), 'COUNT', 2]],
  bzpopmin: [3, (d) => [...d.keysOf('fedZset', 1, 2), PATIENCE]],
  bzpopmax: [3, (d) => [...d.keysOf('fedZset', 1, 2), PATIENCE]],
  bzmpop: [3, (d) => [PATIENCE, 2, ...d.pair('fedZset'), d.one(['MIN', 'MAX'])]],
  xreadgroup: [6, (d) => reading(d, ['BLOCK', PATIENCE * 1000])],
};

export const COMMON: Makers = { ...STRINGS, ...LISTS, ...SETS, ...HASHES, ...ZSETS, ...STREAMS, ...KEYS, ...FUNCTIONS };

/** What a server has to know before: commands without keys. */
export const PREPARATION: readonly (readonly [name: string, ...words: string[]])[] = [
  ...SCRIPTS.map((script) => ['script|load', script] as const),
  ...Array.from({ length: LIBRARIES }, (_, i) => ['function|load', 'REPLACE', library(i)] as const),
];

/** Commands that change keys and are not made, and why. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  migrate: 'moves keys to another server, and waits for it; its effect on this one is a DEL',
};

/** In a cluster there is one database. */
export const NOT_IN_CLUSTERS: readonly string[] = ['move', 'swapdb'];
export const ONLY_IN_CLUSTERS: readonly string[] = ['cluster|flushslot'];
