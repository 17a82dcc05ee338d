import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { Element } from '../../src/encodings/element.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { ErrorAnswer, ReplyLink } from '../../src/redis/reply-link.js';
import { payloadFrame } from '../../src/rdb/payload-frame.js';
import { payloadOrigin } from '../../src/rdb/payload.js';
import { readString, Scratch } from '../../src/rdb/string.js';
import type { KeyName } from '../../src/sync/fences.js';
import { type Fetched, Fetcher, type FetcherOptions, type FetchTerms } from '../../src/sync/source/fetcher.js';
import { FetchedWriter } from '../../src/sync/source/write-fetched.js';
import { parseTarget } from '../../src/values/targets.js';
import type { RedisNode } from '../support/redis-node.js';
import { noise } from '../support/support.js';
import { ended, fieldOf, following, links, opening, started, stopAll, withBacklog } from '../support/sync-source.js';
import { until } from '../support/until.js';

afterEach(stopAll);

/** Bytes of the string in a payload. */
function lengthOf(payload: Uint8Array): number {
  const { bytes, end, start } = payloadFrame(payload, payloadOrigin(payload));
  const element = new Element();
  readString(bytes, start, end, element);
  new Scratch().text(element);
  return element.end - element.start;
}

describe('keys are fetched with the offset at which they were so', () => {
  function fetcherOf(node: { readonly url: string }, options: Partial<FetcherOptions> = {}): Fetcher {
    const fetcher = new Fetcher({ name: 'it', open: opening(node), clustered: false, known: () => true, ...options });
    links.push(fetcher);
    return fetcher;
  }
  async function all(fetcher: Fetcher, keys: readonly KeyName[], atLeast: number, terms: Partial<FetchTerms> = {}): Promise<Fetched[]> {
    const found: Fetched[] = [];
    await fetcher.each(keys, { ...terms, atLeast }, (fetched) => void found.push(fetched));
    return found;
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
    const pieces: Uint8Array[] = [];
    const fetched: Fetched[] = [];
    await fetcherOf(node).each(keys, { atLeast: offset }, (one) => {
      fetched.push(one);
      if (one.large === undefined || one.large instanceof Error) return;
      expect(one.large.frame).toMatchObject({ redisType: 'string', metaBytes: undefined });
      for (const piece of one.large.value.read()) pieces.push(piece.slice());
    });
    const value = Buffer.concat(pieces);
    expect([value.length, value.subarray(5).equals(large)]).toEqual([large.length + 5, true]);
    const id = await fieldOf(node, 'master_replid');
    expect(fetched.map((one) => [one.id === id, one.offset >= offset, one.expireAt])).toEqual(
      keys.map(({ key }) => [true, true, Buffer.from(key).toString() === 'expiring' ? 4102444800001 : -1]),
    );
    expect(fetched.map(({ payload }) => payload !== undefined)).toEqual([true, false, true, false, true, false, true]);
    await client.select(9);
    for (const [i, { payload }] of fetched.entries()) if (payload !== undefined) await client.restore(`${i}`, 0, Buffer.from(payload));
    expect(await client.mget('0', '2', '4', '6')).toEqual(['binary', '1', 'in 3', '1']);
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

  test('and written: the target has what the source has', async () => {
    const [node, target] = [await withBacklog(), await started()];
    const pipeline = node.client.pipeline();
    for (const db of [0, 5]) {
      pipeline
        .select(db)
        .set('string', 'text')
        .set('number', 12345)
        .set(Buffer.from([0xff, 0, 0x80]), 'binary')
        .set('long', 'x'.repeat(5000));
      pipeline.set('large', Buffer.from(noise(300_000))).set('expiring', '1', 'PXAT', 4102444800001);
      for (let i = 0; i < 300; i++)
        pipeline
          .rpush('list', `item ${i}`)
          .sadd('set', i)
          .zadd('zset', i / 7, i)
          .hset('hash', i, 'x'.repeat(i));
      pipeline.xadd('stream', '1-1', 'a', '1').xadd('stream', '2-1', 'a', '2').xdel('stream', '1-1').pexpireat('stream', 4102444800002);
      pipeline.xgroup('CREATE', 'stream', 'group', '0').xreadgroup('GROUP', 'group', 'someone', 'STREAMS', 'stream', '>');
    }
    await pipeline.exec();
    const names = [
      'string',
      'number',
      Buffer.from([0xff, 0, 0x80]),
      'long',
      'large',
      'expiring',
      'list',
      'set',
      'zset',
      'hash',
      'stream',
      'gone',
    ];
    const keys = [0, 5].flatMap((db) => names.map((name) => named(name, db)));
    await target.client.set('gone', 'stale');
    await target.client.set('string', 'stale');
    const digest = async ({ client }: RedisNode): Promise<unknown> => client.call('DEBUG', 'DIGEST');
    for (const [maxPayload, shift] of [
      [undefined, 0],
      [100, 0],
      [undefined, 2 ** 45],
      [100, 2 ** 45],
    ] as const) {
      const writer = new FetchedWriter({ codec: TS_CODEC, target: parseTarget('7.0'), sharded: false, maxPayload });
      const socket = (await opening(target)()).socket;
      const reply = new ReplyLink(socket, () => undefined, undefined);
      await fetcherOf(node).each(keys, { atLeast: 0 }, async (fetched, i) => {
        reply.send('SELECT', `${keys[i].db}`);
        expect(await reply.answer()).toEqual(new Uint8Array(Buffer.from('OK')));
        const written = writer.write(keys[i].key, fetched, shift, Date.now());
        if (!('pieces' in written)) throw new Error(written.outcome);
        for (const piece of written.pieces) reply.write(piece);
        for (let left = written.commands; left > 0; left--) expect(await reply.answer()).not.toBeInstanceOf(ErrorAnswer);
      });
      reply.close();
      if (shift > 0) {
        for (const db of [0, 5]) {
          await target.client.select(db);
          expect(await target.client.call('PEXPIRETIME', 'expiring')).toBe(4102444800001 + shift);
          await target.client.call('PEXPIREAT', 'expiring', 4102444800001);
          await target.client.call('PEXPIREAT', 'stream', 4102444800002);
        }
      }
      expect(await digest(target)).toBe(await digest(node));
      expect(await target.client.info('keyspace')).toMatch(/db0:keys=11,.*\r\ndb5:keys=11,/);
    }
  });

  test('not before the offset that is asked for, nor from a history that is not known', async () => {
    const node = await withBacklog();
    await node.client.set('key', '1');
    const offset = Number(await fieldOf(node, 'master_repl_offset'));
    const events: string[] = [];
    let isKnown = true;
    const fetcher = fetcherOf(node, { known: () => isKnown, onEvent: (text) => void events.push(text) });
    const fetching = all(fetcher, [named('key')], offset + 2000);
    await until('it is told', () => events.length > 0);
    expect(events[0]).toMatch(/: it is at offset \d+, and has to reach \d+, trying again, for 1 s so far$/);
    await node.client.set('key', 'x'.repeat(2000));
    expect((await fetching)[0].offset).toBeGreaterThanOrEqual(offset + 2000);
    isKnown = false;
    const over = new AbortController();
    const other = all(fetcher, [named('key')], offset, { signal: over.signal });
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
    const over = all(fetcherOf(first, { open: () => opening(now)() }), keys.slice(0, 3), 0);
    await delay(200);
    now = first;
    expect(await over).toHaveLength(3);
  });

  test('from servers that have no PEXPIRETIME', async () => {
    const node = await started('--rename-command', 'PEXPIRETIME', '');
    const keys = Array.from({ length: 100 }, (_, i) => named(`key:${i}`, i % 2));
    for (const [i, { db, key }] of keys.entries()) {
      await node.client.select(db);
      await node.client.set(Buffer.from(key), 'value');
      if (i % 3 === 0) await node.client.pexpireat(Buffer.from(key), 4102444800000 + i);
    }
    const fetched = await all(fetcherOf(node), [...keys, named('none')], 0);
    expect(fetched.map(({ payload }) => payload !== undefined)).toEqual([...keys.map(() => true), false]);
    for (const [i, { expireAt }] of fetched.entries()) {
      if (i % 3 !== 0 || i === 100) expect(expireAt).toBe(-1);
      else expect(Math.abs(expireAt - 4102444800000 - i)).toBeLessThanOrEqual(1);
    }
  });

  test('what the server refuses is said', async () => {
    const node = await withBacklog();
    await node.client.call('ACL', 'SETUSER', 'less', 'on', '>s3cret', '~*', '+@all', '-dump');
    const fetcher = fetcherOf({ url: node.url.replace('://', '://less:s3cret@') });
    await expect(all(fetcher, [named('key')], 0)).rejects.toMatchObject({
      code: 'REFUSED',
      reason: expect.stringMatching(/^NOPERM .*dump/) as string,
      readAs: 'source',
    });
  });

  test('of a cluster: keys of many slots, and of one that moves', async () => {
    const [from, to] = [await started('--cluster-enabled', 'yes'), await started('--cluster-enabled', 'yes')];
    await from.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await from.client.call('CLUSTER', 'MEET', '127.0.0.1', `${to.port}`);
    await until('they know each other', async () =>
      (await Promise.all([from, to].map(({ client }) => client.call('CLUSTER', 'INFO')))).every((info) =>
        /state:ok[^]*known_nodes:2/.test(String(info)),
      ),
    );
    const keys = Array.from({ length: 100 }, (_, i) => named(`{${i % 20}}${i}`));
    for (const { key } of keys) await from.client.set(Buffer.from(key), 'value');
    const fetched = await all(fetcherOf(from, { clustered: true }), [...keys, named('none')], 0);
    expect(fetched.map(({ payload }) => payload !== undefined)).toEqual([...keys.map(() => true), false]);

    const slot = keySlot(keys[0].key, 0, keys[0].key.length);
    const ids = await Promise.all([from, to].map(({ client }) => client.call('CLUSTER', 'MYID')));
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[0]));
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[1]));
    await from.client.call('MIGRATE', '127.0.0.1', to.port, Buffer.from(keys[0].key), 0, 1000);
    const elsewhere = { name: 'KeyElsewhere', key: keys[0], slot };
    await expect(all(fetcherOf(from, { clustered: true }), [keys[0]], 0)).rejects.toMatchObject({
      ...elsewhere,
      port: to.port,
      ask: true,
    });
    await expect(all(fetcherOf(to, { clustered: true }), [keys[0]], 0)).rejects.toMatchObject({
      ...elsewhere,
      port: from.port,
      ask: false,
    });
    const asked = await all(fetcherOf(to, { clustered: true }), [keys[0], keys[20], named('{0}none')], 0, { asking: true });
    expect(asked.map(({ payload }) => payload !== undefined)).toEqual([true, false, false]);
    const left = await all(fetcherOf(from, { clustered: true }), [keys[20], keys[1]], 0);
    expect(left.every(({ payload }) => payload !== undefined)).toBe(true);
  });
});
