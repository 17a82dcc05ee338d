import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, lines, type Result, rdbkit } from '../support/cli-support.js';
import { differences } from '../support/compare.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { serverPath, urlOf } from '../support/restore-support.js';
import { until } from '../support/until.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** The rules that docs/live.md prints after `ACL SETUSER rdbkit on >…`, in their order. */
const printed = [...readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8').matchAll(/^ACL SETUSER rdbkit on >… (.+)$/gm)].map(
  ([, rules]) => rules.split(' '),
);
const [REPLICATION, SCAN] = printed;

const login = (url: string): string => url.replace('://', '://rdbkit:s3cret@');

describe(`the least rights for a source, ${SERVER}`, () => {
  let server: TestServer;
  let truth: string;
  beforeAll(async () => {
    server = await TestServer.start('--enable-debug-command', 'yes', '--repl-diskless-sync-delay', '0');
    await server.load(readFileSync(serverPath('redis-7.0.15')));
    truth = (await rdbkit(['decode', folder.file('saved.rdb', await server.save())])).out;
  });
  afterAll(() => server.stop());

  const run = async (rules: readonly string[], ...argv: string[]): Promise<Result> => {
    await server.client.call('ACL', 'SETUSER', 'rdbkit', 'reset', 'on', '>s3cret', ...rules);
    const [command, ...options] = argv;
    return rdbkit([command, login(urlOf(server)), ...options]);
  };
  const without = (rules: readonly string[], ...left: string[]): string[] => rules.filter((rule) => !left.includes(rule));
  const all = async (rules: readonly string[], via: string): Promise<string> => {
    const { code, err, out } = await run(rules, 'decode', '--via', via);
    expect([code, differences(truth, out), err.includes('warning')]).toEqual([0, [], false]);
    return err;
  };

  test('the page has two lists', () => expect(printed).toHaveLength(2));

  test('replication: what the page prints is enough, and INFO is only for the plan', async () => {
    expect(await all(REPLICATION, 'replication')).toContain('250 keys, ');
    expect(await all(without(REPLICATION, '+info'), 'replication')).toContain('one server, which refuses INFO; read by replication');
  });

  test('replication without PSYNC: it is said which right is missing', async () => {
    const { code, err } = await run(without(REPLICATION, '+psync'), 'decode', '--via', 'replication');
    expect(code).toBe(4);
    expect(err).toContain("NOPERM this user has no permissions to run the 'psync' command. The user lacks a permission, PSYNC: ");
    expect(err).toContain('ACL SETUSER NAME +psync +replconf gives it; --via scan does without. All that');
    expect(err).toContain('docs/live.md, "The least rights".\n');
  });

  test('replication without REPLCONF: the server sends its RDB all the same', () => all(without(REPLICATION, '+replconf'), 'replication'));

  test('scan: what the page prints is enough, and INFO is only for the plan', async () => {
    expect(await all(SCAN, 'scan')).toContain('250 keys, ');
    expect(await all(SCAN, 'auto')).toContain('read by scan, since replication is refused (NOPERM ');
    expect(await all(without(SCAN, '+info'), 'scan')).toContain('one server, which refuses INFO; read by scan');
  });

  test.each(['+scan', '+dump', '+pexpiretime'])('scan without %s: it is said which right is missing', async (right) => {
    const { code, err, out } = await run(without(SCAN, right), 'decode', '--via', 'scan');
    expect([code, out]).toEqual([4, '']);
    const name = right === '+pexpiretime' ? 'pttl' : right.slice(1); // which servers before 7.0 have
    expect(err).toContain(`SOURCE_REFUSED: ${urlOf(server).slice(8)}: ${name.toUpperCase()}: NOPERM `);
    expect(err).toContain(`: ACL SETUSER NAME +${name} gives it. All that`);
  });

  test('scan without PEXPIRETIME, with PTTL: expiries are within a second', async () => {
    const { code, out } = await run([...without(SCAN, '+pexpiretime'), '+pttl', '+time'], 'decode', '--via', 'scan');
    expect(code).toBe(0);
    const want = new Map(lines(truth).map(({ db, expireAt, key }) => [`${db} ${key}`, expireAt]));
    for (const { db, expireAt, key } of lines(out)) expect(Math.abs((expireAt ?? 0) - (want.get(`${db} ${key}`) ?? 0))).toBeLessThan(1000);
  });

  test.each([[[]], [['+info']]])('scan without SELECT, with %s: other databases are missed, never in silence', async (more) => {
    const rules = [...without(SCAN, '+select', '+info'), ...more];
    const { code, err, out } = await run(rules, 'decode', '--via', 'scan');
    expect(code).toBe(4);
    expect(err).toMatch(/SOURCE_REFUSED: \S+: SELECT 1: NOPERM .*: ACL SETUSER NAME \+select gives it; --db 0 does without\./);
    const { code: one, out: chosen } = await run(rules, 'decode', '--via', 'scan', '--db', '0');
    expect([one, lines(chosen).length, lines(out).length]).toEqual([0, 146, 146]);
  });

  test('scan of some keys only: the others are named, exit code 1, unless filters leave them out', async () => {
    const rules = [...without(SCAN, '~*'), '~{*'];
    const { code, err, out } = await run(rules, 'decode', '--via', 'scan');
    expect([code, lines(out).length]).toEqual([1, 40]);
    expect(err).toMatch(/db 0, key \S+: DUMP: NOPERM .*: it is left out\n/);
    expect(err).toMatch(/warning: redis:\/\/\S+: \d+ keys could not be read\.\n/);
    const chosen = await run(rules, 'decode', '--via', 'scan', '--prefix', '{');
    expect([chosen.code, lines(chosen.out).length]).toEqual([0, 40]);
  });

  test('function libraries: named as missing where they are wanted', async () => {
    const { code, err } = await run(SCAN, 'dump', '--via', 'scan', '-o', folder.at('copy.rdb'));
    expect(code).toBe(0);
    expect(err).toContain('warning: redis://');
    expect(err).toContain(
      ": its function libraries are not read: FUNCTION DUMP: NOPERM this user has no permissions to run the 'function|dump' command\n",
    );
    const { err: quiet } = await run([...SCAN, '+function|dump'], 'dump', '--via', 'scan', '-o', folder.at('copy.rdb'));
    expect(quiet).not.toContain('warning');
    expect(quiet).toMatch(/function libraries: .*"corpus_lib".* written/);
  });

  test('--idle-times: said where they are refused', async () => {
    const { code, err, out } = await run(SCAN, 'decode', '--via', 'scan', '--idle-times');
    expect([code, lines(out).length, out.includes('"idle":')]).toEqual([0, 250, false]);
    expect(err).toContain(
      ": idle times are not read: OBJECT IDLETIME: NOPERM this user has no permissions to run the 'object|idletime' command\n",
    );
    const { err: quiet, out: idle } = await run([...SCAN, '+object|idletime'], 'decode', '--via', 'scan', '--idle-times');
    expect([quiet.includes('warning'), idle.includes('"idle":')]).toEqual([false, true]);
  });

  const RANGES = ['+memory|usage', '+type', '+watch', '+multi', '+exec', '+getrange', '+lrange', '+sscan', '+hscan', '+zrange'];
  test.each(RANGES)('--max-dump without %s: what cannot be read in ranges is read with DUMP, and that is said', async (right) => {
    const { code, err, out } = await run([...SCAN, ...without(RANGES, right)], 'decode', '--via', 'scan', '--max-dump', '1kb');
    expect([code, differences(truth, out)]).toEqual([0, []]);
    expect(err).toMatch(
      /watch|multi|exec/.test(right)
        ? /WATCH, MULTI or EXEC is refused/
        : new RegExp(`with DUMP.*NOPERM .*'${right.slice(1).replace('|', '\\|')}'`),
    );
  });

  test('--prefer-replica without INFO: the master is read, and that is said', async () => {
    const { code, err } = await run(without(SCAN, '+info'), 'check', '--via', 'scan', '--prefer-replica');
    expect(code).toBe(0);
    expect(err).toMatch(/ {2}\S+ does not tell its replicas \(NOPERM .*\): it is read itself\n/);
  });

  test('a user without any right', async () => {
    expect((await run(['-@all'], 'decode')).err).toMatch(/SOURCE_REFUSED: \S+: SCAN: NOPERM .*: ACL SETUSER NAME \+scan gives it\./);
  });

  test('a plan with CONFIG says more', async () => {
    expect(await all(REPLICATION, 'replication')).not.toContain('repl-diskless-sync');
    expect(await all([...REPLICATION, '+config|get'], 'replication')).toContain('(repl-diskless-sync)');
  });
});

describe(`the least rights for a source, cluster of ${SERVER}`, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
    for (let i = 0; i < 60; i++) {
      for (const { client } of cluster.nodes.slice(0, 3)) await client.set(`key:${i}`, 'x').catch(() => ''); // one of them takes it
    }
    await until(
      'the replicas have all keys',
      async () => (await Promise.all(cluster.nodes.map(({ client }) => client.dbsize()))).reduce((a, b) => a + b) === 120,
    );
  });
  afterAll(() => cluster.stop());

  const run = async (rules: readonly string[], ...argv: string[]): Promise<Result> => {
    for (const { client } of cluster.nodes) await client.call('ACL', 'SETUSER', 'rdbkit', 'reset', 'on', '>s3cret', ...rules);
    return rdbkit(['decode', login(cluster.nodes[0].url), ...argv], { env: { RDBKIT_SOURCE_AUTH: 's3cret' } });
  };

  test.each(['replication', 'scan'])('%s: CLUSTER SLOTS comes on top', async (via) => {
    const least = via === 'scan' ? SCAN : REPLICATION;
    const rules = least.filter((rule) => rule !== '+select');
    const { code, err, out } = await run([...rules, '+cluster|slots'], '--via', via);
    expect([code, lines(out).length, err]).toEqual([0, 60, expect.not.stringContaining('warning')]);
    expect(err).toContain('CLUSTER NODES is refused (NOPERM ');
    expect((await run([...rules, '+cluster|slots', '+cluster|nodes'], '--via', via)).err).not.toContain('refused (NOPERM');
    const refused = await run(rules, '--via', via);
    expect(refused.code).toBe(4);
    expect(refused.err).toMatch(/^rdbkit: REFUSED: .*NOPERM .*'cluster\|slots'.*: ACL SETUSER NAME \+cluster\|slots gives it\./);
    const blind = await run([...rules.filter((rule) => rule !== '+info'), '+cluster|slots'], '--via', via);
    expect([blind.code, lines(blind.out).length]).toEqual([0, 60]);
    expect(blind.err).toContain('cluster of 3 masters, which refuses INFO; ');
    expect(blind.err.includes(': only database 0 is read: SELECT: NOPERM ')).toBe(via === 'scan');
  });

  test('scan of replicas: READONLY comes on top', async () => {
    const rules = [...SCAN.filter((rule) => rule !== '+select'), '+cluster|slots'];
    const { code, err, out } = await run([...rules, '+readonly'], '--via', 'scan', '--prefer-replica');
    expect([code, lines(out).length, err.match(/, a replica of /g)?.length]).toEqual([0, 60, 3]);
    const refused = await run(rules, '--via', 'scan', '--prefer-replica');
    expect([refused.code, refused.out]).toEqual([4, '']);
    expect(refused.err).toContain('ACL SETUSER NAME +readonly gives it');
  });
});
