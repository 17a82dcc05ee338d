import fc from 'fast-check';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { rdbkit } from '../support/cli-support.js';
import { serverFile } from '../support/dump-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { framesOf } from '../support/transcode-support.js';

/** RDB version and greatest type of Redis 7.0, which each server under test reads. */
const VERSION = 10;
const GREATEST_TYPE = 19;
const MODULE = 7;
const LARGEST = 600;
const SPOILT = 400;
const BORDERS = [0x00, 0x01, 0x40, 0x7f, 0x80, 0xbf, 0xc1, 0xe0, 0xf0, 0xf4, 0xfd, 0xfe, 0xff];

interface Healthy {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Small values of every encoding that the server knows, by type. */
function healthyValues(): Healthy[][] {
  const byType = new Map<number, Healthy[]>();
  for (const name of ['redis-2.8.24', 'redis-5.0.14', 'redis-7.0.15', 'redis-7.2.6-nochecksum']) {
    for (const { bytes, end, start, type } of framesOf(serverFile(name))) {
      if (type.id === 0 || type.id === MODULE || type.id > GREATEST_TYPE || end - start > LARGEST) continue;
      byType.set(type.id, [...(byType.get(type.id) ?? []), { type: type.id, value: bytes.slice(start, end) }]);
    }
  }
  return [...byType.values()];
}

const spoiltPayload = (values: readonly (readonly Healthy[])[]): fc.Arbitrary<Uint8Array> =>
  fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...BORDERS))).map(([ofType, number, place, byte]) => {
    const some = values[ofType % values.length];
    const { type, value } = some[number % some.length];
    return encodePayload(type, value.with(place % value.length, byte), VERSION);
  });

const USES = [['DUMP', 'k'], ['LRANGE', 'k', 0, -1], ['SMEMBERS', 'k'], ['ZREVRANGE', 'k', 0, -1, 'WITHSCORES'], ['HGETALL', 'k'], ['XREVRANGE', 'k', '+', '-'], ['XINFO', 'STREAM', 'k', 'FULL'], ['DEL', 'k']] as const;

describe(`payload check beside ${SERVER} with sanitize-dump-payload`, () => {
  let strict: TestServer;
  beforeAll(async () => {
    strict = await TestServer.start('--sanitize-dump-payload', 'yes', '--crash-log-enabled', 'no');
  });
  afterAll(() => strict.stop());

  test('all that it refuses is found, and nothing that is passed ends it', async () => {
    const payloads = fc.sample(spoiltPayload(healthyValues()), SPOILT);
    const text = payloads.map((payload, i) => `${JSON.stringify({ db: 0, key: `${i}`, payload: Buffer.from(payload).toString('base64') })}\n`).join('');
    const { out } = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(text)]) });
    const valid = out.trimEnd().split('\n').map((line) => (JSON.parse(line) as { valid: boolean }).valid);
    const { client } = strict;
    const missed: string[] = [];
    let refused = 0;
    for (const [i, payload] of payloads.entries()) {
      const hex = Buffer.from(payload).toString('hex');
      const taken = await client.call('RESTORE', 'k', '0', Buffer.from(payload), 'REPLACE').then(() => true, (error: unknown) => !/Bad data format/.test(String(error)));
      if (!taken) refused++;
      if (!taken && valid[i]) missed.push(hex);
      if (!taken || !valid[i]) continue;
      for (const [name, ...words] of USES) await client.call(name, ...words).catch(() => undefined);
      expect(await client.ping().catch(() => 'dead'), hex).toBe('PONG');
    }
    expect(missed).toEqual([]);
    expect(refused).toBeGreaterThan(SPOILT / 10);
  });
});
