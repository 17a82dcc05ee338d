import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePayload, parsePayload } from '../src/rdb/payload.js';
import { Folder, lines, rdbkit } from './cli-support.js';
import { SERVERS } from './dump-support.js';
import { missingServer, TestServer } from './redis-server.js';
import { be, bytes, listpack, type Packable, type Part, rdb, str } from './support.js';

const folder = new Folder();
afterAll(() => folder.remove());
const missing = missingServer();

/** A stream whose second element says that it is 0x15 bytes long. */
const DEADLY = Buffer.from(
  '0f0110000000000000000200000000000000024055550000000f00010100150201883100000000000000098832000000000000000900010001000100010202883100000000' +
    '000000098861000000000000000988320000000000000009886200000000000000090801ff0a010000090006fb44240a8e75ea',
  'hex',
);

interface Report {
  valid: boolean;
  type: string;
  key: string;
  error?: { code: string; got: string };
}

async function check(payloads: readonly Uint8Array[]): Promise<Report[]> {
  const text = payloads.map((payload, i) => `${JSON.stringify({ db: 0, key: `${i}`, payload: Buffer.from(payload).toString('base64') })}\n`).join('');
  const { out } = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(text)]) });
  return out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Report);
}

const n = (value: number): bigint => BigInt(value);
/** A stream of one node: its listpack, and how many entries it says that it has. */
const stream = (node: Part, length = 1): Uint8Array => encodePayload(15, bytes(1, str(be(1, 8), be(0, 8)), str(node), length, 1, 0, 0), 9);
const NODE: readonly Packable[] = [n(1), n(0), n(1), 'f', n(0), n(2), n(0), n(0), 'v', n(4)];
const but = (at: number, ...items: Packable[]): Packable[] => NODE.toSpliced(at, items.length, ...items);
const spoilt = (at: number, byte: number): Uint8Array => listpack(NODE).map((old, i) => (i === at ? byte : old));

describe('payload check', () => {
  test.each<[name: string, payload: Uint8Array, got: string]>([
    ['a length behind an element that is not its own', DEADLY, 'got 21 at element 1 of its listpack, at node 0'],
    ['the same in an entry', stream(spoilt(25, 3)), 'expected a backward length of 2, got 3 at element 8 of its listpack, at node 0'],
    ['another total length', stream(spoilt(0, 99)), 'expected a header that says 29 bytes, got 99, at node 0'],
    ['another count', stream(spoilt(4, 9)), 'expected a header that says 10 elements, got 9'],
    ['no end of the master entry', stream(listpack(but(4, n(1)))), 'something else'],
    ['another count of elements in an entry', stream(listpack(but(9, n(5)))), 'expected 4 as the number of elements of an entry, got 5, at entry 0 of node 0'],
    ['fewer entries than it says', stream(listpack(but(0, n(2)))), 'expected 1 live and 0 deleted entries in the master entry, as follow it, got 2 and 0'],
    ['a deleted entry that it does not count', stream(listpack(but(5, n(3)))), 'expected 0 live and 1 deleted entries in the master entry, as follow it, got 1 and 0'],
    ['fewer entries than the stream says', stream(listpack(NODE), 2), '2'],
  ])('finds %s', async (_, payload, got) => {
    expect(await check([payload])).toMatchObject([{ valid: false, error: { code: expect.stringMatching(/^BAD_(STREAM|LISTPACK)$/) as string } }]);
    const { code, out } = await rdbkit(['payload', 'check', Buffer.from(payload).toString('hex')]);
    expect(code).toBe(3);
    expect(out).toContain(got);
  });

  test('takes integers as text, as servers do', async () => {
    const text = stream(listpack(['1', '0', '1', 'f', '0', '2', '0', '0', 'v', '4'].map((item) => Buffer.from(item))));
    expect(await check([text, stream(listpack(NODE))])).toMatchObject([{ valid: true }, { valid: true }]);
  });

  test('takes every stream of real servers', async () => {
    let streams = 0;
    for (const name of SERVERS) {
      const file = fileURLToPath(new URL(`../fixtures/servers/${name}.rdb`, import.meta.url));
      const { out } = await rdbkit(['dump', file, '--format', 'payload', '--type', 'stream']);
      if (out === '') continue; // servers before 5.0
      const { code, out: said } = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(out)]) });
      expect([name, code, said.match(/"valid":false/g)]).toEqual([name, 0, null]);
      streams += said.split('\n').length - 1;
    }
    expect(streams).toBeGreaterThan(100);
  });
});

describe.skipIf(missing !== undefined)('beside a real server', () => {
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
    expect(err).toContain(`NOT_RESTORED: ${source}, db 0, key "deadly": its value is damaged: expected a backward length of 1, got 21 at element 1 of its listpack; a server may crash on it.`);
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

  test('what it refuses of spoilt nodes is found', { timeout: 120_000 }, async () => {
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
