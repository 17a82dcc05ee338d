import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { callsOf, report, restore, strings, urlOf } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** 509 keys in three databases; `k:1` is in 0 and in 3. Some expire. */
const MULTI = join(import.meta.dirname, '../..', 'fixtures', 'cases', 'multidb.rdb');
const one = folder.file('one.rdb', strings({ a: '1', b: '1', 'base64:': '1' }));
const two = folder.file('two.rdb', strings({ b: '2', c: '2' }));
const large = folder.file('large.rdb', strings({ '0:k': 'x'.repeat(2 << 20), '1:k': 'y'.repeat(2 << 20) }));

/** A key twice in lines of payloads. */
async function lines(): Promise<string> {
  const { out } = await rdbkit(['dump', one, '--format', 'payload']);
  return folder.file('lines.jsonl', out + out.split('\n')[0] + '\n');
}

describe(`keys that meet in a database of ${SERVER}`, () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await TestServer.start();
  });
  beforeEach(async () => {
    await server.client.flushall();
    await server.client.config('RESETSTAT');
  });
  afterAll(() => server.stop());

  const cases: [what: string, argv: () => Promise<string[]>, distinct: number, again: number][] = [
    ['databases by the URL', async () => [MULTI, urlOf(server, '/0'), '--strip-ttl'], 508, 1],
    ['databases by --db-map', async () => [MULTI, urlOf(server), '--db-map', '3:0', '--strip-ttl'], 508, 1],
    ['several sources', async () => [one, two, urlOf(server)], 4, 1],
    ['lines of payloads', async () => [await lines(), urlOf(server)], 3, 1],
    ['values over a mebibyte', async () => [large, urlOf(server, '/0')], 1, 1],
    ['values over --max-payload', async () => [large, urlOf(server, '/0'), '--max-payload', '1mb'], 1, 1],
  ];

  test.each(cases)('%s: counted as what became of them, and foreseen', async (_, argv, distinct, again) => {
    const expected = { keysRestored: distinct, keysReplaced: 0, keysSkipped: 0, keysRejected: 0 };
    for (const [conflict, outcome] of [['replace', 'keysReplaced'], ['skip', 'keysSkipped'], ['error', 'keysRejected']] as const) {
      const rejects = ['--rejects', folder.at('rejects.jsonl')];
      const command = [...(await argv()), '--on-conflict', conflict, ...rejects];
      const code = conflict === 'error' ? 1 : 0;
      await server.client.flushall();
      expect([conflict, await report([...command, '--dry-run'])]).toMatchObject([conflict, { ...expected, [outcome]: again, code }]);
      const foreseen = readFileSync(folder.at('rejects.jsonl'), 'utf8').trim().split('\n');
      expect(await server.client.dbsize()).toBe(0);
      expect([conflict, await report(command)]).toMatchObject([conflict, { ...expected, [outcome]: again, code }]);
      const keys = (await server.client.info('keyspace')).match(/(?<=keys=)\d+/g)?.map(Number) ?? [];
      expect(keys.reduce((sum, count) => sum + count)).toBe(distinct);
      if (conflict !== 'error') continue;
      const [was] = readFileSync(folder.at('rejects.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { key: string; payload?: string });
      expect(JSON.parse(foreseen[0])).toMatchObject({ key: was.key });
      expect((JSON.parse(foreseen[0]) as { payload?: string }).payload === undefined).toBe(was.payload === undefined);
    }
  });

  test('the lines say so', async () => {
    const url = urlOf(server, '/0');
    expect((await restore([MULTI, url, '--strip-ttl', '--on-conflict', 'replace', '--dry-run'])).err).toContain('rdbkit: 508 keys to restore, 1 to replace one restored before them; ');
    expect((await restore([MULTI, url, '--strip-ttl', '--on-conflict', 'skip', '--dry-run'])).err).toContain('rdbkit: 508 keys to restore, 1 to skip, as the key is restored before; ');
    expect((await restore([MULTI, url, '--strip-ttl', '--dry-run'])).err).toMatch(/NOT_RESTORED: [^\n]*, db 0, key "k:1": the target has the key already: [^\n]*\n.*rdbkit: 508 keys to restore, 1 rejected; /s);
    expect((await restore([MULTI, url, '--strip-ttl', '--on-conflict', 'replace'])).err).toContain('rdbkit: 508 keys restored, 1 replaced; ');
  });

  test.each<[string, () => string[], boolean]>([
    ['one file', () => [MULTI, urlOf(server)], false],
    ['standard input', () => ['-', urlOf(server)], false],
    ['one database of it', () => [MULTI, urlOf(server, '/0'), '--db', '3'], false],
    ['databases that change places', () => [MULTI, urlOf(server), '--db-map', '3:0,0:3'], false],
    ['databases that become one, but are not both chosen', () => [MULTI, urlOf(server), '--db-map', '3:0', '--db', '3'], false],
    ['databases that become one', () => [MULTI, urlOf(server), '--db-map', '3:0'], true],
    ['several files', () => [one, two, urlOf(server)], true],
  ])('into an empty target, EXISTS is asked only where keys may meet: %s', async (_, argv, asked) => {
    const { code } = await report([...argv(), '--on-conflict', 'replace'], { stdin: Readable.from([readFileSync(MULTI)]) });
    expect([code, (await callsOf(server.client, 'exists')) > 0]).toEqual([0, asked]);
  });
});

test('dump: a key that comes twice in lines of payloads is written once', async () => {
  const { code, err, out } = await rdbkit(['dump', await lines(), '--format', 'payload']);
  expect(code).toBe(1);
  expect(err).toContain('the key was there before');
  expect(out.trim().split('\n')).toHaveLength(3);
});
