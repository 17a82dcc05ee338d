import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { History, StatusNow } from '../../src/status/fields.js';
import { Running } from '../support/processes.js';
import { parseMetrics } from '../support/prometheus-text.js';
import { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

let source: RedisNode;
let target: RedisNode;

beforeAll(async () => {
  const start = (): Promise<RedisNode> => RedisNode.start('--repl-diskless-sync-delay', '0');
  [source, target] = await Promise.all([start(), start()]);
});
beforeEach(async () => {
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  await source.client.mset('a', '1', 'b', '2');
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const sync = (...argv: string[]): Running => new Running(['sync', source.url, target.url, '--spool', 'none', ...argv]);

async function urlOf(run: Running): Promise<string> {
  await run.said(/^rdbkit: status: http:\S+\/$/m);
  return /status: (\S+)/.exec(run.err)?.[1] ?? '';
}

const jsonOf = async <T>(url: string): Promise<T> => (await (await fetch(url)).json()) as T;

/** Until changes are applied. */
async function follows(url: string): Promise<void> {
  await until('changes are applied', async () => {
    const { lanes, phase } = await jsonOf<StatusNow>(`${url}status`);
    return phase === 'changes' && lanes.every(({ attached }) => attached);
  });
}

/** Connections that stay open, as those of a browser do. */
async function hold(url: string): Promise<Agent> {
  const agent = new Agent({ keepAlive: true });
  const [response] = (await once(get(`${url}healthz`, { agent }), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return agent;
}

describe('a sync that answers where it stands', () => {
  test('status, history, metrics and health; SIGTERM ends it at a clean position, whoever is connected', async () => {
    const run = sync('--status', '127.0.0.1:0');
    const url = await urlOf(run);
    expect(run.err).not.toContain('there is no login');
    await follows(url);
    for (let i = 0; i < 50; i++) await source.client.incr('a');
    await until('the writes are counted, and certain', async () => {
      const [{ applied = 0, counts, received = 0 }] = (await jsonOf<StatusNow>(`${url}status`)).lanes;
      return (counts?.commands ?? 0) >= 50 && applied > 0 && applied === received;
    });

    const now = await jsonOf<StatusNow>(`${url}status`);
    expect(now).toMatchObject({ ...{ source: source.url, target: target.url, phase: 'changes', problems: 0, copy: { keys: 2 } } });
    const metrics = parseMetrics(await (await fetch(`${url}metrics`)).text());
    const [{ name }] = now.lanes;
    expect(metrics.get('rdbkit_sync_commands_total')?.samples).toEqual([{ labels: { master: name }, value: expect.any(Number) as number }]);
    expect(metrics.get('rdbkit_sync_connected')?.samples).toEqual([{ labels: { master: name }, value: 1 }]);
    expect(metrics.get('rdbkit_sync_applied_offset')?.samples[0].value).toBeGreaterThan(0);
    const health = await fetch(`${url}healthz`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
    expect((await jsonOf<History>(`${url}history`)).samples.length).toBeGreaterThan(0);
    expect(await (await fetch(url)).text()).toContain('<title>rdbkit sync</title>');

    const agent = await hold(url);
    for (let i = 0; i < 1000; i++) void source.client.incr('b');
    await source.client.set('last', 'x');
    await until('all was received', async () => (await target.client.get('last')) === 'x');
    const { code, err } = await run.kill('SIGTERM');
    agent.destroy();
    expect([code, err]).toEqual([143, expect.stringMatching(/that was received is applied\./)]);
    expect(await target.client.get('b')).toBe('1002');
    await expect(fetch(url)).rejects.toThrow();

    const next = await sync('--until', 'caught-up', '--settle', '100ms').ended;
    expect([next.code, next.err.includes('no full copy')]).toEqual([0, true]);
    expect(await target.client.get('b')).toBe('1002');
  });

  test('it ends by itself, whoever is connected', async () => {
    const run = sync('--status', ':0', '--until', 'caught-up', '--settle', '500ms');
    const agent = await hold(await urlOf(run));
    expect((await run.ended).code).toBe(0);
    agent.destroy();
  });

  test('a lost source makes it unwell', async () => {
    const other = await RedisNode.start('--repl-diskless-sync-delay', '0');
    const run = new Running(['sync', other.url, target.url, '--spool', 'none', '--status', '[::1]:0']);
    const url = await urlOf(run);
    await follows(url);
    await other.stop();
    await until('it is unwell', async () => (await fetch(`${url}healthz`)).status === 503, 30_000);
    expect(await (await fetch(`${url}healthz`)).text()).toMatch(/^no connection to \S+ for 1\d s\n$/);
    const { lanes } = await jsonOf<StatusNow>(`${url}status`);
    expect(lanes).toEqual([expect.objectContaining({ connected: false })]);
    await run.kill('SIGTERM');
  });

  test('a port that is taken: nothing is written', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, err } = await sync('--status', `:${port}`, '--until', 'caught-up').ended;
    taken.close();
    expect([code, err]).toEqual([
      2,
      `rdbkit: --status 127.0.0.1:${port}: another program listens there: choose another port. See rdbkit sync --help\n`,
    ]);
    expect(await target.client.dbsize()).toBe(0);
  });

  test('others can reach it: it warns; a password does not show', async () => {
    const withPassword = source.url.replace('redis://', 'redis://default:s3cret@');
    await source.client.config('SET', 'requirepass', 's3cret');
    const run = new Running(['sync', withPassword, target.url, '--spool', 'none', '--status', '0.0.0.0:0']);
    try {
      const url = (await urlOf(run)).replace('0.0.0.0', '127.0.0.1');
      await run.said(/^rdbkit: warning: --status is not of this machine alone: .* no login\.$/m);
      await follows(url);
      for (const path of ['status', 'history', 'metrics']) expect(await (await fetch(url + path)).text()).not.toContain('s3cret');
    } finally {
      await source.client.config('SET', 'requirepass', '');
      await run.kill('SIGTERM');
    }
  });
});
