import { SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import type { Input } from '../io/input.js';
import type { OpenOptions, ServerSource } from '../pipeline/run.js';
import type { Pass } from '../pipeline/passes.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import { type Opened, openSocket } from '../redis/connect.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';
import type { KeySet } from '../values/key-set.js';
import type { ShardFacts } from './facts.js';
import type { NodeScanTarget, ScanCounts, ScanPosition } from './scan-terms.js';
import type { LiveOptions, Way } from './options.js';
import { onlyDatabase, OwnSlots } from './own-slots.js';
import { type OpenedNode, ReplicationInput } from './replication-input.js';
import { ScanInput } from './scan-input.js';

export interface ShardParts {
  readonly options: LiveOptions;
  readonly servers: Servers;
  readonly master: Master;
  /** The node that is read; undefined if sentinels give it. */
  readonly node: Address | undefined;
  readonly way: Way;
  /** The keys that scans of all shards have written. */
  readonly keys: KeySet;
}

/** Keys that cannot be read and are named. */
const MOST_NAMED = 100;

/** One server, or one master of a cluster, as a source. */
export class Shard implements ServerSource {
  /** Of the last reading. */
  private input: ReplicationInput | ScanInput | undefined;
  private slots: OwnSlots | undefined;
  private problems = 0;
  /** Where the next scan begins. */
  private from: ScanPosition | undefined;

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

  open(how: OpenOptions): Input {
    this.problems = 0;
    this.input = this.way === 'replication' ? this.replicate(how) : this.scan(how);
    return this.input;
  }

  /** A scan can go on; what replication sends is of another moment each time. */
  positionAt(offset: number): string | undefined {
    const position = this.input instanceof ScanInput ? this.input.positionAt(offset) : undefined;
    return position && JSON.stringify([position.runId, position.db, position.cursor]);
  }

  goOnFrom(position: string): void {
    const [runId, db, cursor] = JSON.parse(position) as [runId: string, db: number, cursor: string];
    this.from = { runId, db, cursor };
  }

  private replicate({ allocate, signal }: OpenOptions): ReplicationInput {
    const { onEvent, psyncCommand, retryFor } = this.parts.options;
    return new ReplicationInput({
      ...{ name: this.facts.name, open: () => this.openNode(), psyncCommand, retryFor, signal, onEvent, allocate },
      pass: this.pass(),
    });
  }

  private async openNode(): Promise<OpenedNode> {
    const { process, socket } = await this.connect();
    const { node } = this.parts;
    return { socket, name: node === undefined ? (process.address ?? this.facts.node) : addressText(node) };
  }

  private connect(): Promise<Opened> {
    return openSocket(this.parts.servers.access, this.parts.node);
  }

  /** What a replica is sent and this source does not have: strays in a cluster, and other databases than that of the URL. */
  private pass(): Pass | undefined {
    const { db } = this.parts.options.access.url;
    const { wanted } = this;
    this.slots = wanted && new OwnSlots(wanted);
    const passes = [...(this.slots === undefined ? [] : [this.slots.pass]), ...(db === undefined ? [] : [onlyDatabase(db)])];
    return passes.length === 0 ? undefined : (batch) => passes.forEach((pass) => pass(batch));
  }

  private scan({ allocate, signal }: OpenOptions): ScanInput {
    const { keys, options } = this.parts;
    const { filter, onEvent, onNote, retryFor, scan } = options;
    const { facts, wanted } = this;
    const { name } = facts;
    const target: NodeScanTarget = {
      ...{ name: facts.node, open: () => this.connect(), slots: wanted, readOnly: wanted !== undefined && facts.replicaOf !== undefined },
    };
    return new ScanInput(target, {
      ...{ name, keys, filter, scan, retryFor, signal, allocate, onEvent, onNote, from: this.from },
      onProblem: (db, key, reason) => {
        this.problems++;
        if (this.problems <= MOST_NAMED) onNote?.(`db ${db}, key ${formatText(key, 0, key.length)}: ${reason}: it is left out`);
      },
    });
  }

  /** By slot, 1 for those of this node; undefined where there is no cluster. */
  private get wanted(): Uint8Array | undefined {
    if (this.parts.servers.owners === undefined) return undefined;
    const wanted = new Uint8Array(SLOTS);
    for (const [from, to] of this.facts.slots) wanted.fill(1, from, to + 1);
    return wanted;
  }

  /** What is missing, after the last reading. */
  get gaps(): string[] {
    const { facts, problems } = this;
    return problems === 0 ? [] : [`${facts.name}: ${problems === 1 ? 'a key' : `${problems} keys`} could not be read`];
  }

  /** What else became of keys in the last reading. */
  get notes(): string[] {
    const counts: Readonly<ScanCounts> | undefined = this.input instanceof ScanInput ? this.input.counts : undefined;
    const [strays, gone] = [this.slots?.dropped ?? counts?.unowned ?? 0, counts?.gone ?? 0];
    const { name } = this.facts;
    const notes: string[] = [];
    if (strays > 0) {
      const keys = strays === 1 ? 'a key is' : `${strays} keys are`;
      notes.push(`${name}: ${keys} left out: in slots that another node owns, as an interrupted migration leaves them`);
    }
    if (gone > 0) notes.push(`${name}: ${gone === 1 ? 'a key was' : `${gone} keys were`} deleted, or expired, before being read`);
    return notes;
  }
}
