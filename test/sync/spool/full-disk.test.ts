import type * as FsPromises from 'node:fs/promises';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { OutputError } from '../../../src/io/output-error.js';
import { Spool, type SpoolOptions } from '../../../src/sync/spool/spool.js';
import { Folder } from '../../support/cli-support.js';

/** Which call of the file system fails, and how; `partly` writes half of the bytes first. */
const world = vi.hoisted(() => ({ fails: '', code: 'ENOSPC', partly: false }));
const failing = vi.hoisted(() => () => Object.assign(new Error(`${world.code}: of the test`), { code: world.code }));

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof FsPromises>();
  const unlessFails =
    <A extends unknown[], R>(name: string, work: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      world.fails === name ? Promise.reject(failing()) : work(...args);
  return {
    ...actual,
    unlink: unlessFails('unlink', actual.unlink),
    rename: unlessFails('rename', actual.rename),
    open: async (...args: Parameters<typeof actual.open>) => {
      if (world.fails === 'open' && args[1] === 'w') throw failing();
      const handle = await actual.open(...args);
      const [datasync, writev] = [handle.datasync.bind(handle), handle.writev.bind(handle)];
      handle.datasync = unlessFails('datasync', datasync);
      Object.assign(handle, {
        writev: async (pieces: Uint8Array[], position: number) => {
          if (world.fails !== 'writev') return writev(pieces, position);
          const all = Buffer.concat(pieces);
          if (world.partly) await handle.write(all, 0, all.length >> 1, position);
          throw failing();
        },
      });
      return handle;
    },
  };
});

const folder = new Folder();
afterEach(() => void (world.fails = ''));
afterAll(() => folder.remove());

let count = 0;
const told: string[] = [];
const options = (more: Partial<SpoolOptions> = {}): SpoolOptions => ({
  lane: 'a',
  dir: folder.at(`${count++}`),
  max: 1 << 20,
  memory: 50_000,
  onFull: (text) => told.push(text),
  onRoom: () => told.push('room'),
  onEvent: (text) => told.push(text),
  ...more,
});

const piece = (value: number): Uint8Array => new Uint8Array(20_000).fill(value);

async function readAll(spool: Spool): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for (let at = spool.begin; at < spool.end;) {
    const { bytes, offset } = await spool.read(at);
    found.push(bytes);
    at = offset;
  }
  return Buffer.concat(found);
}

test.each([
  ['ENOSPC', 'writev', false, 'no space is left on the device'],
  ['EDQUOT', 'writev', true, 'the disk quota is used up'],
  ['EFBIG', 'writev', true, 'the file became too large for its file system'],
  ['ENOSPC', 'open', false, 'no space is left on the device'],
  ['ENOSPC', 'rename', false, 'no space is left on the device'],
])('%s at %s (partly: %s) is said once, and waited out: nothing is lost', async (code, fails, partly, reason) => {
  told.length = 0;
  const where = options();
  const spool = await Spool.open(where);
  // enough for a segment to end, so that all calls are made
  for (let i = 0; i < 4; i++) await spool.append(piece(i));
  Object.assign(world, { fails, code, partly });
  let done = false;
  const writing = (async () => {
    for (let i = 4; i < 20; i++) await spool.append(piece(i));
    done = true;
  })();
  await expect.poll(() => told.length, { interval: 5 }).toBe(1);
  expect(told[0]).toMatch(new RegExp(`^cannot write \\S+\\.spool: ${reason}$`));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([done, told.length]).toEqual([false, 1]);
  expect((await readAll(spool)).length).toBe(spool.end);
  world.fails = '';
  await writing;
  expect(told.slice(1)).toEqual(['room']);
  const expected = Buffer.concat(Array.from({ length: 20 }, (_, i) => piece(i)));
  expect(await readAll(spool)).toEqual(expected);
  await spool.close();
  const again = await Spool.open(where);
  expect(await readAll(again)).toEqual(expected);
  await again.close();
});

test('a disk that is full when it is closed is an error; what was written is there', async () => {
  const where = options();
  const spool = await Spool.open(where);
  await spool.reset('a', 0);
  await spool.append(piece(1));
  await expect.poll(() => spool.flushed, { interval: 2 }).toBe(20_000);
  Object.assign(world, { fails: 'writev', code: 'ENOSPC', partly: true });
  await spool.append(piece(2));
  await expect(spool.close()).rejects.toThrow(/^cannot write \S+\.spool: no space is left on the device$/);
  world.fails = '';
  told.length = 0;
  const again = await Spool.open(where);
  expect([again.end, told.length]).toEqual([20_000, 1]);
  expect(await readAll(again)).toEqual(Buffer.from(piece(1)));
  await again.close();
});

test('a new copy and a turn wait for room, too', async () => {
  told.length = 0;
  const where = options();
  const spool = await Spool.open(where);
  Object.assign(world, { fails: 'writev', code: 'ENOSPC', partly: false });
  const done = spool.reset('a', 500).then(() => spool.turn('b', 500));
  await expect.poll(() => told.length, { interval: 5 }).toBe(1);
  world.fails = '';
  await done;
  await spool.close();
  const again = await Spool.open(where);
  expect([again.begin, again.end, again.history]).toEqual([
    500,
    500,
    [
      { id: 'a', from: 500 },
      { id: 'b', from: 500 },
    ],
  ]);
  await again.close();
});

test.each([
  ['EIO', 'writev', 'an input/output error of the device'],
  ['EROFS', 'open', 'the file system is read-only'],
  ['EIO', 'datasync', 'an input/output error of the device'],
])('%s at %s is an error of append', async (code, fails, reason) => {
  const spool = await Spool.open(options());
  Object.assign(world, { fails, code, partly: false });
  const error = await (async () => {
    for (;;) {
      await spool.append(piece(1));
      spool.trim(spool.end);
    }
  })().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OutputError);
  expect(error).toMatchObject({ reason });
  expect(() => spool.append(piece(2))).toThrow(reason);
  await expect(spool.close()).rejects.toThrow(reason);
});

test('a segment that cannot be deleted is named, and counts', async () => {
  told.length = 0;
  const spool = await Spool.open(options({ keep: 0 }));
  for (let i = 0; i < 20; i++) await spool.append(piece(i));
  Object.assign(world, { fails: 'unlink', code: 'EACCES' });
  const before = spool.held.disk;
  spool.trim(200_000);
  await expect.poll(() => told.length, { interval: 5 }).toBeGreaterThan(0);
  expect(told[0]).toMatch(/^cannot write \S+\.spool: permission denied: it stays, and counts$/);
  expect(spool.held.disk).toBeGreaterThanOrEqual(before);
  world.fails = '';
  await spool.close();
});
