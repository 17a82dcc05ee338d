import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { acceptsVersion, type Target } from '../../src/values/targets.js';
import { rdbkit } from '../support/cli-support.js';
import { SERVERS } from '../support/dump-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { bytes, str } from '../support/support.js';

interface Report {
  key: string;
  servers: string[];
}

describe(`RESTORE of ${SERVER}`, () => {
  let server: TestServer;
  let target: Target;

  beforeAll(async () => {
    server = await TestServer.start();
    target = await server.target();
  });
  afterAll(() => server.stop());

  const restores = async (payload: Uint8Array): Promise<boolean> => {
    try {
      return (await server.client.call('RESTORE', 'key', '0', Buffer.from(payload), 'REPLACE')) === 'OK';
    } catch (error) {
      if (!/DUMP payload version or checksum are wrong|Bad data format/.test(String(error))) throw error;
      return false;
    }
  };

  test('takes the versions that it is said to take', async () => {
    const versions = [...Array.from({ length: 130 }, (_, version) => version), 255, 256, 999, 65_535];
    const taken: number[] = [];
    for (const version of versions) if (await restores(encodePayload(0, str('v'), version))) taken.push(version);
    expect(taken).toEqual(versions.filter((version) => acceptsVersion(target, version)));
  });

  test('refuses a checksum that is wrong, or zero; passes over what follows the value', async () => {
    const payload = encodePayload(0, str('v'), 6);
    expect(await restores(payload)).toBe(!target.exact);
    expect(await restores(payload.map((byte, i) => (i === payload.length - 1 ? byte ^ 1 : byte)))).toBe(false);
    expect(await restores(payload.map((byte, i) => (i >= payload.length - 8 ? 0 : byte)))).toBe(false);
    expect(await restores(encodePayload(0, bytes(str('v'), 1, 2, 3), 6))).toBe(true);
    expect(await server.client.get('key')).toBe('v');
  });

  test.each(SERVERS.filter((name) => !name.endsWith('modules')))('takes of %s what payload check says', async (name) => {
    const file = fileURLToPath(new URL(`../../fixtures/servers/${name}.rdb`, import.meta.url));
    const { out } = await rdbkit(['dump', file, '--format', 'payload']);
    const checked = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(out)]) });
    const reports = checked.out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Report);
    const payloads = out.split('\n').slice(0, -1).map((line) => (JSON.parse(line) as { payload: string }).payload);
    const wrong: string[] = [];
    for (const [i, { key, servers }] of reports.entries()) {
      const said = servers.includes(`${target.vendor}-${target.release}`);
      if ((await restores(Buffer.from(payloads[i], 'base64'))) !== said) wrong.push(`${key}: ${said}`);
    }
    expect(wrong).toEqual([]);
    expect(reports).toHaveLength(250);
  });
});
