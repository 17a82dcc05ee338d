import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Allocator } from '../../src/inspect/memory/allocator.js';
import { ENCODINGS, Measurer } from '../../src/inspect/measures.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { Batch } from '../../src/rdb/batch.js';
import { END, Frame, FULL } from '../../src/rdb/frame.js';
import { readingOf } from '../support/support.js';
import { SERVERS, serverFile } from '../support/dump-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';

/* Estimates against MEMORY USAGE. bench/memory.mjs does the same by hand for other servers, and larger files. */

interface Key {
  readonly name: Buffer;
  readonly db: number;
  readonly memory: number;
  readonly encoding: string;
}

const malloc = /malloc=(\S+)/.exec(spawnSync(SERVER, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? '';
let server: TestServer;
let measurer: Measurer;
const kernels = Kernels.create();
if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
const batch = new Batch(kernels);
const buffer = kernels.allocate(4 << 20);

beforeAll(async () => {
  server = await TestServer.start('--enable-debug-command', 'yes');
  const stats = malloc.startsWith('jemalloc') ? String(await server.client.call('MEMORY', 'MALLOC-STATS')) : '';
  const allocator: Allocator = malloc === 'libc' ? 'libc' : /Quantum size: *16/.test(stats) ? 'jemalloc-16' : 'jemalloc';
  measurer = new Measurer(kernels, await server.target(), batch.table.rows, { allocator });
});
afterAll(() => server.stop());

/** Keys that the server has, with their estimates; and keys with an expiry among all. */
async function estimates(file: Uint8Array): Promise<{ keys: Key[]; expires: number }> {
  const { measures } = measurer;
  const frame = new Frame();
  const keys: Key[] = [];
  let expires = 0;
  const add = (row: number, { db, hasExpire, keyBytes, keyEnd, keyStart }: Frame): void => {
    if (hasExpire) expires++;
    const name = Buffer.from(keyBytes.slice(keyStart, keyEnd));
    keys.push({ name, db, memory: measures.memory[row], encoding: ENCODINGS[measures.encoding[row]] });
  };
  const reading = readingOf([file.slice()], batch, { codec: kernels, buffer, meta: false, checksum: false });
  for (let kind = FULL; kind !== END; ) {
    kind = await reading.next();
    batch.from = 0;
    batch.to = batch.rows;
    measurer.rows(batch);
    for (let row = 0; row < batch.rows; row++) {
      batch.read(row, frame);
      add(row, frame);
    }
    if (kind === FULL || kind === END) continue;
    const value = reading.large(kind);
    const head = Object.assign(new Frame(), value.head, { keyBytes: value.head.keyBytes.slice() });
    await measurer.large(value);
    await value.end();
    add(0, head);
  }
  return { keys, expires };
}

/** Memory of the data and its tables. */
async function dataset(): Promise<number> {
  const stats = (await server.client.call('MEMORY', 'STATS')) as (string | number | [string, number, string, number])[];
  let bytes = 0;
  for (let i = 0; i < stats.length; i += 2) {
    const [name, value] = [String(stats[i]), stats[i + 1]];
    if (name === 'dataset.bytes') bytes += Number(value);
    if (/^db\.\d+$/.test(name) && Array.isArray(value)) bytes += value[1] + value[3];
  }
  return bytes;
}

async function compare(file: Uint8Array): Promise<void> {
  const { keys } = await estimates(file);
  let [sum, truth, near, count] = [0, 0, 0, 0];
  const encodings: string[] = [];
  for (let from = 0; from < keys.length; from += 1000) {
    const pipeline = server.client.pipeline();
    const some = keys.slice(from, from + 1000);
    for (const { db, name } of some) {
      pipeline.select(db);
      pipeline.call('MEMORY', 'USAGE', name, 'SAMPLES', '0');
      pipeline.call('OBJECT', 'ENCODING', name);
    }
    const replies = ((await pipeline.exec()) ?? []).map(([, reply]) => reply);
    some.forEach(({ encoding, memory, name }, i) => {
      const usage = replies[3 * i + 1];
      if (usage === null) return; // it has expired
      count++;
      sum += memory;
      truth += Number(usage);
      if (Math.abs(memory - Number(usage)) <= 0.1 * Number(usage)) near++;
      if (encoding !== replies[3 * i + 2]) encodings.push(`${name.toString()}: ${encoding}, not ${String(replies[3 * i + 2])}`);
    });
  }
  expect(encodings).toEqual([]);
  expect(Math.abs(sum / truth - 1)).toBeLessThan(0.03);
  expect(near / count).toBeGreaterThan(0.95);
}

test.each(SERVERS)('%s, if the server loads it', async (name) => {
  const file = serverFile(name);
  const { rdbVersion, vendor } = await server.target();
  const magic = Buffer.from(file.subarray(0, 9)).toString();
  const version = Number(/\d+$/.exec(magic)?.[0]);
  // Valkey of 9.0 and later loads versions up to 11 of Redis
  const isLoaded = magic.startsWith('VALKEY') ? vendor === 'valkey' && version <= rdbVersion : version <= (vendor === 'valkey' ? 11 : rdbVersion);
  if (!isLoaded || name.includes('modules')) return;
  await server.load(file);
  await compare(file);
});

test('all data that is made, and its memory in all', async () => {
  await server.client.flushall();
  const empty = await dataset();
  const pipeline = server.client.pipeline();
  const text = (i: number, most = 300): string => `${i}:`.repeat(1 + (i % 97)).slice(0, (i * 37) % most);
  const COUNT = 3000;
  for (let i = 0; i < COUNT; i++) {
    const many = Array.from({ length: 1 + ((i * 7) % 40) }, (_, j) => j);
    if (i % 3 === 0) pipeline.set(`string:${i}`, text(i, 2000), 'EX', 100_000);
    else pipeline.set(`string:${i}`, text(i, 2000));
    pipeline.set(`number:${i}`, i * 977);
    pipeline.hset(`hash:${i}`, ...many.flatMap((j) => [`field${j}`, text(i + j, i % 2 === 0 ? 60 : 120)]));
    pipeline.rpush(`list:${i}`, ...many.map((j) => text(i + j)));
    pipeline.sadd(`set:${i}`, ...many.map((j) => `member${i}:${j}`));
    pipeline.sadd(`integers:${i}`, ...many.map((j) => (i + j) * 1009));
    pipeline.zadd(`zset:${i}`, ...many.flatMap((j) => [i / (j + 1), `member${i}:${j}`]));
  }
  const thousand = Array.from({ length: 1000 }, (_, j) => j);
  for (let i = 0; i < 20; i++) {
    pipeline.hset(`large hash:${i}`, ...thousand.flatMap((j) => [`field${j}`, text(i + j)]));
    pipeline.sadd(`large set:${i}`, ...thousand.map((j) => `member${i}:${j}`));
    pipeline.zadd(`large zset:${i}`, ...thousand.flatMap((j) => [j / 3, `member${i}:${j}`]));
    pipeline.rpush(`large list:${i}`, ...thousand.map((j) => text(i + j)));
    for (let j = 0; j < 300; j++) pipeline.xadd(`stream:${i}`, `${1_700_000_000_000 + j * 77}-0`, 'field', text(j));
    pipeline.xgroup('CREATE', `stream:${i}`, 'group', '0');
    pipeline.xreadgroup('GROUP', 'group', `consumer${i}`, 'COUNT', i * 5 + 1, 'STREAMS', `stream:${i}`, '>');
  }
  pipeline.set('huge string', 'x'.repeat(3 << 20));
  pipeline.hset('huge hash', ...Array.from({ length: 20_000 }, (_, j) => [`field${j}`, text(j)]).flat());
  await pipeline.exec();
  const file = await server.save();
  await server.load(file);
  await compare(file);
  const before = measurer.beside;
  const { expires, keys } = await estimates(file);
  const beside = measurer.beside - before;
  const all = beside + keys.reduce((sum, { memory }) => sum + memory, 0) + measurer.tables(keys.length, expires);
  // the C library gives more or less for the same request, by what is free
  expect(Math.abs(all / ((await dataset()) - empty) - 1)).toBeLessThan(malloc === 'libc' ? 0.1 : 0.05);
});
