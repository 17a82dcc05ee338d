import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SLOTS, keySlot } from '../../src/bytes/crc16.js';
import { Folder, lines, rdbkit, type Result } from '../support/cli-support.js';
import { type Hook, HookProxy } from '../support/hook-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

const slotOf = (key: string): number => keySlot(Buffer.from(key), 0, key.length);
const ownerOf = (slot: number): number => Math.floor((slot * 3) / SLOTS);
/** By master: the tag of a slot that it owns and that has many keys. */
const TAGS = [0, 1, 2].map((owner) => Array.from({ length: 100 }, (_, i) => `tag${i}`).find((tag) => ownerOf(slotOf(tag)) === owner) ?? '');
const [SLOT_A, SLOT_B, SLOT_C] = TAGS.map(slotOf);
const all = [...Array.from({ length: 600 }, (_, i) => `key:${i}`), ...TAGS.flatMap((tag) => Array.from({ length: 40 }, (_, i) => `{${tag}}:${i}`))].sort();
const inSlot = (slot: number): string[] => all.filter((key) => slotOf(key) === slot);

let cluster: TestCluster;
/** In the order of their slots, which is that in which they are read. */
let [a, b, c]: RedisNode[] = [];
const folder = new Folder();

beforeAll(async () => {
  cluster = await TestCluster.start();
  [a, b, c] = cluster.nodes;
  await Promise.all(all.map((key) => [a, b, c][ownerOf(slotOf(key))].client.set(key, `value of ${key}`)));
});

afterAll(async () => {
  await cluster.stop();
  folder.remove();
});

const decoded = ({ out }: Result): string[] => lines(out).map(({ key }) => key).sort();

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
const setSlot = ({ client }: RedisNode, slot: number, ...how: string[]): Promise<unknown> => client.call('CLUSTER', 'SETSLOT', `${slot}`, ...how);

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
    const told = await Promise.all(cluster.nodes.map(({ client }) => client.call('CLUSTER', 'SLOTS') as Promise<[number, number, [string, number]][]>));
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

  test.each([['before', 0], ['after', 2]])('a slot half-way to a master that is read %s its owner comes whole', async (_, to) => {
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
    const result = await read('scan', new Map([[c, at('SCAN', () => cluster.migrateSlot(SLOT_C, c, a))]]), '--verbose');
    await agreed(SLOT_C, a);
    await move(SLOT_C, a, c);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
    expect(result.err).toContain(`a slot that moved to ${a.name}: read there`);
  });

  test('from a master that is read to one that is not yet: nothing comes twice', async () => {
    const result = await read('scan', new Map([[b, at('SCAN', () => cluster.migrateSlot(SLOT_A, a, c))]]));
    await agreed(SLOT_A, c);
    await move(SLOT_A, c, a);
    expect(decoded(result)).toEqual(all);
    expect(result.code).toBe(0);
  });

  test('again while they are read where they went', async () => {
    let scans = 0;
    const onA: Hook = async ([name]) => {
      if (name === 'SCAN' && ++scans === 2) await cluster.migrateSlot(SLOT_C, a, b);
    };
    const hooks = new Map([[a, onA], [c, at('SCAN', () => cluster.migrateSlot(SLOT_C, c, a))]]);
    const result = await read('scan', hooks, '--verbose', '--scan-count', '1000');
    await agreed(SLOT_C, b);
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

describe('slots that move while RDBs are sent', () => {
  const missing = (slot: number): string => `${slots(slot)}moved to another master while the cluster was read: their keys may be missing`;
  const twice = (slot: number): string => `${slots(slot)}moved to another master while the cluster was read: their keys may come twice`;

  test('to a master whose RDB is sent before: their keys may be missing', async () => {
    const result = await read('replication', new Map([[c, at('PSYNC ? -1', () => cluster.migrateSlot(SLOT_C, c, a))]]));
    await agreed(SLOT_C, a);
    await move(SLOT_C, a, c);
    expect(decoded(result)).toEqual(all.filter((key) => slotOf(key) !== SLOT_C));
    expect(result.code).toBe(1);
    expect(result.err).toContain(missing(SLOT_C));
    expect(result.err).not.toContain('twice');
  });

  test('without a key: nothing is missing', async () => {
    const empty = SLOTS - 1;
    expect(inSlot(empty)).toEqual([]);
    const result = await read('replication', new Map([[c, at('PSYNC ? -1', () => cluster.migrateSlot(empty, c, a))]]));
    await agreed(empty, a);
    await move(empty, a, c);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('moved') as string });
  });

  test('between two masters before the first RDB of these is asked for: all keys come once', async () => {
    const result = await read('replication', new Map([[a, at('PSYNC ? -1', () => cluster.migrateSlot(SLOT_C, c, b))]]));
    await agreed(SLOT_C, b);
    await move(SLOT_C, b, c);
    expect(decoded(result)).toEqual(all);
    expect(result).toMatchObject({ code: 0, err: expect.not.stringContaining('their keys may') as string });
  });

  test('after their RDB: those of the next master do not come twice', async () => {
    const result = await read('replication', new Map([[b, at('PSYNC ? -1', () => cluster.migrateSlot(SLOT_A, a, c))]]));
    await agreed(SLOT_A, c);
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
