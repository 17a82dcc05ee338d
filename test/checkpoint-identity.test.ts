import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { Crc64 } from '../src/bytes/crc64.js';
import { sourceIdentity } from '../src/commands/checkpoint.js';
import { writeCrc } from '../src/rdb/payload.js';
import { Folder } from './cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

test('two whole files of the same size are told from one another', async () => {
  const rdb = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/three-keys.rdb')));
  const other = rdb.slice();
  other[other.length - 10] ^= 1; // the last letter of a value
  writeCrc(other, other.length - 8, new Crc64().update(other, 0, other.length - 8));
  const [a, b] = [await sourceIdentity(folder.file('a.rdb', rdb)), await sourceIdentity(folder.file('b.rdb', other))];
  expect(a.bytes).toBe(b.bytes);
  expect(a.digest).not.toBe(b.digest);
});
