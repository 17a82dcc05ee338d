import { formatText } from '../bytes/text.js';
import { type CheckLevel, type Finding, ValueCheck } from '../check/value-check.js';
import type { LargeValue } from '../io/large-value.js';
import { Output } from '../io/output.js';
import type { Codec } from '../kernels/codec.js';
import { DROPPED, KIND } from '../kernels/layout.js';
import { openOutput, run, type RunOptions, type RunSummary } from '../pipeline/run.js';
import type { LastSink, SourceFile } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';

/** A finding, and the key whose value it is in. */
export interface KeyFinding extends Finding {
  readonly file: string;
  readonly db: number;
  /** In the text form. */
  readonly key: string;
  readonly type: string;
}

export interface CheckOptions extends RunOptions {
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
export async function check(options: CheckOptions): Promise<CheckSummary> {
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
  private readonly values: ValueCheck;
  private readonly frame = new Frame();
  private file = '';

  constructor(
    private readonly output: Output,
    codec: Codec | undefined,
    private readonly options: Pick<CheckOptions, 'level' | 'line'>,
  ) {
    this.values = new ValueCheck({ level: options.level, codec });
  }

  get written(): number {
    return this.output.flushed;
  }

  fileBegin({ name }: SourceFile): void {
    this.file = name;
  }

  batch(batch: Batch): void {
    const { frame, values } = this;
    const { table, to } = batch;
    for (let row = batch.from; row < to; row++) {
      batch.row = row;
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.read(row, frame);
      values.frame(RECORD, frame);
      if (values.findings.size > 0) this.tell(frame);
    }
  }

  async large(value: LargeValue): Promise<void> {
    const { values } = this;
    for await (const { frame, kind } of value.parts()) values.frame(kind, frame);
    if (values.findings.size > 0) this.tell(value.head);
    await this.output.flushIfFull();
  }

  /** Writes a line for each finding. */
  private tell({ db, keyBytes, keyEnd, keyStart, redisType: type }: Frame): void {
    const { file, output } = this;
    const { list, more } = this.values.findings;
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
