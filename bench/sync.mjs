// How fast changes reach another server: `rdbkit sync` into a server and into a cluster, beside a replica (`replicaof`) and beside the
// writes alone; how far each lags; and the memory of `rdbkit sync` when its target is slower than its source.
//
//     npm run build && node bench/sync.mjs > tables.md
//
//     --only speed           or lag, memory, instead of all three
//     --ways alone,replica   instead of alone, replica, server, server-none, cluster and cluster-none (none: with --spool none)
//     --runs 7               as many rounds, in which the ways take turns
//     --count 500000         SETs of 64 bytes in each
//     --seconds 60           of the writes of `memory`; a sixth of it for those of `lag`
//     --rate 200000          SETs a second of `lag`, instead of half of what the source takes
//     --limit 10             MB/s that the target of `memory` takes
//     --bin bin/rdbkit.js    another build
//
// Needs redis-server and redis-cli on PATH, and /proc for memory. The servers are its own, on free ports of the loopback interface, and
// keep nothing on disk. Progress is on standard error, Markdown on standard output.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { cli, startCluster, startServer, stopServers } from './local-servers.mjs';
import { markdown, median, number, whole } from './measure.mjs';

const string = (value) => ({ type: 'string', default: value });
const ALL = 'alone,replica,server,server-none,cluster,cluster-none';
const { values } = parseArgs({
  options: {
    ...{ only: string('speed,lag,memory'), ways: string(ALL), runs: string('7'), count: string('500000') },
    ...{ seconds: string('60'), limit: string('10'), rate: { type: 'string' }, bin: string(join(import.meta.dirname, '../bin/rdbkit.js')) },
  },
});
const [runs, count, seconds, limit] = [values.runs, values.count, values.seconds, values.limit].map(Number);

/** Nothing but the speed of a replica decides when it is done: no delay before the copy, no limit that cuts it off. */
const SOURCE = [
  ...['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0', '--repl-backlog-size', '256mb'],
  ...['--client-output-buffer-limit', 'replica 0 0 0'],
];
/** Milliseconds between two looks at a target, and between two marks of the lag. */
const LOOK = 2;
const MARK = 10;
/** Milliseconds until a copy has to be over, and until the last key has to be there. */
const PATIENCE = 60_000;

const url = (port) => `redis://127.0.0.1:${port}`;
const command = (...words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
const keyOf = (i) => `key:${String(i).padStart(12, '0')}`;

/** SETs that are made before, so that the writer costs little: each `size` bytes long. `mark` makes the values of a round differ. */
function sets(mark) {
  const one = (i) => command('SET', keyOf(i), `${mark}:`.padEnd(64, 'v'));
  const size = one(0).length;
  const bytes = Buffer.allocUnsafe(size * count);
  for (let i = 0; i < count; i++) bytes.latin1Write(one(i), i * size);
  return { bytes, size, value: `${mark}:`.padEnd(64, 'v') };
}

/** A connection that reads +OK and nothing else. */
class Writer {
  answered = 0;
  wake = () => undefined;

  static async open(port) {
    const writer = new Writer();
    writer.socket = connect(port, '127.0.0.1').setNoDelay(true);
    await new Promise((done, fail) => writer.socket.once('connect', done).once('error', fail));
    writer.socket.on('data', (chunk) => {
      if (chunk.includes('-')) throw new Error(`the source refused a write: ${chunk.toString('latin1')}`);
      writer.answered += chunk.length / '+OK\r\n'.length;
      writer.wake();
    });
    return writer;
  }

  write(bytes) {
    this.socket.write(bytes);
  }

  /** Until this many were answered since it was opened. */
  async until(total) {
    while (this.answered < total) await new Promise((done) => (this.wake = done));
  }

  close() {
    this.socket.destroy();
  }
}

/** A connection for single commands. */
const client = (port) => new Redis({ port, host: '127.0.0.1', protocol: 2, maxRetriesPerRequest: null }).on('error', () => undefined);

/** Until a server has the value; the time then. */
async function holds(port, name, value, failed = new AbortController().signal) {
  const asker = client(port);
  const end = performance.now() + PATIENCE;
  try {
    while ((await asker.get(name)) !== value) {
      failed.throwIfAborted();
      if (performance.now() > end) throw new Error(`no ${name} on the target after ${PATIENCE / 1000} s`);
      await delay(LOOK);
    }
    return performance.now();
  } finally {
    asker.disconnect();
  }
}

/** Whether a key belongs to a server: nodes of a cluster name another one. */
const owns = (port, name) => !cli(port, 'TYPE', name).startsWith('MOVED');

/** The last key that each of the servers has in its slots: when all are there, so is everything. */
function lastKeys(ports) {
  return ports.map((port) => {
    for (let i = count - 1; ; i--) if (owns(port, keyOf(i))) return keyOf(i);
  });
}

/** Processor time in seconds and peak memory in MB of a process. */
function usage(pid) {
  if (!existsSync(`/proc/${pid}/stat`)) return { cpu: NaN, peak: NaN };
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, peak: (Number(peak) * 1024) / 1e6 };
}

let marks = 0;

/** Waits until the first copy is over: a mark that was set after its beginning is on all targets. */
async function ready(source, targets, failed) {
  const end = performance.now() + PATIENCE;
  while (!/^slave0:.*state=online/m.test(cli(source, 'INFO', 'replication'))) {
    failed?.throwIfAborted();
    if (performance.now() > end) throw new Error(`the source has no replica after ${PATIENCE / 1000} s`);
    await delay(20);
  }
  const mark = `mark:${++marks}`;
  const names = targets.map((port) => {
    for (let i = 0; ; i++) if (owns(port, `ready:${i}`)) return `ready:${i}`;
  });
  for (const name of names) cli(source, 'SET', name, mark);
  await Promise.all(targets.map((port, i) => holds(port, names[i], mark, failed)));
}

/** A replica, until `stop`. */
async function replica(source, [target]) {
  cli(target, 'REPLICAOF', '127.0.0.1', String(source));
  await ready(source, [target]);
  return { usage: () => ({ cpu: NaN, peak: NaN }), stop: () => void cli(target, 'REPLICAOF', 'NO', 'ONE') };
}

/** `rdbkit sync`, until `stop`. */
function sync(spooled) {
  return async (source, targets, to = targets[0]) => {
    const folder = mkdtempSync(join(tmpdir(), 'rdbkit-bench-spool-'));
    const spool = spooled ? folder : 'none';
    const child = spawn(process.execPath, [values.bin, 'sync', url(source), url(to), '--yes', '--fresh', '--flush', '--spool', spool], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said = `${said}${text}`.slice(-2000)));
    const failed = new AbortController();
    const gone = new Promise((done) => child.once('exit', done));
    child.once('exit', () => failed.abort(new Error(`rdbkit sync: ${said.trim()}`)));
    const stop = async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(late);
      rmSync(folder, { recursive: true, force: true });
    };
    try {
      await ready(source, targets, failed.signal);
    } catch (error) {
      await stop();
      throw error;
    }
    return { usage: () => usage(child.pid), failed: failed.signal, stop };
  };
}

/** Starts what brings writes to the targets. */
const STARTERS = {
  alone: async () => ({ usage: () => ({ cpu: NaN, peak: NaN }), stop: () => undefined }),
  replica,
  server: sync(true),
  'server-none': sync(false),
  cluster: sync(true),
  'cluster-none': sync(false),
};
const NAMES = {
  alone: 'writes alone',
  replica: 'a replica',
  server: 'rdbkit sync',
  'server-none': 'rdbkit sync --spool none',
  cluster: 'rdbkit sync into a cluster of 3',
  'cluster-none': 'rdbkit sync --spool none into a cluster of 3',
};

/** The servers, started as they are needed. */
async function servers(ways) {
  // a server that once had a replica keeps a backlog, which costs writes: those alone get another one
  const [source, lone, single] = [await startServer(SOURCE), await startServer(SOURCE), await startServer()];
  const nodes = ways.some((way) => way.startsWith('cluster')) ? await startCluster() : [];
  const targetsOf = (way) => (way === 'alone' ? [] : way.startsWith('cluster') ? nodes : [single]);
  const sourceOf = (way) => (way === 'alone' ? lone : source);
  const empty = () => [source, lone, single, ...nodes].forEach((port) => cli(port, 'FLUSHALL', 'SYNC'));
  return { sourceOf, targetsOf, empty };
}

/** Calls `measure` with each way in turn, once to warm up and then `rounds` times. A way that fails is left out from then on. */
async function inTurn(ways, rounds, { sourceOf, targetsOf, empty }, measure) {
  const results = ways.map((way) => ({ way, all: [], failure: undefined }));
  for (let i = 0; i <= rounds; i++) {
    for (const result of results.filter(({ failure }) => failure === undefined)) {
      empty();
      const targets = targetsOf(result.way);
      try {
        const running = await STARTERS[result.way](sourceOf(result.way), targets);
        try {
          const one = await measure(result.way, running, i);
          if (i > 0) result.all.push(one);
        } finally {
          await running.stop();
        }
      } catch (error) {
        result.failure = error.message.split('\n', 1)[0];
        process.stderr.write(`  ${result.way}: ${error.message}\n`);
      }
    }
  }
  return results;
}

const orDash = (seconds) => (Number.isNaN(seconds) ? '–' : number(seconds));
const middle = (all, pick) => median(all.map(pick));
const failedRow = ({ way, failure }, columns) => [
  NAMES[way],
  `failed: ${failure.replaceAll('|', '\\|').slice(0, 80)}`,
  ...Array(columns - 2).fill('–'),
];

async function speed(ways) {
  const all = await servers(ways);
  const lasts = new Map(ways.map((way) => [way, lastKeys(all.targetsOf(way))]));
  const results = await inTurn(ways, runs, all, async (way, running, round) => {
    const { bytes, value } = sets(`${way}${round}`);
    const writer = await Writer.open(all.sourceOf(way));
    const before = running.usage().cpu;
    const start = performance.now();
    writer.write(bytes);
    const arrivals = all.targetsOf(way).map((port, i) => holds(port, lasts.get(way)[i], value, running.failed));
    await writer.until(count);
    const written = performance.now();
    writer.close();
    const end = Math.max(written, ...(await Promise.all(arrivals)));
    process.stderr.write(`  ${way}: ${number((end - start) / 1000)} s\n`);
    const { cpu, peak } = running.usage();
    return { seconds: (end - start) / 1000, writes: (written - start) / 1000, cpu: cpu - before, peak };
  });
  const base = (name) => {
    const found = results.find(({ way, all }) => way === name && all.length > 0);
    return found === undefined ? NaN : middle(found.all, ({ seconds }) => seconds);
  };
  const [alone, copied] = [base('alone'), base('replica')];
  const heads = ['way', 'seconds', 'least–most', '× writes alone', '× a replica', 'writes took', 'keys/s', 'CPU s', 'peak MB'];
  const rows = results.map((result) => {
    if (result.failure !== undefined) return failedRow(result, heads.length);
    const times = result.all.map(({ seconds }) => seconds);
    return [
      NAMES[result.way],
      number(median(times)),
      `${number(Math.min(...times))}–${number(Math.max(...times))}`,
      ...[alone, copied].map((one) => orDash(median(times) / one)),
      number(middle(result.all, ({ writes }) => writes)),
      Math.round(count / median(times)).toLocaleString('en'),
      orDash(middle(result.all, ({ cpu }) => cpu)),
      whole(Math.max(...result.all.map(({ peak }) => peak))),
    ];
  });
  const title = `${count.toLocaleString('en')} SETs of 64 bytes, until the target has the last. Medians of ${runs} rounds.`;
  console.log(`\n#### Speed\n\n${title}\n\n${markdown([heads, ...rows])}`);
  return count / alone;
}

/** Writes at a rate, with a mark every 10 ms, and how many milliseconds later each mark was seen. */
async function lag(ways, rate) {
  const all = await servers(ways);
  const { bytes, size } = sets('lag');
  const results = await inTurn(ways, 1, all, async (way, running) => {
    const writer = await Writer.open(all.sourceOf(way));
    const [marker, target] = [client(all.sourceOf(way)), client(all.targetsOf(way).find((port) => owns(port, 'marks')))];
    const [sent, lags] = [[], []];
    const seen = watch(target, (id) => lags.push(performance.now() - sent[id - 1]));
    const start = performance.now();
    let keys = 0;
    while (performance.now() - start < (seconds * 1000) / 6) {
      const due = Math.floor((rate * (performance.now() - start)) / 1000);
      for (; keys < due; keys += pieceOf(keys, due))
        writer.write(bytes.subarray((keys % count) * size, ((keys % count) + pieceOf(keys, due)) * size));
      sent.push(performance.now());
      void marker.xadd('marks', 'MAXLEN', '~', 10_000, `${sent.length}-0`, 'mark', sent.length);
      await delay(Math.max(1, start + sent.length * MARK - performance.now()));
    }
    await writer.until(keys);
    const end = performance.now() + PATIENCE;
    while (lags.length < sent.length && performance.now() < end) {
      running.failed?.throwIfAborted();
      await delay(MARK);
    }
    if (lags.length < sent.length) throw new Error(`${sent.length - lags.length} marks did not arrive`);
    for (const one of [marker, target]) one.disconnect();
    writer.close();
    await seen;
    const { peak } = running.usage();
    return { lags: lags.sort((a, b) => a - b), peak };
  });
  const rows = results.map((result) => {
    if (result.failure !== undefined) return failedRow(result, 6);
    const [{ lags, peak }] = result.all;
    const part = (share) => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))].toFixed(1);
    return [NAMES[result.way], part(0.5), part(0.99), part(1), lags.length, whole(peak)];
  });
  const half = values.rate === undefined ? ', half of what the source takes' : '';
  const title = `${Math.round(rate).toLocaleString('en')} SETs a second${half}; a mark every ${MARK} ms.`;
  console.log(`\n#### Lag\n\n${title} Milliseconds until a mark is on the target.\n`);
  console.log(markdown([['way', 'median', 'p99', 'most', 'marks', 'peak MB'], ...rows]));
}

/** Keys up to the due one, or up to the end of the ones that were made. */
const pieceOf = (keys, due) => Math.min(due - keys, count - (keys % count));

/** Calls `see` with the ID of each mark as soon as the target has it, until it is disconnected. */
async function watch(target, see) {
  let last = '0';
  try {
    for (;;) {
      for (const [, entries] of (await target.xread('BLOCK', 0, 'STREAMS', 'marks', last)) ?? []) {
        for (const [id] of entries) see(parseInt((last = id), 10));
      }
    }
  } catch {
    // disconnected: all marks were seen, or given up
  }
}

/** Stands between a client and a server, which gets at most this many bytes a second. */
async function slowed(port, bytesPerSecond) {
  const passed = { bytes: 0 };
  const listener = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    server.pipe(socket);
    for (const end of [socket, server])
      end.on('error', () => undefined).on('close', () => [socket, server].forEach((one) => one.destroy()));
    socket.on('data', async (chunk) => {
      server.write(chunk);
      passed.bytes += chunk.length;
      socket.pause();
      await delay((chunk.length / bytesPerSecond) * 1000);
      socket.resume();
    });
  });
  await new Promise((done) => listener.listen(0, '127.0.0.1', done));
  return { port: listener.address().port, passed, close: () => listener.close() };
}

/** Writes as fast as the source takes them, while the target takes less. */
async function memory(ways) {
  const all = await servers(ways);
  const { bytes } = sets('memory');
  const rows = [];
  for (const way of ways) {
    all.empty();
    const targets = all.targetsOf(way);
    const proxy = await slowed(targets[0], limit * 1e6);
    try {
      rows.push(await pressed(way, all.sourceOf(way), targets, proxy, bytes));
    } catch (error) {
      process.stderr.write(`  ${way}: ${error.message}\n`);
      rows.push(failedRow({ way, failure: error.message.split('\n', 1)[0] }, 5));
    } finally {
      proxy.close();
    }
  }
  console.log(`\n#### Memory\n\nWrites without a pause for ${seconds} s; the target takes ${limit} MB/s.\n`);
  console.log(markdown([['way', 'peak MB', 'MB written', 'MB to the target', "MB in the source's buffer at most"], ...rows]));
}

async function pressed(way, source, targets, proxy, bytes) {
  const running = await STARTERS[way](source, targets, proxy.port);
  try {
    const writer = await Writer.open(source);
    const start = performance.now();
    let rounds = 0;
    let buffered = 0;
    while (performance.now() - start < seconds * 1000) {
      writer.write(bytes);
      await writer.until(++rounds * count);
      running.failed?.throwIfAborted();
      const sizes = [...cli(source, 'CLIENT', 'LIST', 'TYPE', 'replica').matchAll(/ omem=(\d+)/g)].map(([, size]) => Number(size));
      buffered = Math.max(buffered, ...sizes);
    }
    writer.close();
    const megabytes = (size) => (size / 1e6).toFixed(0);
    return [NAMES[way], whole(running.usage().peak), megabytes(rounds * bytes.length), megabytes(proxy.passed.bytes), megabytes(buffered)];
  } finally {
    await running.stop();
  }
}

/** How many writes a source takes in a second, without anything else. */
async function rateAlone() {
  const source = await startServer(SOURCE);
  const { bytes } = sets('rate');
  const writer = await Writer.open(source);
  const start = performance.now();
  writer.write(bytes);
  await writer.until(count);
  const rate = (count * 1000) / (performance.now() - start);
  writer.close();
  return rate;
}

const [only, ways] = [values.only.split(','), values.ways.split(',')];
if (
  !(runs >= 1 && count >= 1000 && seconds > 0 && limit > 0) ||
  !only.every((kind) => ['speed', 'lag', 'memory'].includes(kind)) ||
  !ways.every((way) => Object.hasOwn(STARTERS, way))
)
  throw new Error(
    `--only: expected speed, lag or memory; --ways: expected some of ${ALL}; --runs, --count, --seconds, --limit: expected numbers`,
  );
if (loadavg()[0] > 0.5) process.stderr.write(`warning: this machine is not quiet (load ${loadavg()[0].toFixed(1)})\n`);
try {
  let rate;
  if (only.includes('speed')) rate = await speed(ways);
  if (only.includes('lag'))
    await lag(
      ways.filter((way) => way !== 'alone'),
      values.rate === undefined ? (Number.isFinite(rate) ? rate : await rateAlone()) / 2 : Number(values.rate),
    );
  if (only.includes('memory')) await memory(ways.filter((way) => way.startsWith('server')));
} finally {
  await stopServers();
}
