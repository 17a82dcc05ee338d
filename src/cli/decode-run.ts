import { setTimeout as delay } from 'node:timers/promises';
import { decode, type DecodeSummary } from '../commands/decode.js';
import { ClosedPipe, OutputError, type RdbError } from '../commands/terms.js';
import { checkDecode, type CheckedDecode, type DecodeFlags, meantForOption } from './decode-options.js';
import { errorLine, exitOf, exitOfAll, outputErrorLine, stackOf } from './errors.js';
import { EXIT, interruptedBy, SIGNAL_EXIT } from './exit.js';
import type { Io } from './io.js';
import { printable, sourceName, word } from './printable.js';
import type { Progress } from './progress.js';
import { createProgress } from './progress-choice.js';
import { summaryLine, summaryObject, type Warning } from './summary.js';

/** Milliseconds. */
const SIGNAL_DELAY = 30;

/** `rdbkit decode`. Returns the exit code; throws UsageError. */
export async function runDecode(sources: readonly string[], flags: DecodeFlags, io: Io, argv: readonly string[]): Promise<number> {
  return new DecodeCommand(await checkDecode(sources, flags, io), flags, io, argv).run();
}

class DecodeCommand {
  private readonly progress: Progress;
  private readonly warnings: Warning[] = [];
  private readonly errors: RdbError[] = [];

  constructor(
    private readonly options: CheckedDecode,
    private readonly flags: DecodeFlags,
    private readonly io: Io,
    /** As typed. */
    private readonly argv: readonly string[],
  ) {
    this.progress = createProgress(options.progress, io, options.output !== undefined);
  }

  async run(): Promise<number> {
    try {
      const summary = await this.decode();
      await this.signalBehindTheEnd();
      this.progress.stop();
      return this.finished(summary);
    } catch (error) {
      this.progress.stop();
      if (error instanceof ClosedPipe) return this.lost(this.signalled ?? exitOfAll(this.errors));
      if (error instanceof OutputError) return this.lost(EXIT.output, error);
      throw error;
    }
  }

  /** The exit code of a signal that came: it may have ended the reader of the output, too. */
  private get signalled(): number | undefined {
    const { signal } = this.io;
    return signal?.aborted === true ? SIGNAL_EXIT[interruptedBy(signal)] : undefined;
  }

  private decode(): Promise<DecodeSummary> {
    const { flags, io, options } = this;
    const { filter, limit, output, sources, threads } = options;
    const { checksum, keepGoing, meta, strict } = flags;
    const { signal, stdin, stdout } = io;
    return decode({
      ...{ sources, output, filter, limit, threads, checksum, keepGoing, meta, strict, stdin, stdout, signal },
      onProgress: (progress) => this.progress.update(progress),
      onWarning: (file, text) => this.warn({ file, text }),
      onError: (error) => this.fail(error),
    });
  }

  private warn(warning: Warning): void {
    if (this.warnings.some(({ file, text }) => file === warning.file && text === warning.text)) return;
    this.warnings.push(warning);
    if (this.flags.quiet !== true) this.talk(`warning: ${sourceName(warning.file)}: ${printable(warning.text)}`);
  }

  /** With --keep-going a run may still be long: its errors are said at once. */
  private fail(error: RdbError): void {
    this.errors.push(error);
    if (this.flags.keepGoing === true) this.sayError(error, '');
  }

  /**
   * Ctrl-C ends a whole pipe, and the end of standard input may be there before the signal is: then the input is not
   * damaged, and the signal is all there is to say.
   */
  private async signalBehindTheEnd(): Promise<void> {
    const { errors, io } = this;
    if (errors.at(-1)?.file !== '-') return;
    await delay(SIGNAL_DELAY);
    if (io.signal?.aborted === true) errors.pop();
  }

  private finished(summary: DecodeSummary): number {
    const { errors, flags } = this;
    const by = summary.interrupted || errors.length < summary.errors.length ? interruptedBy(this.io.signal) : undefined;
    const code = by === undefined ? exitOfAll(errors) : SIGNAL_EXIT[by];
    const kept = leftovers(summary);
    if (flags.keepGoing !== true && errors.length > 0) this.sayError(errors[0], kept);
    else if (errors.length > 0 && by === undefined) this.talk(`${errors.length} of ${summary.sources} sources had errors.${kept}`);
    if (by !== undefined) this.talk(`interrupted by ${by}.${kept}`);
    const { output } = this.options;
    const object = (): object => summaryObject(summary, { code, by, output, errors, warnings: this.warnings });
    if (flags.json === true && (flags.quiet !== true || code !== EXIT.done)) this.object(object());
    else if (flags.quiet !== true && !(summary.read === 0 && code !== EXIT.done)) this.talk(summaryLine(summary));
    return code;
  }

  /** The output has gone, and with it the summary; what was wrong before it went is said. */
  private lost(code: number, error?: OutputError): number {
    const { errors, flags, io } = this;
    if (flags.keepGoing !== true) for (const before of errors) this.sayError(before, '');
    if (error !== undefined) this.talk(`${outputErrorLine(error)}\n${stackOf(error, io.env)}`.trimEnd());
    if (flags.json === true && code !== EXIT.done) this.object(summaryObject(undefined, { code, errors, error, warnings: this.warnings }));
    return code;
  }

  private sayError(error: RdbError, kept: string): void {
    this.talk(`${errorLine(error)}${this.adviceOnOptions(error)}${kept}\n${stackOf(error, this.io.env)}`.trimEnd());
  }

  /** Of a source that does not exist, and that may have been meant as something else. */
  private adviceOnOptions(error: RdbError): string {
    const option = exitOf(error) === EXIT.usage ? meantForOption(error.file, this.argv) : undefined;
    if (option === undefined) return '';
    return ` If it is meant as another value of ${option}, give the option again: ${option} ${word(error.file ?? '')}.`;
  }

  /** With --json, standard error is for a program. */
  private talk(text: string): void {
    if (this.flags.json !== true) this.progress.line(`rdbkit: ${text}`);
  }

  private object(object: object): void {
    this.io.stderr.write(`${printable(JSON.stringify(object))}\n`);
  }
}

/** What is left of an output that is not complete. */
function leftovers({ partial, torn }: DecodeSummary): string {
  const where = partial === undefined ? '' : ` What was decoded before is in ${word(partial)}.`;
  return where + (torn ? ' A line of the output is torn: it has only the beginning of its key.' : '');
}
