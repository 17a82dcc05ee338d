import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openInput } from '../../src/io/input.js';

const lz4js = createRequire(import.meta.url)('lz4js') as { compress(bytes: Uint8Array): Uint8Array };

/** Random bytes with repetitions near and far. */
const data = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 200 })), { maxLength: 20 })
  .map((pieces) => Uint8Array.from(pieces.flatMap(([piece, times]) => Array.from({ length: times }, () => [...piece]).flat())));

test('what an independent encoder compressed comes back', async () => {
  await fc.assert(
    fc.asyncProperty(data, async (plain) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of openInput(lz4js.compress(plain), { chunkSize: 1000, text: true }).chunks()) chunks.push(chunk.slice());
      expect(Buffer.concat(chunks).equals(plain)).toBe(true);
    }),
  );
});
