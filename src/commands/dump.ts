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
import type { KeyPrefixes } from '../values/key-prefixes.js';
import { KeySet } from '../values/key-set.js';
import { highestFormat } from '../dump/headers.js';
import { mayMeet, meetingKeys } from '../pipeline/meeting.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import { damageCheck } from './damage-check.js';
import { tryManifest } from '../pipeline/manifest.js';
import type { JointOutputs } from '../io/joint-outputs.js';
import { Backup } from './backup.js';
import { type Conflict, type DumpFormat, isPerShard, outputPaths } from './dump-terms.js';
import { type LiveRunOptions, type LiveSources, withServers } from './live-sources.js';
import { type DumpedFile, eachShard, joined, type ShardOutput, shardOutputs, sums } from './shards.js';

export type { KeyProblem } from '../pipeline/key-problem.js';

export interface DumpOptions extends LiveRunOptions, Pick<DumpSinkOptions, 'allowLoss' | 'dbMap' | 'stripTtl' | 'target'> {
  /** Other names of keys. */
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  /** A path, in which `{shard}` stands for each server or master; default: standard output. */
  readonly output?: string | undefined;
  /** File that describes the files of a dump of one server or cluster; format rdb, and needs `output`. */
  readonly manifest?: string | undefined;
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
  /** The files of a dump of servers. */
  readonly files: readonly DumpedFile[];
}

/**
 * Writes the keys of RDB files and servers as they are, or transcoded for a target. Throws OutputError, ClosedPipe, and ServerError if a
 * server cannot be reached; everything else is in the summary.
 */
export async function dump(options: DumpOptions): Promise<DumpSummary> {
  const { manifest, output } = options;
  if (manifest === undefined) return withServers(options, output !== undefined, dumpAll);
  await tryManifest(manifest);
  const backup = new Backup(manifest, options);
  const summary = await withServers({ ...options, onHead: backup.head }, output !== undefined, (opened, servers) => {
    for (const facts of servers?.facts ?? []) backup.begin(facts);
    return dumpAll(opened, servers);
  });
  if (summary.errors.length === 0 && !summary.interrupted) await backup.write(summary);
  return summary;
}

async function dumpAll(options: DumpOptions, servers: LiveSources | undefined): Promise<DumpSummary> {
  const { output } = options;
  if (servers === undefined || output === undefined) return dumpSources(options);
  if (isPerShard(output)) return dumpShards(options, shardOutputs(output, servers.facts.flatMap(({ shards }) => shards)));
  const summary = await dumpSources(options);
  return { ...summary, files: [fileOf(output, options.sources, summary)] };
}

/** Each shard to a file of its own. Exported for tests. */
export async function dumpShards(options: DumpOptions, shards: readonly ShardOutput[]): Promise<DumpSummary> {
  const started = performance.now();
  const ends = await eachShard<DumpOptions, DumpSummary>(options, shards, (own, { output }, outputs) =>
    dumpSources({ ...own, output }, outputs),
  );
  const all = ends.map(({ summary }) => summary);
  return {
    ...joined(ends, (performance.now() - started) / 1000, options.signal),
    ...sums(all, ['refused', 'others', 'rewritten', 'adapted', 'lost', 'duplicates']),
    libraries: all.flatMap(({ libraries }) => libraries),
    files: ends.map(({ partial, shard, summary }) => ({ ...fileOf(shard.output, [shard.name], summary), partial })),
  };
}

function fileOf(output: string, shards: readonly string[], summary: DumpSummary): DumpedFile {
  const { damaged, errors, interrupted, keys, partial, refused, written } = summary;
  return { output, partial, complete: errors.length === 0 && !interrupted, shards, keys, bytes: written, refused, damaged };
}

async function dumpSources(options: DumpOptions, joint?: JointOutputs): Promise<DumpSummary> {
  const { allowLoss, dbMap, maxPayload = MAX_PAYLOAD, onConflict = 'error', onProblem, sources, stripTtl, target } = options;
  const { functions = takesFunctions(options) } = options;
  const now = options.filter?.now ?? Date.now();
  const format = options.format === 'rdb' ? await formatOf(options) : undefined;
  const opened = await openOutputs(options);
  const outputs = joint === undefined ? opened : opened.map((output) => joint.hold(output));
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
      mayRepeat: meetingKeys(options),
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
  return { ...summary, ...counts, libraries, files: [] };
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

/** Whether all keys of the source are written, each into the database that it comes from, and with its name. */
function isComplete(options: DumpOptions): boolean {
  const { dbMap, filter = {}, keyPrefixMap, limit = Infinity, skipDamaged = false, sources, splitSlots = 1, target } = options;
  return (
    sources.length === 1 &&
    !skipDamaged &&
    target === undefined &&
    limit === Infinity &&
    splitSlots === 1 &&
    dbMap === undefined &&
    keyPrefixMap === undefined &&
    !compileFilter(filter).active
  );
}

