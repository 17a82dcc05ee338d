import { unlink } from 'node:fs/promises';
import { RdbError } from '../bytes/errors.js';
import type { LiveFacts } from '../live/facts.js';
import { LiveSource } from '../live/live-source.js';
import type { LiveOptions } from '../live/options.js';
import { ServerError } from '../redis/errors.js';
import type { RunOptions, RunSummary, ServerSource } from '../pipeline/run.js';

/** Options of commands whose sources may be servers. */
export interface LiveRunOptions extends RunOptions {
  /** How to read those that are servers, by their names in `sources`. */
  readonly live?: ReadonlyMap<string, LiveOptions> | undefined;
  /** Whether function libraries are wanted of them (default: yes). */
  readonly functions?: boolean | undefined;
  /** Called with what is known of each of them before it is read. */
  readonly onServer?: ((facts: LiveFacts) => void) | undefined;
  /** Called with what does not affect the result: retries, failovers. `notable`: it explains why nothing happens, or that it goes on. */
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

/** The servers among the sources of a command, while they are read. */
export class LiveSources {
  private constructor(private readonly opened: ReadonlyMap<string, LiveSource>) {}

  /** Reaches them. `before`: the same ones, reached before: they may take a while to come back. Throws ServerError. */
  static async open({ functions, live, onEvent, onServer, onWarning }: LiveRunOptions, before?: LiveSources): Promise<LiveSources> {
    const opened = new Map<string, LiveSource>();
    try {
      for (const [name, options] of live ?? []) {
        const source = await LiveSource.open(name, { ...options, functions, onEvent, onNote: onWarning }, before?.opened.get(name));
        if (before === undefined) {
          onServer?.(source.facts);
          const ofSide = (other: string): boolean => live?.get(other)?.side === options.side;
          const twin = [...opened].find(([other, one]) => (ofSide(other) ? one.overlaps(source) : one.isTwin(source)))?.[0];
          if (twin !== undefined) {
            onWarning?.(name, ofSide(twin) ? `it has the same keys as ${twin}: they come twice` : `it is the same server as ${twin}`);
          }
        }
        opened.set(name, source);
      }
      return new LiveSources(opened);
    } catch (error) {
      for (const source of opened.values()) source.close();
      throw error;
    }
  }

  /** Sources with the shards of each server in its place. */
  named(sources: readonly string[]): string[] {
    return sources.flatMap((source) => this.opened.get(source)?.shards.map(({ facts }) => facts.name) ?? [source]);
  }

  /** What is known of each server. */
  get facts(): LiveFacts[] {
    return [...this.opened.values()].map(({ facts }) => facts);
  }

  /** The shards by name, for a run. */
  get shards(): ReadonlyMap<string, ServerSource> {
    const all = [...this.opened.values()].flatMap(({ shards }) => shards);
    return new Map(all.map((shard) => [shard.facts.name, shard]));
  }

  /** What may be missing, or come twice, after all were read to the end. */
  async gaps(): Promise<string[]> {
    const all: string[] = [];
    for (const source of this.opened.values()) all.push(...(await source.gaps()));
    return all;
  }

  /** What else the user should know after they were read. */
  get notes(): string[] {
    return [...this.opened.values()].flatMap(({ notes }) => notes);
  }

  close(): void {
    for (const source of this.opened.values()) source.close();
  }
}

/** How often a lost server is read from the beginning. */
const MOST_TIMES = 5;

/**
 * Runs a command with the servers among its sources opened. `again`: where a server is lost on the way, the command is run again from the
 * beginning, since its output is not used before it is complete. Throws ServerError, and what `work` throws.
 */
export async function withServers<O extends LiveRunOptions, S extends RunSummary>(
  options: O,
  again: boolean,
  work: (options: O, servers: LiveSources | undefined) => Promise<S>,
): Promise<S> {
  if (options.live === undefined) return work(options, undefined);
  const { onError, onEvent } = options;
  let before: Before<S> | undefined;
  for (let time = 1; ; time++) {
    const opened: LiveSources | S = before === undefined ? await LiveSources.open(options) : await reopened(options, before);
    if (!(opened instanceof LiveSources)) {
      for (const error of opened.errors) onError?.(error);
      return opened;
    }
    try {
      const last = !again || time === MOST_TIMES;
      const sources = opened.named(options.sources);
      const summary = await work({ ...options, sources, servers: opened.shards, onError: last ? onError : undefined }, opened);
      if (!last && wasLost(summary)) {
        onEvent?.(readAgain(summary), true);
        before = { servers: opened, lost: summary };
        continue;
      }
      if (!last) for (const error of summary.errors) onError?.(error);
      const complete = summary.errors.length === 0 && !summary.interrupted && !summary.limited;
      return { ...summary, gaps: complete ? await opened.gaps() : [], serverNotes: opened.notes };
    } finally {
      opened.close();
    }
  }
}

/** Whether nothing else is wrong than that servers were lost. */
export const wasLost = ({ errors, interrupted }: RunSummary): boolean =>
  !interrupted && errors.length > 0 && errors.every(({ code }) => code === 'SOURCE_LOST');

export const readAgain = ({ errors: [{ file, got }] }: RunSummary): string => `${file}: ${got}: it is read again from the beginning`;

/** A run that lost a server, and the servers that were read. */
interface Before<S> {
  readonly servers: LiveSources;
  readonly lost: S;
}

/** The servers once more; what was written of a run that lost one is only given up where they are reached. Else how that run ended. */
async function reopened<S extends RunSummary>(options: LiveRunOptions, { lost, servers: before }: Before<S>): Promise<LiveSources | S> {
  try {
    const servers = await LiveSources.open(options, before);
    for (const left of lost.partials ?? [lost.partial]) if (left !== undefined) await unlink(left).catch(() => undefined);
    return servers;
  } catch (error) {
    if (options.signal?.aborted === true) return { ...lost, errors: [], interrupted: true };
    if (!(error instanceof ServerError)) throw error;
    const [{ file, got, offset }] = lost.errors;
    const twice = new RdbError('SOURCE_LOST', { file, offset, got: `${got}; after that: ${error.reason}`, cause: error });
    return { ...lost, errors: [twice] };
  }
}
