import type { OutputError, RdbError } from '../commands/terms.js';
import { isServerUrl } from '../commands/live-terms.js';
import { EXIT } from './exit.js';
import { HINTS, KEEP_GOING, OR_STDIN } from './hints.js';
import type { CommandName } from './options/option.js';
import { optionsOf } from './options/table.js';
import { keyText, printable, sourceName, word } from './printable.js';
import { rightHint } from './rights.js';

/** System errors for a wrong path on the command line, as opposed to a failing device. */
const WRONG_PATH = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EISDIR', 'ELOOP', 'ENAMETOOLONG']);

/** A path that cannot be opened is wrong usage; a server that fails is no damage; any other input error is. */
export function exitOf(error: RdbError): number {
  if (isOfServer(error)) return EXIT.output;
  return error.code === 'READ_FAILED' && isWrongPath(error) ? EXIT.usage : EXIT.input;
}

function isWrongPath({ cause, got }: RdbError): boolean {
  if (cause instanceof Error && 'code' in cause) return WRONG_PATH.has(String(cause.code));
  return got === 'a directory';
}

/** A server that is read refuses, or is lost. */
const isOfServer = ({ code }: RdbError): boolean => code === 'SOURCE_LOST' || code === 'SOURCE_REFUSED';

/** Codes of bytes that are not as they were written. */
const DAMAGE = /^(?:BAD_|CHECKSUM$|TRUNCATED$|UNKNOWN_OPCODE$)/;
const RESEND =
  'What the server sent is damaged: read it again, and if it is damaged again, look at what is between (a proxy, a tunnel), or try ' +
  'another --via.';

/** The most serious one: damage before a wrong path. */
export function exitOfAll(errors: readonly RdbError[]): number {
  return Math.max(EXIT.done, ...errors.map(exitOf));
}

/** The known place of an error: `dump.rdb, offset 17, db 0, key "user:1"`. */
function place(error: RdbError): string {
  const { db, file, key, line, offset, path, within } = error;
  const parts: string[] = [];
  if (file !== undefined) parts.push(sourceName(file));
  if (exitOf(error) === EXIT.usage) return parts.join(); // nothing was read: offset 0 would mislead
  if (line !== undefined) parts.push(`line ${line}`);
  if (isOfServer(error)) return parts.join(', '); // what was read before is not where the reason is
  if (offset !== undefined) parts.push(`offset ${offset}`);
  if (within !== undefined) parts.push(`byte ${within} of the packed value there`);
  if (db !== undefined) parts.push(`db ${db}`);
  if (key !== undefined) parts.push(`key ${keyText(key)}`);
  if (path !== undefined) parts.push(printable(path));
  return parts.join(', ');
}

/** What is wrong, without advice. */
function fault(error: RdbError): string {
  const { code, expected, got, message } = error;
  if ((code === 'READ_FAILED' || isOfServer(error)) && got !== undefined) return got;
  const parts: string[] = [];
  if (expected !== undefined) parts.push(`expected ${expected}`);
  if (got !== undefined) parts.push(`got ${got}`);
  return parts.length === 0 ? message : parts.join(', ');
}

/** What to do next, with the options that the command has. */
export function hintOf({ code, file, got = '', skippable }: RdbError, command: CommandName): string {
  if (code === 'SOURCE_REFUSED') return rightHint(got, 'source');
  const has = (option: string): boolean => optionsOf(command).some(({ name }) => name === option);
  const hint = file !== undefined && isServerUrl(file) && DAMAGE.test(code) ? RESEND : HINTS[code];
  const skips = skippable && has('skipDamaged') ? ' --skip-damaged goes past such values.' : '';
  const fitting = hint.replace(has('keepGoing') ? '' : KEEP_GOING, '').replace(command === 'diff' ? OR_STDIN : '', '');
  return fitting + skips;
}

/** The error on one line: code, place, what was expected, what was found, and what to do next. */
export function errorLine(error: RdbError, hint: string): string {
  return `${error.code}: ${faultLine(error)} ${hint}`;
}

/** The place, and what is wrong there. */
export function faultLine(error: RdbError): string {
  const where = place(error);
  return `${where === '' ? '' : `${where}: `}${sentence(printable(fault(error)))}`;
}

export function outputErrorLine({ advice, kept, path, reason }: OutputError): string {
  const name = path === 'standard output' ? path : word(path);
  const left = kept === undefined ? [] : [`What was written before is in ${word(kept)}; it may end within a key.`];
  return [`cannot write ${name}: ${sentence(printable(reason))}`, ...left, ...(advice === undefined ? [] : [printable(advice)])].join(' ');
}

/** For `--json`. */
export function outputErrorObject({ advice, kept, message, path, reason }: OutputError): Record<string, unknown> {
  return { code: 'OUTPUT', message, file: path, got: reason, partial: kept, hint: advice };
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** For `--json`: the parts of errorLine as fields. */
export function errorObject(error: RdbError, hint: string): Record<string, unknown> {
  const { code, db, expected, file, got, key, line, message, offset, path, within } = error;
  return { code, message, file, line, path, offset, within, db, key, expected, got, hint };
}

/** With DEBUG=rdbkit: the stacks of the error and its causes; every line is escaped. */
export function stackOf(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  if (env.DEBUG?.split(/[\s,]+/).includes('rdbkit') !== true) return '';
  const lines: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const stack = (at.stack ?? String(at)).split('\n');
    lines.push(...stack.map((line, i) => (i === 0 && depth > 0 ? `caused by ${line}` : line)));
  }
  return lines.map((line) => `  ${printable(line)}\n`).join('');
}
