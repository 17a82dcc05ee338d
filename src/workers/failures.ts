import { RdbError } from '../bytes/errors.js';
import { OutputError } from '../io/output-error.js';
import type { Failure } from './messages.js';

/** Errors lose their class between threads: what is to be said of one. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RdbError) {
    const { code, db, expected, got, key, offset, stack, within } = error;
    return { kind: 'rdb', code, detail: { expected, got, offset, within, db, key }, stack };
  }
  if (error instanceof OutputError) return { kind: 'output', path: error.path, reason: error.reason };
  return { kind: 'other', error: error instanceof Error ? error : new Error(String(error)) };
}

export function errorOf(failure: Failure): Error {
  switch (failure.kind) {
    case 'rdb': {
      const error = new RdbError(failure.code, failure.detail);
      if (failure.stack !== undefined) error.stack = failure.stack;
      return error;
    }
    case 'output':
      return new OutputError(failure.path, failure.reason);
    default:
      return failure.error;
  }
}
