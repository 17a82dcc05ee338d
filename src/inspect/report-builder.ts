import { slotRanges, SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import {
  CELL, CELL_BYTES, CELL_ELEMENTS, CELL_EXPIRED as EXPIRED, CELL_KEYS as KEYS, CELL_KEY_BYTES, CELL_MEMORY, CELL_MEMORY as MEMORY,
  CELL_WITH_EXPIRY as WITH_EXPIRY, HISTOGRAM, SLOT_CELL, TYPE_HISTOGRAMS,
} from '../kernels/layout.js';
import { REDIS_TYPES, TABLES, type TypeRow } from '../rdb/types.js';
import { WRITTEN_AS } from '../values/by-type.js';
import { reads, type Target, targetName } from '../values/targets.js';
import { adviceOf } from './advice.js';
import { ENCODINGS } from './measures.js';
import type { PrefixTree } from './prefix-tree.js';
import type {
  Amount, Bucket, Group, MemoryReport, Percentiles, PrefixNode, PrefixReport, Report, Sizes, SlotReport, SourceReport, TargetReport,
} from './report.js';
import { bucketsOf } from './buckets.js';
import { percentilesOf } from './histogram.js';
import { amountOf, FORMS, OTHER_DATABASES, type Tally } from './tally.js';
import { type Thresholds, warningsOf } from './warnings.js';

/** Prefixes that a report has at most: the heaviest ones. */
const MOST_PREFIXES = 10_000;
const HOTTEST = 10;

export interface ReportOptions {
  /** When the run began, Unix milliseconds. */
  readonly at: number;
  /** The part of the keys that was looked at. */
  readonly share: number;
  readonly shards: number | undefined;
  readonly target: Target | undefined;
  readonly thresholds: Thresholds;
}

/** What is known beside the tally. */
export interface Findings {
  readonly sources: readonly SourceReport[];
  readonly functions: Report['functions'];
  readonly memory: Pick<MemoryReport, 'server' | 'tables' | 'other' | 'guessed'>;
}

/** Makes the report. */
export function reportOf(tally: Tally, findings: Findings, options: ReportOptions): Report {
  const scale = 1 / options.share;
  const build = new ReportBuilder(tally, scale);
  const { sources } = findings;
  const totals = build.totals();
  const types = build.types();
  const slots = build.slots(options.shards);
  const functions = findings.functions.reduce((sum, { bytes }) => sum + bytes, 0);
  const used = sources.every(({ usedMemory }) => usedMemory !== undefined)
    ? sum(sources.map(({ usedMemory = 0 }) => usedMemory))
    : undefined;
  const tables = Math.round(findings.memory.tables * scale);
  const other = Math.round(findings.memory.other * scale);
  const found = {
    complete: sources.every(({ complete }) => complete),
    totals,
    types,
    prefixes: prefixReport(tally.prefixes, scale, { ...totals, types: Object.fromEntries(types.map((type) => [type.type, type.memory])) }),
    slots,
    sources,
  };
  return {
    format: 1,
    at: options.at,
    complete: found.complete,
    ...(options.share < 1 ? { sample: { share: options.share, keys: Math.round(totals.keys / scale) } } : {}),
    sources,
    memory: {
      server: findings.memory.server,
      keys: totals.memory,
      tables,
      functions,
      other,
      dataset: totals.memory + tables + functions + other,
      guessed: Math.round(findings.memory.guessed * scale),
      ...(used === undefined || sources.length === 0 ? {} : { used }),
    },
    totals,
    databases: build.databases(),
    types: found.types,
    encodings: build.encodings(),
    modules: [...tally.modules].map(([module, cell]) => ({ module, ...build.amount(cell) })).sort(byMemory),
    functions: findings.functions,
    top: { memory: tally.topMemory.sorted, elements: tally.topElements.sorted, largest: tally.topLargest.sorted },
    prefixes: found.prefixes,
    expiry: { none: build.noExpiry(), expired: build.amount(tally.expired), left: bucketsOf(tally.left, scale) },
    ...optional('idle', bucketsOf(tally.idle, scale)),
    ...optional('frequency', bucketsOf(tally.frequency, scale)),
    slots,
    warnings: warningsOf(tally, found, options.thresholds, scale),
    advice: adviceOf(tally, found, scale),
    ...(options.target === undefined ? {} : { target: targetReport(options.target, build) }),
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** What others leave of a whole; amounts that are scaled up are rounded. */
const left = (whole: number, others: readonly number[]): number => Math.max(0, whole - sum(others));

const byMemory = (a: Amount, b: Amount): number => b.memory - a.memory;

function optional<K extends string>(name: K, buckets: readonly Bucket[]): { readonly [N in K]?: readonly Bucket[] } {
  return buckets.some(({ keys }) => keys > 0) ? ({ [name]: buckets } as { readonly [N in K]?: readonly Bucket[] }) : {};
}

/** Turns cells into amounts, scaled up from a sample. */
class ReportBuilder {
  /** The cells of all databases together. */
  private readonly all: Float64Array;

  constructor(
    private readonly tally: Tally,
    private readonly scale: number,
  ) {
    this.all = new Float64Array(FORMS.length * ENCODINGS.length * CELL);
    for (const cells of tally.databases.values()) for (let i = 0; i < cells.length; i++) this.all[i] += cells[i];
  }

  amount(cells: Float64Array, at = 0): Amount {
    return this.scaled(amountOf(cells, at));
  }

  private scaled({ bytes, elements, keys, memory }: Amount): Amount {
    const { scale } = this;
    return {
      keys: Math.round(keys * scale),
      bytes: Math.round(bytes * scale),
      memory: Math.round(memory * scale),
      elements: Math.round(elements * scale),
    };
  }

  group(cells: Float64Array, at = 0): Group {
    const { scale } = this;
    return {
      ...this.amount(cells, at),
      withExpiry: Math.round(cells[at + WITH_EXPIRY] * scale),
      expired: Math.round(cells[at + EXPIRED] * scale),
    };
  }

  /** The sum of those cells that `take` chooses by type and encoding. */
  sum(take: (type: TypeRow, encoding: number) => boolean, cells = this.all): Float64Array {
    const total = new Float64Array(CELL);
    FORMS.forEach((type, form) => {
      for (let encoding = 0; encoding < ENCODINGS.length; encoding++) {
        if (!take(type, encoding)) continue;
        const at = (form * ENCODINGS.length + encoding) * CELL;
        for (let i = 0; i < CELL; i++) total[i] += cells[at + i];
      }
    });
    return total;
  }

  totals(): Group {
    return this.group(this.sum(() => true));
  }

  /** Keys that never expire: all others are counted. */
  noExpiry(): Amount {
    const { expired, expiring } = this.tally;
    return this.amount(this.sum(() => true).map((all, i) => all - expired[i] - expiring[i]));
  }

  databases(): Report['databases'] {
    return [...this.tally.databases]
      .sort(([a], [b]) => (a === OTHER_DATABASES ? 1 : b === OTHER_DATABASES ? -1 : a - b))
      .map(([db, cells]) => ({ db: db === OTHER_DATABASES ? null : db, ...this.group(this.sum(() => true, cells)) }));
  }

  types(): Report['types'] {
    return REDIS_TYPES.map((type, i) => {
      const cell = this.sum(({ redisType }) => redisType === type);
      return { type, ...this.group(cell), sizes: this.sizes(i, cell) };
    })
      .filter(({ keys }) => keys > 0)
      .sort(byMemory);
  }

  private sizes(type: number, cell: Float64Array): Sizes {
    const { sizes } = this.tally;
    const of = (which: number, sum: number): Percentiles => percentilesOf(sizes, (type * TYPE_HISTOGRAMS + which) * HISTOGRAM, cell[sum]);
    return { memory: of(0, CELL_MEMORY), bytes: of(1, CELL_BYTES), elements: of(2, CELL_ELEMENTS), keyLength: of(3, CELL_KEY_BYTES) };
  }

  encodings(): Report['encodings'] {
    return REDIS_TYPES.flatMap((type) =>
      ENCODINGS.map((encoding, j) => ({
        type,
        encoding,
        ...this.group(this.sum(({ redisType }, found) => redisType === type && found === j)),
      })),
    )
      .filter(({ keys }) => keys > 0)
      .sort(byMemory);
  }

  slots(shards: number | undefined): SlotReport {
    const { slots } = this.tally;
    const used = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => slots[slot * SLOT_CELL + KEYS] > 0);
    const all = sum(used.map((slot) => slots[slot * SLOT_CELL + MEMORY]));
    const share = (memory: number): number => (all === 0 ? 0 : memory / all);
    const hottest = [...used].sort((a, b) => slots[b * SLOT_CELL + MEMORY] - slots[a * SLOT_CELL + MEMORY]).slice(0, HOTTEST);
    return {
      slots: used.map((slot) => {
        const { bytes, keys, memory } = this.amount(slots, slot * SLOT_CELL);
        return [slot, keys, bytes, memory] as const;
      }),
      hottest: hottest.map((slot) => ({ slot, ...this.amount(slots, slot * SLOT_CELL), share: share(slots[slot * SLOT_CELL + MEMORY]) })),
      ...(shards === undefined ? {} : { shards: slotRanges(shards).map(([from, to]) => this.shard(from, to, share)) }),
    };
  }

  private shard(from: number, to: number, share: (memory: number) => number): NonNullable<SlotReport['shards']>[number] {
    const cell = new Float64Array(SLOT_CELL);
    for (let slot = from; slot <= to; slot++) for (let i = 0; i < SLOT_CELL; i++) cell[i] += this.tally.slots[slot * SLOT_CELL + i];
    return { from, to, ...this.amount(cell), share: share(cell[MEMORY]) };
  }
}

/** The heaviest nodes of the tree. A parent is no lighter than its children, so that it comes with them. */
function prefixReport(tree: PrefixTree, scale: number, all: Omit<PrefixNode, 'name' | 'prefix'>): PrefixReport {
  const {
    delimiters,
    options: { depth },
  } = tree;
  const order = new Uint32Array(tree.nodes - 1).map((_, i) => i + 1);
  const memory = new Float64Array(tree.nodes);
  for (let node = 0; node < tree.nodes; node++) memory[node] = tree.memoryOf(node);
  // numbers of nodes depend on the threads; ranks do not
  const ranks = tree.ranks();
  order.sort((a, b) => memory[b] - memory[a] || ranks[a] - ranks[b] || a - b);
  const chosen = order.subarray(0, MOST_PREFIXES);
  const children = new Map<number, number[]>();
  for (const node of chosen) {
    const parent = tree.parentOf(node);
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [node]);
    else siblings.push(node);
  }
  const counts = new Uint32Array(tree.nodes);
  for (let node = 1; node < tree.nodes; node++) counts[tree.parentOf(node)]++;
  const scaled = (count: number): number => Math.round(count * scale);

  const build = (index: number, above: Uint8Array): PrefixNode => {
    const { name, p99, types, ...amounts } = tree.node(index);
    const prefix = Buffer.concat([above, name]);
    const own = {
      keys: scaled(amounts.keys),
      bytes: scaled(amounts.bytes),
      memory: scaled(amounts.memory),
      elements: scaled(amounts.elements),
      withExpiry: scaled(amounts.withExpiry),
      expired: scaled(amounts.expired),
      types: Object.fromEntries(REDIS_TYPES.flatMap((type, i) => (types[i] > 0 ? [[type, scaled(types[i])] as const] : []))),
    };
    return {
      name: formatText(name),
      prefix: formatText(prefix),
      ...own,
      ...(p99 === undefined ? {} : { p99 }),
      ...below(index, own, prefix),
    };
  };

  /** The children of a node, and what is under none of them. */
  const below = (index: number, { bytes, elements, keys, memory }: Amount, prefix: Uint8Array): Pick<PrefixNode, 'children' | 'rest'> => {
    const nodes = (children.get(index) ?? [])
      .map((child) => build(child, prefix))
      .sort((a, b) => b.memory - a.memory || (a.name < b.name ? -1 : 1));
    if (nodes.length === 0) return {};
    const rest = {
      keys: left(keys, nodes.map((node) => node.keys)),
      bytes: left(bytes, nodes.map((node) => node.bytes)),
      memory: left(memory, nodes.map((node) => node.memory)),
      elements: left(elements, nodes.map((node) => node.elements)),
      prefixes: counts[index] - nodes.length,
    };
    return { children: nodes, ...(rest.keys > 0 ? { rest } : {}) };
  };
  const { missing } = tree;
  return {
    delimiters: Array.from(delimiters, (byte) => String.fromCharCode(byte)),
    depth,
    root: { name: '', prefix: '', ...all, ...below(0, all, new Uint8Array(0)) },
    nodes: tree.nodes - 1,
    error: { keys: scaled(missing.keys), memory: scaled(missing.memory) },
  };
}

const isDefined = <T,>(value: T | undefined): value is T => value !== undefined;

/** Hashes whose fields may expire one by one. */
const hasFieldExpiries = ({ form, name }: TypeRow): boolean => form === 'hash-metadata' || form === 'listpack-ex' || name === 'HASH_2';

/** What a target cannot take as it is: by types of the RDB. */
function targetReport(target: Target, build: ReportBuilder): TargetReport {
  const rewritten: TargetReport['rewritten'][number][] = [];
  const impossible: TargetReport['impossible'][number][] = [];
  for (const type of new Set(FORMS)) {
    const cell = build.sum((found) => found === type);
    if (cell[KEYS] === 0 || reads(target, type)) continue;
    const amount = build.amount(cell);
    const others = TABLES[target.vendor].types
      .filter((other) => other?.redisType === type.redisType && reads(target, other))
      .filter(isDefined);
    if (hasFieldExpiries(type) && !others.some(hasFieldExpiries)) {
      const reason = `${targetName(target)} has no field expiries (--allow-loss restores such keys without)`;
      impossible.push({ type: type.name, reason, ...amount });
    } else if (others.length > 0 || WRITTEN_AS[type.redisType] !== undefined) rewritten.push({ type: type.name, ...amount });
    else impossible.push({ type: type.name, reason: `${targetName(target)} has no values of type ${type.redisType}`, ...amount });
  }
  return { server: targetName(target), rewritten, impossible };
}
