import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { OpenedNode } from '../../src/live/replication-input.js';
import { openSocket } from '../../src/redis/connect.js';
import { addressText, parseServerUrl } from '../../src/redis/url.js';
import { ChangeLink, type ChangeLog } from '../../src/sync/source/change-link.js';
import { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

const nodes: RedisNode[] = [];
const links: ChangeLink[] = [];
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
      await client.client('KILL', 'TYPE', 'replica');
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
    await delay(3500);
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
