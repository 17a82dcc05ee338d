import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePayload } from '../../src/rdb/payload.js';
import { parseTarget } from '../../src/values/targets.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { differences } from '../support/compare.js';
import { serverFile, SERVERS } from '../support/dump-support.js';
import { inTurn } from '../support/factor.js';
import { bytes, decodeBytes, le, len, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/servers/${name}.rdb`, import.meta.url));

/** What was written, and what was said of each key that was not. */
async function dumped(source: string, target: string, ...more: string[]): Promise<{ code: number | null; file: Uint8Array; refused: { key?: string; reason: string }[] }> {
  const out = folder.at(`${target}.rdb`);
  const { code, err } = await rdbkit(['dump', source, '--format', 'rdb', '--target-version', target, '-o', out, '--json', ...more]);
  const summary = JSON.parse(err.trim().split('\n').at(-1) as string) as { refused: { key?: string; reason: string }[] };
  return { code, file: new Uint8Array(readFileSync(out)), refused: summary.refused };
}

/** Bookkeeping of streams that older types have no place for. */
const plain = (json: string): string => json.replaceAll(/"entriesRead":(\d+|"\d+")/g, '"entriesRead":null').replaceAll(/,"activeTime":(null|\d+)/g, '');

const servers = SERVERS.filter((name) => !name.endsWith('-modules'));
describe.each(servers.map((name, i) => [name, i] as const))('%s', (name, i) => {
  const source = decodeBytes(serverFile(name)).then(({ lines }) => plain(lines));

  test.each(inTurn(['2.8', '3.2', '6.2', '7.0', '7.4', 'valkey-8.1', 'valkey-9.1'], i))('for %s', async (release) => {
    const target = parseTarget(release);
    const { code, file, refused } = await dumped(fixture(name), release);
    const magic = target.rdbVersion >= 80 ? 'VALKEY080' : `REDIS${String(target.rdbVersion).padStart(4, '0')}`;
    expect(Buffer.from(file.subarray(0, 9)).toString()).toBe(magic);
    const [before, after] = [await source, plain((await decodeBytes(file)).lines)];
    const left = refused.flatMap(({ key }) => (key === undefined ? [] : [key]));
    expect(code).toBe(refused.length > 0 ? 1 : 0);
    const wrong = after === before ? [] : differences(after, before).filter((line) => !line.startsWith('extra: '));
    expect(wrong).toEqual([]);
    const count = (text: string): number => text.match(/\n/g)?.length ?? 0;
    expect(count(after)).toBe(count(before) - left.length);
  });
});

const HFE = [24, str('h'), le(9_000_000_000_000, 8), 2, 1, str('f'), str('v'), 0, str('g'), str('w')];

describe('what cannot be said', () => {
  const source = folder.file('hfe.rdb', rdb('REDIS0012', [HFE, 0, str('s'), str('t')]));

  test('names the key, its reason and what to do', async () => {
    const { code, refused } = await dumped(source, '7.2');
    expect(code).toBe(1);
    expect(refused).toEqual([expect.objectContaining({ key: 'h', reason: expect.stringMatching(/Redis 7\.2 has no expiry of single hash fields.*--allow-loss/) as string })]);
  });

  test('is left out with --allow-loss', async () => {
    const { code, file, refused } = await dumped(source, '7.2', '--allow-loss');
    expect([code, refused]).toEqual([0, []]);
    expect(lines((await decodeBytes(file)).lines)).toMatchObject([{ key: 'h', value: { f: 'v', g: 'w' } }, { key: 's', value: 't' }]);
  });

  test('payloads have the version of the target', async () => {
    const { out } = await rdbkit(['dump', source, '--format', 'payload', '--target-version', 'valkey-9.0']);
    const payloads = out.trim().split('\n').map((line) => parsePayload(Buffer.from((JSON.parse(line) as { payload: string }).payload, 'base64')));
    expect(payloads).toMatchObject([{ type: 22, version: 80, vendor: 'valkey', checksum: 'ok' }, { type: 0, version: 80 }]);
  });

  test('so do commands', async () => {
    const { code, out } = await rdbkit(['dump', source, '--format', 'resp', '--target-version', '2.8']);
    expect(code).toBe(1);
    expect(out).toContain('*4\r\n$7\r\nRESTORE\r\n$1\r\ns\r\n$1\r\n0\r\n$13\r\n');
    expect(out).not.toContain('REPLACE');
  });

  test.each([
    [['--target-version', '5.9'], 'no Redis 5.9 is known here'],
    [['--target-version', 'new\x1b'], '--target-version: not a server version'],
    [['--allow-loss'], '--allow-loss is for --target-version'],
  ])('%j is refused', async (more, message) => {
    const { code, err } = await rdbkit(['dump', source, '--format', 'payload', ...more]);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).not.toContain('\x1b');
  });
});

test('a value over a mebibyte is put in another encoding, too', async () => {
  const members = Array.from({ length: 120_000 }, (_, i) => [str(`member:${i}`), le(0, 6), bytes(0xf0, 0x3f)]);
  const source = folder.file('big.rdb', rdb('REDIS0012', [5, str('z'), len(members.length), members]));
  const { code, file } = await dumped(source, '3.2');
  expect(code).toBe(0);
  expect(differences((await decodeBytes(file)).lines, (await decodeBytes(new Uint8Array(readFileSync(source)))).lines)).toEqual([]);
});

test('aux fields of the file are kept, and scripts among them', async () => {
  const aux = (name: string, value: string): Uint8Array => bytes(0xfa, str(name), str(value));
  const source = folder.file('aux.rdb', rdb('REDIS0009', [aux('redis-ver', '5.0.14'), aux('ctime', '1700000000'), aux('lua', 'return 1'), 0, str('k'), str('v')]));
  const { file } = await dumped(source, '6.2');
  const text = Buffer.from(file).toString('latin1');
  expect(text).toContain('return 1');
  expect(text).toContain('ctime');
});
