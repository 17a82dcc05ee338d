import { execFileSync } from 'node:child_process';
import { createWriteStream, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { openInput } from '../../src/io/input.js';
import { Folder, rdb } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

test('a FIFO, read to its end or left in the middle', async () => {
  const path = folder.at('fifo');
  execFileSync('mkfifo', [path]);
  createWriteStream(path).end(gzipSync(rdb()));
  const input = openInput(path);
  const chunks: Uint8Array[] = [];
  for await (const chunk of input.chunks()) chunks.push(chunk.slice());
  expect(Buffer.compare(Buffer.concat(chunks), rdb())).toBe(0);
  expect([input.size, input.compression]).toEqual([undefined, 'gzip']);
  const held = createWriteStream(path);
  held.write(rdb().subarray(0, 5000));
  for await (const chunk of openInput(path).chunks()) {
    expect(chunk.length).toBe(5000);
    break;
  }
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(join('/proc/self/fd', fd)) === path;
    } catch {
      return false;
    }
  });
  expect(open).toHaveLength(1);
  held.destroy();
});
