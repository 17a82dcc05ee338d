import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkSync } from '../../src/cli/sync-check.js';
import type { Io } from '../../src/cli/io.js';
import { readOptions } from '../../src/cli/options/read.js';
import { Collector, Folder, FIXTURE, rdbkit, type Result } from '../support/cli-support.js';
import { Readable } from 'node:stream';

const folder = new Folder();
afterAll(() => folder.remove());

const OLD = 'redis://127.0.0.1:1';
const NEW = 'redis://127.0.0.1:2';
const sync = (argv: readonly string[], world?: Parameters<typeof rdbkit>[1]): Promise<Result> => rdbkit(['sync', ...argv], world);

describe('wrong usage of rdbkit sync', () => {
  test.each<[string, string[]]>([
    ['no source given: before the target, name the server that is copied', [NEW]],
    ['no source given', ['-h', 'localhost']],
    ['the target is missing: name it after the sources', [FIXTURE]],
    ['the target does not come last', [OLD, FIXTURE]],
    [`the source ${FIXTURE} is no server, which a sync needs`, [FIXTURE, NEW]],
    ['the source 127.0.0.1:1 has no scheme: write redis://127.0.0.1:1', ['127.0.0.1:1', NEW]],
    [`the source ${FIXTURE} is no server, which a sync needs`, [OLD, FIXTURE, NEW]],
    ['the source redis://a:6379 is given twice', ['redis://a', 'redis://b', 'redis://a:6379', NEW]],
    ['redis://b:6379 is a source, and the target', ['redis://a', 'redis://b', '-h', 'b']],
    [
      '--db-map x:6379/0:1: no source has this address; there are redis://a:6379, redis://b:6379',
      ['redis://a', 'redis://b', NEW, '--db-map', 'x/0:1'],
    ],
    ['--db-map :x/0:1: expected the address of a source before the /', ['redis://a', NEW, '--db-map', ':x/0:1']],
    ['database 0 is mapped already', ['redis://a', NEW, '--db-map', 'a/0:1,a:6379/0:2']],
    ['31 sources are too many for one sync: up to 30', [...Array.from({ length: 31 }, (_, i) => `redis://a:${i + 1}`), NEW]],
    ['the target names a database for all keys', [OLD, `${NEW}/1`, '--db-map', '3:1']],
    ['--phase half: expected one of both, full, changes', [OLD, NEW, '--phase', 'half']],
    ['--until now: expected one of caught-up', [OLD, NEW, '--until', 'now']],
    ['--max-lag soon: expected a time', [OLD, NEW, '--until', 'caught-up', '--max-lag', 'soon']],
    ['--max-lag is for --until caught-up', [OLD, NEW, '--max-lag', '1s']],
    ['--settle is for --until caught-up', [OLD, NEW, '--settle', '1s', '--via', 'replication']],
    ['--spool has no meaning with --via scan: keys are fetched, and no commands are received', [OLD, NEW, '--via', 'scan', '--spool', 'x']],
    ['--expiry has no meaning with --via scan: expiries are exact', [OLD, NEW, '--via', 'scan', '--expiry', 'held']],
    ['--prefer-replica has no meaning with --via scan: a replica may have an older value', [OLD, NEW, '--via', 'scan', '--prefer-replica']],
    ['--events has no meaning with --via replication', [OLD, NEW, '--via', 'replication', '--events', 'tracking']],
    ['--events all: expected one of tracking, notifications', [OLD, NEW, '--events', 'all']],
    ['--until has no meaning with --phase full: only the full copy is made', [OLD, NEW, '--phase', 'full', '--until', 'caught-up']],
    ['--seed has no meaning with --phase changes: there is no full copy', [OLD, NEW, '--phase', 'changes', '--seed', FIXTURE]],
    ['--fresh has no meaning with --phase changes', [OLD, NEW, '--phase', 'changes', '--fresh']],
    ['--flush has no meaning with --forget', [OLD, NEW, '--forget', '--flush', '--yes']],
    ['--forget and --fresh: expected one of them at most', [OLD, NEW, '--forget', '--fresh']],
    ['--flush deletes keys, and there is no terminal to confirm on: add --yes', [OLD, NEW, '--flush']],
    ['--forget removes what a sync needs to go on, and there is no terminal to confirm on: add --yes', [OLD, NEW, '--forget']],
    ['--seed is a URL: expected the path of a file', [OLD, NEW, '--seed', 'redis://x']],
    ['--seed -: standard input cannot be read again', [OLD, NEW, '--seed', '-']],
    ['--keep-rdb needs a folder to keep the RDB in, and --spool none gives it none', [OLD, NEW, '--keep-rdb', '--spool', 'none']],
    ['--keep-rdb and --seed: expected one of them at most', [OLD, NEW, '--keep-rdb', '--seed', FIXTURE]],
    ['--keep-rdb has no meaning with --phase changes: there is no full copy', [OLD, NEW, '--phase', 'changes', '--keep-rdb']],
    ['--keep-rdb has no meaning with --forget', [OLD, NEW, '--forget', '--keep-rdb', '--yes']],
    ['--spool-max 0: expected at least one byte', [OLD, NEW, '--spool-max', '0']],
    ['--expiry never: expected one of held, exact', [OLD, NEW, '--expiry', 'never']],
    ['--confirm no: expected one of wait, answered', [OLD, NEW, '--confirm', 'no']],
    ['--on-gap ask: expected one of stop, full', [OLD, NEW, '--on-gap', 'ask']],
    ['--check and --dry-run: expected one of them at most', [OLD, NEW, '--check', '--dry-run']],
    ['--for is for --check, which is not given', [OLD, NEW, '--for', 'elasticache-online-migration']],
    ['--for dms: expected one of elasticache-online-migration', [OLD, NEW, '--check', '--for', 'dms']],
    ['--ignore-check cpu: expected one of slots, databases, memory, modules, functions, output-buffer', [OLD, NEW, '--ignore-check', 'cpu']],
    ['--ignore-check has no meaning with --check', [OLD, NEW, '--check', '--ignore-check', 'slots']],
    ['the source redis://a:6379 is given twice', ['redis://a', 'redis://b', 'redis://a', NEW, '--check']],
    ['no source given', [NEW, '--check']],
    ['--max-ops-per-second 0: expected a number from 1', [OLD, NEW, '--max-ops-per-second', '0']],
    ['--only-command "": expected names of commands', [OLD, NEW, '--only-command', 'set,']],
    ['--not-command "a b": expected names of commands', [OLD, NEW, '--not-command', 'a b']],
    ['--id ../x: expected up to 64 letters', [OLD, NEW, '--id', '../x']],
    ['--id "{a}": expected up to 64 letters', [OLD, NEW, '--id', '{a}']],
    ['--position-prefix "a{b": expected up to 128 printable ASCII characters, no spaces, { or }', [OLD, NEW, '--position-prefix', 'a{b']],
    ['--position-prefix "a b": expected', [OLD, NEW, '--position-prefix', 'a b']],
    ["unknown option '--scan-count'", [OLD, NEW, '--scan-count', '10']],
    ['--status here: expected an address and a port, like 127.0.0.1:9121 or :9121', [OLD, NEW, '--status', 'here']],
    ['--status 127.0.0.1:65536: expected an address and a port', [OLD, NEW, '--status', '127.0.0.1:65536']],
    ['--status ::1:9121: expected an address and a port', [OLD, NEW, '--status', '::1:9121']],
    ['--status is a URL: expected an address and a port', [OLD, NEW, '--status', 'http://:x@127.0.0.1:9121']],
    ['--status 192.0.2.1:9121: this machine does not have this address', [OLD, NEW, '--status', '192.0.2.1:9121']],
    ['--status has no meaning with --forget', [OLD, NEW, '--forget', '--status', ':9121', '--yes']],
    ["unknown option '--limit'", [OLD, NEW, '--limit', '1']],
  ])('%s', async (message, argv) => {
    const { code, err, out } = await sync(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).toMatch(/^rdbkit: [^\n]* See rdbkit sync --help\n$/);
  });

  test('a password does not show', async () => {
    for (const argv of [
      ['redis://:s3cret@a', 'redis://:s3cret@b', NEW],
      ['redis://:s3cret@127.0.0.1:1', 'redis://:s3cret@127.0.0.1:1'],
    ]) {
      expect((await sync([...argv, '--retry-for', '1ms'], { env: { DEBUG: 'rdbkit' } })).err).not.toContain('s3cret');
    }
  });

  test('a variable that other commands use is no mistake', async () => {
    expect((await sync([OLD, NEW, '--retry-for', '1ms'], { env: { RDBKIT_SETTLE: '1s' } })).code).toBe(4);
  });
});

test('a source that nobody is at', async () => {
  const { code, err } = await sync([OLD, NEW, '--retry-for', '1ms']);
  expect(code).toBe(4);
  expect(err).toMatch(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1\. Check host and port[^\n]*\n$/);
});

test('commands that other tools have for it', async () => {
  for (const name of ['replicate', 'psync', 'replicaof']) expect((await rdbkit([name])).err).toContain('did you mean sync?');
});

describe('options', () => {
  const io = (env: Record<string, string> = {}): Io => ({
    stdin: Readable.from([]),
    stdout: new Collector(),
    stderr: new Collector(),
    env,
  });
  const checked = (typed: Record<string, readonly string[] | boolean> = {}, env: Record<string, string> = {}) =>
    checkSync({ ...readOptions('sync', typed, env), words: [OLD, NEW], argv: [], io: io(env) });

  test('unless given', async () => {
    expect(await checked()).toMatchObject({
      sources: ['redis://127.0.0.1:1'],
      source: { via: 'auto' },
      url: { addresses: [{ port: 2 }] },
      phase: 'both',
      spoolMax: 20 * 1024 ** 3,
      maxLag: 1000,
      settle: 2000,
      untilCaughtUp: false,
      holdExpiries: true,
      confirm: true,
      conflict: 'error',
      functions: true,
      positionPrefix: 'rdbkit:sync:',
    });
    expect(await checked()).toMatchObject({ onGap: undefined, seed: undefined, id: undefined });
  });

  test('given', async () => {
    const typed = {
      until: ['caught-up'],
      maxLag: ['20ms'],
      expiry: ['exact'],
      confirm: ['answered'],
      onlyCommand: ['SET,del', 'incr'],
      seed: [FIXTURE],
      prefix: ['a'],
    };
    expect(await checked(typed)).toMatchObject({
      ...{
        untilCaughtUp: true,
        maxLag: 20,
        holdExpiries: false,
        confirm: false,
        onlyCommand: ['set', 'del', 'incr'],
        seed: [FIXTURE],
        functions: false,
      },
    });
    expect(await checked({ yes: true })).toMatchObject({ onGap: 'full' });
    expect(await checked({ yes: true, onGap: ['stop'] })).toMatchObject({ onGap: 'stop' });
  });

  test('where it answers', async () => {
    const status = async (given: string) => ((await checked({ status: [given] })) as { status?: unknown }).status;
    expect(await status(':9121')).toEqual({ host: '127.0.0.1', port: 9121 });
    expect(await status('9121')).toEqual({ host: '127.0.0.1', port: 9121 });
    expect(await status('[::1]:9121')).toEqual({ host: '::1', port: 9121 });
    expect(await status('0.0.0.0:0')).toEqual({ host: '0.0.0.0', port: 0 });
    expect(await status('sync.internal:80')).toEqual({ host: 'sync.internal', port: 80 });
  });

  test('the folder of the spool', async () => {
    const home = folder.at('home');
    expect(await checked({}, { HOME: home })).toMatchObject({ spool: join(home, '.local/state/rdbkit') });
    expect(await checked({}, { HOME: home, XDG_STATE_HOME: '' })).toMatchObject({ spool: join(home, '.local/state/rdbkit') });
    expect(await checked({}, { HOME: home, XDG_STATE_HOME: 'relative' })).toMatchObject({ spool: join(home, '.local/state/rdbkit') });
    expect(await checked({}, { HOME: home, XDG_STATE_HOME: folder.at('state') })).toMatchObject({ spool: folder.at('state/rdbkit') });
    expect(await checked({ spool: ['here'] }, { HOME: home })).toMatchObject({ spool: 'here' });
    expect((await checked({ spool: ['none'] }, { HOME: home })).spool).toBeUndefined();
  });
});
