import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { report, restore, urlOf } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const code = (name: string, returns = 1): string => `#!lua name=${name}\nredis.register_function("${name}_f", function() return ${returns} end)`;
const library = (text: string): (number | Uint8Array)[] => [0xf5, str(text)];
const KEYS = [0, str('user:1'), str('1'), 0, str('b'), str('1')];
const two = folder.file('two.rdb', rdb('REDIS0010', [...library(code('one')), ...library(code('two')), ...KEYS]));
const other = folder.file('other.rdb', rdb('REDIS0010', [...library(code('one', 2)), 0, str('c'), str('1')]));

const KEY_FILTERS = [['--prefix', 'user:'], ['--not-prefix', 'x'], ['--match', 'user*'], ['--not-match', 'x'], ['--regex', '^user'], ['--not-regex', 'x'], ['--type', 'string'], ['--not-type', 'hash'], ['--slot', '0-16383'], ['--ttl', 'none'], ['--min-size', '1'], ['--max-size', '1mb'], ['--limit', '1']];

describe(`function libraries and ${SERVER}`, () => {
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    server = await TestServer.start();
    url = urlOf(server);
  });
  beforeEach(async () => {
    await server.client.flushall();
    await server.client.call('FUNCTION', 'FLUSH');
  });
  afterAll(() => server.stop());

  /** By library: its code. */
  async function there(): Promise<Record<string, string>> {
    const found = (await server.client.call('FUNCTION', 'LIST', 'WITHCODE')) as string[][];
    return Object.fromEntries(found.map((fields) => [fields[fields.indexOf('library_name') + 1], fields[fields.indexOf('library_code') + 1]]));
  }

  test.each(KEY_FILTERS)('are left out where %s %s chooses keys, and it is said', async (...filter) => {
    await server.client.call('FUNCTION', 'LOAD', code('one', 9));
    const argv = [two, url, '--on-conflict', 'replace', ...filter];
    const { code: exit, err } = await restore(argv);
    expect(exit).toBe(0);
    const said = 'rdbkit: function libraries: "one", "two" left out, since only some keys are chosen (--functions includes them)\n';
    expect(err.split(said)).toHaveLength(3); // in the plan, and at the end
    expect(await there()).toEqual({ one: code('one', 9) });
    expect(await report([...argv, '--functions'])).toMatchObject({ code: 0, functions: [{ name: 'one', outcome: 'replaced' }, { name: 'two', outcome: 'loaded' }] });
    expect(await there()).toEqual({ one: code('one'), two: code('two') });
  });

  test('are loaded with databases and shares of slots; --no-functions leaves them out', async () => {
    expect(await report([two, url, '--no-functions'])).toMatchObject({ code: 0, keysRestored: 2, functions: [{ name: 'one', outcome: 'leftOut' }, { name: 'two', outcome: 'leftOut' }] });
    expect(await there()).toEqual({});
    for (const argv of [['--db', '0'], ['--partition', '1/2']]) {
      await server.client.call('FUNCTION', 'FLUSH');
      expect(await report([two, url, '--on-conflict', 'skip', ...argv])).toMatchObject({ code: 0, functions: [{ outcome: 'loaded' }, { outcome: 'loaded' }] });
      expect(Object.keys(await there())).toHaveLength(2);
    }
  });

  test('plan, dry run and summary say what becomes of each', async () => {
    await server.client.call('FUNCTION', 'LOAD', code('one', 2));
    const foreseen: [string[], string[], string][] = [
      [['--on-conflict', 'replace'], ['replaced', 'loaded'], '"one" to replace; "two" to load'],
      [['--on-conflict', 'skip'], ['kept', 'loaded'], '"one" to keep, with other code; "two" to load'],
      [[], ['refused', 'loaded'], '"one" not possible; "two" to load'],
    ];
    for (const [argv, outcomes, text] of foreseen) {
      const [one, next] = outcomes.map((outcome, i) => ({ file: two, name: ['one', 'two'][i], outcome }));
      const code = outcomes.includes('refused') ? 1 : 0;
      const dry = await report([two, url, ...argv, '--dry-run']);
      expect(dry).toMatchObject({ code, functions: [one, next], plan: { functions: [one, next] } });
      const { err } = await restore([two, url, ...argv, '--dry-run']);
      expect(err.split(`rdbkit: function libraries: ${text}\n`)).toHaveLength(2); // the plan says it, and nothing else came out
    }
    expect(await there()).toEqual({ one: code('one', 2) });
    expect((await restore([two, url, '--on-conflict', 'replace'])).err).toMatch(/function libraries: "one" replaced; "two" loaded\nrdbkit: 2 keys restored/);
    await server.client.flushall();
    expect((await restore([two, url])).err).toMatch(/function libraries: "one", "two" already the same\n.*function libraries: "one", "two" already the same\nrdbkit: 2 keys restored/s);
  });

  test('a dry run names what the plan could not know: libraries of standard input', async () => {
    const { err } = await restore(['-', url, '--on-conflict', 'replace', '--dry-run'], { stdin: Readable.from([readFileSync(two)]) });
    expect(err.split('rdbkit: function libraries: "one", "two" to load\n')).toHaveLength(2);
  });

  test('of several sources: the second one finds what the first one brought', async () => {
    for (const dry of [['--dry-run'], []]) {
      const { functions, plan } = await report([two, other, url, '--on-conflict', 'replace', '--parallel', '1', ...dry]);
      const expected = [{ file: two, name: 'one', outcome: 'loaded' }, { file: two, name: 'two', outcome: 'loaded' }, { file: other, name: 'one', outcome: 'replaced' }];
      expect([functions, plan.functions]).toMatchObject([expected, expected]);
    }
    await server.client.flushall();
    await server.client.call('FUNCTION', 'FLUSH');
    expect((await restore([two, other, url, '--on-conflict', 'replace', '--parallel', '1'])).err).toContain(`function libraries: "one" of ${two}, "two" of ${two} loaded; "one" of ${other} replaced\n`);
  });

  test('one that is refused is named and counted, the others are loaded', async () => {
    const hostile = folder.file('hostile.rdb', rdb('REDIS0010', [...library('no header\u001b[2J'), ...library('#!lua name=bad-name"\u001b[2J\nx'), ...library(code('good')), ...KEYS]));
    const { code: exit, err } = await restore([hostile, url]);
    expect(exit).toBe(1);
    expect(err).not.toContain('\u001b');
    expect(err).toContain('the function library "" is not loaded: ERR Missing library metadata');
    expect(err).toMatch(/function libraries: "", "bad-name[^\n]*" refused; "good" loaded\nrdbkit: 2 keys restored, 2 other records not restored; /);
    expect(Object.keys(await there())).toEqual(['good']);
    expect(await report([hostile, url, '--on-conflict', 'skip'])).toMatchObject({ code: 1, notKeys: 2, functions: [{ outcome: 'refused' }, { outcome: 'refused' }, { name: 'good', outcome: 'same' }] });
  });

  test('one that is damaged ends the source, with its place; what came before is loaded', async () => {
    const lzf = [0xc3, 5, 40, 0xff, 0xff, 0xff, 0xff, 0xff]; // a reference before the beginning
    const damaged = folder.file('damaged.rdb', rdb('REDIS0010', [...library(code('good')), 0xf5, ...lzf, ...KEYS]));
    for (const argv of [[], ['--dry-run'], ['--no-functions']]) {
      const object = await report([damaged, url, '--on-conflict', 'skip', ...argv]);
      expect(object).toMatchObject({ code: 3, keysRestored: 0, errors: [{ code: 'BAD_LZF' }] });
    }
    expect(Object.keys(await there())).toEqual(['good']);
  });

  test('without the right to FUNCTION LIST or LOAD: nothing is guessed', async () => {
    await server.client.call('FUNCTION', 'LOAD', code('one', 2));
    const as = async (rule: string): Promise<string> => {
      await server.client.call('ACL', 'SETUSER', 'less', 'reset', 'on', '>s3cret', '~*', '+@all', rule);
      return url.replace('://', '://less:s3cret@');
    };
    const blind = await as('-function|list');
    expect((await restore([two, blind, '--dry-run'])).err).toContain('"one", "two" to load; what the target has is unknown (FUNCTION LIST is refused)\n');
    expect(await report([two, blind, '--on-conflict', 'replace'])).toMatchObject({ code: 0, plan: { functions: [{ outcome: 'unknown' }, {}] }, functions: [{ name: 'one', outcome: 'replaced' }, { name: 'two', outcome: 'loaded' }] });
    expect(await report([two, await as('-function|load'), '--on-conflict', 'replace'])).toMatchObject({ code: 1, notKeys: 2, keysReplaced: 2, functions: [{ outcome: 'refused' }, { outcome: 'refused' }] });
  });

  test('a run that goes on says what became of those of the run before', async () => {
    const argv = [two, other, url, '--on-conflict', 'replace', '--parallel', '1', '--checkpoint', folder.at('on.json')];
    expect(await report(argv)).toMatchObject({ code: 0 });
    const saved = JSON.parse(readFileSync(folder.at('on.json'), 'utf8')) as { sources: { done: number }[] };
    saved.sources[1].done = 0;
    folder.file('on.json', JSON.stringify({ ...saved, finished: false }));
    expect(await report(argv)).toMatchObject({ code: 0, resumed: true, functions: [{ name: 'one', outcome: 'loaded' }, { name: 'two', outcome: 'loaded' }, { file: other, outcome: 'replaced' }] });
  });
});

describe('function libraries and a cluster', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterAll(() => cluster.stop());

  test('masters that differ are named, each with what became of it', async () => {
    const [first, second, third] = await cluster.masters();
    await first.client.call('FUNCTION', 'LOAD', code('one'));
    await second.client.call('FUNCTION', 'LOAD', code('one', 2));
    const servers = [{ server: first.name, outcome: 'same' }, { server: second.name, outcome: 'replaced' }, { server: third.name, outcome: 'loaded' }];
    const dry = await report([two, first.url, '--on-conflict', 'replace', '--dry-run']);
    expect(dry.functions.find(({ name }) => name === 'one')).toMatchObject({ outcome: 'differs', servers: expect.arrayContaining(servers) as unknown });
    const refused = await report([two, first.url]);
    expect(refused).toMatchObject({ code: 1, notKeys: 1 });
    expect(refused.rejected[0].reason).toContain(`the function library "one" is not loaded on ${second.name}: ERR Library 'one' already exists`);
    await third.client.call('FUNCTION', 'DELETE', 'one');
    const { functions } = await report([two, first.url, '--on-conflict', 'replace']);
    expect(functions).toMatchObject([{ name: 'one', outcome: 'differs', servers: expect.arrayContaining(servers) as unknown }, { name: 'two', outcome: 'same' }]);
    for (const { client } of await cluster.masters()) expect(await client.call('FCALL', 'one_f', '0')).toBe(1);
  });
});
