import { cpSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { Spool, type SpoolOptions } from '../../../src/sync/spool/spool.js';
import { Folder } from '../../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

let count = 0;

/** What a spool must hold: the bytes of the stream up to now, of which it may forget only what it may. */
class Model {
  bytes = Buffer.alloc(0);
  /** Offset before `bytes`. */
  start = 0;
  trimmed = 0;
  history: { id: string; from: number }[] = [];
  written = 0;

  get end(): number {
    return this.start + this.bytes.length;
  }

  next(length: number): Uint8Array {
    const piece = Uint8Array.from({ length }, () => (this.written = (this.written * 5 + 1) % 65_521) & 255);
    this.bytes = Buffer.concat([this.bytes, piece]);
    return piece;
  }

  slice(from: number, to: number): Buffer {
    return this.bytes.subarray(from - this.start, to - this.start);
  }

  truncate(offset: number): void {
    this.bytes = this.bytes.subarray(0, Math.max(0, offset - this.start));
    this.start = Math.min(this.start, offset);
    this.trimmed = Math.min(this.trimmed, offset);
    this.history = this.history.filter(({ from }) => from <= offset);
  }
}

type Step =
  | { do: 'append' | 'turn' | 'flush' | 'reopen'; size: number }
  | { do: 'read' | 'trim' | 'truncate'; at: number }
  | { do: 'kill'; tail: number }
  | { do: 'reset'; at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      size: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 90_000 })),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('read' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('trim' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('truncate' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), at: fc.integer({ min: 0, max: 2 ** 45 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('turn' as const, 'flush' as const, 'reopen' as const),
      size: fc.integer({ min: 0, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), tail: fc.integer({ min: 0, max: 3000 }) }) },
);

class Run {
  private readonly model = new Model();
  private spool!: Spool;

  constructor(private options: SpoolOptions) {}

  async all(steps: readonly Step[]): Promise<void> {
    this.spool = await Spool.open(this.options);
    await this.spool.reset('first', 0);
    this.model.history = [{ id: 'first', from: 0 }];
    for (const one of steps) {
      await this.one(one);
      await this.check();
    }
    await this.read(this.spool.begin);
    await this.spool.remove();
  }

  private place(at: number): number {
    return Math.round(this.spool.begin + at * (this.spool.end - this.spool.begin));
  }

  private async one(one: Step): Promise<void> {
    const { spool, model } = this;
    if (one.do === 'append') return this.append(one.size);
    if (one.do === 'read') return this.read(this.place(one.at));
    if (one.do === 'turn') {
      model.history.push({ id: `id-${model.end}`, from: model.end });
      await spool.turn(`id-${model.end}`, model.end);
    } else if (one.do === 'trim') {
      const offset = this.place(one.at);
      model.trimmed = Math.max(model.trimmed, offset);
      spool.trim(offset);
    } else if (one.do === 'truncate') {
      const offset = this.place(one.at);
      if (offset >= spool.end) return;
      model.truncate(offset);
      await spool.truncate(offset);
    } else if (one.do === 'reset') {
      Object.assign(model, { bytes: Buffer.alloc(0), start: one.at, trimmed: one.at, history: [{ id: 'again', from: one.at }] });
      await spool.reset('again', one.at);
    } else if (one.do === 'flush') await this.flush();
    else if (one.do === 'reopen') await this.reopen();
    else if ('tail' in one) await this.kill(one.tail);
  }

  private async append(size: number): Promise<void> {
    const { spool, model } = this;
    const room = spool.append(model.next(size));
    if (room === undefined) return;
    // with memory only, and on a full disk, room is made by the reader
    const made = room.then(() => true);
    while (!(await Promise.race([made, new Promise<false>((resolve) => setTimeout(() => resolve(false), 30))]))) {
      model.trimmed = spool.end;
      spool.trim(spool.end);
    }
  }

  private async read(from: number): Promise<void> {
    const { spool, model } = this;
    for (let at = from; at < spool.end;) {
      const { bytes, offset } = await spool.read(at);
      if (!Buffer.from(bytes).equals(model.slice(at, offset))) expect.fail(`other bytes after offset ${at}`);
      expect(offset - bytes.length).toBe(at);
      at = offset;
    }
  }

  private async flush(): Promise<void> {
    if (this.options.dir !== undefined) await expect.poll(() => this.spool.flushed, { interval: 2 }).toBe(this.spool.end);
  }

  private async reopen(): Promise<void> {
    if (this.options.dir === undefined) return;
    await this.spool.close();
    this.spool = await Spool.open(this.options);
    expect(this.spool.end).toBe(this.model.end);
    this.model.start = this.takeBegin();
  }

  /** What a process that is killed now leaves, and perhaps a tail that was not written; the process goes on meanwhile, elsewhere. */
  private async kill(tail: number): Promise<void> {
    const { dir } = this.options;
    if (dir === undefined) return;
    const copy = folder.at(`copy-${count++}`);
    const { flushed } = this.spool;
    cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('lock') });
    const [lane] = readdirSync(copy);
    const newest = readdirSync(join(copy, lane))
      .filter((name) => name.endsWith('.spool'))
      .sort()
      .at(-1);
    const cut = Math.min(tail, newest === undefined ? 0 : statSync(join(copy, lane, newest)).size);
    if (newest !== undefined) truncateSync(join(copy, lane, newest), statSync(join(copy, lane, newest)).size - cut);
    await this.spool.remove();
    this.options = { ...this.options, dir: copy };
    this.spool = await Spool.open(this.options);
    const { begin, end } = this.spool;
    if (cut === 0) expect(end).toBeGreaterThanOrEqual(flushed);
    expect(end).toBeLessThanOrEqual(this.model.end);
    const history = this.spool.history;
    if (history.length === 0) {
      // nothing was left: a new copy begins
      await this.spool.reset('first', this.model.end);
      Object.assign(this.model, {
        bytes: Buffer.alloc(0),
        start: this.spool.end,
        trimmed: this.spool.end,
        history: [{ id: 'first', from: this.spool.end }],
      });
      return;
    }
    if (begin >= this.model.start) this.model.bytes = Buffer.from(this.model.slice(begin, end));
    this.model.start = begin;
    this.model.history = [...history];
    this.model.trimmed = begin;
  }

  /** Forgets in the model what the spool has forgotten, which it may. */
  private takeBegin(): number {
    const { begin } = this.spool;
    this.model.bytes = Buffer.from(this.model.slice(begin, this.model.end));
    this.model.trimmed = begin;
    return begin;
  }

  private async check(): Promise<void> {
    const { spool, model, options } = this;
    expect(spool.end).toBe(model.end);
    expect(spool.begin).toBeGreaterThanOrEqual(model.start);
    expect(spool.begin).toBeLessThanOrEqual(Math.max(model.trimmed, model.start));
    const { length } = spool.history;
    expect(spool.history).toEqual(model.history.slice(model.history.length - length));
    expect(spool.history.length === model.history.length || spool.history[0].from <= spool.begin).toBe(true);
    expect(spool.held.memory).toBeLessThanOrEqual(options.memory ?? 32 << 20);
    if (options.dir !== undefined) expect(spool.held.disk).toBeLessThanOrEqual(options.max + 100_000);
  }
}

const run = (options: Partial<SpoolOptions>) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      await new Run({
        lane: 'a',
        max: 1 << 20,
        ...options,
        ...(options.dir === undefined ? {} : { dir: folder.at(`model-${count++}`) }),
      }).all(steps);
    }),
    { numRuns: 60 },
  );

test('with files, whatever is read, trimmed, truncated, reopened or killed', () => run({ dir: '', memory: 100_000, keep: 50_000 }));
test('with files and much memory', () => run({ dir: '', max: 1 << 30, keep: 0 }));
test('in memory', () => run({ memory: 200_000, keep: 50_000 }));
