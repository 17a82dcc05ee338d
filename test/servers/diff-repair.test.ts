import '../support/needs-server.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { HookProxy } from '../support/hook-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { TestServer } from '../support/redis-server.js';
import { callsOf, urlOf } from '../support/restore-support.js';
import { decodeBytes } from '../support/support.js';
import { until } from '../support/until.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** No waiting for other replicas. */
const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

let source: TestServer;
let target: TestServer;
beforeAll(async () => {
  [source, target] = await Promise.all([TestServer.start(...QUICK, '--rename-command', 'UNLINK', ''), TestServer.start(...QUICK)]);
});
afterAll(() => Promise.all([source.stop(), target.stop()]));
beforeEach(() => Promise.all([source.client.flushall(), target.client.flushall()]));

/** Unix milliseconds, in an hour and in two. */
const [SOON, LATER] = [1, 2].map((hours) => Date.now() + hours * 3_600_000);

/** The same keys in both, and each kind of difference, in databases 0 and 3. */
async function fill(): Promise<void> {
  for (const db of [0, 3]) {
    for (const { client } of [source, target]) {
      await client.select(db);
      await client.mset(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`same:${i}`, `${i}`])));
    }
    await source.client.hset('missing', { a: '1' });
    await source.client.set('type', 'text');
    await target.client.sadd('type', 'member');
    for (const [{ client }, at] of [
      [source, SOON],
      [target, LATER],
    ] as const)
      await client.set('expiry', 'v', 'PXAT', at);
    await source.client.rpush('value', 'a', 'b', 'c');
    await target.client.rpush('value', 'a', 'x');
    await target.client.zadd('extra', 1, 'm');
    await target.client.set(Buffer.from([0xff, db]), 'extra');
  }
}

const LINES = [
  'delete db 0 "base64:/wA="',
  'delete db 0 "extra"',
  'restore db 0 "expiry"',
  'restore db 0 "missing"',
  'restore db 0 "type"',
  'restore db 0 "value"',
];
const inDb3 = (line: string): string => line.replace('db 0', 'db 3').replace('/wA=', '/wM=');

const diff = (...words: string[]): Promise<Result> => rdbkit(['diff', ...words]);
const sorted = ({ out }: Result): string[] => out.split('\n').slice(0, -1).sort();
/** What SAVE writes, as soon as no child of an earlier transfer is left, which is in its way. */
async function save(server: TestServer): Promise<Uint8Array> {
  await until('no child is saving', async () => (await server.client.info('persistence')).includes('rdb_bgsave_in_progress:0'));
  return server.save();
}
const contents = async (server: TestServer): Promise<string[]> => (await decodeBytes(await save(server))).lines.split('\n').sort();
const saved = async (server: TestServer, name = 'source.rdb'): Promise<string> => folder.file(name, await save(server));

interface Said {
  exitCode: number;
  different: number;
  repair: {
    toRestore: number;
    toDelete: number;
    left: number;
    applied?: { restored: number; deleted: number; settled: number; rejected: number; still: number };
  };
  errors: { code: string; server?: string; got?: string }[];
}
const said = ({ err }: Result): Said => JSON.parse(err) as Said;

describe('--rerun', () => {
  test('reads only the keys of the list from servers', async () => {
    await fill();
    const list = folder.file(
      'list.jsonl',
      ['missing', 'extra', 'same:1'].map((key) => `${JSON.stringify({ db: 0, key, kinds: ['value'] })}\n`).join(''),
    );
    await Promise.all([source, target].map(({ client }) => client.config('RESETSTAT')));
    const again = await diff(urlOf(source), urlOf(target), '--rerun', list, '--format', 'json');
    expect(sorted(again).map((line) => (JSON.parse(line) as { key: string }).key)).toEqual(['extra', 'missing']);
    expect(again.err).toContain('2 keys still differ');
    for (const server of [source, target]) expect(await callsOf(server.client, 'dump')).toBeLessThanOrEqual(4); // two keys, by two passes
  });
});

describe('--repair', () => {
  test('says what it would do, and changes nothing', async () => {
    await fill();
    const before = await contents(target);
    const done = await diff(urlOf(source), urlOf(target), '--level', 'values', '--repair');
    expect({ code: done.code, lines: sorted(done) }).toEqual({ code: 1, lines: [...LINES, ...LINES.map(inDb3)].sort() });
    expect(done.err).toMatch(/^rdbkit: 8 keys to restore, 4 to delete; nothing was changed$/m);
    expect(await contents(target)).toEqual(before);
    const json = await diff(urlOf(source), urlOf(target), '--db', '0', '--repair', '--format', 'json');
    expect(sorted(json).map((line) => JSON.parse(line) as object)).toContainEqual({
      db: 0,
      key: 'extra',
      kinds: ['extra'],
      target: { type: 'zset' },
      repair: 'delete',
    });
  });

  for (const way of ['file', 'server'] as const) {
    test(`--apply makes a server equal to a ${way}`, async () => {
      await fill();
      const from = way === 'file' ? await saved(source) : urlOf(source);
      await target.client.config('RESETSTAT');
      const done = await diff(from, urlOf(target), '--level', 'values', '--repair', '--apply', '--yes', '--json');
      expect(said(done)).toMatchObject({
        exitCode: 0,
        different: 12,
        repair: { toRestore: 8, toDelete: 4, left: 0, applied: { restored: 8, deleted: 4, settled: 0, rejected: 0, still: 0 } },
      });
      expect(sorted(done)).toEqual([...LINES, ...LINES.map(inDb3)].sort());
      expect(await contents(target)).toEqual(await contents(source));
      expect([await callsOf(target.client, 'restore'), await callsOf(target.client, 'unlink')]).toEqual([8, 4]); // nothing else was written
    });
  }

  test('a list of an earlier diff, other databases, and a server without UNLINK', async () => {
    await fill();
    await source.client.select(0);
    const from = await saved(target, 'target.rdb');
    const list = folder.at('list.jsonl');
    await diff(from, urlOf(source, '/5'), '--db', '3', '--level', 'values', '-o', list);
    await source.client.select(5);
    await source.client.mset({ extra2: '1', value: 'other' });
    const done = await diff(from, urlOf(source, '/5'), '--db', '3', '--rerun', list, '--repair', '--apply', '--yes');
    expect(done.err).toMatch(/keys restored, 0 deleted, none differs any more$/m);
    expect(await source.client.dbsize()).toBe(46); // 45 of the file, and one that the list does not have
    await diff(from, urlOf(source, '/5'), '--db', '3', '--repair', '--apply', '--yes');
    expect(await source.client.exists('extra2')).toBe(0); // with DEL
    expect(await source.client.dbsize()).toBe(45);
  });

  test('what does not differ any more right before the repair is left alone, and the source is read again', async () => {
    await source.client.select(0);
    await target.client.select(0);
    await source.client.mset({ a: 'new', b: 'first' });
    await target.client.mset({ a: 'old', b: 'old', c: 'extra' });
    let scans = 0;
    const proxy = await HookProxy.start(Number(new URL(urlOf(target)).port), async ([command, cursor]) => {
      if (command !== 'SCAN' || cursor !== '0' || ++scans !== 3) return; // 1 and 2: the comparison
      await target.client.mset({ a: 'new' });
      await target.client.del('c');
      await source.client.set('b', 'second');
    });
    try {
      await target.client.config('RESETSTAT');
      const done = await diff(
        urlOf(source),
        `redis://127.0.0.1:${proxy.port}`,
        '--via',
        'scan',
        '--level',
        'values',
        '--repair',
        '--apply',
        '--yes',
        '--json',
      );
      expect(said(done)).toMatchObject({
        exitCode: 0,
        different: 3,
        repair: { toRestore: 2, toDelete: 1, applied: { restored: 1, deleted: 0, settled: 2, still: 0 } },
      });
    } finally {
      await proxy.stop();
    }
    expect(await target.client.mget('a', 'b', 'c')).toEqual(['new', 'second', null]);
    expect(await callsOf(target.client, 'restore')).toBe(1);
  });

  test('keys that the repair makes no equals of are named, and the exit code says so', async () => {
    await source.client.select(0);
    await target.client.select(0);
    await source.client.set('a', '1');
    const proxy = await HookProxy.start(Number(new URL(urlOf(target)).port), async ([command]) => {
      if (command === 'RESTORE') await source.client.set('a', '2'); // it was read before
    });
    try {
      const done = await diff(urlOf(source), `redis://127.0.0.1:${proxy.port}`, '--level', 'values', '--repair', '--apply', '--yes');
      expect(done.code).toBe(1);
      expect(done.err).toMatch(/^rdbkit: still differs: another value: db 0, key "a": /m);
      expect(done.err).toMatch(/^rdbkit: 1 key restored, 0 deleted, 1 still differ$/m);
    } finally {
      await proxy.stop();
    }
  });

  test('nothing is deleted where keys of the source could not be read', async () => {
    await source.client.select(0);
    await target.client.select(0);
    for (const { client } of [source, target]) await client.mset({ 'a:1': '1', 'b:1': '1' });
    await target.client.set('a:2', 'extra');
    await source.client.call('ACL', 'SETUSER', 'some', 'on', '>pw', '~a:*', '+@all');
    const url = urlOf(source).replace('redis://', 'redis://some:pw@');
    const done = await diff(url, urlOf(target), '--via', 'scan', '--repair', '--apply', '--yes');
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/^rdbkit: warning: nothing was repaired, as keys may be missing of what was read: /m);
    expect(await target.client.exists('b:1', 'a:2')).toBe(2);
  });

  test('nor where a file is cut', async () => {
    await fill();
    const whole = await save(source);
    const before = await contents(target);
    const done = await diff(folder.file('cut.rdb', whole.subarray(0, whole.length - 40)), urlOf(target), '--repair', '--apply', '--yes');
    expect(done.code).toBe(3);
    expect(await contents(target)).toEqual(before);
  });

  test('a user who may not delete', async () => {
    await target.client.select(0);
    await target.client.set('extra', '1');
    await target.client.call('ACL', 'SETUSER', 'writer', 'on', '>pw', '~*', '+@all', '-unlink', '-del');
    const done = await diff(
      await saved(source),
      urlOf(target).replace('redis://', 'redis://writer:pw@'),
      '--repair',
      '--apply',
      '--yes',
      '--json',
    );
    expect(done.code).toBe(4);
    expect(said(done).errors).toMatchObject([{ code: 'REFUSED' }]);
  });

  test('wrong usage', async () => {
    const file = await saved(source);
    const lines = folder.file('lines.jsonl', '{"db":0,"key":"a","type":"string","value":"x"}\n');
    const url = urlOf(target);
    for (const [words, message] of [
      [[file, url, '--apply'], '--apply does what --repair says: add --repair'],
      [[file, url, '--repair', '--apply'], 'there is no terminal to confirm on: add --yes'],
      [[file, file, '--repair', '--apply', '--yes'], '--apply changes a server, and the target'],
      [[lines, url, '--repair', '--apply', '--yes'], 'is JSON lines: rdbkit encode makes an RDB of it'],
      [[file, url, '--repair', '--type', 'hash'], '--repair and --type: a key that passes on the target only would be deleted'],
      [[file, url, '--repair', '--ttl', 'none'], '--repair and --ttl: '],
      [[file, url, '--repair', '--level', 'counts'], '--level counts compares only numbers'],
      [[file, url, '--repair', '--show-values'], '--repair and --show-values: expected one of them at most'],
    ] as const) {
      const { code, err } = await diff(...words);
      expect(code).toBe(2);
      expect(err).toContain(message);
    }
  });
});

describe('restore --verify', () => {
  interface Verified {
    exitCode: number;
    verified?: {
      level: string;
      same: boolean;
      complete: boolean;
      different: number;
      kinds: Record<string, number>;
      sourceKeys: number;
      targetKeys: number;
    };
  }
  const restore = (...words: string[]): Promise<Result> => rdbkit(['restore', ...words]);
  const verdictOf = async (...words: string[]): Promise<Verified> => JSON.parse((await restore(...words, '--json')).err) as Verified;

  for (const way of ['file', 'server'] as const) {
    test(`a restore from a ${way} is the same, with expiries moved and databases mapped`, async () => {
      await fill();
      await target.client.flushall();
      const from = way === 'file' ? await saved(source) : urlOf(source);
      expect(await verdictOf(from, urlOf(target), '--verify', 'values')).toMatchObject({
        exitCode: 0,
        verified: { level: 'values', same: true, sourceKeys: 88, targetKeys: 88 },
      });
      await target.client.flushall();
      const moved = ['--db', '3', '--db-map', '3:7', '--ttl-shift', '1h', '--prefix', 'e', '--prefix', 'm'];
      expect(await verdictOf(from, urlOf(target), ...moved, '--verify', 'keys')).toMatchObject({
        exitCode: 0,
        verified: { level: 'keys', same: true, sourceKeys: 2, targetKeys: 2 },
      });
      await target.client.flushall();
      expect(await verdictOf(from, urlOf(target, '/4'), '--db', '0', '--strip-ttl', '--verify', 'values')).toMatchObject({
        exitCode: 0,
        verified: { same: true, targetKeys: 44 },
      });
    });
  }

  test('what differs is named, and the exit code is 1', async () => {
    await fill();
    await target.client.flushall();
    const file = await saved(source);
    expect((await restore(file, urlOf(target), '--verify', 'values')).code).toBe(0);
    await target.client.select(0);
    await target.client.set('same:1', 'other');
    await target.client.set('foreign', '1');
    const done = await restore(file, urlOf(target), '--on-conflict', 'skip', '--verify', 'values');
    expect(done.code).toBe(1);
    expect(done.err).toMatch(
      /^rdbkit: differs: another value: db 0, key "same:1": source: string, 1 byte, no expiry; target: string, 5 bytes, no expiry$/m,
    );
    expect(done.err).toMatch(
      /^rdbkit: verified: 1 key differs \(1 another value\): 88 keys of the source and 89 of the target compared by value; /m,
    );
    const replaced = await restore(file, urlOf(target), '--on-conflict', 'replace', '--verify', 'values');
    expect(replaced.code).toBe(0); // a key that only the target has may stay
    expect(replaced.err).toMatch(/^rdbkit: verified: the same: 88 keys of the source and 89 of the target/m);
  });

  test('a foreign key on a target that was empty', async () => {
    await source.client.select(0);
    await source.client.set('a', '1');
    const proxy = await HookProxy.start(Number(new URL(urlOf(target)).port), async ([command]) => {
      if (command !== 'RESTORE') return;
      await target.client.select(0);
      await target.client.set('foreign', '1');
    });
    try {
      expect(await verdictOf(await saved(source), `redis://127.0.0.1:${proxy.port}`, '--verify', 'keys')).toMatchObject({
        exitCode: 1,
        verified: { different: 1, kinds: { extra: 1 } },
      });
    } finally {
      await proxy.stop();
    }
  });

  test('nothing is verified after a restore that failed, and wrong usage', async () => {
    await target.client.select(0);
    await target.client.set('a', '1');
    const file = await saved(source);
    const url = urlOf(target);
    const failed = await verdictOf(file, url, '--verify', 'keys');
    expect([failed.exitCode, failed.verified]).toEqual([4, undefined]);
    for (const [words, message] of [
      [[file, url, '--verify', 'keys', '--dry-run'], '--verify and --dry-run exclude each other'],
      [[file, url, '--verify', 'keys', '--limit', '1'], '--verify and --limit exclude each other'],
      [['-', url, '--verify', 'keys'], 'standard input can be read only once'],
      [[file, url, '--verify', 'all'], '--verify all: expected'],
    ] as const) {
      const { code, err } = await restore(...words);
      expect([code, err]).toEqual([2, expect.stringContaining(message)]);
    }
  });
});

describe('a cluster as target', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterAll(() => cluster.stop());

  test('keys are restored and deleted at the owners of their slots', async () => {
    await source.client.select(0);
    for (let i = 0; i < 300; i++) await source.client.set(`key:${i}`, `${i}`);
    const file = await saved(source);
    expect((await rdbkit(['restore', file, cluster.nodes[0].url, '--verify', 'values'])).code).toBe(0);
    for (let i = 0; i < 100; i++) await source.client.del(`key:${i}`);
    for (let i = 200; i < 400; i++) await source.client.set(`key:${i}`, `new ${i}`);
    const done = await diff(urlOf(source), cluster.nodes[1].url, '--level', 'values', '--repair', '--apply', '--yes', '--json');
    expect(said(done)).toMatchObject({
      exitCode: 0,
      repair: { toRestore: 200, toDelete: 100, applied: { restored: 200, deleted: 100, still: 0 } },
    });
    expect((await diff(urlOf(source), cluster.nodes[2].url, '--level', 'values')).code).toBe(0);
  });
});
