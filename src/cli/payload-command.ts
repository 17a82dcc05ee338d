import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { type GivenPayload, givenPayloads, PAYLOAD_FORMS, PayloadReader, type PayloadReport } from '../commands/payload.js';
import { ClosedPipe, OutputError, RdbError, StreamSink } from '../commands/terms.js';
import { errorLine, exitOf, outputErrorLine, stackOf } from './errors.js';
import { EXIT, interruptedBy, SIGNAL_EXIT } from './exit.js';
import { payloadHint } from './hints.js';
import { type Io, isTerminal } from './io.js';
import { PAYLOAD_HELP } from './payload-help.js';
import { damageLine, reportObject, reportText, tallyLine } from './payload-report.js';
import { printable, word } from './printable.js';
import { UsageError } from './usage.js';

interface PayloadFlags {
  from?: string;
  json?: boolean;
  checksum: boolean;
}

/** `onExit` takes the exit code. */
export function addPayload(program: Command, io: Io, onExit: (code: number) => void): void {
  const payload = program.command('payload').summary('look at what the command DUMP returns').description(PAYLOAD_HELP.description);
  subcommand(payload, 'check', 'say what a payload is and whether it is whole')
    .option('--json', 'one JSON object for each payload')
    .action(async (given: string | undefined, flags: PayloadFlags) => onExit(await new PayloadCommand('check', given, flags, io).run()));
  subcommand(payload, 'decode', 'decode the value to a JSON line')
    .option('--no-checksum', 'do not verify the checksum of the payload')
    .action(async (given: string | undefined, flags: PayloadFlags) => onExit(await new PayloadCommand('decode', given, flags, io).run()));
}

function subcommand(payload: Command, name: 'check' | 'decode', summary: string): Command {
  const { after, description } = PAYLOAD_HELP[name];
  return payload
    .command(name)
    .summary(summary)
    .description(description)
    .argument('[payload]', 'in any form but raw; standard input unless given, or for -')
    .usage('[payload] [options]')
    .option('--from <form>', `the form that it is in: ${PAYLOAD_FORMS.join(', ')} (default: found out)`)
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', after);
}

class PayloadCommand {
  private readonly stdout: StreamSink;

  constructor(
    private readonly name: 'check' | 'decode',
    private readonly given: string | undefined,
    private readonly flags: PayloadFlags,
    private readonly io: Io,
  ) {
    this.stdout = new StreamSink(io.stdout);
  }

  /** Returns the exit code; throws UsageError. */
  async run(): Promise<number> {
    const { io } = this;
    const payloads = givenPayloads(this.input());
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
    const { flags, io, name } = this;
    const given = this.given === '-' ? undefined : this.given;
    const from = flags.from === undefined ? undefined : PAYLOAD_FORMS.find((form) => form === flags.from);
    if (flags.from !== undefined && from === undefined) throw new UsageError(`--from ${word(flags.from)}: expected one of ${PAYLOAD_FORMS.join(', ')}`);
    if (given !== undefined && from === 'raw') throw new UsageError('--from raw is for standard input: an argument has no bytes of any kind');
    if (given === undefined && isTerminal(io.stdin)) {
      throw new UsageError(`standard input is a terminal: give a payload, or pipe one into it, like redis-cli --raw dump KEY | rdbkit payload ${name}`);
    }
    return { given, from, stdin: io.stdin, signal: io.signal };
  }

  private async check(payloads: AsyncIterable<GivenPayload>): Promise<number> {
    const reader = new PayloadReader();
    const { json } = this.flags;
    let first: PayloadReport | undefined;
    let [count, damaged] = [0, 0];
    for await (const given of payloads) {
      const report = await reader.check(given);
      count++;
      if (report.error !== undefined) damaged++;
      if (json === true) await this.write(`${printable(JSON.stringify(reportObject(report)))}\n`);
      else if (first === undefined) first = report;
      else await this.write((count === 2 ? damageLine(first, 1) : '') + damageLine(report, count));
    }
    if (first !== undefined) await this.write(count === 1 ? reportText(first) : tallyLine(count, damaged));
    return damaged > 0 ? EXIT.input : EXIT.done;
  }

  private async decode(payloads: AsyncIterable<GivenPayload>): Promise<number> {
    const reader = new PayloadReader(this.stdout);
    try {
      for await (const given of payloads) {
        const odd = await reader.decode(given, this.flags.checksum);
        if (given.newline) this.talk('warning: the newline at the end is not of the payload, as redis-cli writes one.');
        if (odd !== undefined) this.talk(`warning: ${given.number === undefined ? '' : `line ${given.number}: `}${odd}.`);
      }
    } catch (error) {
      if (!(error instanceof OutputError) && !(error instanceof ClosedPipe)) await reader.end();
      if (error instanceof RdbError) return this.failed(error, reader.torn ? ' The last line of the output is torn: it has only the beginning of the value.' : '');
      throw error;
    }
    await reader.end();
    return EXIT.done;
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
