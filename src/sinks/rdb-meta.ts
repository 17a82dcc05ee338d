import { formatText } from '../bytes/text.js';
import { Element } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import { readString, Scratch } from '../rdb/string.js';

const element = new Element();
const scratch = new Scratch();

/** The string at `pos` in the text form, and the position after it. */
function textAt(bytes: Uint8Array, pos: number, end: number): [text: string, next: number] {
  const next = readString(bytes, pos, end, element);
  scratch.text(element);
  return [formatText(element.bytes, element.start, element.end), next];
}

/**
 * What AUX fields say of the file, the data set or the replication it was part of, which is not so of the file that is written.
 * `slot-info` (Valkey 8) and the like are hints for the size of tables.
 */
const STALE: ReadonlySet<string> = new Set(['repl-stream-db', 'repl-id', 'repl-offset', 'aof-preamble', 'aof-base', 'slot-info']);

/** The name of an AUX frame that is true of the file that is written, too; else undefined. */
export function auxName({ bytes, end, start }: Frame): string | undefined {
  const [name] = textAt(bytes, start, end);
  return STALE.has(name) ? undefined : name;
}

/**
 * AUX fields of KeyDB that belong to a key: its clock of active replication before it (rdb.cpp, rdbSaveKeyValuePair), and behind
 * it, for every member of a set or field of a hash that expires, two with the member and Unix milliseconds.
 */
export const KEY_CLOCK = 'mvcc-tstamp';
export const MEMBER_EXPIRES: readonly string[] = ['keydb-subexpire-key', 'keydb-subexpire-when'];

/** Name and text of an AUX frame, in the text form. */
export function auxTexts({ bytes, end, start }: Frame): [name: string, text: string] {
  const [name, next] = textAt(bytes, start, end);
  return [name, textAt(bytes, next, end)[0]];
}

/** The code of a function library (FUNCTION2), decompressed: a copy. */
export function functionCode({ bytes, end, start }: Frame): Uint8Array {
  readString(bytes, start, end, element);
  scratch.text(element);
  return element.bytes.slice(element.start, element.end);
}

/** The name of the function library of a frame (FUNCTION2, FUNCTION_PRE_GA), in the text form. */
export function frameLibraryName(frame: Frame): string {
  return frame.opcode?.name === 'FUNCTION2' ? libraryName(functionCode(frame)) : textAt(frame.bytes, frame.start, frame.end)[0];
}

/** What the first line of a library calls it: `#!lua name=mylib` (redis functions.c, functionExtractLibMetaData). */
export function libraryName(code: Uint8Array): string {
  const line = code.indexOf(0x0a);
  const head = formatText(code, 0, line < 0 ? code.length : line);
  return /\bname=["']?([^\s"']+)/i.exec(head)?.[1] ?? '';
}
