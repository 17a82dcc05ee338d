import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, lines, rdbkit, type Result } from '../support/cli-support.js';

const root = join(import.meta.dirname, '../..');
const EXAMPLE = join(root, 'fixtures/example.rdb');
const bytes = readFileSync(EXAMPLE);
const folder = new Folder();
afterAll(() => folder.remove());

const keys = ({ out }: Result): string[] => lines(out).map(({ key }) => key);
const piped = (text: string | Uint8Array): Readable => Readable.from([Buffer.from(text)]);
/** The last line is a summary with times. */
const talk = ({ err }: Result): string[] => err.split('\n').slice(0, -2);

const NOBODY = 'redis://127.0.0.1:1';

/** Options of each command, as its help has them. */
const COMMANDS = ['decode', 'dump', 'restore', 'encode', 'check', 'inspect', 'diff', 'sync', 'payload check', 'payload decode'];
async function optionsOf(command: string): Promise<string[]> {
  const { out } = await rdbkit([...command.split(' '), '--help']);
  return [...out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)(?=$| )/gm)].map(([, name]) => name);
}

describe('environment variables', () => {
  const decode = (env: Record<string, string>, ...argv: string[]) => rdbkit(['decode', EXAMPLE, ...argv], { env });

  test('an option with a value', async () => {
    expect(keys(await decode({ RDBKIT_LIMIT: '2' }))).toEqual(['blob:1', 'visits']);
  });

  test('what is typed comes first', async () => {
    expect(keys(await decode({ RDBKIT_LIMIT: '2' }, '--limit', '1'))).toEqual(['blob:1']);
    expect(keys(await decode({ RDBKIT_PREFIX: 'user:' }, '--prefix', 'blob:'))).toEqual(['blob:1']);
  });

  test('an option that may be given again has a value in each line', async () => {
    const expected = ['blob:1', 'user:1', 'user:2'];
    expect(keys(await decode({ RDBKIT_PREFIX: 'blob:\nuser:' }))).toEqual(expected);
    expect(keys(await decode({ RDBKIT_PREFIX: 'blob:\nuser:\n' }))).toEqual(expected);
  });

  test.each(['1', 'true', 'yes', 'YES'])('a flag: %s', async (text) => {
    expect(lines((await decode({ RDBKIT_META: text })).out).at(-1)).toMatchObject({ type: 'end' });
  });

  test.each(['0', 'false', 'no', ''])('no flag: %j', async (text) => {
    expect(lines((await decode({ RDBKIT_META: text })).out).at(-1)).toMatchObject({ key: 'user:2' });
  });

  test('an option whose name begins with no', async () => {
    const damaged = Uint8Array.from(bytes);
    damaged[damaged.length - 1] ^= 1;
    const path = folder.file('checksum.rdb', damaged);
    expect((await rdbkit(['decode', path])).code).toBe(3);
    expect((await rdbkit(['decode', path], { env: { RDBKIT_NO_CHECKSUM: '1' } })).code).toBe(0);
  });

  test('an option with two forms', async () => {
    const dump = async (env: Record<string, string>, ...argv: string[]) =>
      (await rdbkit(['dump', EXAMPLE, '--format', 'resp', ...argv], { env })).out.includes('FUNCTION');
    expect(await dump({})).toBe(true);
    expect(await dump({ RDBKIT_FUNCTIONS: 'no' })).toBe(false);
    expect(await dump({ RDBKIT_FUNCTIONS: 'no' }, '--functions')).toBe(true);
    expect(await dump({ RDBKIT_FUNCTIONS: 'yes' }, '--prefix', 'x')).toBe(true);
  });

  test.each<[string[], Record<string, string>, string]>([
    [['decode', EXAMPLE], { RDBKIT_THREADS: '0' }, 'RDBKIT_THREADS 0: expected a number from 1 to 256. See rdbkit decode --help'],
    [['decode', EXAMPLE], { RDBKIT_STRICT: 'maybe' }, 'RDBKIT_STRICT maybe: expected 1, true or yes, or 0, false or no'],
    [['decode', EXAMPLE], { RDBKIT_TYPE: 'hash\nblob' }, 'RDBKIT_TYPE blob: expected one of string'],
    [['decode', EXAMPLE, '--min-size', '2'], { RDBKIT_MAX_SIZE: '1' }, '--min-size 2 is above RDBKIT_MAX_SIZE 1'],
    [['decode', EXAMPLE], { RDBKIT_OUTPUT: EXAMPLE }, 'RDBKIT_OUTPUT '],
    [['dump', EXAMPLE], { RDBKIT_FORMAT: 'xml' }, 'RDBKIT_FORMAT xml: expected one of rdb, resp, payload'],
    [['dump', EXAMPLE, '--format', 'payload'], { RDBKIT_MAX_PAYLOAD: '1kb' }, 'RDBKIT_MAX_PAYLOAD is for --format resp'],
    [['restore', EXAMPLE, NOBODY], { RDBKIT_ON_CONFLICT: 'last' }, 'RDBKIT_ON_CONFLICT last: expected one of error, skip, replace'],
    [
      ['restore', EXAMPLE, NOBODY],
      { RDBKIT_CLUSTER: '1', RDBKIT_STANDALONE: '1' },
      'RDBKIT_CLUSTER and RDBKIT_STANDALONE: expected one of them at most',
    ],
    [['restore', EXAMPLE, NOBODY], { RDBKIT_CACERT: EXAMPLE }, 'options for TLS are given (RDBKIT_CACERT)'],
    [['restore', EXAMPLE, NOBODY], { RDBKIT_PASSWORD_FILE: '/no/such' }, 'RDBKIT_PASSWORD_FILE /no/such: '],
    [['restore', EXAMPLE, NOBODY, '--flush'], { RDBKIT_YES: '1' }, '--flush deletes keys'],
    [['payload', 'check', '00'], { RDBKIT_FROM: 'x' }, 'RDBKIT_FROM x: expected one of quoted'],
  ])('%j with %j is wrong usage that names the variable', async (argv, env, text) => {
    const { code, err, out } = await rdbkit(argv, { env });
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^rdbkit: [^\n]*\n$/);
    expect(err).toContain(text);
  });

  test('a run without keys names the variable that left them out', async () => {
    expect((await decode({ RDBKIT_PREFIX: 'none' }, '--db', '0')).err).toContain('all 11 are left out by --db, RDBKIT_PREFIX.');
  });

  test('--flush and --yes have none', async () => {
    const { err } = await rdbkit(['restore', EXAMPLE, NOBODY, '-v'], {
      env: { RDBKIT_FLUSH: '1', RDBKIT_YES: '1', RDBKIT_RETRY_FOR: '1ms' },
    });
    expect(err).toContain('from the environment: RDBKIT_RETRY_FOR=1ms\n');
  });

  test('docs/options.md has them all, and none that does not exist', async () => {
    const page = readFileSync(join(root, 'docs/options.md'), 'utf8');
    const listed = [...page.matchAll(/^\| `(--[\w-]+)` \| `(RDBKIT_\w+)` \|/gm)].map(([, option, variable]) => [option, variable]);
    const all = [...new Set((await Promise.all(COMMANDS.map(optionsOf))).flat())].filter(
      (name) => !/^--(?:help|flush|yes|manifest|rerun|repair|apply|seed|fresh|forget|check|for|ignore-check|no-ttl|no-functions|host|port|pass|into-db|tls|redirects)$/.test(name),
    );
    expect(listed.sort()).toEqual(all.map((name) => [name, `RDBKIT_${name.slice(2).replaceAll('-', '_').toUpperCase()}`]).sort());
  });
});

describe('--quiet and --verbose', () => {
  test('-q', async () => {
    expect(await rdbkit(['decode', EXAMPLE, '-q', '--limit', '1'])).toMatchObject({ code: 0, err: '' });
  });

  test('do not go together; what is typed comes before a variable', async () => {
    expect((await rdbkit(['decode', EXAMPLE, '-q', '-v'])).err).toContain('--quiet and --verbose: expected one of them at most');
    expect((await rdbkit(['decode', EXAMPLE, '-v'], { env: { RDBKIT_QUIET: '1' } })).err).toContain('source ');
    expect((await rdbkit(['decode', EXAMPLE, '-q'], { env: { RDBKIT_VERBOSE: '1' } })).err).toBe('');
  });

  test('decode and dump say what each source is', async () => {
    const expected = 'RDB 10, of Redis 7.0.15, 10 keys in db 0, 1 in db 3, 1 function library, 708 B, written 2026-11-23T07:02:34Z';
    for (const argv of [['decode'], ['dump', '--format', 'payload']]) {
      expect(
        talk(
          await rdbkit(
            [...argv, EXAMPLE, EXAMPLE, '-v', '--on-conflict', 'first'].filter(
              (word) => argv[0] === 'dump' || !/conflict|first/.test(word),
            ),
          ),
        ),
      ).toEqual(Array(2).fill(`rdbkit: source ${EXAMPLE}: ${expected}`));
    }
  });

  test('also of standard input, and of what is compressed', async () => {
    const { err } = await rdbkit(['decode', '-', '--verbose'], { stdin: piped(gzipSync(bytes)) });
    expect(err).toContain(
      'rdbkit: source standard input: RDB 10, of Redis 7.0.15, 10 keys in db 0, 1 in db 3, 1 function library, compressed with gzip, written 2026-',
    );
  });

  test('also of lines', async () => {
    const payloads = (await rdbkit(['dump', EXAMPLE, '--format', 'payload'])).out;
    expect(talk(await rdbkit(['decode', '-', '-v'], { stdin: piped(payloads) }))).toEqual([
      'rdbkit: source standard input: lines of DUMP payloads, RDB 10, 10 keys in db 0, 1 in db 3',
    ]);
    const json = folder.file('lines.jsonl.gz', gzipSync((await rdbkit(['decode', EXAMPLE])).out));
    const encoded = await rdbkit(['encode', json, '--target-version', '6.2', '-v', '-o', folder.at('out.rdb')]);
    expect(encoded.err).toMatch(/^rdbkit: source \S+: JSON lines, written as RDB 9, compressed with gzip, \d+ B\n/);
  });

  test('a source that ends at once, or is none, says only what is wrong', async () => {
    expect((await rdbkit(['decode', folder.file('none.rdb', 'hello'), '-v'])).err).toMatch(/^rdbkit: NOT_RDB: [^\n]*\n$/);
    expect((await rdbkit(['decode', folder.file('cut.rdb', bytes.subarray(0, 40)), '-v'])).err).toMatch(
      /^rdbkit: source \S+: RDB 10[^\n]*\nrdbkit: TRUNCATED: /,
    );
  });

  test('with --json it is in the object', async () => {
    const { err } = await rdbkit(['decode', EXAMPLE, '-v', '--json']);
    expect(JSON.parse(err)).toMatchObject({
      command: 'decode',
      sourcesFound: [{ source: EXAMPLE, version: 10, server: '7.0.15', compression: 'none', size: 708, libraries: ['mylib'] }],
    });
    expect(JSON.parse((await rdbkit(['decode', EXAMPLE, '--json'])).err)).not.toHaveProperty('sourcesFound');
  });

  test('the same keys as without', async () => {
    expect((await rdbkit(['decode', EXAMPLE, '--meta', '-v'])).out).toBe((await rdbkit(['decode', EXAMPLE, '--meta'])).out);
  });

  test('the variables that set options', async () => {
    const { err } = await rdbkit(['decode', EXAMPLE], { env: { RDBKIT_VERBOSE: '1', RDBKIT_PREFIX: 'a\u001b[2J\nb' } });
    expect(err).toContain('rdbkit: from the environment: RDBKIT_PREFIX="a\\u001b[2J\\nb", RDBKIT_VERBOSE=1\n');
  });

  test('payload check names all of several payloads, payload decode each', async () => {
    const payloads = (await rdbkit(['dump', EXAMPLE, '--format', 'payload', '--prefix', 'user:'])).out;
    const checked = await rdbkit(['payload', 'check', '-v'], { stdin: piped(payloads) });
    expect(checked.out).toBe(
      'line 1: key "user:1", hash, HASH_LISTPACK, RDB 10, 63 bytes\nline 2: key "user:2", hash, HASH_LISTPACK, RDB 10, 32 bytes\n2 payloads: all valid\n',
    );
    expect((await rdbkit(['payload', 'check'], { stdin: piped(payloads) })).out).toBe('2 payloads: all valid\n');
    const decoded = await rdbkit(['payload', 'decode', '-v', 'AMESBAoAxVzzmbOt/T8=']);
    expect(decoded).toMatchObject({ code: 0, err: 'rdbkit: base64, string, STRING, RDB 10, 14 bytes\n' });
  });
});

describe('help', () => {
  test.each([...COMMANDS, 'completion', 'payload'])(
    'that of %s fits a terminal of 80 columns, and names each option once',
    async (command) => {
      const { out } = await rdbkit([...command.split(' '), '--help']);
      for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
      const names = await optionsOf(command);
      expect(names).toEqual([...new Set(names)]);
    },
  );

  test('the same option is in every command that it belongs to', async () => {
    for (const command of ['decode', 'dump', 'restore', 'encode', 'payload decode', 'payload check'])
      expect(await optionsOf(command)).toContain('--verbose');
    for (const command of ['decode', 'dump', 'restore', 'encode'])
      expect(await optionsOf(command)).toEqual(expect.arrayContaining(['--quiet', '--json', '--progress', '--prefix', '--limit']));
  });
});
