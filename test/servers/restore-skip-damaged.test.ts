import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { report, restore, urlOf } from '../support/restore-support.js';
import { listpack, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
const spoilt = (name: string): string => join(import.meta.dirname, '../../fixtures/cases', name);
let server: TestServer;
let url: string;
beforeAll(async () => {
  server = await TestServer.start();
  url = urlOf(server);
});
beforeEach(() => server.client.flushall());
afterAll(async () => {
  await server.stop();
  folder.remove();
});

describe('restore --skip-damaged', () => {
  test.each([
    ['bad-lzf.rdb', 'badlzf'],
    ['bad-listpack.rdb', 'badkey-x'],
  ])('%s: the damaged key is named with its place, counted as damaged, in the rejects file; exit code 3', async (name, bad) => {
    const rejects = folder.at(`${name}.jsonl`);
    const { code, err } = await restore([spoilt(name), url, '--skip-damaged', '--rejects', rejects]);
    expect([code, await server.client.dbsize(), await server.client.exists(bad)]).toEqual([3, 51, 0]);
    expect(err).toMatch(new RegExp(`NOT_RESTORED: \\S*${name}, db 0, key "${bad}": its value is damaged at offset \\d+: expected`));
    expect(err).toMatch(/rdbkit: 51 keys restored, 1 damaged; [^\n]*\n$/);
    expect(lines(readFileSync(rejects, 'utf8')).map(({ key }) => key)).toEqual([bad]);
  });

  test('without it such keys are rejected, and the exit code is 1', async () => {
    expect(await report([spoilt('bad-listpack.rdb'), url])).toMatchObject({ code: 1, keysRejected: 1, keysDamaged: 0 });
    await server.client.flushall();
    expect(await report([spoilt('bad-listpack.rdb'), url, '--skip-damaged'])).toMatchObject({
      code: 3,
      keysRejected: 0,
      keysDamaged: 1,
      keysRestored: 51,
    });
  });

  const large = Array.from({ length: 40_000 }, (_, i): Part => str(`${i}`.padStart(60, 'x')));
  const count = (items: number): Part => [0x80, ...[24, 16, 8, 0].map((bits) => (items >> bits) & 255)];
  const badLzf: Part = [0xc3, 4, 0x40, 100, 0xff, 0xff, 0xff, 0xff];
  const file = rdb('REDIS0011', [
    [0, str('before'), str('v')],
    [16, str('small'), str('no listpack')],
    [1, str('large'), count(large.length + 1), ...large, badLzf],
    [16, str('fine'), str(listpack(['f', 'v']))],
    [18, str('quick'), 1, 2, [0x80, 0, 0x20, 0, 0], Buffer.alloc(0x200000, 'no listpack')],
  ], 0);
  const keys = ['before', 'fine'];

  test.each<[string, string[]]>([
    ['as it is', []],
    ['for an older server, which takes other encodings', ['--target-version', '6.2']],
    ['where nothing else looks into values', ['--target-version', '2.8', '--sanitize', 'none']],
  ])('small and large values %s', async (_, argv) => {
    const path = folder.file('damaged.rdb', file);
    const ran = await report([path, url, '--skip-damaged', ...argv]);
    const left = await server.client.keys('*');
    expect(ran.code).toBe(3);
    if (argv.includes('none')) expect(ran.keysRestored + ran.keysDamaged + ran.keysRejected).toBe(5);
    else expect([ran.keysDamaged, left.sort()]).toEqual([3, keys]);
    expect(left).toEqual(expect.arrayContaining(keys));
  });

  test('a dry run foresees it', async () => {
    const path = folder.file('damaged.rdb', file);
    expect(await report([path, url, '--skip-damaged', '--dry-run'])).toMatchObject({ code: 3, keysDamaged: 3, keysRestored: 2 });
    expect(await server.client.dbsize()).toBe(0);
  });

  test('where a value ends the restore, the message names the option', async () => {
    const path = folder.file('damaged.rdb', file);
    const { code, err } = await restore([path, url, '--target-version', '2.8', '--sanitize', 'none']);
    expect([code, err]).toEqual([3, expect.stringContaining('--skip-damaged goes past such values.') as string]);
  });

  test('a run that resumes counts those of the run before it', async () => {
    const path = folder.file('damaged.rdb', file);
    const checkpoint = folder.at('checkpoint.json');
    const argv = [
      path,
      folder.file('cut.rdb', rdb('REDIS0011', [[0, str('k'), str('v')]]).subarray(0, -9)),
      url,
      '--skip-damaged',
      '--checkpoint',
      checkpoint,
    ];
    expect(await report(argv)).toMatchObject({ code: 3, keysDamaged: 3 });
    expect(await report(argv)).toMatchObject({ code: 3, keysDamaged: 3, resumed: true });
  });
});
