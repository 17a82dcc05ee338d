import { Cluster } from 'ioredis';
import { randomFrom } from './fault-proxy.js';
import type { RedisNode } from './redis-node.js';

export interface ClusterWriterOptions {
  readonly seed?: number;
  /** Hash tags of the keys. */
  readonly tags: readonly string[];
  /** Keys of each tag. */
  readonly keys?: number;
}

const AT_ONCE = 40;

/** Writes to a cluster as its clients do: where a slot has moved to, and to where it is on its way. Keys come and go. */
export class ClusterWriter {
  written = 0;
  private readonly random: () => number;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private readonly cluster: Cluster;

  constructor(
    nodes: readonly RedisNode[],
    private readonly options: ClusterWriterOptions,
  ) {
    this.random = randomFrom(options.seed ?? 1);
    this.cluster = new Cluster(
      nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      { redisOptions: { maxRetriesPerRequest: null }, slotsRefreshInterval: 500 },
    );
    this.cluster.on('error', () => undefined);
  }

  start(): this {
    this.running = this.run();
    return this;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    this.cluster.disconnect();
  }

  private async run(): Promise<void> {
    while (!this.stopped) await Promise.all(Array.from({ length: AT_ONCE }, () => this.write().catch(() => undefined)));
  }

  private async write(): Promise<void> {
    const { keys = 30, tags } = this.options;
    const below = (count: number): number => Math.floor(this.random() * count);
    const forms = ['incr', 'append', 'rpush', 'set', 'del', 'lpop'] as const;
    const which = below(forms.length * 3);
    const form = forms[Math.min(which, forms.length + 2) % forms.length];
    const kind = form === 'incr' || form === 'append' ? form : form === 'rpush' || form === 'lpop' ? 'list' : 'any';
    const stem = form === 'del' || form === 'set' ? ['incr', 'append', 'list', 'any'][below(4)] : kind;
    const key = `{${tags[below(tags.length)]}}${stem}${below(keys)}`;
    const words = { incr: [], append: [`${this.written},`], rpush: [`${this.written}`], set: [`${this.written}`], del: [], lpop: [] }[form];
    await this.cluster.call(form, key, ...words);
    this.written++;
  }
}
