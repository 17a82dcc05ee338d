import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { rdbkit } from '../support/cli-support.js';
import { be, bytes, le, listpack, type Part, rdb, str } from '../support/support.js';

const HUGE = 2n ** 63n - 1n;
/** A length of 64 bits. */
const huge: Part = [0x81, be(HUGE, 8)];

const KEY = str('k');

test.each<[name: string, magic: string, part: Part]>([
  ['the length of a string', 'REDIS0009', [0, KEY, huge]],
  ['the length of a key', 'REDIS0009', [0, huge]],
  ['a count', 'REDIS0009', [1, KEY, huge]],
  ['a count of pairs', 'REDIS0009', [4, KEY, huge]],
  ['a compressed length', 'REDIS0009', [0, KEY, 0xc3, huge, 1, 0]],
  ['a decompressed length', 'REDIS0009', [0, KEY, 0xc3, 1, huge, 0]],
  ['a compressed length of a key', 'REDIS0009', [0, 0xc3, huge, 1, 0]],
  ['a database', 'REDIS0009', [254, huge]],
  ['an idle time', 'REDIS0009', [248, huge, 0, KEY, str('v')]],
  ['a kind of list node', 'REDIS0010', [18, KEY, 1, huge, str('v')]],
  ['the tag of an array element', 'REDIS0014', [28, KEY, 1, 0, 0, huge, str('v')]],
  ['the form of field names', 'REDIS0015', [29, KEY, huge, str('v')]],
  ['a template that is used', 'REDIS0015', [32, KEY, huge, str('v')]],
  ['a template that is defined', 'REDIS0015', [242, huge, 1, str('f'), 242, huge, 1, str('f'), 0, KEY, str('v')]],
  ['the length of an aux field', 'REDIS0009', [250, huge, str('v')]],
])('%s is shown to the last digit', async (_, magic, part) => {
  for (const command of [['dump', '--format', 'rdb'], ['dump', '--format', 'payload', '--target-version', '6.2']]) {
    const { err } = await rdbkit([...command, '-'], { stdin: Readable.from([Buffer.from(rdb(magic, [part]))]) });
    if (err.includes('expected')) expect(err).toContain(`${HUGE}`); // else it is copied as it stands
    expect(err).not.toMatch(/922337203685477(6000|5808)/);
  }
  const { code, err } = await rdbkit(['decode', '-'], { stdin: Readable.from([Buffer.from(rdb(magic, [part]))]) });
  expect(code).toBe(3);
  expect(err).toContain(`${HUGE}`);
});

describe('in payloads, too', () => {
  const node = listpack([1n, 0n, 1n, 'f', 0n, 2n, 0n, 0n, 'v', 4n]);
  const nodes: Part = [1, str(be(1, 8), be(0, 8)), str(node)];
  test.each<[name: string, type: number, value: Part]>([
    ['the length of a stream', 15, [nodes, huge, 1, 0, 0]],
    ['pending entries', 15, [nodes, 1, 1, 0, 1, str('group'), 1, 0, 1, be(1, 8), be(0, 8), le(0, 8), 1, 1, str('consumer'), le(0, 8), huge]],
  ])('%s', async (_, type, value) => {
    const { code, out } = await rdbkit(['payload', 'check', Buffer.from(encodePayload(type, bytes(value), 9)).toString('hex')]);
    expect(code).toBe(3);
    expect(out).toContain(`${HUGE}`);
  });
});
