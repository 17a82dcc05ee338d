import { TS_CODEC } from '../kernels/codec.js';
import { editsOf } from '../pipeline/passes.js';
import { VALKEY_VERSION } from '../rdb/payload.js';
import type { ByteSink } from '../io/byte-sink.js';
import type { DumpSink, DumpSinkOptions } from '../dump/dump-sink.js';
import type { DumpCounts, KeyProblem } from '../pipeline/key-problem.js';
import type { Library } from '../pipeline/libraries.js';
import { Output } from '../io/output.js';
import { PayloadLines } from '../dump/payload-lines.js';
import { RdbFile, type RdbFormat } from '../dump/rdb-file.js';
import { RdbSink, type RdbSinkOptions } from '../dump/rdb-sink.js';
import { RespSink } from '../dump/resp-sink.js';
import { MAX_PAYLOAD } from '../dump/resp-writer.js';
import { compileFilter, takesFunctions } from '../values/filters.js';
import { KeySet } from '../values/key-set.js';
import { highestFormat } from '../dump/headers.js';
import { mayMeet } from '../pipeline/meeting.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import { damageCheck } from './damage-check.js';
import { type Conflict, type DumpFormat, outputPaths } from './dump-terms.js';
import { type LiveRunOptions, withServers } from './live-sources.js';

export type { KeyProblem } from '../pipeline/key-problem.js';

export interface DumpOptions extends LiveRunOptions, Pick<DumpSinkOptions, 'allowLoss' | 'dbMap' | 'stripTtl' | 'target'> {
  /** A path; default: standard output. */
  readonly output?: string | undefined;
  readonly format: DumpFormat;
  /** Format rdb: number of files, one per range of slots; needs `output` (default 1). */
  readonly splitSlots?: number | undefined;
  /** Format resp: larger payloads, in bytes, are written with plain commands (default 512 MiB, that of proto-max-bulk-len). */
  readonly maxPayload?: number | undefined;
  /** Default: error. */
  readonly onConflict?: Conflict | undefined;
  /** Whether to write function libraries (default: unless only some keys are chosen). */
  readonly functions?: boolean | undefined;
  /** Called for every key that is not in the output as it should be. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

export interface DumpSummary extends RunSummary, Readonly<DumpCounts> {
  /** Outcomes of function libraries. */
  readonly libraries: readonly Library[];
}

/**
 * Writes the keys of RDB files as they are, or transcoded for a target. Throws OutputError or ClosedPipe; everything else is in the
 * summary.
 */
export function dump(options: DumpOptions): Promise<DumpSummary> {
  return withServers(options, options.output !== undefined, dumpSources);
}

async function dumpSources(options: DumpOptions): Promise<DumpSummary> {
  const { allowLoss, dbMap, maxPayload = MAX_PAYLOAD, onConflict = 'error', onProblem, sources, stripTtl, target } = options;
  const { functions = takesFunctions(options) } = options;
  const now = options.filter?.now ?? Date.now();
  const format = options.format === 'rdb' ? await formatOf(options) : undefined;
  const outputs = await openOutputs(options);
  const seen = mayMeet(options) ? new KeySet() : undefined;
  const ordered = onConflict === 'last' ? [...sources].reverse() : sources;
  let sink: DumpSink | undefined;
  const summary = await run({ ...options, sources: ordered }, (codec, _, damage) => {
    const common = {
      codec,
      functions,
      dbMap,
      stripTtl,
      target,
      allowLoss,
      seen,
      duplicates: onConflict === 'error' ? 'tell' : 'drop',
      onProblem,
      damage,
    } as const;
    if (options.format === 'rdb') {
      sink = rdbSink(outputs, { ...common, format, complete: isComplete(options), verbatim: isVerbatim(options) });
    } else if (options.format === 'resp') sink = new RespSink(new Output(outputs[0], { codec }), { ...common, maxPayload, now });
    else sink = new PayloadLines(new Output(outputs[0], { codec }), common);
    const check = damage && damageCheck(codec ?? TS_CODEC, damage);
    return { sink, outputs, meta: true, passes: editsOf(options), check };
  });
  const { counts, libraries } = sink as DumpSink;
  return { ...summary, ...counts, libraries };
}

/** Version and vendor for the header. Valkey's own versions begin at 80. */
async function formatOf({ sources, target }: DumpOptions): Promise<RdbFormat | undefined> {
  if (target !== undefined) return { vendor: target.rdbVersion >= VALKEY_VERSION ? 'valkey' : 'redis', version: target.rdbVersion };
  return sources.length > 1 ? highestFormat(sources) : undefined;
}

async function openOutputs(options: DumpOptions): Promise<ByteSink[]> {
  const outputs: ByteSink[] = [];
  try {
    for (const path of outputPaths(options)) outputs.push(await openOutput(options, path));
    return outputs;
  } catch (error) {
    for (const output of outputs) await output.abandon();
    throw error;
  }
}

/** Size of an output buffer if there are many. */
const SMALL_BUFFER = 1 << 16;

function rdbSink(outputs: readonly ByteSink[], options: RdbSinkOptions): RdbSink {
  const codec = options.codec ?? TS_CODEC;
  if (outputs.length === 1) return new RdbSink([new RdbFile(new Output(outputs[0], { codec: options.codec }), outputs[0], codec)], options);
  return new RdbSink(outputs.map((output) => new RdbFile(new Output(output, { fullAt: SMALL_BUFFER }), output, codec)), options);
}

/** Whether it is a copy of what a server sends to its replicas. */
function isVerbatim(options: DumpOptions): boolean {
  const { functions, servers, sources, stripTtl } = options;
  return isComplete(options) && functions !== false && stripTtl !== true && servers?.get(sources[0])?.way === 'replication';
}

/** Whether all keys of the source are written, each into the database that it comes from. */
function isComplete({ dbMap, filter = {}, limit = Infinity, skipDamaged = false, sources, splitSlots = 1, target }: DumpOptions): boolean {
  return (
    sources.length === 1 &&
    !skipDamaged &&
    target === undefined &&
    limit === Infinity &&
    splitSlots === 1 &&
    dbMap === undefined &&
    !compileFilter(filter).active
  );
}

