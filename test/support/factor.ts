/**
 * RDBKIT_TEST_RUNS, a factor up to 1, lowers the runs of all properties: each keeps at least one. Loops over many cases take only every
 * STRIDE-th. Without it everything runs in full.
 */
export const FACTOR = process.env.RDBKIT_TEST_RUNS === undefined ? 1 : Number(process.env.RDBKIT_TEST_RUNS);
if (!(FACTOR > 0 && FACTOR <= 1))
  throw new Error(`RDBKIT_TEST_RUNS=${process.env.RDBKIT_TEST_RUNS}: expected a factor above 0 and up to 1`);

/** What a property has to have met more often than: in fewer runs once is enough, in very few it may be never. */
export const least = (inFull: number): number => (FACTOR === 1 ? inFull : FACTOR >= 0.25 ? 0 : -1);

/** Loops take every STRIDE-th case: 1 in full. */
export const STRIDE = Math.round(1 / FACTOR);

/** All cases in full; else every STRIDE-th, and the last. */
export const thinned = <T>(cases: readonly T[]): readonly T[] => cases.filter((_, i) => i % STRIDE === 0 || i === cases.length - 1);

/** All cases in full; else only that whose turn it is, for products such as files and targets. */
export const inTurn = <T>(cases: readonly T[], turn: number): readonly T[] => (STRIDE === 1 ? cases : [cases[turn % cases.length]]);

/** Sizes of chunks: all the same in full; else stretches of them between larger chunks. */
export const chunksOf = (size: number): readonly number[] =>
  STRIDE === 1 ? [size] : [...Array<number>(50).fill(size), 50 * size * (STRIDE - 1) + 1];

export const SINGLE_BYTES = chunksOf(1);
