import { formatText } from '../bytes/text.js';
import { RowCheck } from '../check/row-check.js';
import type { CheckLevel, Finding } from '../check/value-check.js';
import type { LargeValue } from '../io/large-value.js';
import { Output } from '../io/output.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import type { LastSink, SourceFile } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { type LiveRunOptions, withServers } from './live-sources.js';

/** A finding, and the key whose value it is in. */
export interface KeyFinding extends Finding {
  readonly file: string;
  readonly db: number;
  /** In the text form. */
  readonly key: string;
  readonly type: string;
}

export interface CheckOptions extends LiveRunOptions {
  /** structure: what can crash a server; all: duplicates, too (default). */
  readonly level?: CheckLevel | undefined;
  /** A path; standard output unless given. */
  readonly output?: string | undefined;
  /** The line for a finding, without its end; for findings of a key that are not listed, `more` says how many. */
  readonly line: (finding: KeyFinding, more: number) => string;
}

export interface CheckSummary extends RunSummary {
  readonly findings: number;
  /** Keys with findings. */
  readonly found: number;
}

/** Looks at the values of RDB files as deeply as a careful server does. Throws OutputError or ClosedPipe; all else is in the summary. */
export function check(options: CheckOptions): Promise<CheckSummary> {
  return withServers(options, options.output !== undefined, checkSources);
}

async function checkSources(options: CheckOptions): Promise<CheckSummary> {
  const output = await openOutput(options, options.output);
  let sink: CheckSink | undefined;
  const summary = await run(options, (codec) => {
    sink = new CheckSink(new Output(output, { codec }), codec, options);
    return { sink, outputs: [output], meta: true };
  });
  return { ...summary, findings: sink?.findings ?? 0, found: sink?.found ?? 0 };
}

class CheckSink implements LastSink {
  findings = 0;
  found = 0;
  private readonly rows: RowCheck;
  private readonly frame = new Frame();
  private file = '';

  constructor(
    private readonly output: Output,
    codec: Codec | undefined,
    private readonly options: Pick<CheckOptions, 'level' | 'line'>,
  ) {
    this.rows = new RowCheck(codec ?? TS_CODEC, options.level ?? 'all', false);
  }

  get written(): number {
    return this.output.flushed;
  }

  fileBegin({ name }: SourceFile): void {
    this.file = name;
  }

  batch(batch: Batch): void {
    const { frame, rows } = this;
    const { from, to } = batch;
    for (let row = rows.next(batch, from, to); row < to; row = rows.next(batch, row + 1, to)) {
      batch.read(row, frame);
      this.tell(frame);
    }
  }

  async large(value: LargeValue): Promise<void> {
    const { values } = this.rows;
    for await (const { frame, kind } of value.parts()) values.frame(kind, frame);
    if (values.findings.size > 0) this.tell(value.head);
    await this.output.flushIfFull();
  }

  /** Writes a line for each finding. */
  private tell({ db, keyBytes, keyEnd, keyStart, redisType: type }: Frame): void {
    const { file, output } = this;
    const { list, more } = this.rows.findings;
    const key = formatText(keyBytes, keyStart, keyEnd);
    list.forEach((finding, i) => {
      const line = this.options.line({ ...finding, file, db, key, type }, i === list.length - 1 ? more : 0);
      output.add(Buffer.from(`${line}\n`));
    });
    this.found++;
    this.findings += list.length + more;
  }

  get full(): boolean {
    return this.output.full;
  }

  flush(): Promise<void> {
    return this.output.flush();
  }

  fileEnd(): void {
    // a line of its own is for findings alone
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  /** Findings are whole lines. */
  rollback(): boolean {
    return true;
  }

  expect(): void {
    // the size of the input makes no difference
  }

  async end(): Promise<void> {
    await this.output.flush();
    await this.output.written();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
