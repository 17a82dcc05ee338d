import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Codec } from '../../src/kernels/codec.js';
import { Batch, type Delivery } from '../../src/redis/batch.js';
import { Bulk } from '../../src/redis/bulk.js';
import { encodeCommand } from '../../src/redis/commands.js';
import { openSocket } from '../../src/redis/connect.js';
import { Custody } from '../../src/redis/custody.js';
import { Link } from '../../src/redis/link.js';
import { ServerClock } from '../../src/redis/server-clock.js';
import { Servers } from '../../src/redis/servers.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { Pace } from '../../src/restore/rate-limit.js';
import { batchBuffers, RestoreBatches } from '../../src/restore/batches.js';
import { parseTarget } from '../../src/values/targets.js';
import { FakeServer } from '../support/fake-server.js';
import { until } from '../support/redis-node.js';

let server: FakeServer;
afterEach(() => server.stop());

const INFO = { redis_version: '7.0.15', run_id: 'now', uptime_in_seconds: '0' };
const RESTORE = encodeCommand(['RESTORE', 'key', '0', 'payload']);
const WINDOW = { window: 1 << 20, windowUnits: 1000 };

/** A batch of one RESTORE. */
function batchOf(delivery: Delivery): Batch {
  const batch = new Batch(delivery, RESTORE.slice(), 0, 1);
  batch.length = RESTORE.length;
  batch.units = 1;
  return batch;
}

test('a batch that is given back just when the connection is open is not sent on it, too', async () => {
  server = await FakeServer.start(INFO);
  const back: Batch[] = [];
  const lost: Batch[] = [];
  let ends = 0;
  const link = new Link(
    {
      ...WINDOW,
      name: 'node',
      open: () => openSocket({ url: parseServerUrl(server.url) }),
      clock: new ServerClock(0),
      custody: Custody.from({ name: 'node', runId: 'before', since: 1, bare: true }),
      patience: 1000,
    },
    {
      failed: () => undefined,
      released: () => undefined,
      restarted: (restarted) => queueMicrotask(() => back.push(...restarted.retire())), // after it is open, before what waits for that
      lost: (_, sent) => {
        ends++;
        lost.push(...sent);
      },
    },
  );
  const batch = batchOf({} as Delivery);
  link.send(batch);
  await until('the link was given up', () => ends > 0);
  await delay(20);
  expect(back).toEqual([batch]);
  expect([lost, ends]).toEqual([[], 1]);
  expect(server.sent('RESTORE')).toEqual([]);
});

test('a batch in which nothing was written is free again, and not waited for', async () => {
  server = await FakeServer.start(INFO);
  const servers = await Servers.open({ url: parseServerUrl(server.url) });
  const bulk = new Bulk(servers, { ...WINDOW, retryFor: 1000, relativeTtl: false, same: () => false, onLoss: () => undefined, onNote: () => undefined });
  const codec = { allocate: (size: number) => new Uint8Array(size) } as Codec;
  const batches = new RestoreBatches(codec, { window: WINDOW.window, target: parseTarget('7.0'), bulk, conflict: 'error', countReplaced: false, pace: new Pace({}) });
  let delivered = 0;
  const never = (): never => {
    throw new Error('the server refuses nothing');
  };
  const delivery: Delivery = { delivered: (_batch, _node, units) => void (delivered += units), conflict: never, refused: never, closing: never, released: (batch) => batches.release(batch) };
  try {
    const [link] = bulk.masters;
    batches.at(link, 0, delivery);
    const batch = batches.at(link, 1, delivery);
    batch.bytes.set(RESTORE);
    batch.length = RESTORE.length;
    batch.units = 1;
    batches.sendAll();
    batches.at(link, 2, delivery);
    batches.sendAll();
    await until('the key is delivered', () => delivered === 1, 2000);
    expect(server.sent('SELECT', 'RESTORE')).toEqual(['SELECT 1', 'RESTORE key 0']);
    const buffers = Array.from({ length: batchBuffers(1) }, () => batches.isPooled(batches.at(Object.create(link) as Link, 0, delivery)));
    expect(buffers).not.toContain(false);
  } finally {
    await bulk.close({ settled: true });
  }
});
