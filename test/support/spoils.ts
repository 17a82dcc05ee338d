import { Redis } from 'ioredis';
import type { DifferenceKind } from '../../src/diff/key-table.js';
import { formatText } from '../../src/bytes/text.js';
import type { TestServer } from './redis-server.js';
import { portOf } from './restore-support.js';

/** Random numbers of a seed. */
export class Chance {
  constructor(private readonly random: () => number) {}

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  one<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** Takes one out of `items`. */
  take<T>(items: T[]): T {
    return items.splice(this.below(items.length), 1)[0];
  }

  word(): string {
    return `w${this.below(1e9)}`;
  }
}

interface Of<Type extends string, Value> {
  readonly type: Type;
  readonly value: Value;
}

interface Entries {
  readonly ids: readonly string[];
  /** Whether it has two groups, the consumers a and b in the first one, and pending entries of a. */
  readonly hasGroups: boolean;
}

type Known =
  | Of<'string', Buffer>
  | Of<'hyperloglog', readonly string[]>
  | Of<'list', readonly string[]>
  | Of<'set', readonly string[]>
  | Of<'zset', readonly (readonly [member: string, score: number])[]>
  | Of<'hash', readonly (readonly [field: string, value: string])[]>
  | Of<'stream', Entries>;

/** A key of which everything is known. */
type SpoiledKey = Known & { readonly db: number; readonly key: Buffer; readonly expireAt: number | undefined };

type Args = readonly (string | Buffer | number)[];

/** What a difference has to say of one key. */
export interface Expected {
  readonly db: number;
  readonly key: string;
  /** At level values and with --streams full. */
  readonly kinds: readonly DifferenceKind[];
  /** Whether it is only found with --streams full. */
  readonly onlyFull: boolean;
  /** What was done to it. */
  readonly spoil: string;
}

const GROUP_A = 'group a';
const GROUP_B = 'group b';
const DATABASES = [0, 3];
const TYPES: readonly Known['type'][] = ['string', 'hyperloglog', 'list', 'set', 'zset', 'hash', 'stream'];
/** Values of each size, of each type, in each database: few elements are packed, many are not, and some of LARGE are over a mebibyte. */
const LARGE = 1600;
const SIZES = [1, 2, 3, 8, 30, 100, 150, 600, LARGE];
/** Later than any test. */
const EXPIRES = 4_000_000_000_000;

/** Data of which everything is known, a server that has it, and changes of single keys. */
export class SpoiledData {
  private readonly clients = new Map<number, Redis>();
  private readonly keys: SpoiledKey[] = [];

  constructor(
    private readonly server: TestServer,
    private readonly chance: Chance,
  ) {
    const port = portOf(server);
    for (const db of DATABASES) this.clients.set(db, new Redis({ port, host: '127.0.0.1', db, protocol: 2 }));
    for (const db of DATABASES)
      for (const type of TYPES) for (const size of SIZES) for (let i = 0; i < 3; i++) this.keys.push(this.make(db, type, size, i));
  }

  private make(db: number, type: Known['type'], size: number, i: number): SpoiledKey {
    const key = Buffer.from(i === 2 ? `${type}\xff${size}` : `${type}:${size}:${i}`, i === 2 ? 'latin1' : 'utf8');
    return { ...this.known(type, size, i), db, key, expireAt: this.chance.below(3) === 0 ? EXPIRES + this.chance.below(1e9) : undefined };
  }

  private known(type: Known['type'], size: number, i: number): Known {
    const { chance } = this;
    const tail = size === LARGE && i === 1 ? 'x'.repeat(700) : '';
    const words = Array.from({ length: size }, (_, n) => (i === 0 ? `${n * 7}` : `${n}:${chance.word()}${tail}`));
    switch (type) {
      case 'string':
        return {
          type,
          value:
            i === 0 && size < 10
              ? Buffer.from(`${10 ** size + chance.below(9)}`)
              : Buffer.from(`${chance.word()} `.repeat(size === LARGE ? 200_000 : size)),
        };
      case 'zset':
        return { type, value: words.map((word, n) => [word, n === 0 ? 0 : i === 0 ? n : 1 / 3 + n * chance.below(1000)] as const) };
      case 'hash':
        return {
          type,
          value: words.map((word) => [word, i === 0 ? `${chance.below(1e6)}` : chance.word().repeat(size === 3 ? 20 : 1)] as const),
        };
      case 'stream':
        return { type, value: { ids: words.map((_, n) => `${1000 + n * 3}-${n % 3}`), hasGroups: i > 0 } };
      default:
        return { type, value: words };
    }
  }

  /** Writes it all. */
  async write(): Promise<void> {
    for (const [db, client] of this.clients) {
      const pipeline = client.pipeline();
      for (const known of this.keys)
        if (known.db === db) for (const [name, ...args] of commandsOf(known)) pipeline.call(String(name), ...args);
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    }
  }

  close(): void {
    for (const client of this.clients.values()) client.disconnect();
  }

  /** Does something to `count` different keys of the server, which must have the data; returns what is different now. */
  async spoil(count: number): Promise<{ expected: Expected[]; done: string[] }> {
    const { chance } = this;
    const left = [...this.keys];
    const expected: Expected[] = [];
    const done: string[] = [];
    while (done.length < count) {
      const known = chance.take(left);
      const client = this.clients.get(known.db);
      if (client === undefined) throw new Error('no such database');
      const spoil = chance.one(SPOILS.filter(({ of }) => of(known)));
      const run = async (...args: Args): Promise<unknown> => client.call(String(args[0]), ...args.slice(1));
      const { kinds = [], extra, onlyFull = false } = (await spoil.run({ known, run, chance, server: this.server })) ?? {};
      done.push(spoil.name);
      const name = (key: Buffer): string => formatText(new Uint8Array(key));
      if (kinds.length > 0) expected.push({ db: known.db, key: name(known.key), kinds, onlyFull, spoil: spoil.name });
      if (extra !== undefined) expected.push({ db: known.db, key: name(extra), kinds: ['extra'], onlyFull: false, spoil: spoil.name });
    }
    return { expected, done };
  }
}

function commandsOf({ expireAt, key, ...known }: SpoiledKey): Args[] {
  const expiry: Args[] = expireAt === undefined ? [] : [['PEXPIREAT', key, expireAt]];
  return [...valueCommands(key, known), ...expiry];
}

function valueCommands(key: Buffer, { type, value }: Known): Args[] {
  switch (type) {
    case 'string':
      return [['SET', key, value]];
    case 'hyperloglog':
      return [['PFADD', key, ...value]];
    case 'list':
      return [['RPUSH', key, ...value]];
    case 'set':
      return [['SADD', key, ...value]];
    case 'zset':
      return [['ZADD', key, ...value.flatMap(([member, score]) => [score, member])]];
    case 'hash':
      return [['HSET', key, ...value.flat()]];
    case 'stream':
      return streamCommands(key, value);
  }
}

function streamCommands(key: Buffer, { hasGroups, ids }: Entries): Args[] {
  const entries = ids.map((id, n): Args => [
    'XADD',
    key,
    id,
    'f',
    `v${n}`.padEnd(ids.length === LARGE ? 700 : 1, 'y'),
    ...(n % 5 === 4 ? ['g', 'other fields'] : []),
  ]);
  if (!hasGroups) return entries;
  return [
    ...entries,
    ['XGROUP', 'CREATE', key, GROUP_A, '0'],
    ['XGROUP', 'CREATE', key, GROUP_B, '0'],
    ['XREADGROUP', 'GROUP', GROUP_A, 'a', 'COUNT', Math.ceil(ids.length / 2), 'STREAMS', key, '>'],
    ['XGROUP', 'CREATECONSUMER', key, GROUP_A, 'b'],
  ];
}

interface Found {
  readonly kinds?: readonly DifferenceKind[];
  /** A key that only the spoiled server has. */
  readonly extra?: Buffer;
  readonly onlyFull?: boolean;
}

interface Spoiling<K extends SpoiledKey> {
  readonly known: K;
  readonly run: (...args: Args) => Promise<unknown>;
  readonly chance: Chance;
  readonly server: TestServer;
}

interface Spoil<K extends SpoiledKey = SpoiledKey> {
  readonly name: string;
  readonly of: (known: SpoiledKey) => boolean;
  readonly run: (how: Spoiling<K>) => Promise<Found | undefined>;
}

const SAME = undefined;
const VALUE: Found = { kinds: ['value'] };
const MISSING: Found = { kinds: ['missing'] };
const FULL: Found = { kinds: ['value'], onlyFull: true };
const EXPIRY: Found = { kinds: ['expiry'] };

type Typed<T extends Known['type']> = Extract<SpoiledKey, { type: T }>;

/** A spoil of values of one type. */
function of<T extends Known['type']>(
  type: T,
  name: string,
  run: (how: Spoiling<Typed<T>>) => Promise<Found | undefined>,
  can: (known: Typed<T>) => boolean = () => true,
): Spoil {
  const is = (known: SpoiledKey): known is Typed<T> => known.type === type && can(known as Typed<T>);
  return {
    name: `${type}: ${name}`,
    of: is,
    run: (how) => {
      if (!is(how.known)) throw new TypeError(`${how.known.type} for ${name}`);
      return run({ ...how, known: how.known });
    },
  };
}

const anyKey = (name: string, run: Spoil['run'], can: Spoil['of'] = () => true): Spoil => ({ name, of: can, run });

/** Runs `work` with settings of the server that are put back after it. */
async function configured<T>(
  { server: { client } }: Pick<Spoiling<SpoiledKey>, 'server'>,
  settings: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  const before: [string, string][] = [];
  for (const [name, value] of Object.entries(settings)) {
    const [, old] = (await client.config('GET', name)) as [string, string];
    before.push([name, old]);
    await client.config('SET', name, value);
  }
  try {
    return await work();
  } finally {
    for (const [name, value] of before) await client.config('SET', name, value);
  }
}

/** The key with its value once more, written by the same commands. */
async function rewrite({ known, run }: Spoiling<SpoiledKey>): Promise<undefined> {
  await run('DEL', known.key);
  for (const command of commandsOf(known)) await run(...command);
  return SAME;
}

/** Another encoding: the value is written where almost nothing is packed, or almost everything. */
const UNPACKED = {
  'hash-max-listpack-entries': '1',
  'zset-max-listpack-entries': '1',
  'set-max-intset-entries': '1',
  'list-max-listpack-size': '1',
  'stream-node-max-entries': '1',
};
const PACKED = {
  ...{
    'hash-max-listpack-entries': '100000',
    'hash-max-listpack-value': '100000',
    'zset-max-listpack-entries': '100000',
    'zset-max-listpack-value': '100000',
  },
  ...{ 'set-max-intset-entries': '100000', 'list-max-listpack-size': '-5', 'stream-node-max-entries': '0' },
};

/** The next number that a double can be. */
function nextUp(score: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, score);
  if (score === 0) return Number.MIN_VALUE;
  view.setBigInt64(0, view.getBigInt64(0) + 1n);
  return view.getFloat64(0);
}

const isMany = ({ value }: { readonly value: { readonly length: number } }): boolean => value.length > 1;
const hasGroups = ({ value }: Typed<'stream'>): boolean => value.hasGroups;

const SPOILS: readonly Spoil[] = [
  anyKey('deleted', async ({ known, run }) => {
    await run('DEL', known.key);
    return MISSING;
  }),
  anyKey('another key added', async ({ known, chance, run }) => {
    const extra = Buffer.from(`extra:${chance.word()}`);
    await run('COPY', known.key, extra);
    return { extra };
  }),
  anyKey('renamed', async ({ known, chance, run }) => {
    const extra = Buffer.concat([known.key, Buffer.from(chance.word())]);
    await run('RENAME', known.key, extra);
    return { ...MISSING, extra };
  }),
  anyKey('moved to another database', async ({ known, run }) => {
    await run('MOVE', known.key, 7);
    return MISSING;
  }),
  anyKey(
    'expiry later by a millisecond',
    async ({ known: { expireAt = 0, key }, run }) => {
      await run('PEXPIREAT', key, expireAt + 1);
      return EXPIRY;
    },
    ({ expireAt }) => expireAt !== undefined,
  ),
  anyKey(
    'expiry removed',
    async ({ known: { key }, run }) => {
      await run('PERSIST', key);
      return EXPIRY;
    },
    ({ expireAt }) => expireAt !== undefined,
  ),
  anyKey(
    'expiry added',
    async ({ known: { key }, run }) => {
      await run('PEXPIREAT', key, EXPIRES);
      return EXPIRY;
    },
    ({ expireAt }) => expireAt === undefined,
  ),
  anyKey('another type', async ({ known: { expireAt, key, type }, run }) => {
    await run('DEL', key);
    await (type === 'list' ? run('SADD', key, 'one') : run('RPUSH', key, 'one'));
    return { kinds: expireAt === undefined ? ['type'] : ['type', 'expiry'] };
  }),
  anyKey('empty string instead', async ({ known: { expireAt, key, type }, run }) => {
    await run('SET', key, '');
    const kind = type === 'string' || type === 'hyperloglog' ? 'value' : 'type';
    return {
      kinds:
        kind === 'type'
          ? expireAt === undefined
            ? ['type']
            : ['type', 'expiry']
          : expireAt === undefined
            ? ['value']
            : ['expiry', 'value'],
    };
  }),
  anyKey('restored from its DUMP', async ({ known: { db, expireAt = 0, key }, server }) => {
    const { client } = server;
    await client.select(db);
    const payload = (await client.callBuffer('DUMP', key)) as Buffer;
    await client.call('RESTORE', key, expireAt, payload, 'REPLACE', 'ABSTTL');
    return SAME;
  }),
  anyKey(
    'the same value again',
    rewrite,
    ({ type, value }) => type !== 'stream' || !value.hasGroups, // deliveries have times
  ),
  anyKey(
    'unpacked',
    (how) => configured(how, UNPACKED, () => rewrite(how)),
    ({ type, value }) => type !== 'stream' || !value.hasGroups,
  ),
  anyKey(
    'packed',
    (how) => configured(how, PACKED, () => rewrite(how)),
    ({ type, value }) => type !== 'stream' || !value.hasGroups,
  ),
  anyKey('touched', async ({ known: { key }, run }) => {
    await run('TOUCH', key);
    return SAME;
  }),

  of('string', 'a bit', async ({ known: { key, value }, chance, run }) => {
    const bit = chance.below(value.length * 8);
    await run('SETBIT', key, bit, (value[bit >> 3] >> (7 - (bit & 7))) & 1 ? 0 : 1);
    return VALUE;
  }),
  of('string', 'a byte appended', async ({ known: { key }, run }) => {
    await run('APPEND', key, '\0');
    return VALUE;
  }),
  of('string', 'a byte and the expiry', async ({ known: { expireAt, key }, run }) => {
    await run('APPEND', key, '0');
    await (expireAt === undefined ? run('PEXPIREAT', key, EXPIRES) : run('PERSIST', key));
    return { kinds: ['expiry', 'value'] };
  }),
  of('string', 'raw instead of an integer', async ({ known: { key, value }, run }) => {
    await run('SETRANGE', key, 0, value.subarray(0, 1));
    return SAME;
  }),
  of('hyperloglog', 'counted and made dense', async ({ known: { key }, run }) => {
    await run('PFCOUNT', key);
    await run('PFDEBUG', 'TODENSE', key);
    return SAME;
  }),
  of('hyperloglog', 'many more', async ({ known: { key }, chance, run }) => {
    for (let i = 0; i < 20; i++) await run('PFADD', key, ...Array.from({ length: 500 }, () => chance.word()));
    return VALUE;
  }),

  of('list', 'an element appended', async ({ known: { key }, run }) => {
    await run('RPUSH', key, '');
    return VALUE;
  }),
  of(
    'list',
    'two elements swapped',
    async ({ known: { key, value }, chance, run }) => {
      const i = chance.below(value.length - 1);
      await run('LSET', key, i, value[i + 1]);
      await run('LSET', key, i + 1, value[i]);
      return VALUE;
    },
    isMany,
  ),
  of('list', 'an element removed', async ({ known: { key, value }, chance, run }) => {
    await run('LREM', key, 1, chance.one(value));
    return value.length === 1 ? MISSING : VALUE;
  }),
  of(
    'list',
    'two elements joined',
    async ({ known: { key, value }, run }) => {
      await run('LPOP', key);
      await run('LSET', key, 0, value[0] + value[1]);
      return VALUE;
    },
    isMany,
  ),
  of('list', 'rotated all around', async ({ known: { key, value }, run }) => {
    for (let i = 0; i < Math.min(value.length, 5); i++) await run('LMOVE', key, key, 'LEFT', 'RIGHT');
    for (let i = 0; i < Math.min(value.length, 5); i++) await run('LMOVE', key, key, 'RIGHT', 'LEFT');
    return SAME;
  }),

  of('set', 'a member added', async ({ known: { key }, chance, run }) => {
    await run('SADD', key, chance.one(['-1', '70000000000', 'word']));
    return VALUE;
  }),
  of('set', 'a member removed', async ({ known: { key, value }, chance, run }) => {
    await run('SREM', key, chance.one(value));
    return value.length === 1 ? MISSING : VALUE;
  }),
  of('set', 'a member replaced', async ({ known: { key, value }, chance, run }) => {
    await run('SADD', key, '-1');
    await run('SREM', key, chance.one(value));
    return VALUE;
  }),
  of('set', 'a hash table instead of an intset', async ({ known: { key }, run }) => {
    await run('SADD', key, 'no number');
    await run('SREM', key, 'no number');
    return SAME;
  }),

  of('zset', 'a score by one ulp', async ({ known: { key, value }, chance, run }) => {
    const [member, score] = chance.one(value);
    await run('ZADD', key, nextUp(score), member);
    return VALUE;
  }),
  of('zset', 'a member added', async ({ known: { key }, run }) => {
    await run('ZADD', key, '-inf', 'another');
    return VALUE;
  }),
  of('zset', 'a member removed', async ({ known: { key, value }, chance, run }) => {
    await run('ZREM', key, chance.one(value)[0]);
    return value.length === 1 ? MISSING : VALUE;
  }),
  of(
    'zset',
    'two scores swapped',
    async ({ known: { key, value }, run }) => {
      const [[a, first], [b, second]] = value;
      await run('ZADD', key, second, a, first, b);
      return first === second ? SAME : VALUE;
    },
    isMany,
  ),
  of('zset', 'a skip list instead', async ({ known: { key }, run }) => {
    await run('ZADD', key, 1, 'm'.repeat(100));
    await run('ZREM', key, 'm'.repeat(100));
    return SAME;
  }),
  of(
    'zset',
    'a score of minus zero',
    async ({ known: { key, value }, run }) => {
      await run('ZREM', key, value[0][0]);
      await run('ZADD', key, '-0', value[0][0]);
      return SAME;
    },
    ({ expireAt, value }) => value.length > 1 || expireAt === undefined,
  ), // a set with one member is gone in between, with its expiry

  of('hash', 'a value changed', async ({ known: { key, value }, chance, run }) => {
    await run('HSET', key, chance.one(value)[0], 'changed');
    return VALUE;
  }),
  of('hash', 'a field added', async ({ known: { key }, run }) => {
    await run('HSET', key, '', '');
    return VALUE;
  }),
  of('hash', 'a field removed', async ({ known: { key, value }, chance, run }) => {
    await run('HDEL', key, chance.one(value)[0]);
    return value.length === 1 ? MISSING : VALUE;
  }),
  of(
    'hash',
    'two values swapped',
    async ({ known: { key, value }, run }) => {
      const [[a, first], [b, second]] = value;
      await run('HSET', key, a, second, b, first);
      return first === second ? SAME : VALUE;
    },
    isMany,
  ),
  of(
    'hash',
    'field and value swapped',
    async ({ known: { key, value }, run }) => {
      const [[field, one]] = value;
      await run('HSET', key, one, field);
      await run('HDEL', key, field);
      return VALUE;
    },
    ({ value }) => value.every(([field]) => field !== value[0][1]),
  ),
  of('hash', 'a hash table instead', async ({ known: { key }, run }) => {
    await run('HSET', key, 'long', 'm'.repeat(100));
    await run('HDEL', key, 'long');
    return SAME;
  }),

  of('stream', 'an entry deleted', async ({ known: { key, value }, chance, run }) => {
    await run('XDEL', key, chance.one(value.ids));
    return VALUE;
  }),
  of('stream', 'an entry added', async ({ known: { key }, run }) => {
    await run('XADD', key, '*', 'f', 'v');
    return VALUE;
  }),
  of('stream', 'another last ID', async ({ known: { key }, run }) => {
    await run('XSETID', key, '9999999-0');
    return VALUE;
  }),
  of('stream', 'another group', async ({ known: { key }, run }) => {
    await run('XGROUP', 'CREATE', key, 'group c', '$');
    return VALUE;
  }),
  of(
    'stream',
    'a group deleted',
    async ({ known: { key }, run }) => {
      await run('XGROUP', 'DESTROY', key, GROUP_B);
      return VALUE;
    },
    hasGroups,
  ),
  of(
    'stream',
    'another last ID of a group',
    async ({ known: { key }, run }) => {
      await run('XGROUP', 'SETID', key, GROUP_B, '7-7');
      return VALUE;
    },
    hasGroups,
  ),
  of(
    'stream',
    'a pending entry acknowledged',
    async ({ known: { key, value }, run }) => {
      await run('XACK', key, GROUP_A, value.ids[0]);
      return FULL;
    },
    hasGroups,
  ),
  of(
    'stream',
    'a pending entry claimed',
    async ({ known: { key, value }, run }) => {
      await run('XCLAIM', key, GROUP_A, 'b', '0', value.ids[0], 'JUSTID');
      return FULL;
    },
    hasGroups,
  ),
  of(
    'stream',
    'a consumer deleted',
    async ({ known: { key }, chance, run }) => {
      await run('XGROUP', 'DELCONSUMER', key, GROUP_A, chance.one(['a', 'b']));
      return FULL;
    },
    hasGroups,
  ),
  of(
    'stream',
    'a consumer made',
    async ({ known: { key }, chance, run }) => {
      await run('XGROUP', 'CREATECONSUMER', key, chance.one([GROUP_A, GROUP_B]), 'c');
      return FULL;
    },
    hasGroups,
  ),
  of('stream', 'another count of entries added', async ({ known: { key, value }, run }) => {
    await run('XSETID', key, value.ids[value.ids.length - 1], 'ENTRIESADDED', value.ids.length + 1, 'MAXDELETEDID', '0-0');
    return FULL;
  }),
  of(
    'stream',
    'a consumer that reads nothing',
    async ({ known: { key, value }, run }) => {
      await run('XREADGROUP', 'GROUP', GROUP_A, 'b', 'STREAMS', key, value.ids[0]);
      return SAME;
    },
    hasGroups,
  ),
];
