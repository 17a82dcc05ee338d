import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { parseTarget, type Target } from '../../src/values/targets.js';

/** The server under test: `redis-server` on PATH, or what REDIS_SERVER names (any Redis or Valkey). */
export const SERVER = process.env.REDIS_SERVER ?? 'redis-server';

/**
 * Options of every test server unless a test says otherwise: a transfer starts at once instead of waiting 5 s for other replicas, and
 * finished child processes are noticed a hundred times a second instead of ten.
 */
export const PROMPT = ['--repl-diskless-sync-delay', '0', '--hz', '100'] as const;

/** Redis before 7.0: no PEXPIRETIME, no functions. */
export const IS_OLD = / v=[0-6]\./.test(spawnSync(SERVER, ['--version'], { encoding: 'utf8' }).stdout);

/** Options by pairs of name and value, as the server under test knows them: others were before 7.0. */
export function optionsFor(options: readonly string[]): readonly string[] {
  if (!IS_OLD) return options;
  const known: string[] = [];
  for (let i = 0; i < options.length; i += 2) {
    if (options[i] !== '--enable-debug-command' && options[i] !== '--sanitize-dump-payload') known.push(options[i].replace('-listpack-', '-ziplist-'), options[i + 1]);
  }
  return known;
}

/** A server of its own, on a free port of the loopback interface, in a temporary folder. */
export class TestServer {
  private constructor(
    private readonly process: ChildProcess,
    private readonly folder: string,
    readonly client: Redis,
  ) {}

  /** Another process may take the port in between: then that answers, or nobody, and it is tried again. */
  static async start(...options: string[]): Promise<TestServer> {
    for (let attempt = 1; ; attempt++) {
      const server = await TestServer.attempt(options);
      const info = await server.client.info('server').catch(() => '');
      if (new RegExp(`^process_id:${server.process.pid}\\r?$`, 'm').test(info)) return server;
      await server.stop();
      if (attempt === 5) throw new Error(`${SERVER} does not start`);
    }
  }

  private static async attempt(options: readonly string[]): Promise<TestServer> {
    const folder = mkdtempSync(join(tmpdir(), 'rdbkit-server-'));
    const port = await freePort();
    const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...PROMPT];
    const child = spawn(SERVER, [...own, ...optionsFor(options)], { stdio: 'ignore' });
    const retryStrategy = (times: number): number | null => (times < 500 ? 10 : null);
    const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, protocol: 2, retryStrategy });
    client.on('error', () => undefined); // refused until the server listens
    const server = new TestServer(child, folder, client);
    await client.connect().catch(() => undefined);
    await client.ping().catch(() => undefined);
    return server;
  }

  /** What it is as a target of dumps. */
  async target(): Promise<Target> {
    const info = await this.client.info('server');
    const release = /valkey_version:(\S+)/.exec(info)?.[1];
    return parseTarget(release === undefined ? (/redis_version:(\S+)/.exec(info)?.[1] ?? '') : `valkey-${release}`);
  }

  /** SAVE, and what it wrote. */
  async save(): Promise<Uint8Array> {
    await this.client.call('SAVE');
    return new Uint8Array(readFileSync(join(this.folder, 'dump.rdb')));
  }

  /** Replaces what it has by what an RDB has. */
  async load(rdb: Uint8Array): Promise<void> {
    writeFileSync(join(this.folder, 'dump.rdb'), rdb);
    await this.client.call('DEBUG', 'RELOAD', 'NOSAVE');
  }

  /** Sends commands as they are; returns what redis-cli --pipe says of the replies. */
  pipe(commands: Uint8Array): string {
    const { stdout, stderr } = spawnSync('redis-cli', ['-p', `${this.client.options.port}`, '--pipe'], { input: commands });
    return `${stderr.toString()}${stdout.toString().trimEnd().split('\n').at(-1)}`;
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const gone = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.kill('SIGKILL');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Nobody listens at it now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      listener.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
