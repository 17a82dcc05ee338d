import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { Counters } from '../support/counters.js';
import { RedisNode } from '../support/redis-node.js';
import { freePort, SERVER } from '../support/redis-server.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', '--repl-backlog-size', '64mb'];

/** A master with a replica, and a sentinel. */
class Watched {
  private constructor(
    readonly nodes: readonly RedisNode[],
    readonly url: string,
    private readonly sentinel: ChildProcess,
    private readonly asked: Redis,
  ) {}

  static async start(folder: Folder, name: string): Promise<Watched> {
    const nodes = await Promise.all([RedisNode.start(...QUICK), RedisNode.start(...QUICK)]);
    const [master, replica] = nodes;
    await replica.client.replicaof('127.0.0.1', master.port);
    const port = await freePort();
    const lines = [
      ...[`port ${port}`, 'bind 127.0.0.1', `dir ${folder.path}`, `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`],
      ...[`sentinel down-after-milliseconds ${name} 3000`, `sentinel failover-timeout ${name} 3000`],
    ];
    const sentinel = spawn(SERVER, [folder.file(`${name}.conf`, `${lines.join('\n')}\n`), '--sentinel'], { stdio: 'ignore' });
    const asked = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, maxRetriesPerRequest: null });
    asked.on('error', () => undefined); // refused until it listens
    await until(
      'the sentinel knows the replica',
      async () => ((await asked.call('SENTINEL', 'REPLICAS', name).catch(() => [])) as unknown[]).length === 1,
    );
    await until('the replica is in sync', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
    return new Watched(nodes, `redis+sentinel://127.0.0.1:${port}/${name}`, sentinel, asked);
  }

  async master(): Promise<RedisNode> {
    for (;;) {
      for (const node of this.nodes) {
        if (node.runs && (await node.client.info('replication').catch(() => '')).includes('role:master')) return node;
      }
      await delay(20);
    }
  }

  async failOver(): Promise<void> {
    const before = await this.master();
    await before.kill();
    await this.master();
  }

  async stop(): Promise<void> {
    this.asked.disconnect();
    this.sentinel.kill('SIGKILL');
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

describe('servers that sentinels watch', () => {
  const folder = new Folder();
  let source: Watched;
  let target: Watched;

  beforeAll(async () => {
    [source, target] = await Promise.all([Watched.start(folder, 'source'), Watched.start(folder, 'target')]);
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
    folder.remove();
  });

  test('both are replaced while it runs', async () => {
    const first = new Counters([await source.master()], { keys: 50, perSecond: 3000, prefix: 'first' }).start();
    const run = new SyncRun(source.url, target.url, { untilCaughtUp: false });
    await run.follows();
    await delay(300);
    await target.failOver();
    await delay(500);
    await first.stop();
    await source.failOver();
    const second = new Counters([await source.master()], { keys: 50, perSecond: 3000, prefix: 'second' }).start();
    await delay(1000);
    await second.stop();
    expect(String(await run.abort())).toContain('aborted by the test');
    const last = new SyncRun(source.url, target.url);
    const { caughtUp, restored } = await last.done;
    expect([caughtUp, restored, last.problems]).toEqual([true, undefined, []]);
    expect(await unlike([await source.master()], [await target.master()])).toEqual([]);
  });
});
