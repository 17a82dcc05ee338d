import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { rdbkit } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { catchUp, SyncRun } from '../support/sync-run.js';
import { untilAlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

/** A client that writes until it is told to stop: how many of its writes were answered, and the longest that one took. */
class Writer {
  answered = 0;
  longest = 0;
  private over = false;
  private readonly done: Promise<void>;
  /** Those of the test that runs: one that fails leaves none for the next. */
  private static readonly all = new Set<Writer>();

  constructor(private readonly nodes: readonly RedisNode[]) {
    this.done = this.write();
    Writer.all.add(this);
  }

  static async stopAll(): Promise<void> {
    await Promise.all([...Writer.all].map((writer) => writer.stop()));
    Writer.all.clear();
  }

  private async write(): Promise<void> {
    const clients = this.nodes.map(({ client }) => client.duplicate({ commandTimeout: undefined }));
    for (let i = 0; !this.over; i++) {
      const begun = performance.now();
      for (const [n, client] of clients.entries()) {
        const tag = TAGS[n];
        await client
          .pipeline()
          .incr(`{${tag}}count`)
          .rpush(`{${tag}}list`, i)
          .set(`{${tag}}session:${i % 100}`, i, 'PX', 300 + (i % 7) * 100)
          .exec();
        this.answered += 3;
      }
      this.longest = Math.max(this.longest, performance.now() - begun);
      await delay(2);
    }
    for (const client of clients) client.disconnect();
  }

  stop(): Promise<void> {
    this.over = true;
    return this.done;
  }
}

const byScan = (url: string, more: Partial<SyncOptions>): Partial<SyncOptions> => ({
  source: { access: { url: parseServerUrl(url) }, via: 'scan' },
  ...{ spool: undefined, holdExpiries: false, roundEvery: 100 },
  ...more,
});

/** Of slots of the first, second and third master. */
const TAGS = ['b', 'c', 'a'];

describe('a server', () => {
  let source: RedisNode;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start(), RedisNode.start()]);
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
  });
  beforeEach(async () => {
    await source.client.call('CLIENT', 'UNPAUSE');
    target.signal('SIGCONT');
    await Writer.stopAll();
    await Promise.all([source.client.flushall(), target.client.flushall()]);
  });

  /** The target was lost when the source was paused, for two seconds at most. */
  async function goesOnOnceLost(run: SyncRun, writer: Writer): Promise<void> {
    await until('it has given up', () => run.notes.some((text) => text.includes('the cutover is given up')));
    expect(run.notes.join()).toContain('The source takes writes again');
    const { answered } = writer;
    await until('the writer goes on', () => writer.answered > answered);
    expect(writer.longest).toBeLessThan(4000);
    target.signal('SIGCONT');
    await writer.stop();
    await until('it goes on', async () => (await target.client.get('{b}count')) === (await source.client.get('{b}count')));
  }

  test('is replaced: while it is paused, the target has all that it has', async () => {
    const writer = new Writer([source]);
    const run = new SyncRun(source.url, target.url, { pauseSource: 20_000, verify: 'values' });
    const { caughtUp, cutover } = await run.done;
    const { answered } = writer;
    expect([caughtUp, cutover?.kind]).toEqual([true, 'done']);
    await untilAlike([source], [target]); // once sessions have expired on both
    expect(Number(await target.client.get('{b}count'))).toBeGreaterThanOrEqual(answered / 3);
    if (cutover?.kind !== 'done') throw new Error('not done');
    expect(cutover.stands[0].offset).toBeGreaterThan(0);
    expect(cutover.left).toBeGreaterThan(10_000);
    expect(writer.answered).toBe(answered); // it still waits
    await source.client.call('CLIENT', 'UNPAUSE');
    await writer.stop();
  });

  test('writes again in time where the target is lost meanwhile, and the sync goes on', async () => {
    const writer = new Writer([source]);
    const run = new SyncRun(source.url, target.url, {
      pauseSource: 2000,
      onEvent: (text) => text.startsWith('the source is paused') && target.signal('SIGSTOP'), // amid writes
    });
    await goesOnOnceLost(run, writer);
    expect((await run.stop()).caughtUp).toBe(false);
    await catchUp(source.url, () => Promise.resolve([source]), target);
  });

  test('goes on where there is no time to compare; expiries are held again', async () => {
    await source.client.call('DEBUG', 'POPULATE', '200000');
    const writer = new Writer([source]);
    const run = new SyncRun(source.url, target.url, { pauseSource: 1000, verify: 'values' });
    await until('it has given up', () => run.notes.some((text) => text.includes('the cutover is given up')));
    await until('it goes on', () => run.status?.phase === 'changes' && run.status.lanes.every(({ attached }) => attached));
    const { answered } = writer;
    await until('the writer goes on', () => writer.answered > answered + 30);
    await writer.stop();
    expect((await run.stop()).caughtUp).toBe(false);
    await catchUp(source.url, () => Promise.resolve([source]), target);
  });

  test('is replaced where it is read by scan: nothing is pending, and nothing is lost', async () => {
    await source.client.call('FUNCTION', 'LOAD', 'REPLACE', "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
    await source.client.xgroup('CREATE', '{b}stream', 'workers', '$', 'MKSTREAM');
    const writer = new Writer([source]);
    let group = 0; // which nothing tells of
    const events: string[] = [];
    const run = new SyncRun(source.url, target.url, {
      ...byScan(source.url, { pauseSource: 20_000, verify: 'values' }),
      onEvent: (text) => events.push(text),
    });
    const other = source.client.duplicate({ commandTimeout: undefined });
    const regrouping = setInterval(() => void other.xgroup('SETID', '{b}stream', 'workers', `${++group}-0`).catch(() => undefined), 50);
    const { caughtUp, cutover, told } = await run.done;
    clearInterval(regrouping);
    other.disconnect();
    const { answered } = writer;
    expect([caughtUp, cutover?.kind, told?.pending, told?.doubts], run.notes.join()).toEqual([true, 'done', 0, []]);
    await untilAlike([source], [target]);
    expect(await target.client.xinfo('GROUPS', '{b}stream')).toEqual(await source.client.xinfo('GROUPS', '{b}stream'));
    expect(await target.client.call('FUNCTION', 'LIST')).toEqual(await source.client.call('FUNCTION', 'LIST'));
    expect(Number(await target.client.get('{b}count'))).toBeGreaterThanOrEqual(answered / 3);
    if (cutover?.kind !== 'done') throw new Error('not done');
    expect([cutover.stands, cutover.left > 10_000]).toEqual([[], true]);
    expect(writer.answered).toBe(answered); // it still waits
    await source.client.call('CLIENT', 'UNPAUSE');
    await writer.stop();
    await Promise.all([source, target].map(({ client }) => client.call('FUNCTION', 'FLUSH')));
  });

  test('writes again where it is read by scan and the target is lost, and the sync goes on', async () => {
    const writer = new Writer([source]);
    const run = new SyncRun(source.url, target.url, {
      ...byScan(source.url, { pauseSource: 2000 }),
      onEvent: (text) => text.startsWith('the source is paused') && target.signal('SIGSTOP'),
    });
    await goesOnOnceLost(run, writer);
    const { caughtUp, cutover } = await run.stop();
    expect([caughtUp, cutover]).toEqual([true, undefined]);
    await untilAlike([source], [target]);
  });

  test('writes again where it is read by scan and somebody ends the pause', async () => {
    await source.client.call('DEBUG', 'POPULATE', '200000');
    const writer = new Writer([source]);
    const run = new SyncRun(source.url, target.url, {
      ...byScan(source.url, { pauseSource: 20_000, verify: 'values' }),
      onEvent: (text) => text.startsWith('the source is paused') && setTimeout(() => void source.client.call('CLIENT', 'UNPAUSE'), 300),
    });
    await until('it has given up', () => run.notes.some((text) => text.includes('the cutover is given up')));
    await writer.stop();
    expect((await run.stop()).caughtUp).toBe(true);
    await untilAlike([source], [target]);
  });

  test('what differs is named, and the source writes again', async () => {
    await source.client.mset('one', '1', 'two', '2');
    const first = new SyncRun(source.url, target.url);
    await first.done;
    await target.client.set('two', 'spoiled');
    const spool = ['--spool', 'none', '--id', 'test'];
    const args = [
      'sync',
      source.url,
      target.url,
      ...spool,
      '--until',
      'caught-up',
      '--settle',
      '100ms',
      '--pause-source',
      '10s',
      '--verify',
      'values',
    ];
    const { code, err } = await rdbkit(args);
    expect(code, err).toBe(1);
    expect(err).toContain('differs: another value: db 0, key "two"');
    await source.client.set('three', '3');
  });

  test('one that does not pause says what to do, before anything waits', async () => {
    await source.client.call('ACL', 'SETUSER', 'copier', 'on', '>secret', '~*', '+@all', '-client|pause');
    const url = source.url.replace('//', '//copier:secret@');
    const { code, err } = await rdbkit([
      'sync',
      url,
      target.url,
      '--spool',
      'none',
      '--until',
      'caught-up',
      '--settle',
      '100ms',
      '--pause-source',
      '5s',
    ]);
    expect(code, err).toBe(4);
    expect(err).toMatch(/CLIENT PAUSE: NOPERM/);
    expect(err).toContain('+client|pause');
    await source.client.call('ACL', 'DELUSER', 'copier');
  });
});

test.each(['replication', 'scan'] as const)('a cluster is replaced by another one, by %s', async (via) => {
  const [source, target] = await Promise.all([TestCluster.start(), TestCluster.start()]);
  const masters = await source.masters();
  const writer = new Writer(masters);
  const run = new SyncRun(masters[0].url, (await target.masters())[0].url, {
    ...(via === 'scan' ? byScan(masters[0].url, {}) : {}),
    pauseSource: 20_000,
  });
  const { cutover } = await run.done;
  const { answered } = writer;
  expect(cutover?.kind).toBe('done');
  await untilAlike(masters, await target.masters());
  expect(writer.answered).toBe(answered);
  await Promise.all(masters.map(({ client }) => client.call('CLIENT', 'UNPAUSE')));
  await writer.stop();
  await Promise.all([source.stop(), target.stop()]);
});
