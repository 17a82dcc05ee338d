// How fast `rdbkit restore` fills a server and a cluster, beside `redis-cli --pipe` with commands that were made before.
//
//     npm run build && node bench/restore.mjs > tables.md
//
//     --only server          or cluster, instead of both; or sanitize: what --sanitize costs
//     --runs 5               as many runs of each command
//     --data mixed           another data set of bench/data.mjs
//     --scale 0.1            a tenth of its size
//     --rdb dump.rdb         this file instead
//
// Needs redis-server and redis-cli on PATH, and GNU time for memory. The servers are its own, on free ports of the loopback
// interface, and keep nothing on disk. Progress is on standard error, Markdown on standard output.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, startCluster, startServer, stopServers } from './local-servers.mjs';
import { folder, made, megabytes, size } from './made.mjs';
import { hasTime, markdown, median, number, TIME, whole } from './measure.mjs';

const string = (value) => ({ type: 'string', ...(value !== undefined && { default: value }) });
const { values } = parseArgs({
  options: { only: string('server,cluster'), runs: string('5'), data: string('mixed'), scale: string('1'), rdb: string() },
});
const runs = Number(values.runs);
const bin = join(import.meta.dirname, '../bin/rdbkit.js');

/** One process: its peak memory in MiB, its processor time in seconds; throws where it fails. */
function run({ file, args, input }) {
  const from = input === undefined ? 'ignore' : openSync(input, 'r');
  const [program, ...all] = hasTime ? [TIME, '-q', '-f', '%M %U %S', file, ...args] : [file, ...args];
  const child = spawn(program, all, { stdio: [from, 'pipe', 'pipe'] });
  if (input !== undefined) closeSync(from);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => {
      const failed = code !== 0 || /errors: [1-9]/.test(said);
      const [peak, user, system] = hasTime ? said.trim().split('\n').at(-1).split(' ').map(Number) : [NaN, NaN, NaN];
      if (failed) fail(new Error(`${file} ${args.join(' ')}: ${said}`));
      else done({ peak: peak / 1024, cpu: user + system });
    });
  });
}

/** Processor time of the servers so far, in seconds. */
const serverCpu = (ports) =>
  ports.reduce(
    (sum, port) =>
      sum +
      [...cli(port, 'INFO', 'cpu').matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].reduce((all, [, seconds]) => all + Number(seconds), 0),
    0,
  );

const keysOf = (ports) => ports.reduce((sum, port) => sum + Number(cli(port, 'DBSIZE')), 0);

/** One attempt at a command (processes that run at once) into servers that were emptied before. */
async function attempt({ processes }, ports) {
  for (const port of ports) cli(port, 'FLUSHALL', 'SYNC');
  const before = serverCpu(ports);
  const start = performance.now();
  const ends = await Promise.all(processes.map(run));
  const seconds = (performance.now() - start) / 1000;
  const server = serverCpu(ports) - before;
  return {
    seconds,
    server,
    cpu: ends.reduce((sum, { cpu }) => sum + cpu, 0),
    peak: Math.max(...ends.map(({ peak }) => peak)),
    keys: keysOf(ports),
  };
}

/** Runs the commands in turn, once to warm up and then `runs` times; the last one is what the others are measured by. */
async function sideBySide(title, rdb, commands, ports) {
  process.stderr.write(`${title}\n`);
  const results = commands.map((command) => ({ command, all: [] }));
  for (let i = 0; i <= runs; i++) {
    for (const { all, command } of results) {
      const one = await attempt(command, ports);
      process.stderr.write(`  ${command.name}: ${number(one.seconds)} s\n`);
      if (i > 0) all.push(one);
    }
  }
  const counts = new Set(results.flatMap(({ all }) => all.map(({ keys }) => keys)));
  if (counts.size > 1) throw new Error(`not the same keys: ${[...counts].join(', ')}`);
  const middle = ({ all }, pick) => median(all.map(pick));
  const base = middle(results.at(-1), ({ seconds }) => seconds);
  const rows = results.map((result) => {
    const seconds = result.all.map((one) => one.seconds);
    const median = middle(result, (one) => one.seconds);
    return [
      result.command.name,
      number(median),
      `${number(Math.min(...seconds))}–${number(Math.max(...seconds))}`,
      (median / base).toFixed(2),
      (size(rdb) / 1e6 / median).toFixed(0),
      Math.round([...counts][0] / median).toLocaleString('en'),
      number(middle(result, ({ cpu }) => cpu)),
      number(middle(result, ({ server }) => server)),
      whole(Math.max(...result.all.map(({ peak }) => peak))),
    ];
  });
  const heads = [
    'command',
    'seconds',
    'least–most',
    `× ${commands.at(-1).name}`,
    'MB/s in',
    'keys/s',
    'CPU s',
    'CPU s of servers',
    'peak MB',
  ];
  console.log(
    `\n#### ${title}\n\n${basename(rdb)}, ${megabytes(size(rdb))}, ${[...counts][0].toLocaleString('en')} keys. Medians of ${runs} runs.\n\n${markdown([heads, ...rows])}`,
  );
}

const restore = (rdb, port, ...options) => ({
  file: process.execPath,
  args: [bin, 'restore', rdb, `redis://127.0.0.1:${port}`, '--quiet', ...options],
});
const pipe = (resp, port) => ({ file: 'redis-cli', args: ['-p', String(port), '--pipe'], input: resp });

/** Commands for redis-cli --pipe, made if they are not there. */
function resp(rdb, slots) {
  const path = join(folder, `${basename(rdb, '.rdb')}${slots === undefined ? '' : `.${slots}`}.resp`);
  if (existsSync(path)) return path;
  const { status, stderr } = spawnSync(
    process.execPath,
    [bin, 'dump', rdb, '--format', 'resp', '-o', path, '--quiet', ...(slots === undefined ? [] : ['--slot', slots])],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`rdbkit dump: ${stderr}`);
  return path;
}

async function server(rdb) {
  const input = resp(rdb);
  const port = await startServer();
  const commands = [
    { name: 'rdbkit restore', processes: [restore(rdb, port)] },
    { name: 'rdbkit restore --on-conflict replace', processes: [restore(rdb, port, '--on-conflict', 'replace')] },
    { name: 'redis-cli --pipe', processes: [pipe(input, port)] },
  ];
  await sideBySide('one server', rdb, commands, [port]);
}

async function cluster(rdb) {
  const slots = ['0-5460', '5461-10922', '10923-16383'];
  const inputs = slots.map((range) => resp(rdb, range));
  const ports = await startCluster();
  const commands = [
    { name: 'rdbkit restore', processes: [restore(rdb, ports[0])] },
    { name: 'three redis-cli --pipe at once', processes: inputs.map((input, i) => pipe(input, ports[i])) },
  ];
  await sideBySide('cluster of three masters', rdb, commands, ports);
}

/** What looking into values costs. */
async function sanitize(rdb) {
  const port = await startServer();
  const levels = ['auto', 'all', 'none'];
  await sideBySide(
    '--sanitize',
    rdb,
    levels.map((level) => ({ name: level, processes: [restore(rdb, port, '--sanitize', level)] })),
    [port],
  );
}

const kinds = { server, cluster, sanitize };
const only = values.only.split(',');
if (!(runs >= 1) || !only.every((kind) => Object.hasOwn(kinds, kind)))
  throw new Error('--runs: expected a number above 0; --only: expected server, cluster or sanitize');
const rdb = values.rdb === undefined ? await made(values.data, Number(values.scale)) : resolve(values.rdb);
if (loadavg()[0] > 0.5) process.stderr.write(`warning: this machine is not quiet (load ${loadavg()[0].toFixed(1)})\n`);
for (const kind of only) {
  try {
    await kinds[kind](rdb);
  } finally {
    await stopServers();
  }
}
