import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from '../support/cli-support.js';
import { freePort, SERVER, TestServer } from '../support/redis-server.js';
import { portOf, report, restore, strings, urlOf } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const openssl = (...argv: string[]): void => void execFileSync('openssl', argv, { stdio: 'ignore', cwd: folder.path });

/** A certificate `name.crt` and its key, signed by the authority `ca`. */
function certificate(name: string, subject: string, ca: string, names: string): void {
  folder.file(`${name}.ext`, `subjectAltName=${names}\n`);
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    `/CN=${subject}`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${ca}.crt`,
    '-CAkey',
    `${ca}.key`,
    '-CAcreateserial',
    '-out',
    `${name}.crt`,
    '-days',
    '30',
    '-extfile',
    `${name}.ext`,
  );
}

function authority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
    '-days',
    '30',
    '-subj',
    `/CN=${name} of a test`,
  );
}

const supportsTls = (): boolean => !execFileSync(SERVER, ['--version'], { encoding: 'utf8' }).includes('no-tls');

describe.skipIf(!supportsTls())(`TLS to ${SERVER}`, () => {
  let server: TestServer;
  let strict: TestServer;
  let url: string;
  let strictUrl: string;
  const ca = ['--cacert', join(folder.path, 'ca.crt')];
  const client = ['--cert', join(folder.path, 'client.crt'), '--key', join(folder.path, 'client.key')];

  beforeAll(async () => {
    authority('ca');
    authority('other');
    certificate('server', 'db.example.com', 'ca', 'DNS:db.example.com');
    certificate('client', 'client', 'ca', 'DNS:client');
    const tls = [
      '--tls-cert-file',
      folder.at('server.crt'),
      '--tls-key-file',
      folder.at('server.key'),
      '--tls-ca-cert-file',
      folder.at('ca.crt'),
    ];
    const [port, strictPort] = [await freePort(), await freePort()];
    server = await TestServer.start('--tls-port', `${port}`, '--tls-auth-clients', 'no', ...tls);
    strict = await TestServer.start('--tls-port', `${strictPort}`, '--tls-auth-clients', 'yes', ...tls);
    url = `rediss://127.0.0.1:${port}`;
    strictUrl = `rediss://127.0.0.1:${strictPort}`;
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => Promise.all([server.stop(), strict.stop()]));

  test('--cacert and --sni: the certificate is verified', async () => {
    expect(await report([FIXTURE, url, ...ca, '--sni', 'db.example.com'])).toMatchObject({ code: 0, keysRestored: 250 });
  });

  test.each<[string, string[], RegExp]>([
    ['an authority that is not trusted', [], /certificate/],
    ['another authority', ['--cacert', folder.at('other.crt'), '--sni', 'db.example.com'], /certificate/],
    ['another name', ca, /its certificate is for another name/],
  ])('%s is refused, with what to do', async (_, argv, reason) => {
    const start = performance.now();
    const { code, err } = await restore([FIXTURE, url, ...argv]);
    expect(code).toBe(4);
    expect(err).toMatch(/^rdbkit: REFUSED: 127\.0\.0\.1:\d+: /);
    expect(err).toMatch(reason);
    expect(err).toMatch(/--(?:cacert FILE|sni NAME).*--insecure does not verify it\./);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(await server.client.dbsize()).toBe(0);
  });

  test('--insecure does not verify it', async () => {
    expect(await report([FIXTURE, url, '--insecure'])).toMatchObject({ code: 0, keysRestored: 250 });
  });

  test('a server that wants a certificate of the client', async () => {
    expect(await report([FIXTURE, strictUrl, ...ca, '--sni', 'db.example.com', ...client])).toMatchObject({ code: 0, keysRestored: 250 });
    const { code, err } = await restore([FIXTURE, strictUrl, ...ca, '--sni', 'db.example.com']);
    expect(code).toBe(4);
    expect(err).toMatch(/^rdbkit: (REFUSED|UNREACHABLE): /);
    expect(err).toContain('it wants a certificate of the client. Give it one: --cert and --key, both files in PEM.');
  });

  test('a port with TLS, reached without', async () => {
    const tls = await restore([FIXTURE, url.replace('rediss', 'redis')]);
    expect(tls.code).toBe(4);
    expect(tls.err).toContain('REFUSED: 127.0.0.1:' + new URL(url).port + ': it speaks TLS. Write rediss:// instead of redis://.');
  });

  test('files that are no certificates are wrong usage', async () => {
    const { code, err } = await restore([
      FIXTURE,
      url,
      '--cacert',
      folder.file('none.crt', 'none'),
      '--cert',
      folder.at('none.crt'),
      '--key',
      folder.at('none.crt'),
    ]);
    expect([code, err]).toEqual([2, expect.stringMatching(/^rdbkit: --cert [^\n]*See rdbkit restore --help\n$/)]);
  });
});

/** The least that a user needs, as in docs/restore.md: for all keys that are written, and for what the options ask. */
const LEAST = ['on', '>s3cret', '~*', '-@all', '+info', '+select', '+restore'];
const CONFLICT = ['+exists'];
const COMMANDS = [
  '+set',
  '+append',
  '+rpush',
  '+sadd',
  '+zadd',
  '+hmset',
  '+xadd',
  '+xsetid',
  '+xgroup',
  '+xclaim',
  '+del',
  '+rename',
  '+renamenx',
  '+exists',
  '+pexpireat',
];

describe(`users of ${SERVER}`, () => {
  let server: TestServer;
  const url = (login: string): string => urlOf(server).replace('://', `://${login}@`);
  const small = folder.file('small.rdb', strings({ a: '1', b: '2', '1:c': '3' }));
  const user = (name: string, ...rules: string[]): Promise<unknown> => server.client.call('ACL', 'SETUSER', name, 'reset', ...rules);

  beforeAll(async () => {
    server = await TestServer.start();
    await user('least', ...LEAST);
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => server.stop());

  test('the least rights', async () => {
    expect(await report([small, url('least:s3cret')])).toMatchObject({ code: 0, keysRestored: 3 });
  });

  test.each(LEAST.filter((rule) => rule.startsWith('+')))('every one of them is needed: %s', async (rule) => {
    await user('less', ...LEAST.filter((other) => other !== rule));
    const { code, err } = await restore([small, url('less:s3cret')]);
    expect(code).toBe(rule === '+select' ? 1 : 4); // the keys of database 0 need none
    expect(err).toContain(rule === '+select' ? 'SELECT is refused' : 'NOPERM');
  });

  test('--on-conflict replace with keys there counts by EXISTS; --flush needs FLUSHALL or FLUSHDB', async () => {
    await server.client.set('a', 'old');
    expect(await report([small, url('least:s3cret'), '--on-conflict', 'replace'])).toMatchObject({
      code: 0,
      keysRestored: 3,
      keysReplaced: 0,
      keysUncounted: 3,
    });
    await server.client.flushall();
    await server.client.set('a', 'old');
    await user('replaces', ...LEAST, ...CONFLICT);
    expect(await report([small, url('replaces:s3cret'), '--on-conflict', 'replace'])).toMatchObject({ code: 0, keysReplaced: 1 });
    expect((await restore([small, url('least:s3cret'), '--flush', '--yes'])).err).toContain('NOPERM');
    await user('flushes', ...LEAST, '+flushall');
    expect(await report([small, url('flushes:s3cret'), '--flush', '--yes'])).toMatchObject({ code: 0, keysRestored: 3 });
    await user('flushes', ...LEAST, '+flushdb');
    expect(await report([small, url('flushes:s3cret'), '--flush', '--yes', '--db', '0'])).toMatchObject({ code: 0, keysRestored: 2 });
  });

  test('values over --max-payload need the commands that make them', async () => {
    await user('commands', ...LEAST, ...COMMANDS);
    expect(await report([FIXTURE, url('commands:s3cret'), '--max-payload', '1'])).toMatchObject({ code: 1, notKeys: 2, keysRestored: 250 });
    await user('commands', ...LEAST, ...COMMANDS, '+function|load', '+function|list');
    await server.client.flushall();
    expect(await report([FIXTURE, url('commands:s3cret'), '--max-payload', '1'])).toMatchObject({ code: 0, notKeys: 0, keysRestored: 250 });
  });

  test('keys that the user may not write end it, with what was needed', async () => {
    await user('some', ...LEAST.map((rule) => (rule === '~*' ? '~a' : rule)));
    const { code, err } = await restore([small, url('some:s3cret')]);
    expect(code).toBe(4);
    expect(err).toMatch(/REFUSED: 127\.0\.0\.1:\d+: NOPERM .* The user lacks a permission/);
    expect(err).toMatch(/rdbkit: 1 key restored; /);
    expect(await server.client.get('a')).toBe('1');
  });

  test('the command that was refused is named, with where the others are', async () => {
    expect(readFileSync(new URL('../../docs/restore.md', import.meta.url), 'utf8')).toContain('\n### The least rights\n');
    await user('less', ...LEAST);
    const { err } = await restore([small, url('less:s3cret'), '--flush', '--yes', '--on-conflict', 'replace']);
    expect(err).toMatch(
      /NOPERM .* The user lacks a permission, FLUSHALL: ACL SETUSER NAME \+flushall gives it\. All that a restore needs is in docs\/restore\.md, "The least rights"\./,
    );
  });

  describe('passwords', () => {
    let locked: TestServer;
    let admin: Redis;
    const base = (): string => urlOf(locked);
    beforeAll(async () => {
      locked = await TestServer.start();
      await locked.client.config('SET', 'requirepass', 's3cret');
      admin = new Redis({ port: portOf(locked), password: 's3cret' });
    });
    beforeEach(() => admin.flushall());
    afterAll(async () => {
      admin.disconnect();
      await locked.stop();
    });
    const file = (text: string): string => folder.file('password', text);

    test.each<[string, string, string[], Record<string, string>]>([
      ['in the URL', ':s3cret@', [], {}],
      ['in REDISCLI_AUTH', '', [], { REDISCLI_AUTH: 's3cret' }],
      ['REDISCLI_AUTH comes before the URL', ':wrong@', [], { REDISCLI_AUTH: 's3cret' }],
      ['an empty REDISCLI_AUTH is none', ':s3cret@', [], { REDISCLI_AUTH: '' }],
      ['--password-file comes before all', ':wrong@', ['--password-file', 'FILE'], { REDISCLI_AUTH: 'wrong' }],
      ['as a user', '', ['--user', 'default'], { REDISCLI_AUTH: 's3cret' }],
    ])('%s', async (_, login, argv, env) => {
      const path = file('s3cret\n');
      const { code, err } = await restore(
        [small, base().replace('://', `://${login}`), ...argv.map((arg) => (arg === 'FILE' ? path : arg))],
        { env },
      );
      expect([code, err.includes('s3cret')]).toEqual([0, false]);
    });

    test.each<[string, string, RegExp, Record<string, string>]>([
      ['none', '', /NOAUTH .*A password is needed: set REDISCLI_AUTH, or use --password-file\./, {}],
      ['a wrong one', ':wr0ng@', /WRONGPASS .*Check user name and password/, {}],
      ['a wrong one for a user', 'nobody:wr0ng@', /WRONGPASS .*\(as nobody\)/, {}],
      ['a user without one', 'default@', /WRONGPASS|NOAUTH/, {}],
    ])('%s: refused', async (_, login, message, env) => {
      const { code, err } = await restore([small, base().replace('://', `://${login}`)], { env: { ...env, DEBUG: 'rdbkit' } });
      expect(code).toBe(4);
      expect(err).toMatch(message);
      expect(err).not.toContain('wr0ng');
      expect(await admin.dbsize()).toBe(0);
    });
  });

  test('a user without a password is logged in as that user, not as the default one', async () => {
    await user('open', 'on', 'nopass', '~*', '-@all', '+info', '+select');
    const { code, err } = await restore([small, url('open')]);
    expect(code).toBe(4);
    expect(err).toContain('NOPERM');
    expect(await server.client.dbsize()).toBe(0);
  });

  test('a server without CONFIG, DEBUG, SYNC, PSYNC, REPLICAOF, as managed services have it', async () => {
    const names = ['CONFIG', 'DEBUG', 'SYNC', 'PSYNC', 'SLAVEOF', 'REPLICAOF', 'MONITOR', 'BGSAVE', 'SAVE', 'SHUTDOWN', 'CLIENT'];
    const managed = await TestServer.start(
      '--include',
      folder.file('managed.conf', names.map((name) => `rename-command ${name} ""\n`).join('')),
    );
    try {
      await expect(managed.client.config('GET', 'port')).rejects.toThrow('unknown command');
      expect(await report([FIXTURE, urlOf(managed)])).toMatchObject({ code: 0, keysRestored: 250, plan: { target: { databases: 16 } } });
      expect(await report([FIXTURE, urlOf(managed), '--flush', '--yes', '--max-payload', '100'])).toMatchObject({
        code: 0,
        keysRestored: 250,
      });
    } finally {
      await managed.stop();
    }
  });
});
