import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { expiry, report, restore, strings, urlOf } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

/** 1,000 keys, whose expiries are over since 2023. */
const SESSIONS = join(fileURLToPath(new URL('../..', import.meta.url)), 'fixtures', 'cases', 'sess.rdb');

const folder = new Folder();
afterAll(() => folder.remove());

const none = folder.file('none.rdb', rdb('REDIS0009', []));
const three = folder.file('three.rdb', strings({ a: '1', b: '2', c: '3' }));

describe(`one line says why nothing was restored to ${SERVER}`, () => {
  let server: TestServer;
  let url: string;
  beforeAll(async () => {
    server = await TestServer.start();
    url = urlOf(server);
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => server.stop());

  const lastLine = async (argv: readonly string[]): Promise<string | undefined> => {
    const { code, err } = await restore(argv);
    expect(code).toBe(0);
    expect((await report(argv)).notes ?? []).toEqual(/^rdbkit: (no key|the source|none)/m.test(err) ? [err.split('\n').at(-2)?.slice(8)] : []);
    return err.split('\n').at(-2);
  };

  test('all have expired: the shift that is named restores all of them', async () => {
    const line = await lastLine([SESSIONS, url]);
    const shift = /^rdbkit: no key was restored: all 1,000 had expired\. --ttl-shift (\d+d) moves their expiries into the future; --strip-ttl restores them without expiries\.$/.exec(line ?? '')?.[1];
    expect(shift).toBeDefined();
    expect(await report([SESSIONS, url, '--ttl-shift', shift ?? ''])).toMatchObject({ code: 0, keysRestored: 1000 });
    await server.client.flushall();
    expect(await report([SESSIONS, url, '--strip-ttl'])).toMatchObject({ code: 0, keysRestored: 1000 });
  });

  test('the age of the source, where it says when it was written', async () => {
    const written = Math.floor(Date.now() / 1000) - 3.5 * 86_400;
    const old = folder.file('old.rdb', rdb('REDIS0009', [0xfa, str('ctime'), str(`${written}`), ...expiry(1000 * written + 60_000), 0, str('a'), str('1')]));
    const advice = '--ttl-shift 4d, the age of the source, gives them back the time that they had; ';
    expect(await lastLine([old, url])).toBe(`rdbkit: no key was restored: the only one had expired. ${advice}--strip-ttl restores them without expiries.`);
    expect(await lastLine([old, url, '--ttl-shift=-1h'])).toContain(advice);
    expect(await report([old, url, '--ttl-shift', '4d'])).toMatchObject({ code: 0, keysRestored: 1 });
    expect(Math.abs((await server.client.pttl('a')) - 12 * 3_600_000)).toBeLessThan(120_000);
  });

  test('some have expired, the others are left out', async () => {
    expect(await lastLine([SESSIONS, url, '--prefix', 'nobody', '--partition', '1/2', '--dry-run'])).toBe('rdbkit: no key would be restored: all 1,000 are left out by --prefix, --partition.');
    const mixed = folder.file('mixed.rdb', rdb('REDIS0009', [...expiry(1e12), 0, str('old'), str('1'), 0, str('x'), str('2')]));
    expect(await lastLine([mixed, url, '--not-prefix', 'x', '--no-ttl', '--dry-run'])).toMatch(/^rdbkit: 1 key to restore/);
    expect(await lastLine([mixed, url, '--not-prefix', 'x'])).toMatch(
      /^rdbkit: no key was restored: 1 key left out by --not-prefix, 1 expired\. --ttl-shift \d+d moves their expiries into the future; --strip-ttl restores them without expiries\.$/,
    );
  });

  test('a source without keys, and one with some', async () => {
    expect(await lastLine([none, url])).toBe('rdbkit: the source has no keys.');
    expect(await lastLine([three, url, '--on-conflict', 'skip'])).toMatch(/^rdbkit: 3 keys restored; /);
    expect(await lastLine([three, url, '--on-conflict', 'skip'])).toMatch(/^rdbkit: 0 keys restored, 3 skipped/);
  });
});
