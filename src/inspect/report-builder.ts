import { slotRanges, SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { CELL, CELL_EXPIRED as EXPIRED, CELL_KEYS as KEYS, CELL_MEMORY as MEMORY, CELL_WITH_EXPIRY as WITH_EXPIRY, HISTOGRAM, TYPE_HISTOGRAMS } from '../kernels/layout.js';
import { TYPE_NUMBERS, typeOfNumber } from '../rdb/frame-table.js';
import { REDIS_TYPES, TABLES } from '../rdb/types.js';
import { reads, type Target, targetName } from '../values/targets.js';
import { adviceOf } from './advice.js';
import { ENCODINGS } from './measures.js';
import type { PrefixTree } from './prefix-tree.js';
import type {
  Amount, Bucket, Group, MemoryReport, Percentiles, PrefixNode, PrefixReport, Report, Sizes, SlotReport, SourceReport, TargetReport,
} from './report.js';
import { bucketsOf } from './buckets.js';
import { percentilesOf } from './histogram.js';
import { amountOf, type Tally } from './tally.js';
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
  readonly memory: Pick<MemoryReport, 'server' | 'tables' | 'guessed'>;
}

/** Makes the report. */
export function reportOf(tally: Tally, findings: Findings, options: ReportOptions): Report {
  const scale = 1 / options.share;
  const build = new ReportBuilder(tally, scale);
  const { sources } = findings;
  const totals = build.totals();
  const slots = build.slots(options.shards);
  const functions = findings.functions.reduce((sum, { bytes }) => sum + bytes, 0);
  const used = sources.every(({ usedMemory }) => usedMemory !== undefined) ? sum(sources.map(({ usedMemory = 0 }) => usedMemory)) : undefined;
  const tables = Math.round(findings.memory.tables * scale);
  const found = {
    complete: sources.every(({ complete }) => complete),
    totals,
    types: build.types(),
    prefixes: prefixReport(tally.prefixes, scale),
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
      dataset: totals.memory + tables + functions,
      guessed: findings.memory.guessed,
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
    expiry: { none: build.amount(tally.noExpiry), expired: build.amount(tally.expired), left: bucketsOf(tally.left, scale) },
    ...optional('idle', bucketsOf(tally.idle, scale)),
    ...optional('frequency', bucketsOf(tally.frequency, scale)),
    slots,
    warnings: warningsOf(tally, found, options.thresholds),
    advice: adviceOf(tally, found, scale),
    ...(options.target === undefined ? {} : { target: targetReport(tally, options.target, build) }),
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const byMemory = (a: Amount, b: Amount): number => b.memory - a.memory;

function optional<K extends string>(name: K, buckets: readonly Bucket[]): { readonly [N in K]?: readonly Bucket[] } {
  return buckets.some(({ keys }) => keys > 0) ? ({ [name]: buckets } as { readonly [N in K]?: readonly Bucket[] }) : {};
}

/** Turns cells into amounts, scaled up from a sample. */
class ReportBuilder {
  constructor(
    private readonly tally: Tally,
    private readonly scale: number,
  ) {}

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

  /** The sum of cells of all databases; which ones, `take` says by type and encoding. */
  private sum(take: (type: number, encoding: number) => boolean, databases: Iterable<Float64Array> = this.tally.databases.values()): Float64Array {
    const total = new Float64Array(CELL);
    for (const cells of databases) {
      for (let type = 0; type < REDIS_TYPES.length; type++) {
        for (let encoding = 0; encoding < ENCODINGS.length; encoding++) {
          if (!take(type, encoding)) continue;
          const at = (type * ENCODINGS.length + encoding) * CELL;
          for (let i = 0; i < CELL; i++) total[i] += cells[at + i];
        }
      }
    }
    return total;
  }

  totals(): Group {
    return this.group(this.sum(() => true));
  }

  databases(): Report['databases'] {
    return [...this.tally.databases]
      .sort(([a], [b]) => a - b)
      .map(([db, cells]) => ({ db, ...this.group(this.sum(() => true, [cells])) }));
  }

  types(): Report['types'] {
    return REDIS_TYPES.map((type, i) => ({ type, ...this.group(this.sum((found) => found === i)), sizes: this.sizes(i) }))
      .filter(({ keys }) => keys > 0)
      .sort(byMemory);
  }

  private sizes(type: number): Sizes {
    const { sizes } = this.tally;
    const of = (which: number): Percentiles => percentilesOf(sizes, (type * TYPE_HISTOGRAMS + which) * HISTOGRAM);
    return { memory: of(0), bytes: of(1), elements: of(2), keyLength: of(3) };
  }

  encodings(): Report['encodings'] {
    return REDIS_TYPES.flatMap((type, i) =>
      ENCODINGS.map((encoding, j) => ({ type, encoding, ...this.group(this.sum((a, b) => a === i && b === j)) })),
    )
      .filter(({ keys }) => keys > 0)
      .sort(byMemory);
  }

  slots(shards: number | undefined): SlotReport {
    const { slots } = this.tally;
    const used = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => slots[slot * CELL + KEYS] > 0);
    const all = sum(used.map((slot) => slots[slot * CELL + MEMORY]));
    const share = (memory: number): number => (all === 0 ? 0 : memory / all);
    const hottest = [...used].sort((a, b) => slots[b * CELL + MEMORY] - slots[a * CELL + MEMORY]).slice(0, HOTTEST);
    return {
      slots: used.map((slot) => {
        const { bytes, keys, memory } = this.amount(slots, slot * CELL);
        return [slot, keys, bytes, memory] as const;
      }),
      hottest: hottest.map((slot) => ({ slot, ...this.amount(slots, slot * CELL), share: share(slots[slot * CELL + MEMORY]) })),
      ...(shards === undefined ? {} : { shards: slotRanges(shards).map(([from, to]) => this.shard(from, to, share)) }),
    };
  }

  private shard(from: number, to: number, share: (memory: number) => number): NonNullable<SlotReport['shards']>[number] {
    const cell = new Float64Array(CELL);
    for (let slot = from; slot <= to; slot++) for (let i = 0; i < CELL; i++) cell[i] += this.tally.slots[slot * CELL + i];
    return { from, to, ...this.amount(cell), share: share(cell[MEMORY]) };
  }
}

/** The heaviest nodes of the tree. A parent is no lighter than its children, so that it comes with them. */
export function prefixReport(tree: PrefixTree, scale: number): PrefixReport {
  const { delimiters, options: { depth } } = tree;
  const order = new Uint32Array(tree.nodes - 1).map((_, i) => i + 1);
  const memory = new Float64Array(tree.nodes);
  for (let node = 0; node < tree.nodes; node++) memory[node] = tree.memoryOf(node);
  order.sort((a, b) => memory[b] - memory[a] || a - b);
  const chosen = order.subarray(0, MOST_PREFIXES);
  const children = new Map<number, number[]>();
  for (const node of chosen) {
    const parent = tree.parentOf(node);
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [node]);
    else siblings.push(node);
  }
  const all = new Uint32Array(tree.nodes);
  for (let node = 1; node < tree.nodes; node++) all[tree.parentOf(node)]++;
  const scaled = (count: number): number => Math.round(count * scale);

  const build = (index: number, above: Uint8Array): PrefixNode => {
    const { bytes, elements, expired, keys, memory, name, p99, types, withExpiry } = tree.node(index);
    const prefix = Buffer.concat([above, name]);
    const own = children.get(index) ?? [];
    const nodes = own.map((child) => build(child, prefix));
    const rest = {
      keys: scaled(keys) - sum(nodes.map((node) => node.keys)),
      bytes: scaled(bytes) - sum(nodes.map((node) => node.bytes)),
      memory: scaled(memory) - sum(nodes.map((node) => node.memory)),
      elements: scaled(elements) - sum(nodes.map((node) => node.elements)),
      prefixes: all[index] - own.length,
    };
    return {
      name: formatText(name),
      prefix: formatText(prefix),
      keys: scaled(keys),
      bytes: scaled(bytes),
      memory: scaled(memory),
      elements: scaled(elements),
      withExpiry: scaled(withExpiry),
      expired: scaled(expired),
      types: Object.fromEntries(REDIS_TYPES.flatMap((type, i) => (types[i] > 0 ? [[type, scaled(types[i])] as const] : []))),
      ...(p99 === undefined ? {} : { p99 }),
      ...(nodes.length === 0 ? {} : { children: nodes }),
      ...(nodes.length > 0 && rest.keys > 0 ? { rest } : {}),
    };
  };
  const { missing } = tree;
  return {
    delimiters: Array.from(delimiters, (byte) => String.fromCharCode(byte)),
    depth,
    root: build(0, new Uint8Array(0)),
    nodes: tree.nodes - 1,
    error: { keys: scaled(missing.keys), memory: scaled(missing.memory) },
  };
}

/** What a target cannot take as it is: by types of the RDB. */
function targetReport(tally: Tally, target: Target, build: ReportBuilder): TargetReport {
  const rewritten: TargetReport['rewritten'][number][] = [];
  const impossible: TargetReport['impossible'][number][] = [];
  for (let number = 0; number < TYPE_NUMBERS; number++) {
    const type = typeOfNumber(number);
    if (type === undefined || tally.rdbTypes[number * CELL + KEYS] === 0 || reads(target, type)) continue;
    const amount = build.amount(tally.rdbTypes, number * CELL);
    const others = TABLES[target.vendor].types.filter((other) => other?.redisType === type.redisType && reads(target, other));
    if (others.length > 0 || type.redisType === 'bitmap') rewritten.push({ type: type.name, ...amount });
    else impossible.push({ type: type.name, reason: `${targetName(target)} has no values of type ${type.redisType}`, ...amount });
  }
  return { server: targetName(target), rewritten, impossible };
}
