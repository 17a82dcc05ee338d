/* zstd is read by node:zlib of Node 22.15 and later: all of it here runs in processes of such a Node (test/support/nodes.ts). */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, FIXTURE, Folder, lines, rdb } from '../support/cli-support.js';
import { FACTOR } from '../support/factor.js';
import { NODES } from '../support/nodes.js';
import { BIN, collect, type Ended, PACKAGE } from '../support/processes.js';

const root = join(import.meta.dirname, '../..');
const fixture = (name: string): string => join(root, 'fixtures/compressed', name);
const folder = new Folder();
afterAll(() => folder.remove());

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 0x28, 0xb5, 0x2f]);

/** What Node writes, with a checksum. */
function zstd(content: Uint8Array): Buffer {
  const script = 'process.stdout.write(zlib.zstdCompressSync(fs.readFileSync(0), { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } }))';
  return execFileSync(NODES[0][1], ['-e', script], { input: content, maxBuffer: 1 << 24 });
}

interface Block {
  readonly type: 'raw' | 'repeated';
  readonly size: number;
  readonly data: Uint8Array;
}

/** A frame by hand: a descriptor of 0, so without a size or a checksum, and a window of 2^(10 + exponent) bytes. */
function frame(exponent: number, blocks: readonly Block[]): Buffer {
  const packed = blocks.map(({ type, size, data }, i) => {
    const head = (size << 3) | (type === 'raw' ? 0 : 2) | (i === blocks.length - 1 ? 1 : 0);
    return Buffer.from([head & 255, (head >> 8) & 255, head >> 16, ...data]);
  });
  return Buffer.concat([Buffer.from([...MAGIC, 0, exponent << 3]), ...packed]);
}

const raw = (data: Uint8Array): Block => ({ type: 'raw', size: data.length, data });
const repeated = (byte: string, size: number): Block => ({ type: 'repeated', size, data: Buffer.from(byte) });

let whole = '';
let packed: Buffer;
beforeAll(async () => {
  whole = (await decode(FIXTURE)).out;
  packed = zstd(rdb());
});

describe.each(NODES)('Node %s', (_, node) => {
  const run = (...args: string[]): Promise<Ended> => collect(spawn(node, [BIN, 'decode', ...args]));
  const decoded = (content: Uint8Array): Promise<Ended> => run(folder.file('in.zst', content), '--quiet');

  /** The bytes come in pieces of this size, with a moment between them. */
  async function piped(content: Uint8Array, size: number): Promise<Ended> {
    const child = spawn(node, [BIN, 'decode', '-', '--quiet']);
    const ended = collect(child);
    for (let at = 0; at < content.length; at += size) {
      child.stdin.write(content.subarray(at, at + size));
      await sleep(2);
    }
    child.stdin.end();
    return ended;
  }

  test.each(['long.zst', 'frames.zst', 'stream-fast.zst'])('%s is the same as with gzip', async (name) => {
    const { code, out, err } = await decode(fixture('sample.gz'), '--quiet');
    expect([code, lines(out).length]).toEqual([3, 25]); // the sample is the beginning of an RDB
    expect(await run(fixture(name), '--quiet')).toMatchObject({ code, out, err: err.replace('sample.gz', name) });
  });

  test('one frame and several, with skippable ones, in Valkey\'s envelope, in gzip', async () => {
    const [half, rest] = [zstd(rdb().subarray(0, 300_001)), zstd(rdb().subarray(300_001))];
    const envelope = Buffer.concat([Buffer.from('VCS\u0001\u0002\0\u0001'), packed]);
    const several = Buffer.concat([SKIPPABLE, SKIPPABLE, half, SKIPPABLE, rest, SKIPPABLE]);
    for (const content of [packed, Buffer.concat([half, rest]), several, envelope, gzipSync(envelope), zstd(envelope)]) {
      expect(await decoded(content)).toMatchObject({ code: 0, out: whole, err: '' });
    }
    const example = zstd(readFileSync(join(root, 'fixtures/example.rdb')));
    const [pieces, frames, single] = await Promise.all([
      piped(several, 50_000),
      piped(several, half.length + SKIPPABLE.length * 2),
      piped(example, 1),
    ]);
    for (const ended of [pieces, frames]) expect(ended).toMatchObject({ code: 0, out: whole, err: '' });
    expect(single).toMatchObject({ code: 0, out: readFileSync(join(root, 'fixtures/example.jsonl'), 'utf8') });
  });

  test('an envelope that the command zstd filled', async () => {
    expect(await run(fixture('valkey-vcs-zstd.rdb'), '--quiet')).toMatchObject({
      code: 0,
      out: readFileSync(join(root, 'fixtures/example.jsonl'), 'utf8'),
    });
  });

  test.each<[string, () => Uint8Array, RegExp]>([
    ['cut', () => packed.subarray(0, -1), /expected a whole zstd frame, got the compressed data ends early/],
    ['cut in the header', () => packed.subarray(0, 6), /expected a whole zstd frame, got the compressed data ends early/],
    ['cut in the magic of another frame', () => Buffer.concat([packed, packed.subarray(0, 2)]), /got the compressed data ends early/],
    [
      'cut in a skippable frame',
      () => Buffer.concat([packed, SKIPPABLE.subarray(0, 10)]),
      /expected a whole skippable frame, got the compressed data ends early/,
    ],
    [
      'with text after it',
      () => Buffer.concat([packed, Buffer.from('garbage')]),
      /expected a zstd frame or the end of the file, got other bytes after a frame/,
    ],
    [
      'with another checksum',
      () => Buffer.concat([packed.subarray(0, -1), Buffer.from([packed[packed.length - 1] ^ 1])]),
      /got Restored data doesn't match checksum/,
    ],
    [
      'with a dictionary',
      () => readFileSync(fixture('dictionary.zst')),
      /expected a zstd frame without a dictionary, got dictionary id \d+/,
    ],
    [
      'with a window above 128 MiB',
      () => frame(18, [raw(rdb().subarray(0, 1000))]),
      /expected a zstd window of at most 134217728 bytes, got 268435456 bytes/,
    ],
    [
      'that claims billions of matches',
      () => Buffer.from([...MAGIC, 0, 0x38, 0x4d, 0, 0, 0, 255, 255, 255, 0x54, 0, 0, 52, 1]),
      /got Data corruption detected/,
    ],
  ])('a file %s', async (_what, content, message) => {
    for (const { code, err } of await Promise.all([decoded(content()), piped(content(), 200_000)])) {
      expect(err).toMatch(message);
      expect(err).toMatch(/^rdbkit: BAD_COMPRESSION: (\/\S+\/in\.zst|standard input), /);
      expect(code).toBe(3);
    }
  });

  test('what was decompressed before the damage comes first', async () => {
    expect((await decoded(packed.subarray(0, -1))).out).toBe(whole);
    const { code, out } = await decoded(packed.subarray(0, packed.length >> 1));
    expect(code).toBe(3);
    expect(lines(out).length).toBeGreaterThan(50);
    expect(whole.startsWith(out)).toBe(true);
  });

  test('cut anywhere it is an error, and damaged anywhere it is one or the same', () => {
    const report = execFileSync(
      node,
      [join(import.meta.dirname, '../support/zstd-damage.mjs'), join(PACKAGE, 'dist/index.js'), folder.file('whole.zst', packed)],
      { encoding: 'utf8' },
    );
    const { flips, flipsWithoutError, ...rest } = JSON.parse(report) as Record<string, unknown> & {
      flips: number;
      flipsWithoutError: number;
    };
    expect(rest).toEqual({
      keys: 250,
      cuts: { 'BAD_COMPRESSION: the compressed data ends early': expect.any(Number) as number },
      keysOfLastCut: [250, 250],
      otherKeysOfCuts: 0,
      otherKeysWithoutError: 0,
    });
    expect(flips).toBeGreaterThan(80 + 120 * FACTOR);
    expect(flipsWithoutError).toBeLessThan(10);
  });

  test('a window of 128 MiB, and 200 MB from a few bytes, in bounded memory', async () => {
    const blocks = (content: Uint8Array): Block[] =>
      Array.from({ length: Math.ceil(content.length / 131072) }, (__, i) => raw(content.subarray(i * 131072, (i + 1) * 131072)));
    expect(await decoded(frame(17, blocks(rdb())))).toMatchObject({ code: 0, out: whole });
    const size = 1600 * 131072;
    const head = Buffer.from([
      ...Buffer.from('REDIS0011'),
      0,
      1,
      0x6b,
      0x80,
      size >>> 24,
      (size >> 16) & 255,
      (size >> 8) & 255,
      size & 255,
    ]);
    const end = Buffer.from([0, 1, 0x6c, 1, 0x76, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    const file = folder.file('large.zst', frame(11, [raw(head), ...Array.from({ length: 1600 }, () => repeated('x', 131072)), raw(end)]));
    // VmHWM: maxRSS begins with what the process that forked it had
    const told =
      'data:text/javascript,import { readFileSync } from "node:fs"; process.on("exit", () => console.error(/VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "latin1"))[1]))';
    const { stdout, stderr, status } = spawnSync(node, ['--import', told, BIN, 'decode', file, '--prefix', 'l', '--quiet'], {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([0, '{"db":0,"key":"l","type":"string","value":"v"}\n']);
    expect(Number(stderr)).toBeLessThan(180_000); // KiB
  });
});

describe('a Node that does not know zstd', () => {
  const without =
    'data:text/javascript,import zlib from "node:zlib"; import { syncBuiltinESMExports } from "node:module"; delete zlib.createZstdDecompress; syncBuiltinESMExports()';
  const run = (...args: string[]): Promise<Ended> => collect(spawn(process.execPath, ['--import', without, BIN, ...args]));
  const refusal = (file: string): string =>
    `rdbkit: UNSUPPORTED_COMPRESSION: ${file}, offset 0: expected Node 22.15 or later to read zstd, got Node ${process.versions.node}. ` +
    'Run rdbkit with Node 22.15 or later, or decompress it first: zstd -dc FILE | rdbkit decode - ' +
    '(an RDB that Valkey compressed itself, which begins with VCS: tail -c +8 FILE | zstd -dc | rdbkit decode -).\n';

  test.each([
    ['a frame', () => packed],
    ['skippable frames before it', () => Buffer.concat([SKIPPABLE, SKIPPABLE, packed])],
    ['Valkey\'s envelope', () => readFileSync(fixture('valkey-vcs-zstd.rdb'))],
    ['Valkey\'s envelope in gzip', () => gzipSync(readFileSync(fixture('valkey-vcs-zstd.rdb')))],
  ])('says what to do: %s', async (_, content) => {
    const file = folder.file('refused.zst', content());
    expect(await run('decode', file, '--quiet')).toMatchObject({ code: 3, out: '', err: refusal(file) });
    expect(await run('dump', file, '--format', 'rdb', '-o', folder.at('none.rdb'), '--quiet')).toMatchObject({
      code: 3,
      err: refusal(file),
    });
  });

  test('reads the rest of several sources with --keep-going', async () => {
    const { code, out, err } = await run('decode', folder.file('refused.zst', packed), FIXTURE, '--keep-going', '--quiet');
    expect([code, out, err]).toEqual([3, whole, `${refusal(folder.at('refused.zst'))}rdbkit: 1 of 2 sources had errors.\n`]);
  });

  test('what only looks like zstd is still damage', async () => {
    const { code, err } = await run('decode', folder.file('damaged.zst', Buffer.concat([SKIPPABLE, Buffer.from('garbage')])));
    expect([code, err]).toEqual([3, expect.stringContaining('BAD_COMPRESSION') as string]);
  });
});
