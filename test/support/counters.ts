import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { keySlot } from '../../src/library/helpers.js';
import { randomFrom } from './fault-proxy.js';
import type { RedisNode } from './redis-node.js';

/** What is written to a key, the `n`-th time. Each changes the value again where it is repeated or left out. */
const FORMS = {
  incr: (n: number) => ['INCRBY', `${(n % 7) + 1}`],
  append: (n: number) => ['APPEND', `${n},`],
  rpush: (n: number) => ['RPUSH', `${n}`],
  xadd: (n: number) => ['XADD', '*', 'n', `${n}`],
  setrange: (n: number) => ['SETRANGE', `${(n * 13) % 500}`, `${n},`],
} as const;
type Form = keyof typeof FORMS;
const NAMES = Object.keys(FORMS) as Form[];

/** Answers that say that nothing was done. */
const NOT_DONE = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|READONLY|MASTERDOWN|NOREPLICAS|OOM|BUSY)/;

export interface CountersOptions {
  /** Of each form. */
  readonly keys?: number;
  readonly seed?: number;
  /** Commands a second, about. */
  readonly perSecond?: number;
  /** What all keys begin with. */
  readonly prefix?: string;
}

interface Key {
  readonly name: string;
  readonly form: Form;
  /** Commands that were answered, and those of which nobody knows, since the connection ended. */
  answered: number;
  unknown: number;
}

/** Commands in flight at a time, each of another key, so that those of a key have an order. */
const BATCH = 50;

/**
 * Writes counters, texts, lists and streams, without a pause, to a server or to the masters of a cluster. Goes on over failovers and
 * restarts. A command whose answer is unknown is never sent again: it is counted.
 */
export class Counters {
  private readonly keys: Key[];
  private readonly connections = new Map<number, Redis>();
  private ports: readonly number[];
  /** Of the owner of each slot; none where it is no cluster. */
  private owners = new Map<number, number>();
  private readonly random: () => number;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private next = 0;
  /** How many commands may be written yet: see limit. */
  private left = Infinity;

  /** The nodes may be killed, and started again, while it writes. */
  constructor(
    nodes: readonly RedisNode[],
    private readonly options: CountersOptions = {},
  ) {
    const { keys = 100, prefix = 'count', seed = 1 } = options;
    this.ports = nodes.map(({ port }) => port);
    this.random = randomFrom(seed);
    this.keys = NAMES.flatMap((form) =>
      Array.from({ length: keys }, (_, i) => ({ name: `${prefix}:${form}:${i}`, form, answered: 0, unknown: 0 })),
    );
  }

  start(): this {
    this.stopped = false;
    this.running = this.run();
    return this;
  }

  /**
   * Pauses after this many more commands, until `unlimit`: what is written while nobody reads it has to fit into the backlog of the
   * source, however slow the machine is.
   */
  limit(commands: number): void {
    this.left = Math.min(this.left, commands);
  }

  unlimit(): void {
    this.left = Infinity;
  }

  /** All commands are answered then, or unknown. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    for (const connection of this.connections.values()) connection.disconnect();
    this.connections.clear();
  }

  get answered(): number {
    return this.keys.reduce((sum, key) => sum + key.answered, 0);
  }

  get unknown(): number {
    return this.keys.reduce((sum, key) => sum + key.unknown, 0);
  }

  private async run(): Promise<void> {
    const { perSecond = 5000 } = this.options;
    for (let due = performance.now(); !this.stopped; due += (BATCH * 1000) / perSecond) {
      if (this.left < BATCH) {
        await delay(10);
        due = performance.now();
        continue;
      }
      this.left -= BATCH;
      const from = Math.floor(this.random() * this.keys.length);
      const batch = Array.from({ length: Math.min(BATCH, this.keys.length) }, (_, i) => this.keys[(from + i * 7) % this.keys.length]);
      const done = await Promise.all([...new Set(batch)].map((key) => this.write(key)));
      if (done.includes(false)) {
        await this.learn();
        await delay(20);
      }
      const early = due - performance.now();
      if (early > 0) await delay(early);
      else due = performance.now();
    }
  }

  /** Whether there was an answer that says that it was done. */
  private async write(key: Key): Promise<boolean> {
    const [command, ...words] = FORMS[key.form](this.next++);
    const connection = this.connectionTo(key);
    if (connection.status !== 'ready') return false;
    try {
      await connection.call(command, key.name, ...words);
      key.answered++;
      return true;
    } catch (error) {
      const { message } = error as Error;
      if (NOT_DONE.test(message)) return false;
      if (/^[A-Z]+ /.test(message)) throw error;
      key.unknown++;
      return false;
    }
  }

  private connectionTo({ name }: Key): Redis {
    const port = this.owners.get(keySlot(name)) ?? this.ports[0];
    const known = this.connections.get(port);
    if (known !== undefined && known.status !== 'end') return known;
    const made = connectionTo(port);
    this.connections.set(port, made);
    return made;
  }

  /** Who has which slots now. */
  private async learn(): Promise<void> {
    for (const port of this.ports) {
      const asker = connectionTo(port, { enableOfflineQueue: true });
      const slots = await asker.call('CLUSTER', 'SLOTS').catch(() => undefined);
      asker.disconnect();
      if (slots === undefined) continue; // down, or no cluster
      for (const [first, last, [, owner]] of slots as [number, number, [string, number]][]) {
        for (let slot = first; slot <= last; slot++) this.owners.set(slot, owner);
      }
      return;
    }
  }

  /**
   * Lists and streams that lack what was answered, or have more than what is unknown can have made: these count commands. A failover may
   * lose what was answered, so this is not for clusters that had one.
   */
  async wrong(masters: readonly RedisNode[]): Promise<string[]> {
    const found: string[] = [];
    for (const { name, form, answered, unknown } of this.keys.filter(({ form }) => form === 'rpush' || form === 'xadd')) {
      const sizes = await Promise.all(masters.map(({ client }) => client.call(form === 'rpush' ? 'LLEN' : 'XLEN', name).catch(() => 0)));
      const size = Math.max(...sizes.map(Number));
      if (size < answered || size > answered + unknown) found.push(`${name}: ${size}, not ${answered} to ${answered + unknown}`);
    }
    return found;
  }
}

/** Never sends anything twice: what has no answer when the connection ends is an error. */
function connectionTo(port: number, { enableOfflineQueue = false } = {}): Redis {
  const never = { retryStrategy: () => null, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, enableReadyCheck: false };
  return new Redis({ port, host: '127.0.0.1', protocol: 2, commandTimeout: 20_000, ...never, enableOfflineQueue }).on(
    'error',
    () => undefined,
  );
}
