import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodePayload, parsePayload } from '../../src/rdb/payload.js';
import { PayloadLines } from '../../src/dump/payload-lines.js';
import { dumped, type Feeding, serverFile, SERVERS } from '../support/dump-support.js';
import { bytes, le, len, rdb, str } from '../support/support.js';

interface Line {
  db: number;
  key: string;
  type: string;
  expireAt?: number;
  payload: string;
}

const payloads = (rdbs: Uint8Array[], feeding: Feeding = {}) => dumped(rdbs, (output, options) => new PayloadLines(output, options), feeding);
const lines = (text: string): Line[] => text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
const sha1 = (data: Uint8Array): string => createHash('sha1').update(data).digest('hex');

/**
 * What the server itself answered to DUMP of every key: `[db, key, SHA-1 of the payload]`. Where the hash begins with `~`, it is
 * that of the payload's sorted bytes without the CRC: 14 hashes whose table the server reordered between SAVE and DUMP.
 */
function truth(name: string): [number, string, string][] {
  const url = new URL(`../../fixtures/dumps/${name}.jsonl.gz`, import.meta.url);
  return gunzipSync(readFileSync(url)).toString().split('\n').slice(0, -1).map((line) => JSON.parse(line) as [number, string, string]);
}

const names = SERVERS.filter((name) => existsSync(new URL(`../../fixtures/dumps/${name}.jsonl.gz`, import.meta.url)));

describe('payloads are those of the server', () => {
  test('there are fixtures', () => {
    expect(names.length).toBeGreaterThanOrEqual(12);
    expect(names.flatMap(truth).filter(([, , digest]) => digest.startsWith('~'))).toHaveLength(14);
  });

  test.each(names)('%s', async (name) => {
    const { text } = await payloads([serverFile(name)]);
    const found = new Map(lines(text).map(({ db, key, payload }) => [`${db} ${key}`, Buffer.from(payload, 'base64')]));
    const want = truth(name);
    const wrong = want.filter(([db, key, digest]) => {
      const payload = found.get(`${db} ${key}`);
      if (payload === undefined) return true;
      return digest.startsWith('~') ? sha1(payload.subarray(0, -8).sort()) !== digest.slice(1) : sha1(payload) !== digest;
    });
    expect(wrong).toEqual([]);
    expect(found.size).toBe(want.length);
  });

  test.each(names)('%s, in chunks and parts, by either make of the hot loops', async (name) => {
    const file = serverFile(name);
    const want = (await payloads([file])).text;
    expect((await payloads([file], { codec: true })).text === want).toBe(true);
    expect((await payloads([file], { chunks: 997, limit: 64 })).text === want).toBe(true);
    expect((await payloads([file], { chunks: 70_000, limit: 1000, codec: true })).text === want).toBe(true);
  });
});

describe('payloads', () => {
  test('the payload that Redis documents for 10', () => {
    // redis.io/docs/latest/commands/dump: SET mykey 10, DUMP mykey
    const documented = Buffer.from('\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb', 'latin1');
    const payload = encodePayload(0, bytes(0xc0, 10), 10);
    expect(payload).toEqual(new Uint8Array(documented));
    expect(parsePayload(payload)).toMatchObject({ type: 0, version: 10, vendor: 'redis', checksum: 'ok', hasKeyMeta: false });
  });

  test('what was put together is taken apart again', () => {
    fc.assert(
      fc.property(fc.nat(33), fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 90 }), (type, value, version) => {
        const payload = encodePayload(type, value, version);
        expect(parsePayload(payload)).toEqual({ type, version, vendor: version >= 80 ? 'valkey' : 'redis', checksum: 'ok', value, hasKeyMeta: false });
      }),
    );
  });

  test('any changed byte is noticed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const payload = encodePayload(4, value, 11);
        payload[at % payload.length] ^= change;
        expect(parsePayload(payload).checksum).not.toBe('ok');
      }),
    );
  });

  test('one without a checksum says so, one too short is refused', () => {
    expect(parsePayload(bytes(0, 1, 0x61, le(11, 2), le(0, 8))).checksum).toBe('none');
    expect(() => parsePayload(new Uint8Array(11))).toThrow(/12 bytes or more/);
  });

  test('the metadata of a key stands before its type', async () => {
    const meta = bytes(len(1), le(0x1234_5678, 4), 2, len(5), 0);
    const file = rdb('REDIS0013', [bytes(0xf3, meta), 0, str('k'), str('v')]);
    const [{ payload }] = lines((await payloads([file])).text);
    const parsed = parsePayload(Buffer.from(payload, 'base64'));
    expect(parsed).toMatchObject({ checksum: 'ok', version: 13, hasKeyMeta: true });
    expect(new Uint8Array(Buffer.from(payload, 'base64'))).toEqual(encodePayload(0, str('v'), 13, meta));
  });
});
