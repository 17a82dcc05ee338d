import type { Servers } from '../redis/servers.js';
import { type Checkpoint, checkCheckpoint, CheckpointError, type CheckpointSource, type CheckpointTarget, readCheckpoint, sourceIdentity, writeCheckpoint } from './checkpoint.js';
import type { SourceProgress } from './source-progress.js';
import type { RestoreOptions } from './options.js';
import type { TargetFacts } from './target-facts.js';

/** What of a checkpoint changes as a restore goes on. */
export type CheckpointState = Omit<Checkpoint, 'rdbkit' | 'version' | 'target' | 'options' | 'sources'>;

/** The checkpoint of a restore, where it has one: nothing is read or written otherwise. */
export class Checkpoints {
  private identities: Omit<CheckpointSource, 'done'>[] = [];
  private saving: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: RestoreOptions,
    private readonly servers: Servers,
  ) {}

  /** The checkpoint to go on from. Throws CheckpointError where it is for something else, and where all is done. */
  async read(): Promise<Checkpoint | undefined> {
    const { checkpoint, dryRun, sources } = this.options;
    if (checkpoint === undefined) return undefined;
    this.identities = await Promise.all(sources.map((source) => sourceIdentity(source)));
    const before = await readCheckpoint(checkpoint);
    if (before === undefined || dryRun === true) return undefined;
    checkCheckpoint(before, this.target, fingerprint(this.options), this.identities);
    if (before.finished) throw new CheckpointError('it says that all is done; remove it to restore again');
    return before;
  }

  /** Whether there is one to be written. */
  get kept(): boolean {
    return this.options.checkpoint !== undefined && this.options.dryRun !== true;
  }

  /** Writes it when those before it are written. */
  save(sources: readonly SourceProgress[], state: CheckpointState): void {
    const { checkpoint } = this.options;
    if (checkpoint === undefined || !this.kept) return;
    const whole: Checkpoint = {
      rdbkit: 'restore checkpoint',
      version: 1,
      target: this.target,
      options: fingerprint(this.options),
      sources: this.identities.map((identity, i) => ({ ...identity, done: sources[i].done })),
      ...state,
    };
    this.saving = this.saving.then(() => writeCheckpoint(checkpoint, whole));
    this.saving.catch(() => undefined); // it is thrown where it is awaited
  }

  /** Until all that was to be saved is. Throws OutputError. */
  saved(): Promise<void> {
    return this.saving;
  }

  private get target(): CheckpointTarget {
    const { addresses, db, sentinelMaster, tls } = this.options.url;
    const hosts = addresses.map(({ host, port }) => `${host}:${port}`).join(',');
    const url = `redis${tls ? 's' : ''}${sentinelMaster === undefined ? '' : '+sentinel'}://${hosts}${sentinelMaster === undefined ? '' : `/${sentinelMaster}`}${db === undefined ? '' : `/${db}`}`;
    return { url, nodes: this.servers.masters.map(({ id }) => id).filter((id) => id !== '').sort() };
  }
}

/** Throws CheckpointError where somebody has emptied the target: servers that were restarted are looked at elsewhere, and everything is sent again. */
export function checkKept({ again, counts, custody }: Checkpoint, { masters }: TargetFacts): void {
  const written = counts.reduce((sum, row) => sum + row.counts.restored + row.counts.replaced, 0);
  if (again || written === 0 || masters.some(({ keys }) => keys.size > 0)) return;
  if (custody.every(({ name, runId }) => masters.some((master) => master.name === name && master.runId === runId))) {
    throw new CheckpointError(`the target is empty, and had ${written} of the keys: remove it to restore them again`);
  }
}

/** What decides which keys are written, and how. */
function fingerprint({ allowLoss, conflict = 'error', dbMap, filter = {}, functions, maxPayload, stripTtl, ttlShift, url }: RestoreOptions): Record<string, unknown> {
  const given = Object.entries(filter as Record<string, unknown>).filter(([name, value]) => name !== 'now' && value !== undefined && !(Array.isArray(value) && value.length === 0));
  const shown: unknown = JSON.parse(JSON.stringify(Object.fromEntries(given), (_, value: unknown) => (value instanceof RegExp ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value)));
  return { conflict, filter: shown, functions, dbMap: dbMap === undefined ? undefined : [...dbMap], intoDb: url.db, stripTtl, ttlShift, allowLoss, maxPayload };
}
