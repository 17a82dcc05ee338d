import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Worker as NodeWorker, WorkerOptions } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { inspect, type InspectOptions } from '../../src/commands/inspect.js';
import { openInput } from '../../src/io/input.js';
import { Collector } from '../support/cli-support.js';
import { PACKAGE } from '../support/processes.js';
import { type Part, rdb, str } from '../support/support.js';

/** What the double below knows. */
const world = vi.hoisted(() => ({ workers: [] as NodeWorker[], ready: [] as Promise<void>[], settled: 0 }));

vi.mock('node:worker_threads', async (original) => {
  const actual = await original<{ Worker: new (url: URL, options: WorkerOptions) => NodeWorker }>();
  class Worker extends actual.Worker {
    private stopped: (() => void) | undefined;

    constructor(url: URL, options: WorkerOptions) {
      super(url, options);
      world.workers.push(this);
      world.ready.push(
        new Promise((resolve) => {
          this.stopped = resolve;
          this.on('message', ({ kind }: { kind: string }) => {
            if (kind === 'ready') resolve();
            if (kind === 'settled') world.settled++;
          });
          this.on('exit', () => resolve());
        }),
      );
    }

    override terminate(): Promise<number> {
      this.stopped?.();
      return super.terminate();
    }
  }
  return { ...actual, Worker };
});

afterEach(() => {
  for (const { threadId } of world.workers) expect(threadId, 'a thread that was left running').toBe(-1);
  world.workers.length = world.ready.length = world.settled = 0;
});

const corpus = new URL('../../fixtures/servers/', import.meta.url);
const FIXTURES = readdirSync(corpus).filter((file) => file.endsWith('.rdb'));

/** A file in pieces: the first starts the threads, and the next comes when they are ready. */
async function* pieces(file: Uint8Array, count: number): AsyncGenerator<Uint8Array> {
  const size = Math.ceil(file.length / count);
  for (let at = 0; at < file.length; at += size) {
    yield file.slice(at, at + size);
    for (let i = 0; i < 20; i++) await turn(); // what reads is ahead of what counts
    await Promise.all(world.ready);
    await turn();
  }
}

/** Inspects files by their names. */
async function outcome(files: Readonly<Record<string, Uint8Array>>, threads: number, options: Partial<InspectOptions> = {}, count = 32) {
  const {
    errors,
    report,
    seconds: _,
    ...counts
  } = await inspect({
    sources: Object.keys(files),
    stdin: Readable.from([]),
    stdout: new Collector(),
    batchRows: 7,
    threads,
    filter: { now: 1_650_000_000_000 },
    open: (source, how) => {
      const input = openInput('-', { ...how, stdin: Readable.from(pieces(files[source], count), { objectMode: false }) });
      return Object.defineProperty(input, 'name', { value: source });
    },
    ...options,
    pool: { worker: pathToFileURL(join(PACKAGE, 'dist/inspect/tally-worker.js')), serialBytes: 0, batchBytes: 1, ...options.pool },
  });
  const said = errors.map(({ code, db, expected, file, got, key, message, offset }) => ({
    code,
    db,
    expected,
    file,
    got,
    key,
    message,
    offset,
  }));
  // a percentile is of the keys after the first few of each thread
  const text = JSON.stringify(report, (name, value: unknown) => (name === 'p99' ? undefined : value));
  return { report: JSON.parse(text) as typeof report, counts, errors: said };
}

describe('the same report as of one thread', () => {
  test.each(FIXTURES)('%s', async (name) => {
    const files = { [name]: readFileSync(new URL(name, corpus)) };
    const want = await outcome(files, 1);
    expect(want.report.totals.keys).toBeGreaterThan(0);
    for (const threads of [2, 3]) expect(await outcome(files, threads)).toEqual(want);
    expect(world.settled).toBeGreaterThan(0);
  });

  test('of several sources, with filters and delimiters that are found out', async () => {
    const files = Object.fromEntries(FIXTURES.slice(0, 3).map((name) => [name, readFileSync(new URL(name, corpus))]));
    for (const options of [{}, { delimiters: 'auto' }, { limit: 50 }, { filter: { now: 0, types: ['hash', 'zset'] } }] as const) {
      const want = await outcome(files, 1, options);
      expect(await outcome(files, 3, options)).toEqual(want);
    }
  });

  test('of equal keys in the lists', async () => {
    const keys = Array.from({ length: 2000 }, (_, i) => [0, str(`k${(i * 7919) % 2000}`), str('same')]);
    const files = { some: rdb('REDIS0011', keys), more: rdb('REDIS0011', keys) };
    const want = await outcome(files, 1);
    expect(want.report.top.memory.map(({ source }) => source)).toEqual(Array(10).fill(0));
    expect(await outcome(files, 3)).toEqual(want);
  });
});

describe('damage', () => {
  /** Keys with a broken listpack among them. */
  const damaged = (at: number): Uint8Array =>
    rdb(
      'REDIS0011',
      Array.from({ length: 700 }, (_, i) => (i === at ? [16, str('broken'), str('no listpack')] : [0, str(`key:${i}`), str(`value ${i}`)])),
    );

  test.each([3, 350, 699])('is where it is with one thread: %i', async (at) => {
    const files = { damaged: damaged(at) };
    const want = await outcome(files, 1);
    expect(want.errors).toMatchObject([{ key: 'broken' }]);
    expect(want.counts).toMatchObject({ read: at + 1, keys: at, damaged: 1 });
    expect(want.report.totals.keys).toBe(at);
    const { counts, errors, report } = await outcome(files, 3);
    expect({ counts, errors }).toEqual({ counts: want.counts, errors: want.errors });
    expect(report.totals.keys).toBeGreaterThanOrEqual(at); // other threads may be ahead
  });

  test('is the first of several', async () => {
    // of two pieces, the second is all broken: the threads get it
    const record = (i: number): Part => [i < 300 ? 0 : 16, str(`key ${i + 100}`), str('no listpack')];
    const files = {
      damaged: rdb(
        'REDIS0011',
        Array.from({ length: 600 }, (_, i) => record(i)),
      ),
    };
    for (let run = 0; run < 5; run++) expect((await outcome(files, 4, {}, 2)).errors).toMatchObject([{ key: 'key 400' }]);
  });

  test('ends its source alone with keepGoing', async () => {
    const files = { bad: damaged(350), good: damaged(-1) };
    const want = await outcome(files, 1, { keepGoing: true });
    const { counts, errors, report } = await outcome(files, 3, { keepGoing: true });
    expect({ counts, errors }).toEqual({ counts: want.counts, errors: want.errors });
    expect(report.sources[1]).toEqual(want.report.sources[1]);
  });
});

test.each([
  ['throws', "() => { throw new Error('worn out'); }", /a thread was lost: worn out/],
  ['ends', '() => process.exit(0)', /a thread was lost: it ended with code 0/],
])('a thread that %s is an error', async (_, then, message) => {
  const code = `import { parentPort } from 'node:worker_threads'; parentPort.postMessage({ kind: 'ready' }); parentPort.on('message', ${then});`;
  const worker = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  const file = readFileSync(new URL(FIXTURES[0], corpus));
  await expect(outcome({ file }, 2, { pool: { worker } })).rejects.toThrow(message);
});
