import { randomBytes } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SLOTS, keySlot } from '../../src/bytes/crc16.js';
import { Folder, lines, rdbkit, type Result } from '../support/cli-support.js';
import { type Hook, HookProxy } from '../support/hook-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

const slotOf = (key: string): number => keySlot(Buffer.from(key), 0, key.length);
const ownerOf = (slot: number): number => Math.floor((slot * 3) / SLOTS);
/** By master: the tag of a slot that it owns and that has many keys. */
const TAGS = [0, 1, 2].map((owner) => Array.from({ length: 100 }, (_, i) => `tag${i}`).find((tag) => ownerOf(slotOf(tag)) === owner) ?? '');
const [SLOT_A, SLOT_B, SLOT_C] = TAGS.map(slotOf);
const all = [
  ...Array.from({ length: 600 }, (_, i) => `key:${i}`),
  ...TAGS.flatMap((tag) => Array.from({ length: 40 }, (_, i) => `{${tag}}:${i}`)),
].sort();
const inSlot = (slot: number): string[] => all.filter((key) => slotOf(key) === slot);

let cluster: TestCluster;
/** In the order of their slots, which is that in which they are read. */
let [a, b, c]: RedisNode[] = [];
const folder = new Folder();

beforeAll(async () => {
  cluster = await TestCluster.start();
  [a, b, c] = cluster.nodes;
  await Promise.all(all.map((key) => [a, b, c][ownerOf(slotOf(key))].client.set(key, randomBytes(150).toString('base64'))));
});

afterAll(async () => {
  await cluster.stop();
  folder.remove();
});

const decoded = ({ out }: Result): string[] =>
  lines(out)
    .map(({ key }) => key)
    .sort();

/** Reads the cluster, with a hook on the commands to some nodes. */
async function read(via: string, hooks: ReadonlyMap<RedisNode, Hook> = new Map(), ...argv: string[]): Promise<Result> {
  const proxies = new Map<RedisNode, HookProxy>();
  try {
    for (const [node, hook] of hooks) proxies.set(node, await HookProxy.start(node.port, hook));
    const nat = [...proxies].flatMap(([node, { port }]) => ['--source-nat-map', `${node.name}=127.0.0.1:${port}`]);
    return await rdbkit(['decode', a.url, '--via', via, ...nat, ...argv]);
  } finally {
    for (const proxy of proxies.values()) await proxy.stop();
  }
}

/** Whether a command asks for an RDB; there is one before it that only asks whether that is allowed. */
const asksForAll = (words: readonly string[]): boolean => words.join(' ') === 'PSYNC ? -1';

/** Runs once, at the first command that begins like this. */
function at(command: string, work: () => Promise<void>): Hook {
  let begun = false;
  return async (words) => {
    if (begun || !words.join(' ').startsWith(command)) return;
    begun = true;
    await work();
  };
}

const idOf = async ({ client }: RedisNode): Promise<string> => String(await client.call('CLUSTER', 'MYID'));
const setSlot = ({ client }: RedisNode, slot: number, ...how: string[]): Promise<unknown> =>
  client.call('CLUSTER', 'SETSLOT', `${slot}`, ...how);

/** Begins to move a slot, with some of its keys, and leaves it there. */
async function half(slot: number, from: RedisNode, to: RedisNode, count = 15): Promise<void> {
  await setSlot(to, slot, 'IMPORTING', await idOf(from));
  await setSlot(from, slot, 'MIGRATING', await idOf(to));
  await moveKeys(slot, from, to, count);
}

async function moveKeys(slot: number, from: RedisNode, to: RedisNode, count: number): Promise<void> {
  const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', `${slot}`, `${count}`)) as string[];
  if (keys.length > 0) await from.client.call('MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '10000', 'KEYS', ...keys);
}

/** Until all nodes agree on the owner of a slot, so that a test begins where the one before began. */
async function agreed(slot: number, owner: RedisNode): Promise<void> {
  await until('all nodes agree', async () => {
    const told = await Promise.all(
      cluster.nodes
        .filter(({ runs }) => runs)
        .map(({ client }) => client.call('CLUSTER', 'SLOTS') as Promise<[number, number, [string, number]][]>),
    );
    return told.every((ranges) => ranges.some(([from, to, [, port]]) => from <= slot && slot <= to && port === owner.port));
  });
}

async function move(slot: number, from: RedisNode, to: RedisNode): Promise<void> {
  await cluster.migrateSlot(slot, from, to);
  await agreed(slot, to);
}

describe.each(['replication', 'scan'])('by %s', (via) => {
  test('every key comes once', async () => {
    const result = await read(via);
    expect(result).toMatchObject({ code: 0, err: expect.stringContaining('cluster of 3 masters') as string });
    expect(decoded(result)).toEqual(all);
  });

  test.each([
    ['before', 0],
    ['after', 2],
  ])('a slot half-way to a master that is read %s its owner comes whole', async (_, to) => {
    const target = [a, b, c][to];
    await half(SLOT_B, b, target);
    try {
      const result = await read(via);
      expect(decoded(result)).toEqual(all);
      expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('left out') as string });
    } finally {
      await move(SLOT_B, b, target);
      await move(SLOT_B, target, b);
    }
  });

  test('keys in a slot that their node neither owns nor imports are left out, and counted', async () => {
    await setSlot(a, SLOT_C, 'IMPORTING', await idOf(c));
    await a.client.call('ASKING');
    await a.client.set(`{${TAGS[2]}}:0`, 'an old value');
    await a.client.call('ASKING');
    await a.client.set(`{${TAGS[2]}}:stray`, 'deleted by its owner');
    await setSlot(a, SLOT_C, 'STABLE');
    try {
      const result = await read(via);
      expect(decoded(result)).toEqual(all);
      expect(result.out).not.toContain('an old value');
      expect(result.code).toBe(0);
      expect(result.err).toContain(`redis://${a.name}: 2 keys are left out: in slots that another node owns`);
    } finally {
      await setSlot(a, SLOT_C, 'IMPORTING', await idOf(c));
      for (const key of [`{${TAGS[2]}}:0`, `{${TAGS[2]}}:stray`]) {
        await a.client.call('ASKING');
        await a.client.del(key);
      }
      await setSlot(a, SLOT_C, 'STABLE');
    }
  });
});

/** The slots that a message names. */
const slots = (...numbers: number[]): string => `the slots ${numbers.sort((x, y) => x - y).join(', ')} `;

describe('slots that move while they are scanned', () => {
  test('from a master that is not read yet to one that is: they are read there', async () => {
    const result = await read('scan', new Map([[c, at('SCAN', () => move(SLOT_C, c, a))]]), '--verbose');
    await move(SLOT_C, a, c);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
    expect(result.err).toContain(`a slot that moved to ${a.name}: read there`);
  });

  test('from a master that is read to one that is not yet: nothing comes twice', async () => {
    const result = await read('scan', new Map([[b, at('SCAN', () => move(SLOT_A, a, c))]]));
    await move(SLOT_A, c, a);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
  });

  test('again while they are read where they went', async () => {
    let scans = 0;
    const onA: Hook = async ([name]) => {
      if (name === 'SCAN' && ++scans === 2) await move(SLOT_C, a, b);
    };
    const hooks = new Map([
      [a, onA],
      [c, at('SCAN', () => move(SLOT_C, c, a))],
    ]);
    const result = await read('scan', hooks, '--verbose', '--scan-count', '1000');
    await move(SLOT_C, b, c);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
    expect(result.err).toContain(`a slot that moved to ${b.name}: read there`);
  });

  test('half-way: the rest is read on the node that they go to', async () => {
    const result = await read('scan', new Map([[c, at('SCAN', () => half(SLOT_C, c, a))]]), '--verbose');
    await move(SLOT_C, c, a);
    await move(SLOT_C, a, c);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
    expect(result.err).toContain(`a slot on the way to ${a.name}: read there`);
  });

  test('back to the owner that was read before: it is read again', async () => {
    await half(SLOT_B, b, c);
    const back = async (): Promise<void> => {
      await setSlot(b, SLOT_B, 'STABLE');
      await setSlot(b, SLOT_B, 'IMPORTING', await idOf(c)).catch(() => undefined);
      const keys = (await c.client.call('CLUSTER', 'GETKEYSINSLOT', `${SLOT_B}`, '100')) as string[];
      await c.client.call('MIGRATE', '127.0.0.1', `${b.port}`, '', '0', '10000', 'KEYS', ...keys);
      await setSlot(c, SLOT_B, 'STABLE');
    };
    const result = await read('scan', new Map([[c, at('SCAN', back)]]));
    expect(await b.client.call('CLUSTER', 'COUNTKEYSINSLOT', `${SLOT_B}`)).toBe(inSlot(SLOT_B).length);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
  });
});

test('a slot that never stays: its keys may be missing', async () => {
  let owner = c;
  const on =
    (node: RedisNode, next: RedisNode): Hook =>
    async ([name]) => {
      if (name !== 'SCAN' || owner !== node) return;
      owner = next;
      await move(SLOT_C, node, next);
    };
  const result = await read(
    'scan',
    new Map([
      [a, on(a, b)],
      [b, on(b, a)],
      [c, on(c, a)],
    ]),
    '--scan-count',
    '1000',
  );
  await move(SLOT_C, owner, c);
  expect(decoded(result)).toEqual(all.filter((key) => slotOf(key) !== SLOT_C));
  expect(result.code).toBe(1);
  expect(result.err).toContain(`${slots(SLOT_C)}moved again and again while the cluster was read: their keys may be missing`);
});

test('a slot that moves while each master is scanned into a file of its own', async () => {
  const proxy = await HookProxy.start(
    c.port,
    at('SCAN', () => move(SLOT_C, c, a)),
  );
  const output = folder.at('shard-{shard}.rdb');
  const nat = ['--source-nat-map', `${c.name}=127.0.0.1:${proxy.port}`];
  const result = await rdbkit(['dump', a.url, '--format', 'rdb', '-o', output, '--via', 'scan', ...nat]);
  await proxy.stop();
  await move(SLOT_C, a, c);
  expect(result).toMatchObject({ code: 0 });
  const files = readdirSync(folder.path).filter((file) => file.startsWith('shard-'));
  expect(files).toHaveLength(3);
  expect(decoded(await rdbkit(['decode', ...files.map((file) => folder.at(file))]))).toEqual(all);
});

describe('slots that move while RDBs are sent', () => {
  const missing = (slot: number): string => `${slots(slot)}moved to another master while the cluster was read: their keys may be missing`;
  const twice = (slot: number): string => `${slots(slot)}moved to another master while the cluster was read: their keys may come twice`;

  test('to a master whose RDB is sent before: their keys may be missing', async () => {
    const result = await read('replication', new Map([[c, at('PSYNC ? -1', () => move(SLOT_C, c, a))]]));
    await move(SLOT_C, a, c);
    expect(decoded(result)).toEqual(all.filter((key) => slotOf(key) !== SLOT_C));
    expect(result.code).toBe(1);
    expect(result.err).toContain(missing(SLOT_C));
    expect(result.err).not.toContain('twice');
  });

  test('without a key: nothing is missing', async () => {
    const empty = SLOTS - 1;
    expect(inSlot(empty)).toEqual([]);
    const result = await read('replication', new Map([[c, at('PSYNC ? -1', () => move(empty, c, a))]]));
    await move(empty, a, c);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('moved') as string });
  });

  test('between two masters before the first RDB of these is asked for: all keys come once', async () => {
    const result = await read('replication', new Map([[a, at('PSYNC ? -1', () => move(SLOT_C, c, b))]]));
    await move(SLOT_C, b, c);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('their keys may') as string });
  });

  test('after their RDB: those of the next master do not come twice', async () => {
    const result = await read('replication', new Map([[b, at('PSYNC ? -1', () => move(SLOT_A, a, c))]]));
    await move(SLOT_A, c, a);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('their keys may') as string });
  });

  test('key by key, to a master whose RDB is sent later: these may come twice', async () => {
    await half(SLOT_B, b, c);
    const result = await read('replication', new Map([[c, at('PSYNC ? -1', () => moveKeys(SLOT_B, b, c, 10))]]));
    await move(SLOT_B, b, c);
    await move(SLOT_B, c, b);
    expect([...new Set(decoded(result))]).toEqual(all);
    expect(decoded(result)).toHaveLength(all.length + 10);
    expect(result.code).toBe(1);
    expect(result.err).toContain(twice(SLOT_B));
    expect(result.err).not.toContain('missing');
  });

  test('key by key, to a master whose RDB is sent before: these may be missing', async () => {
    await half(SLOT_B, b, a);
    const result = await read('replication', new Map([[b, at('PSYNC ? -1', () => moveKeys(SLOT_B, b, a, 10))]]));
    await move(SLOT_B, b, a);
    await move(SLOT_B, a, b);
    expect(decoded(result)).toHaveLength(all.length - 10);
    expect(result.code).toBe(1);
    expect(result.err).toContain(missing(SLOT_B));
  });
});

/** Makes a replica the master of its slots, whatever the others say. */
async function takeOver(replica: RedisNode, slot: number): Promise<void> {
  await replica.client.call('CLUSTER', 'FAILOVER', 'TAKEOVER');
  await agreed(slot, replica);
}

const isReplica = async ({ client }: RedisNode): Promise<boolean> => ((await client.call('ROLE')) as unknown[])[0] === 'slave';

/** Puts a master that was replaced back, so that a test begins where the one before began. */
async function takeBack(node: RedisNode): Promise<void> {
  if (!node.runs) await node.restart();
  await until('it is a replica', () => isReplica(node));
  await cluster.settled();
  await takeOver(node, node === a ? SLOT_A : SLOT_B);
  const replica = cluster.nodes[cluster.nodes.indexOf(node) + 3];
  const id = await idOf(node);
  await until('it has its replica', async () => {
    if (!(await isReplica(replica))) await replica.client.call('CLUSTER', 'REPLICATE', id).catch(() => undefined); // it has slots yet
    return isReplica(replica);
  });
  await cluster.settled();
}

describe('masters that are replaced', () => {
  test('while they are scanned: their replica goes on', async () => {
    let scans = 0;
    const onB: Hook = async ([name]) => {
      if (name === 'SCAN' && ++scans === 3) await b.kill();
    };
    const result = await read('scan', new Map([[b, onB]]), '--scan-count', '20');
    await takeBack(b);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('moved') as string });
  });

  test('by hand while they are scanned: the node goes on as a replica', async () => {
    const onB = at('SCAN', async () => {
      await takeOver(cluster.nodes[4], SLOT_B);
      await cluster.settled();
    });
    const result = await read('scan', new Map([[b, onB]]), '--scan-count', '20', '--verbose');
    await takeBack(b);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
    expect(result.err).not.toMatch(/moved|read there|trying again/);
  });

  test('before they send an RDB: that of their replica is read', async () => {
    const onB = at('PSYNC ? -1', async () => {
      await b.kill();
      await takeOver(cluster.nodes[4], SLOT_B);
    });
    const result = await read('replication', new Map([[b, onB]]));
    await takeBack(b);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('moved') as string });
  });

  test('in the middle of their RDB: all is read again, and the node that the URL names is not needed', async () => {
    const output = folder.at('failover.jsonl');
    await a.client.config('SET', 'rdb-key-save-delay', '5000');
    const proxy: HookProxy = await HookProxy.start(a.port, (words) => {
      if (!asksForAll(words)) return;
      const before = proxy.answered;
      void until('the RDB is on its way', () => proxy.answered > before + 20_000)
        .then(() => a.kill())
        .then(() => takeOver(cluster.nodes[3], SLOT_A));
    });
    const nat = ['--source-nat-map', `${a.name}=127.0.0.1:${proxy.port}`];
    try {
      const result = await rdbkit(['decode', a.url, '-o', output, '--via', 'replication', '--verbose', ...nat]);
      expect(result.err).toContain('it is read again from the beginning');
      expect(result.code).toBe(0);
      expect(
        lines(readFileSync(output, 'utf8'))
          .map(({ key }) => key)
          .sort(),
      ).toEqual(all);
    } finally {
      await proxy.stop();
      await takeBack(a);
    }
  });

  test('a replica that is read dies: its master is read instead', async () => {
    const [replica] = cluster.nodes.slice(4);
    let scans = 0;
    const onReplica: Hook = async ([name]) => {
      if (name === 'SCAN' && ++scans === 3) await replica.kill();
    };
    const result = await read('scan', new Map([[replica, onReplica]]), '--scan-count', '20', '--prefer-replica', '--verbose');
    await replica.restart();
    await cluster.settled();
    expect(scans).toBeGreaterThan(2);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.stringContaining(`${b.name} has no replica`) as string });
  });
});

describe('what is given, and what is refused', () => {
  const user = (...rules: string[]): Promise<unknown> =>
    Promise.all(cluster.nodes.map(({ client }) => client.call('ACL', 'SETUSER', 'reader', 'reset', 'on', '>secret', '~*', ...rules)));
  const asReader = (...argv: string[]): Promise<Result> => rdbkit(['decode', a.url.replace('//', '//reader:secret@'), ...argv]);

  test('a replica is as good as a master', async () => {
    const [replica] = cluster.nodes.slice(5);
    const result = await rdbkit(['decode', replica.url]);
    expect(result.code).toBe(0);
    expect(decoded(result)).toEqual(all);
  });

  test('CLUSTER SLOTS is needed', async () => {
    await user('+@all', '-cluster|slots');
    const result = await asReader();
    expect(result).toMatchObject({ code: expect.any(Number) as number, out: '' });
    expect(result.code).not.toBe(0);
    expect(result.err).toContain('cluster|slots');
  });

  test('without CLUSTER NODES nothing is known of slots that are half-way', async () => {
    await user('+@all', '-cluster|nodes');
    const result = await asReader();
    expect(result.code).toBe(0);
    expect(decoded(result)).toEqual(all);
    expect(result.err).toContain('CLUSTER NODES is refused');
  });

  test('a node that is down', async () => {
    const result = await rdbkit(['decode', 'redis://127.0.0.1:1', '--source-cluster']);
    expect(result).toMatchObject({
      code: expect.any(Number) as number,
      out: '',
      err: expect.stringContaining('UNREACHABLE: 127.0.0.1:1') as string,
    });
  });
});

let added: RedisNode;

describe('a master that has no slots yet', () => {
  beforeAll(async () => {
    added = await cluster.join();
    await until('all nodes know it as a master', async () => {
      const told = await Promise.all([a, b, c].map(({ client }) => client.call('CLUSTER', 'NODES')));
      return told.every((nodes) => new RegExp(`:${added.port}@\\S+ master`).test(String(nodes)));
    });
    await half(SLOT_C, c, added);
  });
  afterAll(() => move(SLOT_C, c, added)); // a master that gives its last slot away becomes a replica

  test.each(['replication', 'scan'])('and keys of a slot on its way to it is read by %s', async (via) => {
    const result = await read(via);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
  });
});

describe('one node', () => {
  let node: RedisNode;
  beforeAll(async () => {
    node = await RedisNode.start('--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no', '--repl-diskless-sync-delay', '0');
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', `${SLOTS - 1}`);
    await until('it is well', async () => String(await node.client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    for (const key of all) await node.client.set(key, 'value');
  });
  afterAll(() => node.stop());

  test.each(['replication', 'scan'])('is a cluster by %s, and so is one with slots that nobody owns', async (via) => {
    const whole = await rdbkit(['decode', node.url, '--via', via]);
    expect(whole.code).toBe(0);
    expect(decoded(whole)).toEqual(all);
    await node.client.call('CLUSTER', 'DELSLOTS', `${SLOT_B}`);
    const result = await rdbkit(['decode', node.url, '--via', via]);
    await node.client.call('CLUSTER', 'ADDSLOTS', `${SLOT_B}`);
    expect(decoded(result)).toEqual(all.filter((key) => slotOf(key) !== SLOT_B));
    expect(result.code).toBe(1);
    expect(result.err).toContain(`the slots ${SLOT_B} have no owner: keys of these slots cannot be read`);
    expect(result.err).toContain(`the slots ${SLOT_B} have no owner: their keys are missing, if there were any`);
  });

  describe.each(['replication', 'scan'])('takes the keys of the other cluster by %s', (via) => {
    beforeAll(async () => {
      const code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
      await Promise.all([a, b, c].map(({ client }) => client.call('FUNCTION', 'LOAD', 'REPLACE', code)));
      await node.client.flushall();
      await node.client.call('FUNCTION', 'FLUSH');
    });
    const libraries = async ({ client }: RedisNode): Promise<number> => ((await client.call('FUNCTION', 'LIST')) as unknown[]).length;

    test('from all masters at the same time, however many, with the functions that they have', async () => {
      const other = await RedisNode.start('--repl-diskless-sync-delay', '0');
      await other.client.set('of another server', 'value');
      const sources = [a, b, c, added, other];
      let begun = 0;
      /** SCAN, or the RDB, only comes once all of them were asked. */
      const together: Hook = async (words) => {
        if (via === 'scan' ? words[0] !== 'SCAN' : !asksForAll(words)) return;
        begun++;
        await until('all are read', () => begun >= sources.length);
      };
      const proxies = await Promise.all(sources.map(({ port }) => HookProxy.start(port, together)));
      const nat = [a, b, c, added].flatMap(({ name }, i) => ['--source-nat-map', `${name}=127.0.0.1:${proxies[i].port}`]);
      const alone = `redis://127.0.0.1:${proxies[4].port}`;
      const result = await rdbkit(['restore', a.url, alone, node.url, '--via', via, ...nat]);
      await Promise.all([...proxies, other].map((started) => started.stop()));
      expect(result).toMatchObject({ code: 0 });
      expect(await node.client.dbsize()).toBe(all.length + 1);
      expect(await libraries(node)).toBe(1);
    });

    test('through one RDB, which a server loads', async () => {
      const output = folder.at(`${via}.rdb`);
      expect(await rdbkit(['dump', a.url, '--format', 'rdb', '-o', output, '--via', via])).toMatchObject({ code: 0 });
      copyFileSync(output, join(node.folder, 'dump.rdb'));
      await node.client.call('DEBUG', 'RELOAD', 'NOSAVE');
      expect(await node.client.dbsize()).toBe(all.length);
      expect(await libraries(node)).toBe(1);
    });
  });
});
