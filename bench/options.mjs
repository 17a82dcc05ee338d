// What options cost: processor time (user and system, the least of several runs) of dump, decode and restore with options beside that of the
// plain run, and of files whose keys are not plain text beside one whose are.
//
//     npm run build && node bench/options.mjs > tables.md
//
//     --runs 5               as many runs of each command
//     --scale 0.25           a quarter of the data
//     --only strings         or mixed, odd: instead of all
//
// Needs redis-server on PATH and GNU time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { folder, made } from './made.mjs';
import { hasTime, markdown, TIME } from './measure.mjs';
import { ODD, oddFile } from './odd.mjs';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, scale: { type: 'string', default: '0.25' }, only: { type: 'string', default: 'strings,mixed,odd' } } });
const runs = Number(values.runs);
const scale = Number(values.scale);
if (!hasTime) throw new Error('GNU time is needed (/usr/bin/time)');
const bin = join(import.meta.dirname, '../bin/rdbkit.js');

async function startServer() {
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => listener.once('listening', done));
  const { port } = listener.address();
  await new Promise((done) => listener.close(done));
  const dir = mkdtempSync(join(tmpdir(), 'rdbkit-bench-'));
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  while (cli(port, 'PING') !== 'PONG') await delay(50);
  const stop = async () => {
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
    rmSync(dir, { recursive: true });
  };
  return { port, stop };
}

const cli = (port, ...args) => spawnSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' }).stdout.trim();

/** Processor time of a run, in seconds. */
function cpu(args) {
  const { stderr } = spawnSync(TIME, ['-q', '-f', '%U %S', process.execPath, bin, ...args, '--quiet'], { encoding: 'utf8' });
  const said = stderr.trim().split('\n');
  if (said.length > 1) throw new Error(`${args.join(' ')}: ${stderr}`);
  const [user, system] = said[0].split(' ').map(Number);
  return user + system;
}

/** The least processor time of each, in turn; `before` is called before each run. */
function least(all, before = () => undefined) {
  const best = all.map(() => Infinity);
  for (let run = 0; run < runs; run++) {
    all.forEach((args, i) => {
      before();
      best[i] = Math.min(best[i], cpu(args));
    });
  }
  return best;
}

const commands = (server) => ({
  decode: { args: (file) => ['decode', file, '--threads', '1', '-o', '/dev/null'] },
  'dump --format resp': { args: (file) => ['dump', file, '--format', 'resp', '-o', '/dev/null'] },
  'dump --format rdb': { args: (file) => ['dump', file, '--format', 'rdb', '-o', '/dev/null'] },
  restore: { args: (file) => ['restore', file, `redis://127.0.0.1:${server.port}`], before: () => cli(server.port, 'FLUSHALL', 'SYNC') },
  'restore --dry-run': { args: (file) => ['restore', file, `redis://127.0.0.1:${server.port}`, '--dry-run'], before: () => cli(server.port, 'FLUSHALL', 'SYNC') },
});

const table = (heads, rows) => console.log(`\n${markdown([heads, ...rows])}`);
const ratio = (value, base) => (value / base).toFixed(2);

/** Options that pass every key, one that passes about half. */
const options = (half, name) => [
  [],
  ['--db', '0'],
  half,
  ['--type', 'string,hash,list,set,zset,stream'],
  ['--not-match', 'x*y*z'],
  ...(name === 'decode' ? [] : [['--strip-ttl'], ['--db-map', '0:0'], ['--target-version', '7.0']]),
  ...(name.startsWith('restore') ? [['--ttl-shift', '1h']] : []),
  ['--limit', '10000000'],
];

async function withOptions(title, file, half, server) {
  console.log(`\n### ${title}: times the processor time without options`);
  for (const [name, { args, before }] of Object.entries(commands(server))) {
    const all = options(half, name);
    const times = least(all.map((more) => [...args(file), ...more]), before);
    table([name, 'seconds', '× plain'], all.map((more, i) => [more.join(' ').slice(0, 60) || 'plain', times[i].toFixed(2), ratio(times[i], times[0])]));
  }
}

async function odd(server) {
  console.log('\n### Keys that are not plain: times the processor time of text keys');
  const files = Object.keys(ODD).map((kind) => oddFile(folder, kind, Math.round(4_000_000 * scale)));
  for (const [name, { args, before }] of Object.entries(commands(server))) {
    const times = least(files.map((file) => args(file)), before);
    table([name, 'seconds', '× text'], Object.keys(ODD).map((kind, i) => [kind, times[i].toFixed(2), ratio(times[i], times[0])]));
  }
}

const server = await startServer();
try {
  const letters = 'abcdefghijklm';
  if (values.only.includes('strings')) await withOptions('small keys', await made('strings', scale), [...letters].flatMap((letter) => ['--prefix', letter]), server);
  if (values.only.includes('mixed')) await withOptions('mixed', await made('mixed', scale), ['--prefix', 'session:', '--prefix', 'counter:', '--prefix', 'blob:'], server);
  if (values.only.includes('odd')) await odd(server);
} finally {
  await server.stop();
}
