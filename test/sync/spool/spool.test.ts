import { existsSync, readdirSync, readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { RdbError } from '../../../src/bytes/errors.js';
import { OutputError } from '../../../src/io/output-error.js';
import { Spool, type SpoolOptions } from '../../../src/sync/spool/spool.js';
import { Folder } from '../../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

let count = 0;
const LANE = '127.0.0.1:6379';

/** A folder of its own. */
const options = (more: Partial<SpoolOptions> = {}): SpoolOptions => ({
  lane: LANE,
  dir: folder.at(`spool-${count++}`),
  max: 1 << 30,
  ...more,
});
const laneFolder = ({ dir = '' }: SpoolOptions): string => join(dir, 'lane-127.0.0.1%3a6379');
const segments = (spool: SpoolOptions): string[] =>
  readdirSync(laneFolder(spool))
    .filter((name) => name.endsWith('.spool'))
    .sort();

/** Bytes of a stream, each known by its offset. */
const stream = (after: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => byteAt(after + i + 1));
const byteAt = (offset: number): number => (offset * 31 + (offset >> 8) * 7) & 255;

/** Everything after an offset. */
async function readAll(spool: Spool, from = spool.begin): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for (let at = from; at < spool.end;) {
    const { bytes, offset } = await spool.read(at);
    expect(offset).toBe(at + bytes.length);
    found.push(bytes);
    at = offset;
  }
  return Buffer.concat(found);
}

async function fill(spool: Spool, length: number, piece = 10_000): Promise<void> {
  for (let left = length; left > 0; left -= piece) await spool.append(stream(spool.end, Math.min(piece, left)));
}

test('bytes are released once they are forgotten, but not those that the reader may still send', async () => {
  for (const dir of [folder.at(`spool-${count++}`), undefined]) {
    const spool = await Spool.open(options({ dir, memory: 30_000, keep: 0 }));
    await spool.reset('a'.repeat(40), 0);
    const released: number[] = [];
    const pieces: Uint8Array[] = [];
    spool.reads.release = (bytes) => released.push(pieces.indexOf(bytes as Uint8Array));
    const append = (): void | Promise<void> => {
      pieces.push(stream(spool.end, 10_000));
      return spool.append(pieces[pieces.length - 1]);
    };
    for (let i = 0; i < 2; i++) await append();
    for (let at = 0; at < spool.end;) at = (await spool.read(at)).offset;
    for (let i = 2; i < 4; i++) void append(); // 0 and 1 are with the reader, and there is room for three
    if (dir !== undefined) await expect.poll(() => spool.held.memory).toBeLessThan(30_000);
    expect(released).toEqual([]);
    spool.trim(10_000);
    expect(released).toEqual(dir === undefined ? [0] : []); // it was forgotten before it was certain: the garbage collector gets it
    for (let i = 4; i < 8 && dir !== undefined; i++) await append();
    if (dir !== undefined) await expect.poll(() => released).toEqual(expect.arrayContaining([2, 3])); // nobody had them
    expect(released).not.toContain(1);
    await spool.remove();
  }
});

test('what is appended is read in the same pieces, without a copy', async () => {
  const spool = await Spool.open(options());
  await spool.reset('a'.repeat(40), 1000);
  const [one, two] = [stream(1000, 10), stream(1010, 5)];
  expect([spool.append(one), spool.append(two)]).toEqual([undefined, undefined]);
  expect(spool.readNow(1000)).toMatchObject({ offset: 1010 });
  expect(spool.readNow(1000)?.bytes).toBe(one);
  expect(spool.readNow(1010)?.bytes).toBe(two);
  expect(spool.readNow(1003)).toEqual({ bytes: one.subarray(3), offset: 1010 });
  expect(spool.readNow(1015)).toBeUndefined();
  const waits = spool.read(1015);
  await spool.append(stream(1015, 7));
  expect(await waits).toEqual({ bytes: stream(1015, 7), offset: 1022 });
  await spool.close();
});

test('a later run has everything, and the history', async () => {
  const where = options();
  const spool = await Spool.open(where);
  await spool.reset('a'.repeat(40), 70);
  await fill(spool, 300_000);
  await spool.turn('b'.repeat(40), 400_000);
  await fill(spool, 200_000);
  await spool.close();
  const again = await Spool.open(where);
  expect([again.begin, again.end, again.flushed]).toEqual([70, 500_070, 500_070]);
  expect(again.history).toEqual([
    { id: 'a'.repeat(40), from: 70 },
    { id: 'b'.repeat(40), from: 400_000 },
  ]);
  await fill(again, 50_000);
  expect(await readAll(again)).toEqual(Buffer.from(stream(70, 550_000)));
  await again.remove();
  expect(existsSync(laneFolder(where))).toBe(false);
});

/** 2 MB in segments of 128 KiB, closed. */
async function written(more: Partial<SpoolOptions> = {}): Promise<SpoolOptions> {
  const where = options({ max: 1 << 20, ...more });
  const spool = await Spool.open(where);
  await spool.reset('a'.repeat(40), 0);
  await fill(spool, 800_000);
  await spool.close();
  return where;
}

test('a tail that was not written to its end is cut, with a note', async () => {
  const where = await written();
  const newest = join(laneFolder(where), segments(where).at(-1) ?? '');
  truncateSync(newest, statSync(newest).size - 5);
  const notes: string[] = [];
  const spool = await Spool.open({ ...where, onEvent: (text) => notes.push(text) });
  expect(notes).toEqual([expect.stringMatching(/^\S+\.spool is cut after offset \d+: \d+ bytes after it are not a whole block$/)]);
  expect(notes[0]).toContain(`${newest} is cut after offset ${spool.end}:`);
  expect(spool.end).toBeLessThan(800_000);
  await fill(spool, 800_000 - spool.end);
  expect(await readAll(spool)).toEqual(Buffer.from(stream(0, 800_000)));
  await spool.close();
});

test('a segment whose header was not written is removed, with a note', async () => {
  const where = await written();
  const newest = join(laneFolder(where), segments(where).at(-1) ?? '');
  writeFileSync(newest, new Uint8Array(50));
  const notes: string[] = [];
  const spool = await Spool.open({ ...where, onEvent: (text) => notes.push(text) });
  expect(notes).toEqual([`${newest} is removed, since its header was not written to its end`]);
  expect(spool.end).toBe(Number.parseInt(basename(newest), 10));
  expect(await readAll(spool)).toEqual(Buffer.from(stream(0, spool.end)));
  await spool.close();
});

test('older segments that do not join the newer ones are removed, with a note', async () => {
  const where = await written();
  const names = segments(where);
  const notes: string[] = [];
  unlinkSync(join(laneFolder(where), names[2]));
  const spool = await Spool.open({ ...where, onEvent: (text) => notes.push(text) });
  const newer = join(laneFolder(where), names[3]);
  expect(notes).toEqual([1, 0].map((i) => `${join(laneFolder(where), names[i])} is removed, since no whole segment joins ${newer}`));
  expect(spool.begin).toBe(Number.parseInt(names[3], 10));
  expect(await readAll(spool)).toEqual(Buffer.from(stream(spool.begin, 800_000 - spool.begin)));
  await spool.close();
});

test('a damaged byte is an error with the file and the place in it', async () => {
  const where = await written({ memory: 1 });
  const [first] = segments(where);
  const path = join(laneFolder(where), first);
  const bytes = readFileSync(path);
  bytes[bytes.length - 100] ^= 1;
  writeFileSync(path, bytes);
  const spool = await Spool.open(where);
  const error = await readAll(spool).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'BAD_SPOOL',
    file: path,
    message: expect.stringContaining('with its checksum, got another one') as string,
  });
  expect((error as RdbError).offset).toBeGreaterThan(100);
  expect((error as RdbError).offset).toBeLessThan(bytes.length);
  await spool.close();
});

test.each([0, 40, 90, 150, 5000])('an older segment that is cut to %i bytes is an error where it is read', async (size) => {
  const where = await written();
  const path = join(laneFolder(where), segments(where)[1]);
  truncateSync(path, size);
  const notes: string[] = [];
  const spool = await Spool.open({ ...where, onEvent: (text) => notes.push(text) });
  const end = await readAll(spool).then(
    () => 'whole',
    (error: unknown) => (error as RdbError).code,
  );
  // without its header, it is known when it is opened
  expect([end, notes.length]).toEqual(size < 100 ? ['whole', 2] : ['BAD_SPOOL', 0]);
  await spool.close();
});

test('segments of another lane, another version or another kind are errors, and stay', async () => {
  const where = await written();
  const newest = join(laneFolder(where), segments(where).at(-1) ?? '');
  const bytes = readFileSync(newest);
  writeFileSync(newest, Buffer.concat([Buffer.from('rdbkit spool 2\n'), bytes.subarray(15)]));
  await expect(Spool.open(where)).rejects.toMatchObject({
    code: 'BAD_SPOOL',
    file: newest,
    expected: 'the header of a segment, version 1',
  });
  const other = await written({ lane: 'other' });
  const otherNewest =
    readdirSync(join(other.dir ?? '', 'lane-other'))
      .filter((name) => name.endsWith('.spool'))
      .sort()
      .at(-1) ?? '';
  writeFileSync(newest, readFileSync(join(other.dir ?? '', 'lane-other', otherNewest)));
  await expect(Spool.open(where)).rejects.toMatchObject({ expected: `a segment of ${LANE}`, got: 'one of other' });
  expect(existsSync(newest)).toBe(true);
  expect(existsSync(join(laneFolder(where), 'lock'))).toBe(false);
});

test('lanes have folders of their own, whatever they are called, which only this user can read', async () => {
  const dir = folder.at(`spool-${count++}`);
  for (const lane of ['..', 'a/b', '/', 'ü:1', '', 'x'.repeat(300), `${'x'.repeat(300)}y`]) {
    const spool = await Spool.open({ lane, dir, max: 1 << 20 });
    await spool.reset('a', 5);
    await spool.close();
    const again = await Spool.open({ lane, dir, max: 1 << 20 });
    expect([again.begin, again.end, again.history]).toEqual([5, 5, [{ id: 'a', from: 5 }]]);
    await again.close();
  }
  const lanes = readdirSync(dir);
  expect(lanes.length).toBe(7);
  for (const lane of lanes) {
    expect(statSync(join(dir, lane)).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(join(dir, lane))) expect([file, statSync(join(dir, lane, file)).mode & 0o777]).toEqual([file, 0o600]);
  }
});

test('at its limit it waits, says so once, and goes on when the target has what is oldest', async () => {
  const told: string[] = [];
  const where = options({
    max: 1 << 20,
    memory: 100_000,
    keep: 1 << 30,
    onFull: (text) => told.push(text),
    onRoom: () => told.push('room'),
  });
  const spool = await Spool.open(where);
  let done = false;
  const writing = fill(spool, 1_500_000).then(() => (done = true));
  await expect.poll(() => told, { interval: 5 }).toEqual([`cannot write ${laneFolder(where)}: the limit of 1048576 bytes is reached`]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect([done, spool.held.disk <= 1 << 20, spool.held.memory <= 120_000, spool.begin]).toEqual([false, true, true, 0]);
  expect(await readAll(spool)).toEqual(Buffer.from(stream(0, spool.end)));
  spool.trim(600_000);
  await writing;
  expect(told.slice(1)).toEqual(['room']);
  expect(spool.begin).toBeGreaterThan(300_000);
  expect(spool.begin).toBeLessThanOrEqual(600_000);
  expect(await readAll(spool)).toEqual(Buffer.from(stream(spool.begin, 1_500_000 - spool.begin)));
  await spool.remove();
});

test('in memory only it waits until the target has what is oldest', async () => {
  const told: string[] = [];
  const spool = await Spool.open({
    lane: 'a',
    max: 0,
    memory: 100_000,
    onFull: (text) => told.push(text),
    onRoom: () => told.push('room'),
  });
  let done = false;
  const writing = fill(spool, 150_000, 9000).then(() => (done = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([done, told, spool.begin]).toEqual([false, ['the spool in memory has reached its limit, 100,000 bytes'], 0]);
  const held = await readAll(spool);
  expect(held).toEqual(Buffer.from(stream(0, spool.end)));
  spool.trim(spool.end);
  await writing;
  expect([told.length, spool.end, spool.flushed]).toEqual([2, 150_000, spool.begin]);
  await spool.close();
});

test.each([
  ['in memory only', undefined, 0],
  ['in files that are full', 'folder', 1 << 20],
])('who has read all and waits gets more, however much is held: %s', async (_, dir, max) => {
  const spool = await Spool.open(options({ ...(dir === undefined && { dir }), max, memory: 100_000 }));
  const writing = fill(spool, 4_000_000);
  let at = 0;
  while (at < 4_000_000) at = (await spool.read(at)).offset;
  expect(spool.begin).toBe(0);
  spool.trim(at);
  await writing;
  await spool.remove();
});

test('what was trimmed can be read within what is to be kept, and not long before', async () => {
  const spool = await Spool.open(options({ max: 4 << 20, memory: 50_000, keep: 1_000_000 }));
  await fill(spool, 3_000_000);
  spool.trim(2_500_000);
  expect(spool.begin).toBeLessThanOrEqual(1_500_000);
  expect(spool.begin).toBeGreaterThan(900_000);
  expect(await readAll(spool, 1_500_000)).toEqual(Buffer.from(stream(1_500_000, 1_500_000)));
  expect(() => spool.readNow(spool.begin - 1)).toThrow(
    `offset ${spool.begin - 1} is not in the spool, which holds ${spool.begin} to 3000000`,
  );
  await expect(spool.read(3_000_001)).rejects.toThrow(RangeError);
  await spool.remove();
});

test('a reader of files may go back', async () => {
  const spool = await Spool.open(options({ memory: 50_000, keep: 1 << 30 }));
  await fill(spool, 4_000_000, 50_000);
  for (const offset of [0, 2_500_000, 3_000_000, 70, 1_200_000, 1_100_000, 3_990_000, 5]) {
    const piece = await spool.read(offset);
    expect(Buffer.from(piece.bytes).equals(stream(offset, piece.offset - offset))).toBe(true);
  }
  await spool.remove();
});

test('bytes of a dead history are gone, in memory and in files, also for a later run', async () => {
  const where = options({ max: 1 << 30, memory: 50_000 });
  let spool = await Spool.open(where);
  await spool.reset('a', 0);
  await fill(spool, 300_000);
  await spool.turn('b', 250_000);
  await spool.truncate(200_005);
  expect(spool.history).toEqual([{ id: 'a', from: 0 }]);
  await spool.turn('c', 200_005);
  const other = new Uint8Array(70_000).fill(7);
  await spool.append(other);
  const expected = Buffer.concat([stream(0, 200_005), other]);
  expect(await readAll(spool)).toEqual(expected);
  await spool.close();
  spool = await Spool.open(where);
  expect(spool.history).toEqual([
    { id: 'a', from: 0 },
    { id: 'c', from: 200_005 },
  ]);
  expect(await readAll(spool)).toEqual(expected);
  await spool.remove();
});

test('a read that waits ends with the reason of its signal, or with the spool', async () => {
  const spool = await Spool.open(options());
  const controller = new AbortController();
  const stopped = spool.read(0, controller.signal);
  const closed = spool.read(0).catch((error: unknown) => error);
  controller.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  await expect(spool.read(0, controller.signal)).rejects.toThrow('enough');
  await spool.close();
  expect(await closed).toMatchObject({ message: 'the spool is closed' });
  expect(() => spool.append(new Uint8Array(1))).toThrow('the spool is closed');
});

test('a folder that cannot be made is an error with its name', async () => {
  const dir = folder.file('a-file', '');
  const error = await Spool.open({ lane: LANE, dir, max: 1 << 20 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OutputError);
  expect(error).toMatchObject({ message: `cannot write ${laneFolder({ lane: LANE, dir, max: 0 })}: a part of its path is not a folder` });
});

const lockOf = (where: SpoolOptions): string => join(laneFolder(where), 'lock');

test('a folder that another one uses is refused, unless that is not there any more', async () => {
  const where = options();
  const spool = await Spool.open(where);
  await expect(Spool.open(where)).rejects.toMatchObject({
    message: `cannot write ${lockOf(where)}: process ${process.pid} uses the folder`,
    advice: 'Wait for it to end, or stop it.',
  });
  const mine = JSON.parse(readFileSync(lockOf(where), 'utf8')) as Record<string, unknown>;
  await spool.close();
  expect(existsSync(lockOf(where))).toBe(false);
  const stale = [
    { ...mine, pid: 4_194_303 },
    { ...mine, started: '1' },
  ].map((holder) => JSON.stringify(holder));
  for (const text of [...stale, '', '{"pid"', JSON.stringify({ ...mine, pid: -1 })]) {
    writeFileSync(lockOf(where), text);
    await (await Spool.open(where)).close();
  }
  writeFileSync(lockOf(where), JSON.stringify({ ...mine, host: 'elsewhere' }));
  await expect(Spool.open(where)).rejects.toMatchObject({
    message: `cannot write ${lockOf(where)}: process ${process.pid} on elsewhere uses the folder`,
    advice: 'Whether it still runs cannot be seen from here: if it does not, remove the file, and run it again.',
  });
});
