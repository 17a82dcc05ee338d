// How fast and in how much memory `rdbkit decode` runs, beside the other programs on PATH: whole processes, in turn.
//
//     npm run build && node bench/decode.mjs > tables.md
//
//     --only mixed,numbers   these data sets (bench/data.mjs has them all), and small: what threads cost a file of 1 MB
//     --scale 0.1            a tenth of their size
//     --runs 5               as many runs of each command
//     --rdb dump.rdb         this file instead
//     --scaling              instead: more and more threads, and larger and larger files
//
// Needs redis-server on PATH to make the data (in bench/data, used again by the next run), and GNU time for the peak memory.
// Progress is on standard error, Markdown on standard output.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { dataSets } from './data.mjs';
import { folder, made, megabytes, size } from './made.mjs';
import { compare, markdown, number, table, whole } from './measure.mjs';
import { findPeers } from './peers.mjs';
import { repeatRdb } from './server.mjs';

const string = (value) => ({ type: 'string', ...(value !== undefined && { default: value }) });
const { values } = parseArgs({ options: { only: string(), scale: string('1'), runs: string('5'), rdb: string(), scaling: { type: 'boolean', default: false } } });
const scale = Number(values.scale);
const runs = Number(values.runs);
if (!(scale > 0) || !(runs >= 1)) throw new Error('--scale and --runs: expected a number above 0');
const only = values.only?.split(',') ?? [...Object.keys(dataSets), 'small'];
const unknown = only.find((name) => dataSets[name] === undefined && name !== 'small');
if (unknown !== undefined) throw new Error(`--only ${unknown}: expected ${Object.keys(dataSets).join(', ')} or small`);

const bin = join(import.meta.dirname, '../bin/rdbkit.js');

const peers = findPeers();
const peer = (name, rdb) => peers.filter((one) => one.name === name).map(({ command }) => command(rdb));
const rdbkit = (name, rdb, options, output) => ({ name, file: process.execPath, args: [bin, 'decode', rdb, '--quiet', '-o', output ?? '/dev/null', ...options], output });

function machine() {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname, encoding: 'utf8' }).stdout?.trim();
  const lines = [
    `${new Date().toISOString().slice(0, 10)}, medians of ${runs} runs of each command`,
    `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory, ${type()} ${release()}`,
    `rdbkit ${version}${commit ? ` (${commit})` : ''}, Node.js ${process.version}`,
    ...peers.map(({ name, about, version }) => `${name} ${version} (${about})`),
  ];
  return lines.map((line) => `- ${line}`).join('\n');
}

function section(title, text, bytes, commands, { bases = ['redis-check-rdb', 'cat'], times = runs } = {}) {
  process.stderr.write(`${title}\n`);
  const results = compare(commands, times, folder);
  console.log(`\n### ${title}\n\n${text}\n\n${table(results, bytes, bases)}`);
}

/** rdbkit and all the others on one file. */
function sideBySide(title, text, rdb) {
  const own = [rdbkit('rdbkit --threads 1', rdb, ['--threads', '1']), rdbkit('rdbkit', rdb, []), rdbkit('rdbkit -o file', rdb, [], join(folder, 'out.jsonl'))];
  section(title, text, size(rdb), [...peers.map(({ command }) => command(rdb)), ...own]);
}

/** Do threads cost anything where they cannot help? */
async function small() {
  const rdb = await made('mixed', 0.002);
  const commands = [
    { name: 'node -e 0', file: process.execPath, args: ['-e', '0'] },
    ...peer('redis-check-rdb', rdb),
    rdbkit('rdbkit --threads 1', rdb, ['--threads', '1']),
    rdbkit('rdbkit', rdb, []),
  ];
  section('small', `What starting costs: a file of ${megabytes(size(rdb))}. Medians of ${runs * 6} runs.`, size(rdb), commands, { bases: ['rdbkit --threads 1'], times: runs * 6 });
}

async function scaling() {
  const mixed = values.rdb === undefined ? await made('mixed', scale) : resolve(values.rdb);
  const most = availableParallelism() * 2;
  const threads = [...Array(Math.ceil(Math.log2(most))).keys()].map((i) => 2 ** i).concat(most);
  const commands = threads.map((n) => rdbkit(`--threads ${n}`, mixed, ['--threads', String(n)]));
  section('threads', `\`rdbkit decode --threads n\` on ${basename(mixed)}, ${megabytes(size(mixed))}.`, size(mixed), commands, { bases: ['--threads 1'] });

  const keys = await made('mixed', 0.02);
  const rows = [];
  for (const goal of [1e7, 1e8, 1e9, 4e9]) {
    const rdb = join(folder, 'repeated.rdb');
    repeatRdb(keys, rdb, goal * scale);
    const bytes = size(rdb);
    process.stderr.write(`a file of ${megabytes(bytes)}\n`);
    const results = compare([...peer('redis-check-rdb', rdb), rdbkit('rdbkit --threads 1', rdb, ['--threads', '1']), rdbkit('rdbkit', rdb, [])], Math.min(runs, 3), folder);
    if (rows.length === 0) rows.push(['file', ...results.flatMap(({ name }) => [`${name}: seconds`, 'MB/s', 'peak MB'])]);
    rows.push([megabytes(bytes), ...results.flatMap(({ failure, median, peak }) => (failure ? ['failed', '–', '–'] : [number(median), (bytes / 1e6 / median).toFixed(0), whole(peak)]))]);
    rmSync(rdb);
  }
  console.log(`\n### size\n\nThe same 20,000 or so keys again and again. Medians of ${Math.min(runs, 3)} runs.\n\n${markdown(rows)}`);
}

if (loadavg()[0] > 0.5) process.stderr.write(`warning: this machine is not quiet (load ${loadavg()[0].toFixed(1)})\n`);
console.log(machine());
if (values.scaling) await scaling();
else if (values.rdb !== undefined) sideBySide(basename(values.rdb), megabytes(size(values.rdb)), resolve(values.rdb));
else {
  for (const name of only) {
    if (name === 'small') await small();
    else {
      const rdb = await made(name, scale);
      sideBySide(name, `${dataSets[name].about}: ${megabytes(size(rdb))}`, rdb);
    }
  }
}
