import { setTimeout as delay } from 'node:timers/promises';
import { grouped } from '../bytes/grouped.js';
import { formatText } from '../bytes/text.js';
import { reasonOf, ServerError } from '../redis/errors.js';
import { RateLimit } from '../redis/rate-limit.js';
import type { Servers } from '../redis/servers.js';
import { keySlot } from '../bytes/crc16.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import { applyPause, type PauseOptions } from './barriers.js';
import { sourceNames } from './choice.js';
import type { Crosser, Crossing } from './crossing.js';
import { SyncError, SyncGap, SyncReplaced } from './errors.js';
import { argsOf, numberArg, textArg } from './commands/args.js';
import { repeatable, withEffect } from './commands/effects.js';
import { newKeyArgs } from './commands/spec.js';
import { otherDatabase } from './commands/split.js';
import type { CommandTable } from './commands/table.js';
import { Fences, keyId, type KeyName } from './fences.js';
import { type ApartReason, NoDatabase, type Pause, PlanCounts, Planner } from './planner.js';
import type { Positions } from './positions.js';
import type { LaneRecord, RecordKeys } from './record.js';
import { type Fetched, type Fetcher, KeyElsewhere } from './source/fetcher.js';
import type { Spool } from './spool/spool.js';
import { StreamParser } from './stream-parser.js';
import type { StreamCommand } from './stream-command.js';
import { ChangeWriter, type RecordPlace } from './target/change-writer.js';
import { Detached, targetMayPass } from './target/detached.js';
import { endConnections, labelOf, type LaneState, readRecords, readRuns } from './target/lane-records.js';
import { type RecordPlace as HashPlace, removeStale, writeRun } from './target/lane-records.js';
import { LargeWriter, type LargeWriterOptions } from './target/large-writer.js';
import type { FetchedWriter, WrittenLarge } from './source/write-fetched.js';

export interface LaneOptions {
  readonly number: number;
  /** The source master, for messages. */
  readonly name: string;
  readonly servers: Servers;
  readonly keys: RecordKeys;
  readonly spool: Spool;
  readonly table: CommandTable;
  readonly fetcher: Fetcher;
  readonly fetched: FetchedWriter;
  readonly large: Pick<LargeWriterOptions, 'codec' | 'maxPayload' | 'target'>;
  /** Of this run: no other has it. */
  readonly token: string;
  /** What it shares with the lanes of the other masters of a cluster. */
  readonly crossing: Crossing | undefined;
  readonly wants: ((db: number, bytes: Uint8Array, start: number, end: number) => boolean) | undefined;
  readonly positions: Positions;
  readonly target: (db: number) => number;
  /** Databases of the source that go to one of the target. */
  readonly sources: (db: number) => readonly number[];
  readonly sameDatabases: boolean;
  /** Other names of keys on the target. */
  readonly names: KeyPrefixes | undefined;
  /** Number of databases of the target. */
  readonly databases: number;
  /** Of source and target, 602 for 6.2. */
  readonly releases: { readonly source: number; readonly target: number };
  readonly hold: number | undefined;
  readonly fetchAll: boolean;
  readonly takes: ((name: string) => boolean) | undefined;
  readonly transactions: boolean;
  readonly confirm: boolean;
  readonly patience: number;
  readonly maxOpsPerSecond: number | undefined;
  /** What this run says of itself in records. */
  readonly record: Pick<LaneRecord, 'alone' | 'among' | 'expiries' | 'generation' | 'lanes' | 'options'>;
  readonly pauses: PauseOptions;
  /** Called with the keys that commands name, before they are applied. */
  readonly notices?: ((db: number, bytes: Uint8Array, start: number, end: number) => void) | undefined;
  /** Which keys of the target other sources have. */
  readonly othersHave?: ((db: number, keys: readonly Uint8Array[]) => Promise<readonly boolean[]>) | undefined;
  /** Databases of the target that the source has keys for, as is told on the target. */
  readonly used?: (() => readonly number[]) | undefined;
  /** What is to be awaited before anything is applied. */
  readonly resting?: (() => Promise<void> | undefined) | undefined;
  /** The offset of the last write of the source. Rejects with the reason of the signal. */
  readonly sourceOffset: () => Promise<number>;
  /** Asks the source for a command that the table does not know; false: it does not either. */
  readonly learn: (name: string) => Promise<boolean>;
  readonly signal: AbortSignal;
  /** The source wants to know what was received. */
  readonly onAsked: () => void;
  readonly onEvent: (text: string, notable?: boolean) => void;
  readonly onNote: (text: string) => void;
  /** A key could not be brought to the target. */
  readonly onProblem: (problem: KeyName & { readonly reason: string }) => void;
}

/** Milliseconds between attempts to go on with the target, at first and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1000;
export const DELETED = 'the position of this sync was deleted on the target while it ran, and maybe more';
/** Milliseconds between looks at whose the records are. */
const LOOK_EVERY = 1000;
/** Keys fetched at once. */
const FETCH_AT_ONCE = 4096;
/** Keys, and bytes, that are written at once. */
const GROUP_KEYS = 256;
const GROUP_BYTES = 1 << 20;
/** Places of the stream that are remembered, one for each piece, for when the source takes writes back. */
const MOST_PLACES = 8192;

const RULES = 'with DUMP, which leaves out the compaction rules of a time series';
const LOST_RULES = `fetched ${RULES}: it has some, to be made again on the target with TS.CREATERULE, as TS.INFO of the source shows them`;
const UNKNOWN_RULES = `fetched ${RULES}: whether it has some is not known, since the source refuses TS.INFO`;

export interface Place {
  readonly offset: number;
  readonly db: number;
}

/** The changes of one master of the source, from its spool to the target. */
export class Lane implements Crosser {
  readonly number: number;
  parked = true;
  readonly counts = new PlanCounts();
  fetchedKeys = 0;
  /** Everything up to this offset is certain on the target, as far as this run knows. */
  certain: Place;
  private readonly fences = new Fences();
  private readonly planner: Planner;
  private writer: ChangeWriter | undefined;
  private large: LargeWriter | undefined;
  /** Time series that were fetched since they were looked at. */
  private readonly series: KeyName[] = [];
  private parser = new StreamParser(0);
  /** The stream was read up to this offset. */
  private position = 0;
  private interruption: { readonly signal: AbortSignal; abort(): void };
  /** Keys written up to here are about to be fetched, whatever the commands. */
  private refetch: number | undefined;
  /** The stream is applied up to here at least, and then no more. */
  private stopAt: number | undefined;
  /** Commands refused since the writer was attached, whose keys are to be fetched. */
  private refused = 0;
  /** Keys whose fetched value was refused, and why. */
  private readonly rejected = new Map<string, string>();
  /** Keys of refused commands, since the target may have something else there. */
  private doubtful = new Map<string, KeyName>();
  /** By key on the target: the one of the source whose value was written there since there were no fences. */
  private readonly brought = new Map<string, string>();
  private places: Place[] = [];
  private watch: NodeJS.Timeout | undefined;
  private asked: KeyName[] = [];
  /** What lanes of other sources wait for. */
  private requests: { readonly names: readonly KeyName[]; readonly done: (isDone: boolean) => void }[] = [];
  /** Keys that the source of such a lane has flushed: they are deleted, unless this one has them, whatever it has since. */
  private readonly flushed = new Set<string>();
  private isOver = false;
  private readonly limit: RateLimit | undefined;
  private cut: { readonly to: number; readonly done: () => void; readonly failed: (error: unknown) => void } | undefined;

  constructor(
    private readonly options: LaneOptions,
    from: Place,
  ) {
    this.certain = from;
    this.number = options.number;
    this.interruption = this.freshInterruption();
    const { crossing, databases, fetchAll, hold, maxOpsPerSecond, name, names, number } = options;
    const { positions, releases, sameDatabases, table, takes, target } = options;
    this.planner = new Planner(
      {
        ...{ table, fences: this.fences, wants: noticing(options), target, sameDatabases, hold, fetchAll, counts: this.counts, positions },
        ...{ names, databases, releases, onUndeclared: (db, script) => this.undeclared(db, script) },
        onPosition: (command) => positions.check(name, argsOf(command)),
        foreign:
          crossing &&
          ((slot, isMoving) => {
            if (isMoving) crossing.transit(slot);
            return crossing.isForeign(number, slot);
          }),
        takes: takes === undefined ? undefined : (spec) => takes(spec.name),
        onAsked: options.onAsked,
        onApart: (reason, name) => options.onNote(apartText(options.name, reason, name)),
      },
      NOWHERE,
    );
    if (maxOpsPerSecond !== undefined) this.limit = new RateLimit({ keysPerSecond: maxOpsPerSecond });
  }

  get attached(): boolean {
    return this.writer !== undefined;
  }

  get received(): number {
    return this.options.spool.end;
  }

  get history(): string {
    return this.options.spool.history.at(-1)?.id ?? '';
  }

  fenceAt(name: KeyName, offset: number): void {
    this.fences.set(name, offset);
  }

  /** Another run would not apply again what the stream says up to here. */
  get kept(): number {
    return this.writer?.kept ?? -1;
  }

  /** Keys are to be fetched, which the target was told of. */
  want(names: readonly KeyName[]): void {
    this.asked.push(...names);
    this.interrupt();
  }

  /** Brings keys to what the source has, at a place of the stream that is soon; false if it has ended. */
  bring(names: readonly KeyName[]): Promise<boolean> {
    if (this.isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.requests.push({ names, done: resolve });
      this.interrupt();
    });
  }

  /** `isFlushed`: keys that do not exist at this place of the stream, whatever it says of them later. */
  private async serve(writer: ChangeWriter, isFlushed?: (name: KeyName) => boolean): Promise<void> {
    const requests = this.requests.splice(0);
    // those that are wanted anyway have to wait: the flush forgets the fences of what is fetched before its end
    const later = isFlushed === undefined ? [] : [...this.fences.wanted.values()].filter(isFlushed);
    for (const { db, key } of later) this.fences.wanted.delete(keyId(db, key));
    try {
      for (const { names } of requests) {
        if (isFlushed !== undefined) await this.deleteFlushed(writer, names.filter(isFlushed));
        for (const { db, key } of names) {
          if (isFlushed?.({ db, key }) === true) continue;
          this.fences.want(db, key);
          this.flushed.add(keyId(db, key));
        }
      }
      await this.settle(this.parser.offset);
      await writer.drained();
    } catch (error) {
      this.requests.unshift(...requests);
      throw error;
    } finally {
      this.flushed.clear();
      for (const { db, key } of later) this.fences.want(db, key);
    }
    for (const { done } of requests) done(true);
  }

  private async deleteFlushed(writer: ChangeWriter, names: readonly KeyName[]): Promise<void> {
    for (const [db, some] of grouped(names, (name) => this.options.target(name.db))) {
      for (const [owner, own] of this.byOwner(some)) {
        await writer.deleteKeys(
          owner,
          db,
          own.map(({ key }) => this.nameOf(key)),
        );
      }
    }
  }

  /** Waits for lanes of other sources, which may wait for this one. */
  private async during<T>(work: Promise<T>, writer: ChangeWriter, isFlushed: (name: KeyName) => boolean): Promise<T> {
    const over = new AbortController();
    const wake = (): void => {
      over.abort();
      this.interrupt();
    };
    work.then(wake, wake);
    while (!over.signal.aborted) {
      const { signal } = this.interruption;
      if (this.requests.length > 0) await this.serve(writer, isFlushed);
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      this.options.signal.throwIfAborted();
    }
    return work;
  }

  /** Writes down which slots belong to which lane. Throws Detached. */
  writeSlots(text: string): Promise<void> {
    return this.attachedWriter.writeSlots(text);
  }

  /** Ends `run` once the stream is certain on the target up to this offset. */
  stop(offset: number): void {
    this.stopAt ??= offset;
    this.interrupt();
  }

  /** Ends at once. */
  close(): void {
    this.isOver = true;
    for (const { done } of this.requests.splice(0)) done(false);
    this.detach();
    this.options.fetcher.close();
  }

  /** Applies the stream until `stop`. Throws ServerError, OutputError, SyncError, and the reason of the signal. */
  async run(): Promise<void> {
    const { crossing } = this.options;
    await crossing?.park(this);
    let pause = FIRST_PAUSE;
    for (;;) {
      this.options.signal.throwIfAborted();
      try {
        await this.attach();
        pause = FIRST_PAUSE;
        await this.apply();
        crossing?.rest(this);
        return;
      } catch (error) {
        this.detach();
        if (!(error instanceof Detached) && !targetMayPass(error)) throw error;
        if (error instanceof Detached && error.final) throw new ServerError('REFUSED', error.server, error.reason, error);
        this.options.onEvent(`${reasonOf(error)}: going on from what is certain`, pause > LONGEST_PAUSE / 2);
      }
      await delay(pause, undefined, { signal: this.options.signal });
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  private detach(): void {
    clearInterval(this.watch);
    this.writer?.close();
    this.writer = undefined;
    this.refused = 0;
    this.doubtful.clear(); // nothing counts as certain since their commands
    this.brought.clear();
  }

  /** Connects to the target, and brings keys that are in doubt to a certain value. */
  private async attach(): Promise<void> {
    const { crossing, hold, keys, number, servers, signal } = this.options;
    await servers.refresh();
    const before = await readRecords(servers, keys);
    this.checked(before.lanes.get(number));
    await this.claim(before.places);
    await endConnections(servers, keys, number);
    const records = await readRecords(servers, keys);
    const state = this.checked(records.lanes.get(number));
    const { record, sent } = state;
    this.writer = await ChangeWriter.attach(
      {
        ...{ servers, lane: number, keys, recordDb: 0, confirm: this.options.confirm, patience: this.options.patience },
        transactions: this.options.transactions,
        ...{ fences: this.fences, moving: records.moving, run: this.runName },
        record: (place) => this.record(place),
        onRefused: (args, db, error) => this.onRefused(args, db, error),
        onCertain: () => this.onCertain(),
        onNote: this.options.onNote,
        onBroken: () => this.interrupt(),
      },
      { offset: record.certain, db: record.db, sent },
    );
    this.isOver = false;
    await this.stillOwn(records.places);
    await this.claim(this.writer.recordPlaces);
    this.watch = setInterval(() => void this.look(), LOOK_EVERY);
    if (crossing !== undefined) await this.writer.writeSlots(crossing.text);
    if (this.cut !== undefined) await this.serveCut(state);
    this.fences.clear();
    this.begin({ offset: record.certain, db: record.db });
    this.refetch = record.refetch;
    for (const { db, key } of state.fenced) this.fences.want(db, key);
    if (sent > record.certain) await this.resolveDoubts(record, sent, hold !== undefined);
    await this.settle(Math.min(sent, this.options.spool.end));
    this.refetch = undefined; // they have fences
    signal.throwIfAborted();
    if (this.options.transactions && sent === record.certain) return;
    await this.writer.writeRecord(record.certain, record.db, sent);
    await removeStale(servers, keys, number, records);
  }

  private get runName(): string {
    return `${this.options.record.generation} ${this.options.token}`;
  }

  /** Says on the target that this run writes the lane. Throws SyncReplaced if another one that is not older does. */
  private async claim(places: readonly HashPlace[]): Promise<void> {
    const { keys, name, number, servers } = this.options;
    const runs = await readRuns(servers, keys, number, places, this.runName);
    if (runs.includes('other')) throw new SyncReplaced(name);
    const rest = places.filter((_, i) => runs[i] !== 'own');
    await writeRun(servers, keys, number, rest, this.runName);
  }

  /**
   * Another run may have begun since `claim`. One that begins from now on ends the connections of this one, which there are now. Throws
   * SyncReplaced and Detached.
   */
  private async stillOwn(places: readonly HashPlace[]): Promise<void> {
    const { keys, name, number, servers } = this.options;
    const runs = await readRuns(servers, keys, number, places, this.runName);
    if (runs.includes('other')) throw new SyncReplaced(name);
    if (runs.some((run) => run !== 'own')) throw new Detached(name, 'an older run of this sync was still writing');
  }

  /** Where CLIENT KILL is not allowed, only this ends a run that was replaced; and nothing else sees that the target was emptied. */
  private async look(): Promise<void> {
    const { writer } = this;
    const { keys, number, servers } = this.options;
    if (writer === undefined) return;
    const runs = await readRuns(servers, keys, number, writer.recordPlaces, this.runName).catch(() => []); // the connections tell it, too
    if (runs.some((run) => run !== 'own')) writer.end('its position is gone, or of another run');
  }

  private begin(place: Place): void {
    this.position = place.offset;
    this.certain = place;
    this.parser = new StreamParser(place.offset);
    this.planner.begin(place.db, this.attachedWriter);
    this.places = [place];
  }

  private get attachedWriter(): ChangeWriter {
    if (this.writer === undefined) throw new Detached(this.options.name, 'there is no connection to the target');
    return this.writer;
  }

  private record({ certain, db, sent }: RecordPlace): Omit<LaneRecord, 'slots'> {
    const { refetch } = this;
    const { record, used } = this.options;
    return { phase: 'changes', id: this.idAt(certain), certain, sent, db, refetch, ...record, used: used?.() };
  }

  /** The history that an offset belongs to. */
  private idAt(offset: number): string {
    const { history } = this.options.spool;
    return (history.findLast(({ from }) => from <= offset) ?? history[0]).id;
  }

  /** Throws SyncError if the lane cannot go on from what the target says. */
  private checked(state: LaneState | undefined): LaneState {
    const { name, record, spool } = this.options;
    if (state === undefined || state.without.length > 0) {
      const where = state === undefined ? 'the target' : state.without.join(', ');
      throw new SyncGap(name, `${where} has no position of this sync any more: what it had was lost or replaced`);
    }
    if (state.record.generation > record.generation) throw new SyncReplaced(name);
    if (state.unclaimed) throw new SyncGap(name, DELETED);
    if (state.record.certain < spool.begin) {
      throw new SyncGap(name, `the target is at offset ${state.record.certain}, and the spool begins at ${spool.begin}`);
    }
    return state;
  }

  /**
   * What the stream says of (certain, sent] may be applied or not. Keys whose commands there may be repeated are left to that; the values
   * of others are fetched, and those that may have expired on the target.
   */
  private async resolveDoubts({ certain, db }: LaneRecord, sent: number, held: boolean): Promise<void> {
    const { crossing, number, onEvent, sourceOffset, spool } = this.options;
    const end = sent <= spool.end ? sent : Math.min(sent, await sourceOffset());
    const effects = new Map<string, KeyName & { effects: number }>();
    const { refetch = -1 } = this;
    for await (const { command, db: at } of this.commandsIn(certain, end, db)) {
      for (const { effect, key, db: of } of await this.written(command, at)) {
        const id = keyId(of, key);
        if (command.offset <= refetch) this.fences.want(of, key);
        else effects.set(id, { db: of, key, effects: withEffect(effects.get(id)?.effects ?? 0, effect) });
      }
    }
    const { size } = this.fences.wanted;
    if (size > 0 && refetch >= 0) onEvent(`${this.options.name}: ${size} keys were written since expiries were released: they are fetched`);
    let fetched = 0;
    for (const { db: of, effects: all, key } of effects.values()) {
      if (repeatable(all, held) && crossing?.isForeign(number, keySlot(key)) !== true) continue;
      this.fences.want(of, key);
      fetched++;
    }
    if (effects.size > 0) {
      onEvent(`${this.options.name}: ${effects.size} keys were being written: ${fetched} are fetched again, the others repeated`);
    }
  }

  /** Commands of the spool in (from, to], with the database that is selected; the last one may end beyond `to`. */
  private async *commandsIn(from: number, to: number, db: number): AsyncGenerator<{ command: StreamCommand; db: number }, void, void> {
    const { spool } = this.options;
    const parser = new StreamParser(from);
    let selected = db;
    for (let at = from; at < to;) {
      const piece = spool.readNow(at) ?? (await this.read(at));
      if (piece === undefined && this.cut !== undefined) throw new Detached(this.options.name, 'it has taken back its last writes');
      if (piece === undefined) continue;
      parser.push(piece.bytes.slice()); // they may be trimmed meanwhile
      at = piece.offset;
      for (let command = parser.next(); command !== undefined; command = parser.next()) {
        if (command.offset - (command.end - command.start) >= to) return;
        const spec = this.options.table.of(command);
        if (spec?.kind === 'select') selected = numberArg(command, 1);
        yield { command, db: selected };
      }
    }
  }

  /** The wanted keys that a command writes, and what it does to each. */
  private async written(command: StreamCommand, db: number): Promise<(KeyName & { effect: number })[]> {
    const { positions, table, takes, wants } = this.options;
    let spec = table.of(command);
    if (spec === undefined && (await this.options.learn(textArg(command, 0)))) spec = table.of(command);
    if (spec === undefined || !['write', 'script', 'move', 'copy'].includes(spec.kind) || takes?.(spec.name) === false) return [];
    const found = newKeyArgs();
    if (!spec.keys(command, found)) return [];
    const other = spec.kind === 'move' || spec.kind === 'copy' ? otherDatabase(command, spec) : undefined;
    const effect = spec.effect(command);
    return found.writes.flatMap((arg) => {
      const [start, end] = [command.starts[arg], command.ends[arg]];
      if (positions.has(command.bytes, start, end)) return [];
      const key = command.bytes.slice(start, end);
      const databases = other === undefined || other === db ? [db] : [db, other];
      return databases.filter((of) => wants?.(of, key, 0, key.length) !== false).map((of) => ({ db: of, key, effect }));
    });
  }

  /** Brings the values of wanted keys to the target, as they are in the source at `least` or later. */
  private async settle(least: number): Promise<void> {
    const { fences, options } = this;
    const { crossing, fetcher, signal } = options;
    while (fences.wanted.size > 0 || this.doubtful.size > 0) {
      await options.resting?.();
      await this.spreadDoubt(this.parser.offset);
      const wanted = crossing === undefined ? [...fences.wanted.values()] : bySlot([...fences.wanted.values()]);
      const away = crossing === undefined ? [] : wanted.filter(({ key }) => crossing.isForeign(this.number, keySlot(key)));
      if (crossing !== undefined && away.length > 0) {
        await this.settleAway(crossing, away);
        continue;
      }
      const names = wanted.slice(0, FETCH_AT_ONCE);
      const groups = new Groups((group) => this.writeFetched(group));
      try {
        await fetcher.each(names, { atLeast: least, signal }, (fetched, i) => groups.add(names[i], fetched));
        await groups.end();
      } catch (error) {
        if (crossing === undefined || !(error instanceof KeyElsewhere)) throw error;
        crossing.transit(error.slot);
      }
    }
    await this.tellSeries();
    if (this.refused > 0) {
      const { refused } = this;
      this.refused = 0;
      await this.attachedWriter.drained();
      this.attachedWriter.settled(refused);
    }
  }

  /** The same for keys that other lanes may have commands on: these rest meanwhile. */
  private async settleAway(crossing: Crossing, names: readonly KeyName[]): Promise<void> {
    const writer = this.attachedWriter;
    await writer.drained();
    await crossing.turn(this, async () => {
      if (crossing.takeChanged()) await writer.writeSlots(crossing.text);
      const [own, ...others] = [this, ...crossing.others(this)].map((lane) => ({ lane, received: lane.received, history: lane.history }));
      const offsetIn = ({ history, received }: typeof own, { id, offset }: Fetched): number => (history === id ? offset : received);
      const groups = new Groups(async (group) => {
        for (const other of others) {
          const fences = group.map(([{ db, key }, fetched]) => ({ db, key, offset: offsetIn(other, fetched) }));
          const needed = fences.filter(({ offset }) => offset > other.lane.kept);
          for (const [owner, some] of this.byOwner(needed)) await writer.fence(owner, some, other.lane.number);
          for (const fence of fences) other.lane.fenceAt(fence, fence.offset);
        }
        await this.writeFetched(group.map(([name, fetched]) => [name, { ...fetched, offset: offsetIn(own, fetched) }]));
      });
      await crossing.fetcher.each(names, this.options.signal, (fetched, name) => groups.add(name, fetched));
      await groups.end();
      await writer.drained();
    });
  }

  /** Sends values that were fetched, once the target knows how new they are. */
  private async writeFetched(group: readonly [KeyName, Fetched][]): Promise<void> {
    if (group.length === 0) return;
    const { fences, options } = this;
    const writer = this.attachedWriter;
    const keys = group.map(([{ db, key }, { offset }]) => ({ db, key, offset }));
    for (const [owner, own] of this.byOwner(keys)) await writer.fence(owner, own);
    const others = await this.ofOthers(group);
    for (const [name, fetched] of group) {
      fences.set(name, fetched.offset);
      const key = this.nameOf(name.key);
      const written = options.fetched.write(key, fetched, options.hold ?? 0, Date.now());
      if (written.outcome === 'refused') this.problem(name, written.reason);
      else if (written.outcome !== 'deleted' || (others?.has(name) !== true && this.mayDelete(name, key))) {
        if (written.outcome !== 'deleted') this.brought.set(keyId(options.target(name.db), key), keyId(name.db, name.key));
        if (written.isSeries === true) this.series.push(name);
        if ('value' in written) await this.writeLarge(name, key, written);
        else if (writer.isMoving(key)) await writer.sendMoving(writer.ownerOfKey(key), written.pieces);
        else writer.sendPieces(writer.ownerOfKey(key), options.target(name.db), written.pieces, written.commands);
      }
    }
    this.fetchedKeys += group.length;
    writer.flush();
    await writer.room();
  }

  /** Names the time series that were fetched without what belongs to them. */
  private async tellSeries(): Promise<void> {
    const { fetcher, signal } = this.options;
    for (const name of this.series.splice(0)) {
      const has = await fetcher.hasRules(name, signal);
      if (has !== false) this.problem(name, has === true ? LOST_RULES : UNKNOWN_RULES);
    }
  }

  /** It is on the target when this resolves. */
  private async writeLarge(name: KeyName, key: Uint8Array, written: WrittenLarge): Promise<void> {
    const { options } = this;
    const writer = this.attachedWriter;
    await writer.drained();
    if (writer.isMoving(key)) throw new Detached(options.name, `the slot of key ${formatText(key)} is moving, and its value is large`);
    this.large ??= new LargeWriter({
      ...{ servers: options.servers, ...options.large, confirm: options.confirm, patience: options.patience, signal: options.signal },
      label: labelOf(`${options.keys.prefix}${options.keys.id}:${options.number}`),
      stillOwn: () => this.stillOwn(this.attachedWriter.recordPlaces),
      onNote: options.onNote,
    });
    const refusal = await this.large.write(options.target(name.db), written);
    if (refusal !== undefined) this.problem(name, refusal);
  }

  /** The name that a key has on the target. */
  private nameOf(key: Uint8Array): Uint8Array {
    const { names } = this.options;
    if (names === undefined) return key;
    const { keyBytes, keyEnd, keyStart } = names.nameOf({ keyBytes: key, keyStart: 0, keyEnd: key.length });
    return keyBytes === key ? key : keyBytes.slice(keyStart, keyEnd);
  }

  /** Keys that were fetched and that the source does not have, but other sources do: they stay. */
  private async ofOthers(group: readonly [KeyName, Fetched][]): Promise<ReadonlySet<KeyName> | undefined> {
    const { othersHave, target } = this.options;
    if (othersHave === undefined) return undefined;
    const gone = group.flatMap(([name, { large, payload }]) => (payload === undefined && large === undefined ? [name] : []));
    const found = new Set<KeyName>();
    for (const [db, names] of grouped(gone, (name) => target(name.db))) {
      const have = await othersHave(db, names.map(({ key }) => this.nameOf(key)));
      for (const [i, name] of names.entries()) if (have[i] && !this.flushed.has(keyId(name.db, name.key))) found.add(name);
    }
    return found;
  }

  /** Whether a key that the source does not have may go: not if another of the source that has this name on the target was just written. */
  private mayDelete(name: KeyName, key: Uint8Array): boolean {
    const other = this.brought.get(keyId(this.options.target(name.db), key));
    return other === undefined || other === keyId(name.db, name.key) || !this.fences.wasFetched(other);
  }

  private sourceNames(db: number, key: Uint8Array): KeyName[] {
    return sourceNames(this.options, this.options.names, db, key);
  }

  /** Keys by the index of the master that has them. */
  private byOwner<T extends KeyName>(names: readonly T[]): Map<number, T[]> {
    const writer = this.attachedWriter;
    return grouped(names, ({ key }) => writer.ownerOfKey(this.nameOf(key)));
  }

  /**
   * Commands that were sent after one that was refused may have read what that did not write: what they write is fetched, too. Nothing
   * counts as certain since then, so they are in the spool.
   */
  private async spreadDoubt(to: number): Promise<void> {
    const doubtful = this.doubtful;
    const { certain, dbAtCertain } = this.attachedWriter;
    this.doubtful = new Map();
    if (doubtful.size === 0) return;
    for await (const { command, db } of this.commandsIn(certain, to, dbAtCertain)) {
      const reads = this.touched(command, db);
      if (!reads.some((id) => doubtful.has(id))) continue;
      for (const name of await this.written(command, db)) {
        const id = keyId(name.db, name.key);
        if (doubtful.has(id)) continue;
        doubtful.set(id, name);
        this.fences.want(name.db, name.key);
      }
    }
  }

  /** The keys that a command with several of them reads or writes. */
  private touched(command: StreamCommand, db: number): string[] {
    const spec = this.options.table.of(command);
    const found = newKeyArgs();
    if (spec === undefined || spec.key > 0 || spec.split !== undefined || !spec.keys(command, found)) return [];
    return [...found.reads, ...found.writes].map((arg) => keyId(db, command.bytes, command.starts[arg], command.ends[arg]));
  }

  private undeclared(db: number, name: string): void {
    const reason = `${name.toUpperCase()} may have written keys that it does not name: compare with rdbkit diff`;
    this.problem({ db, key: Buffer.alloc(0) }, reason);
  }

  private problem(name: KeyName, reason: string): void {
    const id = keyId(name.db, name.key);
    if (this.rejected.get(id) === reason) return;
    this.rejected.set(id, reason);
    this.options.onProblem({ ...name, reason });
  }

  private onRefused(args: readonly Uint8Array[], db: number, error: string): void {
    const { name, onNote, table } = this.options;
    this.refused++;
    this.interrupt();
    const command = commandOf(args);
    const spec = table.of(command);
    const found = newKeyArgs();
    if (spec === undefined || !spec.keys(command, found)) return;
    const moves = /^(?:ASK|TRYAGAIN|EXECABORT) /.test(error); // the command itself is well
    this.planner.learn(spec.name, args.length, error);
    for (const arg of found.writes) {
      for (const source of this.sourceNames(db, args[arg])) {
        const id = keyId(source.db, source.key);
        if (!moves && spec.name === 'restore' && this.fences.wasFetched(id)) this.problem(source, error);
        else this.fences.want(source.db, source.key);
        this.doubtful.set(id, source);
      }
    }
    if (moves) return;
    onNote(`${name}: the target refused ${spec.name.toUpperCase()} (${error}): the keys that it writes are fetched from the source`);
  }

  private onCertain(): void {
    const { spool } = this.options;
    const writer = this.attachedWriter;
    this.certain = { offset: writer.certain, db: writer.dbAtCertain };
    spool.trim(Math.min(writer.certain, writer.durable));
  }

  private async apply(): Promise<void> {
    const { limit, options, planner } = this;
    const { crossing, signal, spool } = options;
    const writer = this.attachedWriter;
    for (;;) {
      const resting = options.resting?.();
      if (resting !== undefined) await resting;
      signal.throwIfAborted();
      writer.assertWhole();
      if (this.cut !== undefined) await this.serveCut({ record: this.record(this.here(writer)), sent: this.position });
      for (const { db, key } of this.asked.splice(0)) this.fences.want(db, key);
      if (this.requests.length > 0 && !planner.inUnit) await this.serve(writer);
      if (!planner.inUnit && (this.fences.wanted.size > 0 || this.refused > 0)) await this.settle(this.parser.offset);
      if (!planner.inUnit && crossing?.asks(this) === true) {
        await writer.drained();
        if (this.fences.wanted.size > 0 || this.refused > 0) continue;
        await crossing.park(this);
      }
      if (this.stopAt !== undefined && this.position >= this.stopAt && !planner.inUnit) {
        await writer.drained();
        if (this.refused === 0 && this.fences.wanted.size === 0 && this.requests.length === 0) break;
        continue;
      }
      const piece = spool.readNow(this.position) ?? (await this.read(this.position));
      if (piece === undefined) continue;
      const allowed = writer.allow(piece.offset);
      if (allowed !== undefined) await allowed;
      this.parser.push(piece.bytes);
      this.position = piece.offset;
      const before = this.counts.commands;
      await this.planAll(writer);
      writer.flush();
      this.remember();
      await this.passFences(writer);
      const room = writer.room();
      if (room !== undefined) await room;
      if (limit !== undefined) {
        limit.spend(this.counts.commands - before, 0);
        await limit.untilAllowed(signal);
      }
    }
    this.isOver = true;
    await writer.finish();
    await this.passFences(writer);
    this.detach();
  }

  private async planAll(writer: ChangeWriter): Promise<void> {
    const { parser, planner } = this;
    try {
      for (let command = parser.next(); command !== undefined; command = parser.next()) {
        const pause = planner.plan(command);
        if (pause !== undefined) await this.pause(pause, command, writer);
        if (!planner.inUnit) writer.unitEnd(command.offset, planner.db);
      }
    } catch (error) {
      if (error instanceof SyntaxError) throw new SyncError(this.options.name, error.message, error);
      if (error instanceof NoDatabase) throw new SyncError(this.options.name, noDatabaseText(error), error);
      throw error;
    }
  }

  private async pause(pause: Pause, command: StreamCommand, writer: ChangeWriter): Promise<void> {
    const { learn, name } = this.options;
    if (pause.kind === 'unknown') {
      if (!(await learn(textArg(command, 0)))) {
        throw new SyncError(
          name,
          `neither this program nor the source knows the command ${formatText(pause.args[0], 0, pause.args[0].length)}`,
        );
      }
      this.planner.plan(command);
      return;
    }
    const { keys, name: lane, number, onNote, pauses, sameDatabases, servers, target } = this.options;
    await applyPause(pause, {
      ...{ name: lane, lane: number, writer, planner: this.planner, fences: this.fences, servers, keys, command },
      ...{ options: pauses, sameDatabases, target, onNote, sourceNames: (db, key) => this.sourceNames(db, key) },
      spreadDoubt: () => this.spreadDoubt(command.offset),
      during: (work, isFlushed) => this.during(work, writer, isFlushed),
      unfence: (names) => this.unfence(writer, names),
      onIgnored: () => this.counts.ignored++,
    });
  }

  private here({ certain, dbAtCertain }: ChangeWriter): RecordPlace {
    return { certain, db: dbAtCertain, sent: certain };
  }

  private remember(): void {
    if (this.planner.inUnit) return;
    this.places.push({ offset: this.parser.offset, db: this.planner.db });
    if (this.places.length > MOST_PLACES) this.places = this.places.slice(MOST_PLACES / 2);
  }

  private async passFences(writer: ChangeWriter): Promise<void> {
    const passed = this.fences.passed(writer.kept); // another run would go on from there
    if (passed.length === 0) return;
    if (this.fences.size === 0) this.brought.clear();
    await this.unfence(writer, passed);
  }

  /** Tells the target that these keys have no fences any more. */
  private async unfence(writer: ChangeWriter, names: readonly KeyName[]): Promise<void> {
    for (const [owner, own] of this.byOwner(names)) await writer.unfence(owner, own);
  }

  /** Bytes of the spool after an offset; undefined if there is something else to do. */
  private async read(offset: number): Promise<{ bytes: Uint8Array; offset: number } | undefined> {
    const { interruption } = this;
    try {
      return await this.options.spool.read(offset, interruption.signal);
    } catch (error) {
      this.options.signal.throwIfAborted();
      if (interruption.signal.aborted) return undefined;
      throw error;
    }
  }

  /** Ends waiting for the source: there is something else to do. */
  interrupt(): void {
    this.interruption.abort();
    this.interruption = this.freshInterruption();
  }

  private freshInterruption(): { readonly signal: AbortSignal; abort(): void } {
    const controller = new AbortController();
    return { signal: AbortSignal.any([this.options.signal, controller.signal]), abort: () => controller.abort() };
  }

  /** The source has taken back what came after `to`, which the spool still has: keys that were written there are fetched again. */
  rewind(to: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.cut = { to, done: resolve, failed: reject };
      this.interrupt();
    });
  }

  /** Ends with Detached: the stream goes on elsewhere. */
  private async serveCut({ record, sent }: { readonly record: Pick<LaneRecord, 'certain' | 'db'>; readonly sent: number }): Promise<never> {
    const { cut } = this;
    if (cut === undefined) throw new TypeError('nothing was taken back');
    try {
      await this.fetchSince(cut.to, [...this.places, { offset: record.certain, db: record.db }], Math.max(sent, this.position));
    } catch (error) {
      if (!(error instanceof Detached)) cut.failed(error);
      throw error;
    }
    this.cut = undefined;
    cut.done();
    throw new Detached(this.options.name, 'it has taken back its last writes');
  }

  private async fetchSince(to: number, places: readonly Place[], end: number): Promise<void> {
    const { name, onEvent, spool } = this.options;
    if (end <= to) return;
    const known = places.filter(({ offset }) => offset <= to && offset >= spool.begin);
    if (known.length === 0) throw new SyncGap(name, `the source has taken back its writes from offset ${to + 1} on, some of them long ago`);
    const from = known.reduce((a, b) => (b.offset > a.offset ? b : a));
    const names = new Map<string, KeyName>();
    let selected = from.db;
    for await (const { command, db } of this.commandsIn(from.offset, Math.min(end, spool.end), from.db)) {
      if (command.offset <= to) selected = db;
      else for (const { db: of, key } of await this.written(command, db)) names.set(keyId(of, key), { db: of, key });
    }
    onEvent(`${name}: it has taken back its last writes, of ${names.size} keys, which are fetched again`, true);
    await this.recordRewind(to, selected, end, [...names.values()]);
  }

  /** The target learns which keys are to be fetched, and where the stream goes on. */
  private async recordRewind(to: number, db: number, end: number, names: readonly KeyName[]): Promise<void> {
    const writer = this.attachedWriter;
    await writer.drained();
    const fences = names.map((name) => ({ ...name, offset: end }));
    for (const [owner, own] of this.byOwner(fences)) await writer.fence(owner, own);
    if (writer.certain > to) await writer.writeRecord(to, db, to);
  }
}

/** What the planner asks of each key that it wants. */
function noticing({ notices, wants }: Pick<LaneOptions, 'notices' | 'wants'>): LaneOptions['wants'] {
  if (notices === undefined) return wants;
  return (db, bytes, start, end) => {
    if (wants?.(db, bytes, start, end) === false) return false;
    notices(db, bytes, start, end);
    return true;
  };
}

/** Keys of a slot together, so that they are fetched in one transaction. */
function bySlot(names: readonly KeyName[]): KeyName[] {
  return names
    .map((name) => ({ name, slot: keySlot(name.key) }))
    .sort((a, b) => a.slot - b.slot)
    .map(({ name }) => name);
}

/** Fetched values, gathered to be written together. */
class Groups {
  private group: [KeyName, Fetched][] = [];
  private bytes = 0;

  constructor(private readonly write: (group: readonly [KeyName, Fetched][]) => Promise<void>) {}

  async add(name: KeyName, fetched: Fetched): Promise<void> {
    this.group.push([name, fetched]);
    this.bytes += fetched.payload?.length ?? 0;
    // a large one is only there until this resolves
    if (fetched.large !== undefined || this.bytes >= GROUP_BYTES || this.group.length >= GROUP_KEYS) await this.end();
  }

  async end(): Promise<void> {
    const { group } = this;
    this.group = [];
    this.bytes = 0;
    await this.write(group);
  }
}

const NOWHERE = {
  sharded: false,
  wrapsUnits: false,
  ownerOf: () => -1,
  send: () => {
    throw new TypeError('there is no connection to the target');
  },
};

/** A command from its arguments. */
function commandOf(args: readonly Uint8Array[]): StreamCommand {
  const starts = new Int32Array(args.length);
  const ends = new Int32Array(args.length);
  let at = 0;
  args.forEach((arg, i) => {
    starts[i] = at;
    at += arg.length;
    ends[i] = at;
  });
  return { bytes: Buffer.concat(args), start: 0, end: at, args: args.length, starts, ends, offset: 0 };
}

const noDatabaseText = ({ db, to }: NoDatabase): string =>
  `keys of its database ${db} were written, and the target has no database ${to}: choose databases with --db, or others with --db-map`;

const REASONS: Readonly<Record<ApartReason, string>> = {
  slots: 'its keys are in several slots of the target',
  filter: 'some of its keys are left out',
  fence: 'it reads a key that is newer on the target',
  databases: 'it concerns two databases',
  unknown: 'the target does not know it',
  undeclared: 'it may touch keys that it does not name',
  inexact: 'it may give another value there',
  value: 'keys are chosen by their values',
  moved: 'the slot of its keys moves between masters of the source',
};

const apartText = (lane: string, reason: ApartReason, name: string): string =>
  `${lane}: ${name.toUpperCase()}: ${REASONS[reason]}: the keys that it writes are fetched from the source`;
