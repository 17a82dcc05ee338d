import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STOPPING } from '../../src/commands/sync-terms.js';
import { Refused } from '../../src/preflight/answer.js';
import type { Facts, SourceServer } from '../../src/preflight/facts.js';
import { findingsOf, type Rule } from '../../src/preflight/rule.js';
import { RULES } from '../../src/preflight/rules.js';
import { SERVICES } from '../../src/preflight/services.js';
import type { TargetFacts } from '../../src/restore/target-facts.js';
import { parseTarget } from '../../src/values/targets.js';

const WORDS = { bytes: (count: number) => `${count} B`, count: String, seconds: (count: number) => `${Math.round(count)} s` };
const NO = new Refused('CONFIG GET x', 'NOPERM');

const MASTER = {
  ...{ name: 'new:6379', id: '', runId: 'b', replicationId: '', slots: 16384, replicas: 0, keys: new Map<number, number>(), counted: true },
  ...{ usedMemory: 1e6, maxMemory: 0, maxMemoryPolicy: 'noeviction', evictedKeys: 0, clockAhead: 0 },
};

const TARGET: TargetFacts = {
  ...{ target: parseTarget('7.0'), version: 'Redis 7.0.15', assumed: undefined, clustered: false, masters: [MASTER], uncovered: [] },
  ...{ databases: 16, selects: true, informs: true, modules: [] },
};

const INFO = {
  ...{ redis_version: '7.0.15', redis_mode: 'standalone', used_memory: '2000000000', repl_backlog_size: '1048576' },
  db0: 'keys=1000000,expires=0,avg_ttl=0',
};

const SERVER: SourceServer = {
  ...{ name: 'old:6379', info: new Map(Object.entries(INFO)), modules: [], functions: 0, psync: undefined, link: 1e9 },
  outputLimit: 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
  rates: { seconds: 2, cpu: 0.1, writes: 0, atMost: false },
  sample: { keys: 200, of: 1e6, largest: undefined, types: [] },
};

const LOGIN = { hosts: ['127.0.0.1'], tls: false, user: undefined, password: false };

function facts(server: Partial<SourceServer> = {}, target: Partial<TargetFacts> = {}, terms: Partial<Facts['terms']> = {}): Facts {
  return {
    source: { name: 'old', clustered: false, login: LOGIN, servers: [{ ...SERVER, ...server }], service: undefined },
    target: {
      ...{ name: 'new', clustered: false, login: LOGIN, servers: [{ name: 'new:6379', info: SERVER.info, modules: [] }] },
      ...{ facts: { ...TARGET, ...target }, link: 1e9, refuses: undefined, bulkLimit: `${512 << 20}` },
    },
    terms: {
      via: 'auto',
      ...{ target: (db) => db, filtered: false, conflict: 'error', flush: false, functions: true, maxPayload: 512 << 20, spoolMax: 1e12 },
      ...{ resumes: false, again: false, others: 0, ...terms },
    },
    rights: undefined,
  };
}

const outcomes = (all: Facts, rules: readonly Rule[] = RULES): Map<string, string> =>
  new Map(findingsOf(rules, all, WORDS).map(({ found, name, outcome }) => [name, `${outcome}: ${found}`]));

describe('rules', () => {
  test('a source and a target that fit', () => {
    expect([...outcomes(facts()).values()].filter((text) => !text.startsWith('ok'))).toEqual([]);
  });

  test('before 6.2, writes that pile up while the RDB is sent', () => {
    const busy = { rates: { seconds: 2, cpu: 0.1, writes: 20e6, atMost: false } };
    expect(outcomes(facts(busy)).get('output-buffer')).toMatch(/^warning: .* reached 13 s after/);
    const old = { ...busy, info: new Map(Object.entries({ ...INFO, redis_version: '6.0.16' })) };
    expect(outcomes(facts(old)).get('output-buffer')).toMatch(/^stops: .*: reached after 13 s of a copy of about 27 s$/);
  });

  test('nothing that could not be asked is in order', () => {
    const refused = { info: NO, modules: NO, functions: NO, outputLimit: NO, rates: NO, sample: NO, link: NO };
    const silent = facts(refused, { informs: false, masters: [{ ...MASTER, counted: false, maxMemoryPolicy: '' }] });
    const all = outcomes({ ...silent, target: { ...silent.target, bulkLimit: NO, link: NO } });
    const fine = [...all].filter(([, text]) => text.startsWith('ok')).map(([name]) => name);
    expect(fine).toEqual(['cluster', 'slots', 'source-login', 'target-login', 'psync', 'source-rights', 'target-rights', 'writable']); // which are known without
    expect([...all.values()].filter((text) => !/^(?:ok|unknown)/.test(text))).toEqual([]);
  });

  test('memory: what is copied already, what may be replaced, what is little more', () => {
    const small = { masters: [{ ...MASTER, maxMemory: 1e9 }] };
    const of = (terms: Partial<Facts['terms']>, target: Partial<TargetFacts> = small): string | undefined =>
      outcomes(facts({}, target, terms))
        .get('memory')
        ?.split(':')[0];
    expect([of({}), of({ filtered: true }), of({ resumes: true })]).toEqual(['stops', 'warning', 'ok']);
    const full = { masters: [{ ...MASTER, maxMemory: 2.2e9, usedMemory: 2e9, keys: new Map([[0, 1]]) }] };
    expect([of({}, full), of({ conflict: 'replace' }, full), of({ again: true }, full)]).toEqual(['stops', 'warning', 'warning']);
    expect(of({ others: 1e9 }, { masters: [{ ...MASTER, maxMemory: 2.9e9 }] })).toBe('stops');
  });

  test('several masters that say the same are one finding', () => {
    const all = facts();
    const other = { ...SERVER, name: 'other:6379' };
    const two = { ...all, source: { ...all.source, servers: [SERVER, other] } };
    expect(findingsOf(RULES, two, WORDS).length).toBe(RULES.length);
    const busy = { ...other, rates: { seconds: 2, cpu: 0.9, writes: 0, atMost: false } };
    const differ = findingsOf(RULES, { ...all, source: { ...all.source, servers: [SERVER, busy] } }, WORDS);
    expect(differ.flatMap(({ name, outcome, server }) => (name === 'cpu' ? [[outcome, server]] : []))).toEqual([
      ['ok', 'old:6379'],
      ['warning', 'other:6379'],
    ]);
  });
});

describe('the published limits of a service', () => {
  const { rules } = SERVICES['elasticache-online-migration'];
  const service = { needsPassword: false, protectedMode: 'no', bind: '* -::*', databases: '16', renamed: [] };
  const asked = (change: (all: Facts) => Facts): Map<string, string> => {
    const all = facts();
    return outcomes(change({ ...all, source: { ...all.source, service } }), rules);
  };
  const stopped = (change: (all: Facts) => Facts): string[] =>
    [...asked(change)].filter(([, text]) => text.startsWith('stops')).map(([name]) => name);

  test('each fires', () => {
    expect(stopped((all) => all)).toEqual([]);
    const source =
      (more: Partial<Facts['source']>) =>
      (all: Facts): Facts => ({ ...all, source: { ...all.source, ...more } });
    const target =
      (more: Partial<Facts['target']>) =>
      (all: Facts): Facts => ({ ...all, target: { ...all.target, ...more } });
    const release = (version: string): Map<string, string> => new Map(Object.entries({ ...INFO, redis_version: version }));
    expect(stopped(source({ login: { ...LOGIN, hosts: ['x.abc.0001.euw1.cache.amazonaws.com'] } }))).toEqual(['self-managed']);
    expect(stopped(target({ login: { ...LOGIN, hosts: ['x.serverless.euw1.cache.amazonaws.com'] } }))).toEqual(['node-based']);
    expect(stopped(target({ login: { ...LOGIN, tls: true } }))).toEqual(['in-transit']);
    expect(stopped(source({ clustered: true }))).toEqual(['cluster-mode']);
    expect(stopped(source({ servers: [{ ...SERVER, info: release('2.8.20') }] }))).toEqual(['source-version']);
    expect(stopped(target({ servers: [{ name: 'new', info: release('5.0.4'), modules: [] }] }))).toEqual(['target-version']);
    expect(stopped(source({ service: { ...service, needsPassword: true } }))).toEqual(['auth']);
    expect(stopped(source({ service: { ...service, databases: '32' } }))).toEqual(['same-databases']);
    expect(stopped(source({ service: { ...service, renamed: ['psync'] } }))).toEqual(['renamed']);
    const two = [SERVER, { ...SERVER, name: 'old:6380' }];
    expect(stopped(source({ servers: two }))).toEqual(['cluster-mode', 'ports']);
    expect(asked(source({ service: { ...service, bind: '127.0.0.1 -::1' } })).get('bind')).toMatch(/^warning/);
    expect(asked(source({ service: { ...service, bind: NO } })).get('bind')).toMatch(/^unknown/);
  });

  test('what rdbkit does instead is said of its own rules', () => {
    const { instead } = SERVICES['elasticache-online-migration'];
    expect(Object.keys(instead).filter((name) => !rules.some((rule) => rule.name === name))).toEqual([]);
  });
});

test('docs/preflight.md has every rule, with its source', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/preflight.md'), 'utf8');
  const rows = new Map(
    [...page.matchAll(/^\| `([\w-]+)` \|.*\| (?:\[[^\]]*\]\(([^)]*)\)) \|$/gm)].map(([, name, source]) => [name, source]),
  );
  const all = [...RULES, ...Object.values(SERVICES).flatMap(({ rules }) => rules)];
  expect([...rows].sort()).toEqual(all.map(({ name, source }) => [name, source.replace(/^docs\//, '')]).sort());
  expect(STOPPING.filter((name) => !RULES.some((rule) => rule.name === name))).toEqual([]);
});
