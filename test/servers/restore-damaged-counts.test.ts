import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { listpack, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

describe(`restore to ${SERVER}`, () => {
  let server: TestServer;
  beforeAll(async () => void (server = await TestServer.start()));
  afterAll(() => server.stop());

  test.each([[], ['--dry-run']])('names a damaged key and counts it: %s', async (...more) => {
    const damaged = listpack(['a', 'b']).map((byte, i) => (i === 6 ? 0xf8 : byte));
    const source = folder.file(
      'damaged.rdb',
      rdb('REDIS0011', [
        Array.from({ length: 20 }, (_, i): Part => [0, str(`k${i}`), str('v')]),
        20,
        str('bad'),
        str(damaged),
        0,
        str('z'),
        str('v'),
      ]),
    );
    const argv = [
      'restore',
      source,
      `redis://127.0.0.1:${server.client.options.port}`,
      '--on-conflict',
      'replace',
      '--sanitize',
      'none',
      ...more,
    ];
    const { code, err } = await rdbkit(argv);
    expect(code).toBe(3);
    expect(err).toContain('db 0, key "bad": expected a ');
    expect(err).toMatch(/20 keys (restored|to restore), 1 damaged; /);
    expect(JSON.parse((await rdbkit([...argv, '--json'])).err)).toMatchObject({ keysRead: 21, keysFiltered: 0, keysDamaged: 1 });
  });
});
