import { appendFile, readFile } from 'node:fs/promises';
import type { RdbError } from '../bytes/errors.js';
import { baselineReport } from '../inspect/baseline.js';
import { foldedStacks } from '../inspect/folded.js';
import { historyEntry, historyLine, historyOf } from '../inspect/history.js';
import type { KeyRows } from '../inspect/key-rows.js';
import { reportOf, type ReportOptions } from '../inspect/report-builder.js';
import type { Report } from '../inspect/report.js';
import { InspectSink } from '../inspect/sink.js';
import { Tally } from '../inspect/tally.js';
import { MOST_THREADS, TallyThreads, type TallyThreadsOptions } from '../inspect/tally-threads.js';
import type { ByteSink } from '../io/byte-sink.js';
import { OutputError } from '../io/output-error.js';
import { sampleKeys } from '../pipeline/passes.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import type { Target } from '../values/targets.js';
import { DELIMITERS } from './inspect-terms.js';
import { type LiveRunOptions, withServers } from './live-sources.js';

export interface InspectOptions extends LiveRunOptions {
  /** A path for the report; default: standard output. */
  readonly output?: string | undefined;
  /** The report as text; default: folded stacks. */
  readonly write?: ((report: Report) => string) | undefined;
  /** Paths of further outputs: a page, and tables with a row for each key. */
  readonly html?: string | undefined;
  readonly csv?: string | undefined;
  readonly parquet?: string | undefined;
  /** A file with a line for each run, which this one is added to. */
  readonly history?: string | undefined;
  /** Older sources to compare with. */
  readonly baseline?: readonly string[] | undefined;
  /** Keys in each list of largest ones (default 10). */
  readonly top?: number | undefined;
  /** The bytes that end a segment of a prefix (default DELIMITERS), or `auto`: found out from the first keys. */
  readonly delimiters?: Uint8Array | 'auto' | undefined;
  /** Most segments of a prefix (default 5). */
  readonly depth?: number | undefined;
  /** The share of keys to look at (default 1). */
  readonly sample?: number | undefined;
  /** The server whose memory is estimated; default: the one that wrote the file. */
  readonly serverVersion?: Target | undefined;
  readonly targetVersion?: Target | undefined;
  /** Ranges of slots in the report. */
  readonly shards?: number | undefined;
  /** Warn of keys with more memory, of keys with more elements, of slots with a greater share of the memory. */
  readonly bigKey?: number | undefined;
  readonly bigElements?: number | undefined;
  readonly hotSlot?: number | undefined;
  /** Maximum number of threads (default 1: only the calling thread). */
  readonly threads?: number | undefined;
  /** Settings of the threads, for tests. */
  readonly pool?: Omit<TallyThreadsOptions, 'threads'> | undefined;
}

export interface InspectSummary extends RunSummary {
  readonly report: Report;
}

/**
 * Reads RDB files once and reports what is in them, also when they end early; no report is written if no source could be read at all.
 * Throws OutputError or ClosedPipe; all else is in the summary.
 */
export function inspect(options: InspectOptions): Promise<InspectSummary> {
  return withServers(options, false, (given, servers) =>
    inspectSources(servers === undefined ? given : { ...given, baseline: given.baseline && servers.named(given.baseline) }),
  );
}

async function inspectSources(options: InspectOptions): Promise<InspectSummary> {
  const at = options.filter?.now ?? Date.now();
  const opened: ByteSink[] = [];
  const open: Open = async (path) => {
    const output = await openOutput(options, path);
    opened.push(output);
    return output;
  };
  try {
    const output = await open(options.output);
    const page = options.html === undefined ? undefined : await open(options.html);
    const tables = await openTables(options, open);
    const summary = await examine(options, at, tables);
    if (!summary.report.sources.some(({ rdbVersion }) => rdbVersion > 0)) {
      for (const sink of opened) await sink.abandon();
      return summary;
    }
    const before = await baselineOf(options, summary, at);
    const report = await completed(summary.report, before?.report, options);
    await output.write(Buffer.from((options.write ?? foldedStacks)(report)));
    if (page !== undefined) {
      const { htmlReport } = await import('../inspect/html.js');
      await page.write(Buffer.from(htmlReport(report)));
    }
    await output.commit();
    await page?.commit();
    if (before === undefined) return { ...summary, report };
    return {
      ...summary,
      report,
      sources: summary.sources + before.sources,
      errors: [...summary.errors, ...before.errors],
      warnings: summary.warnings + before.warnings,
      interrupted: before.interrupted,
    };
  } catch (error) {
    for (const sink of opened) await sink.abandon(); // nothing happens to those that are complete
    throw error;
  }
}

/** Opens a path, or standard output. */
type Open = (path: string | undefined) => Promise<ByteSink>;

/** Looks at what to compare with, cut at the same delimiters; not after an error that ends the run. */
async function baselineOf(options: InspectOptions, summary: InspectSummary, at: number): Promise<InspectSummary | undefined> {
  const { baseline, keepGoing } = options;
  const { errors, interrupted, report } = summary;
  if (baseline === undefined || interrupted || (errors.length > 0 && keepGoing !== true)) return undefined;
  return examine({ ...options, sources: baseline, delimiters: Buffer.from(report.prefixes.delimiters.join('')) }, at, []);
}

/** Adds what comes from other runs. */
async function completed(report: Report, before: Report | undefined, { baseline = [], history }: InspectOptions): Promise<Report> {
  const warnings = [...report.warnings];
  if (before?.complete === false) {
    warnings.push({ kind: 'damage', text: 'the baseline was not read to the end: it is compared with as far as it was read' });
  }
  const whole = before === undefined ? report : { ...report, baseline: baselineReport(baseline, before, report), warnings };
  if (history === undefined) return whole;
  const earlier = await readFile(history, 'utf8').catch(() => '');
  if (!report.complete) {
    warnings.push({ kind: 'history', text: 'not added to the history, since a part of it would look like a drop' });
    return { ...whole, history: historyOf(earlier), warnings };
  }
  const entry = historyEntry(report);
  try {
    await appendFile(history, historyLine(earlier, entry));
  } catch (error) {
    throw OutputError.from(history, error);
  }
  return { ...whole, history: [...historyOf(earlier), entry] };
}

/** A table with a row for each key, and where it goes. */
interface OpenTable {
  readonly rows: KeyRows;
  readonly output: ByteSink;
}

async function openTables({ csv, parquet }: InspectOptions, open: Open): Promise<readonly OpenTable[]> {
  const tables: OpenTable[] = [];
  if (csv !== undefined) {
    const { CsvRows } = await import('../inspect/csv.js');
    const output = await open(csv);
    tables.push({ rows: new CsvRows(output), output });
  }
  if (parquet !== undefined) {
    const { ParquetRows } = await import('../inspect/parquet.js');
    const output = await open(parquet);
    tables.push({ rows: new ParquetRows(output), output });
  }
  return tables;
}

async function examine(options: InspectOptions, at: number, tables: readonly OpenTable[]): Promise<InspectSummary> {
  const { bigElements = 100_000, bigKey = 1 << 20, depth = 5, hotSlot = 0.01, sample = 1, top = 10 } = options;
  const { pool } = options;
  // tables have a row for each key, in the order of the input
  const threads = tables.length > 0 ? 1 : Math.min(options.threads ?? 1, MOST_THREADS);
  const delimiters = options.delimiters === 'auto' ? undefined : (options.delimiters ?? Buffer.from(DELIMITERS));
  const reportOptions: ReportOptions = {
    ...{ at, share: sample, shards: options.shards, target: options.targetVersion },
    thresholds: { bigMemory: bigKey, bigElements, hotSlot },
  };
  let tally: Tally | undefined;
  let sink: InspectSink | undefined;
  const summary = await run(
    {
      ...options,
      filter: { ...options.filter, now: at },
      onHead: (head) => {
        sink?.head(head);
        options.onHead?.(head);
      },
      onWarning: (file, text) => {
        sink?.warning(file, text);
        options.onWarning?.(file, text);
      },
      onError: (error: RdbError) => {
        sink?.error(error.file, error.message);
        options.onError?.(error);
      },
    },
    (codec, counts) => {
      const tallyOptions = { top, now: at, delimiters, depth, bigMemory: bigKey, bigElements };
      tally = new Tally(tallyOptions, codec);
      const parallel =
        codec === undefined || threads === 1 ? undefined : new TallyThreads(codec, tally, tallyOptions, counts, { ...pool, threads });
      sink = new InspectSink(
        codec,
        tally,
        tables.map(({ rows }) => rows),
        options.serverVersion,
        counts,
        parallel,
      );
      return { sink, outputs: tables.map(({ output }) => output), meta: true, passes: sample < 1 ? [sampleKeys(sample)] : [] };
    },
    Tally.room + (threads - 1) * TallyThreads.room,
  );
  if (sink === undefined || tally === undefined) throw new TypeError('no sink was made');
  const report = reportOf(tally, sink.findings(1 / sample), reportOptions);
  const sources = report.sources.map((source) => (options.servers?.has(source.name) === true ? { ...source, live: true } : source));
  return { ...summary, report: { ...report, sources } };
}
