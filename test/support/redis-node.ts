import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { optionsFor, PROMPT, SERVER } from './redis-server.js';
import { until } from './until.js';

/** A server that can be killed and started again: with the same port and the same folder. */
export class RedisNode {
  private process: ChildProcess | undefined;
  private connection: Redis | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    private readonly options: readonly string[],
  ) {}

  static async start(...options: string[]): Promise<RedisNode> {
    for (let attempt = 1; ; attempt++) {
      const node = new RedisNode(await freePort(), mkdtempSync(join(tmpdir(), 'rdbkit-node-')), options);
      try {
        await node.restart();
        return node;
      } catch (error) {
        await node.stop();
        if (attempt === 5) throw error;
      }
    }
  }

  get name(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `redis://${this.name}`;
  }

  get runs(): boolean {
    return this.connection !== undefined;
  }

  /** A connection for single commands; another one after the server was killed. */
  get client(): Redis {
    if (this.connection === undefined) throw new Error('the server is not running');
    return this.connection;
  }

  /** Until it answers; it may be loading yet. */
  async restart(...more: string[]): Promise<void> {
    if (this.process !== undefined) throw new Error(`${this.name} has been started already`);
    const own = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.folder, '--save', ''];
    const others = optionsFor(['--enable-debug-command', 'yes', ...PROMPT, ...this.options, ...more]);
    const child = spawn(SERVER, [...own, ...others], { stdio: 'ignore' });
    this.process = child;
    const client = new Redis({
      ...{ port: this.port, host: '127.0.0.1', protocol: 2, enableReadyCheck: false },
      ...{ retryStrategy: () => 10, maxRetriesPerRequest: null, commandTimeout: 60_000 },
    });
    client.on('error', () => undefined); // refused until the server listens
    this.connection = client;
    await until(`${this.name} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`${SERVER} does not start`);
      const info = await Promise.race([client.info('server').catch(() => ''), delay(2000, '')]);
      return new RegExp(`^process_id:${child.pid}\\r?$`, 'm').test(info);
    });
  }

  /** By its own process, with SIGKILL or as asked. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.connection?.disconnect();
    this.connection = undefined;
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** To its own process. */
  signal(signal: NodeJS.Signals): void {
    this.process?.kill(signal);
  }

  /** SHUTDOWN SAVE: what it has is there after `restart`. */
  async shutdown(): Promise<void> {
    const child = this.process;
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    await this.client.config('SET', 'save', '3600 1');
    this.client.call('SHUTDOWN', 'SAVE').catch(() => undefined);
    await gone;
    await this.kill();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const listen = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', () => listener.close(() => resolve(port)));
  });

/** Ports of one worker of the tests, of 10,000 in all: a server that is started again finds its own free. */
const WORKERS = 10;
const SHARE = 10_000 / WORKERS;
const first = 12_000 + (Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS) * SHARE;
let next = Math.floor(Math.random() * SHARE);

/**
 * One that is free, and so is the one 10,000 above it, which the bus of a cluster takes: in a range of their own, so that they are nobody's
 * ports. None comes again soon: a client of a server that is gone may still look for it.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % SHARE);
    try {
      await listen(port);
      await listen(port + 10_000);
      return port;
    } catch {
      // somebody has it
    }
  }
}
