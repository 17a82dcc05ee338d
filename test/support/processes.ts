import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Result } from './cli-support.js';

/** The folder of the package that test/support/package.ts built. */
export const PACKAGE = process.env.RDBKIT_TEST_PACKAGE ?? '';
/** The built program. */
export const BIN = join(PACKAGE, 'bin', 'rdbkit.js');
/** Of the environment, with `rdbkit` on it. */
export const PATH = `${join(PACKAGE, 'bin')}:${process.env.PATH ?? ''}`;

export interface Ended extends Result {
  signal: NodeJS.Signals | null;
}

/** Runs a shell command; `$NODE` and `$RDBKIT` in it are node and the built program. */
export function shell(command: string): Promise<Ended> {
  return collect(spawn('bash', ['-c', command], { env: { ...process.env, RDBKIT: BIN, NODE: process.execPath } }));
}

export function collect(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
  });
}
