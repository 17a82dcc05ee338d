import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { RedisNode } from '../support/redis-node.js';

const folder = new Folder();
/** Of the package redis-redisearch. */
const MODULE = '/usr/lib/redis/modules/redisearch.so';
const nodes: RedisNode[] = [];
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  folder.remove();
});

async function start(...options: string[]): Promise<RedisNode> {
  const node = await RedisNode.start(...options);
  nodes.push(node);
  return node;
}

const pair = (source: readonly string[] = [], target: readonly string[] = []): Promise<[RedisNode, RedisNode]> =>
  Promise.all([start(...source), start(...target)]);

interface Row {
  readonly name: string;
  readonly outcome: string;
  readonly found: string;
  readonly advice?: string;
  readonly source: string;
}

interface Told {
  readonly code: number | null;
  /** By name: `outcome: found`. */
  readonly rows: ReadonlyMap<string, string>;
  readonly all: readonly Row[];
  readonly object: { readonly meetings: readonly { sampled: number; shared: number; examples: readonly string[] }[] };
}

/** `--check` with --json: the rules by name. */
async function check(argv: readonly string[], env: Record<string, string> = {}, list: 'findings' | 'service' = 'findings'): Promise<Told> {
  const { code, err } = await rdbkit(['sync', ...argv, '--check', '--json'], { env });
  const object = JSON.parse(err.trimEnd().split('\n').at(-1) ?? '') as Told['object'] & { checked?: Record<typeof list, Row[]>[] };
  if (object.checked === undefined) throw new Error(err);
  const all = object.checked.flatMap((one) => one[list]);
  return { code, all, rows: new Map(all.map(({ found, name, outcome }) => [name, `${outcome}: ${found}`])), object };
}

const text = (argv: readonly string[]): Promise<Result> => rdbkit(['sync', ...argv]);

/** Writes until it is told to stop. */
function writing({ client }: RedisNode, command: readonly [string, ...string[]]): () => Promise<void> {
  const stopping = new AbortController();
  const done = (async () => {
    while (!stopping.signal.aborted) {
      await Promise.all(Array.from({ length: 20 }, () => client.call(...command)));
      await delay(2);
    }
  })();
  return async () => {
    stopping.abort();
    await done;
  };
}

describe.concurrent('rules of --check', () => {
  test('nothing stops a copy between two plain servers', async () => {
    const [source, target] = await pair();
    await source.client.mset('a', '1', 'b', '2');
    const { code, all } = await check([source.url, target.url]);
    expect(all.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect([code, new Set(all.map(({ name }) => name)).size, await target.client.dbsize()]).toEqual([0, 20, 0]);
    expect(all.filter((row) => !/^https:|^docs\//.test(row.source))).toEqual([]);
  });

  test('databases, backlog, output buffer, memory, eviction, keys there, proto-max-bulk-len', async () => {
    const [source, target] = await pair(
      ['--databases', '32', '--repl-backlog-size', '16kb', '--client-output-buffer-limit', 'replica 20kb 0 0'],
      ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru', '--proto-max-bulk-len', '1mb'],
    );
    await source.client.call('DEBUG', 'POPULATE', '40000', 'key', '100');
    await source.client.select(20);
    await source.client.set('far', '1');
    await source.client.select(0);
    await target.client.set('there', '1');
    const stop = writing(source, ['SET', 'written', 'x'.repeat(500)]);
    const { code, rows, all } = await check([source.url, target.url, '--spool', 'none']);
    await stop();
    expect(code).toBe(1);
    expect(rows.get('databases')).toBe('stops: the target has databases 0 to 15: 1 key of database 20 would be rejected');
    expect(rows.get('backlog')).toMatch(/^warning: 16\.4 kB, with at most .*\/s of writes, measured over 2\.\d s: it lasts 0\.\d\d s$/);
    expect(rows.get('output-buffer')).toMatch(/^warning: replicas are cut off at 20\.5 kB at once, .*: reached 0\.\d\d s after/);
    expect(rows.get('memory')).toMatch(/^stops: the keys take .* MB on the source, .* are left$/);
    expect(rows.get('eviction')).toMatch(/^warning: allkeys-lru: it may evict keys/);
    expect(rows.get('empty')).toBe('stops: it has 1 key');
    expect(rows.get('proto-limit')).toMatch(/^warning: the limit is 1\.05 MB, .* in a sample of \d+ of 40,00\d keys, the largest is /);
    expect(all.find(({ name }) => name === 'databases')?.advice).toContain('--db-map 20:0');
    expect(await target.client.dbsize()).toBe(1);

    const mapped = await check([source.url, target.url, '--db-map', '20:1', '--on-conflict', 'skip', '--max-payload', '1mb']);
    expect(mapped.rows.get('databases')).toBe('ok: 0, 20 in use; the target has databases 0 to 15');
    expect(mapped.rows.get('empty')).toBe('ok: it has 1 key, and --on-conflict skip is given');
    expect(mapped.rows.get('memory')).toMatch(/^warning:/);
    expect(mapped.rows.get('proto-limit')).toMatch(/^ok:/);
  });

  test('PSYNC that is refused, and a target that takes no writes', async () => {
    const [source, target] = await pair([], ['--maxmemory', '1']);
    await source.client.call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@all', '-psync', '-sync', '-dump');
    await target.client.call('ACL', 'SETUSER', 'default', '-client|kill');
    const args = [source.url, target.url, '--source-user', 'reader', '--via', 'replication'];
    const { code, rows } = await check(args, { RDBKIT_SOURCE_AUTH: 'pw' });
    expect(code).toBe(1);
    expect(rows.get('psync')).toMatch(/^stops: PSYNC is refused \(NOPERM/);
    expect(rows.get('source-rights')).toMatch(/^stops: it refuses what a sync needs \(NOPERM .*'dump'/);
    expect(rows.get('target-rights')).toMatch(/^warning: .* refuses CLIENT KILL/);
    expect(rows.get('writable')).toMatch(/^stops: it refuses every write \(OOM/);
  });

  test('a source that is read by scan: PSYNC is not needed, and what is needed instead is asked for', async () => {
    const [source, target] = await pair();
    const env = { RDBKIT_SOURCE_AUTH: 'pw' };
    const user = async (...rules: string[]): Promise<void> => {
      await source.client.call('ACL', 'SETUSER', 'reader', 'reset', 'on', '>pw', ...rules);
    };
    // those of docs/sync.md, "The least rights for a scan"
    const least = '~* -@all +info +select +scan +dump +pexpiretime +exists +ping +client|tracking +function|list +function|dump'.split(' ');
    await user(...least);
    const args = [source.url, target.url, '--source-user', 'reader'];
    const auto = await check(args, env);
    expect(auto.code).toBe(0);
    expect(auto.rows.get('psync')).toMatch(
      /^warning: PSYNC is refused \(NOPERM.*\): the source is read by scan, and tells the names of keys/,
    );
    expect(auto.all.find(({ name }) => name === 'psync')?.advice).toContain('What this way cannot promise');
    expect(['source-rights', 'target-rights', 'backlog', 'output-buffer'].map((name) => auto.rows.get(name)?.split(':')[0])).toEqual([
      ...['ok', 'ok', undefined, undefined],
    ]);
    const asked = await check([...args, '--via', 'scan'], env);
    expect(asked.rows.get('psync')).toMatch(/^ok: not needed with --via scan/);
    await user(...least, '-dump', '-client|tracking');
    const refused = await check(args, env);
    expect([refused.code, refused.rows.get('source-rights')]).toEqual([1, expect.stringMatching(/^stops: .*NOPERM.*'dump'/)]);
    expect(refused.all.find(({ name }) => name === 'source-rights')?.advice).toContain(
      'ACL SETUSER NAME +dump +client|tracking gives them',
    );
    const run = await rdbkit(['sync', ...args, '--until', 'caught-up'], { env });
    expect([run.code, run.err]).toEqual([4, expect.stringContaining('+dump +client|tracking')]);
    // the same with notifications
    const notified = [...args, '--events', 'notifications'];
    await user(...least, '-client|tracking');
    expect((await check(notified, env)).all.find(({ name }) => name === 'source-rights')?.advice).toContain('+psubscribe allchannels');
    await user(...least, '+psubscribe', 'allchannels', '+config|get');
    expect((await check(notified, env)).rows.get('source-rights')).toMatch(/^stops: .*notify-keyspace-events is ""/);
    await source.client.config('SET', 'notify-keyspace-events', 'KA');
    expect((await check(notified, env)).rows.get('source-rights')).toMatch(/^ok/);
    // a sync makes the checks, too
    await source.client.select(14);
    await source.client.set('far', '1');
    const small = await start('--databases', '2');
    const copied = await rdbkit(['sync', source.url, small.url, '--via', 'scan', '--until', 'caught-up']);
    expect([copied.code, copied.err]).toEqual([1, expect.stringContaining('databases: the target has databases 0 to 1')]);
    expect(await small.client.dbsize()).toBe(0);
  });

  test('what a server refuses to tell is unknown, and not in order', async () => {
    const [source, target] = await pair();
    await source.client.set('a', '1');
    for (const { client } of [source, target]) {
      await client.call('ACL', 'SETUSER', 'default', '+@all', '-config', '-module', '-memory', '-echo', '-function');
    }
    await target.client.call('ACL', 'SETUSER', 'default', '-info');
    const { rows } = await check([source.url, target.url, '--target-version', '7.0', '--standalone']);
    for (const name of ['output-buffer', 'memory', 'eviction', 'modules', 'functions', 'proto-limit']) {
      expect(rows.get(name), name).toMatch(/^unknown: .*(?:refused|NOPERM)/);
    }
    expect(rows.get('backlog')).toMatch(/^ok:/); // INFO has it, too
    expect(rows.get('target-rights')).toMatch(/^stops: it refuses what a sync needs \(NOPERM .*'info'/);
    await target.client.call('ACL', 'SETUSER', 'default', '+info');
    const { err } = await text([source.url, target.url, '--dry-run']);
    expect(err).toMatch(/^rdbkit: not checked, since a server does not tell: output-buffer, modules, functions, proto-limit;/m);
  });

  test('processor', async () => {
    const [source, target] = await pair();
    const busy =
      "local t = redis.call('TIME') local ends = t[1] * 1000000 + t[2] + 20000 repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > ends";
    const stop = writing(source, ['EVAL', busy, '0']);
    const { code, rows } = await check([source.url, target.url]);
    await stop();
    const [, percent] = /^(?:ok|warning): (\d+) % of a core/.exec(rows.get('cpu') ?? '') ?? [];
    expect(Number(percent)).toBeGreaterThan(5); // of what is left of a core of this machine: it is below 2 without the loop
    expect([code, rows.get('cpu')?.startsWith('warning')]).toEqual([0, Number(percent) >= 70]);
  });

  test('modules: loaded, and with keys', async () => {
    const [source, target] = await pair(['--loadmodule', MODULE]);
    await source.client.set('a', '1');
    const loaded = await check([source.url, target.url]);
    expect(loaded.rows.get('modules')).toBe('warning: the target lacks ft; in a sample of 1 keys none is theirs');
    await source.client.call('FT.SUGADD', 'b', 'hello', '1');
    const used = await check([source.url, target.url]);
    const found = 'the target lacks ft, and there are keys of type trietype0 in a sample of 2 keys';
    expect([used.code, used.rows.get('modules')]).toEqual([1, `stops: ${found}`]);
  });

  test('functions and an older version', async () => {
    const [source, target] = await pair();
    await source.client.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
    const older = [source.url, target.url, '--target-version', '6.2'];
    const { code, rows } = await check(older);
    expect([code, rows.get('functions')]).toEqual([
      1,
      expect.stringMatching(/^stops: the source has 1, and Redis .* does not have functions$/),
    ]);
    expect(rows.get('version')).toMatch(/^warning: Redis .* into Redis .*, which does not read all that the source writes$/);
    expect((await check([...older, '--no-functions'])).rows.get('functions')).toMatch(/^ok: .* --no-functions leaves them out$/);
  });

  test('a cluster with slots of nobody', async () => {
    const [source, target] = await pair([], ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no']);
    await target.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '9999');
    while (!((await target.client.call('CLUSTER', 'INFO')) as string).includes('cluster_state:ok')) await delay(20);
    const { code, rows } = await check([source.url, target.url]);
    expect(code).toBe(1);
    expect(rows.get('slots')).toBe('stops: 6,384 of 16,384 have no master, so that their keys would be rejected');
    expect(rows.get('cluster')).toBe('warning: one server into a cluster');
  });

  test('keys of slots that a master of the source does not have are no reason not to look at the others', async () => {
    const [source, target] = await pair(['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no']);
    await source.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '9999');
    while (!((await source.client.call('CLUSTER', 'INFO')) as string).includes('cluster_state:ok')) await delay(20);
    await source.client.call('DEBUG', 'POPULATE', '100');
    const [, looked] =
      /^ok: .* in a sample of (\d+) of 100 keys/.exec((await check([source.url, target.url])).rows.get('proto-limit') ?? '') ?? [];
    expect(Number(looked)).toBeGreaterThan(20);
    expect(Number(looked)).toBeLessThan(100);
  });

  test('a password without TLS to another machine, a spool that is too small', async () => {
    const [source, target] = await pair();
    for (const { client } of [source, target]) await client.config('SET', 'requirepass', 'pw');
    await source.client.call('DEBUG', 'POPULATE', '200000', 'key', '100');
    const url = source.url.replace('127.0.0.1', '0.0.0.0'); // any name that is not of this machine's loopback
    const stop = writing(source, ['SET', 'written', 'x'.repeat(500)]);
    const { rows } = await check([url, target.url, '--spool-max', '1kb'], { RDBKIT_SOURCE_AUTH: 'pw', REDISCLI_AUTH: 'pw' });
    await stop();
    expect(rows.get('source-login')).toMatch(/^warning: .*: the password and all keys go over the network unencrypted$/);
    expect(rows.get('target-login')).toBe('ok: as the default user, with a password, without TLS');
    expect(rows.get('time')).toMatch(/^warning: about .* are written meanwhile, and the spool takes 1\.02 kB$/);
  });

  test('several sources: keys that both have', async () => {
    const [[one, other], target] = await Promise.all([pair(), start()]);
    await one.client.mset('a', '1', 'b', '2', 'c', '3');
    await other.client.mset('b', '1', 'x', '2', 'y', '3', 'z', '4');
    const { code, object } = await check([one.url, other.url, target.url]);
    expect([code, object.meetings]).toEqual([0, [expect.objectContaining({ sampled: 3, shared: 1, examples: ['b'], into: 0 })]]);
    const { out } = await text([one.url, other.url, target.url, '--check']);
    expect(out).toContain(`${one.url} into ${target.url}\n`);
    expect(out).toMatch(/^warning {2}database 0 of .* both go to database 0: in a sample of 3 keys, 1 is in both \(b\)\./m);
  });

  test('a server that is not there ends it', async () => {
    const target = await start();
    const { code, err, out } = await text(['redis://127.0.0.1:1', target.url, '--check']);
    expect([code, out]).toEqual([4, '']);
    expect(err).toMatch(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:1/);
  });
});

describe.concurrent('--for elasticache-online-migration', () => {
  const FOR = ['--check', '--for', 'elasticache-online-migration'];

  test('it would take a server without a password', async () => {
    const [source, target] = await pair();
    const { code, err, out } = await text([source.url, target.url, ...FOR]);
    expect(code).toBe(0);
    expect(err).toMatch(
      /^rdbkit: ElastiCache's online migration would take redis:.*, by its published limits, once this is changed: protected-mode, bind\./m,
    );
    expect(out).toMatch(/^warning {2}protected-mode .*: yes$/m);
    expect(out).not.toMatch(/^stops/m);
    await source.client.config('SET', 'protected-mode', 'no');
    const open = await check([source.url, target.url, '--for', 'elasticache-online-migration'], {}, 'service');
    expect(open.rows.get('protected-mode')).toBe('ok: no');
  });

  test('it would not with a password, another number of databases, or renamed commands', async () => {
    const [source, target] = await pair(['--databases', '3', '--rename-command', 'SYNC', 'x'], ['--maxmemory', '3mb']);
    await source.client.config('SET', 'requirepass', 'pw');
    await source.client.call('DEBUG', 'POPULATE', '40000', 'key', '100');
    const { code, err, out } = await rdbkit(['sync', source.url, target.url, ...FOR], { env: { RDBKIT_SOURCE_AUTH: 'pw' } });
    expect(code).toBe(1);
    expect(err).toMatch(/^rdbkit: ElastiCache's online migration would not take redis:.*: auth, same-databases, renamed, room\.$/m);
    expect(err).toMatch(/^rdbkit: {3}instead, rdbkit sync logs in to the source/m);
    expect(out).toMatch(/^stops +auth +no AUTH on the source: the source asks for a password$/m);
  });

  test('it would not take a cluster for one server', async () => {
    const [source, target] = await pair(['--cluster-enabled', 'yes']);
    await source.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    while (!((await source.client.call('CLUSTER', 'INFO')) as string).includes('cluster_state:ok')) await delay(20);
    const { code, err, out } = await text([source.url, target.url, ...FOR]);
    expect(code).toBe(1);
    expect(err).toMatch(/would not take redis:.*: cluster-mode\.$/m);
    expect(out).toMatch(/^stops +cluster-mode .*a cluster of 1 shards, target: cluster mode disabled: both have to be the same$/m);
  });
});

describe.concurrent('checks of the plan', () => {
  test('what would lose keys ends a sync before it writes, unless it is ignored', async () => {
    const [source, target] = await pair(['--databases', '32']);
    await source.client.mset('a', '1', 'b', '2');
    await source.client.select(20);
    await source.client.set('far', '1');
    const argv = [source.url, target.url, '--spool', 'none', '--phase', 'full'];
    for (const more of [[], ['--dry-run']]) {
      const { code, err } = await text([...argv, ...more]);
      expect([code, await target.client.dbsize()]).toEqual([1, 0]);
      expect(err).toMatch(/^rdbkit: the copy would fail or lose keys: databases: .* --ignore-check databases makes it all the same\.$/m);
    }
    const { code, err } = await text([...argv, '--ignore-check', 'databases']);
    expect([code, await target.client.mget('a', 'b')]).toEqual([1, ['1', '2']]);
    expect(err).toMatch(/NOT_SYNCED: .*far/);
  });
});
