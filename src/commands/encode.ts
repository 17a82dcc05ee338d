import { TS_CODEC } from '../kernels/codec.js';
import type { RdbError } from '../bytes/errors.js';
import type { ChosenTarget, EncodeCounts } from '../json/line-encoder.js';
import { EncodedInput } from '../json/encoded-input.js';
import type { DumpCounts, KeyProblem } from '../pipeline/key-problem.js';
import { Output } from '../io/output.js';
import { RdbFile } from '../dump/rdb-file.js';
import { RdbSink } from '../dump/rdb-sink.js';
import { type Input, openInput } from '../io/input.js';
import { compileFilter } from '../values/filters.js';
import { KeySet } from '../values/key-set.js';
import type { Target } from '../values/targets.js';
import type { Conflict } from './dump.js';
import { openOutput, run, type RunOptions, type RunSummary } from '../pipeline/run.js';

export interface EncodeOptions extends Omit<RunOptions, 'checksum' | 'strict' | 'open'> {
  /** A path; standard output unless given. */
  readonly output?: string | undefined;
  /** The server that is written for (default: the one that the lines before the first key name, else Redis 7.2). */
  readonly target?: Target | undefined;
  /** Leave out of keys what the target has no place for, instead of leaving out the keys. */
  readonly allowLoss?: boolean | undefined;
  /** Leave out fields that nobody knows, instead of refusing their lines. */
  readonly lenient?: boolean | undefined;
  /** Default: error. `last` decides between files; in one file it is as error. */
  readonly onConflict?: Conflict | undefined;
  /** Called for every key that is not in the output as it should be. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

export interface EncodeSummary extends RunSummary, Readonly<Omit<DumpCounts, 'rewritten'>> {
  /** Lines that were wrong and left out. */
  readonly badLines: number;
  /** Fields that nobody knows and that were left out. */
  readonly unknownFields: number;
}

/** Bad lines that are kept for the summary; all are told and counted. */
const MOST_ERRORS = 1000;

/** Makes an RDB file of JSON lines. Throws OutputError or ClosedPipe; all else is in the summary. */
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
      checksum: false, // of what is made here
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

/** What the sources of a run have in common, and what they came to. */
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
