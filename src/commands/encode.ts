import { TS_CODEC } from '../kernels/codec.js';
import type { RdbError } from '../bytes/errors.js';
import { type ChosenTarget, type EncodeCounts, EncodedInput } from '../json/encoded-input.js';
import type { DumpCounts, KeyProblem } from '../pipeline/key-problem.js';
import { Output } from '../io/output.js';
import { RdbFile } from '../dump/rdb-file.js';
import { RdbSink } from '../dump/rdb-sink.js';
import { type Input, openInput } from '../io/input.js';
import { compileFilter } from '../values/filters.js';
import { KeySet } from '../values/key-set.js';
import type { Target } from '../values/targets.js';
import type { Conflict } from './dump-terms.js';
import { openOutput, run, type RunOptions, type RunSummary } from '../pipeline/run.js';

export interface EncodeOptions extends Omit<RunOptions, 'checksum' | 'strict' | 'open'> {
  /** A path; default: standard output. */
  readonly output?: string | undefined;
  /** The server to write for (default: the one named by the lines before the first key, else Redis 7.2). */
  readonly target?: Target | undefined;
  /** Write keys without what the target cannot hold, instead of leaving them out. */
  readonly allowLoss?: boolean | undefined;
  /** Ignore unknown fields, instead of refusing their lines. */
  readonly lenient?: boolean | undefined;
  /** Default: error. `last` applies between files; within one file it is like error. */
  readonly onConflict?: Conflict | undefined;
  /** Called for every key that is not in the output as it should be. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

export interface EncodeSummary extends RunSummary, Readonly<Omit<DumpCounts, 'rewritten'>> {
  /** Bad lines that were left out. */
  readonly badLines: number;
  /** Unknown fields that were ignored. */
  readonly unknownFields: number;
}

/** Bad lines kept for the summary, at most; all are reported and counted. */
const MOST_ERRORS = 1000;

/** Makes an RDB file from JSON lines. Throws OutputError or ClosedPipe; everything else is in the summary. */
export async function encode(options: EncodeOptions): Promise<EncodeSummary> {
  const { onConflict = 'error', onProblem, onWarning, sources } = options;
  const output = await openOutput(options, options.output);
  const opened: Opened = {
    inputs: [],
    badLines: 0,
    counts: { refused: 0, others: 0, adapted: 0, lost: 0 },
    unknown: { lenient: options.lenient === true, left: 0 },
  };
  let sink: RdbSink | undefined;
  const summary = await run(
    {
      ...options,
      sources: onConflict === 'last' ? [...sources].reverse() : sources,
      checksum: false, // the RDB is made here, so it needs no verification
      open: opener(options, opened),
    },
    (codec) => {
      const file = new RdbFile(new Output(output, { codec }), output, codec ?? TS_CODEC);
      sink = new RdbSink([file], { codec, seen: new KeySet(), duplicates: onConflict === 'error' ? 'tell' : 'drop', onProblem });
      return { sink, outputs: [output], meta: true };
    },
  );
  const { counts, inputs, unknown } = opened;
  if (unknown.left > 0) onWarning?.(sources[0], `${unknown.left} unknown ${unknown.left === 1 ? 'field was' : 'fields were'} left out`);
  const dumped = (sink as RdbSink).counts;
  return {
    ...summary,
    bytes: inputs.reduce((sum, { position }) => sum + position, 0),
    read: summary.read + counts.refused,
    refused: dumped.refused + counts.refused,
    others: dumped.others + counts.others,
    adapted: dumped.adapted + counts.adapted,
    lost: dumped.lost + counts.lost,
    duplicates: dumped.duplicates,
    badLines: opened.badLines,
    unknownFields: unknown.left,
    warnings: summary.warnings + (unknown.left > 0 ? 1 : 0),
  };
}

/** Shared by the sources of a run, with their counts. */
interface Opened {
  readonly inputs: EncodedInput[];
  badLines: number;
  readonly counts: EncodeCounts;
  readonly unknown: { readonly lenient: boolean; left: number };
}

function opener(
  { allowLoss = false, filter = {}, keepGoing, onConflict, onProblem, onWarning, target }: EncodeOptions,
  opened: Opened,
): NonNullable<RunOptions['open']> {
  const chosen: ChosenTarget = { target };
  const wanted = compileFilter(filter);
  return (source, { onError, signal, stdin }): Input => {
    const badLine = (error: RdbError): void => {
      if (++opened.badLines <= MOST_ERRORS) onError(error);
    };
    const input = new EncodedInput(openInput(source, { signal, stdin, text: true }), {
      chosen,
      allowLoss,
      counts: opened.counts,
      unknown: opened.unknown,
      seen: onConflict === 'last' ? new KeySet() : undefined,
      wanted: (head) => wanted.head(head),
      onBadLine: keepGoing === true ? badLine : undefined,
      onRefusal: (refusal) => onProblem?.({ file: source, ...refusal }),
      onWarning: (text) => onWarning?.(source, text),
    });
    opened.inputs.push(input);
    return input;
  };
}
