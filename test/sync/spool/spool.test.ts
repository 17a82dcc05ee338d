import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Spool, type SpoolOptions } from '../../../src/sync/spool/spool.js';
import { Folder } from '../../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

let count = 0;
const LANE = '127.0.0.1:6379';

/** A folder of its own. */
const options = (more: Partial<SpoolOptions> = {}): SpoolOptions => ({ lane: LANE, dir: folder.at(`spool-${count++}`), max: 1 << 30, ...more });
const laneFolder = ({ dir = '' }: SpoolOptions): string => join(dir, 'lane-127.0.0.1%3a6379');
const segments = (spool: SpoolOptions): string[] => readdirSync(laneFolder(spool)).filter((name) => name.endsWith('.spool')).sort();

/** Bytes of a stream, each known by its offset. */
const stream = (after: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => byteAt(after + i + 1));
const byteAt = (offset: number): number => (offset * 31 + (offset >> 8) * 7) & 255;

/** Everything after an offset. */
async function readAll(spool: Spool, from = spool.begin): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for (let at = from; at < spool.end; ) {
    const { bytes, offset } = await spool.read(at);
    expect(offset).toBe(at + bytes.length);
    found.push(bytes);
    at = offset;
  }
  return Buffer.concat(found);
}

async function fill(spool: Spool, length: number, piece = 10_000): Promise<void> {
  for (let left = length; left > 0; left -= piece) await spool.append(stream(spool.end, Math.min(piece, left)));
}

test('what is appended is read in the same pieces, without a copy', async () => {
  const spool = await Spool.open(options());
  await spool.reset('a'.repeat(40), 1000);
  const [one, two] = [stream(1000, 10), stream(1010, 5)];
  expect([spool.append(one), spool.append(two)]).toEqual([undefined, undefined]);
  expect(spool.readNow(1000)).toMatchObject({ offset: 1010 });
  expect(spool.readNow(1000)?.bytes).toBe(one);
  expect(spool.readNow(1010)?.bytes).toBe(two);
  expect(spool.readNow(1003)).toEqual({ bytes: one.subarray(3), offset: 1010 });
  expect(spool.readNow(1015)).toBeUndefined();
  const waits = spool.read(1015);
  await spool.append(stream(1015, 7));
  expect(await waits).toEqual({ bytes: stream(1015, 7), offset: 1022 });
  await spool.close();
});

test('a later run has everything, and the history', async () => {
  const where = options();
  const spool = await Spool.open(where);
  await spool.reset('a'.repeat(40), 70);
  await fill(spool, 300_000);
  await spool.turn('b'.repeat(40), 400_000);
  await fill(spool, 200_000);
  await spool.close();
  const again = await Spool.open(where);
  expect([again.begin, again.end, again.flushed]).toEqual([70, 500_070, 500_070]);
  expect(again.history).toEqual([{ id: 'a'.repeat(40), from: 70 }, { id: 'b'.repeat(40), from: 400_000 }]);
  await fill(again, 50_000);
  expect(await readAll(again)).toEqual(Buffer.from(stream(70, 550_000)));
  await again.remove();
  expect(existsSync(laneFolder(where))).toBe(false);
});
void [appendFileSync, readFileSync, statSync, truncateSync, writeFileSync, segments];
