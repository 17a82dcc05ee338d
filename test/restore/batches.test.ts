import { expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import type { Bulk } from '../../src/redis/bulk.js';
import type { Link } from '../../src/redis/link.js';
import { ServerClock } from '../../src/redis/server-clock.js';
import { Pace } from '../../src/restore/rate-limit.js';
import { BATCH_BYTES, batchBuffers, RestoreBatches } from '../../src/restore/batches.js';
import { parseTarget } from '../../src/values/targets.js';

const nobody = { delivered: () => undefined, conflict: () => undefined, refused: () => undefined, closing: () => undefined, released: () => undefined };

test('batches for which there is no buffer take little memory, and as much as their key needs', () => {
  const bulk = { servers: { masters: [{}] }, send: () => undefined, notify: () => undefined } as unknown as Bulk;
  const batches = new RestoreBatches(TS_CODEC, { target: parseTarget('7.0'), bulk, conflict: 'error', countReplaced: false, pace: new Pace({}), window: 1 });
  const link = { clock: new ServerClock(0) } as unknown as Link;
  const sizes = Array.from({ length: batchBuffers(1) + 1000 }, () => {
    const batch = batches.withRoom(link, 0, nobody, 100);
    batch.units++;
    batches.sendOff(link, batch); // no reply comes
    return batch.bytes.length;
  });
  expect(sizes.slice(0, batchBuffers(1))).toEqual(Array(batchBuffers(1)).fill(BATCH_BYTES));
  expect(sizes.slice(batchBuffers(1)).reduce((sum, size) => sum + size, 0)).toBeLessThan(BATCH_BYTES);
  expect(batches.withRoom(link, 0, nobody, 123_456).bytes).toHaveLength(123_456);
});
