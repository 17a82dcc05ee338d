/** The manifest of a backup: a JSON file that says which RDB files belong together, and how to know that they are whole. */
import { open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { SLOTS } from '../bytes/crc16.js';
import { writeJsonFile } from '../io/json-file.js';

export interface Manifest {
  /** ISO 8601. */
  readonly created: string;
  /** The server or cluster that was read, as a URL without login. */
  readonly source: string;
  /** As in `Redis 7.0.15`; absent if it did not tell. */
  readonly server?: string | undefined;
  readonly clustered: boolean;
  readonly via: 'replication' | 'scan';
  /** Keys were left out on purpose. */
  readonly filtered?: boolean | undefined;
  /** The options that left keys out or changed them, as in `--prefix`. */
  readonly options?: readonly string[] | undefined;
  /** What may be missing, or come twice: sentences. */
  readonly gaps?: readonly string[] | undefined;
  readonly files: readonly ManifestFile[];
}

export interface ManifestFile {
  /** In the JSON relative to the folder of the manifest; here as it can be opened. */
  readonly file: string;
  readonly bytes: number;
  /** The last 8 bytes of the file, 16 hex digits: the CRC-64 of all before them. */
  readonly crc64: string;
  readonly rdbVersion: number;
  readonly keys: number;
  /** Keys that could not be written, and values left out as damaged; absent if there were none. */
  readonly refused?: number | undefined;
  readonly damaged?: number | undefined;
  /** The servers whose keys the file has. */
  readonly shards: readonly ManifestShard[];
}

export interface ManifestShard {
  /** The server that was read, as `host:port`. */
  readonly node: string;
  /** Its master, if it is a replica. */
  readonly replicaOf?: string | undefined;
  /** In a cluster: the id of the master. */
  readonly nodeId?: string | undefined;
  /** Ranges, first and last. */
  readonly slots: readonly (readonly [from: number, to: number])[];
  /** Where the file is in the history of the server; absent where it was read by scan. */
  readonly replicationId?: string | undefined;
  readonly replicationOffset?: number | undefined;
  readonly streamDb?: number | undefined;
}

/** A manifest that was read, and its path. */
export interface SourceManifest {
  readonly path: string;
  readonly manifest: Manifest;
}

/** The manifest is none, or does not fit its files. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';

  /** `ofFiles`: the manifest is in order, and a file that it names is not. */
  constructor(
    readonly path: string,
    message: string,
    readonly ofFiles = false,
  ) {
    super(message);
  }
}

const KIND = 'backup manifest';
const VERSION = 1;
/** Bytes: more than tens of thousands of shards take. */
const MOST_BYTES = 64 << 20;

/** Writes it atomically, with the paths of its files relative to its folder. Throws OutputError. */
export async function writeManifest(path: string, { files, ...about }: Manifest): Promise<void> {
  const folder = dirname(resolve(path));
  const named = files.map(({ file, ...rest }) => ({ file: relative(folder, resolve(file)), ...rest }));
  await writeJsonFile(path, { rdbkit: KIND, version: VERSION, ...about, files: named });
}

/** Throws OutputError if no manifest can be written there; the one that is there stays. */
export const tryManifest = (path: string): Promise<void> => writeJsonFile(path, {}, { trial: true });

/** Reads a manifest; its files are not looked at. Throws ManifestError. */
export async function readManifest(path: string): Promise<Manifest> {
  const text = await textOf(path);
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new ManifestError(path, 'it is not JSON, or was cut off');
  }
  try {
    return manifestOf(new Field('', read), dirname(path));
  } catch (error) {
    throw error instanceof TypeError ? new ManifestError(path, error.message) : error;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new ManifestError(path, 'it is not a regular file');
    if (found.size > MOST_BYTES) throw new ManifestError(path, `it has ${found.size} bytes: too many for a manifest`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    throw new ManifestError(path, error instanceof Error ? error.message : String(error));
  }
}

function manifestOf(root: Field, folder: string): Manifest {
  if (root.the('rdbkit').value !== KIND) throw new TypeError('it is not the manifest of a backup');
  const version = root.the('version').count();
  if (version !== VERSION) throw new TypeError(`it is of version ${version}, and this rdbkit reads version ${VERSION}`);
  const via = root.the('via');
  if (via.value !== 'replication' && via.value !== 'scan') throw via.not('replication or scan');
  const created = root.the('created');
  if (Number.isNaN(Date.parse(created.text()))) throw created.not('a time');
  const files = root.the('files').list((file) => fileOf(file, folder));
  if (files.length === 0) throw root.the('files').not('at least one file');
  const named = new Set<string>();
  const twice = files.find(({ file }) => named.size === named.add(file).size);
  if (twice !== undefined) throw new TypeError(`it names the file ${JSON.stringify(twice.file)} twice`);
  return {
    created: created.text(),
    source: root.the('source').text(),
    server: root.maybe('server')?.text(),
    clustered: root.the('clustered').flag(),
    via: via.value,
    filtered: root.maybe('filtered')?.flag(),
    options: root.maybe('options')?.list((option) => option.text()),
    gaps: root.maybe('gaps')?.list((gap) => gap.text()),
    files,
  };
}

function fileOf(field: Field, folder: string): ManifestFile {
  const file = field.the('file').text();
  if (file === '' || file.includes('\0')) throw field.the('file').not('a path');
  const crc64 = field.the('crc64');
  if (!/^[\da-f]{16}$/.test(crc64.text())) throw crc64.not('16 hex digits');
  return {
    file: isAbsolute(file) ? file : besides(folder, file),
    bytes: field.the('bytes').count(),
    crc64: crc64.text(),
    rdbVersion: field.the('rdbVersion').count(),
    keys: field.the('keys').count(),
    refused: field.maybe('refused')?.count(),
    damaged: field.maybe('damaged')?.count(),
    shards: field.the('shards').list(shardOf),
  };
}

/** A path that is taken for neither standard input nor a URL. */
function besides(folder: string, file: string): string {
  const path = join(folder, file);
  return path === '-' || /^[\w+]+:/.test(path) ? `./${path}` : path;
}

function shardOf(field: Field): ManifestShard {
  return {
    node: field.the('node').text(),
    replicaOf: field.maybe('replicaOf')?.text(),
    nodeId: field.maybe('nodeId')?.text(),
    slots: field.the('slots').list(slotsOf),
    replicationId: field.maybe('replicationId')?.text(),
    replicationOffset: field.maybe('replicationOffset')?.count(),
    streamDb: field.maybe('streamDb')?.count(),
  };
}

function slotsOf(field: Field): readonly [number, number] {
  const slots = field.list((slot) => slot.count());
  const [from, to] = slots;
  if (slots.length !== 2 || from > to || to >= SLOTS) throw field.not(`the first and last of slots 0 to ${SLOTS - 1}`);
  return [from, to];
}

/** Characters of a wrong value in a message. */
const MOST_SHOWN = 60;

/** A value in a JSON file, with its place. Its methods throw TypeError if it is something else. */
class Field {
  constructor(
    private readonly place: string,
    readonly value: unknown,
  ) {}

  /** A field of an object. */
  the(name: string): Field {
    const found = this.maybe(name);
    if (found === undefined) throw new TypeError(`${this.inside(name)} is missing`);
    return found;
  }

  /** The same, if there is one. */
  maybe(name: string): Field | undefined {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.not('an object');
    return Object.hasOwn(value, name) ? new Field(this.inside(name), (value as Readonly<Record<string, unknown>>)[name]) : undefined;
  }

  list<T>(each: (field: Field) => T): T[] {
    if (!Array.isArray(this.value)) throw this.not('a list');
    return this.value.map((value: unknown, i) => each(new Field(`${this.place}[${i}]`, value)));
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.fail('a text');
  }

  flag(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.fail('true or false');
  }

  count(): number {
    return Number.isSafeInteger(this.value) && Number(this.value) >= 0 ? Number(this.value) : this.fail('a whole number');
  }

  not(expected: string): TypeError {
    const got = JSON.stringify(this.value);
    const shown = got.length > MOST_SHOWN ? `${got.slice(0, MOST_SHOWN)}…` : got;
    return new TypeError(`${this.place === '' ? 'it' : this.place}: expected ${expected}, got ${shown}`);
  }

  private fail(expected: string): never {
    throw this.not(expected);
  }

  private inside(name: string): string {
    return this.place === '' ? name : `${this.place}.${name}`;
  }
}

/** What identifies an RDB file without reading all of it. */
export type FileEnds = Pick<ManifestFile, 'bytes' | 'crc64' | 'rdbVersion'>;

/** `REDIS0011`, `VALKEY080`. */
const MAGIC = 9;
const CRC = 8;

/** Reads the first and last bytes of an RDB file. Throws what the file system throws. */
export async function fileEnds(path: string): Promise<FileEnds> {
  const found = await stat(path);
  if (!found.isFile()) throw new TypeError('it is not a regular file');
  const { size } = found;
  const file = await open(path);
  try {
    const text = async (length: number, at: number, encoding: 'latin1' | 'hex'): Promise<string> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      return buffer.toString(encoding, 0, bytesRead);
    };
    const magic = await text(MAGIC, 0, 'latin1');
    return { bytes: size, crc64: await text(CRC, Math.max(0, size - CRC), 'hex'), rdbVersion: Number(/\d+$/.exec(magic)?.[0] ?? 0) };
  } finally {
    await file.close();
  }
}

/** Files named in one message. */
const MOST_NAMED = 5;

/** Throws ManifestError if a file is missing, or not the one that was written. */
export async function checkFiles({ manifest, path }: SourceManifest): Promise<void> {
  const wrong: string[] = [];
  for (const file of manifest.files) {
    const difference = await differenceOf(file);
    if (difference !== undefined) wrong.push(`${file.file} ${difference}`);
  }
  if (wrong.length === 0) return;
  const more = wrong.length > MOST_NAMED ? `; and ${wrong.length - MOST_NAMED} more` : '';
  throw new ManifestError(path, `${wrong.slice(0, MOST_NAMED).join('; ')}${more}`, true);
}

async function differenceOf({ bytes, crc64, file }: ManifestFile): Promise<string | undefined> {
  try {
    const found = await fileEnds(file);
    if (found.bytes !== bytes) return `has ${found.bytes} bytes instead of ${bytes}`;
    return found.crc64 === crc64 ? undefined : `ends with the checksum ${found.crc64} instead of ${crc64}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'is missing';
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Ranges of slots, first and last, that no shard has. */
export function slotsMissing({ files }: Pick<Manifest, 'files'>): [from: number, to: number][] {
  const ranges = files.flatMap(({ shards }) => shards.flatMap(({ slots }) => slots)).sort(([a], [b]) => a - b);
  const missing: [number, number][] = [];
  let next = 0;
  for (const [from, to] of ranges) {
    if (from > next) missing.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  if (next < SLOTS) missing.push([next, SLOTS - 1]);
  return missing;
}

const rangeText = ([from, to]: readonly [number, number]): string => (from === to ? `${from}` : `${from}-${to}`);

/** Why the backup may not have everything, in sentences. */
export function doubtsOf(manifest: Manifest): string[] {
  const { clustered, files, filtered, gaps = [], options = [] } = manifest;
  const missing = clustered ? slotsMissing(manifest) : [];
  const sum = (count: 'refused' | 'damaged'): number => files.reduce((all, file) => all + (file[count] ?? 0), 0);
  const [refused, damaged] = [sum('refused'), sum('damaged')];
  return [
    ...(filtered === true ? [`the backup is partial: it was made with ${options.join(', ')}`] : []),
    ...(refused > 0 ? [`keys that could not be written to the backup: ${refused}`] : []),
    ...(damaged > 0 ? [`damaged keys that were left out of the backup: ${damaged}`] : []),
    ...(missing.length > 0 ? [`the backup has no shard for the slots ${missing.map(rangeText).join(', ')}`] : []),
    ...gaps.map((gap) => `when the backup was made: ${gap}`),
  ];
}
