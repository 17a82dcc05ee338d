import type { Hot } from '../bytes/hot.js';
import type { ByteSink } from '../sinks/byte-sink.js';
import type { DumpCounts, DumpSink, DumpSinkOptions, KeyProblem } from '../sinks/dump-sink.js';
import { Output } from '../sinks/output.js';
import { PayloadLines } from '../sinks/payload-lines.js';
import { KeySet } from '../values/key-set.js';
import { openOutput, run, type RunOptions, type RunSummary } from './run.js';

export type { KeyProblem } from '../sinks/dump-sink.js';

export const DUMP_FORMATS = ['payload'] as const;
export type DumpFormat = (typeof DUMP_FORMATS)[number];

/** What becomes of a key that comes twice: the later ones are told and left out; left out; written instead of the earlier ones. */
export const CONFLICTS = ['error', 'first', 'last'] as const;
export type Conflict = (typeof CONFLICTS)[number];

export interface DumpOptions extends RunOptions {
  /** A path; standard output unless given. */
  readonly output?: string | undefined;
  readonly format: DumpFormat;
  /** Databases by their number in the source; others keep theirs. */
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** Leave expiries out. */
  readonly stripTtl?: boolean | undefined;
  /** Default: error. */
  readonly onConflict?: Conflict | undefined;
  /** Called for every key that is not in the output as it should be. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

export type DumpSummary = RunSummary & Readonly<DumpCounts>;

/** Writes the keys of RDB files as they are. Throws OutputError or ClosedPipe; all else is in the summary. */
export async function dump(options: DumpOptions): Promise<DumpSummary> {
  const { dbMap, onConflict = 'error', onProblem, sources, stripTtl } = options;
  const output = await openOutput(options, options.output);
  const seen = mayRepeat(options) ? new KeySet() : undefined;
  const ordered = onConflict === 'last' ? [...sources].reverse() : sources;
  let sink: DumpSink | undefined;
  const summary = await run({ ...options, sources: ordered }, (hot) => {
    sink = makeSink(output, { hot, dbMap, stripTtl, seen, duplicates: onConflict === 'error' ? 'tell' : 'drop', onProblem });
    return { sink, outputs: [output], meta: false };
  });
  return { ...summary, ...(sink as DumpSink).counts };
}

function makeSink(sink: ByteSink, options: DumpSinkOptions & { readonly hot: Hot | undefined }): DumpSink {
  return new PayloadLines(new Output(sink, { hot: options.hot }), options);
}

/** Whether a key may come twice: from two files, or from two databases that become one. */
function mayRepeat({ dbMap, sources }: DumpOptions): boolean {
  return sources.length > 1 || joinsDatabases(dbMap);
}

/** Whether two databases may become one. */
export function joinsDatabases(dbMap: ReadonlyMap<number, number> | undefined): boolean {
  if (dbMap === undefined) return false;
  const targets = [...dbMap.values()];
  return new Set(targets).size < targets.length || targets.some((target) => !dbMap.has(target));
}
