import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { restore, strings, urlOf } from '../support/restore-support.js';

const folder = new Folder();
let server: TestServer;
let url = '';
const source = folder.file('small.rdb', strings({ a: '1', b: '2' }));

beforeAll(async () => {
  server = await TestServer.start();
  url = urlOf(server);
});
beforeEach(async () => {
  await server.client.config('SET', 'maxmemory', '0');
  await server.client.flushall();
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

describe('a dry run ends as the restore would', () => {
  const errorOf = (err: string): string | undefined => err.split('\n').find((line) => /^rdbkit: (TARGET|REFUSED): /.test(line));

  test('where the target is not empty', async () => {
    await server.client.set('there', '1');
    const dry = await restore([source, url, '--dry-run']);
    const real = await restore([source, url]);
    expect([dry.code, errorOf(dry.err)]).toEqual([4, errorOf(real.err)]);
    expect([real.code, errorOf(real.err)]).toEqual([4, expect.stringContaining('the target has a key already. Choose what happens to them') as string]);
    expect(dry.err).toContain('2 keys to restore');
    for (const how of [['--on-conflict', 'skip'], ['--on-conflict', 'replace'], ['--flush']]) {
      expect((await restore([source, url, '--dry-run', ...how])).code).toBe(0);
    }
  });

  test('where the memory is used up', async () => {
    await server.client.config('SET', 'maxmemory', '100');
    const dry = await restore([source, url, '--dry-run']);
    const real = await restore([source, url]);
    expect([dry.code, real.code, errorOf(dry.err)]).toEqual([4, 4, errorOf(real.err)?.replace(', at db 0, key "a"', '')]);
    expect(errorOf(real.err)).toContain('OOM');
  });
});
