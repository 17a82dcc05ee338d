import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { NODES } from '../support/nodes.js';
import { collect, type Ended, PACKAGE } from '../support/processes.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** What a script begins with: an open spool. */
const opened = (dir: string): string => `
  const { Spool } = await import(${JSON.stringify(pathToFileURL(join(PACKAGE, 'dist/sync/spool/spool.js')).href)});
  const stream = (after, length) => Uint8Array.from({ length }, (_, i) => ((after + i) >> 6) & 255);
  const same = (piece, after) => Buffer.compare(piece.bytes, stream(after, piece.bytes.length)) === 0;
  const spool = await Spool.open({ lane: 'a', dir: ${JSON.stringify(dir)}, max: 1 << 30, memory: 200000 });
`;

const start = (script: string, node = process.execPath) => spawn(node, ['--input-type=module', '-e', script]);
const run = (dir: string, script: string, node = process.execPath): Promise<Ended> => collect(start(opened(dir) + script, node));

/** Everything, held against what was written. */
const READ = `
  let at = spool.begin;
  while (at < spool.end) {
    const piece = await spool.read(at);
    if (!same(piece, at)) throw new Error('other bytes after ' + at);
    at = piece.offset;
  }
  console.log(spool.begin, at);
  await spool.close();
`;

test('of two processes one has the folder; when it is killed, the other finds all that was written', async () => {
  const dir = folder.at('killed');
  const writer = start(`${opened(dir)}
    await spool.reset('a', 0);
    setInterval(() => console.log(spool.flushed), 10);
    for (;;) {
      const room = spool.append(stream(spool.end, 5000));
      if (room !== undefined) await room;
      if (spool.end % 100_000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  `);
  let out = '';
  writer.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  const told = (): number => Number(out.slice(0, out.lastIndexOf('\n')).split('\n').at(-1));
  await expect.poll(told).toBeGreaterThan(1_000_000);
  const second = await run(dir, READ);
  expect([second.code, second.err]).toEqual([1, expect.stringContaining(`process ${writer.pid} uses the folder`)]);
  writer.kill('SIGKILL');
  await once(writer, 'close');
  const { code, out: found, err } = await run(dir, READ);
  expect([code, err]).toEqual([0, '']);
  const [begin, end] = found.trim().split(' ').map(Number);
  expect(begin).toBe(0);
  expect(end).toBeGreaterThanOrEqual(told());
});

test('a spool that is far ahead of its reader is compressed where Node can; others read it, or say what they need', async () => {
  const fill = `
    await spool.reset('a', 0);
    while (spool.end < 3_000_000) await spool.append(stream(spool.end, 50_000));
    await spool.close();
  `;
  const [[, packs]] = NODES;
  const packed = folder.at('packed');
  expect(await run(packed, fill, packs)).toMatchObject({ code: 0, err: '' });
  const lane = join(packed, 'lane-a');
  const size = readdirSync(lane).reduce((sum, name) => sum + readFileSync(join(lane, name)).length, 0);
  expect(size).toBeLessThan(1_000_000);
  for (const [, node] of NODES) expect(await run(packed, READ, node)).toMatchObject({ code: 0, out: '0 3000000\n' });
  const bare = await run(packed, READ);
  if ('zstdDecompress' in (await import('node:zlib'))) expect(bare.code).toBe(0);
  else expect(bare.err).toContain('UNSUPPORTED_COMPRESSION');
  const plain = folder.at('plain');
  expect(await run(plain, fill)).toMatchObject({ code: 0 });
  expect(await run(plain, READ, packs)).toMatchObject({ code: 0, out: '0 3000000\n' });
});
