import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { keySlot } from '../../src/bytes/crc16.js';
import { be, type Part, rdb, str } from '../support/support.js';
import { report, restore, strings } from '../support/restore-support.js';

describe(`rdbkit restore to a cluster of ${SERVER}`, () => {
  const folder = new Folder();
  const DEBUG = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'no'];
  let cluster: TestCluster;
  let judge: TestServer;
  let url: string;

  beforeAll(async () => {
    [cluster, judge] = await Promise.all([TestCluster.start(...DEBUG), TestServer.start(...DEBUG)]);
    url = `redis://127.0.0.1:${(await cluster.masters())[1].port}`;
    await judge.load(new Uint8Array(readFileSync(FIXTURE)));
  });
  beforeEach(async () => {
    for (const { client } of await cluster.masters()) {
      await client.flushall();
      await client.call('FUNCTION', 'FLUSH').catch(() => undefined); // since 7.0
    }
  });
  afterAll(async () => {
    await Promise.all([cluster.stop(), judge.stop()]);
    folder.remove();
  });

  /** Digests by key of one database, over all servers that are given. */
  const digests = async (clients: readonly TestServer['client'][], db: number): Promise<Record<string, unknown>> => {
    const found: Record<string, unknown> = {};
    for (const client of clients) {
      if (db !== 0) await client.select(db);
      for (const key of await client.keysBuffer('*'))
        found[key.toString('latin1')] = ((await client.call('DEBUG', 'DIGEST-VALUE', key)) as unknown[])[0];
      if (db !== 0) await client.select(0);
    }
    return found;
  };
  const there = async (): Promise<Record<string, unknown>> => digests((await cluster.masters()).map(({ client }) => client), 0);

  test('database 0: every key on the node that owns it, with the same value; functions on every node', async () => {
    const { code, counts, keysRestored, plan } = await report([FIXTURE, url, '--db', '0']);
    const expected = await digests([judge.client], 0);
    expect([code, keysRestored]).toEqual([0, Object.keys(expected).length]);
    expect(await there()).toEqual(expected);
    expect(plan.target).toMatchObject({ clustered: true, databases: 1 });
    expect(plan.target.masters).toHaveLength(3);
    expect(counts.filter(({ server }) => server !== undefined)).toHaveLength(3);
    for (const { client } of await cluster.masters()) expect(await client.call('FUNCTION', 'LIST')).not.toEqual([]);
  });

  test('other databases have no place, but for --db-map and /0', async () => {
    const { code, keysRejected } = await report([FIXTURE, url]);
    expect([code, keysRejected > 0]).toEqual([1, true]);
    expect((await restore([FIXTURE, url, '--on-conflict', 'skip'])).err).toContain(
      'the target has no database 15; --db-map 15:0 writes its keys to database 0.',
    );
    for (const argv of [[url, '--db-map', '15:0'], [`${url}/0`]]) {
      await restore([FIXTURE, url, '--flush', '--yes', '--db', '0', '--limit', '1']);
      expect(await report([FIXTURE, ...argv, '--db', '15', '--flush', '--yes'])).toMatchObject({ code: 0, keysRejected: 0 });
      expect(await there()).toEqual(await digests([judge.client], 15));
    }
  });

  test('slots that no master has are said before', async () => {
    const { client, port } = (await cluster.masters()).find((master) => url.endsWith(`:${master.port}`)) as RedisNode;
    const slots = (await client.call('CLUSTER', 'SLOTS')) as [from: number, to: number, master: [host: string, port: number]][];
    const [slot] = slots.find(([, , [, owner]]) => owner === port) as (typeof slots)[0];
    await client.call('CLUSTER', 'DELSLOTS', `${slot}`);
    try {
      const { plan } = await report([FIXTURE, url, '--db', '0', '--dry-run']);
      expect(plan.warnings).toContain(`no master owns the slots ${slot}: their keys are rejected, the others are written`);
    } finally {
      await client.call('CLUSTER', 'ADDSLOTS', `${slot}`);
      await cluster.settled();
    }
    expect((await report([FIXTURE, url, '--db', '0', '--dry-run'])).plan.warnings.join()).not.toContain('no master');
  });

  test.each([[], ['--dry-run']])(
    'keys of slots that no master has are rejected by name, the others are written %j',
    async (...argv: string[]) => {
      const { client, port } = (await cluster.masters()).find((master) => url.endsWith(`:${master.port}`)) as RedisNode;
      const slots = (await client.call('CLUSTER', 'SLOTS')) as [from: number, to: number, master: [host: string, port: number]][];
      const [from, to] = slots.find(([, , [, owner]]) => owner === port) as (typeof slots)[0];
      const names = Array.from({ length: 300 }, (_, i) => `k${i}`);
      const slotOf = (name: string): number => keySlot(Buffer.from(name), 0, name.length);
      const gone = names.find((name) => slotOf(name) >= from && slotOf(name) <= to) as string;
      const large: Part = [0, str(`{${gone}}large`), 0x80, be(2 << 20, 4), Buffer.alloc(2 << 20, 'x')];
      const file = folder.file('open.rdb', rdb('REDIS0010', [0xfe, 0, names.map((name): Part => [0, str(name), str('v')]), large], 0));
      for (const master of await cluster.masters()) await master.client.config('SET', 'cluster-require-full-coverage', 'no');
      await client.call('CLUSTER', 'DELSLOTS', `${slotOf(gone)}`);
      try {
        const { code, keysRejected, keysRestored, rejected } = await report([file, url, '--retry-for', '2s', ...argv]);
        expect([code, keysRejected, keysRestored]).toEqual([1, 2, 299]);
        expect(rejected.map(({ key }) => key)).toEqual([gone, `{${gone}}large`]);
        for (const { reason } of rejected)
          expect(reason).toBe(`no master owns slot ${slotOf(gone)}: assign it (redis-cli --cluster fix), and restore the key again`);
      } finally {
        await client.call('CLUSTER', 'ADDSLOTS', `${slotOf(gone)}`);
        for (const master of await cluster.masters()) await master.client.config('SET', 'cluster-require-full-coverage', 'yes');
        await cluster.settled();
      }
    },
  );

  test('the slots of a shard that was forgotten are named, in a dry run, too', async () => {
    const shards = [[0, 5460], [5461, 10_922], [10_923, 16_383]].map(([from, to], i) => {
      const keys = Array.from({ length: 3000 }, (_, n) => `key:${n}`).filter(
        (key) => keySlot(Buffer.from(key)) >= from && keySlot(Buffer.from(key)) <= to,
      );
      return folder.file(`shard${i}.rdb`, rdb('REDIS0009', keys.map((key) => [0, str(key), str('v')])));
    });
    const without = /warning: no source has keys in slots 5\d\d\d-10\d\d\d: was the file of a shard forgotten\?/;
    for (const more of [['--dry-run'], ['--prefix', 'key:1'], ['--on-conflict', 'skip']]) {
      expect((await restore([shards[0], shards[2], url, ...more])).err).toMatch(without);
    }
    expect((await restore([...shards, url, '--on-conflict', 'skip'])).err).not.toContain('no source has keys');
    expect((await restore([shards[0], url, '--on-conflict', 'skip'])).err).not.toContain('no source has keys');
  });

  test('large values as commands, conflicts, shards one after another', async () => {
    const expected = await digests([judge.client], 0);
    expect(await report([FIXTURE, url, '--db', '0', '--max-payload', '3000'])).toMatchObject({ code: 0 });
    expect(await there()).toEqual(expected);
    const total = Object.keys(expected).length;
    expect(await report([FIXTURE, url, '--db', '0', '--on-conflict', 'skip'])).toMatchObject({ code: 0, keysSkipped: total });
    expect(await report([FIXTURE, url, '--db', '0', '--on-conflict', 'replace'])).toMatchObject({ code: 0, keysReplaced: total });
    expect(await report([FIXTURE, url, '--db', '0', '--on-conflict', 'replace', '--max-payload', '3000'])).toMatchObject({
      code: 0,
      keysReplaced: total,
    });
    expect(await there()).toEqual(expected);
    const part = folder.file('part.rdb', strings({ '{a}1': '', '{b}1': '', '{c}1': '' }));
    expect(await report([part, url, '--flush', '--yes', '--db', '0', '--partition', '1/1'])).toMatchObject({ code: 0, keysRestored: 3 });
    expect(Object.keys(await there()).sort()).toEqual(['{a}1', '{b}1', '{c}1']);
  });

  test('--standalone: it is refused, not tried again and again', async () => {
    const { code, err } = await restore([FIXTURE, url, '--db', '0', '--standalone']);
    expect(code).toBe(4);
    expect(err).toMatch(/REFUSED: .*MOVED .* without --standalone\./);
  });
});
