import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Worker as NodeWorker, WorkerOptions } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { decode, type DecodeOptions } from '../../src/commands/decode.js';
import type { RdbError } from '../../src/bytes/errors.js';
import { Kernels } from '../../src/kernels/kernels.js';
import type { FramerOptions } from '../../src/rdb/frame.js';
import type { Framer as RealFramer } from '../../src/rdb/framer.js';
import { OutputError } from '../../src/io/output-error.js';
import { Collector, FIXTURE, Folder, rdbkit } from '../support/cli-support.js';
import { BIN, collect, PACKAGE, shell } from '../support/processes.js';
import { changed, changes, FILES, LARGE } from '../support/samples.js';
import { bytes, le, listpack, type Part, rdb, resealed, str } from '../support/support.js';
import { until } from '../support/until.js';

/** What the doubles below know and do. */
const world = vi.hoisted(() => ({
  workers: [] as { readonly worker: NodeWorker; readonly heard: Promise<void> }[],
  /** Batches that worker threads decoded. */
  batches: 0,
  /** Of the framer: over how many bytes values come in parts. */
  limit: undefined as number | undefined,
}));

vi.mock('node:worker_threads', async (original) => {
  const actual = await original<{ Worker: new (url: URL, options: WorkerOptions) => NodeWorker }>();
  class Worker extends actual.Worker {
    private stopped: (() => void) | undefined;

    constructor(url: URL, options: WorkerOptions) {
      super(url, { ...options, argv: [url.search], resourceLimits: { maxOldGenerationSizeMb: 32 } });
      const heard = new Promise<void>((resolve) => {
        for (const event of ['message', 'error', 'exit'] as const) this.once(event, () => resolve());
        this.stopped = resolve;
      });
      this.on('message', ({ kind }: { kind: string }) => void (world.batches += kind === 'done' ? 1 : 0));
      world.workers.push({ worker: this, heard });
    }

    override terminate(): Promise<number> {
      this.stopped?.();
      return super.terminate();
    }
  }
  return { ...actual, Worker };
});

vi.mock('../../src/rdb/framer.js', async (original) => {
  const actual = await original<{ Framer: typeof RealFramer }>();
  class Framer extends actual.Framer {
    constructor(options: FramerOptions = {}) {
      super({ limit: world.limit, ...options });
    }
  }
  return { ...actual, Framer };
});

const folder = new Folder();
const corpus = new URL('../../fixtures/servers/', import.meta.url);
const FIXTURES = readdirSync(corpus).filter((file) => file.endsWith('.rdb'));
const fixture = (name: string): string => fileURLToPath(new URL(name, corpus));

afterAll(() => folder.remove());
afterEach(() => {
  vi.restoreAllMocks();
  world.limit = undefined;
  for (const { worker } of world.workers) expect(worker.threadId, 'a thread that was left running').toBe(-1);
  world.workers.length = 0;
});

/** Standard output that takes nothing before all threads have said something: else this thread could do all the work. */
class Patient extends Collector {
  override _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void {
    const copy = Buffer.from(chunk); // the bytes are borrowed until `done`
    void Promise.all(world.workers.map(({ heard }) => heard)).then(() => {
      if (!copy.equals(chunk)) done(new Error('bytes changed while they were being written'));
      else super._write(chunk, encoding, done);
    });
  }
}

/** What the threads run: test/support/parallel-worker.mjs, or as given. */
function worker(words: Readonly<Record<string, string | number>> = {}): URL {
  const url = new URL('../support/parallel-worker.mjs', import.meta.url);
  url.search = new URLSearchParams({
    dist: `${pathToFileURL(join(PACKAGE, 'dist')).href}/`,
    ...Object.fromEntries(Object.entries(words).map(([k, v]) => [k, String(v)])),
  }).toString();
  return url;
}

interface Outcome {
  /** Whole lines. */
  readonly lines: readonly string[];
  readonly counts: object;
  readonly errors: readonly object[];
  /** Damaged values that were gone past. */
  readonly skipped: readonly object[];
}

type Options = Partial<Omit<DecodeOptions, 'stdin' | 'stdout'>> & { readonly stdin?: readonly Uint8Array[]; readonly stdout?: Collector };

async function outcome({ stdin = [], stdout = new Patient(), ...options }: Options): Promise<Outcome> {
  const skipped: object[] = [];
  let tornValues = 0;
  const onDamaged = ({ code, db, expected, file, got, key, offset, within }: RdbError, torn: boolean): void => {
    skipped.push({ code, db, expected, file, got, key, offset, within });
    if (torn) tornValues++;
  };
  const {
    errors,
    seconds: _,
    torn,
    written,
    ...counts
  } = await decode({
    sources: ['-'],
    onDamaged,
    ...options,
    stdin: Readable.from(stdin, { objectMode: false }),
    stdout,
    filter: { now: 1_650_000_000_000, ...options.filter },
  });
  expect(written).toBe(Buffer.byteLength(stdout.text));
  expect(stdout.text).toMatch(/(^|\n)$/);
  const all = stdout.text.split('\n').slice(0, -1);
  const whole = all.filter(isJson);
  // How much of a torn line there is depends on when output was handed on; that it is said, does not.
  expect(all.length - whole.length).toBe(tornValues + (torn ? 1 : 0));
  expect(all.length - whole.length).toBeLessThanOrEqual(errors.length + skipped.length);
  expect(all).not.toContain('');
  const said = errors.map(({ code, db, expected, file, got, key, message, offset, within }) => ({
    code,
    db,
    expected,
    file,
    got,
    key,
    message,
    offset,
    within,
  }));
  return { lines: whole, counts, errors: said, skipped };
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** One thread and no batches, as the library decodes. */
const alone = (options: Options): Promise<Outcome> => outcome({ ...options, threads: 1, pool: { serialBytes: Infinity } });

const batched = (options: Options, batchBytes: number, words?: Readonly<Record<string, number>>): Promise<Outcome> =>
  outcome({ threads: 3, ...options, pool: { worker: worker(words), batchBytes, serialBytes: 0 } });

describe('the same lines as of one thread', () => {
  test.each(FIXTURES)('%s', async (name) => {
    const sources = [fixture(name)];
    const want = await alone({ sources, meta: true });
    world.batches = 0;
    expect(await batched({ sources, meta: true }, statSync(fixture(name)).size / 50)).toEqual(want);
    expect(world.batches).toBeGreaterThan(0);
  });

  const run = fc.record({
    name: fc.constantFrom(...Object.keys(LARGE)),
    chunk: fc.oneof(fc.integer({ min: 60, max: 500 }), fc.integer({ min: 60, max: 20_000 })),
    limit: fc.constantFrom(64, 100, 300, 1000, 1 << 20),
    threads: fc.integer({ min: 1, max: 4 }),
    batchBytes: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 5000 })),
    serialBytes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })),
    delay: fc.constantFrom(0, 0, 3),
    meta: fc.boolean(),
    codec: fc.boolean(),
  });

  test('in any batches, chunks and parts', async () => {
    await fc.assert(
      fc.asyncProperty(run, async ({ batchBytes, chunk, delay, codec, limit, meta, name, serialBytes, threads }) => {
        const file = LARGE[name];
        const stdin = Array.from({ length: Math.ceil(file.length / chunk) }, (_, i) => file.slice(i * chunk, (i + 1) * chunk));
        const want = await alone({ stdin, meta });
        expect([want.errors, want.lines.length > 1]).toEqual([[], true]);
        if (!codec) vi.spyOn(Kernels, 'create').mockReturnValue(undefined);
        world.limit = limit;
        const got = await outcome({ stdin, meta, threads, pool: { worker: worker({ delay }), batchBytes, serialBytes } });
        world.limit = undefined;
        vi.restoreAllMocks();
        expect(got).toEqual(want);
      }),
      { numRuns: 20 },
    );
  });

  const three = FIXTURES.slice(4, 7).map(fixture);
  test.each<[string, Options]>([
    ['several sources', { meta: true }],
    ['--limit', { limit: 321 }],
    ['filters', { filter: { type: ['hash', 'string'], notPrefix: [bytes('h')] } }],
    ['sizes', { filter: { minSize: 40, maxSize: 20_000 } }],
  ])('%s', async (_, options) => {
    const want = await alone({ sources: three, ...options });
    expect(want.lines.length).toBeGreaterThan(100);
    world.limit = 2000;
    expect(await batched({ sources: three, ...options }, 30_000)).toEqual(want);
  });

  test('with more threads than the memory of the kernels has room for', async () => {
    const want = await alone({ sources: [FIXTURE] });
    expect(await batched({ sources: [FIXTURE], threads: 200 }, 10_000)).toEqual(want);
  });

  test('in the default batches', async () => {
    const sources = [folder.file('large.rdb', large(8))];
    const want = await alone({ sources });
    world.batches = 0;
    expect(await outcome({ sources, threads: 2, pool: { worker: worker(), serialBytes: 1 << 20 } })).toEqual(want);
    expect(world.batches).toBeGreaterThan(0);
  });
});

/** A good file of about so many MiB: what stands between header and end of one without a checksum, again and again. */
function large(size: number): Uint8Array {
  const file = readFileSync(fixture('redis-7.2.6-nochecksum.rdb'));
  const body = file.subarray(9, -9);
  return bytes(file.subarray(0, 9), Array.from({ length: Math.ceil((size << 20) / body.length) }, () => body), file.subarray(-9));
}

describe('damage', () => {
  const good: Readonly<Record<string, Uint8Array>> = { ...FILES, ...LARGE, server: new Uint8Array(readFileSync(FIXTURE)) };
  const run = fc.record({
    name: fc.constantFrom(...Object.keys(good)),
    changes,
    sealed: fc.boolean(),
    limit: fc.constantFrom<number[]>(64, 500, 1 << 20),
    threads: fc.constantFrom<number[]>(1, 1, 1, 3),
    batchBytes: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 100_000 })),
    serialBytes: fc.constantFrom<number[]>(0, 1000),
    keepGoing: fc.boolean(),
    codec: fc.boolean(),
  });

  /** Its line is torn when all output of its own is written: the next source goes to a worker at once. */
  const tornWhileEmpty = {
    ...{ name: 'modules', changes: [[1977, 4, 135_953]] as [number, number, number][], sealed: false, limit: 64 },
    ...{ threads: 3, batchBytes: 1, serialBytes: 0, keepGoing: true, codec: false },
  };

  /** The last line of the first source is decoded here, and the next source goes to a worker at once. */
  const lastLineHere = {
    ...{ name: 'plain', changes: [[16_462, 0, 0]] as [number, number, number][], sealed: false, limit: 1 << 20 },
    ...{ threads: 3, batchBytes: 46_504, serialBytes: 0, keepGoing: false, codec: false },
  };

  /** A value is gone past in it. */
  const damagedValue = {
    ...{ name: 'packed', changes: [[38_673, 7, 1_649_990_262], [8770, 3, 3_207_906_535]] as [number, number, number][], sealed: false, limit: 500 },
    ...{ threads: 1, batchBytes: 1, serialBytes: 0, keepGoing: true, codec: true },
  };

  test('ends it at the same place, with the same lines before it, or goes on with the next source', async () => {
    const next = folder.file('next.rdb', FILES.plain);
    await fc.assert(
      fc.asyncProperty(run, async ({ batchBytes, changes, codec, keepGoing, limit, name, sealed, serialBytes, threads }) => {
        const damaged = changed(good[name], changes);
        const sources = [folder.file('damaged.rdb', sealed ? resealed(damaged) : damaged), next];
        world.limit = limit;
        const want = await alone({ sources, keepGoing, meta: true });
        if (!codec) vi.spyOn(Kernels, 'create').mockReturnValue(undefined);
        const got = await outcome({ sources, keepGoing, meta: true, threads, pool: { worker: worker(), batchBytes, serialBytes } });
        vi.restoreAllMocks();
        expect(got).toEqual(want);
      }),
      { numRuns: 40, examples: [[tornWhileEmpty]] },
    );
  });

  test('is gone past in whatever batches and parts it comes, and whatever else it is: the same lines, counts and errors', async () => {
    const next = folder.file('after.rdb', FILES.plain);
    let skips = 0;
    await fc.assert(
      fc.asyncProperty(run, async ({ batchBytes, changes, codec, keepGoing, limit, name, serialBytes, threads }) => {
        const sources = [folder.file('skipped.rdb', changed(good[name], changes)), next];
        const how = { sources, keepGoing, meta: true, checksum: false, skipDamaged: true };
        world.limit = limit;
        const want = await alone(how);
        skips += want.skipped.length;
        if (!codec) vi.spyOn(Kernels, 'create').mockReturnValue(undefined);
        const got = await outcome({ ...how, threads, pool: { worker: worker(), batchBytes, serialBytes } });
        vi.restoreAllMocks();
        expect(got).toEqual(want);
      }),
      { numRuns: 60, examples: [[lastLineHere], [damagedValue]] },
    );
    expect(skips).toBeGreaterThan(0);
  });

  test('goes past it with --limit: as many keys as asked for', async () => {
    const bad: Part = [[0xfc, le(1, 8)], 16, str('bad'), str('no listpack')];
    const good = (i: number): Part => [0, str(`k${i}`), str('v')];
    const stdin = [rdb('REDIS0012', [Array.from({ length: 30 }, (_, i): Part => [good(i), bad])], 0)];
    const want = await alone({ stdin, skipDamaged: true, limit: 20 });
    expect(want).toMatchObject({ counts: { keys: 20, damaged: 19, expired: 0, limited: true } });
    for (const batchBytes of [1, 50, 1000]) {
      const got = await batched({ stdin, skipDamaged: true, limit: 20 }, batchBytes);
      expect(got.counts).toMatchObject({ keys: 20, expired: 0, limited: true });
      expect(got.lines).toEqual(want.lines);
    }
  });

  test('in a late batch: what was seen before it counts', async () => {
    const keys = (count: number): Part[] =>
      Array.from({ length: count }, (_, i): Part => [i % 2 === 0 ? [0xfc, le(1, 8)] : [], 0, str(`k${i}`), str('v')]);
    const sources = [folder.file('late.rdb', rdb('REDIS0012', [keys(40), 16, str('bad'), str('no listpack'), keys(40)], 0))];
    const want = await alone({ sources });
    expect(want).toMatchObject({ counts: { read: 41, keys: 40, expired: 20 }, errors: [{ key: 'bad', db: 0 }] });
    for (const batchBytes of [1, 50, 1000]) expect(await batched({ sources }, batchBytes)).toEqual(want);
  });
});

describe('scores that are not numbers', () => {
  const NAN = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
  const zset = (key: string, scores: readonly Part[]): Part => [
    5,
    str(key),
    0x80,
    le(BigInt(scores.length), 4).reverse(),
    scores.map((score, i) => [str(`member${i}`), score]),
  ];
  const file = rdb('REDIS0012', [
    Array.from({ length: 30 }, (_, i): Part => zset(`z${i}`, [le(1, 8), i === 7 || i === 19 ? NAN : le(2, 8)])),
    zset('large', Array.from({ length: 300 }, (_, i) => (i % 40 === 5 ? NAN : le(i, 8)))),
    zset('sound', Array.from({ length: 300 }, (_, i) => le(i, 8))),
    zset('end', [NAN]),
  ]);
  const TEXT = /^4 sorted sets have scores that are not numbers \(NaN\), the first is key "z7" of database 0: /;

  test('each sorted set counts once, in whatever batches and parts it comes', async () => {
    const warnings: string[] = [];
    const onWarning = (_: string, text: string): void => void warnings.push(text);
    const want = await alone({ stdin: [file], onWarning });
    for (const limit of [1 << 20, 300]) {
      world.limit = limit;
      for (const batchBytes of [1, 200, 700, 5000]) {
        world.batches = 0;
        expect(await batched({ stdin: [file], onWarning }, batchBytes)).toEqual(want);
        expect(world.batches).toBeGreaterThan(0);
      }
    }
    expect(warnings).toEqual(Array.from({ length: 9 }, () => expect.stringMatching(TEXT) as string));
  });
});

describe('a thread that is lost', () => {
  const want = alone({ sources: [FIXTURE] });

  test.each([
    ['start', 'no start'],
    ['throw', 'worn out'],
    ['exit', 'it ended with code 0'],
    ['memory', 'reaching memory limit'],
  ])('%s: the run ends, and what came before is written', async (then, reason) => {
    const stdout = new Patient();
    const pool = { worker: worker({ then, at: 1 }), batchBytes: 20_000, serialBytes: 0 };
    const run = decode({ sources: [FIXTURE, FIXTURE, FIXTURE], threads: 3, pool, stdin: Readable.from([]), stdout });
    await expect(run).rejects.toThrow(new RegExp(`^a decoding thread was lost: .*${reason}.*\\. With --threads 1 there is none to lose$`));
    const { lines } = await want;
    const got = stdout.text.split('\n');
    expect(got.pop()).toBe('');
    expect([...lines, ...lines, ...lines].slice(0, got.length)).toEqual(got);
    if (then !== 'start') expect(got.length).toBeGreaterThan(5);
  });

  test('is no damage of the file: the exit code says so', async () => {
    const sources = Array.from({ length: 66 }, () => FIXTURE); // enough for threads, and there is none to run under src/
    const { code, err } = await rdbkit(['decode', ...sources, '--threads', '2'], { stdout: new Patient() });
    expect([code, err]).toEqual([70, expect.stringContaining('a decoding thread was lost: Cannot find module') as string]);
  });
});

describe('an end from outside', () => {
  const pool = { batchBytes: 20_000, serialBytes: 0 };

  test('an output that fails', async () => {
    class Full extends Patient {
      private writes = 0;

      override _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void {
        if (this.writes++ < 5) super._write(chunk, encoding, done);
        else done(Object.assign(new Error('full'), { code: 'ENOSPC' }));
      }
    }
    const run = decode({
      sources: [FIXTURE],
      threads: 3,
      pool: { ...pool, worker: worker() },
      stdin: Readable.from([]),
      stdout: new Full(),
    });
    await expect(run).rejects.toThrow(OutputError);
  });

  test('a signal leaves whole lines', async () => {
    const controller = new AbortController();
    class Signalling extends Patient {
      override _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void {
        super._write(chunk, encoding, done);
        controller.abort();
      }
    }
    const stdin = Array.from({ length: 100 }, (_, i) => readFileSync(FIXTURE).subarray(i * 5000, (i + 1) * 5000));
    const { lines } = await alone({ sources: [FIXTURE] });
    const got = await outcome({
      stdin,
      signal: controller.signal,
      threads: 3,
      stdout: new Signalling(),
      pool: { ...pool, worker: worker() },
    });
    expect(got).toMatchObject({ errors: [], counts: { interrupted: true } });
    expect(got.lines).toEqual(lines.slice(0, got.lines.length));
    expect(got.lines.length).toBeLessThan(lines.length);
  });
});

describe('as a process', () => {
  let whole = '';
  beforeAll(async () => {
    const file = folder.file('process.rdb', large(40));
    whole = (await shell(`"$NODE" "$RDBKIT" decode '${file}' --quiet --threads 1`)).out;
  });

  test('the same lines', async () => {
    const { code, err, out } = await shell(`"$NODE" "$RDBKIT" decode '${folder.at('process.rdb')}' --quiet --threads 3`);
    expect([code, err, out === whole, whole.length > 40 << 20]).toEqual([0, '', true, true]);
  });

  test('a reader that leaves ends it quietly', async () => {
    const { err, out } = await shell(
      `"$NODE" "$RDBKIT" decode '${folder.at('process.rdb')}' --threads 3 | head -1 | cut -c 1-6; echo "\${PIPESTATUS[@]}" >&2`,
    );
    expect([out, err]).toEqual(['{"db":\n', '0 0 0\n']);
  });

  test('SIGINT leaves whole lines', async () => {
    const file = folder.at('process.jsonl');
    const source = folder.at('process.rdb');
    const child = spawn(process.execPath, [BIN, 'decode', source, source, source, source, '-o', file, '--threads', '3']);
    const ended = collect(child);
    const written = (): boolean =>
      readdirSync(folder.path).some((name) => name.endsWith('.tmp') && statSync(folder.at(name)).size > 8 << 20);
    await until('8 MiB are written', written);
    child.kill('SIGINT');
    expect(await ended).toMatchObject({
      code: 130,
      err: expect.stringMatching(/^rdbkit: interrupted by SIGINT\. What was decoded/) as string,
    });
    const partial = readFileSync(`${file}.partial`, 'utf8');
    expect(partial.endsWith('\n')).toBe(true);
    expect(whole.repeat(4).startsWith(partial)).toBe(true);
  });

  test('damaged values are counted the same', async () => {
    const records = Array.from({ length: 30_000 }, (_, i): Part => [0, str(`k${i}`), str('v'.repeat(1100))]);
    const bad = [16, str('bad'), str(listpack(['f', 'v']).map((byte, i) => (i === 0 ? 99 : byte)))];
    const source = folder.file('counted.rdb', rdb('REDIS0010', [records, bad], false));
    const argv = ['decode', source, '-o', folder.at('out'), '--json', '--threads'];
    const alone = async (...more: string[]): Promise<string> => (await rdbkit([...argv, '1', ...more])).err;
    const built = async (...more: string[]): Promise<string> => (await collect(spawn(process.execPath, [BIN, ...argv, '2', ...more]))).err;
    for (const run of [alone, built]) {
      const count = async (...more: string[]): Promise<unknown> => JSON.parse(await run(...more));
      expect(await count()).toMatchObject({ keys: 30_000, keysRead: 30_001, keysFiltered: 0, keysDamaged: 1 });
      expect(await count('--match', 'k*9')).toMatchObject({ keys: 3000, keysRead: 30_001, keysFiltered: 27_001, keysDamaged: 0 });
      expect(await count('--match', '*d')).toMatchObject({ keys: 0, keysRead: 30_001, keysFiltered: 30_000, keysDamaged: 1 });
    }
  });
});
