export const EXIT = {
  done: 0,
  /** Some keys, or newer commands of an AOF, are not in the output. */
  keys: 1,
  usage: 2,
  input: 3,
  output: 4,
  /** EX_SOFTWARE of sysexits.h: a bug in rdbkit must not look like one of the others. */
  bug: 70,
} as const;

export type InterruptSignal = 'SIGINT' | 'SIGTERM';

/** The code that shells report for a command ended by the signal: 128 and its number. */
export const SIGNAL_EXIT: Readonly<Record<InterruptSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/** The reason of an abort. */
export class Interruption extends Error {
  override readonly name = 'Interruption';

  constructor(readonly by: InterruptSignal) {
    super(`interrupted by ${by}`);
  }
}

/** An abort without a reason counts as Ctrl-C. */
export function interruptedBy(signal: AbortSignal | undefined): InterruptSignal {
  return signal?.reason instanceof Interruption ? signal.reason.by : 'SIGINT';
}
