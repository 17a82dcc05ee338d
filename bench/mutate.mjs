// Damages the corpus files in many ways and decodes them: anything but lines or an RdbError is a bug.
//
//     npm run build && node bench/mutate.mjs --count 20000 --seed 1 [--dist folder] [--one seed]
//
// Every other file is also decoded through WebAssembly, which must come to the same.
// The work is done in child processes, so that a crash, a hang or a swollen memory is put down to the seed that made it.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HANG_MS = 5000;
const RSS_BYTES = 300 << 20;
const BATCH = 250;

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    one: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
});

const load = (path) => import(pathToFileURL(resolve(options.dist, path)).href);
const folder = new URL('../fixtures/servers/', import.meta.url);

/** Mulberry32: a number in [0, 1) a call. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const BORDERS = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc3, 0xe0, 0xf0, 0xf4, 0xfa, 0xfc, 0xfe, 0xff];

/** A damaged copy of one of the files, and how it is to be cut. */
function damaged(files, seed, Crc64) {
  const next = random(seed);
  const below = (n) => Math.floor(next() * n);
  const name = files[below(files.length)];
  let bytes = Buffer.from(readFileSync(new URL(name, folder)));
  const changes = 1 + below(next() < 0.5 ? 3 : 40);
  for (let i = 0; i < changes; i++) {
    const at = 9 + below(bytes.length - 17);
    switch (below(8)) {
      case 0:
      case 1:
        bytes[at] ^= 1 << below(8);
        break;
      case 2:
        bytes[at] = below(256);
        break;
      case 3:
        bytes[at] = BORDERS[below(BORDERS.length)];
        break;
      case 4: {
        const form = below(3);
        bytes[at] = [0x80, 0x81, 0xc3][form];
        if (form === 2) bytes[at + 1] = 0x80;
        if (at + 12 < bytes.length) bytes.writeUInt32BE([0x7fffffff, 0xffffffff, 0x00100000, below(2 ** 32)][below(4)], at + 1 + (form === 2 ? 1 : 0));
        break;
      }
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length: 1 + below(8) }, () => below(256))), bytes.subarray(at)]);
        break;
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length - 8, at + 1 + below(16)))]);
        break;
      default:
        bytes.copyWithin(at, 9 + below(bytes.length - 17), 9 + below(bytes.length - 17));
    }
  }
  if (next() < 0.05) bytes = bytes.subarray(0, below(bytes.length));
  else if (next() < 0.95) {
    const crc = new Crc64().update(bytes, 0, bytes.length - 8);
    bytes.writeUInt32LE(crc.lo, bytes.length - 8);
    bytes.writeUInt32LE(crc.hi, bytes.length - 4);
  }
  const chunks = Array.from({ length: 1 + below(5) }, () => 1 + below(next() < 0.3 ? 16 : 20000));
  return { name, bytes: new Uint8Array(bytes), chunks, limit: 64 + below(4033) };
}

async function child() {
  const [{ Framer, NEED, RECORD, META, END }, { JsonLines }, { Output }, { RdbError, ERROR_CODES }, { Crc64 }, { Kernels }] = await Promise.all(
    ['rdb/framer.js', 'json/json-lines.js', 'io/output.js', 'bytes/errors.js', 'bytes/crc64.js', 'kernels/kernels.js'].map(load),
  );
  const files = readdirSync(folder).filter((file) => file.endsWith('.rdb'));

  async function decode(bytes, chunks, limit, codec, write) {
    const output = new Output({ write: (piece) => Promise.resolve(write(piece)) }, codec);
    const json = new JsonLines(output, { codec });
    const framer = new Framer({ limit, meta: false, ...(codec && { codec }) });
    try {
      for (let at = 0, i = 0; at < bytes.length; i++) {
        framer.push(bytes.subarray(at, at + chunks[i % chunks.length]));
        at += chunks[i % chunks.length];
        for (let kind = framer.next(); kind !== NEED && kind !== END; kind = framer.next()) {
          if (kind === META) continue;
          try {
            json.frame(kind, framer.frame);
          } catch (error) {
            json.rollback();
            throw error instanceof RdbError ? framer.failed(error) : error;
          }
          if (kind !== RECORD) await json.settle();
        }
        await output.flushIfFull();
      }
      framer.finish();
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      if (ERROR_CODES[error.code] === undefined) throw new Error(`no such code: ${error.code}`);
      if (!(error.offset >= 0 && error.offset <= bytes.length)) throw new Error(`${error.code} at ${error.offset} of ${bytes.length} bytes`);
      return error.code;
    }
    await output.flush();
    await output.written();
    return 'ok';
  }

  async function run(seed) {
    const { bytes, chunks, limit } = damaged(files, seed, Crc64);
    const pieces = [];
    const hash = createHash('sha256');
    const codec = seed % 2 === 1 ? Kernels.create() : undefined;
    const whole = await decode(bytes, [bytes.length], undefined, codec, (piece) => {
      pieces.push(piece.slice());
      hash.update(piece);
    });
    if (codec !== undefined && (await decode(bytes, [bytes.length], undefined, undefined, () => undefined)) !== whole) throw new Error(`another fate through WebAssembly: ${whole}`);
    if (whole === 'ok') for (const line of Buffer.concat(pieces).toString().split('\n')) if (line !== '') JSON.parse(line);
    const other = createHash('sha256');
    const parts = await decode(bytes, chunks, limit, undefined, (piece) => other.update(piece));
    if (whole === 'ok' && parts === 'ok' && hash.digest('hex') !== other.digest('hex')) throw new Error('other lines in parts than as a whole');
    return { whole, parts };
  }

  if (options.one !== undefined) {
    console.log(await run(Number(options.one)));
    return;
  }
  process.on('message', async ({ from, to }) => {
    for (let seed = from; seed < to; seed++) {
      process.send({ begin: seed });
      const began = performance.now();
      let result;
      try {
        result = await run(seed);
      } catch (error) {
        result = { bug: String(error?.stack ?? error) };
      }
      if (seed % 10 === 0) globalThis.gc?.();
      process.send({ seed, ms: performance.now() - began, rss: process.resourceUsage().maxRSS * 1024, ...result });
    }
    process.send({ done: true }, () => process.exit(0));
  });
}

async function parent() {
  const first = Number(options.seed) * 1_000_000;
  const end = first + Number(options.count);
  const counts = { whole: {}, parts: {}, disagreeing: {} };
  const bugs = [];
  let slowest = { ms: 0 };
  let largest = { rss: 0 };
  let next = first;
  const count = (table, name) => void (table[name] = (table[name] ?? 0) + 1);

  const batch = (from, to) =>
    new Promise((done) => {
      const process = fork(fileURLToPath(import.meta.url), ['--child', '--dist', options.dist], { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      let at = from;
      let finished = false;
      let timer;
      process.on('message', (message) => {
        clearTimeout(timer);
        if (message.done) finished = true;
        else if (message.begin !== undefined) {
          at = message.begin;
          timer = setTimeout(() => {
            bugs.push({ seed: at, bug: `no end after ${HANG_MS} ms` });
            process.kill('SIGKILL');
          }, HANG_MS);
        } else {
          if (message.bug !== undefined) bugs.push({ seed: message.seed, bug: message.bug });
          else {
            count(counts.whole, message.whole);
            count(counts.parts, message.parts);
            if (message.whole !== message.parts) count(counts.disagreeing, `${message.whole} / ${message.parts}`);
          }
          if (message.ms > slowest.ms) slowest = { seed: message.seed, ms: Math.round(message.ms) };
          if (message.rss > largest.rss) largest = { seed: message.seed, rss: message.rss };
          at = message.seed + 1;
          if (message.rss > RSS_BYTES) {
            bugs.push({ seed: message.seed, bug: `${message.rss >> 20} MiB of memory` });
            process.kill('SIGKILL');
          }
        }
      });
      process.on('exit', (code, signal) => {
        clearTimeout(timer);
        if (finished) return done(undefined);
        if (code !== null || signal !== 'SIGKILL') bugs.push({ seed: at, bug: `the process ended: ${code ?? signal}` });
        const last = bugs.at(-1)?.seed ?? at;
        done(last + 1 < to ? [last + 1, to] : undefined);
      });
      process.send({ from, to });
    });

  const lane = async () => {
    while (next < end) {
      let job = [next, Math.min(end, next + BATCH)];
      next = job[1];
      while (job !== undefined) job = await batch(...job);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  console.log(JSON.stringify({ ...counts, slowest, largest: { ...largest, rss: `${largest.rss >> 20} MiB` }, bugs: bugs.length }, null, 2));
  const shown = new Set();
  for (const { seed, bug } of bugs) {
    const kind = bug.split('\n').slice(0, 2).join('\n');
    if (shown.has(kind)) continue;
    shown.add(kind);
    console.log(`seed ${seed}: ${bug}`);
  }
  process.exitCode = bugs.length > 0 ? 1 : 0;
}

await (options.child || options.one !== undefined ? child() : parent());
