// Whether two checkouts write the same bytes: decode, dump in all formats, encode and payload, for every fixture and benchmark file.
//
//     node bench/compare.mjs ../other-checkout [file.rdb ...]
//
// Both have to be built. Prints a line for each difference, and ends with 1 where there is one.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [other, ...given] = process.argv.slice(2);
if (other === undefined) throw new Error('usage: node bench/compare.mjs OTHER-CHECKOUT [FILE...]');
const here = resolve(import.meta.dirname, '..');
const bins = [here, resolve(other)].map((folder) => join(folder, 'bin/rdbkit.js'));

const listed = (folder) => (existsSync(folder) ? readdirSync(folder, { recursive: true }).map((name) => join(folder, name)) : []);
const sources = given.length > 0 ? given : [...listed(join(here, 'fixtures')), ...listed(join(here, 'bench/data'))].filter((file) => /\.(rdb|aof|gz|lz4)$/.test(file));

const COMMANDS = [
  ['decode', '--meta'],
  ['decode', '--threads', '1'],
  ['decode', '--type', 'hash,set', '--limit', '1000'],
  ['dump', '--format', 'rdb'],
  ['dump', '--format', 'resp'],
  ['dump', '--format', 'payload'],
  ['dump', '--format', 'rdb', '--target-version', '6.2', '--allow-loss'],
  ['dump', '--format', 'resp', '--strip-ttl', '--db-map', '0:3', '--not-match', '*1*'],
];

/** The digest of what a command writes, and its exit code. */
function ran(bin, args, input) {
  const { error, signal, status, stdout } = spawnSync(process.execPath, [bin, ...args, ...(args[0] === 'payload' ? [] : ['--quiet'])], { input, maxBuffer: 2 ** 31 - 1 });
  if ((error !== undefined && error.code !== 'EPIPE') || signal !== null) throw error ?? new Error(`${args.join(' ')}: ${signal}`); // it may end before it has read all
  return { status, digest: createHash('sha256').update(stdout).digest('hex').slice(0, 16), stdout };
}

let differences = 0;
let compared = 0;
function compare(args, input) {
  const [ours, theirs] = bins.map((bin) => ran(bin, args, input));
  compared++;
  if (ours.status === theirs.status && ours.digest === theirs.digest) return ours;
  differences++;
  console.log(`different: rdbkit ${args.join(' ')}: exit ${ours.status} and ${theirs.status}, ${ours.digest} and ${theirs.digest}`);
  return ours;
}

for (const source of sources) {
  for (const [command, ...options] of COMMANDS) compare([command, source, ...options]);
  const lines = compare(['decode', source]).stdout;
  if (lines.length < 1 << 26) compare(['encode', '-'], lines);
  const payloads = ran(bins[0], ['dump', source, '--format', 'payload']).stdout;
  if (payloads.length < 1 << 24) compare(['payload', 'check', '-'], payloads);
}
console.log(`${compared} outputs of ${sources.length} files compared, ${differences} different`);
process.exitCode = differences > 0 ? 1 : 0;
