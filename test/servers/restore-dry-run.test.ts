import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
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
    expect([real.code, errorOf(real.err)]).toEqual([
      4,
      expect.stringContaining('the target has a key already. Choose what happens to them') as string,
    ]);
    expect(dry.err).toContain('2 keys to restore');
    for (const how of [['--on-conflict', 'skip'], ['--on-conflict', 'replace'], ['--flush']]) {
      expect((await restore([source, url, '--dry-run', ...how])).code).toBe(0);
    }
  });

  test('where the server refuses writes, since it cannot save', async () => {
    const gone = folder.at('gone');
    mkdirSync(gone);
    const full = await TestServer.start('--dir', gone, '--save', '3600 1');
    rmSync(gone, { recursive: true });
    try {
      const { client } = full;
      await client.call('BGSAVE');
      while (!/rdb_bgsave_in_progress:0[^]*rdb_last_bgsave_status:err/.test(await client.info('persistence'))) await delay(20);
      for (const more of [[], ['--write-as', 'commands']]) {
        const dry = await restore([source, urlOf(full), '--dry-run', ...more]);
        const real = await restore([source, urlOf(full), ...more]);
        expect([dry.code, real.code, errorOf(dry.err)]).toEqual([4, 4, errorOf(real.err)?.replace(', at db 0, key "a"', '')]);
        expect(errorOf(dry.err)).toContain('MISCONF');
      }
    } finally {
      await full.stop();
    }
  });

  test('where the user may not restore; what is said of other keys does not matter', async () => {
    const { client } = server;
    await client.call('ACL', 'SETUSER', 'less', 'on', '>pw', '~a', '~b', '-@all', '+info', '+select');
    const as = url.replace('//', '//less:pw@');
    const dry = await restore([source, as, '--dry-run']);
    const real = await restore([source, as]);
    expect([dry.code, real.code, errorOf(dry.err)]).toEqual([4, 4, errorOf(real.err)?.replace(', at db 0, key "a"', '')]);
    expect(errorOf(dry.err)).toContain('NOPERM');
    await client.call('ACL', 'SETUSER', 'less', '+restore');
    expect((await restore([source, as, '--dry-run'])).code).toBe(0);
    expect(await client.keys('*')).toEqual([]);
  });

  test('where the memory is used up', async () => {
    await server.client.config('SET', 'maxmemory', '100');
    const dry = await restore([source, url, '--dry-run']);
    const real = await restore([source, url]);
    expect([dry.code, real.code, errorOf(dry.err)]).toEqual([4, 4, errorOf(real.err)?.replace(', at db 0, key "a"', '')]);
    expect(errorOf(real.err)).toContain('OOM');
  });
});
