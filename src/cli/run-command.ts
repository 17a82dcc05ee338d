import { setTimeout as delay } from 'node:timers/promises';
import type { RunSummary } from '../pipeline/run.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import type { LiveFacts, LiveRunOptions } from '../commands/live-terms.js';
import { aofTailText, ClosedPipe, OutputError, type RdbError } from '../commands/terms.js';
import type { Invocation } from './command.js';
import { errorLine, errorObject, exitOf, exitOfAll, hintOf, outputErrorLine, stackOf } from './errors.js';
import { countText } from './numbers.js';
import { EXIT, interruptedBy, SIGNAL_EXIT } from './exit.js';
import { type Failed, failureOf } from './failure.js';
import { type Io, leadsNowhere, NOWHERE } from './io.js';
import type { CommandName } from './options/option.js';
import { variablesLine } from './options/read.js';
import type { OptionsOf } from './options/table.js';
import { printable, sourceName, word } from './printable.js';
import type { Progress } from './progress.js';
import { createProgress } from './progress-choice.js';
import { liveLines } from './live-text.js';
import { headObject, headText } from './source-text.js';
import { meantForOption } from './sources.js';
import { type AofTail, summaryObject, type Warning } from './summary.js';

/** Milliseconds. */
const SIGNAL_DELAY = 30;

const AOF_ADVICE = 'To keep them, load the AOF into a server and take an RDB of it with BGSAVE; --ignore-aof-tail leaves them out.';

/** Damaged values that are named on a line each, and in the object of --json. */
const MOST_NAMED = 100;
const MOST_LISTED = 10_000;

/** What a run reports while it goes on. */
export type Listeners = Pick<
  LiveRunOptions,
  'onProgress' | 'onWarning' | 'onAofTail' | 'onDamaged' | 'onError' | 'onHead' | 'onServer' | 'onEvent'
>;

/** How the command was called. */
type Call = Pick<Invocation, 'argv' | 'byVariable' | 'io'> & {
  readonly options: Pick<OptionsOf<'encode'>, 'json' | 'progress' | 'quiet' | 'verbose'> & {
    readonly keepGoing?: boolean;
    readonly skipDamaged?: boolean;
    readonly ignoreAofTail?: boolean;
  };
};

/** What a command may do with the terminal. */
export interface Terminal {
  /** Nothing else is drawn while `work` has the terminal. */
  readonly pause: Progress['pause'];
  /** Shows parts of a line, the most important first, instead of bytes and keys. */
  readonly show: Progress['show'];
  /** With --json: writes an object on a line. */
  readonly object: (object: object) => void;
}

/** What a command does, and its texts. */
export interface Task<S extends RunSummary> {
  readonly command: CommandName;
  /** The name of the server that is compared with. */
  readonly target?: string;
  /** `say` writes a line. */
  run(listeners: Listeners, say: (text: string) => void, terminal: Terminal): Promise<S>;
  /** The summary line. */
  line(summary: S): string;
  /** Additional fields for `--json`. */
  fields(summary: S): object;
  /** Notes for a run without input errors. */
  notes(summary: S): string[];
  /** Whether a run that failed has nothing to sum up; default: no key was read. */
  isEmpty?(summary: S): boolean;
  /** The exit code of a run without input or output errors. */
  exit(summary: S): number;
  /** It goes on for long: without a terminal, too, it tells where it stands. */
  readonly logs?: boolean;
  /** A participle for incomplete output, as in `What was decoded before is in <path>`. */
  readonly done: string;
  readonly tornText: string;
  /** The last line of a run that skipped errors; default: how many of the sources had one. */
  errorsLine?(summary: S): string;
  /** What to do after a signal, as a sentence with a space before it. */
  afterSignal?(summary: S): string;
  /** Describes a source for `--verbose`; default: as an RDB file. */
  readonly headText?: ((head: SourceHead) => string) | undefined;
  /** The message for an error that the run throws, if it is not one of the usual ones. */
  readonly failed?: ((error: unknown) => Failed | undefined) | undefined;
}

/** A command that reads RDB files: messages, progress, signals, exit code. */
export class RunCommand<S extends RunSummary> {
  private readonly progress: Progress;
  private readonly warnings: Warning[] = [];
  private readonly aofTails: AofTail[] = [];
  private readonly errors: RdbError[] = [];
  /** Damaged values that were gone past: the first ones, and how many there are. */
  private readonly damaged: RdbError[] = [];
  private damagedKeys = 0;
  private readonly heads: SourceHead[] = [];
  private readonly servers: LiveFacts[] = [];
  private readonly flags: Call['options'];
  private readonly io: Io;

  constructor(
    private readonly task: Task<S>,
    private readonly call: Call,
    /** A path; undefined for standard output, empty for none. */
    private readonly output: string | undefined,
  ) {
    const { io, options } = call;
    this.flags = options;
    this.io = io;
    const { logs } = task;
    const how = options.quiet || (options.json && logs === true) ? 'none' : options.progress;
    this.progress = createProgress(how, io, output !== undefined, logs);
  }

  async run(): Promise<number> {
    const { flags, io, output, task } = this;
    if (output === undefined && task.command !== 'check' && !flags.quiet && leadsNowhere(io.stdout)) this.talk(`warning: ${NOWHERE}`);
    try {
      const summary = await this.start();
      await this.signalAfterTheEnd();
      this.progress.stop();
      return this.finished(summary);
    } catch (error) {
      this.progress.stop();
      if (error instanceof ClosedPipe) return this.lost(this.signalled ?? exitOfAll(this.errors));
      if (error instanceof OutputError) return this.lost(EXIT.output, error);
      const failed = this.task.failed?.(error) ?? failureOf(error);
      if (failed === undefined) throw error;
      return this.over(failed, error);
    }
  }

  /** The exit code of a signal that arrived: it may have ended the reader of the output, too. */
  private get signalled(): number | undefined {
    const { signal } = this.io;
    return signal?.aborted === true ? SIGNAL_EXIT[interruptedBy(signal)] : undefined;
  }

  private start(): Promise<S> {
    const listeners: Listeners = {
      onProgress: (progress) => this.progress.update(progress),
      onWarning: (file, text) => this.warn({ file, text }),
      onAofTail: (file, bytes) => this.tail({ file, bytes }),
      onDamaged: (error, torn) => this.skipped(error, torn),
      onError: (error) => this.fail(error),
      onServer: (facts) => this.reached(facts),
      onEvent: (text, notable) => {
        if (this.flags.verbose || (notable === true && progress.shows)) this.talk(`${printable(text)}.`);
      },
    };
    const { progress, task } = this;
    const say = (text: string): void => this.talk(text);
    const terminal: Terminal = {
      pause: (work) => progress.pause(work),
      show: (parts) => progress.show(parts),
      object: (object) => {
        if (this.flags.json && !this.flags.quiet) this.object(object);
      },
    };
    if (!this.flags.verbose) return task.run(listeners, say, terminal);
    const { byVariable, io } = this.call;
    if (byVariable.size > 0) this.talk(variablesLine(byVariable, io.env));
    return task.run({ ...listeners, onHead: (head) => this.found(head) }, say, terminal);
  }

  /** The plan of a restore describes its sources, except those that can be read only once. */
  private found(head: SourceHead): void {
    this.heads.push(head);
    this.talk(`source ${sourceName(head.source)}: ${(this.task.headText ?? headText)(head)}`);
  }

  /** How a server is going to be read. */
  private reached(facts: LiveFacts): void {
    this.servers.push(facts);
    const side = facts.name === this.task.target ? 'target' : 'source';
    if (!this.flags.quiet) for (const line of liveLines(facts, side)) this.talk(line);
  }

  private warn(warning: Warning): void {
    if (this.warnings.some(({ file, text }) => file === warning.file && text === warning.text)) return;
    this.warnings.push(warning);
    if (!this.flags.quiet) this.talk(`warning: ${sourceName(warning.file)}: ${printable(warning.text)}`);
  }

  /** A restore reports the AOF commands of a file before it begins, and finds them again when it has read the file. */
  private tail(tail: AofTail): void {
    const { aofTails, flags } = this;
    if (aofTails.some(({ file }) => file === tail.file)) return;
    aofTails.push(tail);
    const text = `${sourceName(tail.file)}: ${aofTailText(tail.bytes)}`;
    if (flags.ignoreAofTail !== true) this.talk(`${text}. ${AOF_ADVICE}`);
    else if (!flags.quiet) this.talk(`warning: ${text}`);
  }

  /** A damaged value is left out. */
  private skipped(error: RdbError, torn: boolean): void {
    this.damagedKeys++;
    if (this.damaged.length < MOST_LISTED) this.damaged.push(error);
    if (this.damagedKeys > MOST_NAMED) return;
    const { io, task } = this;
    this.talk(`${errorLine(error, torn ? task.tornText : 'It is left out.')}\n${stackOf(error, io.env)}`.trimEnd());
  }

  /** With --keep-going a run may go on for long, so its errors are reported at once. */
  private fail(error: RdbError): void {
    this.errors.push(error);
    if (this.flags.keepGoing === true) this.sayError(error, '');
  }

  /**
   * Ctrl-C ends a whole pipeline, and the end of standard input may arrive before the signal: then the input is not damaged, and
   * only the signal is reported.
   */
  private async signalAfterTheEnd(): Promise<void> {
    const { errors, io } = this;
    if (errors.at(-1)?.file !== '-') return;
    await delay(SIGNAL_DELAY);
    if (io.signal?.aborted === true) errors.pop();
  }

  private finished(summary: S): number {
    const { errors, flags, task } = this;
    const by = summary.interrupted || errors.length < summary.errors.length ? interruptedBy(this.io.signal) : undefined;
    const code = by === undefined ? exitOfAll(errors) || this.exitOf(summary) : SIGNAL_EXIT[by];
    const kept = this.leftovers(summary);
    if (flags.keepGoing !== true && errors.length > 0) this.sayError(errors[0], kept);
    else if (errors.length > 0 && by === undefined) {
      this.talk(`${task.errorsLine?.(summary) ?? `${errors.length} of ${summary.sources} sources had errors`}.${kept}`);
    }
    if (this.damagedKeys > MOST_NAMED)
      this.talk(`${countText(this.damagedKeys)} values are damaged and left out, the first ${MOST_NAMED} named above.`);
    if (by !== undefined) this.talk(`interrupted by ${by}.${kept}${task.afterSignal?.(summary) ?? ''}`);
    const { heads, output, servers } = this;
    for (const gap of summary.gaps ?? []) this.talk(`warning: ${printable(gap)}.`);
    if (!flags.quiet) for (const note of summary.serverNotes ?? []) this.talk(`${printable(note)}.`);
    const notes = errors.length === 0 && by === undefined ? task.notes(summary) : [];
    const object = (): object => ({
      ...summaryObject(summary, {
        command: task.command,
        code,
        by,
        output: output === '' ? undefined : output,
        errors,
        warnings: this.warnings,
        aofTails: this.aofTails,
      }),
      ...(flags.skipDamaged === true ? { damaged: this.damaged.map((error) => errorObject(error, hintOf(error, task.command))) } : {}),
      ...(heads.length === 0 ? {} : { sourcesFound: heads.map(headObject) }),
      ...(servers.length === 0 ? {} : { servers, serverNotes: summary.serverNotes ?? [] }),
      ...(servers.length === 0 && summary.gaps === undefined ? {} : { gaps: summary.gaps ?? [] }),
      ...task.fields(summary),
      notes: notes.length === 0 ? undefined : notes,
    });
    if (flags.json) this.object(object());
    else if (!flags.quiet && !(code !== EXIT.done && (task.isEmpty?.(summary) ?? summary.read === 0))) this.talk(task.line(summary));
    if (!flags.quiet) for (const note of notes) this.talk(note);
    return code;
  }

  /** Of a run that was not ended by an error of its sources. */
  private exitOf(summary: S): number {
    const gaps = (summary.gaps ?? []).length > 0 ? EXIT.keys : EXIT.done;
    return Math.max(this.task.exit(summary), this.damagedKeys > 0 ? EXIT.input : EXIT.done) || this.unread || gaps;
  }

  /** The exit code if newer commands were not read, unless that was asked for. */
  private get unread(): number {
    return this.aofTails.length > 0 && this.flags.ignoreAofTail !== true ? EXIT.keys : EXIT.done;
  }

  /** Describes incomplete output that was left. */
  private leftovers({ partial, partials = [], torn }: S): string {
    const { done, tornText } = this.task;
    const all = partials.length > 1 ? `${partials.length} files: ${partials.map(word).join(' ')}` : partial && word(partial);
    const where = all === undefined ? '' : ` What was ${done} before is in ${all}.`;
    return where + (torn ? ` ${tornText}` : '');
  }

  /** The output is lost, and the summary with it; earlier errors are still reported. */
  private lost(code: number, error?: OutputError): number {
    const { errors, flags, io } = this;
    if (flags.keepGoing !== true) for (const before of errors) this.sayError(before, '');
    if (error !== undefined) this.talk(`${outputErrorLine(error)}\n${stackOf(error, io.env)}`.trimEnd());
    if (flags.json) {
      this.object(
        summaryObject(undefined, { command: this.task.command, code, errors, error, warnings: this.warnings, aofTails: this.aofTails }),
      );
    }
    return code;
  }

  private over({ code, line, object }: Failed, error: unknown): number {
    this.talk(`${line}\n${stackOf(error, this.io.env)}`.trimEnd());
    if (this.flags.json) {
      this.object({
        ...summaryObject(undefined, {
          command: this.task.command,
          code,
          errors: this.errors,
          warnings: this.warnings,
          aofTails: this.aofTails,
        }),
        errors: [object],
      });
    }
    return code;
  }

  private sayError(error: RdbError, kept: string): void {
    const line = errorLine(error, hintOf(error, this.task.command));
    this.talk(`${line}${this.adviceOnOptions(error)}${kept}\n${stackOf(error, this.io.env)}`.trimEnd());
  }

  /** Advice for a source that does not exist and may have been meant as something else. */
  private adviceOnOptions(error: RdbError): string {
    const option = exitOf(error) === EXIT.usage ? meantForOption(this.task.command, error.file, this.call.argv) : undefined;
    if (option === undefined) return '';
    return ` If it is meant as another value of ${option}, give the option again: ${option} ${word(error.file ?? '')}.`;
  }

  /** With --json, standard error is read by a program. */
  private talk(text: string): void {
    if (!this.flags.json) this.progress.line(`rdbkit: ${text}`);
  }

  private object(object: object): void {
    this.io.stderr.write(`${printable(JSON.stringify(object))}\n`);
  }
}
