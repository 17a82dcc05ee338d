// How fast and in how much memory `rdbkit encode` runs: many small keys, and lines of one giant string and one giant hash.
//
//     npm run build && node bench/encode.mjs > tables.md
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { compare, table } from './measure.mjs';

const folder = join(import.meta.dirname, 'data');
const bin = join(import.meta.dirname, '../bin/rdbkit.js');
mkdirSync(folder, { recursive: true });

/** Writes a file of pieces, once. */
function made(name, pieces) {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  const fd = openSync(`${path}.tmp`, 'w');
  let held = '';
  for (const piece of pieces()) {
    held += piece;
    if (held.length < 1 << 20) continue;
    writeSync(fd, held);
    held = '';
  }
  writeSync(fd, held);
  closeSync(fd);
  renameSync(`${path}.tmp`, path);
  return path;
}

const KEYS = 1_000_000;
const FIELDS = 10_000_000;
const STRING = 500;

function* small() {
  for (let i = 0; i < KEYS; i++) {
    const value = [`v${i}${'y'.repeat(50)}`, { name: `n${i}`, mail: `${i}@example.com`, age: String(i) }, { a: i, b: 1.5 * i }, [`x${i}`, 'y', 'zzzzz'], [String(i), '2', '5']][i % 5];
    yield `${JSON.stringify({ db: 0, key: `user:${i}`, type: ['string', 'hash', 'zset', 'list', 'set'][i % 5], value })}\n`;
  }
}

function* string() {
  yield '{"db":0,"key":"big","type":"string","value":"';
  for (let i = 0; i < STRING; i++) yield `${'x'.repeat(999_998)}\\n`;
  yield '"}\n';
}

function* hash() {
  yield '{"db":0,"key":"big","type":"hash","value":{';
  for (let i = 0; i < FIELDS; i++) yield `${i === 0 ? '' : ','}"field:${i}":"value ${i}"`;
  yield '}}\n';
}

for (const [title, path] of [
  ['a million small keys', made('small.jsonl', small)],
  ['one string of 500 MB', made('string.jsonl', string)],
  ['one hash of 10 million fields', made('hash.jsonl', hash)],
]) {
  const commands = [{ name: `rdbkit encode, ${title}`, file: process.execPath, args: [bin, 'encode', path, '--quiet', '-o', '/dev/null'] }];
  console.log(table(compare(commands, 3, folder), statSync(path).size, []));
}
