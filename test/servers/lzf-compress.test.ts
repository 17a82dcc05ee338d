import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBuilder } from '../../src/bytes/builder.js';
import { encodePayload } from '../../src/rdb/payload.js';
import { addBytes } from '../../src/rdb/write-string.js';
import { plains } from '../support/lzf-texts.js';
import { SERVER, TestServer } from '../support/redis-server.js';

describe(`${SERVER} reads`, () => {
  test('what is compressed here', async () => {
    const server = await TestServer.start();
    try {
      const out = new ByteBuilder();
      await fc.assert(
        fc.asyncProperty(plains, async (plain) => {
          out.clear();
          addBytes(out, plain, 0, plain.length);
          await server.client.call('RESTORE', 'k', '0', Buffer.from(encodePayload(0, out.view(), 9)), 'REPLACE');
          expect(Buffer.compare((await server.client.getBuffer('k')) ?? Buffer.alloc(0), plain)).toBe(0);
        }),
        { numRuns: 300 },
      );
    } finally {
      await server.stop();
    }
  });
});
