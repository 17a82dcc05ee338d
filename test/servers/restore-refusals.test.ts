import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { report, restore, strings, urlOf } from '../support/restore-support.js';
import { listpack, rdb, str } from '../support/support.js';

/** Sets in listpacks, which a server before 7.2 does not read. */
const sets = (count: number): Uint8Array => rdb('REDIS0011', Array.from({ length: count }, (_, i) => [20, str(`key-${i}`), str(listpack(['x'.repeat(60), `${i}`]))]));
const many = (count: number, db = 0): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`${db}:key-${i}`, `${i}`]));

describe('keys that are refused for the same reason', () => {
  const folder = new Folder();
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    server = await TestServer.start('--rdbcompression', 'no');
    url = urlOf(server);
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  test('every key: it ends after the first thousand, and says why', async () => {
    const source = folder.file('many.rdb', sets(40_000));
    const { code, err } = await restore([source, url, '--target-version', '8.0']);
    expect(code).toBe(4);
    expect(err).toMatch(/rdbkit: REFUSED: 127\.0\.0\.1:\d+: ERR DUMP payload version or checksum are wrong\. The first 1,000 keys were all refused for this reason, so the rest was not read\. If the target is older than it says, give its version with --target-version\.\n/);
    expect(err.match(/NOT_RESTORED: .*, key .* answered: ERR DUMP payload version or checksum are wrong; if the target is older than it says, give its version with --target-version\.\n/g)).toHaveLength(10);
    expect(Number(/rdbkit: 0 keys restored, ([\d,]+) rejected/.exec(err)?.[1].replace(/,/g, ''))).toBeLessThan(40_000);
  });

  test('fewer than that are all refused', async () => {
    const source = folder.file('few.rdb', sets(999));
    const { code, keysRejected, reasons } = await report([source, url, '--target-version', '8.0']);
    expect([code, keysRejected]).toEqual([1, 999]);
    expect(reasons).toHaveLength(1);
    expect(reasons[0].count).toBe(999);
  });

  test('ten are named, the others counted; all of them are in the file of rejects', async () => {
    const source = folder.file('dbs.rdb', strings({ ...many(3), ...many(35, 20), ...many(10, 21) }));
    const rejects = folder.at('rejects.jsonl');
    const { code, err } = await restore([source, url, '--rejects', rejects]);
    expect(code).toBe(1);
    expect(err.match(/NOT_RESTORED: .*, db 20, key "key-/g)).toHaveLength(10);
    expect(err).toContain('rdbkit: NOT_RESTORED: 35 keys of db 20, the first 10 named above: the target has no database 20; --db-map 20:0 writes its keys to database 0.\n');
    expect(err.match(/NOT_RESTORED: .*, db 21, key "key-/g)).toHaveLength(10);
    expect(err).not.toContain('keys of db 21');
    expect(lines(readFileSync(rejects, 'utf8'))).toHaveLength(45);
    const { reasons } = await report([source, url, '--on-conflict', 'replace']);
    expect(reasons.map(({ count, db, keys }) => [db, count, keys.length, keys[0]])).toEqual([[20, 35, 10, 'key-0'], [21, 10, 10, 'key-0']]);
  });

  test('a database of the URL that is not there: nothing is begun', async () => {
    await server.client.set('before', '1');
    const source = folder.file('one.rdb', strings({ a: '1' }));
    const { code, err } = await restore([source, `${url}/77`, '--flush', '--yes']);
    expect(code).toBe(4);
    expect(err).toMatch(/^rdbkit: TARGET: 127\.0\.0\.1:\d+: the target has no database 77, which its URL names\. It has databases 0 to 15: name one that it has\.\n$/);
    expect(await server.client.get('before')).toBe('1');
  });
});
