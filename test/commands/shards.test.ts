import { EventEmitter, once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { dumpShards, type DumpOptions } from '../../src/commands/dump.js';
import { safeName, shardOutputs } from '../../src/commands/shards.js';
import { openInput } from '../../src/io/input.js';
import type { OpenOptions, ServerSource } from '../../src/pipeline/run.js';
import type { SourceHead } from '../../src/pipeline/source-heads.js';
import { RdbError } from '../../src/bytes/errors.js';
import { Folder } from '../support/cli-support.js';
import { until } from '../support/until.js';
import { strings } from '../support/restore-support.js';

/** A server that gives these bytes, and then never ends unless it `ends`. */
const serverOf = (bytes: Uint8Array, ends = true): ServerSource => ({
  head: {} as SourceHead,
  runId: '',
  replicationId: '',
  db: undefined,
  way: 'replication',
  positionAt: () => undefined,
  goOnFrom: () => undefined,
  open: (how: OpenOptions) => {
    const stream = new PassThrough();
    stream.write(bytes);
    if (ends) stream.end();
    return openInput(stream, how);
  },
});

const many = (prefix: string, count: number): Uint8Array =>
  strings(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, `value ${i}`])));

describe('names of files', () => {
  test.each([
    ['10.0.0.5:6379', '10.0.0.5-6379'],
    ['redis-0.example.com:7000', 'redis-0.example.com-7000'],
    ['[2001:db8::1]:6379', '2001-db8-1-6379'],
    ['[::1]:6379', '1-6379'],
    ['/run/redis/a.sock', 'run-redis-a.sock'],
    ['../../etc', 'etc'],
    ['my master', 'my-master'],
    ['---', 'server'],
  ])('%s is %s', (server, name) => {
    expect(safeName(server)).toBe(name);
  });

  test('two servers cannot share one', () => {
    const shards = [
      { name: 'redis://a', master: '/a/b' },
      { name: 'redis://b', master: '/a-b' },
    ];
    expect(() => shardOutputs('x-{shard}.rdb', shards)).toThrow('cannot write x-a-b.rdb: the servers /a/b and /a-b would share it');
    expect(() => shardOutputs('x-{shard}.rdb', [shards[0], { ...shards[0], name: 'redis://c' }])).toThrow(
      'the server /a/b is given twice: name it once',
    );
    expect(shardOutputs('{shard}/{shard}.rdb', [shards[0]])[0].output).toBe('a-b/a-b.rdb');
  });
});

describe('a file for each shard', () => {
  let folder: Folder;
  beforeEach(() => {
    folder = new Folder();
    folders.push(folder);
  });
  const folders: Folder[] = [];
  afterAll(() => folders.forEach((made) => made.remove()));

  const dump = (servers: Record<string, ServerSource>, options: Partial<DumpOptions> = {}) => {
    const shards = Object.keys(servers).map((name) => ({ name, master: name, output: folder.at(`${name}.rdb`) }));
    const base = {
      sources: Object.keys(servers),
      servers: new Map(Object.entries(servers)),
      stdin: Readable.from([]),
      stdout: new PassThrough(),
    };
    return dumpShards({ ...base, format: 'rdb', ...options }, shards);
  };
  const files = (): string[] => readdirSync(folder.path).sort();

  test('all of them, and their sum', async () => {
    const progress: number[] = [];
    const all = { a: serverOf(many('a', 10)), b: serverOf(many('b', 20)), c: serverOf(many('c', 30)) };
    const summary = await dump(all, { onProgress: ({ keys }) => progress.push(keys) });
    expect(summary).toMatchObject({ keys: 60, read: 60, sources: 3, errors: [], partials: [], interrupted: false, limited: false });
    expect(summary.files.map(({ complete, keys, shards }) => [complete, keys, shards])).toEqual([
      [true, 10, ['a']],
      [true, 20, ['b']],
      [true, 30, ['c']],
    ]);
    expect(summary.files.map(({ bytes }) => bytes)).toEqual(['a', 'b', 'c'].map((name) => readFileSync(folder.at(`${name}.rdb`)).length));
    expect(files()).toEqual(['a.rdb', 'b.rdb', 'c.rdb']);
  });

  test('they are read at the same time', async () => {
    const begun = new EventEmitter();
    const both = Promise.all(['a', 'b'].map((name) => once(begun, name)));
    const waiting = (name: string): ServerSource => {
      const server = serverOf(many(name, 5));
      return {
        ...server,
        open: (how) => ({
          ...openInput('-', how),
          name,
          async *chunks() {
            begun.emit(name);
            await both;
            yield* server.open(how).chunks();
          },
        }),
      };
    };
    expect((await dump({ a: waiting('a'), b: waiting('b') })).keys).toBe(10);
  });

  test('one that is damaged ends the others, and no file has its name', async () => {
    const whole = many('a', 10);
    const summary = await dump({ a: serverOf(whole), b: serverOf(whole.slice(0, 60)), c: serverOf(many('c', 9).slice(0, 100), false) });
    expect(summary.errors).toHaveLength(1);
    expect(summary).toMatchObject({ interrupted: false, errors: [{ code: 'TRUNCATED' }] });
    expect(files()).toContain('b.rdb.partial');
    expect(files().filter((name) => !name.endsWith('.partial'))).toEqual([]);
    expect(summary.files.map(({ complete }) => complete).slice(1)).toEqual([false, false]); // how far the first came is open
    expect(summary.partials).toEqual(files().map((name) => folder.at(name)));
  });

  test('with keepGoing the others go on to their end, and no file has its name', async () => {
    const summary = await dump({ a: serverOf(many('a', 10).slice(0, 60)), b: serverOf(many('b', 20)) }, { keepGoing: true });
    expect(summary.files.map(({ complete, keys }) => [complete, keys > 0])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(summary.files[1]).toMatchObject({ keys: 20, partial: folder.at('b.rdb.partial') });
    expect(files()).toEqual(['a.rdb.partial', 'b.rdb.partial']);
  });

  describe('a server that is lost on the way', () => {
    const lost = (): RdbError => new RdbError('SOURCE_LOST', { got: 'gone' });
    /** How often it is lost after these bytes. */
    const losing = (bytes: Uint8Array, times: number): ServerSource => {
      const whole = serverOf(many('b', 20));
      let opened = 0;
      return {
        ...whole,
        open: (how) =>
          opened++ >= times
            ? whole.open(how)
            : openInput(
                (async function* () {
                  await Promise.resolve();
                  if (bytes.length > 0) yield bytes;
                  throw lost();
                })(),
                how,
              ),
      };
    };

    test('is read again, and the others are not', async () => {
      const events: string[] = [];
      const errors: unknown[] = [];
      const all = { a: serverOf(many('a', 10)), b: losing(many('b', 20).slice(0, 100), 2) };
      const summary = await dump(all, { onEvent: (text) => events.push(text), onError: (error) => errors.push(error) });
      expect(summary).toMatchObject({ keys: 30, errors: [] });
      expect([events.length, errors]).toEqual([2, []]);
      expect(events[0]).toMatch(/gone: it is read again from the beginning, the other shards go on$/);
      expect(files()).toEqual(['a.rdb', 'b.rdb']);
    });

    test('is given up after the third time', async () => {
      const errors: unknown[] = [];
      const summary = await dump({ b: losing(many('b', 20).slice(0, 100), 3) }, { onError: (error) => errors.push(error) });
      expect(summary.errors).toMatchObject([{ code: 'SOURCE_LOST' }]);
      expect(errors).toHaveLength(1);
    });

    test('before anything came: the reader has waited for it already', async () => {
      expect((await dump({ b: losing(new Uint8Array(0), 1) })).errors).toMatchObject([{ code: 'SOURCE_LOST' }]);
    });
  });

  test('an abort ends all', async () => {
    const stop = new AbortController();
    const half = (name: string): ServerSource => serverOf(many(name, 10).slice(0, 100), false);
    const running = dump({ a: half('a'), b: half('b') }, { signal: stop.signal });
    setImmediate(() => stop.abort());
    const summary = await running;
    expect(summary).toMatchObject({ interrupted: true, errors: [] });
    expect(existsSync(folder.at('a.rdb'))).toBe(false);
  });

  test('an output that cannot be written ends all, and leaves no name', async () => {
    const shards = [
      { name: 'a', master: 'a', output: folder.at('a.rdb') },
      { name: 'b', master: 'b', output: folder.at('no/b.rdb') },
    ];
    const servers = new Map([
      ['a', serverOf(many('a', 10))],
      ['b', serverOf(many('b', 10))],
    ]);
    const running = dumpShards(
      { sources: ['a', 'b'], servers, stdin: Readable.from([]), stdout: new PassThrough(), format: 'rdb' },
      shards,
    );
    await expect(running).rejects.toThrow('its folder does not exist');
    await until('nothing is left', () => Promise.resolve(files().every((name) => name.endsWith('.partial')))); // a file may just have been opened
  });

  test('a limit counts the keys of all', async () => {
    const summary = await dump({ a: serverOf(many('a', 10)), b: serverOf(many('b', 20)), c: serverOf(many('c', 30)) }, { limit: 15 });
    expect(summary).toMatchObject({ keys: 15, limited: true, errors: [] });
    expect(summary.files.map(({ keys }) => keys)).toEqual([10, 5]);
    expect(files()).toEqual(['a.rdb', 'b.rdb']);
  });

  test('other formats, and the same key in two shards', async () => {
    const all = { a: serverOf(many('k', 3)), b: serverOf(many('k', 4)) };
    const summary = await dump(all, { format: 'payload' });
    expect(summary).toMatchObject({ keys: 7, refused: 0, duplicates: 0 });
    expect(readFileSync(folder.at('b.rdb'), 'utf8').split('\n')).toHaveLength(5);
  });
});
