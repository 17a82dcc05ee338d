import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Result } from './cli-support.js';
import { until } from './until.js';

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

/** The built program while it runs. */
export class Running {
  /** Standard error so far. */
  err = '';
  readonly ended: Promise<Ended>;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [BIN, ...argv], { env: { ...process.env, ...env } });
    this.child.stderr.on('data', (text: Buffer) => (this.err += text.toString()));
    this.ended = collect(this.child);
  }

  get runs(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Until standard error matches; throws where it ends before. */
  async said(pattern: RegExp, patience?: number): Promise<void> {
    await until(`it says ${pattern}`, () => pattern.test(this.err) || !this.runs, patience);
    if (!pattern.test(this.err)) throw new Error(`it ended before it said ${pattern}: ${this.err}`);
  }

  /** SIGKILL, or as asked; until it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}
