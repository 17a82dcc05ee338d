// How fast and in how much memory `rdbkit dump` runs: beside redis-check-rdb, and beside a copy that redis-check-rdb then verifies.
//
//     npm run build && node bench/dump.mjs [dump.rdb] > tables.md
//
// Without a file it uses what bench/decode.mjs made: bench/data/mixed-1.rdb. Needs redis-check-rdb on PATH.
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compare, table } from './measure.mjs';

const folder = join(import.meta.dirname, 'data');
const rdb = resolve(process.argv[2] ?? join(folder, 'mixed-1.rdb'));
const bin = join(import.meta.dirname, '../bin/rdbkit.js');
const copy = join(folder, 'copy.rdb');

const dump = (name, options, output = '/dev/null') => ({
  name: `rdbkit dump ${name}`,
  file: process.execPath,
  args: [bin, 'dump', rdb, '--quiet', '-o', output, '--format', ...options],
  output: output === '/dev/null' ? undefined : output,
});
const commands = [
  { name: 'redis-check-rdb', file: 'redis-check-rdb', args: [rdb] },
  { name: 'cp + redis-check-rdb', file: 'sh', args: ['-c', 'cp "$0" "$1" && redis-check-rdb "$1"', rdb, copy], output: copy },
  dump('--format rdb -o file', ['rdb'], copy),
  dump('--format resp', ['resp']),
  dump('--format payload', ['payload']),
  dump('--format rdb --target-version 6.2', ['rdb', '--target-version', '6.2']),
];

console.log(table(compare(commands, 5, folder), statSync(rdb).size, ['redis-check-rdb', 'cp + redis-check-rdb']));
