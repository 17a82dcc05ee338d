import { formatText } from '../bytes/text.js';
import { Element } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import { MEMBER_EXPIRY } from '../rdb/opcodes.js';
import { readString, Scratch } from '../rdb/string.js';

const element = new Element();
const scratch = new Scratch();

/**
 * AUX fields about the file, the data set or its replication that do not hold for a new file. `slot-info` (Valkey 8) and the like
 * are hints for table sizes.
 */
const STALE: ReadonlySet<string> = new Set(['repl-stream-db', 'repl-id', 'repl-offset', 'aof-preamble', 'aof-base', 'slot-info']);

/** The name of an AUX frame that also holds for a new file; otherwise undefined. */
export function auxName({ bytes, end, start }: Frame): string | undefined {
  readString(bytes, start, end, element);
  scratch.text(element);
  const name = formatText(element.bytes, element.start, element.end);
  return STALE.has(name) ? undefined : name;
}

/**
 * AUX fields of KeyDB after a key: two for every expiring member of a set or field of a hash, with the member and Unix
 * milliseconds.
 */
export const MEMBER_EXPIRES: readonly string[] = [MEMBER_EXPIRY, 'keydb-subexpire-when'];

/** The code of a function library (FUNCTION2), decompressed: a copy. */
export function functionCode({ bytes, end, start }: Frame): Uint8Array {
  readString(bytes, start, end, element);
  scratch.text(element);
  return element.bytes.slice(element.start, element.end);
}

/** The name of the function library of a frame (FUNCTION2, FUNCTION_PRE_GA), in the text form. */
export function frameLibraryName(frame: Frame): string {
  if (frame.opcode?.name === 'FUNCTION2') return libraryName(functionCode(frame));
  readString(frame.bytes, frame.start, frame.end, element);
  scratch.text(element);
  return formatText(element.bytes, element.start, element.end);
}

/** The library name in the first line of its code: `#!lua name=mylib` (redis functions.c, functionExtractLibMetaData). */
export function libraryName(code: Uint8Array): string {
  const line = code.indexOf(0x0a);
  const head = formatText(code, 0, line < 0 ? code.length : line);
  return /\bname=["']?([^\s"']+)/i.exec(head)?.[1] ?? '';
}
