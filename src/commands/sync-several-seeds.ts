import type { LiveSource } from '../live/live-source.js';
import { SyncError } from '../sync/errors.js';
import { readSeeds } from '../sync/seed.js';
import type { SyncOptions } from './sync-summary.js';

/**
 * Gives each source its files of `--seed`, by replication id: a source without any is copied itself. Throws RdbError, ServerError, and
 * SyncError for a file that is of no source, or of several.
 */
export async function seedsBySource(syncs: readonly SyncOptions[], opened: readonly LiveSource[]): Promise<readonly SyncOptions[]> {
  const [{ seed, seedManifest }] = syncs;
  if (seed === undefined) return syncs;
  const ids = await Promise.all(opened.map((source) => idsOf(source)));
  const files: string[][] = syncs.map(() => []);
  for (const { path, position } of await readSeeds(seed)) {
    const owners = ids.flatMap((own, number) => (own.has(position.id) ? [number] : []));
    if (owners.length === 1) {
      files[owners[0]].push(path);
      continue;
    }
    const names = owners.map((number) => syncs[number].sources[0]).join(' and ');
    const several = `which ${names} have, so that they were one server once: copy them one by one`;
    const why = owners.length === 0 ? 'which none of the sources has' : several;
    throw new SyncError(path, `it is of the history ${position.id}, ${why}`);
  }
  const seeded = files.filter((own) => own.length > 0);
  if (seedManifest !== undefined && seeded.length > 1) {
    throw new SyncError(seedManifest.path, 'its files are of several sources: name the files instead');
  }
  return syncs.map((one, number) => {
    const own = files[number];
    return own.length === 0 ? { ...one, seed: undefined, seedManifest: undefined } : { ...one, seed: own };
  });
}

/** Replication ids of its masters, with those that they had before. */
async function idsOf({ servers }: LiveSource): Promise<Set<string>> {
  const all = await servers.eachMaster(async (client) => {
    const { earlierReplicationId, replicationId } = await servers.infoOf(client);
    return [replicationId, earlierReplicationId];
  });
  return new Set(all.flat().filter((id) => id !== '' && !/^0+$/.test(id)));
}
