import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { END, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import type { AofMark } from '../rdb/opcodes.js';
import { AOF_BASE_TEXT, Trailing } from '../rdb/trailing.js';
import { openInput } from '../io/input.js';
import type { SourceHead } from './source-heads.js';

/** Increments listed in a warning. */
const MOST_LISTED = 3;

/** The warning about a file that is the base of an AOF and in which no commands follow the RDB. */
export async function baseWarning(file: string, mark: AofMark | undefined): Promise<string | undefined> {
  if (mark === undefined) return undefined;
  return AOF_BASE_TEXT[mark] + (mark === 'aof-base' && file !== '-' ? `; ${await increments(file)}` : '');
}

/** The increments next to the base. */
async function increments(file: string): Promise<string> {
  const folder = dirname(file);
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.incr.aof')).sort();
  if (names.length === 0) return 'none is beside it';
  const listed = await Promise.all(names.slice(0, MOST_LISTED).map(async (name) => `${name}${await sizeText(join(folder, name))}`));
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '';
  return `beside it: ${listed.join(', ')}${more}`;
}

async function sizeText(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? '' : ` (${found.size} bytes)`;
}

/** Whether commands may follow the RDB in a file: an aux field says that an AOF begins with it, or it ends like a command. */
async function mayHaveTail({ aofMark, source }: Pick<SourceHead, 'aofMark' | 'source'>): Promise<boolean> {
  if (aofMark !== undefined) return true;
  const file = await open(source);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(new Uint8Array(2), 0, 2, Math.max(0, size - 2));
    return bytesRead === 2 && buffer[0] === 0x0d && buffer[1] === 0x0a;
  } finally {
    await file.close();
  }
}

/**
 * Bytes of the commands that follow the RDB in a file that can be read again; reads all of it. 0 if there are none, or if the file
 * is damaged, which is reported when it is read.
 */
export async function aofTail(head: Pick<SourceHead, 'aofMark' | 'source'>, signal: AbortSignal | undefined): Promise<number> {
  const framer = new Framer({ checksum: false, meta: false });
  const trailing = new Trailing();
  try {
    if (!(await mayHaveTail(head))) return 0;
    for await (const chunk of openInput(head.source, { signal }).chunks()) {
      if (framer.ended) {
        trailing.add(chunk);
        continue;
      }
      framer.push(chunk);
      let kind = framer.next();
      while (kind !== NEED && kind !== END) kind = framer.next();
      if (kind === END) trailing.add(framer.rest());
    }
  } catch {
    signal?.throwIfAborted();
  }
  return framer.ended ? trailing.commands(framer.endMark) : 0;
}
