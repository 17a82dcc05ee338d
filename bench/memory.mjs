/*
 * How near the memory that `rdbkit inspect` estimates is to what a server uses.
 *
 *     node bench/memory.mjs [--types] [--worst N] SERVER-BINARY FILE.rdb …
 *
 * Loads each file into the server and compares with MEMORY USAGE key SAMPLES 0 and OBJECT ENCODING of every key, and with the memory
 * that the server says its data has: `dataset.bytes` of MEMORY STATS and its tables. Keys that have expired are left out. A row:
 *
 *     server, allocator, file | keys | sum of the estimates / of MEMORY USAGE | keys within 10 % | keys to the byte | encodings that agree
 *     | keys and tables / memory of the data
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { estimates } from './estimates.mjs';

const { positionals: [binary, ...files], values: { types, worst } } = parseArgs({
  allowPositionals: true,
  options: { types: { type: 'boolean' }, worst: { type: 'string', default: '0' } },
});
const malloc = /malloc=(\S+)/.exec(spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout)?.[1];
const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)} %`;

function freePort() {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

async function serve(path, use) {
  const dir = mkdtempSync(join(tmpdir(), 'rdbkit-memory-'));
  if (path !== undefined) copyFileSync(path, join(dir, 'dump.rdb'));
  const port = await freePort();
  const child = spawn(binary, ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', ''], { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const client = new Redis({ port, host: '127.0.0.1', protocol: 2, retryStrategy: (times) => (times < 600 ? 100 : null), maxRetriesPerRequest: 600 });
  client.on('error', () => undefined);
  try {
    const ended = gone.then(() => {
      throw new Error('the server ended');
    });
    while ((await Promise.race([client.info('persistence'), ended])).includes('loading:1')) await delay(100);
    return await use(client);
  } finally {
    client.disconnect();
    child.kill('SIGKILL');
    await gone;
    rmSync(dir, { recursive: true });
  }
}

/** What the server answers for the keys of the estimates, in their order; null where it has no such key. */
async function answers(client, keys) {
  const usage = [];
  const encodings = [];
  for (let from = 0; from < keys.length; from += 2000) {
    const pipeline = client.pipeline();
    let db;
    for (const key of keys.slice(from, from + 2000)) {
      if (key.db !== db) pipeline.select((db = key.db));
      pipeline.call('MEMORY', 'USAGE', key.name, 'SAMPLES', '0');
      pipeline.call('OBJECT', 'ENCODING', key.name);
    }
    const replies = (await pipeline.exec()).map(([, reply]) => reply).filter((reply) => reply !== 'OK');
    for (let i = 0; i < replies.length; i += 2) {
      usage.push(replies[i]);
      encodings.push(replies[i + 1]);
    }
  }
  return { encodings, usage };
}

/** Memory of the data and its tables. */
async function dataset(client) {
  const flat = await client.call('MEMORY', 'STATS');
  const stats = new Map();
  for (let i = 0; i < flat.length; i += 2) stats.set(flat[i], flat[i + 1]);
  let bytes = stats.get('dataset.bytes');
  for (const [name, value] of stats) if (/^db\.\d+$/.test(name)) bytes += value[1] + value[3];
  return bytes;
}

async function compare(path) {
  const { allocator, empty, name } = await serve(undefined, async (client) => {
    const info = await client.info('server');
    const valkey = /valkey_version:(\d+\.\d+)/.exec(info)?.[1];
    const stats = malloc?.startsWith('jemalloc') ? await client.call('MEMORY', 'MALLOC-STATS') : '';
    return {
      empty: await dataset(client),
      name: valkey === undefined ? `redis-${/redis_version:(\d+\.\d+)/.exec(info)[1]}` : `valkey-${valkey}`,
      allocator: malloc === 'libc' ? 'libc' : /Quantum size: *16/.test(stats) ? 'jemalloc-16' : 'jemalloc',
    };
  });
  const { keys, tables } = await estimates(path, name, allocator);
  await serve(path, async (client) => {
    const { encodings, usage } = await answers(client, keys);
    const groups = new Map();
    const all = { keys: 0, sum: 0, usage: 0, near: 0, exact: 0, encoded: 0 };
    const far = [];
    keys.forEach((key, i) => {
      if (usage[i] === null) return;
      const group = `${key.type} ${encodings[i]}`;
      if (!groups.has(group)) groups.set(group, { ...all, keys: 0, sum: 0, usage: 0, near: 0, exact: 0, encoded: 0 });
      for (const sums of [all, groups.get(group)]) {
        sums.keys++;
        sums.sum += key.memory;
        sums.usage += usage[i];
        if (Math.abs(key.memory - usage[i]) <= 0.1 * usage[i]) sums.near++;
        if (key.memory === usage[i]) sums.exact++;
        if (key.encoding === encodings[i]) sums.encoded++;
      }
      far.push({ ...key, name: key.name.toString().slice(0, 40), usage: usage[i], server: encodings[i], off: key.memory / usage[i] });
    });
    const row = (label, { encoded, exact, keys: count, near, sum, usage: truth }, end = '') =>
      console.log(`| ${label} | ${count} | ${percent(sum, truth)} | ${percent(near, count)} | ${percent(exact, count)} | ${percent(encoded, count)} |${end}`);
    const used = (await dataset(client)) - empty;
    row(`${name}, ${malloc === 'libc' ? malloc : allocator}, ${basename(path)}`, all, ` ${percent(all.sum + tables(all.keys), used)} |`);
    if (types) for (const [group, sums] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) row(group, sums);
    far.sort((a, b) => Math.abs(b.memory - b.usage) - Math.abs(a.memory - a.usage));
    for (const key of far.slice(0, Number(worst))) console.log(JSON.stringify(key));
  });
}

for (const file of files) {
  try {
    await compare(file);
  } catch (error) {
    console.log(`| ${basename(binary)}, ${basename(file)} | ${error.message} |`);
  }
}
