import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { strings } from '../support/restore-support.js';
import { rdb } from '../support/support.js';

/** 1,000 keys, whose expiries are over since 2023. */
const SESSIONS = join(fileURLToPath(new URL('../..', import.meta.url)), 'fixtures', 'cases', 'sess.rdb');

const folder = new Folder();
afterAll(() => folder.remove());

const none = folder.file('none.rdb', rdb('REDIS0009', []));
const three = folder.file('three.rdb', strings({ a: '1', b: '2', c: '3' }));

describe('one line says why nothing was written', () => {
  const out = folder.at('out.rdb');
  const jsonl = folder.file('three.jsonl', '{"db":0,"key":"a","type":"string","value":"1"}\n{"db":0,"key":"b","type":"string","value":"2"}\n');

  test.each<[string, string[], string[]]>([
    ['decode', ['decode', none], ['the source has no keys.']],
    ['decode', ['decode', none, none], ['none of the 2 sources has a key.']],
    ['decode', ['decode', three, '--prefix', 'x', '--not-type', 'hash', '--min-size', '9'], ['no key was written: all 3 are left out by --prefix, --not-type, --min-size.']],
    ['decode', ['decode', three, '--prefix', 'a'], []],
    ['decode of keys that have expired', ['decode', SESSIONS], []],
    ['dump', ['dump', none, '--format', 'payload'], ['the source has no keys.']],
    ['dump', ['dump', three, '--format', 'rdb', '-o', out, '--slot', '1'], ['no key was written: all 3 are left out by --slot.']],
    ['dump of another key', ['dump', three, three, '--format', 'resp'], []],
    ['encode', ['encode', folder.file('none.jsonl', ''), '-o', out], ['the source has no keys.']],
    ['encode', ['encode', jsonl, '-o', out, '--db', '3'], ['no key was written: all 2 are left out by --db.']],
    ['encode', ['encode', jsonl, '-o', out], []],
  ])('%s: %j', async (_, argv, notes) => {
    const { code, err } = await rdbkit(argv);
    const [closing, ...lines] = err.split('\n').filter((line) => !line.includes('NOT_WRITTEN'));
    expect(closing).toMatch(/^rdbkit: [\d,]+ keys?, /);
    expect(lines).toEqual([...notes.map((note) => `rdbkit: ${note}`), '']);
    const object = JSON.parse((await rdbkit([...argv, '--json'])).err) as { exitCode: number; notes?: string[] };
    expect(object.notes).toEqual(notes.length === 0 ? undefined : notes);
    expect(object.exitCode).toBe(code);
    if (notes.length > 0) expect(code).toBe(0);
    expect((await rdbkit([...argv, '--quiet'])).err).not.toContain(' no key');
  });

  test('what is wrong with a source is all there is to say', async () => {
    const { code, err } = await rdbkit(['decode', folder.file('cut.rdb', 'REDIS0009')]);
    expect(code).toBe(3);
    expect(err).toMatch(/^rdbkit: TRUNCATED: [^\n]*\n$/);
  });
});
