import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePayload, parsePayload } from '../../src/rdb/payload.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { check, DEADLY } from '../support/payload-check.js';
import { TestServer } from '../support/redis-server.js';
import { be, listpack, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const n = (value: number): bigint => BigInt(value);

describe('beside a real server', () => {
  let strict: TestServer;
  let target: TestServer;
  beforeAll(async () => {
    strict = await TestServer.start('--sanitize-dump-payload', 'yes', '--rdbcompression', 'no', '--stream-node-max-entries', '3');
    target = await TestServer.start();
  });
  afterAll(async () => {
    await strict.stop();
    await target.stop();
  });

  const restored = async (payload: Uint8Array): Promise<boolean> => {
    try {
      return (await strict.client.call('RESTORE', 'key', '0', Buffer.from(payload), 'REPLACE')) === 'OK';
    } catch (error) {
      if (!/Bad data format/.test(String(error))) throw error;
      return false;
    }
  };

  test('the deadly one kills a server that does not look, and is refused by one that does', async () => {
    expect(await restored(DEADLY)).toBe(false);
    const server = await TestServer.start('--crash-log-enabled', 'no');
    try {
      await expect(server.client.call('RESTORE', 'key', '0', DEADLY)).rejects.toThrow(/closed|ECONNRESET|max retries/);
    } finally {
      await server.stop();
    }
  });

  test('a dry run names it, as what would be rejected, unless it is filtered out', async () => {
    const { type, value } = parsePayload(DEADLY);
    const source = folder.file('deadly.rdb', rdb('REDIS0009', [0, str('a'), str('1'), type, str('deadly'), value, 0, str('z'), str('2')]));
    const url = `redis://127.0.0.1:${target.client.options.port}`;
    const rejects = folder.at('rejects.jsonl');
    const { code, err } = await rdbkit(['restore', source, url, '--dry-run', '--rejects', rejects]);
    expect(code).toBe(1);
    expect(err).toContain(`NOT_RESTORED: ${source}, db 0, key "deadly": its value is damaged: expected a backward length of 1, got 21 at element 1 of its listpack, at node 0; a server may crash on it.`);
    expect(err).toContain('2 keys to restore, 1 rejected');
    expect(lines(readFileSync(rejects, 'utf8'))).toMatchObject([{ key: 'deadly', payload: DEADLY.toString('base64') }]);
    expect((await rdbkit(['restore', source, url, '--dry-run', '--type', 'string'])).code).toBe(0);
  });

  test('a large stream is looked at in all its parts', async () => {
    const entries = 300;
    const node = (spoil: boolean): Uint8Array => {
      const items = [n(entries), n(0), n(1), 'f', n(0), ...Array.from({ length: entries }, (_, i) => [n(2), n(i), n(0), 'x'.repeat(4000), n(4)]).flat()];
      const made = listpack(items);
      if (spoil) made[made.length - 2] ^= 2; // the length behind the last element
      return made;
    };
    const value = (spoil: boolean): Part => [2, str(be(1, 8), be(0, 8)), str(node(false)), str(be(1000, 8), be(0, 8)), str(node(spoil)), [0x42, 0x58], [0x48, 0], 0, 0];
    const source = folder.file('large.rdb', rdb('REDIS0009', [15, str('good'), value(false), 15, str('bad'), value(true)]));
    const { code, err } = await rdbkit(['restore', source, `redis://127.0.0.1:${target.client.options.port}`, '--dry-run', '--json', '--rejects', folder.at('large.jsonl')]);
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ keysRestored: 1, keysRejected: 1, rejected: [{ key: 'bad', reason: expect.stringContaining('damaged') as string }] });
    expect(lines(readFileSync(folder.at('large.jsonl'), 'utf8'))).toMatchObject([{ key: 'bad' }]);
  });

  test('what it refuses of spoilt nodes is found', async () => {
    const { client } = strict;
    for (let i = 1; i <= 8; i++) await client.xadd('made', `${i}-1`, ...(i % 3 === 0 ? ['other', `${i * 1000}`, 'two', 'x'.repeat(70 * i)] : ['field', `value ${i}`, 'number', `${-(i ** 9)}`]));
    await client.xdel('made', '2-1', '7-1');
    const dump = await client.dumpBuffer('made');
    const { type, value, version } = parsePayload(dump);
    const nodes = nodesEnd(value);
    const spoilts: Uint8Array[] = [];
    for (let at = 0; at < nodes; at++) {
      if (value[at] === 0x78) continue; // the text of an element
      for (const byte of [0, 1, 2, 0x7f, 0x80, 0xbf, 0xe0, 0xf0, 0xf4, 0xff, value[at] ^ 1, value[at] ^ 0x80, (value[at] + 1) & 0xff, (value[at] - 1) & 0xff]) {
        if (byte !== value[at]) spoilts.push(encodePayload(type, value.map((old, i) => (i === at ? byte : old)), version));
      }
    }
    const reports = await check(spoilts);
    const missed: string[] = [];
    let refused = 0;
    for (const [i, payload] of spoilts.entries()) {
      const taken = await restored(payload);
      if (!taken) refused++;
      if (!taken && reports[i].valid) missed.push(Buffer.from(payload).toString('hex'));
    }
    expect(missed).toEqual([]);
    expect(refused).toBeGreaterThan(1000);
    expect(await check([dump])).toMatchObject([{ valid: true }]);
  });
});

/** Where the nodes of a stream end: none of their strings is compressed. */
function nodesEnd(value: Uint8Array): number {
  let at = 1;
  for (let strings = value[0] * 2; strings > 0; strings--) {
    const first = value[at];
    at += first < 0x40 ? 1 + first : 2 + (((first & 0x3f) << 8) | value[at + 1]);
  }
  return at;
}
