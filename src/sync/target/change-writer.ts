import { keySlot } from '../../bytes/crc16.js';
import { formatText } from '../../bytes/text.js';
import { encodeCommand } from '../../redis/commands.js';
import { refusalOf, redirection } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import { Signal } from '../../redis/signal.js';
import type { KeyName } from '../fences.js';
import { slotsText } from '../record.js';
import { type BatchFailure, type ChangeBatch, isNamed } from './change-batch.js';
import { Detached, detachedBy } from './detached.js';
import { Gathering } from './gathering.js';
import { labelOf, recordSlot } from './lane-records.js';
import { MovingSlots } from './moving-slots.js';
import { OwnCommands } from './own-commands.js';
import { RecordCommands, type RecordCommandsOptions } from './record-commands.js';
import { Replicas } from './replicas.js';
import { TargetConnection } from './target-connection.js';

export interface ChangeWriterOptions extends RecordCommandsOptions {
  readonly servers: Servers;
  /** Database of the records. */
  readonly recordDb: number;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  /** Milliseconds without a reply that is due. */
  readonly patience: number;
  /** Slots that are on their way to another master. */
  readonly moving: ReadonlySet<number>;
  /** A command was refused: its keys have to be fetched. Nothing counts as certain until `settled` is called. */
  readonly onRefused: (args: readonly Uint8Array[], db: number, error: string) => void;
  readonly onCertain: (offset: number) => void;
  readonly onNote: (text: string) => void;
  /** Nothing more can be sent, as the next call says. */
  readonly onBroken: () => void;
}

/** Commands and bytes of a transaction at most. */
const MOST_COMMANDS = 1000;
const MOST_BYTES = 1 << 20;
/** Bytes in flight to a server at most. */
const WINDOW = 4 << 20;
/** Commands, and bytes, that are sent and not certain, at most: after a loss, the keys of all of them may have to be fetched. */
const MOST_UNCERTAIN = 20_000;
/** Bytes that `sent` is put ahead, and what is left of them when it is put ahead again. */
const AHEAD = 512 << 10;
const AHEAD_LEFT = 256 << 10;
/** Milliseconds between two records. */
const RECORD_EVERY = 100;

const MULTI = encodeCommand(['MULTI']);

/** A place in the stream: everything before it was sent when the connections had sent this many batches. */
interface Mark {
  readonly offset: number;
  readonly db: number;
  readonly commands: number;
  readonly batches: readonly number[];
  /** What the records sent so far say is certain. */
  readonly recorded: number;
}

/** Sends the writes of a lane to the masters of the target, and keeps the records of what is certain there. */
export class ChangeWriter {
  /** Everything up to this offset is applied, at masters and replicas, and database of the stream there. */
  certain: number;
  private certainDb: number;
  /** Why nothing more can be sent. */
  private broken: Detached | undefined;
  private readonly connections: TargetConnection[];
  /** By slot: the index of its connection, -1 for none; undefined for a single server. As of when the writer was attached. */
  private readonly owners: Int16Array | undefined;
  private readonly change = new Signal();
  private marks: Mark[] = [];
  /** The end of the last unit that was put. */
  private offset: number;
  private db: number;
  /** Commands put so far, and of those that are certain. */
  private put = 0;
  private certainCommands = 0;
  /** Nothing beyond it may be sent; `asked` is on its way. */
  private allowed: number;
  private asked: number;
  /** The place that the last record sent says is certain. */
  private recorded: number;
  /** What all masters have answered that they have recorded as certain: another run would go on from there. */
  kept: number;
  /** The same, confirmed by replicas. */
  durable: number;
  /** Up to this offset, whatever the records say, commands may have been applied in part. */
  private doubtTo = -1;
  /** Refused commands whose keys are not fetched yet. */
  private unsettled = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly gathering: Gathering;
  private readonly records: RecordCommands;
  private readonly own: OwnCommands;
  private readonly replicas: Replicas;
  private readonly moving: MovingSlots;

  private constructor(
    private readonly options: ChangeWriterOptions,
    from: { readonly offset: number; readonly db: number; readonly sent: number },
  ) {
    this.certain = this.offset = from.offset;
    this.allowed = this.asked = from.sent;
    this.recorded = this.kept = this.durable = from.offset;
    this.certainDb = this.db = from.db;
    if (options.transactions) this.doubtTo = from.sent;
    const { confirm, onNote, recordDb, servers } = options;
    this.owners = servers.owners;
    const places = servers.masters.map((_, index) => recordSlot(servers, index, options.moving));
    const slots = servers.masters.map(({ name }) => (servers.clustered ? slotsText(servers.rangesOfMaster(name)) : ''));
    this.records = new RecordCommands(options, places, slots);
    const connectionTo = (master: Master): TargetConnection => this.connectionTo(master);
    const connections = (this.connections = servers.masters.map(connectionTo));
    this.gathering = new Gathering(connections, () => this.flush());
    const parts = { servers, connections, onNote, breakOff: (reason: Detached) => this.breakOff(reason) };
    const flushGathered = (): void => this.gathering.flush();
    const own = (this.own = new OwnCommands({ ...parts, recordDb, broken: () => this.broken, flushGathered }));
    this.replicas = new Replicas({ ...parts, answered: () => this.answered() });
    this.moving = new MovingSlots({ ...parts, own, confirm, connectionTo });
  }

  /** Connects to all masters. Throws Detached. */
  static async attach(
    options: ChangeWriterOptions,
    from: { offset: number; db: number; sent: number },
  ): Promise<ChangeWriter> {
    const writer = new ChangeWriter(options, from);
    try {
      await Promise.all(writer.connections.map((connection) => connection.connect()));
      if (options.transactions) await writer.joinSets();
    } catch (error) {
      writer.close();
      throw error;
    }
    writer.timer = setInterval(() => writer.tick(), RECORD_EVERY);
    return writer;
  }

  private connectionTo(master: Master): TargetConnection {
    const { confirm, keys, lane, patience, servers } = this.options;
    const connection = new TargetConnection(
      {
        ...{ name: master.name, clock: servers.clockOf(master.name), patience, label: labelOf(`${keys.prefix}${keys.id}:${lane}`) },
        open: () => servers.openSocket(master),
      },
      {
        answered: () => this.answered(),
        refused: (at, batch, failure) => this.refused(at, batch, failure),
        lost: (at, reason) => this.breakOff(new Detached(at.name, reason)),
      },
    );
    connection.replicas = confirm ? master.replicas : 0;
    return connection;
  }

  /** In transactions, SETs are sent as MSET if the user may run that. */
  private async joinSets(): Promise<void> {
    const [connection] = this.connections;
    if (await connection.takes(['MSET', `${this.options.keys.records(-1)}:none`, ''])) connection.open.joinSets();
  }

  /** Where its records are. */
  get recordPlaces(): { readonly master: Master; readonly slot: number }[] {
    const { masters } = this.options.servers;
    return this.connections.flatMap(({ name }, index) => {
      const master = masters.find((one) => one.name === name);
      return master === undefined ? [] : [{ master, slot: this.records.places[index] }];
    });
  }

  /** Sends nothing more: whoever waits gets the reason. */
  end(reason: string): void {
    this.breakOff(new Detached(this.connections[0].name, reason));
  }

  /** The master that has a slot; -1 if none has. */
  ownerOf(slot: number): number {
    const { owners } = this;
    return owners === undefined ? 0 : owners[slot];
  }

  ownerOfKey(key: Uint8Array): number {
    return this.sharded ? this.ownerOf(keySlot(key)) : 0;
  }

  /** Database of the stream at `certain`. */
  get dbAtCertain(): number {
    return this.certainDb;
  }

  /** Whether transactions of the source need a MULTI and EXEC of their own. */
  get wrapsUnits(): boolean {
    return !this.options.transactions;
  }

  /** Whether keys go to different masters by slot. */
  get sharded(): boolean {
    return this.owners !== undefined;
  }

  /** Puts a command; `owner` is the index of a master. */
  send(owner: number, db: number, bytes: Uint8Array, start: number, end: number): void {
    if (owner < 0) {
      this.breakOff(new Detached(this.connections[0].name, 'no master has the slot of a key that was written'));
      return;
    }
    this.put++;
    this.connections[owner].add(db, bytes, start, end);
  }

  /** Puts commands that belong together, in pieces; `commands` begin in them. */
  sendPieces(owner: number, db: number, pieces: readonly Uint8Array[], commands: number): void {
    this.put += commands;
    this.connections[owner].addPieces(db, pieces, commands);
  }

  /** All commands so far are those of the stream up to this offset, which is no place within a transaction of the source. */
  unitEnd(offset: number, db: number): void {
    this.offset = offset;
    this.db = db;
    if (!this.options.transactions) return;
    const { open } = this.connections[0];
    if (open.commands >= MOST_COMMANDS || open.size >= MOST_BYTES) this.flush();
  }

  /** The writes of a piece of the stream are put from now on. */
  beginPiece(): void {
    this.gathering.beginPiece();
  }

  /** All writes of the piece were put: they are sent, now or soon. */
  endPiece(): void {
    this.gathering.endPiece();
  }

  /** Sends what was put. */
  flush(): void {
    const { options, connections } = this;
    this.gathering.sent();
    if (options.transactions) this.flushTransaction(connections[0]);
    else for (const connection of connections) connection.flush();
    if (!options.transactions && options.fences.wanted.size > 0) return;
    const last = this.marks.at(-1);
    if (last?.offset === this.offset && last.batches.every((sent, i) => sent === connections[i].sent)) return;
    const { db, offset, put, recorded } = this;
    this.marks.push({ offset, db, commands: put, batches: connections.map(({ sent }) => sent), recorded });
    this.advance();
    this.replicas.confirmIfDue();
  }

  private flushTransaction(connection: TargetConnection): void {
    if (connection.open.commands === 0) return;
    const { recordDb } = this.options;
    const { certain, certainDb, doubtTo, offset, records } = this;
    const record = records.record(0, { certain, db: certainDb, sent: Math.max(offset, doubtTo) });
    this.recorded = certain;
    const selects = connection.db === recordDb ? [] : [['SELECT', `${recordDb}`]];
    const after = [...selects, ...records.newFences(offset), record, ['EXEC']].map(encodeCommand);
    connection.db = recordDb;
    connection.flush(MULTI, Buffer.concat(after), after.length + 1);
  }

  /** Waits, if it has to, until commands up to this offset may be sent. Throws Detached. */
  allow(offset: number): Promise<void> | undefined {
    this.assertWhole();
    if (this.options.transactions) return undefined;
    if (offset <= this.allowed) {
      if (this.allowed - offset < AHEAD_LEFT && this.asked === this.allowed) void this.goAhead(offset).catch(() => undefined);
      return undefined;
    }
    return this.untilAllowed(offset);
  }

  private async untilAllowed(offset: number): Promise<void> {
    while (this.allowed < offset) {
      if (this.asked < offset) await this.goAhead(offset);
      else await this.wait();
    }
  }

  private goAhead(offset: number): Promise<void> {
    return this.writeRecord(this.certain, this.certainDb, Math.max(offset + AHEAD, this.asked));
  }

  /** Everything that was put is certain: the records say that nothing beyond was sent. Throws Detached. */
  async finish(): Promise<void> {
    await this.untilCertain();
    this.asked = this.allowed = this.certain;
    await this.writeRecord(this.certain, this.certainDb, this.certain);
  }

  /** Writes the records on all masters. What they say of `sent` only grows. Throws Detached. */
  async writeRecord(certain: number, db: number, sent: number): Promise<void> {
    const { recordDb } = this.options;
    this.asked = Math.max(this.asked, sent, this.doubtTo);
    const place = { certain, db, sent: this.asked };
    this.recorded = certain;
    const fences = this.records.newFences(certain);
    await this.own.everywhere((connection, index) =>
      this.own.send(connection, recordDb, [...fences, this.records.record(index, place)]),
    );
    this.kept = Math.max(this.kept, certain);
    this.allowed = Math.max(this.allowed, place.sent);
    this.change.fire();
  }

  /** Tells all masters which slots belong to which lane. Throws Detached. */
  async writeSlots(text: string): Promise<void> {
    const { recordDb } = this.options;
    await this.own.everywhere((connection, index) => this.own.send(connection, recordDb, [this.records.lanes(index, text)]));
  }

  /**
   * Records that keys of a master may have the values that the source had at these offsets, which are beyond what was sent. It is
   * answered when this resolves. `lane`: whose offsets they are.
   */
  async fence(owner: number, keys: readonly (KeyName & { readonly offset: number })[], lane?: number): Promise<void> {
    const { recordDb } = this.options;
    for (const command of this.records.fences(owner, keys, lane)) await this.own.send(this.connections[owner], recordDb, [command]);
  }

  /** Removes fences that the stream has passed. */
  async unfence(owner: number, keys: readonly KeyName[]): Promise<void> {
    const { recordDb } = this.options;
    for (const command of this.records.noFences(owner, keys)) await this.own.send(this.connections[owner], recordDb, [command]);
  }

  /** Before a unit that ends at this offset is applied in parts: it is in doubt until it is certain. */
  async doubt(offset: number): Promise<void> {
    await this.drained();
    this.doubtTo = offset;
    await this.writeRecord(this.certain, this.certainDb, offset);
  }

  /** Runs a command on every master, with everything before it answered. Returns what errors it was answered with. Throws Detached. */
  async alone(db: number, command: Uint8Array | readonly Uint8Array[]): Promise<string[]> {
    await this.drained();
    return this.own.alone(db, command);
  }

  /** Sends a command whose answer does not matter. */
  aside(owner: number, args: readonly Uint8Array[]): void {
    const bytes = encodeCommand(args);
    this.connections[owner].open.add(bytes, 0, bytes.length);
  }

  async deleteKeys(owner: number, db: number, keys: readonly Uint8Array[]): Promise<void> {
    // in a cluster, keys of different slots cannot be in one command
    const commands = this.sharded ? keys.map((key) => ['DEL', key]) : [['DEL', ...keys]];
    await this.own.send(this.connections[owner], db, commands);
  }

  /** FLUSHALL or FLUSHDB on every master, which keep their records. */
  async flushTarget(
    kind: 'flushall' | 'flushdb',
    db: number,
    offset: number,
    stream: { readonly inUnit: boolean; readonly db: number },
  ): Promise<void> {
    await this.drained();
    const { asked, certain, certainDb, doubtTo } = this;
    const { recordDb, transactions } = this.options;
    const isPlace = !stream.inUnit && this.unsettled === 0;
    // in a cluster, what comes next is sent as far as the records before this one allow
    const sent = isPlace && transactions ? offset : Math.max(offset, doubtTo, asked);
    const place = isPlace ? { certain: offset, db: stream.db, sent } : { certain, db: certainDb, sent };
    const fences = this.records.allFences(offset);
    await this.own.everywhere((connection, index) =>
      this.own.send(connection, db, [
        ['MULTI'],
        [kind.toUpperCase()],
        ...(db === recordDb ? [] : [['SELECT', `${recordDb}`]]),
        ...fences,
        this.records.newRecord(index, place),
        ...(db === recordDb ? [] : [['SELECT', `${db}`]]),
        ['EXEC'],
      ]),
    );
    if (isPlace && transactions) this.goTo(offset, stream.db);
  }

  /** A transaction of our own has done what the stream says up to here, and says so. */
  private goTo(offset: number, db: number): void {
    this.marks = [];
    this.certainCommands = this.put;
    this.certain = this.recorded = offset;
    this.certainDb = db;
  }

  /** SWAPDB on a single server; the keys of all fences are fenced afterwards. */
  async swapTarget(first: number, second: number, offset: number, db: number): Promise<void> {
    const { keys, recordDb } = this.options;
    const away = first === recordDb ? second : second === recordDb ? first : undefined;
    const names = [keys.records(-1), keys.fences(-1)];
    await this.own.send(this.connections[0], recordDb, [
      ['MULTI'],
      ['SWAPDB', `${first}`, `${second}`],
      ...(away === undefined
        ? []
        : [
            ['SELECT', `${away}`],
            ['DEL', ...names],
            ['SELECT', `${recordDb}`],
          ]),
      this.records.newRecord(0, { certain: offset, db, sent: offset }),
      ...this.records.allFences(offset),
      ['EXEC'],
    ]);
    this.goTo(offset, db);
  }

  /** Waits, if it has to, until more may be sent. Throws Detached. */
  room(): Promise<void> | undefined {
    this.assertWhole();
    return this.full ? this.untilRoom() : undefined;
  }

  private get full(): boolean {
    if (this.connections.some(({ bytes }) => bytes > WINDOW)) return true;
    return !this.options.transactions && (this.put - this.certainCommands > MOST_UNCERTAIN || this.offset - this.certain > WINDOW);
  }

  private async untilRoom(): Promise<void> {
    // what was refused counts as done when the caller has seen to it
    while (this.full && this.unsettled === 0) {
      this.replicas.confirmIfDue(true);
      await this.wait();
    }
  }

  private async wait(): Promise<void> {
    this.assertWhole();
    await this.change.wait();
    this.assertWhole();
  }

  /** Throws Detached if nothing more can be sent. */
  assertWhole(): void {
    if (this.broken !== undefined) throw this.broken;
  }

  /** Waits until everything that was sent is answered. Throws Detached. */
  async drained(): Promise<void> {
    this.flush();
    while (this.connections.some(({ commands }) => commands > 0)) await this.wait();
    this.assertWhole();
  }

  /** Waits until everything that was put is certain. Throws Detached. */
  async untilCertain(): Promise<void> {
    this.flush();
    while (this.certain < this.offset) {
      this.replicas.confirmIfDue(true);
      await this.wait();
    }
  }

  private answered(): void {
    this.gathering.flush();
    this.advance();
    this.change.fire();
  }

  private advance(): void {
    const { connections, marks } = this;
    let passed = 0;
    while (passed < marks.length && marks[passed].batches.every((number, i) => connections[i].done >= number)) passed++;
    if (passed === 0 || this.unsettled > 0 || this.broken !== undefined) return;
    const { commands, db, offset, recorded } = marks[passed - 1];
    this.marks = marks.slice(passed);
    this.durable = recorded;
    this.kept = Math.max(this.kept, recorded);
    this.certainCommands = commands;
    this.certain = offset;
    this.certainDb = db;
    this.options.onCertain(offset);
  }

  /** Everything that `onRefused` told is done. */
  settled(count: number): void {
    this.unsettled -= count;
    this.advance();
  }

  private refused(connection: TargetConnection, batch: ChangeBatch, { error, index }: BatchFailure): void {
    if (this.broken !== undefined) return;
    const { args, db } = batch.commandAt(index);
    // of a transaction that is applied but for this: what follows it is on the target, and the position says so
    const inside = error.startsWith('NOPERM ACLs rules changed');
    const unknown = inside || /^ERR (?:unknown|syntax|wrong number)/i.test(error);
    const refusal = unknown ? 'refused' : refusalOf(error);
    const { transactions } = this.options;
    const ours = args.length > 1 && Buffer.from(args[1]).toString('latin1').startsWith(this.options.keys.prefix);
    const moves = !transactions && (refusal === 'ask' || error.startsWith('TRYAGAIN'));
    if (moves) this.moving.learn(connection, error);
    if (!transactions && isNamed(args, 'exec') && (moves || error.startsWith('EXECABORT'))) {
      for (const at of batch.unitBefore(index)) this.tellRefused(batch.commandAt(at), error);
      return;
    }
    if ((refusal === 'refused' || moves) && !error.startsWith('EXECABORT') && !ours) {
      this.tellRefused({ args, db }, error);
      return;
    }
    if (error.startsWith('EXECABORT') || transactions) {
      // commands of the transaction are told first; what it did not apply is looked at again
      this.breakOff(detachedBy(connection.name, error));
      return;
    }
    const to = refusal === 'moved' ? redirection(error) : undefined;
    if (to !== undefined) {
      const moved = this.options.servers.redirected(connection.name, error);
      if (moved !== undefined) this.options.servers.moved(moved.slot, moved);
    }
    this.breakOff(detachedBy(connection.name, `${error} (${formatText(args[0], 0, args[0].length)})`));
  }

  private tellRefused({ args, db }: { readonly args: readonly Uint8Array[]; readonly db: number }, error: string): void {
    this.unsettled++;
    this.options.onRefused(args, db, error);
  }

  /** Whether the slot of a key is on its way to another master, so that a value is to be sent with `sendMoving`. */
  isMoving(key: Uint8Array): boolean {
    return this.moving.has(key);
  }

  /** Sends the commands that set a key to the master that has it. It is done when this resolves. Throws Detached. */
  async sendMoving(owner: number, pieces: readonly Uint8Array[]): Promise<void> {
    await this.drained(); // what was sent to the owner is done, or was refused
    await this.moving.send(this.connections[owner], pieces);
  }

  /** Nothing more is sent; whoever waits gets the reason, which is returned. */
  private breakOff(reason: Detached): Detached {
    this.broken ??= reason;
    this.change.fire();
    this.options.onBroken();
    return this.broken;
  }

  /** Keeps the records near to what is certain, and asks replicas to confirm. */
  private tick(): void {
    if (this.broken !== undefined) return;
    this.replicas.confirmIfDue(true);
    if (this.options.transactions) {
      this.recordIdle();
      return;
    }
    if (this.certain === this.recorded || this.asked > this.allowed) return;
    const sent = this.allowed - this.offset < AHEAD_LEFT ? this.offset + AHEAD : this.allowed;
    void this.writeRecord(this.certain, this.certainDb, Math.max(sent, this.allowed)).catch(() => undefined);
  }

  /** The stream may go on for long without a write for the target: its place is recorded when nothing else is on its way. */
  private recordIdle(): void {
    const { connections, db, offset } = this;
    const [{ commands, open }] = connections;
    const isIdle = commands === 0 && open.commands === 0 && this.unsettled === 0 && this.options.fences.wanted.size === 0;
    if (isIdle && this.recorded < offset && this.doubtTo <= offset) void this.writeRecord(offset, db, offset).catch(() => undefined);
  }

  /** Ends; what was sent may be applied all the same. */
  close(): void {
    clearInterval(this.timer);
    this.gathering.close();
    this.broken ??= new Detached(this.connections[0].name, 'closed');
    this.change.fire();
    for (const connection of this.connections) connection.close();
    this.moving.close();
  }
}
