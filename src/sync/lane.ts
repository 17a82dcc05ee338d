import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf, ServerError } from '../redis/errors.js';
import { RateLimit } from '../redis/rate-limit.js';
import { applyPause } from './barriers.js';
import { sourceNames } from './choice.js';
import { argsOf, textArg } from './commands/args.js';
import { keptOf } from './commands/table.js';
import type { Crosser } from './crossing.js';
import { SyncError } from './errors.js';
import { Fences, type KeyName } from './fences.js';
import { LaneRequests } from './group/lane-requests.js';
import { Doubts } from './lane/doubts.js';
import type { LaneOptions, Place } from './lane/lane-options.js';
import { apartText, noDatabaseText, unknownText } from './lane/messages.js';
import { Problems } from './lane/problems.js';
import { Rewind } from './lane/rewind.js';
import { StreamKeys } from './lane/stream-keys.js';
import { WantedKeys } from './lane/wanted-keys.js';
import { NoDatabase, type Pause, PlanCounts, Planner } from './planner.js';
import type { LaneRecord } from './record.js';
import { InterruptibleReader } from './spool/interruptible-reader.js';
import type { StreamCommand } from './stream-command.js';
import { StreamParser } from './stream-parser.js';
import { AttachedTarget } from './target/attached-target.js';
import { ChangeWriter } from './target/change-writer.js';
import { Claim } from './target/claim.js';
import { Detached, targetMayPass } from './target/detached.js';
import { endConnections, labelOf, readRecords, removeStale } from './target/lane-records.js';
import { LargeWriter } from './target/large-writer.js';
import type { RecordPlace } from './target/record-commands.js';

/** Milliseconds between attempts to go on with the target, at first and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1000;

/** The changes of one master of the source, from its spool to the target: it puts together what the files of `lane/` do. */
export class Lane implements Crosser {
  readonly number: number;
  parked = true;
  readonly counts = new PlanCounts();
  /** Everything up to this offset is certain on the target, as far as this run knows. */
  certain: Place;
  private readonly fences = new Fences();
  private readonly planner: Planner;
  private readonly target: AttachedTarget;
  private readonly claim: Claim;
  private readonly reader: InterruptibleReader;
  private readonly doubts: Doubts;
  private readonly wanted: WantedKeys;
  private readonly requests: LaneRequests;
  private readonly rewound: Rewind;
  private parser = new StreamParser(0);
  /** The stream was read up to this offset. */
  private position = 0;
  /** Keys written up to here are about to be fetched, whatever the commands. */
  private refetch: number | undefined;
  /** The stream is applied up to here at least, and then no more. */
  private stopAt: number | undefined;
  /** Keys to be fetched, which the target was told of. */
  private asked: KeyName[] = [];
  private readonly limit: RateLimit | undefined;

  constructor(
    private readonly options: LaneOptions,
    from: Place,
  ) {
    const { crossing, maxOpsPerSecond, number, onProblem, signal, spool } = options;
    const { fences } = this;
    this.certain = from;
    this.number = number;
    this.target = new AttachedTarget(options);
    this.claim = new Claim(options);
    this.reader = new InterruptibleReader(spool, signal);
    if (maxOpsPerSecond !== undefined) this.limit = new RateLimit({ keysPerSecond: maxOpsPerSecond });
    const problems = new Problems(onProblem);
    this.planner = this.newPlanner(problems);
    const { planner, reader, target: attached } = this;
    const stream = new StreamKeys({ ...options, reader, isTakenBack: () => this.rewound.isAsked });
    const parts = { ...options, attached, fences, problems, stream, interrupt: () => this.interrupt() };
    this.rewound = new Rewind(parts);
    this.doubts = new Doubts({ ...parts, planner, sourceNames: (db, key) => this.sourceNames(db, key) });
    this.requests = new LaneRequests({ ...options, attached, fences, reader, settle: () => this.settle() });
    const { doubts, requests } = this;
    this.wanted = new WantedKeys({ ...parts, crossing, doubts, lane: this, flushed: requests.flushed, large: this.newLargeWriter() });
  }

  private newPlanner(problems: Problems): Planner {
    const { options } = this;
    const { crossing, databases, fetchAll, hold, name, names, number } = options;
    const { positions, releases, sameDatabases, table, takes, target } = options;
    return new Planner(
      {
        ...{ table, fences: this.fences, wants: noticing(options), target, sameDatabases, hold, fetchAll, counts: this.counts, positions },
        ...{ names, databases, releases, onUndeclared: (db, script) => problems.tellUndeclared(db, script) },
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
  }

  private newLargeWriter(): LargeWriter {
    const { confirm, keys, large, number, onNote, patience, servers, signal } = this.options;
    return new LargeWriter({
      ...{ servers, ...large, confirm, patience, signal, onNote },
      label: labelOf(`${keys.prefix}${keys.id}:${number}`),
      stillOwn: () => this.claim.stillOwn(this.target.writer.recordPlaces),
    });
  }

  get attached(): boolean {
    return this.target.writerNow !== undefined;
  }

  get fetchedKeys(): number {
    return this.wanted.fetched;
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
    return this.target.writerNow?.kept ?? -1;
  }

  /** Keys are to be fetched, which the target was told of. */
  want(names: readonly KeyName[]): void {
    this.asked.push(...names);
    this.interrupt();
  }

  /** Brings keys to what the source has, at a place of the stream that is soon; false if it has ended. */
  bring(names: readonly KeyName[]): Promise<boolean> {
    return this.requests.bring(names);
  }

  /** The source has taken back what came after `to`, which the spool still has: keys that were written there are fetched again. */
  rewind(to: number): Promise<void> {
    return this.rewound.ask(to);
  }

  /** Writes down which slots belong to which lane. Throws Detached. */
  writeSlots(text: string): Promise<void> {
    return this.target.writer.writeSlots(text);
  }

  /** Ends `run` once the stream is certain on the target up to this offset. */
  stop(offset: number): void {
    this.stopAt ??= offset;
    this.interrupt();
  }

  /** Ends waiting for the source: there is something else to do. */
  interrupt(): void {
    this.reader.interrupt();
  }

  /** Ends at once. */
  close(): void {
    this.requests.close();
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
    this.claim.release();
    this.target.detach();
    this.doubts.forget();
    this.wanted.noFences();
  }

  /** Connects to the target, and brings keys that are in doubt to a certain value. */
  private async attach(): Promise<void> {
    const { claim, doubts, fences, rewound, target } = this;
    const { crossing, keys, number, servers, signal, spool } = this.options;
    await servers.refresh();
    const before = await readRecords(servers, keys);
    claim.checked(before.lanes.get(number));
    signal.throwIfAborted(); // a run that has ended writes no more
    await claim.make(before.places);
    await endConnections(servers, keys, number);
    const records = await readRecords(servers, keys);
    signal.throwIfAborted();
    const state = claim.checked(records.lanes.get(number));
    const { record, sent } = state;
    const writer = await ChangeWriter.attach(
      {
        ...{ servers, lane: number, keys, recordDb: 0, confirm: this.options.confirm, patience: this.options.patience },
        transactions: this.options.transactions,
        ...{ fences, moving: records.moving, run: claim.run },
        record: (place) => this.record(place),
        onRefused: (args, db, error) => doubts.onRefused(args, db, error),
        onCertain: () => this.onCertain(),
        onNote: this.options.onNote,
        onBroken: () => this.interrupt(),
      },
      { offset: record.certain, db: record.db, sent },
    );
    target.attach(writer);
    this.requests.open();
    await claim.stillOwn(records.places);
    signal.throwIfAborted();
    await claim.make(target.writer.recordPlaces);
    claim.keepLooking(target.writer);
    if (crossing !== undefined) await target.writer.writeSlots(crossing.text);
    if (rewound.isAsked) await rewound.serve({ offset: record.certain, db: record.db }, Math.max(sent, this.position));
    fences.clear();
    this.begin({ offset: record.certain, db: record.db });
    this.refetch = record.refetch;
    for (const { db, key } of state.fenced) fences.want(db, key);
    if (sent > record.certain) await doubts.resolve(record, sent);
    await this.settle(Math.min(sent, spool.end));
    this.refetch = undefined; // they have fences
    signal.throwIfAborted();
    if (this.options.transactions && sent === record.certain) return;
    await target.writer.writeRecord(record.certain, record.db, sent);
    await removeStale(servers, keys, number, records);
  }

  private begin(place: Place): void {
    this.position = place.offset;
    this.certain = place;
    this.parser = new StreamParser(place.offset, keptOf(this.options.table));
    this.planner.begin(place.db, this.target.writer);
    this.rewound.begin(place);
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

  private onCertain(): void {
    const { spool } = this.options;
    const { writer } = this.target;
    this.certain = { offset: writer.certain, db: writer.dbAtCertain };
    spool.trim(Math.min(writer.certain, writer.durable));
  }

  private async apply(): Promise<void> {
    const { doubts, fences, limit, options, planner, requests, rewound } = this;
    const { crossing, signal, spool } = options;
    const { writer } = this.target;
    for (;;) {
      const resting = options.resting?.();
      if (resting !== undefined) await resting;
      signal.throwIfAborted();
      writer.assertWhole();
      if (rewound.isAsked) await rewound.serve({ offset: writer.certain, db: writer.dbAtCertain }, this.position);
      for (const { db, key } of this.asked.splice(0)) fences.want(db, key);
      if (requests.areWaiting && !planner.inUnit) await requests.serve(writer);
      if (!planner.inUnit && (fences.wanted.size > 0 || doubts.refused > 0)) await this.settle();
      if (!planner.inUnit && crossing?.asks(this) === true) {
        await writer.drained();
        if (fences.wanted.size > 0 || doubts.refused > 0) continue;
        await crossing.park(this);
      }
      if (this.stopAt !== undefined && this.position >= this.stopAt && !planner.inUnit) {
        await writer.drained();
        if (doubts.refused === 0 && fences.wanted.size === 0 && !requests.areWaiting) break;
        continue;
      }
      const piece = spool.readNow(this.position) ?? (await this.reader.read(this.position));
      if (piece === undefined) continue;
      const allowed = writer.allow(piece.offset);
      if (allowed !== undefined) await allowed;
      this.parser.push(piece.bytes);
      this.position = piece.offset;
      const before = this.counts.commands;
      writer.beginPiece();
      await this.planAll(writer);
      writer.endPiece();
      if (!planner.inUnit) rewound.remember({ offset: this.parser.offset, db: planner.db });
      await this.passFences(writer);
      const room = writer.room();
      if (room !== undefined) await room;
      if (limit !== undefined) {
        limit.spend(this.counts.commands - before, 0);
        await limit.untilAllowed(signal);
      }
    }
    requests.close();
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
      if (!(await learn(textArg(command, 0)))) throw new SyncError(name, unknownText(pause.args[0]));
      this.planner.plan(command);
      return;
    }
    const { keys, name: lane, number, onNote, pauses, sameDatabases, servers, target } = this.options;
    await applyPause(pause, {
      ...{ name: lane, lane: number, writer, planner: this.planner, fences: this.fences, servers, keys, command },
      ...{ options: pauses, sameDatabases, target, onNote, sourceNames: (db, key) => this.sourceNames(db, key) },
      spreadDoubt: () => this.doubts.spread(command.offset),
      during: (work, isFlushed) => this.requests.during(work, writer, isFlushed),
      unfence: (names) => this.target.unfence(names),
      onIgnored: () => this.counts.ignored++,
    });
  }

  /** Brings wanted keys to what the source has, at `least` or later. */
  private settle(least = this.parser.offset): Promise<void> {
    return this.wanted.settle(least, this.parser.offset);
  }

  private sourceNames(db: number, key: Uint8Array): KeyName[] {
    return sourceNames(this.options, this.options.names, db, key);
  }

  private async passFences(writer: ChangeWriter): Promise<void> {
    const passed = this.fences.passed(writer.kept); // another run would go on from there
    if (passed.length === 0) return;
    if (this.fences.size === 0) this.wanted.noFences();
    await this.target.unfence(passed);
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

const NOWHERE = {
  sharded: false,
  wrapsUnits: false,
  ownerOf: () => -1,
  send: () => {
    throw new TypeError('there is no connection to the target');
  },
};
