import type { Readable, Writable } from 'node:stream';

/** All of the world that a command sees: the tests call `main` with their own. */
export interface Io {
  readonly stdin: Readable;
  /** Data, and nothing else. */
  readonly stdout: Writable;
  /** Talk: progress, warnings, errors, the summary. */
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted to stop cleanly; an Interruption as its reason says by which signal. */
  readonly signal?: AbortSignal | undefined;
}

export const isTerminal = (stream: Readable | Writable): boolean => 'isTTY' in stream && stream.isTTY === true;

const USUAL_WIDTH = 80;

/** Characters a line, of a terminal. */
export function columns(stream: Writable): number {
  return 'columns' in stream && typeof stream.columns === 'number' && stream.columns > 0 ? stream.columns : USUAL_WIDTH;
}
