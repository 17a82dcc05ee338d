import { availableParallelism } from 'node:os';
import type { Io } from './io.js';
import { word } from './printable.js';
import { type CheckedSources, checkSources, type SourceFlags } from './source-options.js';
import { UsageError } from './usage.js';

/** The options of decode as commander gives them. */
export interface DecodeFlags extends SourceFlags {
  meta?: boolean;
  threads?: string;
}

export interface CheckedDecode extends CheckedSources {
  readonly threads: number;
}

/** Throws UsageError. */
export async function checkDecode(sources: readonly string[], flags: DecodeFlags, io: Io): Promise<CheckedDecode> {
  const threads = checkThreads(flags);
  return { ...(await checkSources('decode', sources, flags, io)), threads };
}

const MOST_THREADS = 256;

function checkThreads({ threads }: DecodeFlags): number {
  if (threads === undefined) return availableParallelism();
  const number = /^\d{1,3}$/.test(threads) ? Number(threads) : 0;
  if (number < 1 || number > MOST_THREADS) throw new UsageError(`--threads ${word(threads)}: expected a number from 1 to ${MOST_THREADS}`);
  return number;
}
