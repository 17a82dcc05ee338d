import type { Amount, Bucket, Change, Group, Key, Percentiles, PrefixNode, Report, Sizes } from '../../src/inspect/report.js';

/** 14 March 2026, 02:05 UTC. */
const AT = 1_773_453_900_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

/** Names that try to be more than text. */
export const HOSTILE = [
  '</script><img src=x onerror=alert(1)>',
  'base64:/wD+gICA',
  'line one\nline two\r\n\ttabbed',
  'invoice\u202Efdp.exe',
  '"quoted" & <b>bold</b> {{7*7}}',
  '=HYPERLINK("x")',
  '\u001b[31mred\u0000',
  '__proto__',
  'مفتاح:鍵:🔑',
  ` ${'long'.repeat(200)}`,
];

/** A small generator of numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Shape {
  readonly name: string;
  readonly weight: number;
  /** Mean bytes of memory of a key. */
  readonly mean: number;
  readonly ttl: number;
  readonly types: Readonly<Record<string, number>>;
  readonly children?: readonly Shape[];
  readonly rest?: number;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'session:',
    weight: 58,
    mean: 3100,
    ttl: 0.36,
    types: { hash: 0.82, string: 0.18 },
    children: [
      { name: '*', weight: 70, mean: 3400, ttl: 0.4, types: { hash: 1 } },
      {
        name: 'token:',
        weight: 20,
        mean: 2100,
        ttl: 0.2,
        types: { string: 1 },
        children: [{ name: '*', weight: 1, mean: 2100, ttl: 0.2, types: { string: 1 } }],
      },
      { name: 'index:', weight: 10, mean: 9000, ttl: 0, types: { set: 0.7, zset: 0.3 } },
    ],
  },
  {
    name: 'user:',
    weight: 14,
    mean: 1800,
    ttl: 0.02,
    types: { hash: 0.6, string: 0.25, list: 0.15 },
    children: [
      {
        name: '*:',
        weight: 90,
        mean: 1800,
        ttl: 0.02,
        types: { hash: 0.66, string: 0.2, list: 0.14 },
        children: [
          { name: 'profile', weight: 40, mean: 2300, ttl: 0, types: { hash: 1 } },
          { name: 'cart', weight: 20, mean: 1500, ttl: 0.1, types: { list: 1 } },
          { name: 'settings', weight: 18, mean: 700, ttl: 0, types: { string: 1 } },
          { name: 'feed', weight: 22, mean: 4000, ttl: 0, types: { list: 0.5, zset: 0.5 } },
        ],
      },
      { name: 'by-email:', weight: 10, mean: 180, ttl: 0, types: { string: 1 } },
    ],
  },
  {
    name: 'cache:',
    weight: 11,
    mean: 5200,
    ttl: 0.99,
    types: { string: 0.95, hash: 0.05 },
    rest: 412,
    children: [
      { name: 'page:', weight: 50, mean: 22_000, ttl: 1, types: { string: 1 } },
      { name: 'query:', weight: 30, mean: 3000, ttl: 1, types: { string: 1 } },
      { name: 'fragment:', weight: 12, mean: 900, ttl: 0.9, types: { string: 0.7, hash: 0.3 } },
    ],
  },
  {
    name: 'leaderboard:',
    weight: 5,
    mean: 800_000,
    ttl: 0,
    types: { zset: 1 },
    children: [
      { name: 'daily:', weight: 60, mean: 600_000, ttl: 0.8, types: { zset: 1 } },
      { name: 'all-time', weight: 40, mean: 2_000_000, ttl: 0, types: { zset: 1 } },
    ],
  },
  {
    name: 'events:',
    weight: 4.5,
    mean: 400_000,
    ttl: 0,
    types: { stream: 1 },
    children: [
      { name: 'orders', weight: 55, mean: 900_000, ttl: 0, types: { stream: 1 } },
      { name: 'clicks', weight: 45, mean: 300_000, ttl: 0, types: { stream: 1 } },
    ],
  },
  {
    name: 'queue:',
    weight: 2.2,
    mean: 90_000,
    ttl: 0,
    types: { list: 0.9, set: 0.1 },
    children: [
      { name: 'mail', weight: 50, mean: 90_000, ttl: 0, types: { list: 1 } },
      { name: 'retry', weight: 30, mean: 80_000, ttl: 0.3, types: { list: 1 } },
      { name: 'dead', weight: 20, mean: 70_000, ttl: 0, types: { list: 0.5, set: 0.5 } },
    ],
  },
  { name: 'features:', weight: 1.2, mean: 240, ttl: 0, types: { set: 0.5, string: 0.5 } },
  { name: 'ratelimit:', weight: 1.6, mean: 96, ttl: 1, types: { string: 1 } },
  { name: 'geo:', weight: 1, mean: 300_000, ttl: 0, types: { zset: 1 } },
  { name: 'doc:', weight: 0.8, mean: 12_000, ttl: 0, types: { module: 1 } },
  { name: 'online:', weight: 0.5, mean: 9000, ttl: 0.5, types: { bitmap: 0.8, string: 0.2 } },
];

function node(shape: Shape, memory: number, prefix: string): PrefixNode {
  const { name, ttl } = shape;
  const keys = Math.max(1, Math.round(memory / shape.mean));
  const sum = shape.children?.reduce((all, { weight }) => all + weight, 0) ?? 0;
  const share = shape.rest === undefined ? 1 : 0.94;
  const children = shape.children?.map((child) => node(child, (memory * share * child.weight) / sum, prefix + name)).sort(byMemory);
  const left = memory * (1 - share);
  const restKeys = Math.round(keys * (1 - share));
  return {
    name,
    prefix: prefix + name,
    ...amount(keys, memory),
    withExpiry: Math.round(keys * ttl),
    expired: 0,
    types: children === undefined ? parts(shape.types, memory) : added([...children.map(({ types }) => types), parts(shape.types, left)]),
    p99: Math.round(shape.mean * 5.5),
    ...(children && { children }),
    ...(shape.rest && { rest: { prefixes: shape.rest, ...amount(restKeys, left) } }),
  };
}

type Amounts = Readonly<Record<string, number>>;

const parts = (types: Amounts, memory: number): Amounts =>
  Object.fromEntries(Object.entries(types).map(([type, share]) => [type, Math.round(share * memory)]));

function added(all: readonly Amounts[]): Amounts {
  const sum: Record<string, number> = {};
  for (const types of all) for (const [type, memory] of Object.entries(types)) if (memory > 0) sum[type] = (sum[type] ?? 0) + memory;
  return sum;
}

const byMemory = (a: Amount, b: Amount): number => b.memory - a.memory;

const amount = (keys: number, memory: number): Amount => ({
  keys,
  memory: Math.round(memory),
  bytes: Math.round(memory * 0.43),
  elements: keys * 7,
});

const NOTHING: Amount = { keys: 0, memory: 0, bytes: 0, elements: 0 };

const percentiles = (mean: number): Percentiles => ({
  mean,
  p50: mean * 0.6,
  p90: mean * 2.1,
  p99: mean * 5.5,
  p999: mean * 14,
  max: mean * 900,
});

const sizes = (mean: number): Sizes => ({
  memory: percentiles(mean),
  bytes: percentiles(mean * 0.43),
  elements: percentiles(7),
  keyLength: percentiles(24),
});

const ENCODINGS: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
  string: [
    ['embstr', 0.1],
    ['raw', 0.88],
    ['int', 0.02],
  ],
  hash: [
    ['listpack', 0.7],
    ['hashtable', 0.3],
  ],
  list: [
    ['quicklist', 0.8],
    ['listpack', 0.2],
  ],
  set: [
    ['intset', 0.15],
    ['hashtable', 0.85],
  ],
  zset: [
    ['skiplist', 0.97],
    ['listpack', 0.03],
  ],
  stream: [['stream', 1]],
  module: [['module', 1]],
  bitmap: [['bitmap-roaring', 1]],
};

export interface ReportShape {
  /** Bytes. */
  readonly memory?: number;
  readonly hostile?: boolean;
  /** Further prefixes at the top. */
  readonly prefixes?: number;
  readonly sample?: boolean;
  readonly damaged?: boolean;
  readonly history?: boolean;
  readonly baseline?: boolean;
  readonly shards?: number;
  readonly top?: number;
  readonly idle?: boolean;
}

/** A report as of a shop with a few hundred prefixes. */
export function makeReport(shape: ReportShape = {}): Report {
  const memory = shape.memory ?? 38_200_000_000;
  const next = random(7);
  const weights = SHAPES.reduce((all, { weight }) => all + weight, 0) + 3;
  const many = Array.from({ length: shape.prefixes ?? 180 }, (_, i): PrefixNode => {
    const types = { [['string', 'hash', 'set', 'list'][i % 4]]: 1 };
    return node(
      { name: `app${i}:`, weight: 0, mean: 400 + 4000 * next(), ttl: next(), types },
      (memory * 0.03 * 2 * next()) / (shape.prefixes ?? 180),
      '',
    );
  });
  const hostile =
    shape.hostile === true
      ? HOSTILE.map((name, i) =>
          node(
            { name, weight: 0, mean: 5000, ttl: i / 10, types: { [['hash', 'string', 'zset'][i % 3]]: 1 } },
            (memory * (12 - i)) / 250,
            '',
          ),
        )
      : [];
  const children = [...SHAPES.map((shape) => node(shape, (memory * shape.weight) / weights, '')), ...many, ...hostile].sort(byMemory);
  const sum = (of: (node: PrefixNode) => number): number => children.reduce((all, child) => all + of(child), 0);
  const all: Group = {
    ...amount(
      sum(({ keys }) => keys),
      sum((child) => child.memory),
    ),
    withExpiry: sum(({ withExpiry }) => withExpiry),
    expired: 12_345,
  };
  const types = Object.entries(added(children.map((child) => child.types))).sort(([, a], [, b]) => b - a);
  const group = (share: number): Group => ({
    ...amount(Math.round(all.keys * share), all.memory * share),
    withExpiry: Math.round(all.withExpiry * share),
    expired: Math.round(all.expired * share),
  });
  const names = shape.hostile === true ? HOSTILE : [];
  const keys = Array.from({ length: shape.top ?? 40 }, (_, i): Key => {
    const type = ['zset', 'stream', 'hash', 'list', 'string'][i % 5];
    return {
      source: i % 2,
      db: 0,
      key: names[i] ?? `${['leaderboard:all-time', 'events:orders', 'user:4711:profile', 'queue:mail', 'cache:page:/'][i % 5]}:${i}`,
      type,
      encoding: ENCODINGS[type][0][0],
      memory: Math.round((memory * 0.031) / (i + 1) ** 1.1),
      bytes: Math.round((memory * 0.012) / (i + 1) ** 1.1),
      elements: Math.round(18_000_000 / (i + 1) ** 1.4),
      largest: Math.round(900_000 * next()),
      slot: Math.floor(next() * 16_384),
      ...(i % 3 === 0 && { expireAt: AT + Math.round(next() * 40 * DAY) }),
      ...(shape.idle !== false && { idle: Math.round(next() * 400_000) }),
    };
  });
  const expiring = all.memory * 0.37;
  const bucket = (upTo: number | null, share: number, of = expiring): Bucket => ({
    upTo,
    keys: Math.round(all.withExpiry * share),
    memory: Math.round(of * share),
  });
  const slots = Array.from({ length: 16_384 }, (_, slot) => {
    const share = (slot === 5798 ? 380 : slot % 4096 < 900 ? 1.3 : 1) * (0.4 + 1.2 * next()) * (next() < 0.03 ? 7 : 1);
    const bytes = Math.round((all.memory / 20_000) * share);
    return [slot, Math.round((all.keys / 20_000) * share), Math.round(bytes * 0.43), bytes] as const;
  });
  const shards =
    shape.shards === undefined
      ? undefined
      : Array.from({ length: shape.shards }, (_, i) => {
          const [from, to] = [Math.round((i * 16_384) / (shape.shards ?? 1)), Math.round(((i + 1) * 16_384) / (shape.shards ?? 1)) - 1];
          const own = slots.slice(from, to + 1);
          const memory = own.reduce((all, [, , , bytes]) => all + bytes, 0);
          return {
            from,
            to,
            ...amount(
              own.reduce((all, [, keys]) => all + keys, 0),
              memory,
            ),
            share: memory / all.memory,
          };
        });
  const change = (now: Amount, factor: number): Change => ({
    before: {
      keys: Math.round(now.keys * factor),
      bytes: Math.round(now.bytes * factor),
      memory: Math.round(now.memory * factor),
      elements: Math.round(now.elements * factor),
    },
    after: now,
  });
  const half: Group = group(0.5);
  const source = {
    ...half,
    vendor: 'redis' as const,
    server: '7.0.15',
    rdbVersion: 10,
    savedAt: AT - 35 * MINUTE,
    usedMemory: Math.round(all.memory * 0.54),
    checksum: 'ok' as const,
    size: half.bytes + 1234,
    complete: true,
    warnings: [],
  };
  return {
    format: 1,
    at: AT,
    complete: shape.damaged !== true,
    ...(shape.sample === true && { sample: { share: 0.01, keys: Math.round(all.keys / 100) } }),
    sources: [
      { ...source, name: '/var/backups/redis/shop-a.rdb' },
      shape.damaged === true
        ? {
            ...source,
            name: '/var/backups/redis/shop-b.rdb',
            checksum: 'unread',
            complete: false,
            error: 'unexpected end of file at offset 81,238,123, in the value of key "user:8812:feed"',
          }
        : { ...source, name: '/var/backups/redis/shop-b.rdb', warnings: shape.hostile === true ? [`odd: ${HOSTILE[0]}`] : [] },
    ],
    memory: {
      server: 'redis 7.0',
      keys: all.memory,
      tables: Math.round(all.keys * 26),
      functions: 18_400,
      other: 0,
      dataset: all.memory + Math.round(all.keys * 26) + 18_400,
      guessed: 2210,
      used: Math.round(all.memory * 1.08),
    },
    totals: all,
    databases: [
      { db: 0, ...group(0.97) },
      { db: 3, ...group(0.03) },
    ],
    types: types.map(([type, memory]) => ({
      type,
      ...group(memory / all.memory),
      sizes: sizes(memory / Math.max(1, all.keys * (memory / all.memory))),
    })),
    encodings: types.flatMap(([type, memory]) =>
      (ENCODINGS[type] ?? []).map(([encoding, share]) => ({ type, encoding, ...group((memory / all.memory) * share) })),
    ),
    modules: [{ module: 'ReJSON-RL', ...amount(2210, all.memory * 0.008) }],
    functions: [{ name: 'shop', source: '/var/backups/redis/shop-a.rdb', bytes: 18_400 }],
    top: {
      memory: keys,
      elements: [...keys].sort((a, b) => b.elements - a.elements),
      largest: [...keys].sort((a, b) => b.largest - a.largest),
    },
    prefixes: {
      delimiters: [':'],
      depth: 4,
      root: {
        name: '',
        prefix: '',
        ...all,
        types: Object.fromEntries(types),
        p99: 41_000,
        children,
      },
      nodes: 214 + children.length,
      error: NOTHING,
    },
    expiry: {
      none: { ...amount(all.keys - all.withExpiry, all.memory * 0.62) },
      expired: { ...amount(12_345, all.memory * 0.01) },
      left: [
        bucket(MINUTE, 0.004),
        bucket(10 * MINUTE, 0.02),
        bucket(60 * MINUTE, 0.11),
        bucket(6 * 60 * MINUTE, 0.09),
        bucket(DAY, 0.28),
        bucket(7 * DAY, 0.33),
        bucket(30 * DAY, 0.14),
        bucket(365 * DAY, 0.02),
        bucket(null, 0.006),
      ],
    },
    ...(shape.idle !== false && {
      idle: [
        bucket(60, 0.1, all.memory),
        bucket(3600, 0.2, all.memory),
        bucket(86_400, 0.3, all.memory),
        bucket(7 * 86_400, 0.25, all.memory),
        bucket(null, 0.15, all.memory),
      ],
    }),
    slots: {
      slots,
      hottest: [...slots]
        .sort((a, b) => b[3] - a[3])
        .slice(0, 10)
        .map(([slot, keys, , memory]) => ({ slot, ...amount(keys, memory), share: memory / all.memory })),
      ...(shards && { shards }),
    },
    warnings: [
      {
        kind: 'bigKey',
        text: `"leaderboard:all-time:0" takes ${Math.round(memory * 0.000031)} kB: DEL would block the server for about 0.9 s`,
      },
      { kind: 'hotSlot', text: 'slot 5798 has 1.9 % of all memory, 311 times its even share' },
      ...(shape.hostile === true ? [{ kind: 'manyElements' as const, text: `key ${HOSTILE[0]} has 18,000,000 elements` }] : []),
      ...(shape.damaged === true ? [{ kind: 'damage' as const, text: 'shop-b.rdb ends early: its last keys are not counted' }] : []),
    ],
    advice: [
      {
        kind: 'fieldSets',
        text: '2.1 million hashes under session:* have the same 14 field names; shorter names or one string would take less',
        saves: Math.round(memory * 0.08),
        basis: 'bytes of the names in all hashes but one, by 1.06 for the allocator',
      },
      {
        kind: 'noExpiry',
        text: '64 % of the keys under session:* never expire, while the others live for 30 minutes',
        saves: Math.round(memory * 0.31),
        basis: 'memory of the keys without an expiry, where over a third of their prefix has one',
      },
      {
        kind: 'duplicates',
        text: '210,000 values under cache:page:* are the same as another',
        saves: Math.round(memory * 0.02),
        basis: 'digest of values of 64 bytes and more',
      },
      {
        kind: 'bigCollections',
        text: '38 sorted sets have more than a million members: they block the server when they are deleted',
        basis: 'counted',
      },
    ],
    target: {
      server: 'redis 6.2',
      rewritten: [{ type: 'hash', ...amount(1_200_000, memory * 0.2) }],
      impossible: [{ type: 'bitmap', reason: 'bitmaps came with Redis 8.12', ...amount(2000, memory * 0.004) }],
    },
    ...(shape.history === true && {
      history: Array.from({ length: 30 }, (_, i) => {
        const factor = 0.7 + 0.3 * (i / 29) + 0.02 * Math.sin(i * 1.7);
        return {
          at: AT - (29 - i) * DAY,
          sources: ['shop-a.rdb', 'shop-b.rdb'],
          keys: Math.round(all.keys * (0.9 + 0.1 * (i / 29))),
          bytes: Math.round(all.bytes * factor),
          memory: Math.round(all.memory * factor),
          withExpiry: all.withExpiry,
          types: {},
          prefixes: Object.fromEntries(
            children
              .slice(0, 8)
              .map(({ prefix, memory }, j) => [prefix, Math.round(memory * (j === 0 ? factor ** 2 : 0.95 + 0.05 * (i / 29)))]),
          ),
        };
      }),
    }),
    ...(shape.baseline === true && {
      baseline: {
        complete: true,
        sources: ['/var/backups/redis/last-week-a.rdb', '/var/backups/redis/last-week-b.rdb'],
        totals: change(all, 0.88),
        types: types.map(([type, memory], i) => ({
          type,
          ...change(amount(Math.round((all.keys * memory) / all.memory), memory), i % 3 === 2 ? 1.1 : 0.85),
        })),
        prefixes: children.slice(0, 40).map((child, i) => ({
          prefix: child.prefix,
          ...change(amount(child.keys, child.memory), i === 3 ? 0 : i % 4 === 2 ? 1.2 : 0.82),
        })),
      },
    }),
  };
}

const EMPTY_GROUP: Group = { ...NOTHING, withExpiry: 0, expired: 0 };

/** Of a file without keys. */
export function emptyReport(): Report {
  return {
    format: 1,
    at: AT,
    complete: true,
    sources: [{ ...EMPTY_GROUP, name: 'empty.rdb', vendor: 'valkey', rdbVersion: 80, checksum: 'ok', complete: true, warnings: [] }],
    memory: { server: 'valkey 8.0', keys: 0, tables: 0, functions: 0, other: 0, dataset: 0, guessed: 0 },
    totals: EMPTY_GROUP,
    databases: [],
    types: [],
    encodings: [],
    modules: [],
    functions: [],
    top: { memory: [], elements: [], largest: [] },
    prefixes: { delimiters: [':'], depth: 4, root: { name: '', prefix: '', ...EMPTY_GROUP, types: {} }, nodes: 0, error: NOTHING },
    expiry: { none: NOTHING, expired: NOTHING, left: [MINUTE, 60 * MINUTE, DAY, null].map((upTo) => ({ upTo, keys: 0, memory: 0 })) },
    slots: { slots: [], hottest: [] },
    warnings: [],
    advice: [],
  };
}

/** Of a file with one key. */
export function oneKeyReport(key = 'foo'): Report {
  const one: Group = { keys: 1, bytes: 9, memory: 56, elements: 3, withExpiry: 0, expired: 0 };
  const empty = emptyReport();
  return {
    ...empty,
    sources: [{ ...empty.sources[0], ...one, name: 'one.rdb' }],
    memory: { ...empty.memory, keys: 56, tables: 24, dataset: 80 },
    totals: one,
    databases: [{ db: 0, ...one }],
    types: [{ type: 'string', ...one, sizes: sizes(56) }],
    encodings: [{ type: 'string', encoding: 'embstr', ...one }],
    top: Object.fromEntries(
      ['memory', 'elements', 'largest'].map((order) => [
        order,
        [{ source: 0, db: 0, key, type: 'string', encoding: 'embstr', bytes: 9, memory: 56, elements: 3, largest: 3, slot: 12_182 }],
      ]),
    ) as unknown as Report['top'],
    prefixes: { ...empty.prefixes, root: { name: '', prefix: '', ...one, types: { string: 56 } }, nodes: 1 },
    expiry: { ...empty.expiry, none: { keys: 1, bytes: 9, memory: 56, elements: 3 } },
    slots: { slots: [[12_182, 1, 9, 56]], hottest: [{ slot: 12_182, keys: 1, bytes: 9, memory: 56, elements: 3, share: 1 }] },
  };
}
