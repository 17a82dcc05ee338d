import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Counters } from '../support/counters.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { Running } from '../support/processes.js';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { tagsOf } from '../support/slot-tags.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { failOver, restartWithHistory, unlike, untilAlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function started(...options: string[]): Promise<RedisNode> {
  const node = await RedisNode.start('--repl-diskless-sync-delay', '0', ...options);
  stops.push(() => node.stop());
  return node;
}

const isUp = (node: RedisNode): Promise<void> =>
  until('the replica is online', async () => (await node.client.info('replication')).includes('master_link_status:up'));

async function replicaOf(port: number): Promise<RedisNode> {
  const replica = await started();
  await replica.client.call('REPLICAOF', '127.0.0.1', `${port}`);
  await isUp(replica);
  return replica;
}

const fullCopies = async ({ client }: RedisNode): Promise<number> => Number(/sync_full:(\d+)/.exec(await client.info('stats'))?.[1]);

describe('what rounds of faults are made of, with a replica as the one that follows', () => {
  test('counters go on over a restart of the source, which keeps its history', async () => {
    const source = await started();
    const replica = await replicaOf(source.port);
    const counters = new Counters([source], { keys: 20 }).start();
    stops.push(() => counters.stop());
    await until('some is written', () => counters.answered > 500);
    await restartWithHistory(source);
    const before = counters.answered;
    await until('it goes on', () => counters.answered > before + 500);
    await counters.stop();
    expect(await counters.wrong([source])).toEqual([]);
    await untilAlike([source], [replica]);
    expect(await fullCopies(source)).toBe(0); // since the restart
    await replica.client.call('REPLICAOF', 'NO', 'ONE');
    await replica.client.call('INCR', 'count:incr:0');
    expect(await unlike([source], [replica])).toHaveLength(1);
  });

  test('counters go on over the failover of a master of a cluster, and random writes keep to the slots of its nodes', async () => {
    const cluster = await TestCluster.start();
    stops.push(() => cluster.stop());
    const counters = new Counters(cluster.nodes, { keys: 20 }).start();
    stops.push(() => counters.stop());
    await until('some is written', () => counters.answered > 500);
    const [victim] = await cluster.masters();
    await failOver(cluster, victim);
    const before = counters.answered;
    await until('it goes on', () => counters.answered > before + 500);
    await counters.stop();
    expect(counters.answered + counters.unknown).toBeGreaterThan(1000);
    const masters = await cluster.masters();
    for (const { client } of masters) await client.flushall();
    for (const { client, port } of masters) {
      const written = await writeRandomly({
        port,
        commands: await commandsOf(client),
        cluster: true,
        tags: await tagsOf(client, 8),
        count: 5000,
      });
      expect([...written.errors.keys()].filter((error) => ['MOVED', 'CROSSSLOT', 'ASK'].includes(error))).toEqual([]);
      expect(await client.dbsize()).toBeGreaterThan(0);
    }
  });

  test('a link with a delay still delivers what a client sent before it died', async () => {
    const target = await started();
    const proxy = await DelayProxy.start(target.port, 200);
    stops.push(() => proxy.stop());
    const socket = connect(proxy.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    await new Promise((resolve) => socket.write('INCR late\r\n'.repeat(1000), resolve));
    await until('the proxy has it', () => proxy.onTheWay === 11_000);
    socket.resetAndDestroy();
    expect(await target.client.get('late')).toBeNull();
    await until('it arrives', async () => (await target.client.get('late')) === '1000');
  });

  test('a process that is killed', async () => {
    const running = new Running(['decode', '-']);
    expect(running.runs).toBe(true);
    expect(await running.kill()).toMatchObject({ signal: 'SIGKILL' });
    const wrong = new Running(['decode', '--no-such-option']);
    await wrong.said(/unknown option/);
    expect((await wrong.ended).code).toBe(2);
  });
});
