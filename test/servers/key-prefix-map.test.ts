import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { report, restore, strings, urlOf } from '../support/restore-support.js';
import { intStr, len, lzfStr, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** No waiting for other replicas. */
const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
const MAP = ['--key-prefix-map', 'a:=b:'];
const LARGE = 'x'.repeat(2 << 20);

/** Keys of all forms: with an expiry, of no bytes, an integer, compressed; values of over a mebibyte. */
const file = folder.file(
  'all.rdb',
  rdb('REDIS0009', [
    [0, str('a:1'), str('1')],
    [0xfd, [0, 0, 0, 0x7f], 0, str('a:expires'), str('2')],
    [0, str(''), str('3')],
    [0, intStr(12345, 2), str('4')],
    [0, lzfStr(`a:${'z'.repeat(200)}`), str('5')],
    [1, str('a:list'), len(40_000), Array.from({ length: 40_000 }, () => str('y'.repeat(50)))],
    [0, str('a:large'), str(LARGE)],
    [4, str('other'), len(1), str('f'), str('v')],
  ]),
);
const NAMES = ['', '12345', 'b:1', 'b:expires', 'b:large', 'b:list', `b:${'z'.repeat(200)}`, 'other'].sort();

const diff = (...words: string[]): Promise<Result> => rdbkit(['diff', ...words]);
const said = ({ code, err, out }: Result): [number | null, string, string] => [code, out, err];

describe(`--key-prefix-map with ${SERVER}`, () => {
  let source: TestServer;
  let target: TestServer;
  beforeAll(async () => {
    [source, target] = await Promise.all([TestServer.start(...QUICK), TestServer.start(...QUICK)]);
  });
  beforeEach(() => Promise.all([source.client.flushall(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  const names = async (): Promise<string[]> => (await target.client.keys('*')).sort();
  const both = (): [string, string] => [urlOf(source), urlOf(target)];

  test('restore: the same values under other names, verified; large ones, too, and as commands', async () => {
    for (const more of [[], ['--max-payload', '1mb'], ['--write-as', 'commands'], ['--sanitize', 'all', '--target-version', '6.2']]) {
      await target.client.flushall();
      expect(said(await restore([file, urlOf(target), ...MAP, '--verify', 'values', ...more]))).toEqual([
        0,
        '',
        expect.stringContaining('verified: the same: 8 keys of the source and 8 of the target'),
      ]);
      expect(await names()).toEqual(NAMES);
      expect(await target.client.get('b:large')).toBe(LARGE);
      expect(await target.client.get('')).toBe('3');
      expect(await target.client.pexpiretime('b:expires')).toBe(0x7f000000 * 1000);
    }
    expect((await restore([file, urlOf(target), '--key-prefix-map', 'b:=c:', '--dry-run', '--on-conflict', 'replace'])).err).toContain(
      'rdbkit: 8 keys to restore',
    );
  });

  test('restore from a server, with filters on its names', async () => {
    await restore([file, urlOf(source)]);
    for (const via of ['scan', 'replication']) {
      await target.client.flushall();
      const filters = ['--prefix', 'a:', '--not-match', 'a:l*'];
      const { code, err } = await restore([...both(), ...MAP, '--via', via, ...filters, '--verify', 'values']);
      expect([code, err]).toEqual([0, expect.stringContaining('verified: the same: 3 keys')]);
      expect(await names()).toEqual(NAMES.filter((name) => /^b:[^l]/.test(name)));
    }
  });

  test('diff: files and servers, by replication and scan', async () => {
    await restore([file, urlOf(source)]);
    await restore([file, urlOf(target), ...MAP]);
    await target.client.set('b:1', 'changed');
    await target.client.del('b:list');
    await target.client.set('a:extra', 'x'); // no key of the source gets this name
    const lines = ['another value: db 0, key "b:1"', 'extra: db 0, key "a:extra"', 'missing: db 0, key "b:list"'];
    for (const words of [[file], [urlOf(source)], [urlOf(source), '--via', 'scan']]) {
      const { code, out } = await diff(
        words[0],
        urlOf(target),
        ...words.slice(1),
        ...MAP,
        '--level',
        'values',
        '--rounds',
        '2',
        '--settle',
        '1ms',
      );
      expect([
        words,
        code,
        out
          .trim()
          .split('\n')
          .map((line) => line.split(': ').slice(0, 2).join(': '))
          .sort(),
      ]).toEqual([words, 1, lines]);
    }
    await source.client.del('a:1', 'a:list');
    await target.client.del('b:1', 'a:extra');
    for (const more of [[], ['--via', 'scan'], ['--sample', '50%'], ['--prefix', 'a:'], ['--slot', '0-8191'], ['--show-values']]) {
      expect([more, ...said(await diff(...both(), ...MAP, '--level', 'values', ...more))]).toEqual([
        more,
        0,
        '',
        expect.stringContaining('rdbkit: the same: '),
      ]);
    }
    expect(said(await diff(...both().reverse(), '--key-prefix-map', 'b:=a:', '--level', 'values'))).toEqual([
      0,
      '',
      expect.stringContaining('the same: 6 keys of the source and 6'),
    ]);
    expect((await diff(...both(), '--level', 'keys')).code).toBe(1);
    const counts = await diff(...both(), ...MAP, '--level', 'counts', '--format', 'json');
    expect([counts.code, counts.out]).toEqual([0, expect.stringContaining('"b:"')]);
  });

  test('diff: filters are for names in the source, and for names on the target that come from them', async () => {
    await source.client.mset({ 'a:1': '1', 'c:1': '1', 'd:1': '1' });
    await target.client.mset({ 'b:1': '1', 'c:1': '2', 'b:2': '2', 'a:1': '3' });
    const keys = async (...more: string[]): Promise<string[]> =>
      (await diff(...both(), ...MAP, '--level', 'values', ...more)).out
        .trim()
        .split('\n')
        .map((line) =>
          line
            .split(': source')[0]
            .split(': target')[0]
            .replace(/: (?:string|set).*/, ''),
        )
        .sort();
    for (const via of ['scan', 'replication']) {
      expect(await keys('--prefix', 'a:', '--via', via)).toEqual(['extra: db 0, key "a:1"', 'extra: db 0, key "b:2"']);
      expect(await keys('--match', 'a:[13]', '--via', via)).toEqual(['extra: db 0, key "a:1"']);
      expect(await keys('--regex', '^c', '--via', via)).toEqual(['another value: db 0, key "c:1"']);
      expect(await keys('--not-prefix', 'a:', '--not-prefix', 'c:', '--via', via)).toEqual(['missing: db 0, key "d:1"']);
      await source.client.set('b:1', '2'); // which is b:1 there, like a:1
      expect(await keys('--not-prefix', 'a:', '--not-prefix', 'c:', '--via', via)).toEqual([
        'another value: db 0, key "b:1"',
        'missing: db 0, key "d:1"',
      ]);
      await source.client.del('b:1');
    }
  });

  test('repair writes and deletes the names of the target', async () => {
    await restore([file, urlOf(source)]);
    await restore([file, urlOf(target), ...MAP]);
    await target.client.set('b:1', 'changed');
    await target.client.del('b:list', 'b:large');
    await target.client.set('b:extra', 'x');
    const { code, err, out } = await diff(...both(), ...MAP, '--level', 'values', '--repair', '--apply', '--yes');
    expect(out.trim().split('\n').sort()).toEqual([
      'delete db 0 "b:extra"',
      'restore db 0 "b:1"',
      'restore db 0 "b:large"',
      'restore db 0 "b:list"',
    ]);
    expect([code, err]).toEqual([0, expect.stringContaining('3 keys restored, 1 deleted, none differs any more')]);
    expect(await names()).toEqual(NAMES);
  });

  test('diff --rerun takes the names that a diff wrote', async () => {
    await source.client.mset({ 'a:1': '1', 'a:2': '2' });
    await target.client.mset({ 'b:1': '1' });
    const list = folder.at('differences.jsonl');
    expect((await diff(...both(), ...MAP, '-o', list)).code).toBe(1);
    expect(readFileSync(list, 'utf8')).toContain('"key":"b:2"');
    await target.client.mset({ 'b:2': '2' });
    expect((await diff(...both(), ...MAP, '--rerun', list)).err).toContain('the same: 1 key of the source and 1 of the target');
  });

  describe('keys that meet', () => {
    const meeting = folder.file('meeting.rdb', strings({ 'a:1': '1', 'b:1': '2', 'b:2': '3' }));
    const larges = folder.file('larges.rdb', strings({ 'a:1': LARGE, 'b:1': `${LARGE}!`, 'b:2': '3' }));

    test('are counted as what became of them, and foreseen', async () => {
      for (const path of [meeting, larges]) {
        for (const [conflict, outcome] of [
          ['replace', 'keysReplaced'],
          ['skip', 'keysSkipped'],
          ['error', 'keysRejected'],
        ] as const) {
          await target.client.flushall();
          const rejects = folder.at('rejects.jsonl');
          const argv = [path, urlOf(target), ...MAP, '--on-conflict', conflict, '--rejects', rejects];
          const expected = {
            keysRestored: 2,
            keysReplaced: 0,
            keysSkipped: 0,
            keysRejected: 0,
            [outcome]: 1,
            code: conflict === 'error' ? 1 : 0,
          };
          expect([conflict, await report([...argv, '--dry-run'])]).toMatchObject([conflict, expected]);
          expect(await names()).toEqual([]);
          expect([conflict, await report(argv)]).toMatchObject([conflict, expected]);
          expect(await names()).toEqual(['b:1', 'b:2']);
          if (conflict === 'error') expect(JSON.parse(readFileSync(rejects, 'utf8'))).toMatchObject({ db: 0, key: 'b:1' });
        }
      }
    });

    test('are told by a comparison and by --verify, and not repaired', async () => {
      for (const path of [meeting, larges]) {
        await target.client.flushall();
        const told = 'warning: several keys of the source become one key of the target, and only the last was compared: db 0, key "b:1".';
        const restored = await restore([path, urlOf(target), ...MAP, '--on-conflict', 'replace', '--verify', 'values']);
        expect([restored.code, restored.err]).toEqual([1, expect.stringContaining(told)]);
        for (const more of [[], ['--level', 'values', '-q'], ['--rounds', '3', '--settle', '1ms']]) {
          const { code, err } = await diff(path, urlOf(target), ...MAP, ...more);
          expect([more, code, err]).toEqual([more, 1, expect.stringContaining(told)]);
          if (!more.includes('-q'))
            expect(err).toContain('rdbkit: no difference found, but not everything was compared: 3 keys of the source and 2 of the target');
        }
        await target.client.set('b:3', 'x');
        const repaired = await diff(path, urlOf(target), ...MAP, '--repair', '--apply', '--yes');
        expect([repaired.code, repaired.err]).toEqual([
          1,
          expect.stringContaining('nothing was repaired, as several keys of the source become one on the target'),
        ]);
        expect(await names()).toEqual(['b:1', 'b:2', 'b:3']);
      }
    });

    test('through databases, too', async () => {
      const dbs = folder.file('dbs.rdb', strings({ k: '1', '1:k': '1' }));
      await restore([dbs, urlOf(target), '--db-map', '1:0', '--on-conflict', 'skip']);
      expect(said(await diff(dbs, urlOf(target), '--db-map', '1:0'))).toEqual([
        1,
        '',
        expect.stringContaining('several keys of the source become one key of the target'),
      ]);
    });

    test('a scan that gives a key twice is no meeting', async () => {
      await source.client.mset(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`a:${i}`, 'v'])));
      await target.client.set('b:0', 'v');
      const { err } = await diff(...both(), ...MAP, '--via', 'scan', '-o', folder.at('scanned'));
      expect(err).not.toContain('several keys');
    });
  });

  test('a checkpoint is for the same pairs', async () => {
    const checkpoint = ['--checkpoint', folder.at('checkpoint.json')];
    expect((await restore([file, urlOf(target), ...MAP, ...checkpoint])).code).toBe(0);
    expect((await restore([file, urlOf(target), ...MAP, ...checkpoint])).code).toBe(0);
    for (const other of [[], ['--key-prefix-map', 'a:=c:']]) {
      const { code, err } = await restore([file, urlOf(target), ...other, ...checkpoint]);
      expect([code, err]).toEqual([
        2,
        expect.stringMatching(other.length === 0 ? /with --key-prefix-map, which is not given now/ : /with another --key-prefix-map/),
      ]);
    }
  });
});

describe(`--key-prefix-map into a cluster of ${SERVER}`, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterAll(() => cluster.stop());

  test('each key goes to the slot of its new name', async () => {
    const keys = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`a:${i}`, `${i}`]));
    const path = folder.file('slots.rdb', strings({ ...keys, 'a:large': LARGE }));
    const masters = await cluster.masters();
    const url = `redis://127.0.0.1:${masters[0].port}`;
    expect(said(await restore([path, url, ...MAP, '--verify', 'values']))).toEqual([
      0,
      '',
      expect.stringContaining('verified: the same: 501 keys'),
    ]);
    const names = (await Promise.all(masters.map(({ client }) => client.keys('*')))).flat();
    expect(names.sort()).toEqual(
      Object.keys({ ...keys, 'a:large': '' })
        .map((key) => key.replace('a:', 'b:'))
        .sort(),
    );
    const some = masters.map(({ client }) => client);
    await Promise.all(some.map((client) => client.del('b:7').catch(() => undefined)));
    const repaired = await diff(path, url, ...MAP, '--repair', '--apply', '--yes', '--via', 'scan');
    expect([repaired.code, repaired.out]).toEqual([0, 'restore db 0 "b:7"\n']);
    // of the slots of its old name
    const slot = keySlot(Buffer.from('a:7'), 0, 3);
    expect((await diff(path, url, ...MAP, '--slot', `${slot}`)).err).toContain('the same: 1 key of the source and 1 of the target');
  });
});
