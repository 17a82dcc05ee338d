import { ServerError } from '../commands/restore-terms.js';
import { SyncError, SyncGap, SyncReplaced } from '../commands/sync-terms.js';
import { RdbError } from '../commands/terms.js';
import { errorLine, errorObject, exitOf, hintOf } from './errors.js';
import { EXIT, Interruption, SIGNAL_EXIT } from './exit.js';
import type { Failed } from './failure.js';
import { printable } from './printable.js';
import { serverErrorLine, serverErrorObject } from './server-errors.js';
import { GO_ON } from './sync-text.js';

const GAP_ADVICE = 'The target is as it was left. --on-gap full makes a full copy again.';
const REPLACED_ADVICE =
  'Nothing is lost: the other run goes on from where this one was. Two syncs into one target need different names (--id).';

/** How a sync ends that throws; undefined for errors that every command knows. `copied`: it was beyond its full copy. */
export function syncFailure(error: unknown, copied: boolean): Failed | undefined {
  if (error instanceof SyncError) return failureOfSync(error);
  if (error instanceof RdbError) {
    const hint = hintOf(error, 'sync');
    return { code: exitOf(error), line: errorLine(error, hint), object: errorObject(error, hint) };
  }
  if (error instanceof Interruption && copied) {
    const object = { code: 'INTERRUPTED', message: error.message };
    return { code: SIGNAL_EXIT[error.by], line: `interrupted by ${error.by}. ${GO_ON}`, object };
  }
  if (!(error instanceof ServerError)) return undefined;
  const line = serverLine(error, copied);
  const object = serverErrorObject(error, copied);
  return { code: EXIT.output, line: copied ? `${line} ${GO_ON}` : line, object: { ...object, hint: inSyncWords(String(object.hint)) } };
}

/** Advice to use options that a sync does not have. */
const NOT_HERE = / --write-as commands [^.]*\.| INFO is not needed with [^.]*\./g;
const SCAN_INSTEAD = 'Read it with SCAN and DUMP instead: --via scan.';
const NEEDS_PSYNC = 'If the service has PSYNC under another name, --psync-command gives that; --via scan does without (docs/sync.md).';
/** Where the rights of other commands are. */
const RIGHTS_ELSEWHERE = /All that a (?:source has to allow|restore needs) is in docs\/\w+\.md, "The least rights"/g;

/** The error on one line. `written`: whether keys were written before. */
export const serverLine = (error: ServerError, written: boolean): string => inSyncWords(serverErrorLine(error, written));

const inSyncWords = (text: string): string =>
  text
    .replace(NOT_HERE, '')
    .replace(SCAN_INSTEAD, NEEDS_PSYNC)
    .replace(RIGHTS_ELSEWHERE, 'All that a sync needs is in docs/sync.md, "Rights"');

function failureOfSync(error: SyncError): Failed {
  const { lane, message, reason } = error;
  const [code, advice] =
    error instanceof SyncGap ? ['GAP', GAP_ADVICE] : error instanceof SyncReplaced ? ['REPLACED', REPLACED_ADVICE] : ['SYNC', undefined];
  const where = reason.startsWith(`${lane}: `) ? '' : `${lane}: `;
  const sentence = `${printable(where + reason)}${/[.!?]$/.test(reason) ? '' : '.'}`;
  return {
    code: EXIT.output,
    line: [`${code}: ${sentence}`, ...(advice === undefined ? [] : [advice])].join(' '),
    object: { code, message, server: lane, got: reason, hint: advice },
  };
}
