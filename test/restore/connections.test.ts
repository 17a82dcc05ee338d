import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Codec } from '../../src/kernels/codec.js';
import { CommandBatch, type KeyListener } from '../../src/restore/command-batch.js';
import { Delivery } from '../../src/restore/delivery.js';
import { encodeCommand } from '../../src/redis/commands.js';
import { openSocket } from '../../src/redis/connect.js';
import { ServerIdentity } from '../../src/restore/server-identity.js';
import { DeliveryConnection } from '../../src/restore/delivery-connection.js';
import { ServerClock } from '../../src/redis/server-clock.js';
import { Servers } from '../../src/redis/servers.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { RateLimit } from '../../src/redis/rate-limit.js';
import { batchBuffers, OpenBatches } from '../../src/restore/batches.js';
import { parseTarget } from '../../src/values/targets.js';
import { FakeServer } from '../support/fake-server.js';
import { until } from '../support/until.js';

let server: FakeServer;
afterEach(() => server.stop());

const INFO = { redis_version: '7.0.15', run_id: 'now', uptime_in_seconds: '0' };
const RESTORE = encodeCommand(['RESTORE', 'key', '0', 'payload']);
const WINDOW = { window: 1 << 20, windowKeys: 1000 };

/** A batch of one RESTORE. */
function batchOf(listener: KeyListener): CommandBatch {
  const batch = new CommandBatch(listener, RESTORE.slice(), 0, 1);
  batch.length = RESTORE.length;
  batch.keys = 1;
  return batch;
}

test('a batch that is given back just when the connection is open is not sent on it, too', async () => {
  server = await FakeServer.start(INFO);
  const back: CommandBatch[] = [];
  const lost: CommandBatch[] = [];
  let ends = 0;
  const connection = new DeliveryConnection(
    {
      ...WINDOW,
      name: 'node',
      open: () => openSocket({ url: parseServerUrl(server.url) }),
      clock: new ServerClock(0),
      identity: ServerIdentity.from({ name: 'node', runId: 'before', since: 1, bare: true }),
      patience: 1000,
    },
    {
      failed: () => undefined,
      opened: () => undefined, noTransactions: () => undefined,
      released: () => undefined,
      restarted: (restarted) => queueMicrotask(() => back.push(...restarted.retire())), // after it is open, before what waits for that
      lost: (_, sent) => {
        ends++;
        lost.push(...sent);
      },
    },
  );
  const batch = batchOf({} as KeyListener);
  connection.send(batch);
  await until('the connection was given up', () => ends > 0);
  await delay(20);
  expect(back).toEqual([batch]);
  expect([lost, ends]).toEqual([[], 1]);
  expect(server.sent('RESTORE')).toEqual([]);
});

test('a batch in which nothing was written is free again, and not waited for', async () => {
  server = await FakeServer.start(INFO);
  const servers = await Servers.open({ url: parseServerUrl(server.url) });
  const delivery = new Delivery(servers, {
    ...WINDOW,
    retryFor: 1000,
    relativeTtl: false,
    same: () => false,
    onLoss: () => undefined,
    onNote: () => undefined,
  });
  const codec = { allocate: (size: number) => new Uint8Array(size) } as Codec;
  const batches = new OpenBatches(codec, {
    window: WINDOW.window,
    target: parseTarget('7.0'),
    delivery,
    conflict: 'error',
    countReplaced: false,
    rateLimit: new RateLimit({}),
  });
  let delivered = 0;
  const never = (): never => {
    throw new Error('the server refuses nothing');
  };
  const listener: KeyListener = {
    delivered: (_batch, _node, keys) => void (delivered += keys),
    conflict: never,
    refused: never,
    closing: never,
    alone: never,
    released: (batch) => batches.release(batch),
  };
  try {
    const [connection] = delivery.masters;
    batches.at(connection, 0, listener);
    const batch = batches.at(connection, 1, listener);
    batch.bytes.set(RESTORE);
    batch.length = RESTORE.length;
    batch.keys = 1;
    batches.sendAll();
    batches.at(connection, 2, listener);
    batches.sendAll();
    await until('the key is delivered', () => delivered === 1, 2000);
    expect(server.sent('SELECT', 'RESTORE')).toEqual(['SELECT 1', 'RESTORE key 0']);
    const buffers = Array.from({ length: batchBuffers(1) }, () =>
      batches.isPooled(batches.at(Object.create(connection) as DeliveryConnection, 0, listener)),
    );
    expect(buffers).not.toContain(false);
  } finally {
    await delivery.close({ settled: true });
  }
});
