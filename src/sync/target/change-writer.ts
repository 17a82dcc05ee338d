import { formatText } from '../../bytes/text.js';
import { keySlot } from '../../bytes/crc16.js';
import { encodeCommand } from '../../redis/commands.js';
import { reasonOf, ServerError } from '../../redis/errors.js';
import { type BatchFailure, type ChangeBatch, isNamed } from './change-batch.js';
import { refusalOf, redirection } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import { type Address, addressText } from '../../redis/url.js';
import { Signal } from '../../redis/signal.js';
import type { Fences, KeyName } from '../fences.js';
import { commandsOfParts } from '../stream-parser.js';
import { fenceField, fenceFields, type LaneRecord, LANES_FIELD, type RecordKeys, recordText, slotsText } from '../record.js';
import { Detached, detachedBy } from './detached.js';
import { labelOf, recordSlot } from './lane-records.js';
import { TargetConnection } from './target-connection.js';

export interface ChangeWriterOptions {
  readonly servers: Servers;
  readonly lane: number;
  readonly keys: RecordKeys;
  /** Database of the records. */
  readonly recordDb: number;
  /** Writes are sent in transactions that set the position, which only a single server can. */
  readonly transactions: boolean;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  /** Milliseconds without a reply that is due. */
  readonly patience: number;
  /** While keys are wanted, commands of the stream are left out for them: that may not count as done. */
  readonly fences: Pick<Fences, 'all' | 'takeUnrecorded' | 'wanted'>;
  /** Generation and name of the run. */
  readonly run: string;
  /** Slots that are on their way to another master. */
  readonly moving: ReadonlySet<number>;
  /** The rest of the record. */
  readonly record: (place: RecordPlace) => Omit<LaneRecord, 'slots'>;
  /** A command was refused: its keys have to be fetched. Nothing counts as certain until `settled` is called. */
  readonly onRefused: (args: readonly Uint8Array[], db: number, error: string) => void;
  readonly onCertain: (offset: number) => void;
  readonly onNote: (text: string) => void;
  /** Nothing more can be sent, as the next call says. */
  readonly onBroken: () => void;
}

/** What changes of a record. */
export type RecordPlace = Pick<LaneRecord, 'certain' | 'db' | 'sent'>;

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
/** Sent between two WAITs, at most. */
const WAIT_BYTES = 1 << 20;
const WAIT_COMMANDS = 5000;
/** Milliseconds between two records, and for replicas to confirm. */
const RECORD_EVERY = 100;
const REPLICA_PATIENCE = 1000;
/** Keys of one HSET or HDEL of fences. */
const FENCES_AT_ONCE = 500;

const MULTI = encodeCommand(['MULTI']);
const ASKING = encodeCommand(['ASKING']);

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
  /** The slot of the records of each master; -1 for a single server. */
  private readonly places: readonly number[];
  /** The slots of each master, for its record. */
  private readonly slots: readonly string[];
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
  private readonly waits = new Set<TargetConnection>();
  /** Slots that are on their way to another master, and connections to masters that had no slot when the writer was attached. */
  private readonly moving = new Set<number>();
  private readonly others = new Map<string, TargetConnection>();

  private constructor(
    private readonly options: ChangeWriterOptions,
    from: { readonly offset: number; readonly db: number; readonly sent: number },
  ) {
    this.certain = this.offset = from.offset;
    this.allowed = this.asked = from.sent;
    this.recorded = this.kept = this.durable = from.offset;
    this.certainDb = this.db = from.db;
    if (options.transactions) this.doubtTo = from.sent;
    const { servers } = options;
    this.owners = servers.owners;
    this.places = servers.masters.map((_, index) => recordSlot(servers, index, options.moving));
    this.slots = servers.masters.map(({ name }) => (servers.clustered ? slotsText(servers.rangesOfMaster(name)) : ''));
    this.connections = servers.masters.map((master) => this.connectionTo(master));
  }

  /** Connects to all masters. Throws Detached. */
  static async attach(
    options: ChangeWriterOptions,
    from: { offset: number; db: number; sent: number },
  ): Promise<ChangeWriter> {
    const writer = new ChangeWriter(options, from);
    try {
      await Promise.all(writer.connections.map((connection) => connection.connect()));
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

  /** Where its records are. */
  get recordPlaces(): { readonly master: Master; readonly slot: number }[] {
    const { masters } = this.options.servers;
    return this.connections.flatMap(({ name }, index) => {
      const master = masters.find((one) => one.name === name);
      return master === undefined ? [] : [{ master, slot: this.places[index] }];
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
    const connection = this.connections[owner];
    for (const [i, piece] of pieces.entries()) connection.add(db, piece, 0, piece.length, i === 0 ? commands : 0);
  }

  /** All commands so far are those of the stream up to this offset, which is no place within a transaction of the source. */
  unitEnd(offset: number, db: number): void {
    this.offset = offset;
    this.db = db;
    if (!this.options.transactions) return;
    const { open } = this.connections[0];
    if (open.commands >= MOST_COMMANDS || open.size >= MOST_BYTES) this.flush();
  }

  /** Sends what was put. */
  flush(): void {
    const { options, connections } = this;
    if (options.transactions) this.flushTransaction(connections[0]);
    else for (const connection of connections) connection.flush();
    if (!options.transactions && options.fences.wanted.size > 0) return;
    const last = this.marks.at(-1);
    if (last?.offset === this.offset && last.batches.every((sent, i) => sent === connections[i].sent)) return;
    const { db, offset, put, recorded } = this;
    this.marks.push({ offset, db, commands: put, batches: connections.map(({ sent }) => sent), recorded });
    this.advance();
    this.confirmIfDue();
  }

  private flushTransaction(connection: TargetConnection): void {
    if (connection.open.commands === 0) return;
    const { keys, lane, recordDb } = this.options;
    const name = keys.records(-1);
    const { certain, certainDb, doubtTo, offset } = this;
    const record = this.options.record({ certain, db: certainDb, sent: Math.max(offset, doubtTo) });
    this.recorded = certain;
    const selects = connection.db === recordDb ? [] : [['SELECT', `${recordDb}`]];
    const after = [
      ...selects,
      ...this.newFences(offset),
      ['HSET', name, `${lane}`, recordText({ ...record, slots: '' })],
      ['EXEC'],
    ].map(encodeCommand);
    connection.db = recordDb;
    connection.flush(MULTI, Buffer.concat(after), after.length + 1);
  }

  /** On a single server, what is certain may be beyond commands whose keys are yet to be fetched: its fences say so. */
  private newFences(offset: number): (string | Uint8Array)[][] {
    const { fences, keys, lane, transactions } = this.options;
    const wanted = transactions ? fences.takeUnrecorded() : [];
    return wanted.length === 0 ? [] : [['HSET', keys.fences(-1), ...fenceFields(lane, wanted.map((key) => ({ ...key, offset })))]];
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
    const fences = this.newFences(certain);
    await this.everywhere((connection, index) => this.own(connection, recordDb, [...fences, this.recordCommand(index, place)]));
    this.kept = Math.max(this.kept, certain);
    this.allowed = Math.max(this.allowed, place.sent);
    this.change.fire();
  }

  /** Tells all masters which slots belong to which lane. Throws Detached. */
  async writeSlots(text: string): Promise<void> {
    const { keys, recordDb } = this.options;
    const command = (index: number): string[] => ['HSET', keys.records(this.places[index]), LANES_FIELD, text];
    await this.everywhere((connection, index) => this.own(connection, recordDb, [command(index)]));
  }

  /**
   * Sends commands of our own, for one database, and waits for their answer. That of the records is selected afterwards: each transaction
   * begins and ends there, so that one that is refused does not shift the ones after it to another database. Throws Detached.
   */
  async own(connection: TargetConnection, db: number, commands: readonly (readonly (string | Uint8Array)[])[]): Promise<number> {
    const { recordDb } = this.options;
    const before = connection.db === db ? [] : [['SELECT', `${db}`]];
    const after = db === recordDb ? [] : [['SELECT', `${recordDb}`]];
    connection.db = recordDb;
    const { error, integer } = await this.guarded(connection, connection.askAll([...before, ...commands, ...after]));
    if (error !== undefined) throw this.breakOff(detachedBy(connection.name, error));
    return integer;
  }

  private async select(connection: TargetConnection, db: number): Promise<void> {
    connection.db = db;
    const { error } = await this.guarded(connection, connection.ask('SELECT', `${db}`));
    if (error !== undefined) throw this.breakOff(detachedBy(connection.name, error));
  }

  private async guarded<T>(connection: TargetConnection, asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (cause) {
      throw this.broken ?? detachedBy(connection.name, reasonOf(cause));
    }
  }

  private async everywhere(work: (connection: TargetConnection, index: number) => Promise<unknown>): Promise<void> {
    const results = await Promise.allSettled(this.connections.map(work));
    const failed = results.find((result): result is PromiseRejectedResult => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason as Error;
  }

  /**
   * Records that keys of a master may have the values that the source had at these offsets, which are beyond what was sent. It is
   * answered when this resolves. `lane`: whose offsets they are.
   */
  async fence(owner: number, keys: readonly (KeyName & { readonly offset: number })[], lane = this.options.lane): Promise<void> {
    const { keys: names, recordDb } = this.options;
    const connection = this.connections[owner];
    const name = names.fences(this.places[owner]);
    for (let at = 0; at < keys.length; at += FENCES_AT_ONCE) {
      await this.own(connection, recordDb, [['HSET', name, ...fenceFields(lane, keys.slice(at, at + FENCES_AT_ONCE))]]);
    }
  }

  /** Removes fences that the stream has passed. */
  async unfence(owner: number, keys: readonly KeyName[]): Promise<void> {
    const { keys: names, lane, recordDb } = this.options;
    const name = names.fences(this.places[owner]);
    for (let at = 0; at < keys.length; at += FENCES_AT_ONCE) {
      const fields = keys.slice(at, at + FENCES_AT_ONCE).map(({ db, key }) => fenceField(lane, db, key));
      await this.own(this.connections[owner], recordDb, [['HDEL', name, ...fields]]);
    }
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
    const errors: string[] = [];
    await this.everywhere(async (connection) => {
      const { recordDb } = this.options;
      if (connection.db !== db) await this.select(connection, db);
      const { error } = await this.guarded(
        connection,
        connection.askParts([command instanceof Uint8Array ? command : encodeCommand(command)]),
      );
      if (error !== undefined) errors.push(error);
      if (connection.db !== recordDb) await this.select(connection, recordDb);
    });
    return errors;
  }

  /** Sends a command whose answer does not matter. */
  aside(owner: number, args: readonly Uint8Array[]): void {
    const bytes = encodeCommand(args);
    this.connections[owner].open.add(bytes, 0, bytes.length);
  }

  async deleteKeys(owner: number, db: number, keys: readonly Uint8Array[]): Promise<void> {
    // in a cluster, keys of different slots cannot be in one command
    const commands = this.sharded ? keys.map((key) => ['DEL', key]) : [['DEL', ...keys]];
    await this.own(this.connections[owner], db, commands);
  }

  /** All fences, where the keys that hold them were deleted: those of keys in other databases stand. */
  private allFences(offset: number): (string | Uint8Array)[][] {
    const { fences, keys, lane, transactions } = this.options;
    const all = transactions ? fences.all(offset) : [];
    const commands: (string | Uint8Array)[][] = [];
    for (let at = 0; at < all.length; at += FENCES_AT_ONCE) {
      commands.push(['HSET', keys.fences(-1), ...fenceFields(lane, all.slice(at, at + FENCES_AT_ONCE))]);
    }
    return commands;
  }

  /** FLUSHALL or FLUSHDB on every master, which keep their records. */
  async flushTarget(
    kind: 'flushall' | 'flushdb',
    db: number,
    offset: number,
    stream: { readonly inUnit: boolean; readonly db: number },
  ): Promise<void> {
    await this.drained();
    const { allowed, certain, certainDb, doubtTo } = this;
    const { recordDb, transactions } = this.options;
    const isPlace = !stream.inUnit && this.unsettled === 0;
    const inside = { certain, db: certainDb, sent: Math.max(offset, doubtTo, allowed) };
    const place = isPlace ? { certain: offset, db: stream.db, sent: offset } : inside;
    const fences = this.allFences(offset);
    await this.everywhere((connection, index) =>
      this.own(connection, db, [
        ['MULTI'],
        [kind.toUpperCase()],
        ...(db === recordDb ? [] : [['SELECT', `${recordDb}`]]),
        ...fences,
        this.newRecordCommand(index, place),
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
    await this.own(this.connections[0], recordDb, [
      ['MULTI'],
      ['SWAPDB', `${first}`, `${second}`],
      ...(away === undefined
        ? []
        : [
            ['SELECT', `${away}`],
            ['DEL', ...names],
            ['SELECT', `${recordDb}`],
          ]),
      this.newRecordCommand(0, { certain: offset, db, sent: offset }),
      ...this.allFences(offset),
      ['EXEC'],
    ]);
    this.goTo(offset, db);
  }

  /** The same where there is no record any more. */
  private newRecordCommand(index: number, place: RecordPlace): string[] {
    const { lane, run } = this.options;
    return [...this.recordCommand(index, place), `${lane}:run`, run];
  }

  private recordCommand(index: number, place: RecordPlace): string[] {
    const { keys, lane } = this.options;
    const record = recordText({ ...this.options.record(place), slots: this.slots[index] });
    return ['HSET', keys.records(this.places[index]), `${lane}`, record];
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
      this.confirmIfDue(true);
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
      this.confirmIfDue(true);
      await this.wait();
    }
  }

  private answered(): void {
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
    if (moves) this.learnMove(connection, error);
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

  /** A slot is on its way to another master: each key is at one of them, and new ones are at that one. */
  private learnMove(connection: TargetConnection, error: string): void {
    const to = this.options.servers.redirected(connection.name, error);
    if (to === undefined || this.moving.has(to.slot)) return;
    this.moving.add(to.slot);
    this.options.onNote(`${connection.name} gives slot ${to.slot} to ${addressText(to)}: meanwhile, its keys are fetched from the source`);
  }

  /** Whether the slot of a key is on its way to another master, so that a value is to be sent with `sendMoving`. */
  isMoving(key: Uint8Array): boolean {
    return this.moving.size > 0 && this.moving.has(keySlot(key));
  }

  /** Sends the commands that set a key to the master that has it. It is done when this resolves. Throws Detached. */
  async sendMoving(owner: number, pieces: readonly Uint8Array[]): Promise<void> {
    await this.drained(); // what was sent to the owner is done, or was refused
    const connection = this.connections[owner];
    const commands = commandsOf(pieces);
    const { error } = await this.guarded(connection, connection.askParts(commands));
    if (error === undefined) return;
    const to = refusalOf(error) === 'ask' ? this.options.servers.redirected(connection.name, error) : undefined;
    if (to === undefined) throw this.breakOff(detachedBy(connection.name, error));
    const other = await this.newOwner(to);
    const asked = await this.guarded(other, other.askParts(commands.flatMap((command) => [ASKING, command])));
    if (asked.error !== undefined) throw this.breakOff(detachedBy(other.name, asked.error));
    if (!this.connections.includes(other)) await this.confirmed(other, to);
  }

  /** The connection to a master that takes over a slot; it may have had none so far. */
  private async newOwner(to: Address): Promise<TargetConnection> {
    const name = addressText(to);
    const known = this.connections.find((connection) => connection.name === name) ?? this.others.get(name);
    if (known !== undefined) return known;
    const made = this.connectionTo({ name, address: to, id: '', replicas: 0, replicaIds: [] });
    this.others.set(name, made);
    await this.guarded(made, made.connect());
    return made;
  }

  /** Waits for the replicas of a master that has no slots yet. */
  private async confirmed(connection: TargetConnection, address: Address): Promise<void> {
    const { confirm, servers } = this.options;
    for (let is = !confirm; !is;) {
      const { replicas } = await this.guarded(
        connection,
        servers.clientTo(address).then((client) => servers.infoOf(client)),
      );
      const { error, integer } = await this.guarded(connection, connection.ask('WAIT', `${replicas}`, `${REPLICA_PATIENCE}`));
      is = error !== undefined || integer >= replicas;
    }
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
    this.confirmIfDue(true);
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

  private confirmIfDue(now = false): void {
    for (const connection of this.connections) {
      const due = now ? connection.confirmed < connection.sent : isDue(connection);
      if (connection.replicas > 0 && due && !this.waits.has(connection)) void this.confirm(connection);
    }
  }

  private async confirm(connection: TargetConnection): Promise<void> {
    const number = connection.sent;
    this.waits.add(connection);
    connection.unconfirmedBytes = connection.unconfirmedCommands = 0;
    try {
      const { error, integer } = await connection.ask('WAIT', `${connection.replicas}`, `${REPLICA_PATIENCE}`);
      if (error !== undefined) {
        this.options.onNote(`${connection.name} refuses WAIT (${error}): writes count as done without its replicas`);
        connection.replicas = 0;
      } else if (integer >= connection.replicas) {
        connection.confirmed = number;
      } else await this.fewer(connection, integer);
      this.answered();
    } catch (error) {
      // a connection that is lost is told elsewhere
      if (error instanceof ServerError && error.code === 'REFUSED') this.breakOff(detachedBy(connection.name, error.reason));
    } finally {
      this.waits.delete(connection);
    }
  }

  /** Replicas that are no longer connected do not count. */
  private async fewer(connection: TargetConnection, confirmed: number): Promise<void> {
    const { servers } = this.options;
    const master = servers.masters.find(({ name }) => name === connection.name);
    if (master === undefined) return;
    const { replicas } = await servers.ask(master, (client) => servers.infoOf(client));
    if (replicas >= connection.replicas) return;
    const names = replicas === 1 ? 'one replica' : `${replicas} replicas`;
    this.options.onNote(`${connection.name} has ${names} now, and ${confirmed} confirmed in time`);
    connection.replicas = replicas;
  }

  /** Ends; what was sent may be applied all the same. */
  close(): void {
    clearInterval(this.timer);
    this.broken ??= new Detached(this.connections[0].name, 'closed');
    this.change.fire();
    for (const connection of [...this.connections, ...this.others.values()]) connection.close();
  }
}

/** The bytes of each command. */
const commandsOf = (pieces: readonly Uint8Array[]): Uint8Array[] =>
  Array.from(commandsOfParts(pieces), ({ bytes, end, start }) => bytes.slice(start, end));

const isDue = ({ unconfirmedBytes, unconfirmedCommands }: TargetConnection): boolean =>
  unconfirmedBytes >= WAIT_BYTES || unconfirmedCommands >= WAIT_COMMANDS;
