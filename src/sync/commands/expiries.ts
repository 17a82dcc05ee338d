import type { StreamCommand } from '../stream-command.js';
import { findWord, isOneOf, isWord, numberArg, shortArg, writer } from './args.js';
import type { CommandSpec } from './spec.js';
import { LATEST_FIELD_EXPIRY } from '../../values/types/hashes.js';

export const CONDITIONS: readonly string[] = ['nx', 'xx', 'gt', 'lt'];

const MAX = (1n << 63n) - 1n;

/** Options of SET that are followed by a value, which may be any bytes. */
const WITH_VALUE: readonly string[] = ['ifeq', 'ifne', 'ifdeq', 'ifdne'];

/**
 * The command with its expiry in absolute form and `shift` ms later (0 to leave it when it is), in bytes of its own. A time that counts
 * from when the command is applied becomes `now` (Unix ms) + time + shift.
 *
 * NX, XX, GT and LT go where they can only have been met, since a command that has no effect is not replicated; they stay for several
 * fields of a hash, of which Valkey also sends those that did not meet them. RESTORE and RESTORE-ASKING become RESTORE … REPLACE in any
 * case: if they came without, the key was not there. A time that would no longer fit into 64 bits stays as it is; one of a field that Redis
 * would not take becomes the latest that it does.
 *
 * Undefined: there is no expiry in it (or what is no number), so send it as it is. Expiries within the payload of a RESTORE are not seen.
 */
export function heldExpiry(command: StreamCommand, spec: CommandSpec, shift: number, now: number): Uint8Array | undefined {
  const { expiry } = spec;
  if (expiry === undefined) return undefined;
  switch (expiry.form) {
    case 'option':
      return heldOption(command, expiry.from, expiry.until, shift, now);
    case 'msetex':
      return heldOption(command, 2 + 2 * numberArg(command, 1), '', shift, now);
    case 'setex':
      return heldSetex(command, expiry.unit, shift, now);
    case 'key':
      return heldKey(command, time(command, 2, expiry.unit, expiry.relative, shift, now));
    case 'elements':
      return heldElements(command, expiry.as, time(command, 2, expiry.unit, expiry.relative, shift, now), shift);
    case 'getex':
      return heldGetex(command, shift, now);
    case 'hgetex':
      return heldHgetex(command, shift, now);
    case 'restore':
      return heldRestore(command, shift, now);
  }
}

/**
 * The same for servers before 6.2, whose SET has no PXAT: the SET or SETEX without its expiry, and PEXPIREAT. Undefined: it is neither, or
 * has no expiry.
 */
export function expiryApart(command: StreamCommand, { expiry, name }: CommandSpec, shift: number, now: number): Uint8Array[] | undefined {
  if (expiry?.form === 'setex') {
    const at = time(command, 2, expiry.unit, true, shift, now);
    if (at === undefined || command.args !== 4) return undefined;
    writer.begin(3);
    writer.text('SET');
    writer.copy(command, 1);
    writer.copy(command, 3);
    return [writer.done(), pexpireat(command, at)];
  }
  if (expiry?.form !== 'option' || name !== 'set') return undefined;
  const found = findOption(command, expiry.from, expiry.until, shift, now);
  if (found === undefined) return undefined;
  writer.begin(command.args - 2);
  writer.copyAll(command, 0, found.at);
  writer.copyAll(command, found.at + 2);
  return [writer.done(), pexpireat(command, found.time)];
}

/** Unix ms, as text where a double is not exact. */
type Time = number | string;

/** Argument `arg`, a time in `unit` ms, as absolute Unix ms, `shift` later. Undefined: it is missing, or no number. */
function time(command: StreamCommand, arg: number, unit: number, relative: boolean, shift: number, now: number): Time | undefined {
  if (arg >= command.args) return undefined;
  const added = (relative ? now : 0) + shift;
  const value = numberArg(command, arg) * unit;
  if (Math.abs(value) < 2 ** 52) return value + added;
  const text = shortArg(command, arg);
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const unshifted = BigInt(text) * BigInt(unit);
  const held = unshifted + BigInt(added);
  return `${held <= MAX ? held : unshifted <= MAX ? unshifted : MAX}`;
}

/** What EX, PX, EXAT and PXAT count in, in ms; 0 for other words. The two that count from now on have two letters. */
function optionUnit(command: StreamCommand, arg: number): number {
  if (isWord(command, arg, 'px') || isWord(command, arg, 'pxat')) return 1;
  return isWord(command, arg, 'ex') || isWord(command, arg, 'exat') ? 1000 : 0;
}

/** The argument that is EX, PX, EXAT or PXAT, and the time after it. */
interface FoundOption {
  readonly at: number;
  readonly time: Time;
}

function findOption(command: StreamCommand, from: number, until: string, shift: number, now: number): FoundOption | undefined {
  for (let arg = from; arg + 1 < command.args; arg++) {
    if (until !== '' && isWord(command, arg, until)) return undefined;
    const unit = optionUnit(command, arg);
    if (unit > 0) {
      const relative = command.ends[arg] - command.starts[arg] === 2;
      const at = time(command, arg + 1, unit, relative, shift, now);
      return at === undefined ? undefined : { at: arg, time: at };
    }
    if (isOneOf(command, arg, WITH_VALUE)) arg++;
  }
  return undefined;
}

function heldOption(command: StreamCommand, from: number, until: string, shift: number, now: number): Uint8Array | undefined {
  if (!(from < command.args)) return undefined;
  const found = findOption(command, from, until, shift, now);
  if (found === undefined) return undefined;
  writer.begin(command.args);
  writer.copyAll(command, 0, found.at);
  writer.text('PXAT');
  writer.integer(until !== '' ? forElements(found.time, shift) : found.time);
  writer.copyAll(command, found.at + 2);
  return writer.done();
}

/** SETEX becomes SET … PXAT. */
function heldSetex(command: StreamCommand, unit: number, shift: number, now: number): Uint8Array | undefined {
  const at = time(command, 2, unit, true, shift, now);
  if (at === undefined || command.args !== 4) return undefined;
  writer.begin(5);
  writer.text('SET');
  writer.copy(command, 1);
  writer.copy(command, 3);
  writer.text('PXAT');
  writer.integer(at);
  return writer.done();
}

function heldKey(command: StreamCommand, at: Time | undefined): Uint8Array | undefined {
  return at === undefined ? undefined : pexpireat(command, at);
}

function pexpireat(command: StreamCommand, at: Time): Uint8Array {
  writer.begin(3);
  writer.text('PEXPIREAT');
  writer.copy(command, 1);
  writer.integer(at);
  return writer.done();
}

/** A time for elements of a key, that a server takes. */
const forElements = (at: Time, shift: number): Time => (shift === 0 || Number(at) <= LATEST_FIELD_EXPIRY ? at : LATEST_FIELD_EXPIRY);

function heldElements(command: StreamCommand, name: string, at: Time | undefined, shift: number): Uint8Array | undefined {
  if (at === undefined || command.args < 6) return undefined;
  const rest = hasDroppedCondition(command) ? 4 : 3;
  writer.begin(3 + command.args - rest);
  writer.text(name);
  writer.copy(command, 1);
  writer.integer(forElements(at, shift));
  writer.copyAll(command, rest);
  return writer.done();
}

/** Whether it is for one field or member, and has a condition: then that was met. */
function hasDroppedCondition(command: StreamCommand): boolean {
  return isOneOf(command, 3, CONDITIONS) && numberArg(command, 5) === 1;
}

/** GETEX becomes PEXPIREAT or PERSIST. */
function heldGetex(command: StreamCommand, shift: number, now: number): Uint8Array | undefined {
  if (command.args === 3 && isWord(command, 2, 'persist')) {
    writer.begin(2);
    writer.text('PERSIST');
    writer.copy(command, 1);
    return writer.done();
  }
  return heldKey(command, findOption(command, 2, '', shift, now)?.time);
}

/** HGETEX becomes HPEXPIREAT or HPERSIST. */
function heldHgetex(command: StreamCommand, shift: number, now: number): Uint8Array | undefined {
  const fields = findWord(command, 'fields', 2);
  const persists = findWord(command, 'persist', 2, fields) < fields;
  const at = persists ? undefined : findOption(command, 2, 'fields', shift, now)?.time;
  if (fields === command.args || (!persists && at === undefined)) return undefined;
  writer.begin((at === undefined ? 2 : 3) + command.args - fields);
  writer.text(at === undefined ? 'HPERSIST' : 'HPEXPIREAT');
  writer.copy(command, 1);
  if (at !== undefined) writer.integer(forElements(at, shift));
  writer.copyAll(command, fields);
  return writer.done();
}

/** Where the options of RESTORE begin. */
const RESTORE_OPTIONS = 4;

function heldRestore(command: StreamCommand, shift: number, now: number): Uint8Array | undefined {
  if (command.args < RESTORE_OPTIONS) return undefined;
  const lasts = numberArg(command, 2) === 0;
  const replaces = findRestoreOption(command, 'replace') < command.args;
  const addsAbsttl = !lasts && findRestoreOption(command, 'absttl') === command.args;
  const at = lasts ? 0 : time(command, 2, 1, addsAbsttl, shift, now);
  if (at === undefined || (lasts && replaces && isWord(command, 0, 'restore'))) return undefined;
  writer.begin(command.args + (replaces ? 0 : 1) + (addsAbsttl ? 1 : 0));
  writer.text('RESTORE');
  writer.copy(command, 1);
  writer.integer(at);
  writer.copyAll(command, 3);
  if (!replaces) writer.text('REPLACE');
  if (addsAbsttl) writer.text('ABSTTL');
  return writer.done();
}

/** The argument that is this option of a RESTORE, or the number of arguments. */
export function findRestoreOption(command: StreamCommand, word: string): number {
  return findWord(command, word, RESTORE_OPTIONS);
}
