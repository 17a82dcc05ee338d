import { ServerError } from '../commands/restore-terms.js';
import { EXIT, Interruption, SIGNAL_EXIT } from './exit.js';
import { serverErrorLine, serverErrorObject } from './server-errors.js';

/** The end of a run without a summary. */
export interface Failed {
  readonly code: number;
  readonly line: string;
  /** For `--json`. */
  readonly object: Readonly<Record<string, unknown>>;
}

/** How a run ends that a server or a signal did not let begin; undefined for other errors. */
export function failureOf(error: unknown): Failed | undefined {
  if (error instanceof ServerError) {
    return { code: EXIT.output, line: serverErrorLine(error, false), object: serverErrorObject(error, false) };
  }
  if (error instanceof Interruption) {
    return { code: SIGNAL_EXIT[error.by], line: `interrupted by ${error.by}.`, object: { code: 'INTERRUPTED', message: error.message } };
  }
  return undefined;
}
