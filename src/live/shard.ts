import type { Input } from '../io/input.js';
import type { OpenOptions, ServerSource } from '../pipeline/run.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import type { Master, Servers } from '../redis/servers.js';
import type { Address } from '../redis/url.js';
import type { ShardFacts } from './live-source.js';
import type { LiveOptions, Way } from './options.js';

export interface ShardParts {
  readonly options: LiveOptions;
  readonly servers: Servers;
  readonly master: Master;
  /** The node that is read; undefined if sentinels give it. */
  readonly node: Address | undefined;
  readonly way: Way;
}

/** One server, or one master of a cluster, as a source. */
export class Shard implements ServerSource {
  constructor(
    readonly facts: ShardFacts,
    readonly head: SourceHead,
    private readonly parts: ShardParts,
  ) {}

  get runId(): string {
    return this.facts.runId;
  }

  open(how: OpenOptions): Input {
    throw new TypeError(`${this.parts.way} ${how.chunkSize}`);
  }
}
