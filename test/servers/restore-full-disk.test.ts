import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from '../support/cli-support.js';
import { type Ended, shell } from '../support/processes.js';
import { TestServer } from '../support/redis-server.js';
import { urlOf } from '../support/restore-support.js';
import { be, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
let server: TestServer;
let url = '';

beforeAll(async () => {
  server = await TestServer.start();
  url = urlOf(server);
});
beforeEach(() => server.client.flushall());
afterAll(async () => {
  await server.stop();
  folder.remove();
});

/** With a limit on file sizes, in KiB: writing beyond it fails with EFBIG, as on a full disk. */
const limited = (kib: number, command: string): Promise<Ended> =>
  shell(`ulimit -f ${kib}; R() { "$NODE" "$RDBKIT" "$@"; }; F='${FIXTURE}'; T='${folder.path}'; ${command}`);

const FULL = 'the file became too large for its file system. Make room, or write to another place, and run it again.';
const NO_STACK = /^(?!.*\n\s+at )/s;

describe('a disk that is full', () => {
  test('from the beginning, under the checkpoint: nothing is written or deleted', async () => {
    await server.client.set('there', '1');
    const { code, err } = await limited(0, `R restore "$F" ${url} --flush --yes --checkpoint "$T/none.json" --quiet`);
    expect([code, err]).toEqual([
      4,
      `rdbkit: cannot write ${folder.at('none.json')}: the file became too large for its file system. Nothing was written to the target. Make room, or write to another place, and run it again.\n`,
    ]);
    expect([await server.client.dbsize(), await server.client.get('there')]).toEqual([1, '1']);
    expect(readdirSync(folder.path).filter((name) => name.startsWith('none.json'))).toEqual([]);
  });

  test('during the restore, under the rejects file: it ends with a summary, and the checkpoint resumes', async () => {
    const checkpoint = folder.at('rejects.checkpoint');
    const command = `R restore "$F" ${url} --db-map 15:99 --checkpoint '${checkpoint}' --rejects "$T/rejects.jsonl" --parallel 1`;
    const { code, err } = await limited(2, command);
    expect(code).toBe(4);
    expect(err).toContain(`cannot write ${folder.at('rejects.jsonl')}: ${FULL} Every key that is counted as restored is on the target.`);
    expect(err).toContain(`What was saved in ${checkpoint} before is whole. Run the same command again to go on from ${checkpoint}.`);
    expect(err).toMatch(NO_STACK);
    expect(err).toMatch(/\d+ keys? restored/);
    expect(JSON.parse(readFileSync(checkpoint, 'utf8'))).toMatchObject({ rdbkit: 'restore checkpoint', finished: false });
    const again = await shell(
      `"$NODE" "$RDBKIT" restore '${FIXTURE}' ${url} --db-map 15:99 --checkpoint '${checkpoint}' --rejects '${folder.at('rejects.jsonl')}'`,
    );
    expect([again.code, JSON.parse(readFileSync(checkpoint, 'utf8'))]).toEqual([1, expect.objectContaining({ finished: true }) as object]);
  });

  test('where a large value is put aside: the keys before it are on the target, and the checkpoint is whole', async () => {
    const checkpoint = folder.at('spill.checkpoint');
    const size = 20 << 20;
    const big: Part = [0, str('big'), 0x80, be(size, 4), Buffer.alloc(size, 'x')];
    const file = folder.file('spill.rdb', rdb('REDIS0011', [0, str('before'), str('v'), big], 0));
    const { code, err } = await limited(4096, `R restore '${file}' ${url} --checkpoint '${checkpoint}'`);
    expect(code).toBe(4);
    expect(err).toMatch(
      /cannot write \S+: the file became too large for its file system; large strings are put aside there, TMPDIR can name another folder\. Every key/,
    );
    expect(err).toMatch(/rdbkit: 1 key restored; /);
    expect(err).toMatch(NO_STACK);
    expect(await server.client.keys('*')).toEqual(['before']);
    const again = await shell(`"$NODE" "$RDBKIT" restore '${file}' ${url} --checkpoint '${checkpoint}'`);
    expect([again.code, (await server.client.keys('*')).sort()]).toEqual([0, ['before', 'big']]);
  });

  test('under an output: the name is told, and where the beginning is', async () => {
    const to = folder.at('out.jsonl');
    const text = 'x'.repeat(10_000);
    const file = folder.file('long.rdb', rdb('REDIS0011', [Array.from({ length: 400 }, (_, i): Part => [0, str(`k${i}`), str(text)])], 0));
    const { code, err } = await limited(1500, `R decode '${file}' -o '${to}'`);
    expect([code, err]).toEqual([
      4,
      `rdbkit: cannot write ${to}: the file became too large for its file system. What was written before is in ${to}.partial; it may end within a key. Make room, or write to another place, and run it again.\n`,
    ]);
    expect([existsSync(to), existsSync(`${to}.partial`)]).toEqual([false, true]);
  });
});
