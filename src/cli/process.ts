import { bugLine, main } from './main.js';
import { OutputError, outputFailure } from '../commands/terms.js';
import { outputErrorLine, stackOf } from './errors.js';
import { EXIT, interruptedBy, type InterruptSignal, Interruption, SIGNAL_EXIT } from './exit.js';
import { withoutSecrets } from './usage.js';

/** Milliseconds that an interrupted process has to end by itself. */
const PATIENCE = 500;

/** Runs the command line in this process: arguments, streams, signals, exit code. */
export async function run(): Promise<void> {
  const { env, stderr, stdout } = process;
  hidePasswords(process.argv.slice(2));
  const stop = stopOnSignals();
  // Commands learn from their writes what happens to their data; the first error is left for help and the like.
  let failure: Error | undefined;
  stdout.on('error', (error: Error) => {
    failure ??= error;
  });
  stderr.on('error', () => undefined);
  process.on('uncaughtException', (error) => {
    stderr.write(`rdbkit: ${bugLine(error)}\n${stackOf(error, env)}`);
    process.exit(EXIT.bug);
  });
  const code = await main(process.argv.slice(2), { stdin: process.stdin, stdout, stderr, env, signal: stop });
  await new Promise(setImmediate); // an error of the last write comes after it
  process.exitCode = code === EXIT.done && failure !== undefined ? exitOfLost(failure) : code;
  if (stop.aborted) setTimeout(() => endBy(interruptedBy(stop)), PATIENCE).unref();
}

/** The exit code where help or a version could not be written; a reader that has gone does not matter. */
function exitOfLost(failure: Error): number {
  const lost = outputFailure('standard output', failure);
  if (!(lost instanceof OutputError)) return EXIT.done;
  process.stderr.write(`rdbkit: ${outputErrorLine(lost)}\n`);
  return EXIT.output;
}

/** `ps` shows the title as the command line. */
function hidePasswords(argv: readonly string[]): void {
  const shown = withoutSecrets(argv);
  if (shown.some((text, i) => text !== argv[i])) process.title = ['rdbkit', ...shown].join(' ');
}

/** The first signal stops cleanly, the second one at once. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (by: InterruptSignal): void => {
    if (controller.signal.aborted) endBy(by);
    else controller.abort(new Interruption(by));
  };
  for (const by of Object.keys(SIGNAL_EXIT) as InterruptSignal[]) process.on(by, () => onSignal(by));
  return controller.signal;
}

/**
 * Ends by the signal itself, which shells report with the same exit code: process.exit would wait for a system call that never
 * returns, like opening a FIFO that nobody writes to.
 */
function endBy(by: InterruptSignal): void {
  process.removeAllListeners(by);
  process.kill(process.pid, by);
}
