import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
