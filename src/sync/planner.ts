import { keySlot } from '../bytes/crc16.js';
import { grouped } from '../bytes/grouped.js';
import { encodeCommand } from '../redis/commands.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import { Effect } from './commands/effects.js';
import { expiryApart, heldExpiry } from './commands/expiries.js';
import { type CommandSpec, type KeyArgs, newKeyArgs } from './commands/spec.js';
import { otherDatabase, splitCommand, withNames } from './commands/split.js';
import type { CommandTable } from './commands/table.js';
import { argsOf, numberArg } from './commands/args.js';
import type { Fences } from './fences.js';
import type { StreamCommand } from './stream-command.js';

/** Where planned commands go. */
export interface PlannedOutput {
  /** Whether keys go to different masters by slot. */
  readonly sharded: boolean;
  /** Whether transactions of the source need a MULTI and EXEC of their own. */
  readonly wrapsUnits: boolean;
  ownerOf(slot: number): number;
  send(owner: number, db: number, bytes: Uint8Array, start: number, end: number): void;
}

export interface PlannerOptions {
  readonly table: CommandTable;
  readonly fences: Fences;
  /** Whether a key of the source is wanted (default: all). */
  readonly wants?: ((db: number, bytes: Uint8Array, start: number, end: number) => boolean) | undefined;
  /** Keys of syncs, which are not wanted. */
  readonly positions?: { has(bytes: Uint8Array, start: number, end: number): boolean } | undefined;
  /** Called with a command that writes one. */
  readonly onPosition?: ((command: StreamCommand) => void) | undefined;
  /** Other names of keys on the target. */
  readonly names?: KeyPrefixes | undefined;
  /** The database on the target for one of the source. */
  readonly target: (db: number) => number;
  /** Number of databases that the target has (default: it has all). */
  readonly databases?: number | undefined;
  /** Of source and target, 602 for 6.2 (default: both are new). */
  readonly releases?: { readonly source: number; readonly target: number } | undefined;
  /** Whether databases keep their numbers, and all are wanted. */
  readonly sameDatabases: boolean;
  /** Milliseconds added to expiries; undefined: they stay as they are. */
  readonly hold: number | undefined;
  /** Values are chosen by what they are, so that every key has to be fetched. */
  readonly fetchAll?: boolean | undefined;
  /** Names of commands that are left out, or the only ones that are not. */
  readonly takes?: ((spec: CommandSpec) => boolean) | undefined;
  readonly counts: PlanCounts;
  /** Called at a REPLCONF GETACK: WAIT on the source depends on the answer. */
  readonly onAsked: () => void;
  /** Whether a slot of the source may have commands in another stream, too. `isMoving`: the command says that it moves. */
  readonly foreign?: ((slot: number, isMoving: boolean) => boolean) | undefined;
  /** Called once for each kind of command that was not applied as it came, for another reason than that a key was fetched. */
  readonly onApart: (reason: ApartReason, name: string) => void;
  /** A script may have written keys of a database that it does not name. */
  readonly onUndeclared?: (db: number, name: string) => void;
}

/** A key of a database that the target does not have was written. */
export class NoDatabase extends Error {
  override readonly name = 'NoDatabase';

  constructor(
    /** On the source. */
    readonly db: number,
    /** On the target. */
    readonly to: number,
  ) {
    super(`the target has no database ${to}`);
  }
}

/** Why the keys that a command writes are fetched instead. */
export type ApartReason =
  | 'slots' // its keys are in several slots of the target
  | 'filter' // some of its keys are left out
  | 'fence' // it reads a key whose value is newer on the target
  | 'databases' // it names a database, and databases are mapped or chosen
  | 'unknown' // the target does not know it
  | 'undeclared' // it may touch keys that it does not name
  | 'inexact' // a clock or chance takes part, or the version of the server
  | 'large' // only its key was kept
  | 'value' // keys are chosen by what they hold
  | 'moved'; // its slot has come from another master, or goes there

/** What became of the commands of a stream. */
export class PlanCounts {
  /** Commands that change something. */
  commands = 0;
  /** Left out by filters. */
  filtered = 0;
  /** Left out, as only syncs use their keys. */
  positions = 0;
  /** Left out since their key was fetched later. */
  superseded = 0;
  /** Whose keys were fetched instead. */
  apart = 0;
  /** Sent in several parts. */
  split = 0;
  /** Transactions of the source that could not be one on the target. */
  transactionsApart = 0;
  /** Set aside by options: PUBLISH, commands that are not wanted. */
  ignored = 0;
}

/** A command that the lane has to handle itself, with everything before it done. */
export interface Pause {
  readonly kind: 'unknown' | 'flushall' | 'flushdb' | 'flushslot' | 'swapdb' | 'functions' | 'indexes' | 'publish';
  readonly args: readonly Uint8Array[];
  readonly db: number;
}

/** A command of a transaction that waits for EXEC. */
interface Held {
  readonly owner: number;
  readonly slot: number;
  readonly db: number;
  readonly bytes: Uint8Array;
}

/** The command by which keys come from another master. */
const isMoved = ({ name }: CommandSpec): boolean => name === 'restore-asking';

/** The release whose SET has PXAT. */
const WITH_PXAT = 602;

const MULTI = encodeCommand(['MULTI']);
const EXEC = encodeCommand(['EXEC']);

/** Decides, for each command of a lane's stream, what is sent to which master. The only place that knows what commands mean. */
export class Planner {
  /** The database that the stream has selected. */
  db = 0;
  /** Within a transaction of the source. */
  inUnit = false;
  /** Commands that the target does not know, or not with that number of arguments. */
  private readonly unsupported = new Set<string>();
  private held: Held[] = [];
  private unitApart = false;
  private readonly keys: KeyArgs = newKeyArgs();
  private readonly told = new Set<string>();

  constructor(
    private readonly options: PlannerOptions,
    private output: PlannedOutput,
  ) {}

  /** Begins anew at a place of the stream, for another connection. */
  begin(db: number, output: PlannedOutput): void {
    this.db = db;
    this.output = output;
    this.inUnit = false;
    this.held = [];
    this.unitApart = false;
  }

  /** Whether a plain command may be sent without a look at its keys. */
  private get careless(): boolean {
    const { fences, fetchAll, names, sameDatabases, takes, wants } = this.options;
    const takesAll = wants === undefined && fetchAll !== true && takes === undefined && this.unsupported.size === 0;
    return takesAll && names === undefined && sameDatabases && fences.empty && !this.isBeyond(this.db);
  }

  /** Whether the target does not have the database of these keys. */
  private isBeyond(db: number): boolean {
    return this.options.target(db) >= (this.options.databases ?? Infinity);
  }

  /** Takes a command. Returns what the lane has to do before the next one. */
  plan(command: StreamCommand): Pause | undefined {
    const spec = this.options.table.of(command);
    if (spec === undefined) return this.pause('unknown', command);
    switch (spec.kind) {
      case 'quiet':
        if (spec.name === 'replconf') this.options.onAsked();
        return undefined;
      case 'select':
        this.db = numberArg(command, 1);
        return undefined;
      case 'multi':
        this.inUnit = true;
        return undefined;
      case 'exec':
        this.endUnit();
        return undefined;
      case 'write':
      case 'script':
      case 'move':
      case 'copy':
        this.options.counts.commands++;
        this.write(command, spec);
        return undefined;
      default:
        this.options.counts.commands++;
        if (this.options.takes?.(spec) === false || (spec.kind === 'flushdb' && this.isBeyond(this.db))) {
          this.options.counts.ignored++;
          return undefined;
        }
        return this.pause(spec.kind, command);
    }
  }

  /**
   * Learns from an error of the target what not to send again: in a transaction, a command that it does not know, or not with that number
   * of arguments, spoils all others.
   */
  learn(name: string, args: number, error: string): void {
    if (/^ERR unknown command/i.test(error)) this.unsupported.add(name);
    else if (/^ERR (?:unknown|wrong number of arguments)/i.test(error)) this.unsupported.add(`${name} ${args}`);
  }

  private pause(kind: Pause['kind'], command: StreamCommand): Pause {
    return { kind, args: argsOf(command), db: this.db };
  }

  private write(command: StreamCommand, spec: CommandSpec): void {
    const { foreign } = this.options;
    const hasKey = spec.key > 0 && spec.key < command.args && command.kept === command.args;
    const careless = hasKey && this.careless && !this.isPosition(command, spec.key);
    if (careless && !this.isInexact(command, spec)) {
      const needsSlot = this.output.sharded || foreign !== undefined;
      const slot = needsSlot ? keySlot(command.bytes, command.starts[spec.key], command.ends[spec.key]) : 0;
      if (foreign?.(slot, isMoved(spec)) === true) this.writeCarefully(command, spec);
      else this.forward(command, spec, slot);
      return;
    }
    this.writeCarefully(command, spec);
  }

  private writeCarefully(command: StreamCommand, spec: CommandSpec): void {
    const { counts, fetchAll, takes } = this.options;
    const { keys } = this;
    if (takes?.(spec) === false) {
      counts.ignored++;
      return;
    }
    if (!spec.keys(command, keys)) return; // no server can have applied it
    const { reads, writes } = keys;
    const crosses = spec.kind === 'move' || spec.kind === 'copy' ? otherDatabase(command, spec) : undefined;
    const wanted = writes.filter((arg) => this.wants(command, arg));
    if (crosses !== undefined && !this.acrossPlainly(command)) {
      this.across(command, spec, crosses);
      return;
    }
    const position = wanted.length < writes.length && writes.some((arg) => this.isPosition(command, arg));
    if (position) this.options.onPosition?.(command);
    if (wanted.length === 0 && (writes.length > 0 || keys.undeclared === 'none')) {
      if (position) counts.positions++;
      else counts.filtered++;
      return;
    }
    if (this.isForeign(command, spec, writes)) {
      this.apartUnlessFenced(command, spec, 'moved');
      return;
    }
    if (this.isBeyond(this.db)) throw this.beyond(this.db);
    if (fetchAll === true) {
      this.apart(command, spec, 'value');
      return;
    }
    if (command.kept < command.args) {
      this.apartUnlessFenced(command, spec, 'large');
      return;
    }
    if (this.unsupported.has(spec.name) || this.unsupported.has(`${spec.name} ${command.args}`)) {
      this.apart(command, spec, 'unknown');
      return;
    }
    if (spec.split !== undefined) {
      this.bySlot(command, spec, wanted);
      return;
    }
    if (wanted.length < writes.length || reads.some((arg) => !this.wants(command, arg))) {
      this.apart(command, spec, 'filter');
      return;
    }
    const { fences } = this.options;
    if (!fences.empty && [...writes, ...reads].some((arg) => this.fenced(command, arg))) {
      this.apartUnlessFenced(command, spec, 'fence');
      return;
    }
    if (this.isInexact(command, spec)) {
      this.apart(command, spec, 'inexact');
      return;
    }
    if (keys.undeclared !== 'none' && (!this.careless || this.output.sharded)) {
      this.apart(command, spec, 'undeclared');
      return;
    }
    this.whole(command, spec);
  }

  /** Whether it may do something else on the target than it did on the source. */
  private isInexact(command: StreamCommand, spec: CommandSpec): boolean {
    if ((spec.effect(command) & Effect.INEXACT) !== 0) return true;
    const { releases } = this.options;
    if (releases === undefined) return false;
    const changed = spec.changed(command);
    return releases.source < changed !== releases.target < changed;
  }

  /** In a cluster all keys of a command are in one slot. */
  private isForeign(command: StreamCommand, spec: CommandSpec, writes: readonly number[]): boolean {
    const { foreign } = this.options;
    return foreign !== undefined && writes.length > 0 && foreign(this.slotOf(command, writes[0]), isMoved(spec));
  }

  /** Whether a command that names a database can be sent as it is. */
  private acrossPlainly(command: StreamCommand): boolean {
    return this.careless && !this.output.sharded && command.args > 0;
  }

  /** What a command has written in a database that it names, or its own, is fetched. */
  private across(command: StreamCommand, spec: CommandSpec, to: number): void {
    const databases = [...new Set([this.db, to])].filter((db) => this.keys.writes.some((arg) => this.wants(command, arg, db)));
    if (databases.length === 0) {
      this.options.counts.filtered++;
      return;
    }
    this.apart(command, spec, 'databases', databases);
  }

  private beyond(db: number): NoDatabase {
    return new NoDatabase(db, this.options.target(db));
  }

  /** Sends a command as one, if its keys are in one slot. */
  private whole(command: StreamCommand, spec: CommandSpec): void {
    const { reads, writes } = this.keys;
    const named = this.named(command);
    let slot = 0;
    if (this.output.sharded) {
      slot = this.slotOf(named, writes[0]);
      if ([...writes, ...reads].some((arg) => this.slotOf(named, arg) !== slot)) {
        this.apart(command, spec, 'slots');
        return;
      }
    }
    this.forward(named, spec, slot);
  }

  /** Sends a command with absolute expiries, that are held if they are to be. */
  private forward(command: StreamCommand, spec: CommandSpec, slot: number): void {
    const { expiry } = spec;
    if (expiry === undefined || (expiry.form === 'option' && command.args <= expiry.from)) {
      this.emit(slot, this.db, command.bytes, command.start, command.end);
      return;
    }
    const { hold = 0, releases } = this.options;
    const now = Date.now();
    const parts = releases !== undefined && releases.target < WITH_PXAT ? expiryApart(command, spec, hold, now) : undefined;
    if (parts !== undefined) {
      for (const part of parts) this.emit(slot, this.db, part, 0, part.length);
      return;
    }
    const rewritten = heldExpiry(command, spec, hold, now);
    if (rewritten === undefined) this.emit(slot, this.db, command.bytes, command.start, command.end);
    else this.emit(slot, this.db, rewritten, 0, rewritten.length);
  }

  /** The command with the names that its keys have on the target. */
  private named(command: StreamCommand): StreamCommand {
    const { names } = this.options;
    return names === undefined ? command : withNames(command, [...this.keys.writes, ...this.keys.reads], names);
  }

  /** Sends a command that keeps its meaning by key to the owners of its keys, without those that are newer on the target. */
  private bySlot(command: StreamCommand, spec: CommandSpec, wanted: readonly number[]): void {
    const { counts } = this.options;
    const keep = wanted.filter((arg) => !this.fenced(command, arg));
    if (keep.length === 0) {
      counts.superseded++;
      return;
    }
    const named = this.named(command);
    const bySlot = grouped(keep, (arg) => (this.output.sharded ? this.slotOf(named, arg) : 0));
    if (bySlot.size === 1 && keep.length === this.keys.writes.length) {
      this.emit([...bySlot.keys()][0], this.db, named.bytes, named.start, named.end);
      return;
    }
    counts.split++;
    for (const [slot, args] of bySlot) {
      const part = splitCommand(named, spec, args);
      this.emit(slot, this.db, part, 0, part.length);
    }
  }

  /** The keys that a command writes are fetched instead. */
  private apart(command: StreamCommand, spec: CommandSpec, reason: ApartReason, databases: readonly number[] = [this.db]): void {
    const { counts, onApart, onUndeclared } = this.options;
    counts.apart++;
    const kind = `${reason} ${spec.name}`;
    if (reason !== 'fence' && reason !== 'moved' && !this.told.has(kind)) {
      this.told.add(kind);
      onApart(reason, spec.name);
    }
    if (spec.kind === 'script') onUndeclared?.(this.db, spec.name);
    for (const db of databases) {
      for (const arg of this.keys.writes) if (this.wants(command, arg, db)) this.fetch(command, arg, db);
    }
  }

  /** The same, unless all of them are newer on the target. */
  private apartUnlessFenced(command: StreamCommand, spec: CommandSpec, reason: ApartReason): void {
    if (this.keys.writes.every((arg) => this.fenced(command, arg))) this.options.counts.superseded++;
    else this.apart(command, spec, reason);
  }

  private fetch(command: StreamCommand, arg: number, db: number): void {
    if (this.isBeyond(db)) throw this.beyond(db);
    this.options.fences.want(db, command.bytes.slice(command.starts[arg], command.ends[arg]));
  }

  private isPosition(command: StreamCommand, arg: number): boolean {
    return this.options.positions?.has(command.bytes, command.starts[arg], command.ends[arg]) === true;
  }

  private wants(command: StreamCommand, arg: number, db = this.db): boolean {
    if (this.isPosition(command, arg)) return false;
    return this.options.wants?.(db, command.bytes, command.starts[arg], command.ends[arg]) ?? true;
  }

  private fenced(command: StreamCommand, arg: number): boolean {
    const { fences } = this.options;
    return !fences.empty && fences.has(this.db, command.bytes, command.starts[arg], command.ends[arg], command.offset);
  }

  private slotOf(command: StreamCommand, arg: number): number {
    return keySlot(command.bytes, command.starts[arg], command.ends[arg]);
  }

  private emit(slot: number, db: number, bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    const owner = output.sharded ? output.ownerOf(slot) : 0;
    const to = this.options.target(db);
    if (this.inUnit) this.held.push({ owner, slot, db: to, bytes: bytes.subarray(start, end) });
    else output.send(owner, to, bytes, start, end);
  }

  /** Sends what a transaction of the source has held, as one if its keys are in one slot. */
  private endUnit(): void {
    const { held, output } = this;
    const apart = this.unitApart;
    this.inUnit = false;
    this.held = [];
    this.unitApart = false;
    const together = !apart && held.every(({ slot }) => slot === held[0].slot);
    const wraps = together && held.length > 1 && output.wrapsUnits;
    if (!together && held.length > 1) this.options.counts.transactionsApart++;
    if (wraps) output.send(held[0].owner, held[0].db, MULTI, 0, MULTI.length);
    for (const { bytes, db, owner } of held) output.send(owner, db, bytes, 0, bytes.length);
    if (wraps) output.send(held[0].owner, held[held.length - 1].db, EXEC, 0, EXEC.length);
  }

  /** Sends what a transaction has held so far: one of its commands has to be handled apart. */
  releaseUnit(): void {
    const { held, output } = this;
    this.held = [];
    this.unitApart = true;
    for (const { bytes, db, owner } of held) output.send(owner, db, bytes, 0, bytes.length);
  }
}
