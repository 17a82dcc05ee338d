import { statSync } from 'node:fs';
import { RdbError } from '../bytes/errors.js';
import { END, META, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import type { AofMark } from '../rdb/opcodes.js';
import type { Vendor } from '../rdb/types.js';
import { frameLibraryName, functionCode, metaRecord } from '../values/meta.js';
import { type Compression, type Input, openInput } from '../io/input.js';
import { ThroughInput } from '../io/through-input.js';
import { DatabaseCounts, type DatabaseKeys } from './database-keys.js';
import { moduleOfType } from '../values/module.js';
import { BufferTexts } from '../values/value-texts.js';

/** What a source tells before its first key, and its databases. */
export interface SourceHead {
  readonly source: string;
  readonly vendor: Vendor;
  /** RDB version. */
  readonly version: number;
  /** The writer, from `redis-ver` or `valkey-ver`. */
  readonly server: string | undefined;
  /** Memory of the server when it wrote the file, bytes. */
  readonly usedMemory: number | undefined;
  /** Unix seconds. */
  readonly created: number | undefined;
  /** Keys, and expiring keys, by database, as counted; where `allDatabases` is false, as far as the file has told. */
  readonly keys: readonly DatabaseKeys[];
  /** Whether `keys` has all databases. */
  readonly allDatabases: boolean;
  /** Number of function libraries before the first key. */
  readonly functions: number;
  /** Their names, in the text form, and code; no code if no server loads it. */
  readonly libraries: readonly { readonly name: string; readonly code: Uint8Array | undefined }[];
  /** Modules with data that belongs to no key, as far as it was read: by the names of MODULE LIST, else of their data types. */
  readonly modules: readonly string[];
  /** The aux field that marks the base of an AOF. */
  readonly aofMark: AofMark | undefined;
  /** Where the file is in the history of its server, from `repl-id`, `repl-offset` and `repl-stream-db`. */
  readonly replication?: ReplicationPosition | undefined;
  readonly compression: Compression;
  /** JSON lines with payloads. */
  readonly ofPayloads: boolean;
  /** Bytes of the file as stored. */
  readonly size: number | undefined;
}

/** A place in the stream of commands that a server sends to its replicas. */
export interface ReplicationPosition {
  readonly id: string;
  readonly offset: number;
  /** The database that the commands after it begin in. */
  readonly streamDb: number | undefined;
}

/** More than any server writes before the first key, except functions. */
const MOST = 1 << 20;

/** Whether it can be read only once: standard input, a pipe, a device. */
function isReadOnce(source: string): boolean {
  const found = source === '-' ? undefined : statSync(source, { throwIfNoEntry: false });
  return source === '-' || (found !== undefined && !found.isFile() && !found.isDirectory());
}

const isCount = (text: string | undefined): boolean => Number.isSafeInteger(Number(text ?? NaN)) && Number(text) >= 0;

/** Reads what a source tells before its first key, up to the end of the chunk that has it. */
class HeadReader {
  private readonly framer = new Framer({ checksum: false });
  private readonly aux = new Map<string, string>();
  private readonly told: DatabaseKeys[] = [];
  private readonly counted = new DatabaseCounts();
  private readonly modules = new Set<string>();
  private readonly libraries: SourceHead['libraries'][number][] = [];
  private functions = 0;
  private read = 0;
  private ended = false;

  constructor(private readonly input: Input) {}

  /** Returns whether it needs more. Throws RdbError. */
  push(chunk: Uint8Array): boolean {
    const { counted, framer } = this;
    framer.ofPayloads = this.input.ofPayloads;
    framer.push(chunk.slice());
    this.read += chunk.length;
    let kind = framer.next();
    for (; kind !== NEED && kind !== END; kind = framer.next()) {
      if (kind === META) this.take();
      else if (framer.frame.first) counted.add(framer.frame.db, framer.frame.hasExpire);
    }
    this.ended = kind === END;
    return !this.ended && counted.none && this.read < MOST;
  }

  /** Throws RdbError if the beginning is incomplete. */
  finish(): void {
    this.framer.finish();
  }

  private take(): void {
    const { counted, framer, told } = this;
    const { frame } = framer;
    const kind = frame.opcode?.name;
    if (!counted.none && kind !== 'RESIZEDB' && kind !== 'MODULE_AUX') return;
    const record = metaRecord(frame, new BufferTexts());
    if (record.type === 'function') {
      this.functions++;
      this.libraries.push({ name: frameLibraryName(frame), code: kind === 'FUNCTION2' ? functionCode(frame) : undefined });
    } else if (record.type === 'aux') this.aux.set(record.key, record.value);
    else if (record.type === 'resizeDb') told.push({ db: record.db, keys: record.keys, expires: record.expires });
    else if (record.type === 'moduleAux') this.modules.add(moduleOfType(record.module));
  }

  /** Whether it begins like an RDB. */
  get known(): boolean {
    return this.framer.version !== 0;
  }

  private get replication(): ReplicationPosition | undefined {
    const [id, offset, streamDb] = ['repl-id', 'repl-offset', 'repl-stream-db'].map((name) => this.aux.get(name));
    if (id === undefined || !isCount(offset)) return undefined;
    return { id, offset: Number(offset), streamDb: isCount(streamDb) ? Number(streamDb) : undefined };
  }

  get head(): SourceHead {
    const { aux, counted, ended, framer, functions, input, libraries, told } = this;
    const number = (name: string): number | undefined => (aux.has(name) ? Number(aux.get(name)) : undefined);
    const server = aux.get('valkey-ver') ?? aux.get('redis-ver');
    const keys = ended ? counted.list : told;
    const found = { keys, allDatabases: ended, functions, libraries, modules: [...this.modules] };
    const form = { compression: input.compression ?? 'none', ofPayloads: input.ofPayloads, size: input.size };
    return {
      source: input.name,
      vendor: framer.vendor,
      version: framer.version,
      server,
      usedMemory: number('used-mem'),
      created: number('ctime'),
      ...found,
      aofMark: framer.aofMark,
      replication: this.replication,
      ...form,
    };
  }
}

/** Reads the beginning of a file. Undefined if it can be read only once; the error if it does not begin like an RDB. */
export async function sourceHead(source: string): Promise<SourceHead | RdbError | undefined> {
  if (isReadOnce(source)) return undefined;
  const input = openInput(source, { chunkSize: 1 << 16 });
  const reader = new HeadReader(input);
  try {
    for await (const chunk of input.chunks()) if (!reader.push(chunk)) break;
    reader.finish();
  } catch (error) {
    if (error instanceof RdbError && (!reader.known || error.code === 'NOT_RDB')) return error.at({ file: source });
  }
  return reader.head;
}

/** An input that reports what its source tells while it is read; this works for sources that can be read only once, too. */
export class TellingInput extends ThroughInput {
  constructor(
    input: Input,
    private readonly onHead: (head: SourceHead) => void,
  ) {
    super(input);
  }

  override async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    let reader: HeadReader | undefined = new HeadReader(this.input);
    for await (const chunk of this.input.chunks()) {
      if (reader !== undefined && !this.goesOn(reader, chunk)) reader = undefined;
      yield chunk;
    }
    if (reader?.known === true) this.onHead(reader.head);
  }

  /** Errors are reported by whoever reads the whole input. */
  private goesOn(reader: HeadReader, chunk: Uint8Array): boolean {
    try {
      if (reader.push(chunk.subarray(0, MOST))) return true;
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
    }
    if (reader.known) this.onHead(reader.head);
    return false;
  }
}
