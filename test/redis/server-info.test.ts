import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInfo, processOf } from '../../src/redis/server-info.js';

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
