import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { replicationFacts, replicationNotes } from '../../src/live/replication-plan.js';
import { ReplicationInput, type ReplicationInputOptions } from '../../src/live/replication-input.js';
import { replicaToRead } from '../../src/live/replicas.js';
import { type Access, openClient, openSocket } from '../../src/redis/connect.js';
import { ReplicationLink } from '../../src/redis/replication.js';
import { replicationRefused } from '../../src/redis/replication-probe.js';
import { addressText, parseServerUrl } from '../../src/redis/url.js';
import { Folder } from '../support/cli-support.js';
import { RedisNode } from '../support/redis-node.js';
import { freePort, SERVER, TestServer } from '../support/redis-server.js';
import { portOf, urlOf } from '../support/restore-support.js';
import { decodeBytes, noise } from '../support/support.js';
import { until } from '../support/until.js';

const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
const DISKLESS = [...QUICK, '--repl-diskless-sync', 'yes'];

const folder = new Folder();
afterAll(() => folder.remove());

const accessTo = (url: string, more: Partial<Access> = {}): Access => ({ url: parseServerUrl(url), ...more });

function inputOf(access: Access, options: Partial<ReplicationInputOptions> = {}): ReplicationInput {
  const name = addressText(access.url.addresses[0]);
  return new ReplicationInput({ name, open: async () => ({ socket: (await openSocket(access)).socket, name }), ...options });
}

async function bytesOf(input: ReplicationInput): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of input.chunks()) chunks.push(Buffer.from(chunk));
  const bytes = Buffer.concat(chunks);
  expect(input.bytesRead).toBe(bytes.length);
  return new Uint8Array(bytes);
}

const copy = (access: Access, options: Partial<ReplicationInputOptions> = {}): Promise<Uint8Array> => bytesOf(inputOf(access, options));

/** The error that a copy ends with: its code, and what happened. */
async function failure(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    if (error instanceof RdbError) return `${error.code}: ${error.got}`;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Its keys as lines; of long ones only the beginning and a digest. */
async function linesOf(rdb: Uint8Array): Promise<string> {
  const short = (line: string): string =>
    line.length < 1000 ? line : `${line.slice(0, 100)} ${createHash('sha1').update(line).digest('hex')}`;
  return (await decodeBytes(rdb)).lines.split('\n').map(short).join('\n');
}

/** Keys of all types, in two databases, some of them larger than what sockets take at a time. */
async function fill({ client }: TestServer | RedisNode): Promise<void> {
  const pipeline = client.pipeline();
  for (let i = 0; i < 3000; i++) pipeline.set(`string:${i}`, `value ${i}`.repeat((i % 12) + 1));
  for (let i = 0; i < 100; i++) {
    pipeline.rpush(`list:${i}`, ...Array.from({ length: i + 1 }, (_, j) => `item ${j}`));
    pipeline.zadd(`zset:${i}`, i / 7, 'member', i, 'other');
    pipeline.hset(`hash:${i}`, { field: i, other: 'x'.repeat(i) });
    pipeline.xadd(`stream:${i}`, `${i + 1}-1`, 'field', `${i}`);
    pipeline.pexpireat(`hash:${i}`, 4102444800000 + i);
  }
  pipeline.set('large', Buffer.from(noise(3 << 20)));
  pipeline.select(3);
  pipeline.sadd('set', 1, 2, 3);
  pipeline.select(0);
  await pipeline.exec();
}

/** What SAVE writes, once the children of transfers are gone. */
async function saved(server: TestServer): Promise<Uint8Array> {
  await until('no child is saving', async () => (await server.client.info('persistence')).includes('rdb_bgsave_in_progress:0'));
  return server.save();
}

const replicasOf = async ({ client }: TestServer | RedisNode): Promise<number> =>
  Number(/connected_slaves:(\d+)/.exec(await client.info('replication'))?.[1]);

describe.each(['yes', 'no'])(`an RDB from ${SERVER}, repl-diskless-sync %s`, (diskless) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await TestServer.start(...QUICK, '--repl-diskless-sync', diskless);
    await fill(server);
  });
  afterAll(() => server.stop());

  test('has what its own SAVE has', async () => {
    const input = inputOf(accessTo(urlOf(server)));
    expect([input.size, input.position]).toEqual([undefined, undefined]);
    const rdb = await bytesOf(input);
    expect(await linesOf(rdb)).toBe(await linesOf(await saved(server)));
    expect(input.plainSize).toBe(diskless === 'yes' ? undefined : rdb.length);
    expect(input.position).toEqual({
      node: `127.0.0.1:${portOf(server)}`,
      id: /master_replid:(\w+)/.exec(await server.client.info('replication'))?.[1],
      offset: expect.any(Number) as number,
    });
    await until('the server has let go', async () => (await replicasOf(server)) === 0);
    expect(await server.client.info('persistence')).toContain('rdb_last_bgsave_status:ok');
  });

  test('is a snapshot: what is written together is there together', async () => {
    const over = new AbortController();
    const writing = (async () => {
      for (let i = 0; !over.signal.aborted; i++)
        await server.client
          .multi()
          .incr(`pair:${i % 500}:a`)
          .incr(`pair:${i % 500}:b`)
          .exec();
    })();
    for (let round = 0; round < 5; round++) {
      const found = (await linesOf(await copy(accessTo(urlOf(server))))).matchAll(/"key":"pair:(\d+):([ab])".*"value":"(\d+)"/g);
      const counters: Record<string, string[]> = { a: [], b: [] };
      for (const [, pair, name, value] of found) counters[name].push(`${pair}=${value}`);
      expect(counters.a.length).toBeGreaterThan(0);
      expect(counters.a.sort()).toEqual(counters.b.sort());
    }
    over.abort();
    await writing;
    await server.client.del(...(await server.client.keys('pair:*')));
  });

  test('a full copy goes on with the writes since', async () => {
    const { socket } = await openSocket(accessTo(urlOf(server)));
    const link = await ReplicationLink.full(socket, { name: 'it' });
    let size = 0;
    const rdb = link.rdb();
    await server.client.set('after', '1'); // the transfer has begun: it is not in the RDB
    for await (const chunk of rdb) size += chunk.length;
    expect(size).toBe(link.received);
    await server.client.set('after', '2');
    expect(await untilSaid(link, '2')).toEqual([
      ['SELECT', '0'],
      ['set', 'after', '1'],
      ['set', 'after', '2'],
    ]);
    const offset = Number(/master_repl_offset:(\d+)/.exec(await server.client.info('replication'))?.[1]);
    expect(offset).toBeGreaterThan(link.offset ?? Infinity);
    await server.client.del('after');
    link.close();
  });

  test('the writes since an RDB was saved, exactly', async () => {
    await server.client.set('before', '1');
    const aux = (await decodeBytes(await saved(server), { meta: true })).lines;
    const id = /"repl-id","value":"(\w+)"/.exec(aux)?.[1] ?? '';
    const offset = Number(/"repl-offset","value":"(\d+)"/.exec(aux)?.[1]);
    await server.client.multi().set('since', '1').del('before').exec();
    await server.client.set('since', 'last');
    const { socket } = await openSocket(accessTo(urlOf(server)));
    const link = await ReplicationLink.from(socket, id, offset, { name: 'it' });
    if (link === undefined) throw new Error('refused');
    expect([link.id, link.offset]).toEqual([id, offset]);
    expect(await untilSaid(link, 'last')).toEqual([
      ['MULTI'],
      ['set', 'since', '1'],
      ['del', 'before'],
      ['EXEC'],
      ['set', 'since', 'last'],
    ]);
    link.close();
    await until('the server has let go', async () => (await replicasOf(server)) === 0);
  });

  test.each([
    ['an id that the server does not know', '0'.repeat(40), 0],
    ['an offset that it does not have yet', undefined, 1e12],
  ])('no writes since %s', async (_, other, offset) => {
    const id = other ?? /master_replid:(\w+)/.exec(await server.client.info('replication'))?.[1] ?? '';
    const { socket } = await openSocket(accessTo(urlOf(server)));
    expect(await ReplicationLink.from(socket, id, offset, { name: 'it' })).toBeUndefined();
    await until('the server has let go', async () => (await replicasOf(server)) === 0);
    expect(await linesOf(await copy(accessTo(urlOf(server))))).toBe(await linesOf(await saved(server))); // the next copy is whole
  });

  test('a signal ends it', async () => {
    const over = new AbortController();
    const input = inputOf(accessTo(urlOf(server)), { signal: over.signal });
    const chunks = input.chunks();
    await chunks.next();
    over.abort(new Error('enough'));
    await expect(chunks.next()).rejects.toThrow('enough');
    await until('the server has let go', async () => (await replicasOf(server)) === 0);
  });
});

/** The commands of a stream, without pings, until one ends with `last`. */
async function untilSaid(link: ReplicationLink, last: string): Promise<string[][]> {
  let text = '';
  for await (const { bytes } of link.commands()) {
    text += Buffer.from(bytes).toString('latin1');
    const commands = [...text.matchAll(/\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/g)].map(([, args]) =>
      [...args.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, arg]) => arg),
    );
    const said = commands.filter(([name]) => !/^ping$/i.test(name)); // which may come at any time
    if (said.at(-1)?.at(-1) === last) return said;
  }
  throw new Error('it ended');
}

describe(`a transfer that ${SERVER} does not end`, () => {
  let node: RedisNode | undefined;
  afterEach(() => node?.stop());

  /** A transfer that has begun, of more than sockets hold. */
  async function begun(...options: string[]): Promise<{ input: ReplicationInput; chunks: AsyncGenerator<Uint8Array>; node: RedisNode }> {
    node = await RedisNode.start(...options);
    for (let i = 0; i < 8; i++) await node.client.set(`large:${i}`, Buffer.from(noise(8 << 20)));
    const input = inputOf(accessTo(node.url));
    const chunks = input.chunks();
    await chunks.next();
    return { input, chunks, node };
  }

  const rest = async (chunks: AsyncGenerator<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
  };

  test.each(['yes', 'no'])('a server that is killed, repl-diskless-sync %s', async (diskless) => {
    const { chunks, input, node: killed } = await begun(...QUICK, '--repl-diskless-sync', diskless);
    await killed.kill();
    const all = diskless === 'yes' ? '' : ' of 67 MB';
    expect(await failure(rest(chunks))).toMatch(
      new RegExp(
        `^SOURCE_LOST: ${killed.name}: (?:the connection was closed|read ECONNRESET), [\\d.]+ MB${all} into the RDB; its log says why, unless it or the network went down$`,
      ),
    );
    expect(input.bytesRead).toBeGreaterThan(0);
  });

  test('a reader that stands still is named as the reason', async () => {
    const { chunks, node: server } = await begun(...DISKLESS, '--repl-timeout', '6');
    await until('the server has given up', async () => (await replicasOf(server)) === 0);
    expect(await failure(rest(chunks))).toMatch(
      /^SOURCE_LOST: .*, [\d.]+ MB into the RDB; it had waited up to \d+ s for this reader: read faster, or raise repl-timeout on the server$/,
    );
  });

  test('a server that keeps writes for its reader ends the transfer at client-output-buffer-limit; with rdb-only it keeps none', async () => {
    node = await RedisNode.start(...QUICK, '--repl-diskless-sync', 'no', '--client-output-buffer-limit', 'replica 1mb 0 0');
    const { client, name, url } = node;
    for (let i = 0; i < 4; i++) await client.set(`large:${i}`, Buffer.from(noise(8 << 20)));
    await client.call('ACL', 'SETUSER', 'less', 'on', '>s3cret', '+psync', '+info');
    const chunks = inputOf(accessTo(url.replace('://', '://less:s3cret@'))).chunks(); // without REPLCONF
    await chunks.next();
    await until('the server has given up', async () => {
      await client.set('write', Buffer.alloc(1 << 19));
      return (await client.info('replication')).includes('connected_slaves:0');
    });
    expect(await failure(rest(chunks))).toMatch(
      new RegExp(
        `^SOURCE_LOST: ${name}: .* MB into the RDB; it keeps the writes meanwhile, perhaps beyond client-output-buffer-limit for replicas: its log says so$`,
      ),
    );
    const input = inputOf(accessTo(url));
    const others = input.chunks();
    await others.next();
    for (let i = 0; i < 8; i++) await client.set('write', Buffer.alloc(1 << 19));
    await rest(others);
    expect(input.bytesRead).toBe(input.size);
  });
});

describe(`${SERVER} is not ready`, () => {
  test('a replica without its master is waited for', async () => {
    const replica = await TestServer.start(...DISKLESS);
    try {
      await replica.client.set('key', '1');
      await replica.client.replicaof('127.0.0.1', await freePort());
      const access = accessTo(urlOf(replica));
      const name = `127.0.0.1:${portOf(replica)}`;
      expect(await failure(copy(access, { retryFor: 1000 }))).toBe(
        `SOURCE_REFUSED: ${name}: NOMASTERLINK Can't SYNC while not connected with my master, also after 1 s`,
      );
      const events: string[] = [];
      const copying = copy(access, { onEvent: (text) => void events.push(text) });
      await until('it is said', () => events.length > 0);
      await replica.client.call('REPLICAOF', 'NO', 'ONE');
      expect(await linesOf(await copying)).toContain('"key":"key"');
      expect(events[0]).toMatch(new RegExp(`^${name}: NOMASTERLINK .*, trying again, (?:60|59) s left$`));
      expect(events.at(-1)).toBe(`${name}: it sends its RDB`);
    } finally {
      await replica.stop();
    }
  });

  test('a server that is down, and then loads its data, is waited for', async () => {
    const node = await RedisNode.start(...DISKLESS);
    try {
      await node.client.eval("for i = 1, 3000 do redis.call('SET', 'key:' .. i, string.rep('x', 100)) end", 0);
      await node.shutdown();
      const events: string[] = [];
      const copying = copy(accessTo(node.url), { onEvent: (text) => void events.push(text) });
      await until('it is said that it is down', () => events.length > 0);
      await node.restart('--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024');
      expect((await linesOf(await copying)).split('\n')).toHaveLength(3001);
      expect(events[0]).toMatch(/ECONNREFUSED.*, trying again/);
      expect(events.at(-1)).toBe(`${node.name}: it sends its RDB`);
    } finally {
      await node.stop();
    }
  });

  test('a server that prepares its RDB for long is told of', async () => {
    const server = await TestServer.start('--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '7');
    try {
      const events: string[] = [];
      await copy(accessTo(urlOf(server)), { onEvent: (text) => void events.push(text) });
      expect(events.join()).toMatch(new RegExp(`^127\\.0\\.0\\.1:${portOf(server)}: it is preparing its RDB, for [56] s so far$`));
    } finally {
      await server.stop();
    }
  });

  test('a server that stays down is given up', async () => {
    const port = await freePort();
    expect(await failure(copy(accessTo(`redis://127.0.0.1:${port}`), { retryFor: 600 }))).toMatch(
      new RegExp(`^SOURCE_LOST: 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED.*, also after 1 s$`),
    );
  });

  test('a signal ends the waiting', async () => {
    const over = new AbortController();
    const copying = copy(accessTo(`redis://127.0.0.1:${await freePort()}`), { signal: over.signal });
    setImmediate(() => over.abort(new Error('enough')));
    await expect(copying).rejects.toThrow('enough');
  });

  test('each attempt may go to another node', async () => {
    const server = await TestServer.start(...DISKLESS);
    try {
      await server.client.set('key', '1');
      const nodes = [await freePort(), portOf(server)].map((port) => accessTo(`redis://127.0.0.1:${port}`));
      const open = async (): Promise<{ socket: Awaited<ReturnType<typeof openSocket>>['socket']; name: string }> => {
        const access = nodes.length > 1 ? nodes.shift() : nodes[0];
        if (access === undefined) throw new Error('no node');
        return { socket: (await openSocket(access)).socket, name: addressText(access.url.addresses[0]) };
      };
      const input = new ReplicationInput({ name: 'redis://them', open });
      expect(await linesOf(await bytesOf(input))).toContain('"key":"key"');
      expect(input.position?.node).toBe(`127.0.0.1:${portOf(server)}`);
    } finally {
      await server.stop();
    }
  });
});

describe(`${SERVER} with replicas`, () => {
  let master: TestServer;
  let replicas: TestServer[];

  beforeAll(async () => {
    [master, ...replicas] = await Promise.all(Array.from({ length: 3 }, () => TestServer.start(...DISKLESS)));
    await fill(master);
    for (const replica of replicas) await replica.client.replicaof('127.0.0.1', portOf(master));
    await until(
      'the replicas are online',
      async () => ((await master.client.info('replication')).match(/state=online/g) ?? []).length === 2,
    );
  });
  afterAll(() => Promise.all([master, ...replicas].map((server) => server.stop())));

  test('a replica is a source as its master is, of the same history', async () => {
    const input = inputOf(accessTo(urlOf(replicas[0])));
    expect(await linesOf(await bytesOf(input))).toBe(await linesOf(await saved(replicas[0])));
    expect(input.position?.id).toBe(/master_replid:(\w+)/.exec(await master.client.info('replication'))?.[1]);
  });

  test('the replica to read is one that is online, at the address where it is reached', async () => {
    const notes: string[] = [];
    const asked = (access: Access): ReturnType<typeof replicaToRead> =>
      replicaToRead(master.client, { access, name: 'it', onNote: (note) => void notes.push(note) });
    const access = accessTo(urlOf(master));
    const ports = replicas.map(portOf);
    expect(ports).toContain((await asked(access))?.port);
    expect(notes).toEqual([]);
    const natMap = new Map(ports.map((port) => [`127.0.0.1:${port}`, { host: 'outside.example.com', port: 7000 }]));
    expect(await asked({ ...access, natMap })).toEqual({ host: 'outside.example.com', port: 7000 });
    expect(await replicaToRead(replicas[0].client, { access, name: 'it', onNote: (note) => void notes.push(note) })).toBeUndefined();
    expect(notes).toEqual(['it has no replica: it is read itself']);
  });
});

test('of several replicas, the one with the smallest lag, then the one that has most', async () => {
  const notes: string[] = [];
  const asked = async (...lines: string[]): Promise<string | undefined> => {
    const client = {
      info: () => Promise.resolve(`# Replication\r\nrole:master\r\n${lines.map((line, i) => `slave${i}:${line}\r\n`).join('')}`),
    };
    const address = await replicaToRead(client as never, {
      access: accessTo('redis://a'),
      name: 'it',
      onNote: (note) => void notes.push(note),
    });
    return address === undefined ? undefined : addressText(address);
  };
  const ONLINE = 'state=online,offset=9,lag';
  expect(
    await asked(`ip=10.0.0.1,port=1,${ONLINE}=3`, `ip=fd00::2,port=2,${ONLINE}=1`, 'ip=10.0.0.3,port=3,state=online,offset=10,lag=1'),
  ).toBe('10.0.0.3:3');
  expect(await asked(`ip=fd00::2,port=2,${ONLINE}=1`, 'ip=10.0.0.1,port=1,state=wait_bgsave,offset=0,lag=0')).toBe('[fd00::2]:2');
  expect(await asked('ip=10.0.0.1,port=1,state=send_bulk,offset=0,lag=0')).toBeUndefined();
  expect(await asked('ip=10.0.0.1,port=0,state=online,offset=9,lag=0')).toBeUndefined();
  expect(notes).toEqual(['it has no replica that is online: it is read itself', 'it has no replica: it is read itself']);
});

describe(`rights on ${SERVER}`, () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await TestServer.start(...DISKLESS);
    await server.client.set('key', '1');
  });
  afterAll(() => server.stop());

  const LEAST = ['+psync', '+replconf', '+info'];

  async function user(...rules: string[]): Promise<Access> {
    await server.client.call('ACL', 'SETUSER', 'less', 'reset', 'on', '>s3cret', ...rules);
    return accessTo(urlOf(server).replace('://', '://less:s3cret@'));
  }

  test('the least, which need no keys; without REPLCONF it is a full copy, without PSYNC none', async () => {
    expect(await linesOf(await copy(await user(...LEAST)))).toContain('"key":"key"');
    expect(await linesOf(await copy({ ...(await user('+psync', '+replconf')), withoutInfo: true }))).toContain('"key":"key"');
    expect(await linesOf(await copy(await user('+psync', '+info')))).toContain('"key":"key"');
    expect(await failure(copy(await user('+@all', '-psync')))).toMatch(/^SOURCE_REFUSED: .*: NOPERM .*'psync' command$/);
  });

  test('what refuses replication is known before a transfer', async () => {
    const refused = async (access: Access, psync?: string): Promise<string | undefined> => {
      const client = await openClient(access);
      try {
        return await replicationRefused(client, psync);
      } finally {
        client.disconnect();
      }
    };
    await until('earlier copies are over', async () => (await replicasOf(server)) === 0);
    const before = /sync_full:\d+/.exec(await server.client.info('stats'))?.[0];
    expect(await refused(accessTo(urlOf(server)))).toBeUndefined();
    expect(await refused(await user(...LEAST))).toBeUndefined();
    const withoutInfo = { ...(await user('+psync', '+multi', '+discard')), withoutInfo: true };
    expect(await refused(withoutInfo)).toBeUndefined(); // it is not known how new the server is
    await user('+psync');
    expect(await refused(withoutInfo)).toBeUndefined();
    expect(await refused(await user('+@all', '-psync', '-sync'))).toMatch(/^NOPERM .*'psync' command$/);
    expect(await refused(accessTo(urlOf(server)), 'xpsync')).toMatch(/^ERR unknown command 'xpsync'/);
    expect(/sync_full:\d+/.exec(await server.client.info('stats'))?.[0]).toBe(before);
    expect(await replicasOf(server)).toBe(0);
  });

  test.each([
    [['PSYNC', ''], undefined],
    [['PSYNC', '', '--rename-command', 'SYNC', ''], /^ERR unknown command 'PSYNC'/],
    [['PSYNC', 'xpsync', '--rename-command', 'SYNC', ''], /^ERR unknown command 'PSYNC'/],
  ])('--rename-command %j', async (names, reason) => {
    const renamed = await TestServer.start(...DISKLESS, '--rename-command', ...names);
    try {
      await renamed.client.set('key', '1');
      const refused = await replicationRefused(renamed.client);
      if (reason === undefined) expect(refused).toBeUndefined();
      else expect(refused).toMatch(reason);
      const access = accessTo(urlOf(renamed));
      if (reason === undefined)
        expect(await linesOf(await copy(access))).toContain('"key":"key"'); // by SYNC
      else expect(await failure(copy(access))).toMatch(/^SOURCE_REFUSED: .*ERR unknown command 'SYNC'/);
      if (names[1] === '') return;
      expect(await replicationRefused(renamed.client, 'xpsync')).toBeUndefined();
      expect(await linesOf(await copy(access, { psyncCommand: 'xpsync' }))).toContain('"key":"key"');
      expect(await linesOf(await copy(access, { psyncCommand: new Map([[`127.0.0.1:${portOf(renamed)}`, 'xpsync']]) }))).toContain(
        '"key":"key"',
      );
    } finally {
      await renamed.stop();
    }
  });

  test('what a transfer means is told as far as the server tells it', async () => {
    await server.client.call('CONFIG', 'SET', 'repl-diskless-sync-delay', '5', 'repl-timeout', '30');
    const facts = await replicationFacts(server.client);
    const [, backlog] = await server.client.config('GET', 'repl-backlog-size');
    expect(facts).toMatchObject({ saving: false, diskless: true, disklessDelay: 5, timeout: 30, backlog: Number(backlog) });
    const notes = replicationNotes(
      { ...facts, usedMemory: 3.2e9, saving: true, outputLimit: { hard: 256e6, soft: 64e6, seconds: 60 } },
      (bytes) => `${bytes / 1e6} MB`,
    );
    expect(notes).toEqual([
      'it forks to write the RDB: it uses 3200 MB, and memory for what changes meanwhile comes on top',
      'it is saving in the background, and may begin with the RDB only after that',
      'it sends the RDB while writing it (repl-diskless-sync), after waiting 5 s for other replicas; if this reader stands still for 30 s (repl-timeout), it ends the transfer',
      'it keeps the writes meanwhile for this reader, and ends the transfer at 256 MB, or at 64 MB for 60 s (client-output-buffer-limit)',
    ]);
    await server.client.call('CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
    const client = await openClient({ ...(await user('+psync')), withoutInfo: true });
    expect(replicationNotes(await replicationFacts(client), String)).toEqual(['it forks to write the RDB']);
    client.disconnect();
  });
});

test(`by TLS from ${SERVER}`, async () => {
  const [key, cert] = [folder.at('key.pem'), folder.at('cert.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '30',
      '-subj',
      '/CN=it',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ],
    { stdio: 'ignore' },
  );
  const port = await freePort();
  const server = await TestServer.start(
    ...DISKLESS,
    '--tls-port',
    `${port}`,
    '--tls-auth-clients',
    'no',
    '--tls-cert-file',
    cert,
    '--tls-key-file',
    key,
    '--tls-ca-cert-file',
    cert,
  );
  try {
    await fill(server);
    const access = accessTo(`rediss://127.0.0.1:${port}`, { tls: { ca: readFileSync(join(folder.path, 'cert.pem')) } });
    expect(await linesOf(await copy(access))).toBe(await linesOf(await saved(server)));
  } finally {
    await server.stop();
  }
});
