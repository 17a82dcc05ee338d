import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Readable } from 'node:stream';
import type { Redis } from 'ioredis';
import { Collector, type Result, rdbkit } from './cli-support.js';
import type { TestServer } from './redis-server.js';
import { len, rdb, str } from './support.js';

const servers = fileURLToPath(new URL('../../fixtures/servers/', import.meta.url));
const cases = fileURLToPath(new URL('../../fixtures/cases/', import.meta.url));

/** The path of a file of a real server. */
export const serverPath = (name: string): string => join(servers, `${name}.rdb`);

/** The path of a file that went wrong once. */
export const casePath = (name: string): string => join(cases, name);

export const portOf = ({ client }: TestServer): number => client.options.port as number;

/** `redis://127.0.0.1:port` and what is to stand behind it. */
export const urlOf = (server: TestServer, path = ''): string => `redis://127.0.0.1:${portOf(server)}${path}`;

type World = Parameters<typeof rdbkit>[1];

/** Runs `rdbkit restore` without a process. */
export const restore = (argv: readonly string[], world?: World): Promise<Result> => rdbkit(['restore', ...argv], world);

/** What `--json` says. */
export interface Report {
  command: string;
  exitCode: number;
  keys: number;
  keysRead: number;
  keysRestored: number;
  keysReplaced: number;
  keysUncounted: number;
  keysUnanswered: number;
  keysSkipped: number;
  keysRejected: number;
  keysExpired: number;
  keysDamaged: number;
  keysTranscoded: number;
  keysFiltered: number;
  notKeys: number;
  interrupted: string | null;
  declined: boolean;
  resumed: boolean;
  limited: boolean;
  counts: ({ db: number; server?: string } & Record<string, number>)[];
  rejected: { file: string; db?: number; key?: string; reason: string }[];
  reasons: { db: number; reason: string; count: number; keys: string[] }[];
  unconfirmed: string[];
  functions: { file: string; name: string; outcome: string; servers?: { server: string; outcome: string }[] }[];
  commandsRefused: { server: string; command: string; error: string }[];
  evicted: { server: string; keys: number; policy: string }[];
  warnings: unknown[];
  notes?: string[];
  errors: { code: string; message: string; hint?: string; server?: string; got?: string }[];
  plan: { functions: { file: string; name: string; outcome: string }[]; keysThere: number; sources: unknown[]; target: { version: string; clustered: boolean; databases: number; masters: { name: string; keys: Record<string, number> }[] }; warnings: string[] };
}

/** The same with `--json`, which has to be the last thing on stderr and the only one. */
export async function report(argv: readonly string[], world?: World): Promise<Report & { code: number | null }> {
  const { code, err } = await restore([...argv, '--json'], world);
  const read = JSON.parse(err) as Report;
  return { ...read, code };
}

/** Standard streams of a terminal on which somebody types `answer`. */
export function terminal(answer: string): { stdin: Readable; stderr: Collector } {
  const stdin = Object.assign(Readable.from([Buffer.from(answer)]), { isTTY: true });
  const stderr = new Collector();
  stderr.isTTY = true;
  return { stdin, stderr };
}

export const digestOf = async ({ client }: Pick<TestServer, 'client'>): Promise<string> => String(await client.call('DEBUG', 'DIGEST'));

/** How often a server was sent a command since the last CONFIG RESETSTAT. */
export async function callsOf(client: Redis, command: string): Promise<number> {
  const stats = await client.info('commandstats');
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
}

/** Unix milliseconds as an RDB has them. */
export function expiry(at: number): (number | Uint8Array)[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(at), true);
  return [0xfc, bytes];
}

/** An RDB of strings: by key, or `db:key` for another database than 0. */
export function strings(values: Readonly<Record<string, string>>): Uint8Array {
  const records = Object.entries(values).flatMap(([name, value]) => {
    const [, db = '0', key] = /^(?:(\d+):)?(.*)$/s.exec(name) as unknown as [string, string | undefined, string];
    return [0xfe, len(Number(db)), 0, str(key), str(value)];
  });
  return rdb('REDIS0009', records);
}
