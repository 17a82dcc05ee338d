/** A key, or something else of a file, that is not in the output as it should be, and why. */
export interface KeyProblem {
  readonly file: string;
  readonly db?: number;
  /** In the text form: see formatText. */
  readonly key?: string;
  readonly reason: string;
  /** The expiry of one member of a key (KeyDB): there may be one per member. */
  readonly isMemberExpiry?: boolean;
}

/** Outcomes of a dump, besides plain copies. */
export interface DumpCounts {
  /** Keys not in the output; each was reported. */
  refused: number;
  /** Keys written as another type with the same content. */
  rewritten: number;
  /** Records that are no keys and are not in the output: functions, module data, expiries of single members. */
  others: number;
  /** Keys whose encoding on the target has no place for some dispensable bookkeeping. */
  adapted: number;
  /** Keys written without a part of their value, as --allow-loss permits. */
  lost: number;
  /** Keys left out because another file or database had them, too, as was asked for. */
  duplicates: number;
}
