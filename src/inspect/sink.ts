import type { LargeValue } from '../io/large-value.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import {
  CELL, CELL_BYTES as BYTES, CELL_ELEMENTS as ELEMENTS, CELL_EXPIRED as EXPIRED, CELL_KEYS as KEYS, CELL_MEMORY as MEMORY,
  CELL_WITH_EXPIRY as WITH_EXPIRY, DROPPED, KIND, META, RECORD,
} from '../kernels/layout.js';
import type { Counts, FileEnd, LastSink, SourceFile } from '../pipeline/sink.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import { Batch, BATCH_ROWS } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { formatText } from '../bytes/text.js';
import { frameLibraryName } from '../values/meta.js';
import { LATEST_REDIS, parseTarget, type Target, TARGETS, targetName } from '../values/targets.js';
import { KeyCounter, moduleName } from './key-counter.js';
import type { KeyRows } from './key-rows.js';
import type { Measurer } from './measures.js';
import type { Findings } from './report-builder.js';
import type { Report, SourceReport } from './report.js';
import { recordBytes, type Tally } from './tally.js';
import type { Origin, TallyThreads } from './tally-threads.js';

/** What is known of a source while it is read. */
interface Source {
  readonly name: string;
  head: SourceHead | undefined;
  file: SourceFile;
  checksum: SourceReport['checksum'];
  complete: boolean;
  error: string | undefined;
  readonly warnings: string[];
  /** Totals before it, and what it added. */
  readonly before: Float64Array;
  amount: Float64Array;
  /** Memory of its tables of keys and expiries. */
  tables: number;
}

/** Measures every key, and hands it to the tally and to the tables that have a row for each key. */
export class InspectSink implements LastSink {
  readonly sources: Source[] = [];
  readonly functions: Report['functions'][number][] = [];
  private readonly counter: KeyCounter;
  /** Of the current source, once its head is known. */
  private origin: Origin | undefined;
  private measurer: Measurer | undefined;
  /** Bytes before the current source. */
  private place = 0;
  private readonly single: Batch;
  private readonly frame = new Frame();
  private nextHead: SourceHead | undefined;
  /** Keys, and expiring keys, by database before the current source. */
  private databasesBefore = new Map<number, readonly [number, number]>();

  constructor(
    codec: Codec | undefined,
    private readonly tally: Tally,
    private readonly rows: readonly KeyRows[],
    /** Whose memory is estimated; that of the server that wrote the file unless given. */
    private readonly server: Target | undefined,
    private readonly counts: Readonly<Counts>,
    /** Undefined if all is counted on this thread. */
    private readonly threads: TallyThreads | undefined,
  ) {
    this.counter = new KeyCounter(codec ?? TS_CODEC, tally, BATCH_ROWS);
    this.single = new Batch(TS_CODEC, 1);
  }

  /** The beginning of the source that comes next, or of the current one. */
  head(head: SourceHead): void {
    const current = this.sources.at(-1);
    if (current !== undefined && current.head === undefined && current.name === head.source && !current.complete) current.head = head;
    else this.nextHead = head;
  }

  warning(file: string, text: string): void {
    this.sourceOf(file)?.warnings.push(text);
  }

  error(file: string | undefined, text: string): void {
    const source = this.sourceOf(file);
    if (source !== undefined) source.error = text;
  }

  private sourceOf(file: string | undefined): Source | undefined {
    return this.sources.findLast(({ name }) => name === file) ?? this.sources.at(-1);
  }

  fileBegin(file: SourceFile): void {
    this.settle();
    this.place = this.counts.bytes;
    this.tally.sourceBegin(this.sources.length, this.place);
    const { nextHead } = this;
    this.nextHead = undefined;
    this.measurer = this.origin = undefined;
    this.sources.push({
      ...{ name: file.name, head: nextHead?.source === file.name ? nextHead : undefined, file, checksum: 'unread' },
      ...{ complete: false, error: undefined, warnings: [], before: this.totals(), amount: new Float64Array(CELL), tables: 0 },
    });
    this.databasesBefore = this.databases();
  }

  batch(batch: Batch): void {
    if (batch.rows !== batch.keysRead) this.meta(batch);
    // the first batch may tell the delimiters
    if (this.tally.delimiters !== undefined && this.threads?.take(batch, (this.origin ??= this.originOf())) === true) return;
    const measurer = (this.measurer ??= this.measurerOf());
    try {
      this.counter.batch(batch, measurer);
    } catch (error) {
      this.writeRows(batch, batch.row, measurer); // those before the damaged one
      throw error;
    }
    this.writeRows(batch, batch.to, measurer);
  }

  /** Rows before `to`, for the tables. */
  private writeRows(batch: Batch, to: number, { measures }: Measurer): void {
    if (this.rows.length === 0) return;
    const { table } = batch;
    const name = this.sources.at(-1)?.name ?? '';
    for (let row = batch.from; row < to; row++) {
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      const bytes = recordBytes(table.words, row);
      for (const rows of this.rows) rows.add(batch, row, measures, bytes, name);
    }
  }

  async large(value: LargeValue): Promise<void> {
    this.threads?.handOver();
    const measurer = (this.measurer ??= this.measurerOf());
    const { head } = value;
    const headBytes = head.headEnd - head.headStart;
    const module = head.redisType === 'module' ? largeModule(value) : undefined;
    await measurer.large(value);
    const { single } = this;
    single.clear(head.keyBytes, head.templates);
    single.add(RECORD, Object.assign(this.frame, head, { bytes: head.keyBytes, start: 0, end: 0 }));
    const bytes = value.size + headBytes;
    this.counter.large(single, module, measurer, bytes);
    for (const rows of this.rows) rows.add(single, 0, measurer.measures, bytes, this.sources.at(-1)?.name ?? '');
    for (const rows of this.rows) if (rows.full) await rows.flush();
  }

  /** Takes functions among the rows. */
  private meta(batch: Batch): void {
    const { frame } = this;
    const { table, to } = batch;
    for (let row = batch.from; row < to; row++) {
      if (table.word(row, KIND) !== META || table.has(row, DROPPED)) continue;
      batch.read(row, frame);
      const kind = frame.opcode?.name;
      if (kind !== 'FUNCTION2' && kind !== 'FUNCTION_PRE_GA') continue;
      this.functions.push({ name: frameLibraryName(frame), source: this.sources.at(-1)?.name ?? '', bytes: frame.end - frame.start });
    }
  }

  private measurerOf(): Measurer {
    return this.counter.measurerOf(this.server ?? serverOf(this.sources.at(-1)?.head, this.sources.at(-1)?.file));
  }

  private originOf(): Origin {
    const { server } = (this.measurer ??= this.measurerOf());
    return { source: this.sources.length - 1, place: this.place, server, delimiters: this.tally.delimiters };
  }

  private totals(): Float64Array {
    const sum = new Float64Array(CELL);
    for (const cells of this.tally.databases.values()) for (let i = 0; i < cells.length; i++) sum[i % CELL] += cells[i];
    return sum;
  }

  private databases(): Map<number, readonly [number, number]> {
    return new Map(
      [...this.tally.databases].map(([db, cells]) => {
        let keys = 0;
        let expires = 0;
        for (let at = 0; at < cells.length; at += CELL) {
          keys += cells[at + KEYS];
          expires += cells[at + WITH_EXPIRY];
        }
        return [db, [keys, expires]];
      }),
    );
  }

  /** Counts what the current source has added. */
  private settle(): void {
    const source = this.sources.at(-1);
    if (source === undefined) return;
    source.amount = this.totals().map((total, i) => total - source.before[i]);
    source.tables = 0;
    for (const [db, [keys, expires]] of this.databases()) {
      const [before, expiresBefore] = this.databasesBefore.get(db) ?? [0, 0];
      if (keys === before) continue;
      source.tables += (this.measurer ??= this.measurerOf()).tables(keys - before, expires - expiresBefore);
    }
  }

  /** What was found beside the tally. Asked once, at the end. */
  findings(scale: number): Findings {
    this.settle();
    const servers = [...this.counter.measurers.keys()].map(targetName);
    return {
      sources: this.sources.map((source) => sourceReport(source, scale)),
      functions: this.functions,
      memory: {
        server: servers.join(', '),
        tables: this.sources.reduce((sum, { tables }) => sum + tables, 0),
        other: this.counter.beside,
        guessed: this.counter.guessed,
      },
    };
  }

  fileEnd({ checksum }: FileEnd): void {
    const source = this.sources.at(-1);
    if (source !== undefined) Object.assign(source, { checksum, complete: true });
  }

  get written(): number {
    return this.rows.reduce((sum, { written }) => sum + written, 0);
  }

  get full(): boolean {
    return this.threads?.failed === true || this.rows.some((rows) => rows.full);
  }

  async flush(): Promise<void> {
    if (this.threads?.failed === true) await this.finish();
    for (const rows of this.rows) await rows.flush();
  }

  async finish(): Promise<void> {
    await this.threads?.settle();
  }

  rollback(): boolean {
    this.threads?.rollback();
    return true;
  }

  expect(bytes: number | undefined): void {
    this.threads?.expect(bytes);
  }

  async end(): Promise<void> {
    const counted = await this.threads?.merge();
    if (counted !== undefined) this.counter.add(counted);
    for (const rows of this.rows) await rows.end();
  }

  async close(): Promise<void> {
    await this.threads?.close();
  }
}

/** The data type of a large module value that was not begun; the head of one that is held has no bytes any more. */
const largeModule = ({ head, size }: LargeValue): string => (size === 0 ? moduleName(head) : 'unknown');

function sourceReport({ amount, checksum, complete, error, file, head, name, warnings }: Source, scale: number): SourceReport {
  const scaled = (at: number): number => Math.round(amount[at] * scale);
  return {
    name,
    vendor: file.vendor,
    ...(head?.server === undefined ? {} : { server: formatText(Buffer.from(head.server)) }),
    rdbVersion: file.version,
    ...(head?.created === undefined ? {} : { savedAt: head.created * 1000 }),
    ...(head?.usedMemory === undefined ? {} : { usedMemory: head.usedMemory }),
    checksum,
    ...(head?.size === undefined ? {} : { size: head.size }),
    complete,
    warnings,
    ...(error === undefined ? {} : { error }),
    keys: scaled(KEYS),
    bytes: scaled(BYTES),
    memory: scaled(MEMORY),
    elements: scaled(ELEMENTS),
    withExpiry: scaled(WITH_EXPIRY),
    expired: scaled(EXPIRED),
  };
}

/** The server that wrote a file, or the nearest one that is known. */
function serverOf(head: Pick<SourceHead, 'vendor' | 'version' | 'server'> | undefined, file?: SourceFile): Target {
  const vendor = head?.vendor ?? file?.vendor ?? 'redis';
  try {
    if (head?.server !== undefined) return parseTarget(`${vendor}-${head.server}`);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  const version = head?.version ?? file?.version ?? 0;
  return TARGETS.find((target) => target.vendor === vendor && target.rdbVersion >= version) ?? LATEST_REDIS;
}
