import type * as Fs from 'node:fs';
import { readFileSync } from 'node:fs';
import type * as FsPromises from 'node:fs/promises';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { FileSink } from '../../src/io/file-sink.js';
import { OutputError } from '../../src/io/output-error.js';
import { Spill } from '../../src/io/spill.js';
import { Folder } from '../support/cli-support.js';

/** Which call of the file system fails, and how. */
const world = vi.hoisted(() => ({ fails: '', code: 'ENOSPC' }));
const failing = vi.hoisted(() => (code: string) => Object.assign(new Error(`${code}: of the test`), { code }));

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof FsPromises>();
  return {
    ...actual,
    open: async (...args: Parameters<typeof actual.open>) => {
      const handle = await actual.open(...args);
      for (const name of ['datasync', 'sync', 'close'] as const) {
        const work = handle[name].bind(handle);
        handle[name] = () => (world.fails === name ? work().then(() => Promise.reject(failing(world.code))) : work());
      }
      return handle;
    },
  };
});
vi.mock('node:fs', async (original) => {
  const actual = await original<typeof Fs>();
  return {
    ...actual,
    readSync: (...args: Parameters<typeof actual.readSync>) => {
      if (world.fails === 'readSync') throw failing(world.code);
      return actual.readSync(...args);
    },
  };
});

const folder = new Folder();
afterEach(() => void (world.fails = ''));
afterAll(() => folder.remove());

test.each([
  ['ENOSPC', 'no space is left on the device'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EIO', 'an input/output error of the device'],
])('a file whose sync fails with %s does not get its name, though a later sync succeeds', async (code, reason) => {
  const path = folder.at(code);
  const sink = await FileSink.create(path);
  Object.assign(world, { fails: 'datasync', code });
  await sink.write(new Uint8Array(65 << 20));
  await new Promise((resolve) => setTimeout(resolve, 300));
  world.fails = '';
  await expect(sink.commit()).rejects.toThrow(`cannot write ${path}: ${reason}`);
  expect(await sink.abandon()).toBe(`${path}.partial`);
  expect(() => readFileSync(path)).toThrow('ENOENT');
});

test.each(['sync', 'close'])('a last %s that fails names the file as users know it', async (fails) => {
  const path = folder.at(fails);
  const sink = await FileSink.create(path);
  await sink.write(new Uint8Array(10));
  Object.assign(world, { fails, code: 'ENOSPC' });
  const error = await sink.commit().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OutputError);
  expect(error).toMatchObject({ path, advice: 'Make room, or write to another place, and run it again.' });
});

test('what was put aside and cannot be read is an error with the folder, not a bug', () => {
  const spill = new Spill(0);
  spill.add(new Uint8Array(100), 0, 100);
  Object.assign(world, { fails: 'readSync', code: 'EIO' });
  expect(() => [...spill.read()]).toThrow(OutputError);
  spill.close();
});
