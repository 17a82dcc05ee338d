// How fast rdbkit reads a live server, beside the least that a client has to do (bench/bare.mjs), and beside redis-cli --rdb.
//
//     npm run build && node bench/live.mjs > tables.md
//
//     --only dump            or restore, replication, instead of all three
//     --runs 5               as many runs of each command
//     --data mixed           another data set of bench/data.mjs
//     --scale 0.1            a tenth of its size
//     --rdb dump.rdb         this file instead
//
// Needs redis-server and redis-cli on PATH, and GNU time for memory. The servers are its own, on free ports of the loopback
// interface. A scan keeps the server busy from its beginning to its end, so look at the processor time of both, too: with fewer free
// cores than processes, seconds tell how they share them. Progress is on standard error, Markdown on standard output.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, startServer, stopServers } from './local-servers.mjs';
import { folder, made, megabytes, size } from './made.mjs';
import { hasTime, markdown, median, number, TIME, whole } from './measure.mjs';

const string = (value) => ({ type: 'string', ...(value !== undefined && { default: value }) });
const { values } = parseArgs({
  options: { only: string('dump,restore,replication'), runs: string('5'), data: string('mixed'), scale: string('1'), rdb: string() },
});
const runs = Number(values.runs);
const bin = join(import.meta.dirname, '../bin/rdbkit.js');
const bare = join(import.meta.dirname, 'bare.mjs');
/** No waiting for other replicas. */
const OPTIONS = ['--repl-diskless-sync-delay', '0'];

/** One process: its peak memory in MiB, its processor time in seconds; throws where it fails. */
function run(file, args) {
  const [program, ...all] = hasTime ? [TIME, '-q', '-f', '%M %U %S', file, ...args] : [file, ...args];
  const child = spawn(program, all, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => {
      const [peak, user, system] = hasTime ? said.trim().split('\n').at(-1).split(' ').map(Number) : [NaN, NaN, NaN];
      if (code !== 0) fail(new Error(`${file} ${args.join(' ')}: ${said}`));
      else done({ peak: peak / 1024, cpu: user + system });
    });
  });
}

const serverCpu = (ports) =>
  ports.reduce(
    (sum, port) =>
      sum +
      [...cli(port, 'INFO', 'cpu').matchAll(/^used_cpu_(?:user|sys|user_children|sys_children):([\d.]+)/gm)].reduce((all, [, seconds]) => all + Number(seconds), 0),
    0,
  );

/** Runs the commands in turn, once to warm up and then `runs` times; the last one is what the others are measured by. */
async function sideBySide(title, rdb, commands, source, target) {
  process.stderr.write(`${title}\n`);
  const ports = target === undefined ? [source] : [source, target];
  const results = commands.map((command) => ({ command, all: [] }));
  for (let i = 0; i <= runs; i++) {
    for (const { all, command } of results) {
      if (target !== undefined) cli(target, 'FLUSHALL', 'SYNC');
      if (command.output !== undefined) rmSync(command.output, { force: true });
      const before = serverCpu(ports);
      const start = performance.now();
      const end = await run(command.file, command.args);
      const seconds = (performance.now() - start) / 1000;
      // a sync keeps its position on the target, which is one key more
      const isWhole = target === undefined || Number(cli(target, 'DBSIZE')) >= Number(cli(source, 'DBSIZE'));
      if (!isWhole) throw new Error(`${command.name}: not all keys`);
      process.stderr.write(`  ${command.name}: ${number(seconds)} s\n`);
      if (i > 0) all.push({ ...end, seconds, server: serverCpu(ports) - before });
    }
  }
  const middle = ({ all }, pick) => median(all.map(pick));
  const base = middle(results.at(-1), ({ seconds }) => seconds);
  const rows = results.map((result) => {
    const seconds = result.all.map((one) => one.seconds);
    const time = middle(result, (one) => one.seconds);
    return [
      result.command.name,
      number(time),
      `${number(Math.min(...seconds))}–${number(Math.max(...seconds))}`,
      (time / base).toFixed(2),
      (size(rdb) / 1e6 / time).toFixed(0),
      number(middle(result, ({ cpu }) => cpu)),
      number(middle(result, ({ server }) => server)),
      whole(Math.max(...result.all.map(({ peak }) => peak))),
    ];
  });
  const heads = ['command', 'seconds', 'least–most', `× ${commands.at(-1).name}`, 'MB/s', 'CPU s', 'CPU s of servers', 'peak MB'];
  const keys = Number(cli(source, 'DBSIZE')).toLocaleString('en');
  console.log(`\n#### ${title}\n\n${basename(rdb)}, ${megabytes(size(rdb))}, ${keys} keys. Medians of ${runs} runs.\n\n${markdown([heads, ...rows])}`);
}

const url = (port) => `redis://127.0.0.1:${port}`;
const rdbkit = (name, ...args) => ({ name, file: process.execPath, args: [bin, ...args, '--quiet'] });
const least = (name, ...args) => ({ name, file: process.execPath, args: [bare, ...args] });

/** The commands of a scan of the server, written to a file. */
function prepared(port) {
  const path = join(folder, `scan-${port}.resp`);
  const { status, stderr } = spawnSync(process.execPath, [bare, '--prepare', String(port), path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return path;
}

/** RESTORE commands of the file, made if they are not there. */
function restores(rdb) {
  const path = join(folder, `${basename(rdb, '.rdb')}.resp`);
  if (existsSync(path)) return path;
  const { status, stderr } = spawnSync(process.execPath, [bin, 'dump', rdb, '--format', 'resp', '-o', path, '--quiet'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`rdbkit dump: ${stderr}`);
  return path;
}

const output = join(folder, 'live.rdb');

async function dump(rdb) {
  const port = await startServer(OPTIONS, rdb);
  const scan = prepared(port);
  const commands = [
    { ...rdbkit('rdbkit dump --via scan', 'dump', url(port), '--via', 'scan', '--format', 'rdb', '-o', output), output },
    least('SCAN, DUMP and PEXPIRETIME alone', String(port), scan),
  ];
  await sideBySide('A server to a file, with SCAN', rdb, commands, port);
  rmSync(scan);
}

async function restore(rdb) {
  const [source, target] = [await startServer(OPTIONS, rdb), await startServer(OPTIONS)];
  const scan = prepared(source);
  const commands = [
    rdbkit('rdbkit restore --via scan', 'restore', url(source), url(target), '--via', 'scan'),
    rdbkit('rdbkit sync --via scan', 'sync', url(source), url(target), '--via', 'scan', '--phase', 'full', '--yes', '--fresh'),
    least('a plain loop of SCAN, DUMP and RESTORE', '--copy', String(source), String(target)),
    least('SCAN, DUMP, PEXPIRETIME and RESTORE alone', String(source), scan, String(target), restores(rdb)),
  ];
  await sideBySide('A server to another one, with SCAN', rdb, commands, source, target);
  rmSync(scan);
}

async function replication(rdb) {
  const port = await startServer(OPTIONS, rdb);
  const commands = [
    { ...rdbkit('rdbkit dump --via replication', 'dump', url(port), '--via', 'replication', '--format', 'rdb', '-o', output), output },
    { name: 'redis-cli --rdb', file: 'redis-cli', args: ['-p', String(port), '--rdb', output], output },
  ];
  await sideBySide('A server to a file, with replication', rdb, commands, port);
}

const kinds = { dump, restore, replication };
const only = values.only.split(',');
if (!(runs >= 1) || !only.every((kind) => Object.hasOwn(kinds, kind)))
  throw new Error('--runs: expected a number above 0; --only: expected dump, restore or replication');
const rdb = values.rdb === undefined ? await made(values.data, Number(values.scale)) : resolve(values.rdb);
if (loadavg()[0] > 0.5) process.stderr.write(`warning: this machine is not quiet (load ${loadavg()[0].toFixed(1)})\n`);
for (const kind of only) {
  try {
    await kinds[kind](rdb);
  } finally {
    await stopServers();
    rmSync(output, { force: true });
  }
}
