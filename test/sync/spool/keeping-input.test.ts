import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { RdbError } from '../../../src/bytes/errors.js';
import { openInput } from '../../../src/io/input.js';
import { OutputError } from '../../../src/io/output-error.js';
import { KeepingInput } from '../../../src/sync/spool/keeping-input.js';
import { KeptCopy, type KeptFile } from '../../../src/sync/spool/kept-copy.js';
import { Folder } from '../../support/cli-support.js';
import { until } from '../../support/until.js';

const folder = new Folder();
afterAll(() => folder.remove());

let count = 0;
let at: string;
let told: string[];
beforeEach(() => {
  at = folder.at(`${count++}`);
  told = [];
});

/** A disk that has room for so many bytes. */
class SmallDisk extends KeptCopy {
  constructor(
    path: string,
    private readonly room: number,
    /** What was written cannot be written over. */
    private readonly broken = false,
  ) {
    super(path);
  }

  override async create(): Promise<KeptFile> {
    const file = await super.create();
    const write = file.write.bind(file);
    file.write = async (bytes) => {
      if (file.capacity < Infinity && !this.broken) return write(bytes);
      const fits = this.room - file.size;
      await write(bytes.subarray(0, fits));
      if (fits < bytes.length) throw new OutputError(this.path, 'full');
    };
    return file;
  }
}

const MARK = { id: 'a'.repeat(40), offset: 100, db: 3, slots: '0-5' };

const keeping = (source: AsyncIterable<Uint8Array>, kept = new KeptCopy(at)): KeepingInput =>
  new KeepingInput(openInput(source), {
    ...{ kept, mark: () => MARK },
    onKept: (bytes) => told.push(`kept ${bytes}`),
    onGivenUp: ({ message }) => told.push(message),
  });

const PIECE = 300_000;
const piece = (i: number): Uint8Array => new Uint8Array(PIECE).fill(i);
const ALL = Buffer.concat(Array.from({ length: 20 }, (_, i) => piece(i)));

/** Writes over its last piece, as a server's link does. `sent` counts. */
let sent = 0;
async function* server(pieces = 20, end?: Error): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(PIECE);
  for (sent = 0; sent < pieces; sent++) {
    await delay(0);
    buffer.set(piece(sent));
    yield buffer;
  }
  if (end !== undefined) throw end;
}

async function read(input: KeepingInput): Promise<Buffer> {
  const found: Buffer[] = [];
  for await (const chunk of input.chunks()) {
    found.push(Buffer.from(chunk));
    expect(input.bytesRead).toBe(found.reduce((sum, { length }) => sum + length, 0));
  }
  return Buffer.concat(found);
}

test('gives what comes, and keeps it', async () => {
  expect(await read(keeping(server()))).toEqual(ALL);
  const kept = new KeptCopy(at);
  expect([told, await kept.find(), readFileSync(kept.path)]).toEqual([[`kept ${ALL.length}`], { ...MARK, bytes: ALL.length }, ALL]);
  expect(readdirSync(at).sort()).toEqual(['copy.json', 'copy.rdb']);
  expect(statSync(kept.path).mode & 0o777).toBe(0o600);
  await kept.remove();
  expect([readdirSync(at), await kept.find()]).toEqual([[], undefined]);
});

test('does not wait for its reader', async () => {
  const chunks = keeping(server()).chunks();
  await chunks.next();
  await until('all is kept', () => told.length > 0);
  expect(sent).toBe(20);
  await chunks.return();
  expect(await new KeptCopy(at).find()).toMatchObject({ bytes: ALL.length });
});

test.each([0, 5, PIECE, 5 * PIECE, 6 * PIECE + 5000, ALL.length - 1])(
  'where the disk has room for %i bytes, the reader gets the rest as it comes',
  async (room) => {
    expect(await read(keeping(server(), new SmallDisk(at, room)))).toEqual(ALL);
    expect([told, readdirSync(at)]).toEqual([[expect.stringMatching(/^cannot write .*copy\.rdb: full$/)], []]);
  },
);

test.each([0, 1 << 20, 10 * PIECE + 1])('the same where a file of %i bytes cannot be written to at all then', async (room) => {
  expect(await read(keeping(server(), new SmallDisk(at, room, true)))).toEqual(ALL);
  expect([told, readdirSync(at)]).toEqual([[expect.stringMatching(/full$/)], []]);
});

test('a full disk, and a reader that is slow, or leaves: the server is read as far as the file goes', async () => {
  const chunks = keeping(server(), new SmallDisk(at, 10 * PIECE)).chunks();
  const found: Buffer[] = [Buffer.from((await chunks.next()).value as Uint8Array)];
  const room = Math.floor((10 * PIECE + found[0].length) / PIECE);
  await until('the file is full, which is said', () => sent >= room && told.length > 0);
  await delay(20);
  expect([sent, told.length]).toEqual([room, 1]);
  for (let i = 0; i < 3; i++) found.push(Buffer.from((await chunks.next()).value as Uint8Array));
  await until('more is read', () => sent > 12);
  expect(Buffer.concat(found).equals(ALL.subarray(0, Buffer.concat(found).length))).toBe(true);
  await chunks.return();
  expect(readdirSync(at)).toEqual([]);
});

test('a folder that cannot be written', async () => {
  writeFileSync(at, 'a file');
  expect(await read(keeping(server()))).toEqual(ALL);
  expect(told).toEqual([expect.stringMatching(/^cannot write /)]);
});

test('a source that is lost: at once, and nothing is kept', async () => {
  const lost = new RdbError('SOURCE_LOST', { file: 'x', got: 'gone' });
  const chunks = keeping(server(20, lost)).chunks();
  await chunks.next();
  await until('the source has ended', () => sent === 20);
  await delay(10);
  await expect(chunks.next()).rejects.toBe(lost);
  expect([told, readdirSync(at)]).toEqual([[], []]);
});

test('a reader that leaves early, while the source says nothing', async () => {
  async function* silent(): AsyncGenerator<Uint8Array, void, void> {
    yield piece(0);
    await new Promise(() => undefined);
  }
  const chunks = keeping(silent()).chunks();
  await chunks.next();
  await chunks.return();
  expect([told, readdirSync(at)]).toEqual([[], []]);
});

test('what is not whole', async () => {
  const kept = new KeptCopy(at);
  await read(keeping(server()));
  writeFileSync(kept.path, ALL.subarray(1));
  expect(await kept.find()).toBe('torn');
  writeFileSync(kept.path, ALL);
  for (const text of ['', '{', '{}', JSON.stringify({ ...MARK, offset: 'x', bytes: ALL.length })]) {
    writeFileSync(`${at}/copy.json`, text);
    expect(await kept.find()).toBe('torn');
  }
  await kept.remove();
  writeFileSync(`${kept.path}.partial`, ALL);
  expect(await kept.find()).toBe('torn');
});
