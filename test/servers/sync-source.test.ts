import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Element } from '../../src/encodings/element.js';
import { LiveSource } from '../../src/live/live-source.js';
import { type OpenedNode, ReplicationInput } from '../../src/live/replication-input.js';
import { payloadFrame } from '../../src/rdb/payload-frame.js';
import { payloadOrigin } from '../../src/rdb/payload.js';
import { readString, Scratch } from '../../src/rdb/string.js';
import { encodeCommand } from '../../src/redis/commands.js';
import { openSocket } from '../../src/redis/connect.js';
import { addressText, parseServerUrl } from '../../src/redis/url.js';
import { ChangeLink, type ChangeLog } from '../../src/sync/source/change-link.js';
import { CopyFollower } from '../../src/sync/source/copy-follower.js';
import { Fetcher, type FetcherOptions, type KeyName } from '../../src/sync/source/fetcher.js';
import { RedisNode } from '../support/redis-node.js';
import { TestServer } from '../support/redis-server.js';
import { noise } from '../support/support.js';
import { until } from '../support/until.js';

const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

const nodes: RedisNode[] = [];
const links: { close(): void }[] = [];
afterEach(async () => {
  for (const link of links.splice(0)) link.close();
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

async function started(...options: string[]): Promise<RedisNode> {
  const node = await RedisNode.start(...QUICK, ...options);
  nodes.push(node);
  return node;
}

const opening = (node: { readonly url: string }) => async (): Promise<OpenedNode> => {
  const url = parseServerUrl(node.url);
  return { socket: (await openSocket({ url })).socket, name: addressText(url.addresses[0]) };
};

/** A log in memory. */
class MemoryLog implements ChangeLog {
  bytes = Buffer.alloc(0);
  readonly turns: [id: string, offset: number][] = [];
  /** Appending waits for it. */
  full: Promise<void> | undefined;

  constructor(private readonly base: number) {}

  get end(): number {
    return this.base + this.bytes.length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.full;
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  turn(id: string, offset: number): void {
    this.turns.push([id, offset]);
  }

  truncate(offset: number): Promise<void> {
    this.bytes = this.bytes.subarray(0, offset - this.base);
    return Promise.resolve();
  }

  /** Its commands, but for PING, SELECT and GETACK, as words. */
  get commands(): string[] {
    const text = this.bytes.toString('latin1');
    const commands = [...text.matchAll(/\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/g)].map(([, args]) =>
      [...args.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, arg]) => arg).join(' '),
    );
    return commands.filter((command) => !/^(?:ping|select|replconf)/i.test(command));
  }
}

const fieldOf = async ({ client }: RedisNode, name: string, section = 'replication'): Promise<string> =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(await client.info(section))?.[1] ?? '';

/** A full copy, as a replica takes one, so that the server keeps a backlog. */
async function withBacklog(...options: string[]): Promise<RedisNode> {
  const node = await started(...options);
  const replica = await started();
  await replica.client.replicaof('127.0.0.1', node.port);
  await until('it has a replica', async () => (await node.client.info('replication')).includes('state=online'));
  await replica.stop();
  return node;
}

interface Following {
  readonly log: MemoryLog;
  readonly link: ChangeLink;
  readonly events: string[];
  readonly over: AbortController;
}

/** A link to whichever node `now` is. */
async function following(node: RedisNode, open: () => Promise<OpenedNode> = opening(node)): Promise<Following & { id: string; from: number }> {
  const [id, from] = [await fieldOf(node, 'master_replid'), Number(await fieldOf(node, 'master_repl_offset'))];
  const log = new MemoryLog(from);
  const events: string[] = [];
  const over = new AbortController();
  const link = new ChangeLink({ name: 'it', open, log, signal: over.signal, onEvent: (text) => void events.push(text) });
  links.push(link);
  expect(await link.start(id, from)).toBeUndefined();
  return { log, link, events, over, id, from };
}

/** Bytes of the string in a payload. */
function lengthOf(payload: Uint8Array): number {
  const { bytes, end, start } = payloadFrame(payload, payloadOrigin(payload));
  const element = new Element();
  readString(bytes, start, end, element);
  new Scratch().text(element);
  return element.end - element.start;
}

/** Its end, whatever that is. */
const ended = (running: Promise<unknown>): Promise<unknown> => running.catch((error: unknown) => error);

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

  test('that are no longer in the backlog are a gap, without a fork', async () => {
    const node = await withBacklog('--repl-backlog-size', '16kb');
    const { link, log, id } = await following(node);
    link.close();
    await node.client.set('large', 'x'.repeat(100_000));
    const syncs = await fieldOf(node, 'sync_full', 'stats');
    const gap = await link.run();
    expect(gap).toMatchObject({ kind: 'gap', id, wanted: log.end + 1 });
    expect(gap).toHaveProperty('reason', expect.stringMatching(/^it keeps its writes from offset \d+ on only, and \d+ bytes before that are gone: raise repl-backlog-size$/));
    expect(await fieldOf(node, 'sync_full', 'stats')).toBe(syncs);
  });

  test('of another history are a gap, without a fork, also where the server refuses INFO', async () => {
    const node = await withBacklog();
    await node.client.config('SET', 'repl-diskless-sync-delay', '5');
    const other = '1'.repeat(40);
    const gapOf = async (url: string): Promise<unknown> => {
      const link = new ChangeLink({ name: 'it', open: opening({ url }), log: new MemoryLog(10) });
      links.push(link);
      return link.start(other, 10);
    };
    expect(await gapOf(node.url)).toMatchObject({ kind: 'gap', id: other, reason: expect.stringMatching(/^it has another history: its replication id is \w+, not 1+$/) as string });
    await node.client.call('ACL', 'SETUSER', 'less', 'on', '>s3cret', '+psync', '+replconf', '+info|server');
    const less = await gapOf(node.url.replace('://', '://less:s3cret@')).catch((error: unknown) => error);
    expect(less).toMatchObject({ kind: 'gap', have: undefined, reason: 'it would only give a full copy' });
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
    const node = await started('--repl-diskless-sync', diskless, '--client-output-buffer-limit', 'replica 2mb 0 0', '--repl-backlog-size', '1mb');
    for (let i = 0; i < 4; i++) await node.client.set(`large:${i}`, Buffer.from(noise(2 << 20)));
    const writing = new AbortController();
    const written = (async () => {
      for (let i = 0; !writing.signal.aborted; i++) {
        const pipeline = node.client.pipeline();
        for (let j = 0; j < 40; j++) pipeline.select(j % 3).append(`key:${i % 50}`, 'x'.repeat(100)).incr(`counter:${j}`).rpush('list', i);
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
    for await (const chunk of shard.open({ onError: (error) => { throw error; } }).chunks()) {
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
    await expect(input.chunks().next()).rejects.toMatchObject({ got: expect.stringMatching(/it has no PSYNC, so/) as string });
  });
});

describe('keys are fetched with the offset at which they were so', () => {
  function fetcherOf(node: { readonly url: string }, options: Partial<FetcherOptions> = {}): Fetcher {
    const fetcher = new Fetcher({ name: 'it', open: opening(node), clustered: false, known: () => true, ...options });
    links.push(fetcher);
    return fetcher;
  }
  const named = (key: string | Uint8Array, db = 0): KeyName => ({ db, key: Buffer.from(key as string) });

  test('of any bytes, databases and sizes, gone or expiring', async () => {
    const node = await withBacklog();
    const { client } = node;
    const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.set(Buffer.from(binary), 'binary');
    const large = Buffer.alloc(50 << 20, 'large');
    await client.config('SET', 'rdbcompression', 'no');
    await client.set('large', large);
    await client.set('expiring', '1', 'PXAT', 4102444800001);
    await client.select(3);
    await client.set('key', 'in 3');
    const keys = [named(binary), named('large'), named('expiring'), named('none'), named('key', 3), named('key'), named('expiring')];
    const offset = Number(await fieldOf(node, 'master_repl_offset'));
    const fetched = await fetcherOf(node).fetch(keys, offset);
    const id = await fieldOf(node, 'master_replid');
    expect(fetched.map((one) => [one.id === id, one.offset >= offset, one.excess, one.expireAt])).toEqual(
      keys.map(({ key }) => [true, true, 0, Buffer.from(key).toString() === 'expiring' ? 4102444800001 : -1]),
    );
    expect(fetched.map(({ payload }) => payload !== undefined)).toEqual([true, true, true, false, true, false, true]);
    await client.select(9);
    for (const [i, { payload }] of fetched.entries()) if (payload !== undefined) await client.restore(`${i}`, 0, Buffer.from(payload));
    expect(await client.getBuffer('1')).toEqual(large);
    expect(await client.mget('0', '2', '4', '6')).toEqual(['binary', '1', 'in 3', '1']);
    const [less] = await fetcherOf(node, { maxPayload: 1000 }).fetch([named('large')], offset);
    expect(less).toMatchObject({ payload: undefined, excess: large.length + 5 + 1 + 10 });
  });

  test('while they are written: the value at an offset is what the stream says of it', async () => {
    const node = await withBacklog();
    const { link, log } = await following(node);
    void ended(link.run());
    const writing = new AbortController();
    const written = (async () => {
      for (let i = 0; !writing.signal.aborted; i++) {
        const pipeline = node.client.pipeline();
        for (let j = 0; j < 50; j++) pipeline.append(`key:${j % 5}`, String.fromCharCode(97 + (i % 26)));
        await pipeline.exec();
      }
    })();
    const fetcher = fetcherOf(node, { known: (id) => id === link.state.id });
    const keys = Array.from({ length: 40 }, (_, i) => named(`key:${i % 5}`));
    const found: { key: string; offset: number; length: number }[] = [];
    for (let round = 0; round < 40; round++) {
      await delay(2);
      await fetcher.each(keys, { atLeast: log.end }, ({ offset, payload }, i) => {
        found.push({ key: Buffer.from(keys[i].key).toString(), offset, length: payload === undefined ? 0 : lengthOf(payload) });
      });
    }
    writing.abort();
    await written;
    const last = Math.max(...found.map(({ offset }) => offset));
    await until('the stream came', () => log.end >= last);
    const lengths = new Map<string, [offset: number, length: number][]>();
    const text = log.bytes.toString('latin1');
    for (const match of text.matchAll(/\$6\r\nappend\r\n\$5\r\n(key:\d)\r\n\$1\r\n.\r\n/g)) {
      const steps = lengths.get(match[1]) ?? [];
      steps.push([log.end - text.length + match.index + match[0].length, (steps.at(-1)?.[1] ?? 0) + 1]);
      lengths.set(match[1], steps);
    }
    for (const { key, length, offset } of found) {
      expect(lengths.get(key)?.findLast(([at]) => at <= offset)?.[1] ?? 0).toBe(length);
    }
    expect(new Set(found.map(({ length }) => length)).size).toBeGreaterThan(10);
  });

  test('not before the offset that is asked for, nor from a history that is not known', async () => {
    const node = await withBacklog();
    await node.client.set('key', '1');
    const offset = Number(await fieldOf(node, 'master_repl_offset'));
    const events: string[] = [];
    let isKnown = true;
    const fetcher = fetcherOf(node, { known: () => isKnown, onEvent: (text) => void events.push(text) });
    const fetching = fetcher.fetch([named('key')], offset + 2000);
    await until('it is told', () => events.length > 0);
    expect(events[0]).toMatch(/: it is at offset \d+, and has to reach \d+, trying again, for 1 s so far$/);
    await node.client.set('key', 'x'.repeat(2000));
    expect((await fetching)[0].offset).toBeGreaterThanOrEqual(offset + 2000);
    isKnown = false;
    const over = new AbortController();
    const other = fetcher.fetch([named('key')], offset, over.signal);
    await delay(200);
    over.abort(new Error('enough'));
    await expect(other).rejects.toThrow('enough');
  });

  test('across lost connections, from the node that is the master then', async () => {
    const [first, second] = [await withBacklog(), await started()];
    await second.client.replicaof('127.0.0.1', first.port);
    await until('it has a replica', async () => (await first.client.info('replication')).includes('state=online'));
    const keys = Array.from({ length: 2000 }, (_, i) => named(`key:${i}`));
    for (const { key } of keys) void first.client.set(Buffer.from(key), 'x'.repeat(1000));
    await first.client.ping();
    let now = first;
    const fetcher = fetcherOf(first, { open: () => opening(now)() });
    let count = 0;
    await fetcher.each(keys, { atLeast: 0 }, async ({ payload }) => {
      expect(payload).toBeDefined();
      count++;
      if (count % 500 === 0) await first.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    });
    expect(count).toBe(keys.length);
    now = second; // a replica is not asked
    const over = fetcherOf(first, { open: () => opening(now)() }).fetch(keys.slice(0, 3), 0);
    await delay(200);
    now = first;
    expect(await over).toHaveLength(3);
  });

  test('what the server refuses is said', async () => {
    const node = await withBacklog();
    await node.client.call('ACL', 'SETUSER', 'less', 'on', '>s3cret', '~*', '+@all', '-dump');
    const fetcher = fetcherOf({ url: node.url.replace('://', '://less:s3cret@') });
    await expect(fetcher.fetch([named('key')], 0)).rejects.toMatchObject({
      code: 'REFUSED',
      reason: expect.stringMatching(/^NOPERM .*dump/) as string,
      advice: expect.stringContaining('DUMP, PEXPIRETIME') as string,
    });
  });
});
