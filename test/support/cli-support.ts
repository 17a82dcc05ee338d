import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Interruption, type InterruptSignal } from '../../src/cli/exit.js';
import { main } from '../../src/cli/main.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** 250 keys in databases 0, 1, 2 and 15, of all six types; every expiry is in the future. */
export const FIXTURE = join(root, 'fixtures', 'servers', 'redis-7.0.15.rdb');
export const rdb = (): Buffer => readFileSync(FIXTURE);

/** A folder of the test file's own. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'rdbkit-cli-'));

  file(name: string, content: string | Uint8Array): string {
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  at(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class Collector extends Writable {
  private readonly chunks: Buffer[] = [];
  isTTY = false;
  columns: number | undefined;

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.chunks.push(Buffer.from(chunk));
    done();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

interface World {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Collector;
  env?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls `main` without a process. */
export async function rdbkit(argv: readonly string[], world: World = {}): Promise<Result> {
  const [out, err] = [new Collector(), world.stderr ?? new Collector()];
  const { env = {}, signal, stdin = Readable.from([]), stdout = out } = world;
  const code = await main(argv, { stdin, stdout, stderr: err, env, signal });
  return { code, out: out.text, err: err.text };
}

export const decode = (...argv: string[]): Promise<Result> => rdbkit(['decode', ...argv]);

export interface Line {
  db: number;
  key: string;
  type: string;
  expireAt?: number;
}

export const lines = (text: string): Line[] => text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);

export function aborted(by: InterruptSignal): AbortSignal {
  return AbortSignal.abort(new Interruption(by));
}

/** The package, built into a folder of its own: neither waits for nor disturbs `dist/`. esbuild does it in a second, where tsc takes ten; types are checked elsewhere. */
export function buildPackage(folder: Folder): string {
  cpSync(join(root, 'bin'), folder.at('bin'), { recursive: true });
  for (const file of ['package.json', 'bundle.mjs']) cpSync(join(root, file), folder.at(file));
  symlinkSync(join(root, 'node_modules'), folder.at('node_modules'), 'dir');
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => /(?<!\.d)\.ts$/.test(name) && !name.startsWith(join('kernels', 'assembly')));
  const esbuild = join(root, 'node_modules', '.bin', 'esbuild');
  execFileSync(esbuild, [...sources.map((name) => join('src', name)), '--outbase=src', '--format=esm', '--target=node20', '--log-level=warning', `--outdir=${folder.at('dist')}`], { cwd: root });
  execFileSync('npm', ['run', '--silent', 'bundle'], { cwd: folder.path });
  for (const to of ['kernels', 'bin']) cpSync(join(root, 'src', 'kernels', 'kernels.wasm'), folder.at(join('dist', to, 'kernels.wasm')));
  return folder.at(join('bin', 'rdbkit.js'));
}

export interface Ended extends Result {
  signal: NodeJS.Signals | null;
}

/** Runs a shell command; `$NODE` and `$RDBKIT` in it are node and the built program. */
export function shell(command: string, bin: string): Promise<Ended> {
  return collect(spawn('bash', ['-c', command], { env: { ...process.env, RDBKIT: bin, NODE: process.execPath } }));
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
