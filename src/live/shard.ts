import { createHash } from 'node:crypto';
import { SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import type { Input } from '../io/input.js';
import type { OpenOptions, ServerSource } from '../pipeline/run.js';
import type { Pass } from '../pipeline/passes.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import type { Opened } from '../redis/connect.js';
import type { ReadSlabs } from '../redis/read-slabs.js';
import type { Master } from '../redis/servers.js';
import { type Claim, OTHERS, owns } from './claim.js';
import type { ClusterState } from './cluster-state.js';
import type { ShardFacts } from './facts.js';
import type { NodeScanTarget, ScanCounts, ScanPosition } from './scan/scan-terms.js';
import type { LiveOptions, Way } from './options.js';
import { onlyDatabase, OwnSlots } from './own-slots.js';
import type { ReadNode } from './read-node.js';
import { type OpenedNode, ReplicationInput } from './replication-input.js';
import { ScanInput } from './scan/scan-input.js';
import type { ScanRounds } from './scan/scan-rounds.js';
import type { Snapshots } from './snapshots.js';

export interface ShardParts {
  readonly options: LiveOptions;
  /** Its place among the shards. */
  readonly index: number;
  readonly node: ReadNode;
  readonly way: Way;
  /** Undefined where there is no cluster. */
  readonly cluster: ShardCluster | undefined;
}

/** What the shards of a cluster share. */
export interface ShardCluster {
  readonly state: ClusterState;
  readonly snapshots: Snapshots;
  readonly rounds: ScanRounds;
}

/** Keys that cannot be read and are named. */
const MOST_NAMED = 100;

/** One server, or one master of a cluster, as a source. */
export class Shard implements ServerSource {
  /** The scan of the last reading. */
  private input: ScanInput | undefined;
  private slots: OwnSlots | undefined;
  private claim: Claim | undefined;
  /** By slot, 1 for those of the last scan. */
  private wanted: Uint8Array | undefined;
  /** By slot: keys of a scan that it left out. */
  private unowned: Uint32Array | undefined;
  private problems = 0;
  /** Where the next scan begins. */
  private from: ScanPosition | undefined;

  constructor(
    readonly facts: ShardFacts,
    readonly head: SourceHead,
    private readonly parts: ShardParts,
  ) {}

  /** Its place among the shards. */
  get index(): number {
    return this.parts.index;
  }

  get runId(): string {
    return this.facts.runId;
  }

  get replicationId(): string {
    return this.facts.replicationId;
  }

  get db(): number | undefined {
    return this.parts.options.access.url.db;
  }

  get way(): Way {
    return this.parts.way;
  }

  open(how: OpenOptions): Input {
    this.problems = 0;
    this.input = undefined;
    this.claim = undefined;
    // SCAN can leave out keys that do not matter
    if (this.way !== 'replication' || how.wants !== undefined) return this.scan(how);
    const { through } = this.parts.options;
    return through === undefined ? this.replicate(how) : through(this.facts.name, how, (own) => this.replicate(own));
  }

  /**
   * A scan can go on; what replication sends is of another moment each time. Of a cluster, a position is for the slots that the node had
   * then: keys of a slot that came since may be before it.
   */
  positionAt(offset: number): string | undefined {
    const position = this.input?.positionAt(offset);
    const node = position && (this.wanted === undefined ? position.runId : `${position.runId} ${digestOf(this.wanted)}`);
    return position && JSON.stringify([node, position.db, position.cursor]);
  }

  goOnFrom(position: string): void {
    const [node, db, cursor] = JSON.parse(position) as [node: string, db: number, cursor: string];
    const [runId, digest] = node.split(' ') as [string, string | undefined];
    const digestNow = this.parts.cluster && digestOf(this.planned);
    this.from = digest === digestNow ? { runId, db, cursor } : undefined;
  }

  /** By slot, 1 for those that the node had when it was reached. */
  private get planned(): Uint8Array {
    const planned = new Uint8Array(SLOTS);
    for (const [from, to] of this.facts.slots) planned.fill(1, from, to + 1);
    return planned;
  }

  private replicate({ allocate, signal }: OpenOptions): ReplicationInput {
    const { cluster, index, options } = this.parts;
    const { onEvent, onExactPosition, onPosition, psyncCommand, retryFor } = options;
    const { name } = this.facts;
    const wanted = new Uint8Array(SLOTS);
    this.slots = cluster && new OwnSlots(wanted);
    cluster?.snapshots.open(index);
    return new ReplicationInput({
      ...{ name, open: () => this.openNode(), psyncCommand, retryFor, signal, onEvent, allocate },
      onBegun: () => this.begun(),
      onPosition: onPosition && ((position) => onPosition(name, position)),
      onExactPosition: onExactPosition && ((position) => onExactPosition(name, position)),
      pass: this.passFor(this.slots),
    });
  }

  /** The master tells which slots are wanted; what is dropped then depends on which ones others have by now. */
  private async openNode(): Promise<OpenedNode> {
    const { cluster, index } = this.parts;
    if (cluster !== undefined && this.slots !== undefined) {
      const claim = await cluster.state.claimOf(index);
      this.slots.wanted.set(cluster.snapshots.wanted(index, claim));
      cluster.snapshots.begin(index, claim, this.slots);
    }
    return this.connect();
  }

  /**
   * Connects to the server that is read: after a failover, another one. `reads`: as for `openSocket`. Throws ServerError and
   * ConnectionLost.
   */
  async connect(reads?: ReadSlabs): Promise<OpenedNode> {
    const { node } = this.parts;
    const { process, socket } = await node.open(reads);
    return { socket, name: node.name ?? process.address ?? this.facts.node };
  }

  /** Its master now. Throws ServerError. */
  master(): Promise<Master> {
    return this.parts.node.master();
  }

  /** The same for its master, whatever is read. */
  async connectMaster(): Promise<OpenedNode> {
    const { master, opened } = await this.parts.node.openMaster();
    const { process, socket } = opened;
    return { socket, name: master.address === undefined ? (process.address ?? master.name) : master.name };
  }

  private async begun(): Promise<void> {
    const { cluster, index } = this.parts;
    if (cluster === undefined) return;
    cluster.snapshots.begun(index);
    const after = await cluster.state.claimOf(index).catch(() => undefined);
    if (after !== undefined) cluster.snapshots.told(index, after);
  }

  /** What a replica is sent and this source does not have: slots of others in a cluster, and other databases than that of the URL. */
  private passFor(slots: OwnSlots | undefined): Pass | undefined {
    const { db } = this;
    const passes = [...(slots === undefined ? [] : [slots.pass]), ...(db === undefined ? [] : [onlyDatabase(db)])];
    return passes.length === 0 ? undefined : (batch) => passes.forEach((pass) => pass(batch));
  }

  /** The same for an RDB that it sent earlier, when its slots were those that it has now. */
  get earlierPass(): Pass | undefined {
    return this.passFor(this.parts.cluster && new OwnSlots(this.planned));
  }

  private scan({ allocate, signal, wants }: OpenOptions): ScanInput {
    const { cluster, index, options } = this.parts;
    const { filter, functions, onEvent, onNote, retryFor, scan } = options;
    const { name } = this.facts;
    cluster?.rounds.open(index);
    const input = new ScanInput(cluster === undefined ? this.target() : this.slotTarget(cluster), {
      ...{ name, keys: cluster?.rounds.keys, filter, functions, scan, wants, retryFor, signal, allocate, onEvent, from: this.from },
      onNote: (text) => onNote?.(name, text),
      next: async (done) => cluster?.rounds.next(index, done),
      onClose: () => cluster?.rounds.close(index),
      onProblem: (db, key, reason) => {
        this.problems++;
        if (this.problems <= MOST_NAMED) onNote?.(name, `db ${db}, key ${formatText(key, 0, key.length)}: ${reason}: it is left out`);
      },
    });
    this.input = input;
    return input;
  }

  private target(): NodeScanTarget {
    return { name: this.facts.node, open: () => this.parts.node.open() };
  }

  /** READONLY goes to masters, too: one that is replaced while it is read goes on as a replica. */
  private slotTarget({ rounds, state }: ShardCluster): NodeScanTarget {
    const { index, node } = this.parts;
    const slots = (this.wanted = new Uint8Array(SLOTS));
    const { planned } = this;
    const goesOn = this.from !== undefined;
    const unowned = (this.unowned = new Uint32Array(SLOTS));
    let run: string | undefined;
    const open = async (): Promise<Opened> => {
      if (this.claim === undefined) {
        this.claim = await state.claimOf(index);
        slots.set(this.claim.states.map((is, slot) => (owns(is) && (!goesOn || planned[slot] === 1) ? 1 : 0)));
        rounds.begin(index, this.claim, slots);
      }
      const opened = await node.open();
      if (opened.process.runId !== run) unowned.fill(0); // the scan begins again
      run = opened.process.runId;
      return opened;
    };
    return { name: this.facts.node, open, slots, unowned, readOnly: true };
  }

  /** What is missing, after the last reading. */
  get gaps(): string[] {
    const { counts, problems } = this;
    const { name } = this.facts;
    const gaps: string[] = [];
    if (problems > 0) gaps.push(`${name}: ${problems === 1 ? 'a key' : `${problems} keys`} could not be read`);
    if (counts !== undefined && counts.restarts > 0) {
      const times = counts.restarts === 1 ? '' : ` ${counts.restarts} times`;
      gaps.push(`${name}: it was restarted or replaced${times} while it was read: keys that it lost then may be missing. Read it again`);
    }
    if (counts !== undefined && counts.swaps > 0) {
      gaps.push(`${name}: SWAPDB ran while it was read: keys may be missing, or come under both numbers. Read it again`);
    }
    return gaps;
  }

  /** Of the last scan. */
  private get counts(): Readonly<ScanCounts> | undefined {
    return this.input?.counts;
  }

  /** What else became of keys in the last reading. */
  get notes(): string[] {
    const { strays } = this;
    const gone = this.counts?.gone ?? 0;
    const { name } = this.facts;
    const notes: string[] = [];
    if (strays > 0) {
      const keys = strays === 1 ? 'a key is' : `${strays} keys are`;
      notes.push(`${name}: ${keys} left out: in slots that another node owns, as an interrupted migration leaves them`);
    }
    if (gone > 0) notes.push(`${name}: ${gone === 1 ? 'a key was' : `${gone} keys were`} deleted, or expired, before being read`);
    return notes;
  }

  /** Keys left out in slots that the node does not have. */
  private get strays(): number {
    const { claim, unowned } = this;
    const { cluster, index } = this.parts;
    if (cluster === undefined) return 0;
    if (this.way === 'replication') return cluster.snapshots.strays(index);
    const isStray = (slot: number): boolean => claim?.states[slot] === OTHERS && !cluster.rounds.wasRead(slot, index);
    return unowned?.reduce((sum, count, slot) => sum + (isStray(slot) ? count : 0), 0) ?? 0;
  }
}

const digestOf = (slots: Uint8Array): string => createHash('sha256').update(slots).digest('hex').slice(0, DIGEST_DIGITS);

const DIGEST_DIGITS = 16;
