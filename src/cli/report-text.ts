import type { Amount, Bucket, Change, Group, Key, PrefixNode, Report, SourceReport } from '../commands/inspect-terms.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable, quoted, sourceName } from './printable.js';
import { shortened, Table, wrapped } from './text-table.js';

export interface TextOptions {
  /** Width of a line. */
  readonly columns: number;
  readonly colour: boolean;
}

const BOLD = '\u001b[1m';
const YELLOW = '\u001b[33m';
const RESET = '\u001b[0m';

/** Sources and warnings that are shown at the beginning. */
const SOURCES = 3;
const WARNINGS = 20;
/** From this share of the memory on, a difference between the whole and its parts is told. */
const WORTH_TELLING = 0.02;

/** Rows of prefixes and of changes that are shown. */
const PREFIX_ROWS = 24;
/** A prefix with less of the memory than this is not shown under another one. */
const SMALL_SHARE = 0.01;
const CHANGES = 12;
/** Function libraries that are listed. */
const FUNCTIONS = 20;
/** Cells for the type and encoding of a key. */
const LONGEST_KIND = 16;

/** The report for a terminal. Key names are escaped: they may have anything in them. */
export function reportText(report: Report, { colour, columns }: TextOptions): string {
  return new ReportText(report, columns, colour).text;
}

class ReportText {
  private readonly lines: string[] = [];

  constructor(
    private readonly report: Report,
    private readonly columns: number,
    private readonly colour: boolean,
  ) {
    this.head();
    this.warnings();
    if (report.totals.keys > 0) {
      this.types();
      this.prefixes();
      this.largest();
      this.sizes();
      this.expiry();
      this.accesses();
      this.databases();
      this.balance();
    }
    this.others();
    this.baseline();
    this.advice();
  }

  get text(): string {
    return `${this.lines.join('\n')}\n`;
  }

  private head(): void {
    const { memory, sample, sources, totals } = this.report;
    const told = [...sources].sort((a, b) => Number(a.complete) - Number(b.complete)).slice(0, SOURCES);
    for (const source of told) this.wrap(this.sourceLine(source));
    if (sources.length > SOURCES) this.lines.push(`… and ${countText(sources.length - SOURCES)} more files`);
    this.lines.push('');
    const about = sample === undefined ? '' : 'about ';
    const used = memory.used === undefined ? '' : `; the ${sources.length === 1 ? 'server' : 'servers'} used ${bytesText(memory.used)}`;
    const where = sources.length === 1 ? 'the file' : 'files';
    this.strong(`${about}${keysText(totals.keys)}, ${bytesText(memory.dataset)} in memory, ${bytesText(totals.bytes)} in ${where}`);
    if (totals.keys === 0) return;
    this.wrap(`Memory is estimated for ${memory.server}${used}. ${bytesText(memory.tables)} of it are the tables of keys and expiries.`);
    if (Math.abs(memory.other) >= memory.dataset * WORTH_TELLING) {
      const how = memory.other < 0 ? 'too high for streams' : 'too low for small structures';
      this.wrap(`The rows below add up to ${bytesText(memory.keys)}: they are what MEMORY USAGE says, which is ${how}.`);
    }
    if (memory.guessed > 0) this.wrap(`The memory of ${keysText(memory.guessed)} is a guess.`);
    if (sample !== undefined) {
      this.wrap(
        `Estimated from ${countText(sample.keys)} keys, ${percent(sample.share)} of all. The keys in the lists are those of the sample.`,
      );
    }
  }

  private sourceLine({ checksum, complete, error, live, name, rdbVersion, savedAt, server, size, vendor }: SourceReport): string {
    if (rdbVersion === 0) return `${sourceName(name)}: not read${error === undefined ? '' : `: ${printable(error)}`}`;
    const parts = [
      `${vendor === 'valkey' ? 'Valkey' : 'Redis'}${server === undefined ? '' : ` ${printable(server)}`}, RDB ${rdbVersion}`,
      ...(size === undefined ? [] : [bytesText(size)]),
      complete ? { ok: 'checksum ok', none: 'no checksum', unread: 'checksum not verified' }[checksum] : 'NOT READ TO THE END',
    ];
    const age = live === true ? '' : ` (${ageText(this.report.at - (savedAt ?? 0))})`; // that of a server is made while it is read
    const saved = savedAt === undefined ? '' : `, ${live === true ? 'read live' : 'saved'} ${dateText(savedAt)}${age}`;
    return `${sourceName(name)}: ${parts.join(', ')}${error === undefined ? '' : `: ${printable(error)}`}${saved}`;
  }

  private warnings(): void {
    const { sources, warnings } = this.report;
    const said = [
      ...warnings.map(({ text }) => text),
      ...sources.flatMap(({ name, warnings: own }) => own.map((text) => `${sourceName(name)}: ${text}`)),
    ];
    if (said.length > 0) this.lines.push('');
    for (const text of said.slice(0, WARNINGS)) this.warn(text);
    if (said.length > WARNINGS) this.warn(`and ${countText(said.length - WARNINGS)} more warnings`);
  }

  private types(): void {
    const { encodings, totals, types } = this.report;
    this.title('Types and encodings');
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'in file', 'elements', 'expire']);
    for (const type of types) {
      table.row([type.type, ...amounts(type, totals)]);
      const own = encodings.filter((row) => row.type === type.type);
      if (own.length > 1 || own[0]?.encoding !== type.type)
        for (const row of own) table.row([`  ${row.encoding}`, ...amounts(row, totals)]);
    }
    this.table(table);
  }

  private prefixes(): void {
    const { prefixes, totals } = this.report;
    const { error, nodes, root } = prefixes;
    if (root.children === undefined) return;
    this.title('Prefixes');
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'mean', 'p99', 'expire']);
    const all: PrefixNode[] = [];
    const collect = (node: PrefixNode): void => {
      for (const child of node.children ?? []) {
        all.push(child);
        collect(child);
      }
    };
    collect(root);
    all.sort((a, b) => b.memory - a.memory);
    const isWorth = (node: PrefixNode): boolean => node.memory >= totals.memory * SMALL_SHARE && !isOnlyChild.has(node);
    const isOnlyChild = new Set(all.flatMap((node) => onlyChild(node) ?? []));
    const shown = new Set(all.filter(isWorth).slice(0, PREFIX_ROWS));
    const show = (children: readonly PrefixNode[], indent: string): void => {
      for (const child of children.filter((node) => shown.has(node))) {
        let [name, last] = [child.name, child];
        for (let next = onlyChild(last); next !== undefined; next = onlyChild(last)) [name, last] = [name + next.name, next];
        table.row([indent + printable(name), ...this.prefixCells(child)]);
        show(last.children ?? [], `${indent}  `);
      }
    };
    show(root.children, '');
    const first = root.children.filter((node) => shown.has(node));
    const hidden = root.children.length - first.length + (root.rest?.prefixes ?? 0);
    const others = {
      keys: root.keys - first.reduce((sum, { keys }) => sum + keys, 0),
      memory: root.memory - first.reduce((sum, { memory }) => sum + memory, 0),
    };
    const name = hidden === 0 ? 'no prefix' : `${countText(hidden)} ${hidden === 1 ? 'other prefix' : 'others'}`;
    if (others.keys > 0) {
      table.row([name, countText(others.keys), bytesText(others.memory), share(others.memory, totals.memory), '', '', '']);
    }
    this.table(table);
    if (error.memory > 0) {
      this.wrap(
        `${countText(nodes)} prefixes at the end, lighter ones were dropped on the way: ` +
          `an amount may be too low by up to ${bytesText(error.memory)}, ${keysText(error.keys)}.`,
      );
    }
  }

  private prefixCells(node: PrefixNode): string[] {
    const { keys, memory, p99, withExpiry } = node;
    const mean = keys === 0 ? 0 : memory / keys;
    return [
      countText(keys),
      bytesText(memory),
      share(memory, this.report.totals.memory),
      bytesText(mean),
      p99 === undefined ? '' : bytesText(p99),
      keys === 0 ? '' : share(withExpiry, keys),
    ];
  }

  private largest(): void {
    const { elements, largest, memory } = this.report.top;
    this.keys('Keys with the most memory', memory);
    this.keys('Keys with the most elements', elements);
    this.keys('Keys with the largest elements', largest);
  }

  private keys(title: string, keys: readonly Key[]): void {
    if (keys.length === 0) return;
    this.title(title);
    const databases = this.report.databases.length > 1;
    const table = new Table(this.columns, ['', 'type', 'memory', 'elements', 'largest', ...(databases ? ['db'] : [])]);
    for (const { db, elements, encoding, key, keyLength, largest, memory, type } of keys) {
      const kind = shortened(encoding === type ? type : `${type}, ${encoding}`, LONGEST_KIND);
      const name = keyLength === undefined ? quoted(key) : `${quoted(key)}…`;
      table.row([name, kind, bytesText(memory), countText(elements), bytesText(largest), ...(databases ? [String(db)] : [])]);
    }
    this.table(table);
  }

  private sizes(): void {
    this.title('Percentiles');
    const table = new Table(this.columns, ['', 'mean', '50 %', '90 %', '99 %', '99.9 %', 'max']);
    for (const { sizes, type } of this.report.types) {
      const rows = [
        ['memory', sizes.memory, bytesText],
        ['elements', sizes.elements, shortCount],
        ['key name', sizes.keyLength, bytesText],
      ] as const;
      for (const [name, of, text] of rows) {
        if (name === 'elements' && (type === 'string' || type === 'bitmap')) continue;
        table.row([`${type} ${name}`, text(of.mean), text(of.p50), text(of.p90), text(of.p99), text(of.p999), text(of.max)]);
      }
    }
    this.table(table);
  }

  private expiry(): void {
    const { expired, left, none } = this.report.expiry;
    const { totals } = this.report;
    if (totals.withExpiry === 0) return;
    this.title('Expiry');
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'freed by then']);
    let freed = 0;
    const row = (name: string, { keys, memory }: Pick<Amount, 'keys' | 'memory'>, isFreed = true): void => {
      if (isFreed) freed += memory;
      if (keys > 0) table.row([name, countText(keys), bytesText(memory), share(memory, totals.memory), isFreed ? bytesText(freed) : '']);
    };
    row('expired already', expired);
    for (const bucket of left) row(bucket.upTo === null ? 'later' : `within ${durationText(bucket.upTo)}`, bucket);
    row('never', none, false);
    this.table(table);
  }

  private accesses(): void {
    const { frequency, idle } = this.report;
    if (idle !== undefined) this.buckets('Idle time', idle, (upTo) => `up to ${durationText(upTo * 1000)}`, 'longer');
    if (frequency !== undefined) this.buckets('Access frequency (LFU counter)', frequency, (upTo) => `up to ${upTo}`, 'more');
  }

  private buckets(title: string, buckets: readonly Bucket[], name: (upTo: number) => string, last: string): void {
    this.title(title);
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share']);
    for (const { keys, memory, upTo } of buckets) {
      if (keys === 0) continue;
      table.row([upTo === null ? last : name(upTo), countText(keys), bytesText(memory), share(memory, this.report.totals.memory)]);
    }
    this.table(table);
  }

  private databases(): void {
    const { databases, sources } = this.report;
    if (databases.length > 1)
      this.groups(
        'Databases',
        databases.map((row) => [row.db === null ? 'others' : `db ${row.db}`, row] as const),
      );
    if (sources.length > 1)
      this.groups(
        'Files',
        sources.map((row) => [sourceName(row.name), row] as const),
      );
  }

  private groups(title: string, rows: readonly (readonly [string, Group])[]): void {
    this.title(title);
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'in file', 'elements', 'expire']);
    for (const [name, group] of rows) table.row([name, ...amounts(group, this.report.totals)]);
    this.table(table);
  }

  private balance(): void {
    const { shards, hottest } = this.report.slots;
    const { totals } = this.report;
    if (shards === undefined) return;
    this.title(`A cluster of ${shards.length}`);
    const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'in file']);
    for (const { bytes, from, keys, memory, to } of shards) {
      table.row([`slots ${from}-${to}`, countText(keys), bytesText(memory), share(memory, totals.memory), bytesText(bytes)]);
    }
    for (const { bytes, keys, memory, slot } of hottest.slice(0, 3)) {
      table.row([`heaviest: slot ${slot}`, countText(keys), bytesText(memory), share(memory, totals.memory), bytesText(bytes)]);
    }
    this.table(table);
  }

  private others(): void {
    const { functions, modules, target, totals } = this.report;
    if (modules.length > 0) {
      this.title('Module values');
      const table = new Table(this.columns, ['', 'keys', 'memory', 'share', 'in file']);
      for (const { bytes, keys, memory, module } of modules) {
        table.row([printable(module), countText(keys), bytesText(memory), share(memory, totals.memory), bytesText(bytes)]);
      }
      this.table(table);
    }
    if (functions.length > 0) {
      this.title('Function libraries');
      const table = new Table(this.columns, ['', 'in file']);
      for (const { bytes, name } of functions.slice(0, FUNCTIONS)) table.row([printable(name), bytesText(bytes)]);
      if (functions.length > FUNCTIONS) table.row([`… and ${countText(functions.length - FUNCTIONS)} more`, '']);
      this.table(table);
    }
    if (target === undefined) return;
    this.title(`For ${target.server}`);
    if (target.rewritten.length + target.impossible.length === 0) this.lines.push('It reads all of these values as they are.');
    if (target.rewritten.length > 0) {
      const types = target.rewritten.map(({ keys, type }) => `${type} (${keysText(keys)})`);
      this.wrap(`In another encoding, which restore writes: ${types.join(', ')}`, '  ');
    }
    for (const { keys, reason, type } of target.impossible) {
      this.warn(`${keysText(keys)} of type ${type} cannot be restored: ${reason}`);
    }
  }

  private baseline(): void {
    const { baseline } = this.report;
    if (baseline === undefined) return;
    this.title(`Changes since ${baseline.sources.map(sourceName).join(', ')}`);
    const table = new Table(this.columns, ['', 'keys', 'change', 'memory', 'change']);
    const row = (name: string, { after, before }: Change): void => {
      table.row([
        name,
        countText(after.keys),
        changeText(after.keys - before.keys, countText),
        bytesText(after.memory),
        changeText(after.memory - before.memory, bytesText),
      ]);
    };
    row('all', baseline.totals);
    for (const type of baseline.types) row(type.type, type);
    for (const prefix of baseline.prefixes.slice(0, CHANGES)) row(printable(prefix.prefix), prefix);
    this.table(table);
  }

  private advice(): void {
    const { advice } = this.report;
    if (advice.length === 0) return;
    this.title('What could be saved');
    for (const { saves, text } of advice) {
      this.wrap(`${saves === undefined ? '' : `${bytesText(saves)}: `}${printable(text)}`, '  ');
    }
  }

  private title(text: string): void {
    this.lines.push('');
    this.strong(text);
  }

  private strong(text: string): void {
    for (const line of wrapped(text, this.columns)) this.lines.push(this.paint(BOLD, line));
  }

  private paint(code: string, text: string): string {
    return this.colour ? `${code}${text}${RESET}` : text;
  }

  private warn(text: string): void {
    const [first, ...others] = wrapped(`! ${printable(text)}`, this.columns, '  ');
    this.lines.push(`${this.paint(YELLOW, '!')}${first.slice(1)}`, ...others);
  }

  private table(table: Table): void {
    this.lines.push(...table.lines);
  }

  private wrap(text: string, indent = ''): void {
    this.lines.push(...wrapped(text, this.columns, indent));
  }
}

/** The only child of a prefix, if all its keys are under it: both are one row. */
function onlyChild({ children = [], keys }: PrefixNode): PrefixNode | undefined {
  return children.length === 1 && children[0].keys === keys ? children[0] : undefined;
}

function amounts({ bytes, elements, keys, memory, withExpiry }: Group, totals: Group): string[] {
  return [
    countText(keys),
    bytesText(memory),
    share(memory, totals.memory),
    bytesText(bytes),
    countText(elements),
    keys === 0 ? '' : share(withExpiry, keys),
  ];
}

/** Large numbers as three digits and a unit: six of them fit a line. */
function shortCount(count: number): string {
  return count < 100_000 ? countText(count) : bytesText(count).replace('kB', 'k').replace(/B$/, '');
}

function percent(part: number): string {
  const value = part * 100;
  if (value === 0) return '0 %';
  return `${value < 0.1 ? '<0.1' : value.toFixed(value < 9.95 ? 1 : 0)} %`;
}

const share = (part: number, whole: number): string => (whole === 0 ? '' : percent(part / whole));

function changeText(change: number, text: (value: number) => string): string {
  return change === 0 ? '' : `${change > 0 ? '+' : '-'}${text(Math.abs(change))}`;
}

const SPANS: readonly (readonly [number, string])[] = [
  [365 * 86_400_000, 'year'],
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
];

/** `15 minutes`, in the largest unit that it has at least one of. */
function durationText(ms: number): string {
  const [unit, name] = SPANS.find(([size]) => ms >= size) ?? SPANS[SPANS.length - 1];
  const count = Math.floor(ms / unit);
  return `${countText(count)} ${count === 1 ? name : `${name}s`}`;
}

/** `2026-11-24 08:15 UTC`. */
const dateText = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace(/:\d\d\.\d+Z$/, ' UTC');

function ageText(ms: number): string {
  return ms < 0 ? `${durationText(-ms)} ahead of this machine's clock` : `${durationText(ms)} ago`;
}
