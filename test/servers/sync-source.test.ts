import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { LiveSource } from '../../src/live/live-source.js';
import { ReplicationInput } from '../../src/live/replication-input.js';
import { encodeCommand } from '../../src/redis/commands.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { ChangeLink } from '../../src/sync/source/change-link.js';
import { CopyFollower } from '../../src/sync/source/copy-follower.js';
import { TestServer } from '../support/redis-server.js';
import { noise } from '../support/support.js';
import { ended, fieldOf, following, links, MemoryLog, opening, started, stopAll, withBacklog } from '../support/sync-source.js';
import { until } from '../support/until.js';

afterEach(stopAll);

describe('the writes of a source', () => {
  test('come into the log, across lost connections', async () => {
    const node = await withBacklog();
    const { client } = node;
    const { events, link, log, over } = await following(node);
    const end = ended(link.run());
    for (let i = 0; i < 3; i++) {
      await client.incr('counter');
      await until('it came', () => log.commands.length === i + 1);
      await client.call('CLIENT', 'KILL', 'TYPE', 'replica');
    }
    await client.set('last', '1');
    await until('it came', () => log.commands.at(-1) === 'set last 1');
    expect(log.commands).toEqual(['incr counter', 'incr counter', 'incr counter', 'set last 1']);
    expect(log.turns).toEqual([]);
    expect(events.filter((event) => event.endsWith('connecting again')).length).toBeGreaterThanOrEqual(1);
    expect(await fieldOf(node, 'sync_full', 'stats')).toBe('1'); // that of the replica
    await until('the offset is known', () => (link.state.sourceOffset ?? 0) > log.end - 100);
    expect(link.state).toMatchObject({ connected: true, received: log.end });
    over.abort(new Error('enough'));
    expect(await end).toEqual(new Error('enough'));
  });

  test('are acknowledged as the log takes them, also while it takes none', async () => {
    const node = await withBacklog('--repl-timeout', '2');
    const { link, log } = await following(node);
    void ended(link.run());
    let release = (): void => undefined;
    await node.client.set('before', '1');
    await until('it came', () => log.commands.length === 1);
    await until('it is acknowledged', async () => (await node.client.wait(1, 1)) === 1);
    log.full = new Promise((resolve) => (release = resolve));
    await node.client.set('key', '1');
    await delay(3200);
    expect(await node.client.wait(1, 1)).toBe(0);
    expect(await node.client.info('replication')).toContain('connected_slaves:1');
    release();
    await until('it is acknowledged', async () => (await node.client.wait(1, 1)) === 1);
    await node.client.set('key', '2');
    await until('it came', () => log.commands.length === 3);
    link.acknowledge();
    expect(await node.client.wait(1, 900)).toBe(1);
  });

  test('no longer come once the link was closed, as another one may take its place', async () => {
    const node = await withBacklog();
    const { link, log } = await following(node);
    const end = ended(link.run());
    let release = (): void => undefined;
    await node.client.set('first', '1');
    await until('it came', () => log.commands.length === 1);
    log.full = new Promise((resolve) => (release = resolve));
    for (const key of ['taken', 'arrived']) {
      await node.client.set(key, '1');
      await delay(100);
    }
    link.close();
    release();
    expect(String(await end)).toContain('closed');
    await node.client.set('late', '1');
    await delay(500); // longer than it takes to connect again
    expect([log.commands, link.state.connected]).toEqual([['set first 1', 'set taken 1'], false]);
  });

  test('that are no longer in the backlog are a gap, without a fork', async () => {
    const node = await withBacklog('--repl-backlog-size', '16kb');
    const { link, log, id } = await following(node);
    link.close();
    await node.client.set('large', 'x'.repeat(100_000));
    const syncs = await fieldOf(node, 'sync_full', 'stats');
    const gap = await link.start(id, log.end);
    expect(gap).toMatchObject({ kind: 'gap', id, wanted: log.end + 1 });
    expect(gap).toHaveProperty(
      'reason',
      expect.stringMatching(/^it keeps its writes from offset \d+ on only, and \d+ bytes before that are gone: raise repl-backlog-size$/),
    );
    expect(await fieldOf(node, 'sync_full', 'stats')).toBe(syncs);
  });

  test('of another history are a gap, without a fork; and INFO is needed', async () => {
    const node = await withBacklog();
    await node.client.config('SET', 'repl-diskless-sync-delay', '5');
    const other = '1'.repeat(40);
    const gapOf = async (url: string): Promise<unknown> => {
      const link = new ChangeLink({ name: 'it', open: opening({ url }), log: new MemoryLog(10) });
      links.push(link);
      return link.start(other, 10);
    };
    expect(await gapOf(node.url)).toMatchObject({
      kind: 'gap',
      id: other,
      reason: expect.stringMatching(/^it has another history: its replication id is \w+, not 1+$/) as string,
    });
    await node.client.call('ACL', 'SETUSER', 'less', 'on', '>s3cret', '+psync', '+replconf', '+info|server');
    const less = await gapOf(node.url.replace('://', '://less:s3cret@')).catch((error: unknown) => error);
    expect(less).toMatchObject({ code: 'REFUSED', readAs: 'source', reason: expect.stringMatching(/^NOPERM .*'info'/) as string });
    await until('nobody waits for a copy', async () => (await fieldOf(node, 'connected_slaves')) === '0');
    expect(await fieldOf(node, 'rdb_bgsave_in_progress', 'persistence')).toBe('0');
  });

  test('go on after a restart that keeps the replication id', async () => {
    const node = await withBacklog();
    const { link, log, id } = await following(node);
    void ended(link.run());
    await node.client.incr('counter');
    await until('it came', () => log.commands.length === 1);
    await node.shutdown();
    await node.restart('--key-load-delay', '100000');
    await node.client.incr('counter');
    await until('it came', () => log.commands.length === 2);
    expect(log.turns).toEqual([[await fieldOf(node, 'master_replid'), expect.any(Number)]]);
    expect(link.state.id).toBe(await fieldOf(node, 'master_replid'));
    expect(link.state.id).not.toBe(id);
    expect(await fieldOf(node, 'sync_full', 'stats')).toBe('0');
    expect(Number(await fieldOf(node, 'master_repl_offset'))).toBeGreaterThanOrEqual(log.end);
  });

  test('go on from a promoted replica, back to where it stands if more was received', async () => {
    const [first, second] = [await started(), await started()];
    await second.client.replicaof('127.0.0.1', first.port);
    await until('it has a replica', async () => (await first.client.info('replication')).includes('state=online'));
    let now = first;
    const { id, link, log, over } = await following(first, () => opening(now)());
    const run = ended(link.run());
    await first.client.set('both', '1');
    await until('both have it', async () => log.commands.length === 1 && (await second.client.get('both')) === '1');
    await second.client.call('REPLICAOF', 'NO', 'ONE'); // what comes now is lost
    await first.client.set('lost', '1');
    await until('it came', () => log.commands.length === 2);
    await second.client.set('new', '1');
    now = second;
    await first.kill();
    const end = await run;
    expect(end).toMatchObject({ kind: 'rewound', to: log.end, id });
    expect(log.commands).toEqual(['set both 1']);
    void ended(link.run());
    await until('the new write came', () => log.commands.at(-1) === 'set new 1');
    expect(log.commands).toEqual(['set both 1', 'set new 1']);
    expect(log.turns).toEqual([[await fieldOf(second, 'master_replid'), expect.any(Number)]]);
    expect(await fieldOf(second, 'sync_full', 'stats')).toBe('0');
    over.abort(new Error('enough'));
  });
});

describe('a full copy and the writes since, on two links', () => {
  test.each(['yes', 'no'])('make what the source has, repl-diskless-sync %s', async (diskless) => {
    const node = await started(
      '--repl-diskless-sync',
      diskless,
      '--client-output-buffer-limit',
      'replica 2mb 0 0',
      '--repl-backlog-size',
      '1mb',
    );
    for (let i = 0; i < 4; i++) await node.client.set(`large:${i}`, Buffer.from(noise(2 << 20)));
    const writing = new AbortController();
    const written = (async () => {
      for (let i = 0; !writing.signal.aborted; i++) {
        const pipeline = node.client.pipeline();
        for (let j = 0; j < 40; j++)
          pipeline
            .select(j % 3)
            .append(`key:${i % 50}`, 'x'.repeat(100))
            .incr(`counter:${j}`)
            .rpush('list', i);
        await pipeline.exec();
      }
    })();
    const events: string[] = [];
    const logs: { log: MemoryLog; id: string }[] = [];
    let isRead = false;
    const source = await LiveSource.open('it', {
      access: { url: parseServerUrl(node.url) },
      onPosition: async (_, position) => {
        expect(isRead).toBe(false);
        await follower.onPosition(position);
      },
      onExactPosition: (_, position) => follower.onExactPosition(position),
    });
    const shard = source.shards[0];
    const follower = new CopyFollower({
      ...{ name: 'it', open: () => shard.connect(), onEvent: (text) => void events.push(text) },
      openLog: (id, offset) => {
        const log = new MemoryLog(offset);
        logs.push({ log, id });
        return log;
      },
      onLink: (link) => void ended(link.run()),
    });
    links.push(follower);
    links.push(source);
    await follower.prepare();
    const chunks: Buffer[] = [];
    for await (const chunk of shard
      .open({
        onError: (error) => {
          throw error;
        },
      })
      .chunks()) {
      isRead = true;
      chunks.push(Buffer.from(chunk));
      await delay(30);
    }
    await delay(200);
    writing.abort();
    await written;
    const offset = Number(await fieldOf(node, 'master_repl_offset'));
    const [{ log, id }] = logs;
    await until('all writes came', () => log.end >= offset);
    expect(logs).toHaveLength(1);
    expect(events).toEqual([]);
    expect(await fieldOf(node, 'sync_full', 'stats')).toBe('1');
    const { position } = follower;
    expect(position).toMatchObject({ id, node: node.name });
    const began = position?.offset ?? 0;
    expect(log.end - began).toBeGreaterThan(100_000);

    const target = await TestServer.start('--enable-debug-command', 'yes');
    try {
      await target.load(new Uint8Array(Buffer.concat(chunks)));
      const since = log.bytes.subarray(log.bytes.length - (log.end - began));
      const select = encodeCommand(['SELECT', `${position?.db}`]);
      expect(target.pipe(new Uint8Array(Buffer.concat([select, since])))).toMatch(/^errors: 0,/);
      expect(await target.client.call('DEBUG', 'DIGEST')).toBe(await node.client.call('DEBUG', 'DIGEST'));
    } finally {
      await target.stop();
    }
  });

  test('a copy that is older than was said: the writes are asked for from there on', async () => {
    const node = await withBacklog();
    const [id, before] = [await fieldOf(node, 'master_replid'), Number(await fieldOf(node, 'master_repl_offset'))];
    await node.client.set('key', '1');
    const after = Number(await fieldOf(node, 'master_repl_offset'));
    const logs: MemoryLog[] = [];
    const follower = new CopyFollower({
      ...{ name: 'it', open: opening(node) },
      openLog: (_, offset) => {
        logs.push(new MemoryLog(offset));
        return logs[logs.length - 1];
      },
      onLink: (link) => void ended(link.run()),
    });
    links.push(follower);
    await follower.onPosition({ node: node.name, id, offset: after });
    await follower.onExactPosition({ node: node.name, id, offset: before, db: 0 });
    await until('the write came', () => logs[1].commands.length === 1);
    expect(logs[0].commands).toEqual([]);
    await follower.onExactPosition({ node: node.name, id, offset: after, db: 0 });
    expect(logs).toHaveLength(2);
    await expect(follower.onPosition({ node: node.name, id: '1'.repeat(40), offset: 5 })).rejects.toMatchObject({
      passing: true,
      reason: expect.stringMatching(/^the writes since its copy began cannot be followed: it has another history/) as string,
    });
  });

  test('a server without PSYNC is refused', async () => {
    const node = await started('--rename-command', 'PSYNC', 'nothing');
    const input = new ReplicationInput({ name: 'it', open: opening(node), onPosition: () => Promise.resolve() });
    await expect(input.chunks().next()).rejects.toMatchObject({ got: expect.stringMatching(/it has no PSYNC \(.*\), so/) as string });
  });
});
