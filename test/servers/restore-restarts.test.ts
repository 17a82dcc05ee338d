import { readFileSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { expectAll, faultSource, restore, SLOWLY, wrongIn } from '../support/fault-support.js';
import { RedisNode } from '../support/redis-node.js';
import { strings } from '../support/restore-support.js';
import { until } from '../support/until.js';

const fault = faultSource();

describe('a single server that stops, or is full', () => {
  let server: RedisNode;

  beforeAll(async () => {
    server = await RedisNode.start();
  });

  afterEach(async () => {
    await server.client.flushall();
    await server.client.config('SET', 'maxmemory', '0');
  });

  afterAll(() => server.stop());

  const size = (): Promise<number> => server.client.dbsize();

  test.each(['replace', 'skip', 'error'])('the server saves, and is started again: --on-conflict %s', async (conflict) => {
    const running = restore([fault.source, server.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await size()) > 5000);
    await server.shutdown();
    await server.restart('--key-load-delay', '20');
    expectAll(await running, fault.data);
    await until('it has loaded', async () => (await server.client.info('persistence')).includes('\nloading:0'));
    expect(await wrongIn([server], fault.data)).toEqual([]);
  });

  test.each(['replace', 'skip', 'error'])('the server loses all that it had: --on-conflict %s', async (conflict) => {
    const running = restore([fault.source, server.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await size()) > 5000);
    await server.kill();
    await server.restart();
    expectAll(await running, fault.data);
    expect(await wrongIn([server], fault.data)).toEqual([]);
  });

  test('the server loses all that it had, and the source is standard input', async () => {
    const running = restore(['-', server.url, ...SLOWLY], Readable.from([fault.data.rdb]));
    await until('keys are there', async () => (await size()) > 5000);
    await server.kill();
    await server.restart();
    const { code, summary } = await running;
    expect(code).toBe(4);
    expect(summary.errors).toMatchObject([{ code: 'RESTARTED', message: expect.stringContaining('standard input cannot be read again') as string }]);
    expectAll(await restore(['-', server.url, '--on-conflict', 'replace'], Readable.from([fault.data.rdb])), fault.data);
    expect(await wrongIn([server], fault.data)).toEqual([]);
  });

  test('a target that was emptied meanwhile is not gone on with', async () => {
    const checkpoint = fault.folder.at('emptied.json');
    const argv = [fault.folder.file('few.rdb', strings({ few: '1' })), fault.source, server.url, '--parallel', '1', '--checkpoint', checkpoint];
    const used = Number(/used_memory:(\d+)/.exec(await server.client.info('memory'))?.[1]);
    await server.client.config('SET', 'maxmemory', `${used + (3 << 20)}`);
    expect((await restore(argv)).code).toBe(4);
    await server.client.config('SET', 'maxmemory', '0');
    await server.client.flushall();
    const { code, summary } = await restore(argv);
    expect(code).toBe(2);
    expect(summary.errors).toMatchObject([{ code: 'CHECKPOINT', message: expect.stringMatching(/^the target is empty, but had \d+ of the keys: remove it to restore them again$/) as string }]);
    expect(await size()).toBe(0);
    rmSync(checkpoint);
    expect((await restore(argv)).code).toBe(0);
    expect(await size()).toBe(fault.data.content.size + 1);
  });

  test('memory runs out, is given, and the restore goes on', async () => {
    const checkpoint = fault.folder.at('oom.json');
    const used = Number(/used_memory:(\d+)/.exec(await server.client.info('memory'))?.[1]);
    await server.client.config('SET', 'maxmemory', `${used + (3 << 20)}`);
    const first = await restore([fault.source, server.url, '--checkpoint', checkpoint]);
    expect(first.code).toBe(4);
    expect(first.summary.errors).toMatchObject([{ code: 'REFUSED', message: expect.stringContaining('OOM') as string, hint: expect.stringContaining('maxmemory') as string }]);
    const there = await size();
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(fault.data.content.size);
    await server.client.config('SET', 'maxmemory', '0');
    const second = await restore([fault.source, server.url, '--checkpoint', checkpoint]);
    expectAll(second, fault.data);
    expect(second.summary.resumed).toBe(true);
    expect(await wrongIn([server], fault.data)).toEqual([]);
    expect(readFileSync(checkpoint, 'utf8')).toContain('"finished": true');
  });
});
