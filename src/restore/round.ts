import type { Codec } from '../kernels/codec.js';
import type { Delivery } from './delivery.js';
import { OutputError } from '../io/output-error.js';
import { ServerError } from '../redis/errors.js';
import type { Damage } from '../pipeline/damage.js';
import { dropBefore, editsOf, onlyWanted, type Pass } from '../pipeline/passes.js';
import { RateLimit } from '../redis/rate-limit.js';
import { MAX_PAYLOAD } from '../dump/resp-writer.js';
import type { LibraryForecast } from './functions.js';
import { BATCH_BYTES, batchBuffers } from './batches.js';
import { RestoreSink } from './sink.js';
import { takesFunctions } from '../values/filters.js';
import type { KeySet } from '../values/key-set.js';
import { keysOf, progressOf, type SourceProgress } from './source-progress.js';
import { type RestoreOptions, WINDOW } from './options.js';
import { libraryConflict } from './plan.js';
import type { Tally } from './summary.js';
import { run, type RunOptions, type RunSummary } from '../pipeline/run.js';
import type { SlotCoverage } from './slot-coverage.js';
import type { TargetFacts } from './target-facts.js';

/** Sources read at the same time; of servers, all masters, so that their keys are of about the same time. */
const PARALLEL = 4;

export interface RoundParts {
  readonly sources: readonly SourceProgress[];
  readonly delivery: Delivery;
  readonly facts: TargetFacts;
  readonly forecast: LibraryForecast;
  readonly tally: Tally;
  /**
   * Whether to count the keys that replace others: the target has keys now, or another source or database may write the same key
   * first.
   */
  readonly countReplaced: boolean;
  /** Undefined if it does not matter which slots have keys. */
  readonly coverage: SlotCoverage | undefined;
  /** For a dry run: the keys seen, if some may come twice. */
  readonly seen: KeySet | undefined;
}

/** One pass over all sources, each from where it stopped. */
export class Round {
  private readonly rateLimit: RateLimit;

  constructor(
    private readonly options: RestoreOptions,
    private readonly parts: RoundParts,
  ) {
    this.rateLimit = new RateLimit({ keysPerSecond: options.maxKeysPerSecond, bytesPerSecond: options.maxBytesPerSecond });
  }

  /** Returns the ends of the sources that were begun. Server failures are reported through `delivery`. */
  async run(): Promise<RunSummary[]> {
    const { delivery, sources } = this.parts;
    const { limit, parallel = Math.max(PARALLEL, this.options.servers?.size ?? 0) } = this.options;
    const width = limit === undefined ? Math.min(parallel, sources.length) : 1;
    const ends: RunSummary[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < sources.length && !this.over(ends)) {
        const source = sources[next++];
        try {
          ends.push(await this.one(source));
        } catch (error) {
          if (!(error instanceof ServerError || error instanceof OutputError)) throw error;
          delivery.fail(error);
        }
      }
    };
    await Promise.all(Array.from({ length: width }, work));
    return ends;
  }

  private over(ends: readonly RunSummary[]): boolean {
    const { keepGoing, limit = Infinity, signal } = this.options;
    const { delivery, sources } = this.parts;
    return (
      delivery.failure !== undefined ||
      signal?.aborted === true ||
      keysOf(sources) >= limit ||
      (keepGoing !== true && ends.some(({ errors }) => errors.length > 0))
    );
  }

  private one(source: SourceProgress): Promise<RunSummary> {
    const { delivery, sources, tally } = this.parts;
    const { filter, limit } = this.options;
    const now = Date.now() + (delivery.servers.slowestClock ?? 0);
    const common: RunOptions = {
      ...this.options,
      filter: { ...filter, now: filter?.now ?? now },
      sources: [source.path],
      batchRows: this.rateLimit.burst,
      batchBytes: this.rateLimit.burstBytes,
      limit: limit === undefined ? undefined : limit - keysOf(sources),
      onProgress: (progress) => {
        source.progress = progress;
        this.options.onProgress?.({ ...progressOf(sources), servers: tally.servers });
      },
    };
    return run(
      // reported in the first round
      tally.rounds === 1 ? common : { ...common, onError: undefined, onWarning: undefined, onAofTail: undefined },
      (codec, counts, damage) => {
        source.counts = counts;
        const sink = this.sinkFor(source, codec, damage);
        source.sink = sink;
        return { sink, outputs: [], meta: true, passes: this.passes(source) };
      },
      batchBuffers(delivery.servers.masters.length) * (BATCH_BYTES + (1 << 12)),
    );
  }

  private passes({ done }: SourceProgress): Pass[] {
    const { coverage } = this.parts;
    const { except, wants } = this.options;
    return [
      ...(coverage === undefined ? [] : [coverage.pass]),
      ...(wants === undefined ? [] : [onlyWanted(wants)]),
      ...(except === undefined ? [] : [onlyWanted((...key) => !except(...key))]),
      ...(done > 0 ? [dropBefore(done)] : []),
      ...editsOf({ ...this.options, intoDb: this.options.url.db }),
    ];
  }

  private sinkFor(source: SourceProgress, codec: Codec | undefined, damage: Damage | undefined): RestoreSink {
    const { delivery, countReplaced, facts, forecast, seen, tally } = this.parts;
    const {
      allowLoss,
      conflict = 'error',
      dbMap,
      dryRun,
      maxInFlight = WINDOW,
      maxPayload = MAX_PAYLOAD,
      sanitize = 'auto',
      signal,
      stripTtl,
      ttlShift,
      fieldShift,
      url,
    } = this.options;
    return new RestoreSink({
      ...{ allowLoss, delivery, conflict, dbMap, codec, maxPayload, sanitize, signal, stripTtl, ttlShift, fieldShift },
      target: facts.target,
      damage,
      seen,
      countReplaced: countReplaced && !tally.counted,
      rateLimit: this.rateLimit,
      functions: this.options.functions ?? takesFunctions(this.options),
      libraries: tally.rounds === 1 ? tally.libraries : [],
      libraryConflict: libraryConflict(this.options),
      forecast,
      databases: facts.databases,
      uncovered: facts.uncovered,
      intoDb: url.db,
      from: source.done,
      window: maxInFlight,
      dry: dryRun,
      keepsRejects: tally.rejects !== undefined && !tally.counted,
      onExpired: (expireAt) => (source.firstExpiry = Math.min(source.firstExpiry, expireAt)),
      onDone: (segment) => tally.done(source, segment),
      onProblem: (problem) => tally.problem(problem),
    });
  }
}
