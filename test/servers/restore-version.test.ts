import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder, rdbkit } from '../support/cli-support.js';
import { FakeServer } from '../support/fake-server.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { RespProxy } from '../support/resp-proxy.js';
import { len, rdb, str } from '../support/support.js';
import { digestOf, portOf, report, restore, serverPath, urlOf } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** First versions of the types that servers number alike, as rdb.h of their releases has them. */
const SINCE: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 8, 7: 8, 9: 2, 10: 2, 11: 2, 12: 2, 13: 4, 14: 7, 15: 9, 16: 10, 17: 10, 18: 10, 19: 10, 20: 11, 21: 11, 24: 12, 25: 12 };

describe('the RDB version of payloads', () => {
  let server: FakeServer;
  afterEach(() => server.stop());

  /** By type number: the versions that payloads were sent with. */
  const stamps = (): Map<number, Set<number>> => {
    const found = new Map<number, Set<number>>();
    for (const [name, , , text] of server.commands) {
      if (name !== 'RESTORE') continue;
      const payload = Buffer.from(text, 'latin1');
      found.set(payload[0], (found.get(payload[0]) ?? new Set()).add(payload.readUInt16LE(payload.length - 10)));
    }
    return found;
  };

  test.each([
    ['from kernels', []],
    ['one by one', ['--ttl-shift', '1s']],
  ])('no higher than the value needs, %s', async (_, argv) => {
    server = await FakeServer.start({ redis_version: '8.0.6' });
    expect((await restore([serverPath('redis-8.0.6'), server.url, ...argv])).code).toBe(0);
    const found = stamps();
    expect(found.size).toBeGreaterThan(8);
    for (const [type, versions] of found) expect([type, [...versions]]).toEqual([type, [SINCE[type]]]);
  });

  test("the vendors' own types", async () => {
    server = await FakeServer.start({ redis_version: '7.2.4', valkey_version: '9.0.1', server_name: 'valkey' });
    expect((await restore([serverPath('valkey-9.1.2'), server.url])).code).toBe(0);
    const found = stamps();
    expect([...(found.get(22) ?? [])]).toEqual([80]);
    for (const [type, versions] of found) if (type !== 22) expect([type, [...versions]]).toEqual([type, [SINCE[type]]]);
  });

  test('a server that takes one version only gets that', async () => {
    server = await FakeServer.start({ redis_version: '2.8.24' });
    await restore([serverPath('redis-2.8.24'), server.url]);
    for (const [type, versions] of stamps()) expect([type, [...versions]]).toEqual([type, [6]]);
  });
});

describe(`a target that says it is newer than it is: ${SERVER}`, () => {
  const DEBUG = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'no'];
  let liar: TestServer;
  let honest: TestServer;
  let proxy: RespProxy;

  beforeAll(async () => {
    [liar, honest] = await Promise.all([TestServer.start(...DEBUG), TestServer.start(...DEBUG)]);
    proxy = await RespProxy.start(portOf(liar), { info: [[/^redis_version:.*/m, 'redis_version:7.2.4']] });
  });
  beforeEach(() => Promise.all([liar.client.flushall(), honest.client.flushall()]));
  afterAll(async () => {
    await proxy.stop();
    await Promise.all([liar.stop(), honest.stop()]);
  });

  test.each([
    ['kernels', []],
    ['one by one', ['--db-map', '14:13']],
    ['replacing', ['--on-conflict', 'replace']],
  ])('a file of its own: all keys arrive, %s', async (_, argv) => {
    expect(await report([FIXTURE, proxy.url, ...argv])).toMatchObject({ code: 0, keysRestored: 250, keysRejected: 0 });
    expect((await restore([FIXTURE, urlOf(honest)])).code).toBe(0);
    expect(await digestOf(liar)).toBe(await digestOf(honest));
  });

  test('a value that is too large to go with others arrives', async () => {
    const large = folder.file('large.rdb', rdb('REDIS0011', [0, str('large'), len(2 << 20), new Uint8Array(2 << 20).fill(120)]));
    expect(await report([large, proxy.url])).toMatchObject({ code: 0, keysRestored: 1 });
    expect(await liar.client.get('large')).toBe('x'.repeat(2 << 20));
  });

  test.each(['redis-7.2.6', 'redis-8.0.6'])('%s: all keys arrive that it can represent; the others can be restored from the rejects', async (name) => {
    const rejects = folder.at(`${name}.jsonl`);
    const { code, keysRejected, rejected } = await report([serverPath(name), proxy.url, '--rejects', rejects]);
    expect(code).toBe(1);
    const all = await report([serverPath(name), urlOf(honest), '--allow-loss']);
    expect(all.keysRejected).toBe(0);
    expect(keysRejected).toBeGreaterThan(0);
    expect(keysRejected).toBeLessThan(all.keysRestored / 2);
    for (const { reason } of rejected) expect(reason).toMatch(/DUMP payload version or checksum are wrong|no expiry of single hash fields/);
    const lines = readFileSync(rejects, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as { payload: string });
    const types = new Set(lines.map(({ payload }) => Buffer.from(payload, 'base64')[0]));
    expect([...types].filter((type) => type < 20)).toEqual([]);
    expect((await rdbkit(['decode', rejects])).out.split('\n')).toHaveLength(keysRejected + 1);
    expect(await report([rejects, proxy.url, '--on-conflict', 'skip', '--target-version', '7.0', '--allow-loss'])).toMatchObject({ code: 0, keysRestored: keysRejected });
    expect(await digestOf(liar)).toBe(await digestOf(honest));
  });
});
