import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** Types the words to bash, the last of them not to its end, and returns what it offers. */
function offered(...words: string[]): string[] {
  const script = `source ${folder.at('bash')}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rdbkit rdbkit; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stderr, stdout } = spawnSync('bash', ['-c', script, 'bash', 'rdbkit', ...words], { encoding: 'utf8', cwd: folder.path });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) folder.file(shell, (await rdbkit(['completion', shell])).out);
  folder.file('my dump.rdb', '');
  folder.file('notes.txt', '');
});

describe('bash', () => {
  test.each<[string[], string[]]>([
    [['de'], ['decode']],
    [['co'], ['completion']],
    [['--v'], ['--version']],
    [['payload', ''], ['check', 'decode', '--help']],
    [['help', 'payload', 'ch'], ['check']],
    [['completion', 'z'], ['zsh']],
    [['decode', '--prefi'], ['--prefix']],
    [['decode', '--no-'], ['--no-checksum']],
    [['restore', '--no-f'], ['--no-functions']],
    [['decode', '--flu'], []],
    [['payload', 'decode', '--pre'], []],
    [['payload', 'check', '--from', ''], ['quoted', 'hex', 'base64', 'raw']],
    [['dump', '--format', 'r'], ['rdb', 'resp']],
    [['dump', 'x.rdb', '--format', '=', 're'], ['resp']],
    [['dump', '--format', '='], ['rdb', 'resp', 'payload']],
    [['dump', '--on-conflict', ''], ['error', 'first', 'last']],
    [['restore', '--on-conflict', ''], ['error', 'skip', 'replace']],
    [['sync', '--phase', ''], ['both', 'full', 'changes']],
    [['sync', '--seed', 'no'], ['notes.txt']],
    [['decode', '--type', 'hash,z'], ['hash,zset']],
    [['decode', '--prefix', ''], []],
    [['decode', 'my'], ['my dump.rdb']],
    [['decode', '--db', '0', 'no'], ['notes.txt']],
    [['restore', '--password-file', 'no'], ['notes.txt']],
    [['decode', '-o', 'no'], ['notes.txt']],
  ])('%j: %j', (words, found) => {
    expect(offered(...words)).toEqual(found);
  });

  test.each([['decode'], ['dump'], ['restore'], ['encode'], ['sync'], ['payload', 'check'], ['payload', 'decode'], ['completion']])('%s %s: all options of its help, and no other', async (...command) => {
    const { out } = await rdbkit([...command, '--help']);
    const inHelp = [...out.matchAll(/^ {2}(?=-)([-\w, ]+?)(?= [ <[]|$)/gm)].flatMap(([, names]) => names.split(', '));
    expect(offered(...command, '-').sort()).toEqual([...new Set(inHelp)].sort());
  });
});

const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

test.skipIf(!has('zsh'))('zsh reads its script, and completes by it', () => {
  const script = folder.at('zsh');
  expect(spawnSync('zsh', ['-n', script], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  const sourced = `autoload -Uz compinit; compinit -u -D; source ${script}; print $_comps[rdbkit]`;
  expect(spawnSync('zsh', ['-f', '-c', sourced], { encoding: 'utf8', cwd: folder.path })).toMatchObject({ status: 0, stdout: '_rdbkit\n', stderr: '' });
});

test.skipIf(!has('fish'))('fish reads its script, and completes by it', () => {
  const complete = (line: string): string[] => {
    const { stderr, stdout } = spawnSync('fish', ['--no-config', '-c', `source ${folder.at('fish')}; complete -C '${line}'`], { encoding: 'utf8', cwd: folder.path, env: { ...process.env, HOME: folder.path } });
    expect(stderr).toBe('');
    return stdout.split('\n').flatMap((found) => (found === '' ? [] : [found.split('\t')[0]]));
  };
  expect(complete('rdbkit de')).toEqual(['decode']);
  expect(complete('rdbkit dump --format r')).toEqual(['rdb', 'resp']);
  expect(complete('rdbkit payload ').sort()).toEqual(['check', 'decode']);
  expect(complete('rdbkit payload decode --').sort()).toEqual(['--from', '--help', '--no-checksum', '--verbose']);
  expect(complete('rdbkit decode no')).toEqual(['notes.txt']);
});

test.each(['zsh', 'fish'])('%s: each option of each command is in its script', async (shell) => {
  const script = (await rdbkit(['completion', shell])).out;
  for (const command of ['decode', 'dump', 'restore', 'encode', 'sync']) {
    const { out } = await rdbkit([command, '--help']);
    for (const [, name] of out.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)) expect(script).toMatch(shell === 'zsh' ? new RegExp(`--${name}\\b`) : new RegExp(`-l ${name}\\b`));
  }
});

test.each([
  [[], 'no shell given: expected one of bash, zsh, fish'],
  [['ksh'], 'completion ksh: expected one of bash, zsh, fish'],
])('wrong usage: %j', async (argv, text) => {
  const { code, err, out } = await rdbkit(['completion', ...argv]);
  expect([code, out]).toEqual([2, '']);
  expect(err).toBe(`rdbkit: ${text}. See rdbkit completion --help\n`);
});

test.skipIf(!has('groff'))('the manual page that the build made has every command and option, and groff has nothing to say against it', async () => {
  const path = join(import.meta.dirname, '../../man/rdbkit.1');
  const { stderr, stdout } = spawnSync('groff', ['-man', '-Tutf8', '-P-c', '-ww', '-rLL=80n', path], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const page = stdout.replace(/.\u0008/g, '').replace(/\u001b\[[\d;]*m/g, '').replace(/\s+/g, ' ');
  for (const command of ['decode', 'dump', 'restore', 'encode', 'sync', 'payload check', 'payload decode', 'completion']) {
    const { out } = await rdbkit([...command.split(' '), '--help']);
    expect(page).toContain(`rdbkit ${command} `);
    for (const [, name] of out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)) expect(page).toMatch(new RegExp(`[ ,]${name} `));
    for (const [example] of out.matchAll(/(?<=^ {2})rdbkit .*(?= {2}|$)/gm)) expect(page).toContain(example.replace(/\s+/g, ' ').replace(/ \\$/, ''));
  }
  expect(page).toContain('RDBKIT_ON_CONFLICT --on-conflict');
  expect(page).not.toContain('RDBKIT_FLUSH');
});
