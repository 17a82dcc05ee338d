// A file of many small keys with random prefixes, written without a server: `made` of bench/inspect.mjs calls it.
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { Crc64 } from '../dist/bytes/crc64.js';

/** Writes `count` keys like `kqzwbd:31337:5061432` with values of about 20 digits and letters: 46 bytes each. */
export function writeManyKeys(path, count) {
  const partial = `${path}.partial`;
  const out = openSync(partial, 'w');
  const crc = new Crc64();
  const chunk = Buffer.alloc(1 << 20);
  let length = 0;
  const flush = () => {
    crc.update(chunk, 0, length);
    writeSync(out, chunk, 0, length);
    length = 0;
  };
  let state = 12345;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  length += chunk.write('REDIS0010', length, 'latin1');
  for (const byte of [0xfe, 0x00]) chunk[length++] = byte;
  for (let i = 0; i < count; i++) {
    if (length > chunk.length - 200) flush();
    chunk[length++] = 0; // a string
    const at = length++;
    for (let letters = random(), j = 0; j < 6; j++, letters = Math.floor(letters / 26)) chunk[length++] = 97 + (letters % 26);
    length += chunk.write(`:${random() % 65536}:${i}`, length, 'latin1');
    chunk[at] = length - at - 1;
    const value = length++;
    length += chunk.write(`v${(random() * 4096).toString(36)}${(random() * 65536).toString(36)}`, length, 'latin1');
    chunk[value] = length - value - 1;
  }
  chunk[length++] = 0xff;
  flush();
  const footer = Buffer.alloc(8);
  footer.writeBigUInt64LE((BigInt(crc.hi >>> 0) << 32n) | BigInt(crc.lo >>> 0));
  writeSync(out, footer);
  closeSync(out);
  renameSync(partial, path);
}
