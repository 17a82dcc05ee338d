import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import type { ServerIdentityState } from './server-identity.js';
import { type Library, LIBRARY_OUTCOMES } from '../pipeline/libraries.js';
import { writeJsonFile } from '../io/json-file.js';
import { CheckpointError } from './checkpoint-error.js';
import type { RestoreCounts } from './outcomes.js';
import type { ServerSource } from '../pipeline/run.js';
import type { Servers } from '../redis/servers.js';
import { redacted } from '../redis/url.js';
import type { SourceProgress } from './source-progress.js';
import type { RestoreOptions } from './options.js';
import type { TargetFacts } from './target-facts.js';

/** How far a restore is: everything recorded here is certainly on the target. */
export interface Checkpoint {
  readonly rdbkit: 'restore checkpoint';
  readonly version: 1;
  readonly target: CheckpointTarget;
  /** The options that decide what is written: see `fingerprint`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly sources: readonly CheckpointSource[];
  readonly counts: readonly { readonly db: number; readonly server: string; readonly counts: RestoreCounts }[];
  /** Problems that concern no key, such as libraries that were not loaded. */
  readonly told: number;
  readonly libraries: readonly Library[];
  /** Length of the rejects file at this point; the rest is cut off when the restore resumes. */
  readonly rejectsBytes: number;
  /** Whether the target had keys when the restore began. */
  readonly countReplaced: boolean;
  /** The identities of the servers that keys were delivered to. */
  readonly custody: readonly ServerIdentityState[];
  /** Delivered keys may be lost: when the sources end, they are read once more. */
  readonly again: boolean;
  /** Number of passes over the sources that were begun. */
  readonly passes: number;
  readonly finished: boolean;
}

export interface CheckpointTarget {
  /** The URL without credentials. */
  readonly url: string;
  /** The node ids of the masters of a cluster. */
  readonly nodes: readonly string[];
}

export interface CheckpointSource {
  readonly path: string;
  readonly bytes: number;
  /**
   * SHA-256 of the first and last 64 KiB. The end holds the checksum of the whole; a CRC of the whole file, its own included, is
   * always 0.
   */
  readonly digest: string;
  /** All keys whose value is at a lower offset are done. */
  readonly done: number;
  /** Of a server that is scanned: where the scan goes on; `bytes` and `done` are 0 then. */
  readonly position?: string | undefined;
}

const POSITION = /^\["[^"\\]*",\d{1,10},"\d{1,20}"\]$/;

/** The name of a server stands for it. Throws CheckpointError if a scan cannot go on from a checkpoint. */
function serverIdentity(name: string, { way }: ServerSource): SourceIdentity {
  if (way === 'scan') return { path: name, bytes: 0, digest: 'scan' };
  throw new CheckpointError(
    `${name} is read by replication, which gives another snapshot each time: read it with --via scan, or dump it to a file first`,
  );
}

export type SourceIdentity = Omit<CheckpointSource, 'done' | 'position'>;

const ENDS = 1 << 16;
/** Permissions: it may tell prefixes of keys. */
const OWN = 0o600;

/** Size and digest, which identify a source. Throws CheckpointError, or what the file system throws. */
export async function sourceIdentity(path: string): Promise<SourceIdentity> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new CheckpointError(`the source ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  if (!found.isFile()) throw new CheckpointError(`${path} is not a regular file: it cannot be read again from the beginning`);
  const { size } = found;
  const file = await open(path);
  const hash = createHash('sha256');
  try {
    for (const at of [0, Math.max(0, size - ENDS)]) {
      const { buffer, bytesRead } = await file.read(new Uint8Array(ENDS), 0, ENDS, at);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return { path, bytes: size, digest: hash.digest('hex') };
}

/** Undefined if there is no such file. Throws CheckpointError. */
export async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  let text: string;
  try {
    if (!(await stat(path)).isFile()) throw new CheckpointError('expected a regular file');
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CheckpointError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError('it is not a restore checkpoint', { cause });
  }
  if (!isCheckpoint(read)) throw new CheckpointError('it is not a restore checkpoint');
  return read;
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (read: unknown): read is Fields => typeof read === 'object' && read !== null && !Array.isArray(read);
const isText = (read: unknown): boolean => typeof read === 'string';
const isFlag = (read: unknown): boolean => typeof read === 'boolean';
const isCount = (read: unknown): boolean => Number.isSafeInteger(read) && Number(read) >= 0;
const isListOf = (read: unknown, fits: (fields: Fields) => boolean): boolean =>
  Array.isArray(read) && read.every((one) => isObject(one) && fits(one));

/** The file may have been edited or cut off: offsets and counts that make no sense would leave keys out. */
function isCheckpoint(read: unknown): read is Checkpoint {
  if (!isObject(read) || read.rdbkit !== 'restore checkpoint' || read.version !== 1) return false;
  const { again, counts, countReplaced, custody, finished, libraries, options, passes, rejectsBytes, sources, target, told } = read;
  return (
    isObject(target) &&
    isText(target.url) &&
    Array.isArray(target.nodes) &&
    target.nodes.every(isText) &&
    isObject(options) &&
    isListOf(
      sources,
      ({ bytes, digest, done, path, position }) =>
        isText(path) &&
        isText(digest) &&
        isCount(bytes) &&
        isCount(done) &&
        Number(done) <= Number(bytes) &&
        (position === undefined || (typeof position === 'string' && POSITION.test(position))),
    ) &&
    isListOf(counts, (row) => isCount(row.db) && isText(row.server) && isObject(row.counts) && Object.values(row.counts).every(isCount)) &&
    isListOf(
      libraries,
      ({ file, name, outcomes }) =>
        isText(file) &&
        isText(name) &&
        isListOf(outcomes, ({ outcome, server }) => isText(server) && LIBRARY_OUTCOMES.some((known) => known === outcome)),
    ) &&
    isListOf(custody, ({ bare, name, runId, since }) => isText(name) && isText(runId) && isCount(since) && isFlag(bare)) &&
    [told, rejectsBytes, passes].every(isCount) && [again, countReplaced, finished].every(isFlag)
  );
}

/** Throws CheckpointError if it was made for another target, other options or other sources. */
export function checkCheckpoint(
  checkpoint: Checkpoint,
  target: CheckpointTarget,
  options: Readonly<Record<string, unknown>>,
  sources: readonly SourceIdentity[],
): void {
  const before = checkpoint.target;
  const sameNodes = before.nodes.length > 0 && target.nodes.some((node) => before.nodes.includes(node));
  if (before.nodes.length > 0 || target.nodes.length > 0 ? !sameNodes : before.url !== target.url) {
    throw new CheckpointError(`it is for another target: ${before.url}`);
  }
  if (checkpoint.sources.length !== sources.length) {
    throw new CheckpointError(`it is for ${checkpoint.sources.length} sources, and ${sources.length} are given`);
  }
  sources.forEach((source, i) => {
    const known = checkpoint.sources[i];
    if (source.bytes !== known.bytes || source.digest !== known.digest) {
      throw new CheckpointError(
        `the source ${source.path} is not the one that it was made for (${known.path}, ${known.bytes} bytes), or has changed since`,
      );
    }
  });
  const [then, now] = [checkpoint.options, options].map(
    (all): Fields => ({ ...all, ...(isObject(all.filter) ? all.filter : {}), filter: undefined }),
  );
  // functions last: whether they are taken depends on the filters
  for (const name of new Set([...Object.keys({ ...then, ...now }).filter((option) => option !== 'functions'), 'functions'])) {
    const difference = differenceOf(OPTION_NAMES[name] ?? optionName(name), then[name], now[name]);
    if (difference !== undefined)
      throw new CheckpointError(`it was made ${difference}: use the same options, or remove the file to start over`);
  }
}

/** Those whose option has another name. */
const OPTION_NAMES: Readonly<Record<string, string | undefined>> = {
  conflict: '--on-conflict',
  intoDb: 'a database in the target URL, or -n,',
};

const optionName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** How an option differs; keys and patterns are not shown, since the file has them as base64. */
function differenceOf(option: string, then: unknown, now: unknown): string | undefined {
  const [was, is] = [then, now].map((value) => (value === false ? undefined : JSON.stringify(value)));
  if (was === is) return undefined;
  if (was === undefined) return `without ${option}`;
  if (is === undefined) return `with ${option}${shown(then)}, which is not given now`;
  return shown(now) === '' ? `with another ${option}` : `with ${option}${shown(then)}, which is${shown(now)} now`;
}

const shown = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? ` ${value}` : '');

/** The parts of a checkpoint that change during a restore. */
export type CheckpointState = Omit<Checkpoint, 'rdbkit' | 'version' | 'target' | 'options' | 'sources'>;

/** Reads and writes the checkpoint, if the restore has one. */
export class Checkpoints {
  private identities: SourceIdentity[] = [];
  private saving: Promise<void> = Promise.resolve();
  /** Where scans of servers went on: what this run has not passed yet. */
  private readonly before = new Map<string, string>();

  constructor(
    private readonly options: RestoreOptions,
    private readonly servers: Servers,
    /** A queued write failed. */
    private readonly onFailed: (error: unknown) => void,
  ) {}

  /** The checkpoint to resume from. Throws CheckpointError if it does not match. */
  async read(): Promise<Checkpoint | undefined> {
    const { checkpoint, dryRun, servers, sources } = this.options;
    if (checkpoint === undefined) return undefined;
    this.identities = await Promise.all(
      sources.map(async (source) => {
        const server = servers?.get(source);
        return server === undefined ? sourceIdentity(source) : serverIdentity(source, server);
      }),
    );
    const before = await readCheckpoint(checkpoint);
    if (before === undefined || dryRun === true) return undefined;
    checkCheckpoint(before, this.target, fingerprint(this.options), this.identities);
    for (const { path, position } of before.sources) {
      if (position === undefined) continue;
      this.before.set(path, position);
      servers?.get(path)?.goOnFrom(position);
    }
    return before;
  }

  /** Whether a checkpoint is written. */
  get kept(): boolean {
    return this.options.checkpoint !== undefined && this.options.dryRun !== true;
  }

  /** Queues a write after the earlier ones. */
  save(sources: readonly SourceProgress[], state: CheckpointState): void {
    const { checkpoint } = this.options;
    if (checkpoint === undefined || !this.kept) return;
    const whole = this.whole(sources, state);
    this.saving = this.saving.then(() => writeJsonFile(checkpoint, whole, { mode: OWN }));
    this.saving.catch(this.onFailed); // rethrown where it is awaited
  }

  /** Whether it can be written, before anything on the target is changed. Throws OutputError. */
  async tryOut(sources: readonly SourceProgress[], state: CheckpointState): Promise<void> {
    const { checkpoint } = this.options;
    if (checkpoint !== undefined && this.kept) await writeJsonFile(checkpoint, this.whole(sources, state), { mode: OWN, trial: true });
  }

  private whole(sources: readonly SourceProgress[], state: CheckpointState): Checkpoint {
    return {
      rdbkit: 'restore checkpoint',
      version: 1,
      target: this.target,
      options: fingerprint(this.options),
      sources: this.identities.map((identity, i) => ({ ...identity, ...this.progressOf(sources[i]) })),
      ...state,
    };
  }

  private progressOf({ done, path }: SourceProgress): Pick<CheckpointSource, 'done' | 'position'> {
    const server = this.options.servers?.get(path);
    if (server === undefined) return { done };
    const position = server.positionAt(done) ?? this.before.get(path);
    return { done: 0, ...(position === undefined ? {} : { position }) };
  }

  /** Waits for all queued writes. Throws OutputError. */
  saved(): Promise<void> {
    return this.saving;
  }

  private get target(): CheckpointTarget {
    const url = redacted(this.options.url);
    return { url, nodes: this.servers.masters.map(({ id }) => id).filter((id) => id !== '').sort() };
  }
}

/** Throws CheckpointError if the target was emptied since. Restarted servers are handled elsewhere, by sending everything again. */
export function checkKept({ again, counts, custody }: Checkpoint, { masters }: TargetFacts): void {
  const written = counts.reduce((sum, row) => sum + row.counts.restored + row.counts.replaced, 0);
  if (again || written === 0 || masters.some(({ counted, keys }) => !counted || keys.size > 0)) return;
  if (custody.every(({ name, runId }) => masters.some((master) => master.name === name && master.runId === runId))) {
    throw new CheckpointError(`the target is empty, but had ${written} of the keys: remove it to restore them again`);
  }
}

/** For JSON.stringify of a filter: keys as base64, patterns as text. */
export const filterInJson = (_: string, value: unknown): unknown =>
  value instanceof RegExp ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;

/** The options that decide which keys are written, and how. */
function fingerprint({
  allowLoss,
  conflict = 'error',
  dbMap,
  filter = {},
  functions,
  keyPrefixMap,
  maxPayload,
  stripTtl,
  ttlShift,
  url,
}: RestoreOptions): Record<string, unknown> {
  const given = Object.entries(filter as Record<string, unknown>).filter(
    ([name, value]) => name !== 'now' && value !== undefined && !(Array.isArray(value) && value.length === 0),
  );
  const shown: unknown = JSON.parse(JSON.stringify(Object.fromEntries(given), filterInJson));
  return {
    conflict,
    filter: shown,
    functions,
    dbMap: dbMap === undefined ? undefined : [...dbMap],
    keyPrefixMap: keyPrefixMap?.words,
    intoDb: url.db,
    stripTtl,
    ttlShift,
    allowLoss,
    maxPayload,
  };
}
