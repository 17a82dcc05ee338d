import { setTimeout as delay } from 'node:timers/promises';
import { slotRanges } from '../bytes/crc16.js';
import { type ErrorPlace, RdbError } from '../bytes/errors.js';
import { BUCKET_BITS, BucketSet } from '../diff/buckets.js';
import { CompareSink } from '../diff/compare-sink.js';
import { type CountRow, countRows, rowDiffers, type SlotGroup } from '../diff/count-rows.js';
import { randomSeed, type Seed } from '../diff/domains.js';
import { type DiffLevel, FoldSink } from '../diff/fold-sink.js';
import type { Inside } from '../diff/inside.js';
import { InsideSink, InsideTable } from '../diff/inside-sink.js';
import { KeyCounts } from '../diff/key-counts.js';
import { KeyHash } from '../diff/key-hash.js';
import { KeyList } from '../diff/key-list.js';
import { type Difference, type DifferenceKind, KeyTable, type MetKey } from '../diff/key-table.js';
import type { ByteSink } from '../io/byte-sink.js';
import { EMPTY } from '../encodings/element.js';
import { EncodedInput } from '../json/encoded-input.js';
import { type Input, openInput } from '../io/input.js';
import type { LiveOptions } from '../live/options.js';
import { Output } from '../io/output.js';
import { OutputError } from '../io/output-error.js';
import type { Kernels } from '../kernels/kernels.js';
import { doubtKeys, editsOf, onlyWanted, type Pass, sampleKeys } from '../pipeline/passes.js';
import { type OpenOptions, openOutput, run, type RunOptions, type RunProgress, type RunSummary } from '../pipeline/run.js';
import { type Counts, type LastSink, noCounts } from '../pipeline/sink.js';
import { RECORD_PREFIX } from '../sync/record.js';
import { compileKeyFilter, type FilterOptions, type KeyPlace } from '../values/filters.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import { LATEST_REDIS } from '../values/targets.js';
import { linesOfKeys } from './key-lines.js';
import { type LiveRunOptions, type LiveSources, withServers } from './live-sources.js';

export type { DiffLevel } from '../diff/fold-sink.js';
export type { Inside } from '../diff/inside.js';
export type { KeyList } from '../diff/key-list.js';
export type { Difference, DifferenceKind, KeyFacts } from '../diff/key-table.js';

/** What is compared, and how. */
export interface ComparisonOptions extends LiveRunOptions {
  /** The other side, like `sources`. */
  readonly targets: readonly string[];
  /** Default: keys. */
  readonly level?: DiffLevel | undefined;
  /** Milliseconds that expiries may be apart (default 0). */
  readonly tolerance?: number | undefined;
  /** Default: data. */
  readonly streams?: 'data' | 'full' | undefined;
  /** The database on the target of keys of a database of the source; unlisted ones have the same number. */
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** All keys of the source are in this database of the target. */
  readonly intoDb?: number | undefined;
  /** Other names that keys of the source have on the target. */
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  /** Keys of the source have no expiries on the target. */
  readonly stripTtl?: boolean | undefined;
  /** Milliseconds that expiries of the source are later on the target. */
  readonly ttlShift?: number | undefined;
  /** Which keys of the target are compared (default: `filter`, with its databases mapped). */
  readonly targetFilter?: RunOptions['filter'];
  /** Keys that only the target has are no differences. */
  readonly oneWay?: boolean | undefined;
  /** The share of keys to compare (default 1). */
  readonly sample?: number | undefined;
  /** At level counts: the bytes that end a prefix (default `:`), and whether keys are counted by slot where no side is a cluster. */
  readonly delimiters?: Uint8Array | undefined;
  readonly slots?: boolean | undefined;
  /** How often what differs is looked at (default 1). */
  readonly rounds?: number | undefined;
  /** Milliseconds between two rounds (default 5000). */
  readonly settle?: number | undefined;
  /** Bytes for keys of buckets that differ (default 64 MiB). */
  readonly memory?: number | undefined;
  /** Only these keys, by their database on the target; all others are neither compared nor read from servers. */
  readonly only?: KeyList | undefined;
  /** Whether to look into values that differ, those of the first MOST_SHOWN keys. */
  readonly showValues?: boolean | undefined;
  /** Whether the summary has the first differences. */
  readonly keepsFirst?: boolean | undefined;
}

export interface DiffOptions extends ComparisonOptions {
  /** A path for the differences; default: standard output. */
  readonly output?: string | undefined;
  /** The line for a difference, without its end. */
  readonly line: (difference: Difference, inside: Inside | undefined) => string;
  /** A path for the comparison as a page, and what is written there. */
  readonly html?: string | undefined;
  readonly page?: ((summary: DiffSummary) => string) | undefined;
  /** What is written at level counts. */
  readonly table?: ((summary: DiffSummary) => string) | undefined;
}

/** What one side has. */
export interface SideCounts {
  readonly names: readonly string[];
  /** Without those that have expired. */
  readonly keys: number;
  readonly expired: number;
  /** By database, and there by type. */
  readonly counts: ReadonlyMap<number, Readonly<Partial<Record<string, number>>>>;
}

export interface DiffSummary extends RunSummary {
  readonly level: DiffLevel;
  readonly source: SideCounts;
  readonly target: SideCounts;
  /** The numbers of both sides: by database and type, and at level counts by more. */
  readonly rows: readonly CountRow[];
  /** Keys that differ (at level counts: numbers of keys), and how often each kind of difference was found. */
  readonly different: number;
  readonly kinds: Readonly<Record<DifferenceKind, number>>;
  /** The first of them, for a page. */
  readonly first: readonly Difference[];
  /** Keys that one side has and that expired since it was read. */
  readonly excused: number;
  /** Keys of the target that several of the source become, which were compared with the last of those, and the first of them. */
  readonly met: number;
  readonly firstMet: MetKey | undefined;
  /** Rounds that looked at single keys. */
  readonly rounds: number;
  /** Keys with other values that were looked into, and those that were not, as there were too many. */
  readonly shown: number;
  readonly notShown: number;
  /** Whether both sides were read to their ends. */
  readonly complete: boolean;
}

/** Keys whose values are looked into. */
export const MOST_SHOWN = 1000;
const MEMORY = 64 << 20;
const SETTLE = 5000;
/** Differences on a page. */
const ON_PAGE = 1000;
/** Keys that differ in a round are remembered by this many bits of their hashes, beside those of their buckets: 2 MiB. */
const MARK_BITS = 24;
/** Ranges of slots that are counted where no side is a cluster. */
const SLOT_RANGES = 16;
/** Room that the sinks take in the memory of the kernels: buckets, and columns beside a batch. */
const KERNEL_BYTES = 16 << 20;

/** Compares two sides and writes a line for each difference. Throws OutputError and ServerError; everything else is in the summary. */
export async function diff(options: DiffOptions): Promise<DiffSummary> {
  const { html, page, table } = options;
  const sink = await openOutput(options, options.output);
  let pageSink: ByteSink | undefined;
  try {
    if (html !== undefined) pageSink = await openOutput(options, html);
    const output = new Output(sink);
    const summary = await compare({ ...options, keepsFirst: html !== undefined }, async (difference, inside) => {
      output.add(Buffer.from(`${options.line(difference, inside)}\n`));
      await output.flushIfFull();
    });
    if (summary.complete && table !== undefined) output.add(Buffer.from(table(summary)));
    await output.flush();
    await output.written();
    if (!summary.complete) {
      await pageSink?.abandon();
      return { ...summary, partial: await sink.abandon() };
    }
    if (page !== undefined) await pageSink?.write(Buffer.from(page(summary)));
    await sink.commit();
    await pageSink?.commit();
    return summary;
  } catch (error) {
    await pageSink?.abandon();
    const kept = await sink.abandon();
    if (error instanceof OutputError) error.kept = kept;
    throw error;
  }
}

/** Takes a difference, and what differs inside its values where that is asked for. */
export type TakeDifference = (difference: Difference, inside: Inside | undefined) => Promise<void> | void;

/**
 * Compares two sides, both ways, in bounded memory: both are folded into sums by buckets of keys, and only the keys of buckets whose sums
 * differ are read again and compared one by one. Throws ServerError and what `take` throws.
 */
export function compare(options: ComparisonOptions, take: TakeDifference): Promise<DiffSummary> {
  return withServers(forgetful(options), false, (given, servers) => new Comparison(given, servers, take).run());
}

/**
 * A key that a scan gives twice makes no difference, so that none has to be remembered, except where keys are only counted. With chosen
 * keys, all is read with SCAN, which can leave out the others.
 */
function forgetful(options: ComparisonOptions): ComparisonOptions {
  const { level, live, only } = options;
  if (live === undefined) return options;
  const forgets = (how: LiveOptions): LiveOptions => ({
    ...{ ...how, scan: { ...how.scan, repeats: level !== 'counts' } },
    ...(only === undefined ? {} : { via: 'scan' }),
  });
  return { ...options, live: new Map([...live].map(([name, how]) => [name, forgets(how)])) };
}

type SideName = 'source' | 'target';

/** One of the two sides. */
interface Side {
  readonly name: SideName;
  readonly sources: readonly string[];
  readonly filter: RunOptions['filter'];
  /** The database that a key counts in, and its name there; borrowed until the next one. */
  readonly databaseOf: (db: number) => number;
  readonly nameOf: (key: KeyPlace) => KeyPlace;
  readonly passes: readonly Pass[];
  /** How it is read for single keys (default: in the same way). */
  readonly again?: Pick<Side, 'filter' | 'passes'> | undefined;
}

class Comparison {
  private readonly seed: Seed = randomSeed();
  private readonly sides: readonly [source: Side, target: Side];
  private readonly started = performance.now();
  private readonly progress = new Map<SideName, RunProgress>();
  private readonly errors: RunSummary['errors'][number][] = [];
  private readonly counts: Counts = noCounts();
  private readonly kinds: Record<DifferenceKind, number> = { missing: 0, extra: 0, type: 0, expiry: 0, value: 0 };
  private readonly first: Difference[] = [];
  private different = 0;
  private excused = 0;
  private met = 0;
  private firstMet: MetKey | undefined;
  private rounds = 0;
  private shown = 0;
  private notShown = 0;
  private warnings = 0;
  private interrupted = false;
  private lines: ReadonlySet<string> = new Set();

  private readonly slotGroups: readonly SlotGroup[];

  constructor(
    private readonly options: ComparisonOptions,
    servers: LiveSources | undefined,
    private readonly take: TakeDifference,
  ) {
    const { dbMap, filter = {}, intoDb, keyPrefixMap, sample = 1, sources, targetFilter = filter, targets } = options;
    this.slotGroups = slotGroupsOf(options, servers);
    const mapped = (db: number): number => intoDb ?? dbMap?.get(db) ?? db;
    const sampled = sample < 1 ? [sampleKeys(sample)] : [];
    const dbs = filter.db === undefined || filter.db.length === 0 ? undefined : [...new Set(filter.db.map(mapped))];
    this.sides = [
      {
        ...{ name: 'source', sources, filter: withoutPositions(filter), databaseOf: mapped },
        nameOf: (key) => keyPrefixMap?.nameOf(key) ?? key,
        passes: [...editsOf(options), ...sampled], // both sides sample by the names on the target
      },
      {
        ...{ name: 'target', sources: servers?.named(targets) ?? targets, databaseOf: (db) => db, nameOf: (key) => key },
        ...targetSide({ ...targetFilter, db: dbs ?? (intoDb === undefined ? undefined : [intoDb]) }, sampled, keyPrefixMap),
      },
    ];
  }

  async run(): Promise<DiffSummary> {
    const { level = 'keys' } = this.options;
    const files = this.sides.flatMap(({ sources }) => sources.filter((name) => this.options.servers?.has(name) !== true));
    this.lines = await linesOfKeys(files);
    const now = this.now;
    const folded = await Promise.all(this.sides.map((side) => this.fold(side, level, now)));
    const [source, target] = folded;
    const rows = countRows(source, target, this.slotGroups);
    if (this.whole && level === 'counts') this.different = rows.filter(rowDiffers).length;
    else if (this.whole) await this.look(source.buckets.differing(target.buckets), level);
    const [sourceCounts, targetCounts] = folded.map(({ counts, expired }, i) => ({
      names: this.sides[i].sources,
      keys: sum([...counts.values()].flatMap((types) => Object.values(types))),
      ...{ expired, counts },
    }));
    return {
      ...this.counts,
      level,
      source: sourceCounts,
      target: targetCounts,
      rows,
      different: this.different,
      kinds: this.kinds,
      first: this.first,
      excused: this.excused,
      met: this.met,
      firstMet: this.firstMet,
      rounds: this.rounds,
      shown: this.shown,
      notShown: this.notShown,
      complete: this.whole,
      sources: this.sides[0].sources.length + this.sides[1].sources.length,
      errors: this.errors,
      warnings: this.warnings,
      torn: false,
      partial: undefined,
      written: 0,
      limited: false,
      interrupted: this.interrupted,
      seconds: (performance.now() - this.started) / 1000,
    };
  }

  private get now(): number {
    return this.options.filter?.now ?? Date.now();
  }

  private get whole(): boolean {
    return this.errors.length === 0 && !this.interrupted;
  }

  private async fold(side: Side, level: DiffLevel, now: number): Promise<FoldSink> {
    const { delimiters = Buffer.from(':'), streams = 'data', tolerance = 0 } = this.options;
    const keyCounts = level === 'counts' ? new KeyCounts({ delimiters, slots: this.slotGroups.length > 0 }) : undefined;
    const sinks: FoldSink[] = [];
    await this.read(side, (codec) => {
      const sink = new FoldSink(codec, { seed: this.seed, level, now, tolerance, streams, keyCounts });
      sinks.push(sink);
      return sink;
    });
    return sinks[0];
  }

  /** Reads what differs key by key, as often as rounds are asked for, while anything is different. */
  private async look(buckets: readonly number[], level: DiffLevel): Promise<void> {
    const { rounds = 1, settle = SETTLE, signal } = this.options;
    let open: readonly number[] = buckets;
    let before: BucketSet | undefined;
    for (let round = 1; round <= rounds && open.length > 0 && this.whole; round++) {
      if (round > 1) await delay(settle, undefined, { signal }).catch(() => (this.interrupted = true));
      this.rounds = round;
      const marks = new BucketSet(MARK_BITS, []);
      open = await this.keyByKey(open, level, round === rounds, before, marks);
      before = marks;
    }
  }

  /**
   * Compares the keys of buckets; both sides are read again for those that memory had no room for. Returns those that still differ. Only
   * keys that differed in the round `before` do, not those that were written to since; `marks` gets those of this round.
   */
  private async keyByKey(
    buckets: readonly number[],
    level: DiffLevel,
    last: boolean,
    before: BucketSet | undefined,
    marks: BucketSet,
  ): Promise<number[]> {
    const { memory = MEMORY, oneWay = false, streams = 'data', tolerance = 0 } = this.options;
    const values = level === 'values';
    const hash = new KeyHash(this.seed);
    const different = new Set<number>();
    let excused = 0;
    let met = 0;
    let open = buckets;
    while (open.length > 0 && this.whole) {
      const { now } = this;
      const table = new KeyTable({ buckets: open, bits: BUCKET_BITS, limit: memory, tolerance, values });
      for (const [index, side] of this.sides.entries()) {
        await this.read(
          side,
          (codec) => new CompareSink(codec, index === 0 ? 'a' : 'b', table, { seed: this.seed, values, now, streams }),
          { wants: (db, bytes, start, end) => table.wanted.hasKey(hash.of(db, bytes, start, end), 0) },
        );
      }
      if (this.errors.length > 0 || this.interrupted) break;
      const found = table.differences(this.now);
      const toShow: Difference[] = [];
      let next = found.next();
      for (; next.done !== true; next = found.next()) {
        const { db, key, kinds } = next.value;
        if (oneWay && kinds[0] === 'extra') continue;
        const [bucket, other] = hash.of(db, key, 0, key.length);
        const mark = other & ((1 << MARK_BITS) - 1);
        if (before?.has(mark) === false) continue;
        marks.add(mark);
        different.add(bucket & ((1 << BUCKET_BITS) - 1));
        if (!last) continue;
        this.different++;
        if (this.options.keepsFirst === true && this.first.length < ON_PAGE) this.first.push(next.value);
        for (const kind of kinds) this.kinds[kind]++;
        if (this.isToShow(kinds)) toShow.push(next.value);
        else await this.take(next.value, undefined);
      }
      await this.show(toShow);
      excused += next.value.excused;
      met += next.value.met;
      this.firstMet ??= next.value.firstMet;
      open = [...table.left];
    }
    this.excused = excused;
    this.met = Math.max(this.met, met); // later rounds look at what differs only
    return [...different];
  }

  /** Whether to look into the value of a key that differs. Counts it. */
  private isToShow(kinds: readonly DifferenceKind[]): boolean {
    if (this.options.showValues !== true || !kinds.includes('value')) return false;
    if (this.shown === MOST_SHOWN) this.notShown++;
    else this.shown++;
    return this.notShown === 0;
  }

  /** Reads both sides again, for the values of some keys. */
  private async show(differences: readonly Difference[]): Promise<void> {
    const { streams = 'data' } = this.options;
    let open = differences;
    while (open.length > 0) {
      const keys = new KeyList(Infinity);
      for (const { db, key } of open) keys.add(db, key);
      const table = new InsideTable(keys, { streams });
      for (const [index, side] of this.sides.entries()) {
        await this.read(side, (codec) => new InsideSink(codec, index === 0 ? 'a' : 'b', table, { streams }), { keys });
      }
      if (!this.whole) return;
      const left: Difference[] = [];
      for (const difference of open) {
        const inside = table.of(keys.find(difference.db, difference.key));
        if (inside === undefined) left.push(difference);
        else await this.take(difference, inside);
      }
      if (left.length === open.length) {
        for (const difference of left) await this.take(difference, undefined); // gone since
        return;
      }
      open = left;
    }
  }

  /**
   * Reads a side: all of it, or only `keys`. `wants`: keys that matter, for sources that can leave out others early; files have all. Both
   * know databases as the target has them.
   */
  private async read(
    side: Side,
    make: (codec: Kernels | undefined) => LastSink,
    { keys = this.options.only, wants }: { readonly keys?: KeyList | undefined; readonly wants?: OpenOptions['wants'] } = {},
  ): Promise<void> {
    const { options } = this;
    const isWanted: OpenOptions['wants'] =
      keys === undefined ? wants : (db, key, start, end) => keys.has(db, key, start, end) && wants?.(db, key, start, end) !== false;
    const { filter, passes } = this.rounds === 0 ? side : (side.again ?? side);
    const only = keys === undefined ? [] : [onlyWanted((db, key, start, end) => keys.has(db, key, start, end))];
    const summary = await run(
      {
        ...options,
        sources: side.sources,
        filter: { ...filter, now: this.now },
        wants: isWanted && wantsOf(side, isWanted),
        open: (source, how) => this.open(source, how),
        onProgress: (progress) => {
          this.progress.set(side.name, progress);
          options.onProgress?.(joined([...this.progress.values()]));
        },
        ...(this.rounds > 0 ? { onWarning: undefined, onAofTail: undefined, onHead: undefined } : {}),
      },
      (codec) => ({ sink: make(codec), outputs: [], meta: false, passes: [...passes, ...only] }),
      KERNEL_BYTES,
    );
    this.errors.push(...summary.errors);
    this.interrupted ||= summary.interrupted;
    if (this.rounds > 0) return;
    this.warnings += summary.warnings;
    for (const name of Object.keys(this.counts) as (keyof Counts)[]) this.counts[name] += summary[name];
  }

  /** JSON lines become the RDB that they make. */
  private open(source: string, { allocate, onError, signal, stdin }: OpenOptions): Input {
    if (!this.lines.has(source)) return openInput(source, { allocate, signal, stdin });
    return new EncodedInput(openInput(source, { signal, stdin, text: true }), {
      chosen: { target: LATEST_REDIS },
      allowLoss: false,
      counts: { refused: 0, others: 0, adapted: 0, lost: 0 },
      unknown: { lenient: true, left: 0 },
      seen: undefined,
      wanted: () => true,
      onBadLine: undefined,
      onRefusal: ({ db, key, reason }) => onError(unheld({ file: source, db, key }, reason)),
      onWarning: (text) => this.options.onWarning?.(source, text),
    });
  }
}

/** Without the keys in which syncs keep their positions: they are of one side only. */
const withoutPositions = (filter: FilterOptions): FilterOptions => ({
  ...filter,
  notPrefix: [...(filter.notPrefix ?? []), Buffer.from(RECORD_PREFIX)],
});

/**
 * How a target is read: filters are for names in the source. A first look takes the keys whose names there they most likely let through. A
 * second one takes all that may have such a name; one that the source does not have is only too many if the first look takes it, too.
 */
function targetSide(
  filter: FilterOptions,
  passes: readonly Pass[],
  prefixes: KeyPrefixes | undefined,
): Pick<Side, 'again' | 'filter' | 'passes'> {
  const fits = compileKeyFilter(filter);
  const own = withoutPositions(filter);
  if (prefixes === undefined || fits === undefined) return { filter: own, passes };
  return {
    filter: { ...own, names: (key, passing) => passing(prefixes.wasName(key)) },
    passes,
    again: {
      filter: { ...own, names: (key, passing) => prefixes.hadName(key, passing) },
      passes: [...passes, doubtKeys((key) => fits(prefixes.wasName(key)))],
    },
  };
}

type Wants = Exclude<OpenOptions['wants'], undefined>;

/** What is wanted of a side, by the databases and names that it has itself. */
function wantsOf({ databaseOf, nameOf }: Side, isWanted: Wants): Wants {
  const own = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  return (db, keyBytes, keyStart, keyEnd) => {
    const key = nameOf(Object.assign(own, { keyBytes, keyStart, keyEnd }));
    return isWanted(databaseOf(db), key.keyBytes, key.keyStart, key.keyEnd);
  };
}

const sum = (numbers: readonly (number | undefined)[]): number => numbers.reduce<number>((all, one = 0) => all + one, 0);

/** Those of the masters of a cluster, the target's if both sides are one; else equal ranges, if they are asked for. */
function slotGroupsOf({ level, slots = false, targets }: ComparisonOptions, servers: LiveSources | undefined): SlotGroup[] {
  if (level !== 'counts') return [];
  const clusters = (servers?.facts ?? []).filter(({ clustered }) => clustered);
  const cluster = clusters.find(({ name }) => targets.includes(name)) ?? clusters.at(0);
  if (cluster !== undefined) return cluster.shards.map(({ master, slots: ranges }) => ({ name: `slots of ${master}`, ranges }));
  return slots ? slotRanges(SLOT_RANGES).map(([from, to]) => ({ name: `slots ${from}-${to}`, ranges: [[from, to]] })) : [];
}

/** The progress of both sides together. */
function joined(sides: readonly RunProgress[]): RunProgress {
  const all = sides.length < 2 ? [undefined] : sides.map(({ totalBytes }) => totalBytes);
  return {
    bytesRead: sum(sides.map(({ bytesRead }) => bytesRead)),
    totalBytes: all.includes(undefined) ? undefined : sum(all),
    keys: sum(sides.map(({ keys }) => keys)),
  };
}

/** A key of JSON lines that no server could have. */
const unheld = (place: ErrorPlace, got: string): RdbError =>
  new RdbError('BAD_LINE', { ...place, expected: 'a key that Redis can hold', got });
