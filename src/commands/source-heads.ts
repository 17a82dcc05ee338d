import { statSync } from 'node:fs';
import { RdbError } from '../bytes/errors.js';
import { NEED, META } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import type { AofMark } from '../rdb/opcodes.js';
import type { Vendor } from '../rdb/types.js';
import { frameLibraryName, functionCode } from '../sinks/rdb-meta.js';
import { openInput } from '../sources/input.js';
import { metaRecord } from '../values/meta.js';
import { BufferTexts } from '../values/value-texts.js';

/** What a source says of itself before its first key. */
export interface SourceHead {
  readonly source: string;
  readonly vendor: Vendor;
  /** RDB version. */
  readonly version: number;
  /** What wrote it, as `redis-ver` or `valkey-ver` say. */
  readonly server: string | undefined;
  /** Bytes that the server used when it wrote the file. */
  readonly usedMemory: number | undefined;
  /** Unix seconds. */
  readonly created: number | undefined;
  /** Keys, and those with an expiry, by database, where the file says so before its first key. */
  readonly keys: readonly { readonly db: number; readonly keys: number; readonly expires: number }[];
  /** How many libraries of functions stand before the first key. */
  readonly functions: number;
  /** Their names, in the text form, and their code; without code where no server loads it. */
  readonly libraries: readonly { readonly name: string; readonly code: Uint8Array | undefined }[];
  /** Modules that have data there. */
  readonly modules: readonly string[];
  /** The aux field by which the file says that it is the base of an AOF. */
  readonly aofMark: AofMark | undefined;
  /** Bytes of the file, compressed or not. */
  readonly size: number | undefined;
}

/** More than any server puts before the first key, but for functions. */
const MOST = 1 << 20;

/** Whether it can be read only once: standard input, a pipe, a device. */
function isReadOnce(source: string): boolean {
  const found = source === '-' ? undefined : statSync(source, { throwIfNoEntry: false });
  return source === '-' || (found !== undefined && !found.isFile() && !found.isDirectory());
}

/** Reads the beginning of a file: undefined for what can be read only once, the error for what does not begin like an RDB. */
export async function sourceHead(source: string): Promise<SourceHead | RdbError | undefined> {
  if (isReadOnce(source)) return undefined;
  const framer = new Framer({ checksum: false });
  const aux = new Map<string, string>();
  const keys: SourceHead['keys'][number][] = [];
  const modules = new Set<string>();
  const libraries: SourceHead['libraries'][number][] = [];
  let functions = 0;
  let size: number | undefined;
  let read = 0;
  try {
    const input = openInput(source, { chunkSize: 1 << 16 });
    for await (const chunk of input.chunks()) {
      size = input.size;
      framer.push(chunk.slice());
      read += chunk.length;
      let kind = framer.next();
      for (; kind === META; kind = framer.next()) {
        const record = metaRecord(framer.frame, new BufferTexts());
        if (record.type === 'function') {
          functions++;
          libraries.push({ name: frameLibraryName(framer.frame), code: framer.frame.opcode?.name === 'FUNCTION2' ? functionCode(framer.frame) : undefined });
        } else if (record.type === 'aux') aux.set(record.key, record.value);
        else if (record.type === 'resizeDb') keys.push({ db: record.db, keys: record.keys, expires: record.expires });
        else if (record.type === 'moduleAux') modules.add(record.module);
      }
      if (kind !== NEED || read >= MOST) break;
    }
    framer.finish();
  } catch (error) {
    if (framer.version === 0 && error instanceof RdbError) return error.at({ file: source });
  }
  const number = (name: string): number | undefined => (aux.has(name) ? Number(aux.get(name)) : undefined);
  const server = aux.get('valkey-ver') ?? aux.get('redis-ver');
  const found = { keys, functions, libraries, modules: [...modules] };
  return { source, vendor: framer.vendor, version: framer.version, server, usedMemory: number('used-mem'), created: number('ctime'), ...found, aofMark: framer.aofMark, size };
}
