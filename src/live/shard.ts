import type { Input } from '../io/input.js';
import type { OpenOptions, ServerSource } from '../pipeline/run.js';
import type { Pass } from '../pipeline/passes.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import { SLOTS } from '../bytes/crc16.js';
import { openSocket } from '../redis/connect.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';
import type { ShardFacts } from './live-source.js';
import type { LiveOptions, Way } from './options.js';
import { onlyDatabase, OwnSlots } from './own-slots.js';
import { type OpenedNode, ReplicationInput } from './replication-input.js';

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
  /** The last reading of it. */
  input: ReplicationInput | undefined;
  private slots: OwnSlots | undefined;

  constructor(
    readonly facts: ShardFacts,
    readonly head: SourceHead,
    private readonly parts: ShardParts,
  ) {}

  get runId(): string {
    return this.facts.runId;
  }

  get way(): Way {
    return this.parts.way;
  }

  /** Keys that were left out since they are in slots of other nodes. */
  get strays(): number {
    return this.slots?.dropped ?? 0;
  }

  open({ allocate, signal }: OpenOptions): Input {
    const { options } = this.parts;
    const { onEvent, psyncCommand, retryFor } = options;
    const input = new ReplicationInput({
      ...{ name: this.facts.name, open: () => this.connect(), psyncCommand, retryFor, signal, onEvent, allocate },
      pass: this.pass(),
    });
    this.input = input;
    return input;
  }

  private async connect(): Promise<OpenedNode> {
    const { node, servers } = this.parts;
    const { process, socket } = await openSocket(servers.access, node);
    return { socket, name: node === undefined ? (process.address ?? this.facts.node) : addressText(node) };
  }

  /** What a replica is sent and this source does not have: strays in a cluster, and other databases than that of the URL. */
  private pass(): Pass | undefined {
    const { options, servers } = this.parts;
    const { db } = options.access.url;
    if (servers.owners !== undefined) {
      const wanted = new Uint8Array(SLOTS);
      for (const [from, to] of this.facts.slots) wanted.fill(1, from, to + 1);
      this.slots = new OwnSlots(wanted);
    }
    const passes = [...(this.slots === undefined ? [] : [this.slots.pass]), ...(db === undefined ? [] : [onlyDatabase(db)])];
    return passes.length === 0 ? undefined : (batch) => passes.forEach((pass) => pass(batch));
  }
}
