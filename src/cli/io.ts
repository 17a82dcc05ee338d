import type { Readable, Writable } from 'node:stream';

/** Everything that a command sees of the process: tests call `main` with their own. */
export interface Io {
  readonly stdin: Readable;
  /** Data only. */
  readonly stdout: Writable;
  /** Messages: progress, warnings, errors, the summary. */
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted to stop cleanly; its reason is an Interruption that names the signal. */
  readonly signal?: AbortSignal | undefined;
}

export const isTerminal = (stream: Readable | Writable): boolean => 'isTTY' in stream && stream.isTTY === true;

const USUAL_WIDTH = 80;

/** Width of a terminal, in characters. */
export function columns(stream: Writable): number {
  return 'columns' in stream && typeof stream.columns === 'number' && stream.columns > 0 ? stream.columns : USUAL_WIDTH;
}
