import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseInfo, processOf } from '../src/redis/server-info.js';
import { readTopology, uncovered } from '../src/redis/topology.js';
import { type Address, addressText } from '../src/redis/url.js';
import { RateLimit } from '../src/restore/rate-limit.js';

/** Time as RateLimit sees it: it passes when a timer is set, by so many milliseconds more or less. */
const clock = vi.hoisted(() => ({ now: 0, jitter: 0, waited: 0, timers: 0 }));
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => {
    const passed = Math.max(0.1, ms + clock.jitter);
    clock.now += passed;
    clock.waited += passed;
    clock.timers++;
    return Promise.resolve();
  },
}));

describe('INFO', () => {
  const NAMES = ['redis_version', 'redis_mode', 'role', 'run_id', 'uptime_in_seconds', 'connected_slaves', 'maxmemory', 'used_memory', 'maxmemory_policy', 'master_host', 'master_port', 'valkey_version', 'db0', 'module', '__proto__', 'constructor'];
  const odd = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', ':', '::', '# Server', '\u0000', 'db:keys=1', 'db1', 'db1:keys=', 'db1:keys=-1', 'db99999999999999999999:keys=1,expires=0', 'module:', 'module:name=', 'module:name=a,b', '__proto__:x', 'redis_version'),
    fc.tuple(fc.constantFrom(...NAMES), fc.string({ unit: 'binary' })).map(([name, value]) => `${name}:${value}`),
  );

  test('of any text is never thrown for, and what it says has the types that it should', () => {
    fc.assert(
      fc.property(fc.array(odd), fc.constantFrom('\r\n', '\n'), (lines, end) => {
        const info = parseInfo(lines.join(end));
        for (const number of [info.replicas, info.maxMemory, info.usedMemory]) expect(Number.isNaN(number)).toBe(false);
        for (const text of [info.version, info.redisVersion, info.runId, info.role, info.maxMemoryPolicy]) expect(typeof text).toBe('string');
        expect(['redis', 'valkey', 'keydb', 'dragonfly']).toContain(info.make);
        expect(info.mode).not.toBe('');
        for (const [db, keys] of info.keys) expect(db >= 0 && keys >= 0).toBe(true);
        const { runId, startedAt } = processOf(lines.join(end));
        expect([typeof runId, Number.isNaN(startedAt)]).toEqual(['string', false]);
      }),
    );
  });

  test('says what the server is, whatever stands between its lines', () => {
    const text = fc.stringMatching(/^[ -~]{0,12}$/);
    const keys = fc.dictionary(fc.nat({ max: 1e6 }).map(String), fc.nat({ max: 1e9 }), { noNullPrototype: true });
    const known = fc.record({ version: fc.stringMatching(/^\d\.\d\.\d{1,2}$/), role: fc.constantFrom('master', 'slave'), runId: fc.stringMatching(/^[\da-f]{40}$/), replicas: fc.nat(), maxMemory: fc.maxSafeInteger().filter((size) => size >= 0), up: fc.nat({ max: 1e8 }), policy: text });
    const stranger = odd.filter((line) => !/^(redis_version|redis_mode|server_mode|role|run_id|uptime_in_seconds|connected_slaves|maxmemory|used_memory|maxmemory_policy|master_host|master_port|\w*_version|mvcc_depth|server_threads|executable|db\d+|module):/m.test(line) && !/[\r\n]/.test(line));
    fc.assert(
      fc.property(known, keys, fc.uniqueArray(fc.stringMatching(/^\w{1,9}$/)), fc.array(stranger), fc.infiniteStream(fc.nat()), ({ maxMemory, policy, replicas, role, runId, up, version }, dbs, modules, others, places) => {
        const lines = [`redis_version:${version}`, 'redis_mode:cluster', `role:${role}`, `run_id:${runId}`, `connected_slaves:${replicas}`, `maxmemory:${maxMemory}`, `maxmemory_policy:${policy}`, `uptime_in_seconds:${up}`];
        lines.push(...Object.entries(dbs).map(([db, count]) => `db${db}:keys=${count},expires=0,avg_ttl=0`), ...modules.map((name) => `module:name=${name},ver=1`));
        for (const line of others) lines.splice((places.next().value ?? 0) % (lines.length + 1), 0, line);
        const whole = lines.join('\r\n');
        const info = parseInfo(whole);
        expect(info).toMatchObject({ make: 'redis', version, redisVersion: version, mode: 'cluster', role, runId, replicas, maxMemory, usedMemory: 0, maxMemoryPolicy: policy, masterAddress: undefined });
        expect(Object.fromEntries([...info.keys].map(([db, count]) => [`${db}`, count]))).toEqual({ ...dbs });
        expect([...info.modules].sort()).toEqual([...modules].sort());
        const { runId: same, startedAt } = processOf(whole);
        expect(same).toBe(runId);
        expect(Math.abs(Date.now() - 1000 * up - startedAt)).toBeLessThan(5000);
      }),
    );
  });
});

describe('CLUSTER SLOTS', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const known = fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port });
  const named = fc.oneof({ weight: 3, arbitrary: known }, fc.record({ host: fc.constantFrom(null, '', '?'), port }));
  /** Owners by range: each range ends before the next one begins; -1 is nobody. */
  const map = fc.record({
    nodes: fc.uniqueArray(named, { minLength: 1, maxLength: 8, selector: ({ host, port: number }) => `${host === null || host === '?' ? '' : host} ${number}` }),
    borders: fc.uniqueArray(fc.integer({ min: 1, max: 16383 }), { maxLength: 40 }),
    owners: fc.array(fc.integer({ min: -1, max: 7 }), { minLength: 41, maxLength: 41 }),
    replicas: fc.array(fc.nat({ max: 3 }), { minLength: 8, maxLength: 8 }),
  });
  const ASKED: Address = { host: 'asked.test', port: 1 };

  test('says of every slot whose it is, in any order, where nodes do not know their host and where they are reached elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(map, fc.array(fc.nat({ max: 7 })), fc.infiniteStream(fc.nat()), async ({ borders, nodes, owners, replicas }, moved, order) => {
        const text = ({ host, port: number }: { host: string | null; port: number }): string => `${host} ${number}`;
        const nat = new Map(moved.filter((i) => i < nodes.length).map((i) => [text(nodes[i]), { host: `outer-${i}.test`, port: 7000 + i }]));
        const starts = [0, ...[...borders].sort((a, b) => a - b)];
        const expected = new Array<string | undefined>(16384).fill(undefined);
        const rows: unknown[] = [];
        starts.forEach((from, i) => {
          const to = (starts[i + 1] ?? 16384) - 1;
          const owner = owners[i];
          if (owner < 0) return;
          const index = owner % nodes.length;
          const { host, port: number } = nodes[index];
          const unknown = host === null || host === '' || host === '?';
          expected.fill(addressText(unknown ? { host: ASKED.host, port: number } : (nat.get(text(nodes[index])) ?? { host, port: number })), from, to + 1);
          const others = Array.from({ length: replicas[index] }, (_, n) => ['10.9.9.9', n + 1, 'replica']);
          rows.splice((order.next().value ?? 0) % (rows.length + 1), 0, [from, to, [host, number, `id-${index}`], ...others]);
        });
        const client = { call: () => Promise.resolve(rows) } as unknown as Redis;
        const topology = await readTopology(client, ASKED, (address) => nat.get(text(address)) ?? address);
        const names = topology.nodes.map(({ address }) => addressText(address));
        expect([...topology.owners].map((owner) => (owner < 0 ? undefined : names[owner]))).toEqual(expected);
        expect(new Set(names).size).toBe(names.length);
        for (const { id, replicas: count } of topology.nodes) expect(count).toBe(replicas[Number(id.slice(3))]);
        const nobodys = expected.reduce((sum, owner) => sum + (owner === undefined ? 1 : 0), 0);
        const gaps = uncovered(topology);
        expect(gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0)).toBe(nobodys);
        for (const [from, to] of gaps) expect([expected[from], expected[to], expected[from - 1] === undefined && from > 0]).toEqual([undefined, undefined, false]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('RateLimit', () => {
  beforeEach(() => {
    clock.now = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  });
  afterEach(() => vi.restoreAllMocks());

  /** Parts of a burst, and milliseconds that pass before it is asked whether to go on. */
  const steps = fc.array(fc.record({ keys: fc.double({ min: 0, max: 1, noNaN: true }), bytes: fc.double({ min: 0, max: 3, noNaN: true }), idle: fc.oneof(fc.constant(0), fc.nat({ max: 500 })) }), { minLength: 1, maxLength: 60 });
  const rate = fc.option(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 1e9 })), { nil: undefined });
  /** Milliseconds that the system lets a timer come later, or earlier. */
  const jitter = fc.double({ min: -1, max: 5, noNaN: true });

  test('never lets through more than the rate and one burst, in no segment of time; nor waits longer than it must', async () => {
    await fc.assert(
      fc.asyncProperty(rate, rate, steps, jitter, async (keysPerSecond, bytesPerSecond, row, late) => {
        clock.jitter = late;
        clock.waited = clock.timers = 0;
        const rateLimit = new RateLimit({ keysPerSecond, bytesPerSecond });
        const spent: { at: number; keys: number; bytes: number }[] = [];
        for (const { bytes, idle, keys } of row) {
          clock.now += idle;
          await rateLimit.wait();
          const now = { at: clock.now, keys: Math.ceil(keys * Math.min(rateLimit.burst, 1e6)), bytes: Math.ceil(bytes * Math.min(rateLimit.burstBytes, 1e6)) };
          rateLimit.spend(now.keys, now.bytes);
          spent.push(now);
        }
        expect(rateLimit.limited).toBe(keysPerSecond !== undefined || bytesPerSecond !== undefined);
        for (const [what, limit] of [['keys', keysPerSecond], ['bytes', bytesPerSecond]] as const) {
          if (limit === undefined) continue;
          const burst = Math.max(...spent.map((one) => one[what]));
          const tolerance = limit * 0.001 + 1e-6 * limit; // a millisecond is not waited for
          for (let from = 0; from < spent.length; from++) {
            let sum = 0;
            for (let to = from; to < spent.length; to++) {
              sum += spent[to][what];
              expect(sum).toBeLessThanOrEqual((limit * (spent[to].at - spent[from].at)) / 1000 + burst + tolerance);
            }
          }
        }
        const needed = spent.reduce((sum, { bytes, keys }) => sum + keys / (keysPerSecond ?? Infinity) + bytes / (bytesPerSecond ?? Infinity), 0) * 1000;
        expect(clock.waited).toBeLessThanOrEqual(needed * (1 + 1e-9) + clock.timers * Math.max(0.1, late));
      }),
    );
  });
});
