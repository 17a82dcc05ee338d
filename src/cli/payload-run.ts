import { stat } from 'node:fs/promises';
import { type GivenPayload, givenPayloads, PayloadReader, type PayloadReport } from '../commands/payload.js';
import { ClosedPipe, OutputError, RdbError, StreamSink } from '../commands/terms.js';
import { errorLine, exitOf, outputErrorLine, stackOf } from './errors.js';
import { EXIT, interruptedBy, SIGNAL_EXIT } from './exit.js';
import { payloadHint } from './hints.js';
import { type Io, isTerminal, leadsNowhere } from './io.js';
import type { OptionsOf } from './options/table.js';
import { damageLine, reportLine, reportObject, reportText, tallyLine } from './payload-report.js';
import { printable, word } from './printable.js';
import { UsageError } from './usage.js';

type Values = OptionsOf<'payload check'> & OptionsOf<'payload decode'>;

/** `payload check` or `payload decode`, as it was called. */
export class PayloadRun {
  private readonly stdout: StreamSink;

  constructor(
    private readonly name: 'check' | 'decode',
    private readonly given: string | undefined,
    private readonly options: Values,
    private readonly io: Io,
  ) {
    this.stdout = new StreamSink(io.stdout);
  }

  /** Returns the exit code; throws UsageError. */
  async run(): Promise<number> {
    const { io } = this;
    const payloads = givenPayloads(this.input());
    if (this.name === 'decode' && leadsNowhere(io.stdout))
      this.talk('warning: standard output is closed, or /dev/null: the output goes nowhere.');
    try {
      const code = await (this.name === 'check' ? this.check(payloads) : this.decode(payloads));
      await this.stdout.commit();
      return code;
    } catch (error) {
      if (io.signal?.aborted === true) {
        const by = interruptedBy(io.signal);
        this.talk(`interrupted by ${by}.`);
        return SIGNAL_EXIT[by];
      }
      if (error instanceof RdbError) return this.failed(error);
      if (error instanceof ClosedPipe) return EXIT.done;
      if (!(error instanceof OutputError)) throw error;
      this.talk(outputErrorLine(error), error);
      return EXIT.output;
    }
  }

  private input(): Parameters<typeof givenPayloads>[0] {
    const { io, name } = this;
    const { from } = this.options;
    const given = this.given === '-' ? undefined : this.given;
    if (given !== undefined && from === 'raw') {
      throw new UsageError('--from raw is for standard input: an argument has no bytes of any kind');
    }
    if (given === undefined && isTerminal(io.stdin)) {
      throw new UsageError(
        `standard input is a terminal: give a payload, or pipe one into it, like redis-cli --raw dump KEY | rdbkit payload ${name}`,
      );
    }
    return { given, from, stdin: io.stdin, signal: io.signal };
  }

  private async check(payloads: AsyncIterable<GivenPayload>): Promise<number> {
    const reader = new PayloadReader();
    const { json, verbose } = this.options;
    let first: PayloadReport | undefined;
    let [count, damaged] = [0, 0];
    const lineOf = verbose ? reportLine : damageLine;
    for await (const given of payloads) {
      const report = await reader.check(given);
      count++;
      if (report.error !== undefined) damaged++;
      if (json) await this.write(`${printable(JSON.stringify(reportObject(report)))}\n`);
      else if (first === undefined) first = report;
      else await this.write((count === 2 ? lineOf(first, 1) : '') + lineOf(report, count));
    }
    if (first !== undefined) await this.write(count === 1 ? reportText(first) : tallyLine(count, damaged));
    return damaged > 0 ? EXIT.input : EXIT.done;
  }

  private async decode(payloads: AsyncIterable<GivenPayload>): Promise<number> {
    const reader = new PayloadReader(this.stdout);
    try {
      for await (const given of payloads) {
        if (this.options.verbose) await this.describe(given);
        const odd = await reader.decode(given, !this.options.noChecksum);
        if (given.newline) this.talk('warning: the newline at the end is not of the payload, as redis-cli writes one.');
        if (odd !== undefined) this.talk(`warning: ${given.number === undefined ? '' : `line ${given.number}: `}${odd}.`);
      }
    } catch (error) {
      if (!(error instanceof OutputError) && !(error instanceof ClosedPipe)) await reader.end();
      if (error instanceof RdbError) {
        return this.failed(error, reader.torn ? ' The last line of the output is torn: it has only the beginning of the value.' : '');
      }
      throw error;
    }
    await reader.end();
    return EXIT.done;
  }

  /** Says what a payload is, as far as it is known: what is wrong is said when it is decoded. */
  private async describe(given: GivenPayload): Promise<void> {
    const report = await new PayloadReader().check(given);
    if (report.error === undefined) this.talk(reportLine(report, given.number).trimEnd());
  }

  private async write(text: string): Promise<void> {
    if (text !== '') await this.stdout.write(new TextEncoder().encode(text));
  }

  private async failed(error: RdbError, more = ''): Promise<number> {
    const hint = payloadHint(error.code);
    const { given } = this;
    const isFile = given !== undefined && error.code === 'BAD_PAYLOAD' && (await stat(given).catch(() => undefined))?.isFile() === true;
    const advice = isFile ? ` If it is meant as the name of a file: rdbkit payload ${this.name} < ${word(given)}.` : '';
    this.talk(errorLine(error, hint) + advice + more, error);
    return exitOf(error);
  }

  private talk(text: string, error?: Error): void {
    this.io.stderr.write(`rdbkit: ${text}\n${error === undefined ? '' : stackOf(error, this.io.env)}`);
  }
}
