import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { BIN, collect, type Ended } from '../support/processes.js';
import { RedisNode } from '../support/redis-node.js';
import { noise } from '../support/support.js';
import { TripProxy } from '../support/trip-proxy.js';
import { until } from '../support/until.js';

const folder = new Folder();
let source: RedisNode;
let target: RedisNode;

beforeAll(async () => {
  [source, target] = await Promise.all([RedisNode.start('--repl-diskless-sync-delay', '0'), RedisNode.start()]);
  const { client } = source;
  for (let i = 0; i < 20; i++) await client.set(`large:${i}`, Buffer.from(noise(2 << 20)));
  const pipeline = client.pipeline();
  for (let i = 0; i < 20_000; i++) pipeline.set(`small:${i}`, 'x'.repeat(50));
  await pipeline.exec();
});
beforeEach(async () => {
  await source.client.config('SET', 'repl-diskless-sync-delay', '0');
});
afterEach(() => source.signal('SIGCONT'));
afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  folder.remove();
});

/** Longer than anything should take after a signal, and shorter than what waits for a server. */
const PATIENCE = 20_000;

/** Runs the built program and sends it SIGINT when `ready` resolves. */
async function interrupted(argv: readonly string[], ready: (child: { err: string }) => Promise<unknown>): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...argv]);
  const ended = collect(child);
  const said = { err: '' };
  child.stderr.on('data', (piece: Buffer) => (said.err += piece.toString()));
  await ready(said);
  child.kill('SIGINT');
  const late = await Promise.race([ended, delay(PATIENCE, undefined, { ref: false })]);
  if (late === undefined) child.kill('SIGKILL');
  const end = await ended;
  expect({ late: late === undefined, out: end.err }).toMatchObject({ late: false });
  expect(end.code === 130 || end.signal === 'SIGINT', end.err).toBe(true);
  expect(end.err).toContain('rdbkit: interrupted by SIGINT.');
  expect(end.err).not.toMatch(/INTERNAL|Error:/);
  return end;
}

/** A proxy to a server that falls silent after this many bytes; `tripped` resolves then. */
async function silentAfter(node: RedisNode, after: number): Promise<{ proxy: TripProxy; tripped: Promise<void> }> {
  let trip = (): void => undefined;
  const tripped = new Promise<void>((resolve) => (trip = resolve));
  const proxy = await TripProxy.start(node.port, after, (bytes) => {
    trip();
    return delay(2 * PATIENCE, { bytes }, { ref: false });
  });
  return { proxy, tripped };
}

describe.each(['replication', 'scan'])('Ctrl-C, with --via %s', (way) => {
  test.each(['decode', 'inspect', 'restore'])('before the server answers: %s', async (command) => {
    const { proxy, tripped } = await silentAfter(source, 0);
    try {
      const argv = [command, proxy.url, ...(command === 'restore' ? [target.url] : []), '--via', way];
      await interrupted(argv, () => tripped);
    } finally {
      proxy.stop();
    }
  });

  test.each([3e6, 30e6, 42e6])('after %d bytes, with the server silent from then on', async (after) => {
    const output = folder.at(`${way}-${after}.rdb`);
    const { proxy, tripped } = await silentAfter(source, after);
    try {
      const { err } = await interrupted(['dump', proxy.url, '--via', way, '--output', output], async () => {
        await tripped;
        await delay(200);
      });
      expect(err).toContain(`What was written before is in ${output}.partial`);
      expect([existsSync(output), existsSync(`${output}.partial`)]).toEqual([false, true]);
    } finally {
      proxy.stop();
    }
  });

  test('while it tries to reach a server again that it has lost', async () => {
    const output = folder.at(`${way}-lost.rdb`);
    const proxy = await TripProxy.start(source.port, 20e6, (bytes) => {
      source.signal('SIGSTOP');
      setImmediate(() => proxy.dropAll());
      return { bytes, last: true };
    });
    try {
      const { err } = await interrupted(['dump', proxy.url, '--via', way, '--output', output, '--verbose'], async (child) => {
        await until('it is lost', () => /trying again|from the beginning/.test(child.err));
        await delay(300);
      });
      expect(err).toContain(`${output}.partial`);
      expect([existsSync(output), existsSync(`${output}.partial`)]).toEqual([false, true]);
    } finally {
      proxy.stop();
    }
  });

  test('while the target does not take what is read', async () => {
    const { proxy, tripped } = await silentAfter(target, 200);
    try {
      await interrupted(['restore', source.url, proxy.url, '--via', way, '--on-conflict', 'replace'], async () => {
        await tripped;
        await delay(300);
      });
    } finally {
      proxy.stop();
    }
  });
});

test('Ctrl-C while the server waits with its fork', async () => {
  await source.client.config('SET', 'repl-diskless-sync-delay', '60');
  const output = folder.at('fork.rdb');
  await interrupted(['dump', source.url, '--via', 'replication', '--output', output], async () => {
    await until('it is a replica', async () => /slave0:/.test(await source.client.info('replication')));
  });
  expect([existsSync(output), existsSync(`${output}.partial`)]).toEqual([false, false]);
  await until('it is no replica any more', async () => !/slave0:/.test(await source.client.info('replication')));
});
