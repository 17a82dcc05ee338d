import { fstatSync, readSync, statSync } from 'node:fs';
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

export const NOWHERE = 'standard output is closed, or /dev/null: the output goes nowhere. To keep it, name a file with --output.';

/** Whether it may have been closed: Node then opens /dev/null in its place, for reading and writing. */
export function leadsNowhere(stdout: Writable): boolean {
  if (!('fd' in stdout) || typeof stdout.fd !== 'number') return false;
  try {
    const [found, nowhere] = [fstatSync(stdout.fd), statSync('/dev/null')];
    return found.isCharacterDevice() && found.rdev === nowhere.rdev && readSync(stdout.fd, new Uint8Array(1)) === 0;
  } catch {
    return false; // a shell opens it for writing only
  }
}

const USUAL_WIDTH = 80;

/** Width of a terminal, in characters. */
export function columns(stream: Writable): number {
  return 'columns' in stream && typeof stream.columns === 'number' && stream.columns > 0 ? stream.columns : USUAL_WIDTH;
}
