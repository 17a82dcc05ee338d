import { readdirSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Worker as NodeWorker, WorkerOptions } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { decode, type DecodeOptions } from '../src/commands/decode.js';
import { Kernels } from '../src/kernels/kernels.js';
import type { FramerOptions } from '../src/rdb/frame.js';
import type { Framer as RealFramer } from '../src/rdb/framer.js';
import { buildPackage, Collector, Folder } from './cli-support.js';
import { LARGE } from './samples.js';

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
    constructor(url: URL, options: WorkerOptions) {
      super(url, { ...options, argv: [url.search], resourceLimits: { maxOldGenerationSizeMb: 32 } });
      const heard = new Promise<void>((resolve) => {
        for (const event of ['message', 'error', 'exit'] as const) this.once(event, () => resolve());
      });
      this.on('message', ({ kind }: { kind: string }) => void (world.batches += kind === 'done' ? 1 : 0));
      world.workers.push({ worker: this, heard });
    }
  }
  return { ...actual, Worker };
});

vi.mock('../src/rdb/framer.js', async (original) => {
  const actual = await original<{ Framer: typeof RealFramer }>();
  class Framer extends actual.Framer {
    constructor(options: FramerOptions = {}) {
      super({ limit: world.limit, ...options });
    }
  }
  return { ...actual, Framer };
});

const folder = new Folder();
const corpus = new URL('../fixtures/servers/', import.meta.url);
const FIXTURES = readdirSync(corpus).filter((file) => file.endsWith('.rdb'));
const fixture = (name: string): string => fileURLToPath(new URL(name, corpus));

beforeAll(() => {
  buildPackage(folder);
}, 60_000);
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

/** What the threads run: test/parallel-worker.mjs, or as given. */
function worker(words: Readonly<Record<string, string | number>> = {}): URL {
  const url = new URL('parallel-worker.mjs', import.meta.url);
  url.search = new URLSearchParams({ dist: `${pathToFileURL(folder.at('dist')).href}/`, ...Object.fromEntries(Object.entries(words).map(([k, v]) => [k, String(v)])) }).toString();
  return url;
}

interface Outcome {
  /** Whole lines. */
  readonly lines: readonly string[];
  readonly counts: object;
  readonly errors: readonly object[];
}

type Options = Partial<Omit<DecodeOptions, 'stdin' | 'stdout'>> & { readonly stdin?: readonly Uint8Array[]; readonly stdout?: Collector };

async function outcome({ stdin = [], stdout = new Patient(), ...options }: Options): Promise<Outcome> {
  const { errors, seconds: _, torn, written, ...counts } = await decode({
    sources: ['-'], ...options, stdin: Readable.from(stdin, { objectMode: false }), stdout, filter: { now: 1_650_000_000_000, ...options.filter },
  });
  expect(written).toBe(Buffer.byteLength(stdout.text));
  expect(stdout.text).toMatch(/(^|\n)$/);
  const all = stdout.text.split('\n').slice(0, -1);
  const whole = all.filter(isJson);
  // How much of a torn line there is depends on when output was handed on; that it is said, does not.
  expect(torn).toBe(all.length > whole.length);
  expect(all.length - whole.length).toBeLessThanOrEqual(errors.length);
  expect(all).not.toContain('');
  const said = errors.map(({ code, db, expected, file, got, key, message, offset, within }) => ({ code, db, expected, file, got, key, message, offset, within }));
  return { lines: whole, counts, errors: said };
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
    hot: fc.boolean(),
  });

  test('in any batches, chunks and parts', async () => {
    await fc.assert(
      fc.asyncProperty(run, async ({ batchBytes, chunk, delay, hot, limit, meta, name, serialBytes, threads }) => {
        const file = LARGE[name];
        const stdin = Array.from({ length: Math.ceil(file.length / chunk) }, (_, i) => file.slice(i * chunk, (i + 1) * chunk));
        const want = await alone({ stdin, meta });
        expect([want.errors, want.lines.length > 1]).toEqual([[], true]);
        if (!hot) vi.spyOn(Kernels, 'create').mockReturnValue(undefined);
        world.limit = limit;
        const got = await outcome({ stdin, meta, threads, pool: { worker: worker({ delay }), batchBytes, serialBytes } });
        world.limit = undefined;
        vi.restoreAllMocks();
        expect(got).toEqual(want);
      }),
      { numRuns: 20 },
    );
  });
});
