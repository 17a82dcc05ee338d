// How fast and in how much memory `rdbkit inspect` runs, beside redis-check-rdb: the data set `mixed` with each output, and many small
// keys with random prefixes.
//
//     npm run build && node bench/inspect.mjs > tables.md
//
//     --runs 5               as many runs of each command
//     --keys 50000000        small keys, 46 bytes of file each
//     --only mixed,many
//
// Needs redis-server and redis-check-rdb on PATH.
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { folder, made } from './made.mjs';
import { writeManyKeys } from './many-keys.mjs';
import { compare, table } from './measure.mjs';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, keys: { type: 'string', default: '50000000' }, only: { type: 'string', default: 'mixed,many' } } });
const runs = Number(values.runs);
const bin = join(import.meta.dirname, '../bin/rdbkit.js');
const scratch = join(folder, 'inspected');

const check = (rdb) => ({ name: 'redis-check-rdb', file: 'redis-check-rdb', args: [rdb] });
const inspect = (name, rdb, ...options) => ({ name: `rdbkit inspect${name}`, file: process.execPath, args: [bin, 'inspect', rdb, '--quiet', '-o', '/dev/null', ...options] });

function section(title, rdb, commands, times) {
  console.log(`\n### ${title}\n\n${table(compare(commands, times, folder), statSync(rdb).size, ['redis-check-rdb'])}`);
}

if (values.only.includes('mixed')) {
  const rdb = await made('mixed', 1);
  const outputs = ['csv', 'parquet', 'html'].map((name) => ({ ...inspect(` --${name}`, rdb, `--${name}`, scratch), output: scratch }));
  section('mixed, 1.2 million keys', rdb, [check(rdb), inspect('', rdb), inspect(' --format json', rdb, '--format', 'json'), ...outputs], runs);
}
if (values.only.includes('many')) {
  const keys = Number(values.keys);
  const rdb = join(folder, `many-${keys}.rdb`);
  if (!existsSync(rdb)) writeManyKeys(rdb, keys);
  section(`${(keys / 1e6).toFixed(0)} million small keys with random prefixes`, rdb, [check(rdb), inspect('', rdb)], Math.min(runs, 3));
}
rmSync(scratch, { force: true });
