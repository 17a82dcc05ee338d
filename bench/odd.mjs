// Files of small keys that are not plain in one way each, written by hand. No command of its own: see bench/options.mjs.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const length = (n) => (n < 64 ? Buffer.of(n) : n < 16384 ? Buffer.of(0x40 | (n >> 8), n & 255) : Buffer.of(0x80, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255));
const string = (text) => Buffer.concat([length(Buffer.byteLength(text)), Buffer.from(text)]);
const key = (i) => [Buffer.of(0), string(`key:${i}`), string(`value ${i}`)];

function integer(value) {
  const out = Buffer.of(0xc2, 0, 0, 0, 0);
  out.writeInt32LE(value, 1);
  return out;
}

/** `head` and 31 times the letter a, as LZF: literals, then a copy from one byte before. */
function compressed(head) {
  const literals = Buffer.from(`${head}a`);
  const body = Buffer.concat([Buffer.of(literals.length - 1), literals, Buffer.of(7 << 5, 30 - 9, 0)]);
  return Buffer.concat([Buffer.of(0xc3), length(body.length), length(literals.length + 30), body]);
}

/** By kind: the records of a key. */
export const ODD = {
  text: key,
  numeric: (i) => [Buffer.of(0), integer(1_000_000 + i), string(`value ${i}`)],
  compressed: (i) => [Buffer.of(0), compressed(String(i).padStart(12, 'k')), string(`value ${i}`)],
  'an aux field per key': (i) => [Buffer.of(0xfa), string('mvcc-tstamp'), string(String(1e15 + i)), ...key(i)],
  'a SLOT_INFO per key': (i) => [Buffer.of(0xf4), length(i % 16384), length(1), length(0), ...key(i)],
  'alternating databases': (i) => [Buffer.of(0xfe, i & 1), ...key(i)],
};

export function oddFile(folder, kind, count) {
  const path = join(folder, `odd-${Object.keys(ODD).indexOf(kind)}-${count}.rdb`);
  if (existsSync(path)) return path;
  const chunks = [Buffer.from('REDIS0012')];
  for (let i = 0; i < count; i += 1000) {
    chunks.push(Buffer.concat(Array.from({ length: Math.min(1000, count - i) }, (_, j) => ODD[kind](i + j)).flat()));
  }
  writeFileSync(path, Buffer.concat([...chunks, Buffer.of(0xff, 0, 0, 0, 0, 0, 0, 0, 0)]));
  return path;
}
