import { type Io, isTerminal } from './io.js';
import type { ProgressKind } from './options/messages.js';
import { PlainProgress, Progress } from './progress.js';
import { BarProgress } from './progress-bar.js';

/** Milliseconds between two lines of a run that goes on for days. */
const LOG_EVERY = 10_000;

/**
 * `auto` draws a bar if standard error is a terminal that can move its cursor, unless the data goes to the same terminal. `logs`: where
 * there is no bar, lines are written.
 */
export function createProgress(how: ProgressKind, { env, stderr, stdout }: Io, toFile: boolean, logs = false): Progress {
  if (how === 'plain') return new PlainProgress(stderr, logs ? LOG_EVERY : undefined);
  const bar = how === 'auto' && isTerminal(stderr) && env.TERM !== 'dumb' && (toFile || !isTerminal(stdout));
  if (bar) return new BarProgress(stderr);
  return logs && how === 'auto' ? new PlainProgress(stderr, LOG_EVERY) : new Progress(stderr);
}
