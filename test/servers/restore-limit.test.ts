import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { report, strings, urlOf } from '../support/restore-support.js';
import { listpack, le, rdb, str } from '../support/support.js';

describe('--limit counts the keys that the target took', () => {
  const folder = new Folder();
  let server: TestServer;
  let url: string;
  let source: string;

  beforeAll(async () => {
    server = await TestServer.start();
    url = urlOf(server);
    source = folder.file('keys.rdb', strings(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key-${i}`, `${i}`]))));
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  const keys = (): Promise<number> => server.client.dbsize();

  test.each([1, 10, 1023, 4999, 5000, 9000])('%i of 5,000', async (limit) => {
    const taken = Math.min(limit, 5000);
    expect(await report([source, url, '--limit', `${limit}`])).toMatchObject({ code: 0, keysRestored: taken });
    expect(await keys()).toBe(taken);
  });

  test('not those that are there already', async () => {
    await server.client.mset(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key-${i}`, 'before'])));
    expect(await report([source, url, '--limit', '50', '--on-conflict', 'skip'])).toMatchObject({ code: 0, keysRestored: 50, keysSkipped: 100 });
    expect(await keys()).toBe(150);
    expect(await server.client.get('key-100')).toBe('100');
    expect(await server.client.get('key-150')).toBeNull();
  });

  test('those that were replaced', async () => {
    await server.client.mset(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`key-${i}`, 'before'])));
    expect(await report([source, url, '--limit', '50', '--on-conflict', 'replace'])).toMatchObject({ code: 0, keysRestored: 20, keysReplaced: 30 });
  });

  test('not those that expired, that were refused, or that filters left out', async () => {
    const expired = (name: string) => [0xfc, le(1000, 8), 0, str(name), str('v')];
    const refused = (name: string) => [20, str(name), str(listpack(['a']))]; // a server before 7.2 does not read it
    const plain = (name: string) => [0, str(name), str('v')];
    const many = (make: (name: string) => unknown[], prefix: string, count: number) => Array.from({ length: count }, (_, i) => make(`${prefix}${i}`));
    const mixed = folder.file('mixed.rdb', rdb('REDIS0011', [many(expired, 'e', 20), many(refused, 'r', 20), many(plain, 'x', 20), many(plain, 'k', 40)] as never));
    const { keysExpired, keysFiltered, keysRejected, keysRestored } = await report([mixed, url, '--limit', '25', '--not-prefix', 'x', '--target-version', '7.2']);
    expect({ keysExpired, keysFiltered, keysRejected, keysRestored }).toEqual({ keysExpired: 20, keysFiltered: 20, keysRejected: 20, keysRestored: 25 });
    expect(await keys()).toBe(25);
  });

  test('over several sources', async () => {
    const more = folder.file('more.rdb', strings(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`more-${i}`, `${i}`]))));
    expect(await report([more, source, url, '--limit', '250'])).toMatchObject({ code: 0, keysRestored: 250 });
    expect(await server.client.exists('more-99', 'key-149', 'key-150')).toBe(2);
  });

  test('in a dry run', async () => {
    expect(await report([source, url, '--limit', '250', '--dry-run'])).toMatchObject({ code: 0, keysRestored: 250 });
    expect(await keys()).toBe(0);
  });
});
