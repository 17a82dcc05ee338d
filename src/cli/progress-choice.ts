import { type Io, isTerminal } from './io.js';
import type { ProgressKind } from './options/messages.js';
import { PlainProgress, Progress } from './progress.js';
import { BarProgress } from './progress-bar.js';

/** `auto` draws a bar if standard error is a terminal that can move its cursor, unless the data goes to the same terminal. */
export function createProgress(how: ProgressKind, { env, stderr, stdout }: Io, toFile: boolean): Progress {
  if (how === 'plain') return new PlainProgress(stderr);
  const bar = how === 'auto' && isTerminal(stderr) && env.TERM !== 'dumb' && (toFile || !isTerminal(stdout));
  return bar ? new BarProgress(stderr) : new Progress(stderr);
}
