/** A key, or something else of a file, that is not in the output as it should be, and why. */
export interface KeyProblem {
  readonly file: string;
  readonly db?: number;
  /** In the text form. */
  readonly key?: string;
  readonly reason: string;
  /** It is the expiry of one member of a key (KeyDB): there may be as many as members. */
  readonly isMemberExpiry?: boolean;
}

/** What a dump makes of keys, beside copying them. */
export interface DumpCounts {
  /** Keys that are not in the output, each of them told. */
  refused: number;
  /** Keys in an encoding of another type, which says all that theirs did. */
  rewritten: number;
  /** The same of what is no key: functions, data of modules, expiries of single members. */
  others: number;
  /** Keys whose encoding on the target has no place for some bookkeeping that it can do without. */
  adapted: number;
  /** Keys that are written without something, as was allowed. */
  lost: number;
  /** Keys that another file had, too, and that are left out as was asked for. */
  duplicates: number;
}
