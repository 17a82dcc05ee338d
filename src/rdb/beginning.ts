import { RdbError } from '../bytes/errors.js';

/** Bytes within which an input shows what it is. */
export const BEGINNING = 256;

/** The bytes as text, one character each. */
export function latin(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

/** Whether an RDB begins here. */
export const isRdb = (text: string): boolean => /^(?:REDIS\d{4}|VALKEY\d{3})/.test(text);

/**
 * What precedes an RDB on a replication link: replies to REPLCONF and PSYNC, newlines while it waits, then the length, or a mark
 * that is repeated at the end.
 */
const TRANSFER = /^(?:\+[^\r\n]*\r\n|\n)*\$(?:EOF:([!-~]{40})|\d{1,20})\r\n/;

/** Of an RDB as a link sent it: how many characters stand before it, and the mark that follows it. */
export function transferHead(text: string): { readonly length: number; readonly mark: string | undefined } | undefined {
  const match = TRANSFER.exec(text);
  return match === null ? undefined : { length: match[0].length, mark: match[1] };
}

/** Whether more of the beginning may show what it is. */
export function isOpenBeginning(text: string): boolean {
  if (text.length >= BEGINNING || whatAof(text) !== undefined) return false;
  return /^[+\n$*#f]/.test(text) || (/^(?:version |\xff\xfe|\xfe\xff|R\0)/.test(text) && !isLfsPointer(text) && !UTF_16.test(text));
}

/** A command as the protocol has it, cut off where the input ends; lines that tell the time may stand before it (redis aof.c). */
const COMMAND = /^(?:#TS:|\*\d{1,10}\r\n\$|\*(?:\d{1,10}(?:\r\n?)?)?$)/;

/** Whether commands of an AOF begin here. */
export const isCommands = (text: string): boolean => COMMAND.test(text);

const MANIFEST = /^(?:#[^\n]*\n)*file \S.* seq \d+ type [bih]\b/;

function whatAof(text: string): string | undefined {
  if (isCommands(text)) return 'an AOF without an RDB in front';
  return MANIFEST.test(text) ? 'the manifest of an AOF' : undefined;
}

/** Git LFS stores this in place of a file. */
export const isLfsPointer = (text: string): boolean => /^version https:\/\/git-lfs\.github\.com\/spec\/v\d/.test(text);

/** REDIS in UTF-16, with or without a byte order mark. */
const UTF_16 = /^(?:\xff\xfe|\xfe\xff)?\0?R\0E\0D\0I\0S/;

/**
 * What becomes of the first byte of a record, FA or FE mostly, where a program takes bytes for text: U+FFFD in UTF-8 (the byte is lost),
 * or the letter of Latin-1 in UTF-8.
 */
const AS_TEXT = /^\xef\xbf\xbd|^\xc3[\xb5-\xbf]/;
const OF_TEXT = /^[\xc3\xef]/;
/** Bytes that AS_TEXT looks at. */
export const LETTER = 3;

/** Whether the first bytes of a record are those of a text; undefined if more of them are needed. No type or opcode begins like that. */
export function isTextCopy(text: string): boolean | undefined {
  if (AS_TEXT.test(text)) return true;
  return OF_TEXT.test(text) && text.length < LETTER ? undefined : false;
}

/** The error of an RDB whose bytes were taken for text. */
export function textCopy(offset: number, how: string): RdbError {
  return new RdbError('NOT_RDB', { offset, expected: 'an RDB file', got: `one that was copied as text (${how})` });
}

/** The error of an input that begins like no RDB. */
export function notRdb(text: string, offset: number): RdbError {
  const aof = whatAof(text);
  if (aof !== undefined) return new RdbError('AOF', { expected: 'an RDB file', got: aof });
  if (isLfsPointer(text)) {
    return new RdbError('NOT_RDB', { offset, expected: 'an RDB file', got: 'a pointer of Git LFS to a file: git lfs pull fetches that' });
  }
  if (UTF_16.test(text)) return textCopy(offset, 'as UTF-16');
  if (/^\xef\xbb\xbfREDIS/.test(text)) return textCopy(offset, 'with a byte order mark before it');
  return new RdbError('NOT_RDB', {
    offset,
    expected: 'REDIS and four digits, or VALKEY and three',
    got: JSON.stringify(text.slice(0, 16)),
  });
}
