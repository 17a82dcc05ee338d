import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/exit.js';
import { Collector, Folder, rdbkit, type Result } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SERVER } from '../support/redis-server.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

/** The rules that docs/sync.md prints after `ACL SETUSER rdbkit on >…`, in their order. */
const printed = [...readFileSync(new URL('../../docs/sync.md', import.meta.url), 'utf8').matchAll(/^ACL SETUSER rdbkit on >… (.+)$/gm)].map(
  ([, rules]) => rules.split(' '),
);
const [, SOURCE, SOURCE_CLUSTER, TARGET, TARGET_CLUSTER] = printed; // the first is that of a scan: preflight.test.ts

const folder = new Folder();
afterAll(() => folder.remove());

const allow = (nodes: readonly RedisNode[], rules: readonly string[]): Promise<unknown> =>
  Promise.all(nodes.map(({ client }) => client.call('ACL', 'SETUSER', 'rdbkit', 'reset', 'on', '>s3cret', ...rules)));
const without = (rules: readonly string[], ...left: string[]): string[] => rules.filter((rule) => !left.includes(rule));
const login = ({ url }: RedisNode): string => url.replace('://', '://rdbkit:s3cret@');

/** Until what a run says on standard error tells that it applies writes. */
async function follows(stderr: Collector): Promise<void> {
  await until('it follows', () => /applying the writes since|going on where/.test(stderr.text)).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${stderr.text}`);
  });
}

/** A run of the program in this process. */
class Run {
  readonly stderr = new Collector();
  readonly done: Promise<Result>;
  private readonly stopping = new AbortController();

  constructor(source: RedisNode, target: RedisNode, ...argv: string[]) {
    const given = ['sync', login(source), login(target), '--yes', ...argv];
    if (!argv.includes('--spool')) given.push('--spool', 'none');
    this.done = rdbkit(given, { stderr: this.stderr, signal: this.stopping.signal });
  }

  async follows(): Promise<this> {
    await follows(this.stderr);
    return this;
  }

  stop(): Promise<Result> {
    this.stopping.abort(new Interruption('SIGTERM'));
    return this.done;
  }
}

const sync = (source: RedisNode, target: RedisNode, ...argv: string[]): Promise<Result> => new Run(source, target, ...argv).done;
const CAUGHT_UP = ['--until', 'caught-up', '--settle', '200ms'];
/** Without that of its small backlog. */
const warningsOf = (err: string): string[] => (err.match(/warning: .*/g) ?? []).filter((line) => !line.startsWith('warning: backlog'));
const rightsOf = (err: string): string | undefined => /ACL SETUSER NAME (.+) gives (?:them|it)[.;]/.exec(err)?.[1];

test('the page has five lists', () => expect(printed).toHaveLength(5));

describe(`the least rights for a sync between servers, ${SERVER}`, () => {
  let source: RedisNode;
  let target: RedisNode;
  const alike = (): Promise<string[]> => unlike([source], [target], { databases: [0, 1], late: 1000 });
  beforeAll(async () => {
    const start = (): Promise<RedisNode> => RedisNode.start('--repl-backlog-size', '16kb');
    [source, target] = await Promise.all([start(), start()]);
  });
  beforeEach(async () => {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    await Promise.all([allow([source], SOURCE), allow([target], TARGET)]);
    await source.client.mset('a', '1', 'b', '2', 'x:1', '1');
    await source.client.set('c', '3', 'EX', 1000);
    await source.client.multi().select(1).set('one', '1').select(0).exec();
  });
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  /** Writes of several kinds; those of a refused command, and from beyond a filter, are fetched. */
  async function write(): Promise<void> {
    const { client } = source;
    await client.multi().incr('a').rpush('l', 1, 2).set('e', 1, 'EX', 500).set('x:1', 1).rename('x:1', 'from').exec();
    await client.multi().select(1).incr('one').set('x:1', 2).rename('x:1', 'from').select(0).exec();
    await client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, 's', 'v');
  }

  test('what the page prints is enough: a copy, changes, keys that are fetched, a gap, the end', async () => {
    const run = await new Run(source, target, '--not-prefix', 'x:').follows();
    await write();
    await until('it has them', async () => (await target.client.get('s')) === 'v');
    const { code, err } = await run.stop();
    expect([code, warningsOf(err)]).toEqual([143, [expect.stringContaining('RENAME: some of its keys are left out')]]);
    await write();
    const again = await sync(source, target, '--not-prefix', 'x:', ...CAUGHT_UP);
    expect([again.code, await alike()]).toEqual([0, []]);
    // more than the backlog has, and a key that only the sweep removes
    await source.client.multi().del('b').set('big', 'x'.repeat(100_000)).exec();
    const full = await sync(source, target, '--not-prefix', 'x:', '--on-gap', 'full', ...CAUGHT_UP);
    expect([full.code, full.err.includes('full copy: '), await alike()]).toEqual([0, true, []]);
    const { code: over } = await sync(source, target, '--forget', '--spool', folder.at('none'));
    expect([over, await target.client.keys('rdbkit:*')]).toEqual([0, []]);
  });

  test('what the page prints is enough for --phase full, and for --seed', async () => {
    const { code, err } = await sync(source, target, '--phase', 'full');
    expect([code, warningsOf(err), await alike()]).toEqual([0, [], []]);
    await target.client.flushall();
    const seed = folder.at('seed.rdb');
    expect((await rdbkit(['dump', source.url, '-o', seed])).code).toBe(0);
    await source.client.incr('a');
    const seeded = await sync(source, target, '--seed', seed, ...CAUGHT_UP);
    expect([seeded.code, await alike()]).toEqual([0, []]);
  });

  test.each(['+psync', '+replconf', '+info', '+multi', '+exec', '+dump', '+pexpiretime', '+exists', '+select'])(
    'a source without %s: an error at the beginning, which names it',
    async (right) => {
      await allow([source], without(SOURCE, right));
      const { code, err } = await sync(source, target, '--via', 'replication', ...CAUGHT_UP);
      expect([code, rightsOf(err)]).toEqual([4, right === '+psync' ? '+psync +replconf' : right]);
      expect(err).toMatch(/^rdbkit: REFUSED: \S+: NOPERM .*All that (?:it|a sync) needs is in docs\/sync\.md, "Rights"\.\n$/);
      expect(await target.client.dbsize()).toBe(0);
    },
  );

  test('a source without SELECT, where only database 0 is copied', async () => {
    await allow([source], without(SOURCE, '+select'));
    const run = await new Run(source, target, '--db', '0', '--not-prefix', 'x:').follows();
    await write();
    await until('it has them', async () => (await target.client.get('s')) === 'v');
    expect((await run.stop()).code).toBe(143);
    expect(await target.client.get('from')).toBe('1');
  });

  test('a dry run tells it, too, and all rights at once', async () => {
    await Promise.all([allow([source], without(SOURCE, '+dump', '+exists')), allow([target], without(TARGET, '+hget'))]);
    expect(rightsOf((await sync(source, target, '--dry-run')).err)).toBe('+dump +exists');
    await allow([source], SOURCE);
    expect(rightsOf((await sync(source, target, '--dry-run')).err)).toBe('+hget');
  });

  const OF_WRITE = ['-hset', '-hdel', '-restore', '-del', '-pexpireat'];
  test.each(['+info', '+multi', '+exec', '+hget', '+hgetall', '+hkeys', '+scan', '+pexpiretime', ...OF_WRITE])(
    'a target without it, %s: an error at the beginning, which names it',
    async (right) => {
      await allow([target], right.startsWith('-') ? [...TARGET, right] : without(TARGET, right));
      const { code, err } = await sync(source, target, ...CAUGHT_UP);
      expect([code, rightsOf(err)]).toEqual([4, right.replace('-', '+')]);
      expect(err).toMatch(/^rdbkit: REFUSED: \S+: NOPERM .*All that (?:it|a sync) needs is in docs\/sync\.md, "Rights"\.\n$/);
      expect(await target.client.dbsize()).toBe(0);
    },
  );

  test.each(['+dump', '+strlen', '+xlen'])('a target without %s, which a full copy may need: an error before it', async (right) => {
    await allow([target], without(TARGET, right));
    const { code, err } = await sync(source, target, ...CAUGHT_UP);
    expect([code, rightsOf(err), await target.client.dbsize()]).toEqual([4, right, 0]);
    expect((await sync(source, target, '--on-conflict', 'replace', '--phase', 'full')).code).toBe(0);
  });

  test('a target whose user may not write positions', async () => {
    await allow([target], ['~a*', ...without(TARGET, '~*')]);
    const { code, err } = await sync(source, target, '--prefix', 'a', ...CAUGHT_UP);
    expect([code, rightsOf(err)]).toEqual([4, '~rdbkit:sync:*']);
    await allow([target], ['~a*', '~rdbkit:*', ...without(TARGET, '~*')]);
    expect((await sync(source, target, '--prefix', 'a', '--phase', 'full')).code).toBe(0);
    expect(await target.client.get('a')).toBe('1');
  });

  test('a source whose user may read some keys only: that is said', async () => {
    await allow([source], ['~a*', ...without(SOURCE, '~*')]);
    const { code, err } = await sync(source, target, '--prefix', 'a', '--phase', 'full');
    expect([code, warningsOf(err)]).toEqual([0, [expect.stringContaining('its user may not read all keys: the sync ends with NOPERM')]]);
  });

  test.each(['+client|setname', '+client|list', '+client|kill'])(
    'a target without %s: it is said what is not certain then',
    async (right) => {
      await allow([target], without(TARGET, right));
      const { code, err } = await sync(source, target, '--phase', 'full');
      expect([code, warningsOf(err), await alike()]).toEqual([
        0,
        [expect.stringMatching(/ refuses CLIENT (?:SETNAME|LIST|KILL) \(NOPERM .*\): a run that was killed may still be writing/)],
        [],
      ]);
      const forgotten = await sync(source, target, '--forget', '--spool', folder.at('none'));
      expect([forgotten.code, forgotten.err.includes('it is not known whether a run')]).toEqual([0, right === '+client|list']);
    },
  );

  test('a target without SELECT: keys of other databases are named, and end it', async () => {
    await allow([target], without(TARGET, '+select'));
    expect((await sync(source, target)).err).toContain('the copy would fail or lose keys: databases: the target has database 0 only');
    const run = await new Run(source, target, '--ignore-check', 'databases').follows();
    await write();
    const { code, err } = await run.done;
    expect([code, err]).toEqual([4, expect.stringContaining('warning: SELECT is refused: only database 0 is written to.')]);
    expect(err).toContain('SYNC: redis://');
  });

  test('--forget without DEL', async () => {
    expect((await sync(source, target, '--phase', 'full')).code).toBe(0);
    await allow([target], [...TARGET, '-del']);
    const { code, err } = await sync(source, target, '--forget', '--spool', folder.at('none'));
    expect([code, rightsOf(err), err.slice(0, 16)]).toEqual([4, '+del', 'rdbkit: REFUSED:']);
  });

  test.each(['-incr', '-exec', '-hset', '-@all'])('%s of the target while it runs: it ends, and no write is lost', async (rule) => {
    const run = await new Run(source, target).follows();
    await target.client.call('ACL', 'SETUSER', 'rdbkit', rule);
    for (let i = 0; i < 20; i++) await write();
    const { code, err } = await run.done;
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/REFUSED: \S+: NOPERM .* gives it\. .* Run the same command again to go on\.\n$/),
    ]);
    await allow([target], TARGET);
    await write();
    expect([(await sync(source, target, ...CAUGHT_UP)).code, await alike()]).toEqual([0, []]);
  });

  test.each(['-info', '-replconf', '-@all'])('%s of the source while it runs: it ends, and no write is lost', async (rule) => {
    const run = await new Run(source, target, '--not-prefix', 'x:').follows();
    await source.client.call('ACL', 'SETUSER', 'rdbkit', rule);
    await write();
    const { code, err } = await run.done;
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/REFUSED: \S+: NOPERM .* gives it\. .* Run the same command again to go on\.\n$/),
    ]);
    await allow([source], SOURCE);
    await write();
    const again = await sync(source, target, '--not-prefix', 'x:', ...CAUGHT_UP);
    expect([again.code, await alike()]).toEqual([0, []]);
  });
});

/** What a server that hides commands is started with. */
const hides = (...names: string[]): string[] => names.flatMap((name) => ['--rename-command', name, '']);

describe(`servers that hide commands, ${SERVER}`, () => {
  let usual: RedisNode;
  beforeAll(async () => {
    usual = await RedisNode.start();
    await usual.client.set('a', '1');
    await allow([usual], ['~*', '+@all']);
  });
  afterAll(() => usual.stop());

  const run = (from: RedisNode, to: RedisNode): Promise<Result> =>
    rdbkit(['sync', from.url, to.url, '--spool', 'none', '--yes', '--retry-for', '100ms', '--via', 'replication', ...CAUGHT_UP]);

  test.each([
    [
      ['PSYNC', 'SYNC'],
      /unknown command 'PSYNC'.* If the service has PSYNC under another name, --psync-command gives that; --via scan does without .*\.$/m,
    ],
    [['REPLCONF'], /unknown command .*REPLCONF.* A sync does not work with a server that does not take REPLCONF\. .*"Rights"\.$/im],
    [['DUMP', 'EXISTS'], /unknown command .*DUMP.* A sync does not work with a server that does not take DUMP, EXISTS\. .*"Rights"\.$/im],
  ])('a source without %s', async (names, expected) => {
    const source = await RedisNode.start(...hides(...names));
    const { code, err } = await run(source, usual);
    expect([code, err]).toEqual([4, expect.stringMatching(expected)]);
    await source.stop();
  });

  test.each([
    [['RESTORE'], /unknown command .*RESTORE.* A sync does not work with a server that does not take RESTORE\. .*"Rights"\.$/im],
    [['MULTI', 'HGETALL'], /unknown command .*MULTI.* A sync does not work with a server that does not take MULTI\. .*"Rights"\.$/im],
  ])('a target without %s', async (names, expected) => {
    const target = await RedisNode.start(...hides(...names));
    const { code, err } = await run(usual, target);
    expect([code, err]).toEqual([4, expect.stringMatching(expected)]);
    expect(await target.client.dbsize()).toBe(0);
    await target.stop();
  });

  test('CONFIG, DEBUG and others of administrators are not needed', async () => {
    const hidden = hides('CONFIG', 'DEBUG', 'SAVE', 'BGSAVE', 'SHUTDOWN', 'KEYS', 'MONITOR', 'ACL');
    const [source, target] = await Promise.all([RedisNode.start(...hidden), RedisNode.start(...hidden)]);
    await source.client.set('b', '1', 'EX', 100);
    const { code, err } = await run(source, target);
    expect([code, err.includes('warning'), await target.client.get('b')]).toEqual([0, false, '1']);
    await Promise.all([source.stop(), target.stop()]);
  });
});

describe(`the least rights for a sync of clusters, ${SERVER}`, () => {
  let source: TestCluster;
  let target: TestCluster;
  let single: RedisNode;
  beforeAll(async () => {
    [source, target, single] = await Promise.all([TestCluster.start(), TestCluster.start(), RedisNode.start()]);
  });
  beforeEach(async () => {
    await Promise.all([allow(source.nodes, SOURCE_CLUSTER), allow(target.nodes, TARGET_CLUSTER), allow([single], SOURCE)]);
    await Promise.all([...mastersOf(source), ...mastersOf(target), single].map(({ client }) => client.flushall()));
  });
  afterAll(() => Promise.all([source.stop(), target.stop(), single.stop()]));

  const mastersOf = ({ nodes }: TestCluster): RedisNode[] => nodes.slice(0, 3);
  const env = { RDBKIT_SOURCE_AUTH: 's3cret', REDISCLI_AUTH: 's3cret' };
  const copy = (from: RedisNode, ...argv: string[]): Promise<Result> =>
    rdbkit(['sync', login(from), login(target.nodes[0]), '--yes', '--spool', 'none', ...argv], { env });

  async function toSource(...command: [string, ...string[]]): Promise<void> {
    for (const { client } of mastersOf(source)) await client.call(...command).catch(() => ''); // one of them takes it
  }

  test('what the page prints is enough from a server to a cluster', async () => {
    const stderr = new Collector();
    const stopping = new AbortController();
    const argv = ['sync', login(single), login(target.nodes[0]), '--yes', '--spool', 'none'];
    const running = rdbkit(argv, { env, stderr, signal: stopping.signal });
    await follows(stderr);
    await single.client.mset('a', 1, 'b', 2, 'c', 3);
    await single.client.multi().rename('a', 'd').incr('b').exec();
    await until('they are alike', async () => (await unlike([single], mastersOf(target))).length === 0);
    stopping.abort(new Interruption('SIGTERM'));
    expect([(await running).code, stderr.text]).toEqual([143, expect.not.stringContaining('NOPERM')]);
    expect((await copy(single, ...CAUGHT_UP)).code).toBe(0);
    expect((await copy(single, '--forget', '--spool', folder.at('none'))).code).toBe(0);
  });

  test('what the page prints is enough from a cluster to a cluster, while a slot moves', async () => {
    const stderr = new Collector();
    const stopping = new AbortController();
    const argv = ['sync', login(source.nodes[0]), login(target.nodes[0]), '--yes', '--spool', 'none', '--not-prefix', 'x:', '--verbose'];
    await toSource('SET', '{a}:1', '1');
    const running = rdbkit(argv, { env, stderr, signal: stopping.signal });
    await follows(stderr);
    await toSource('SET', 'x:{a}', '1');
    await toSource('RENAME', 'x:{a}', '{a}:2');
    const slot = Number(await source.nodes[0].client.call('CLUSTER', 'KEYSLOT', '{a}'));
    const owners = await Promise.all(mastersOf(source).map(({ client }) => client.call('CLUSTER', 'COUNTKEYSINSLOT', `${slot}`)));
    const from = owners.findIndex((keys) => Number(keys) > 0);
    await source.migrateSlot(slot, source.nodes[from], source.nodes[(from + 1) % 3], () => toSource('INCR', '{a}:1'));
    await until('the slot has arrived', () => Promise.resolve(stderr.text.includes('the source has moved a slot')));
    await toSource('INCR', '{a}:2');
    await until('they are alike', async () => (await unlike(mastersOf(source), mastersOf(target))).length === 0);
    stopping.abort(new Interruption('SIGTERM'));
    expect([(await running).code, stderr.text]).toEqual([143, expect.not.stringContaining('NOPERM')]);
  });

  test.each(['+cluster|slots', '+cluster|nodes', '+asking', '+scan', '+exists'])('a source without %s', async (right) => {
    await allow(source.nodes, without(SOURCE_CLUSTER, right));
    const { code, err } = await copy(source.nodes[0], ...CAUGHT_UP);
    expect([code, rightsOf(err)]).toEqual([4, right]);
  });

  test.each(['+cluster|slots', '+asking', '+exists'])('a target without %s', async (right) => {
    await allow(target.nodes, without(TARGET_CLUSTER, right));
    const { code, err } = await copy(source.nodes[0], ...CAUGHT_UP);
    expect([code, rightsOf(err)]).toEqual([4, right]);
  });

  test.each(['-cluster|nodes', '-cluster|slots'])('%s of the source while it runs', async (rule) => {
    const stderr = new Collector();
    const argv = ['sync', login(source.nodes[0]), login(target.nodes[0]), '--yes', '--spool', 'none', '--on-conflict', 'replace'];
    const running = rdbkit(argv, { env, stderr });
    await follows(stderr);
    await Promise.all(source.nodes.map(({ client }) => client.call('ACL', 'SETUSER', 'rdbkit', rule)));
    const { code, err } = await running;
    expect([code, rightsOf(err)]).toEqual([4, rule.replace('-', '+')]);
  });
});
