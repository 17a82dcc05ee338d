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
export const isOpenBeginning = (text: string): boolean => text.length < BEGINNING && /^[+\n$*#f]/.test(text) && whatAof(text) === undefined;

/** A command as the protocol has it, cut off where the input ends; lines that tell the time may stand before it (redis aof.c). */
const COMMAND = /^(?:#TS:|\*\d{1,10}\r\n\$|\*(?:\d{1,10}(?:\r\n?)?)?$)/;

/** Whether commands of an AOF begin here. */
export const isCommands = (text: string): boolean => COMMAND.test(text);

const MANIFEST = /^(?:#[^\n]*\n)*file \S.* seq \d+ type [bih]\b/;

function whatAof(text: string): string | undefined {
  if (isCommands(text)) return 'an AOF without an RDB in front';
  return MANIFEST.test(text) ? 'the manifest of an AOF' : undefined;
}

/** The error of an input that begins like no RDB. */
export function notRdb(text: string, offset: number): RdbError {
  const aof = whatAof(text);
  if (aof !== undefined) return new RdbError('AOF', { expected: 'an RDB file', got: aof });
  return new RdbError('NOT_RDB', {
    offset,
    expected: 'REDIS and four digits, or VALKEY and three',
    got: JSON.stringify(text.slice(0, 16)),
  });
}
