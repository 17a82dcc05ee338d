import { afterAll, expect, test } from 'vitest';
import { DatabaseCounter } from '../../src/pipeline/database-keys.js';
import { Folder } from '../support/cli-support.js';
import { casePath, serverPath, strings } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const KEYS = [146, 31, 35, 38];
const counted = async (bytes: number, ...sources: string[]): Promise<(number[] | undefined)[]> => {
  const counter = new DatabaseCounter(bytes);
  const all: (number[] | undefined)[] = [];
  for (const source of sources) all.push((await counter.of(source, undefined, undefined))?.map(({ keys }) => keys));
  return all;
};

test('counts the keys of each database, of one file after another', async () => {
  const large = folder.file('large.rdb', strings({ a: 'x'.repeat(3 << 20), '3:b': '', '3:c': 'x'.repeat(2 << 20) }));
  expect(await counted(1 << 30, serverPath('redis-7.0.15'), large, casePath('keydb_subexpire.rdb'))).toEqual([KEYS, [1, 2], [2]]);
});

test('gives up where the bytes end, or the file is damaged', async () => {
  const source = serverPath('redis-7.0.15');
  expect(await counted(1 << 20, source, source, source)).toEqual([KEYS, KEYS, undefined]);
  expect(await counted(1 << 30, casePath('sparse-tail.rdb'), folder.at('none.rdb'))).toEqual([undefined, undefined]);
});

test('stops at a signal', async () => {
  await expect(
    new DatabaseCounter(1 << 30).of(serverPath('redis-7.0.15'), undefined, AbortSignal.abort(new Error('stop'))),
  ).rejects.toThrow('stop');
});
