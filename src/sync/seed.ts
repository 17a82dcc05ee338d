import { RdbError } from '../bytes/errors.js';
import { type Input, openInput } from '../io/input.js';
import { ThroughInput } from '../io/through-input.js';
import type { OpenOptions } from '../pipeline/run.js';
import { type ReplicationPosition, sourceHead } from '../pipeline/source-heads.js';
import { SyncError } from './errors.js';
import type { SourceHistory } from './source/history.js';

/** A file with a full copy of a source master, and where it stands in its writes. */
export interface Seed {
  readonly path: string;
  readonly position: ReplicationPosition;
}

/** Reads where files stand. Throws RdbError, and SyncError for one that does not say it. */
export async function readSeeds(paths: readonly string[]): Promise<Seed[]> {
  return Promise.all(
    paths.map(async (path) => {
      const head = await sourceHead(path);
      if (head instanceof RdbError) throw head;
      if (head?.replication !== undefined) return { path, position: head.replication };
      throw new SyncError(
        path,
        'it does not say where it stands in the writes of its server (repl-id and repl-offset), so that nothing can follow it: ' +
          'servers say so once they have had a replica, and files of rdbkit dump have it unless they are made with SCAN',
      );
    }),
  );
}

/** The file of each lane, by replication id. Throws SyncError unless each lane has one file, and each file one lane. */
export function seedsOf(seeds: readonly Seed[], lanes: readonly { readonly name: string; readonly history: SourceHistory }[]): Seed[] {
  const fits = ({ position: { id, offset } }: Seed, { earlierEnd, earlierId, id: now }: SourceHistory): boolean =>
    id === now || (id === earlierId && offset <= earlierEnd);
  for (const seed of seeds) {
    const { id, offset } = seed.position;
    if (lanes.some(({ history }) => fits(seed, history))) continue;
    const are = lanes.map(({ history, name }) => `${name} is at ${history.id}`).join(', ');
    throw new SyncError(seed.path, `it is at offset ${offset} of ${id}, a history that the source does not have: ${are}`);
  }
  return lanes.map(({ history, name }) => {
    const own = seeds.filter((seed) => fits(seed, history));
    if (own.length === 1) return own[0];
    const paths = own.map(({ path }) => path).join(' and ');
    throw new SyncError(name, own.length === 0 ? 'no file of --seed is a copy of it' : `${paths} are copies of it: give one of them`);
  });
}

/** A file that is opened once `first` is done. `only`: drops records that do not belong to the source. */
export class LateInput extends ThroughInput {
  constructor(
    source: string,
    how: OpenOptions,
    private readonly first: () => Promise<void>,
    private readonly only?: Input['pass'],
  ) {
    super(openInput(source, how));
  }

  override get pass(): Input['pass'] {
    return this.only;
  }

  override async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    await this.first();
    yield* this.input.chunks();
  }
}
