import { expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import type { CommandBatch } from '../../src/restore/command-batch.js';
import type { Delivery } from '../../src/restore/delivery.js';
import type { DeliveryConnection } from '../../src/restore/delivery-connection.js';
import { ServerClock } from '../../src/redis/server-clock.js';
import { RateLimit } from '../../src/redis/rate-limit.js';
import { BATCH_BYTES, batchBuffers, OpenBatches } from '../../src/restore/batches.js';
import { parseTarget } from '../../src/values/targets.js';

const nobody = {
  delivered: () => undefined,
  conflict: () => undefined,
  refused: () => undefined,
  closing: () => undefined,
  alone: () => undefined,
  released: () => undefined,
};

test('batches for which there is no buffer take little memory, and as much as their key needs', () => {
  const delivery = { servers: { masters: [{}] }, send: () => undefined, notify: () => undefined } as unknown as Delivery;
  const batches = new OpenBatches(TS_CODEC, {
    target: parseTarget('7.0'),
    delivery,
    conflict: 'error',
    countReplaced: false,
    rateLimit: new RateLimit({}),
    window: 1,
  });
  const connection = { clock: new ServerClock(0) } as unknown as DeliveryConnection;
  const sizes = Array.from({ length: batchBuffers(1) + 1000 }, () => {
    const batch = batches.withRoom(connection, 0, nobody, 100);
    batch.keys++;
    batches.sendOff(connection, batch); // no reply comes
    return batch.bytes.length;
  });
  expect(sizes.slice(0, batchBuffers(1))).toEqual(Array(batchBuffers(1)).fill(BATCH_BYTES));
  expect(sizes.slice(batchBuffers(1)).reduce((sum, size) => sum + size, 0)).toBeLessThan(BATCH_BYTES);
  expect(batches.withRoom(connection, 0, nobody, 123_456).bytes).toHaveLength(123_456);
});

test('keys of databases in turn travel together, as many databases at a time as there are buffers for', () => {
  const sent: number[] = [];
  const send = (_connection: DeliveryConnection, { db, keys }: CommandBatch): void => void sent.push(db, keys);
  const delivery = { servers: { masters: [{}] }, send, notify: () => undefined } as unknown as Delivery;
  const options = {
    target: parseTarget('7.0'),
    delivery,
    conflict: 'error',
    countReplaced: false,
    rateLimit: new RateLimit({}),
    window: 1 << 20,
  } as const;
  const batches = new OpenBatches(TS_CODEC, options);
  const connection = { clock: new ServerClock(0) } as unknown as DeliveryConnection;
  const fill = (databases: number): void => {
    for (let key = 0; key < 3 * databases; key++) batches.at(connection, key % databases, nobody).keys++;
  };
  fill(2);
  expect(sent).toEqual([]);
  batches.sendAll();
  expect(sent).toEqual([0, 3, 1, 3]);
  sent.length = 0;
  fill(16);
  expect(batches.scarce).toBe(false);
  expect(sent).toEqual([]);
  batches.at(connection, 16, nobody);
  expect(sent).toHaveLength(2 * 16);
});
