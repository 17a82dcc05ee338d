import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { Folder, rdbkit } from '../support/cli-support.js';
import { SERVERS } from '../support/dump-support.js';
import { check, DEADLY } from '../support/payload-check.js';
import { be, bytes, listpack, type Packable, type Part, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

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
    [
      'another count of elements in an entry',
      stream(listpack(but(9, n(5)))),
      'expected 4 as the number of elements of an entry, got 5, at entry 0 of node 0',
    ],
    [
      'fewer entries than it says',
      stream(listpack(but(0, n(2)))),
      'expected 1 live and 0 deleted entries in the master entry, as follow it, got 2 and 0',
    ],
    [
      'a deleted entry that it does not count',
      stream(listpack(but(5, n(3)))),
      'expected 0 live and 1 deleted entries in the master entry, as follow it, got 1 and 0',
    ],
    ['fewer entries than the stream says', stream(listpack(NODE), 2), '2'],
  ])('finds %s', async (_, payload, got) => {
    expect(await check([payload])).toMatchObject([
      { valid: false, error: { code: expect.stringMatching(/^BAD_(STREAM|LISTPACK)$/) as string } },
    ]);
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
      const file = fileURLToPath(new URL(`../../fixtures/servers/${name}.rdb`, import.meta.url));
      const { out } = await rdbkit(['dump', file, '--format', 'payload', '--type', 'stream']);
      if (out === '') continue; // servers before 5.0
      const { code, out: said } = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(out)]) });
      expect([name, code, said.match(/"valid":false/g)]).toEqual([name, 0, null]);
      streams += said.split('\n').length - 1;
    }
    expect(streams).toBeGreaterThan(100);
  });
});
