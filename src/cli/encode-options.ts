import { CONFLICTS, type Conflict, type Target } from '../commands/dump.js';
import { oneOf, targetOf } from './dump-options.js';
import { type Io, isTerminal } from './io.js';
import { type CheckedSources, checkSources, type SourceFlags } from './source-options.js';
import { UsageError } from './usage.js';

/** The options of encode as commander gives them. */
export interface EncodeFlags extends SourceFlags {
  targetVersion?: string;
  allowLoss?: boolean;
  lenient?: boolean;
  onConflict?: string;
}

export interface CheckedEncode extends CheckedSources {
  readonly target: Target | undefined;
  readonly allowLoss: boolean;
  readonly lenient: boolean;
  readonly onConflict: Conflict;
}

/** Throws UsageError. */
export async function checkEncode(sources: readonly string[], flags: EncodeFlags, io: Io): Promise<CheckedEncode> {
  const onConflict = oneOf('--on-conflict', flags.onConflict ?? 'error', CONFLICTS);
  const target = targetOf(flags.targetVersion);
  const common = await checkSources('encode', sources, flags, io);
  if (common.output === undefined && isTerminal(io.stdout)) {
    throw new UsageError('an RDB file is binary and standard output is a terminal: name a file with --output, or pipe it on');
  }
  return { ...common, target, onConflict, allowLoss: flags.allowLoss === true, lenient: flags.lenient === true };
}
