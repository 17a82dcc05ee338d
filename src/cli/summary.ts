import type { RunSummary } from '../pipeline/run.js';
import type { OutputError, RdbError } from '../commands/terms.js';
import { errorObject, hintOf, outputErrorObject } from './errors.js';
import type { CommandName } from './options/option.js';
import type { InterruptSignal } from './exit.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';

export interface Warning {
  readonly file: string;
  readonly text: string;
}

/** `1,234 keys, 540 MB in, 812 MB out, 4.3 s, 126 MB/s; 3 of them expired; 20 filtered out`. */
export function summaryLine(summary: RunSummary): string {
  const { bytes, damaged, expired, filtered, keys, limited, seconds, warnings, written } = summary;
  const parts = [
    `${keysText(keys)}, ${bytesText(bytes)} in, ${bytesText(written)} out, ${secondsText(seconds)}, ${rateText(bytes, seconds)}`,
  ];
  if (expired > 0) parts.push(`${countText(expired)} of them expired`);
  if (filtered > 0) parts.push(`${countText(filtered)} filtered out`);
  if (damaged > 0) parts.push(`${countText(damaged)} damaged`);
  if (warnings > 0) parts.push(`${countText(warnings)} ${warnings === 1 ? 'warning' : 'warnings'}`);
  if (limited) parts.push('stopped at --limit');
  return parts.join('; ');
}

/** AOF commands that follow the RDB of a source, in bytes. */
export interface AofTail {
  readonly file: string;
  readonly bytes: number;
}

interface Outcome {
  readonly command: CommandName;
  readonly code: number;
  readonly by?: InterruptSignal | undefined;
  readonly output?: string | undefined;
  readonly warnings: readonly Warning[];
  readonly aofTails: readonly AofTail[];
  readonly errors: readonly RdbError[];
  /** Set if the output was lost, which leaves no summary. */
  readonly error?: OutputError | undefined;
}

/**
 * The object of `--json`. Read by other programs: fields may be added, never renamed. Absent: `bytesIn` and the other counts if the
 * output was lost, `output` for standard output, `partial` if nothing was left.
 */
export function summaryObject(summary: RunSummary | undefined, outcome: Outcome): object {
  const { aofTails, by, code, command, error, output, warnings } = outcome;
  const errors = outcome.errors.map((error) => errorObject(error, hintOf(error, command)));
  if (error !== undefined) errors.push(outputErrorObject(error));
  return {
    command,
    exitCode: code,
    ...(summary === undefined ? {} : counts(summary)),
    interrupted: by ?? null,
    output,
    partial: summary?.partial,
    warnings,
    aofTails,
    errors,
  };
}

function counts(summary: RunSummary): object {
  const { bytes, damaged, expired, filtered, keys, limited, memberExpiries, read, seconds, sources, torn, written } = summary;
  return {
    sources,
    /** Keys written, read, filtered out, damaged, written although expired. */
    keys,
    keysRead: read,
    keysFiltered: filtered,
    keysDamaged: damaged,
    keysExpired: expired,
    /** Expiries of members (KeyDB) of keys that were written without them. */
    memberExpiriesLost: memberExpiries,
    /** RDB bytes, decompressed; output bytes. */
    bytesIn: bytes,
    bytesOut: written,
    seconds: Math.round(seconds * 1000) / 1000,
    limited,
    torn,
  };
}
