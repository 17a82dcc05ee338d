import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect } from 'vitest';
import { Folder, rdbkit, type Result } from './cli-support.js';
import { contentOf, differences, type FaultData, faultData } from './fault-data.js';
import type { RedisNode } from './redis-node.js';

/** What `--json` says at the end. */
export interface Summary {
  keysRestored: number;
  keysReplaced: number;
  keysSkipped: number;
  keysRejected: number;
  resumed: boolean;
  counts: { db: number; server?: string; restored: number; replaced: number }[];
  unconfirmed: string[];
  errors?: { code: string; message: string; hint: string }[];
}

export interface Restored extends Result {
  summary: Summary;
}

/** Values over 2 MiB go by way of a temporary key. */
const MAX_PAYLOAD = ['--max-payload', '2mb'];
/** Time enough for something to happen meanwhile. */
export const SLOWLY = ['--max-keys-per-second', '15000', '--max-in-flight', '64kb'];

export async function restore(argv: readonly string[], stdin?: Readable): Promise<Restored> {
  const result = await rdbkit(['restore', ...argv, ...MAX_PAYLOAD, '--json'], stdin === undefined ? {} : { stdin });
  const summary = JSON.parse(result.err.trim().split('\n').at(-1) ?? '') as Summary;
  return { ...result, summary };
}

interface FaultSource {
  readonly folder: Folder;
  /** From `beforeAll` on. */
  data: FaultData;
  source: string;
}

/** 20,000 keys and a file of them, made before the tests of a file and removed after them. */
export function faultSource(): FaultSource {
  const folder = new Folder();
  const made = { folder } as FaultSource;
  beforeAll(async () => {
    made.data = await faultData(20_000);
    made.source = folder.file('source.rdb', made.data.rdb);
  });
  afterAll(() => folder.remove());
  return made;
}

/** What is not as in the data. Expiries may be `late` milliseconds late. */
export const wrongIn = async (nodes: readonly RedisNode[], { content }: FaultData, late = 0): Promise<string[]> =>
  differences(await contentOf(nodes.map(({ client }) => client)), content, late);

/** All keys are counted, each of them once. */
export function expectAll({ code, err, summary }: Restored, { content }: FaultData): void {
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  expect(summary).toMatchObject({ keysRejected: 0, keysSkipped: 0 });
  expect(summary.keysRestored + summary.keysReplaced).toBe(content.size);
}
