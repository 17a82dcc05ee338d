import { describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { samePayload } from '../../src/values/same-value.js';
import { serverFile } from '../support/dump-support.js';
import { TestServer } from '../support/redis-server.js';
import { framesOf } from '../support/transcode-support.js';

/** Payloads of the keys of a file, by database and key. Types that only newer files have do not come up. */
const payloadsOf = (file: Uint8Array): Map<string, Uint8Array> =>
  new Map(
    Array.from(framesOf(file), (frame) => [
      `${frame.db} ${Buffer.from(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd)).toString('hex')}`,
      encodePayload(frame.type.id, frame.bytes.slice(frame.start, frame.end), 11),
    ]),
  );

describe('what a real server gives back of what it was given', () => {
  test.each(['redis-2.8.24', 'redis-3.2.13', 'redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15'])('%s', async (name) => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    const { client } = server;
    try {
      await server.load(serverFile(name));
      let [compared, reencoded] = [0, 0];
      let before: Uint8Array = new Uint8Array(0);
      for (const [key, payload] of payloadsOf(serverFile(name))) {
        const [db, hex] = key.split(' ');
        await client.select(Number(db));
        const found = (await client.callBuffer('DUMP', Buffer.from(hex, 'hex'))) as Buffer | null;
        if (found === null) continue; // it has expired
        expect(samePayload(payload, found), key).toBe(true);
        expect(samePayload(found, before), key).toBe(false);
        compared++;
        if (Buffer.compare(payload.subarray(0, -10), found.subarray(0, -10)) !== 0) reencoded++;
        before = found;
      }
      expect(compared).toBeGreaterThan(200);
      if (name !== 'redis-7.0.15') expect(reencoded).toBeGreaterThan(50);
    } finally {
      await server.stop();
    }
  });
});
