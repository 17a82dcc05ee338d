import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const member = (name: string): Part => [0xfa, str('keydb-subexpire-key'), str(name), 0xfa, str('keydb-subexpire-when'), str('4102444800000')];
const set = (name: string): Part => [2, str(name), 2, str('m1'), str('m2'), member('m1'), member('m2')];
const MANY = folder.file('many.rdb', rdb('REDIS0009', [set('p'), set('q'), 0, str('s'), str('v')]));

describe(`restore to ${SERVER}`, () => {
  let server: TestServer;
  beforeAll(async () => void (server = await TestServer.start()));
  afterAll(() => server.stop());

  test.each([['--dry-run'], ['--quiet']])('tells once a file how many are not kept: %s', async (option) => {
    const argv = ['restore', MANY, `redis://127.0.0.1:${server.client.options.port}`, option];
    const { code, err } = await rdbkit([...argv, '--on-conflict', 'replace']);
    expect(code).toBe(1);
    expect(err.match(/NOT_RESTORED.*/g)).toEqual([`NOT_RESTORED: ${MANY}: 4 member expiries of KeyDB are not kept.`]);
    const object = JSON.parse((await rdbkit(['restore', MANY, argv[2], '--dry-run', '--json', '--on-conflict', 'replace'])).err) as object;
    expect(object).toMatchObject({ memberExpiriesLost: 4, notKeys: 4 });
  });
});
