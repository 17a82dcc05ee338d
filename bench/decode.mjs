// How fast and in how much memory `rdbkit decode` runs, beside `redis-check-rdb`, which only parses: whole processes, in turn.
//
//     node bench/decode.mjs [--keys 1200000] [--runs 5] [--rdb file.rdb]
//
// Needs redis-server and redis-check-rdb on PATH, and a built dist/ (npm run build).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mixedCommands, saveRdb } from './data.mjs';

const { values } = parseArgs({ options: { keys: { type: 'string', default: '1200000' }, runs: { type: 'string', default: '5' }, rdb: { type: 'string' } } });
const data = join(import.meta.dirname, 'data');
const rdb = values.rdb ?? join(data, `mixed-${values.keys}.rdb`);
const out = join(data, 'out.jsonl');
mkdirSync(data, { recursive: true });
if (!existsSync(rdb)) {
  console.log(`making ${rdb} …`);
  await saveRdb(rdb, mixedCommands(Number(values.keys)));
}

const bin = join(import.meta.dirname, '../bin/rdbkit.js');
const commands = {
  'redis-check-rdb (parses only)': ['redis-check-rdb', [rdb]],
  'rdbkit decode -o file': [process.execPath, [bin, 'decode', rdb, '-o', out, '--quiet']],
  'rdbkit decode -o /dev/null': [process.execPath, [bin, 'decode', rdb, '-o', '/dev/null', '--quiet']],
};

function run([command, args]) {
  const start = performance.now();
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', '%M', command, ...args], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  return { seconds, megabytes: Number(stderr.trim().split('\n').at(-1)) / 1024 };
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const results = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
for (const name of Object.keys(commands)) run(commands[name]); // once to warm the caches
for (let i = 0; i < Number(values.runs); i++) {
  for (const name of Object.keys(commands)) results[name].push(run(commands[name]));
}
rmSync(out, { force: true });

const size = statSync(rdb).size / 1e6;
const base = median(results['redis-check-rdb (parses only)'].map((r) => r.seconds));
console.log(`\n${size.toFixed(0)} MB RDB, Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), medians of ${values.runs}\n`);
console.log('| command | seconds | least–most | × redis-check-rdb | MB/s | peak MB |\n|---|---|---|---|---|---|');
for (const [name, runs] of Object.entries(results)) {
  const seconds = runs.map((r) => r.seconds);
  const middle = median(seconds);
  const peak = Math.max(...runs.map((r) => r.megabytes));
  console.log(
    `| ${name} | ${middle.toFixed(2)} | ${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)} | ${(middle / base).toFixed(2)} | ${(size / middle).toFixed(0)} | ${peak.toFixed(0)} |`,
  );
}
