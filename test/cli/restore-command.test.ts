import { relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { report, restore, strings } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const small = folder.file('small.rdb', strings({ a: '1', b: '2', c: '3' }));
const NOBODY = 'redis://127.0.0.1:1';

describe('wrong usage of rdbkit restore', () => {
  test.each<[string, string[]]>([
    ['the target is missing: name it after the sources', [small]],
    ['the target is missing: name it after the sources', [small, '-n', '3']],
    ['-h and a URL both name the target', [small, NOBODY, '-h', 'localhost']],
    ['-p and a URL both name the target', [small, NOBODY, '-p', '6380']],
    ['--host is a URL', [small, '-h', NOBODY]],
    ['--host localhost:6380: expected a host alone, and its port with -p', [small, '-h', 'localhost:6380']],
    ['--host "a b": expected the name', [small, '-h', 'a b']],
    ['--port 0: expected a number from 1 to 65535', [small, '-p', '0']],
    ['--into-db x: expected a number', [small, '-h', 'localhost', '-n', 'x']],
    ['-n 1 and the target URL, which says 2', [small, `${NOBODY}/2`, '-n', '1']],
    ['the target names a database for all keys', [small, NOBODY, '-n', '1', '--db-map', '3:1']],
    ['--pass and --password-file: expected one of them at most', [small, NOBODY, '-a', 's3cret', '--password-file', small]],
    ['--manifest names the sources, and ', [small, NOBODY, '--manifest', folder.at('m')]],
    ['no such file', ['--manifest', folder.at('m'), NOBODY]],
    ['it is not JSON, or was cut off', ['--manifest', small, '-h', 'localhost']],
    ['no source given', ['-h', 'localhost']],
    ['--key "user:*": no such file, for the private key of TLS (did you mean --match or --prefix?)', [small, NOBODY, '--key', 'user:*']],
    ['the target does not come last', [NOBODY, small]],
    ['no source given', [NOBODY]],
    ['the target: expected redis://host:port', [small, 'redis://']],
    ['what follows the host is not a database number', [small, `${NOBODY}/x`]],
    ['the name of the master is missing', [small, 'redis+sentinel://localhost']],
    ['--on-conflict last: expected one of error, skip, replace', [small, NOBODY, '--on-conflict', 'last']],
    ['--db-map 3: expected two database numbers', [small, NOBODY, '--db-map', '3']],
    ['the target names a database for all keys', [small, `${NOBODY}/1`, '--db-map', '3:1']],
    ['--partition 4/3: expected a share like 3/16', [small, NOBODY, '--partition', '4/3']],
    ['--partition 1/2 and --slot: no slot is in both', [small, NOBODY, '--partition', '1/2', '--slot', '16000']],
    ['--ttl-shift soon: expected a time', [small, NOBODY, '--ttl-shift', 'soon']],
    ['--retry-for -1: expected a time', [small, NOBODY, '--retry-for=-1']],
    ['--parallel 0: expected a number from 1 to 64', [small, NOBODY, '--parallel', '0']],
    ['--max-in-flight 0: expected at least one byte', [small, NOBODY, '--max-in-flight', '0']],
    ['--cluster and --standalone: expected one of them at most', [small, NOBODY, '--cluster', '--standalone']],
    ['options for TLS are given', [small, NOBODY, '--insecure']],
    ['--cert and --key belong together', [small, 'rediss://localhost', '--cert', small]],
    ['--cacert /no/such: ', [small, 'rediss://localhost', '--cacert', '/no/such']],
    ['--nat-map x: expected inner and outer address', [small, NOBODY, '--nat-map', 'x']],
    ['--target-version: ', [small, NOBODY, '--target-version', '1.0']],
    ['--checkpoint: standard input cannot be read again', ['-', NOBODY, '--checkpoint', folder.at('c')]],
    ['--checkpoint and --limit exclude each other', [small, NOBODY, '--checkpoint', folder.at('c'), '--limit', '1']],
    ['would overwrite a source', [small, NOBODY, '--rejects', small]],
    ['would overwrite a source', [small, NOBODY, '--rejects', relative(process.cwd(), small)]],
    ['--password-file /no/such: ', [small, NOBODY, '--password-file', '/no/such']],
    ['options for sentinels are given', [small, NOBODY, '--sentinel-user', 'x']],
    ['--sentinel-password-file /no/such: ', [small, 'redis+sentinel://localhost/m', '--sentinel-password-file', '/no/such']],
    ['--flush deletes keys', [small, NOBODY, '--flush']],
  ])('%s', async (message, argv) => {
    const { code, err, out } = await restore(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).toMatch(/^rdbkit: [^\n]* See rdbkit restore --help\n$/);
  });

  test.each([['-h'], ['-h', '--quiet'], ['--help']])('%s without a host is help', async (...argv) => {
    for (const all of [argv, [small, ...argv]]) {
      const { code, err, out } = await restore(all);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/^Usage: rdbkit restore /);
      expect(out).toMatch(/^ +-h, --host \[host\] /m);
      expect(out).toMatch(/^ +--help /m);
    }
  });

  test('a target that nobody is at', async () => {
    const { code, err } = await restore([small, NOBODY]);
    expect(code).toBe(4);
    expect(err).toMatch(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1\. Check host and port[^\n]*\n$/);
    const object = await report([small, NOBODY]);
    expect(object).toMatchObject({ command: 'restore', exitCode: 4, code: 4, errors: [{ code: 'UNREACHABLE', server: '127.0.0.1:1' }] });
    expect((await restore([small, 'redis://no-such-host.invalid'])).err).toMatch(/^rdbkit: UNREACHABLE: no-such-host\.invalid:6379: getaddrinfo (ENOTFOUND|EAI_AGAIN)/);
  });

  test.each(['redis://u:s3cret@127.0.0.1:1', 'redis://:s3cret@127.0.0.1:1', 'redis://s3cret@127.0.0.1:1/x', 'redis://u:s3cret@', 'redis://u:s3%cret@localhost', 'redis://u:s3cret@a,b'])('a password does not show: %s', async (url) => {
    for (const env of [{}, { DEBUG: 'rdbkit' }]) {
      const { err, out } = await restore([small, url, '--user', 'x'], { env: { ...env, REDISCLI_AUTH: 's3cret-too' } });
      expect(`${out}${err}`).not.toContain(url.includes('s3%') ? 's3%' : 's3cret');
      expect(err).not.toBe('');
    }
  });
});
