import type { StreamCommand } from '../stream-command.js';
import { findWord, isWord, numberArg } from './args.js';
import type { KeyRule } from './spec.js';

/** Where the keys of commands are: rules for those that the table has, and for what servers say of others. */
const ASTERISK = 0x2a;

export const noKeys: KeyRule = () => true;

/** These arguments are keys that it writes. */
export const writesAt =
  (...args: readonly number[]): KeyRule =>
  (command, found) => {
    found.writes.push(...args);
    return args.every((arg) => arg < command.args);
  };

/** It writes one key by what it reads in another. */
export const writesFrom =
  (write: number, read: number): KeyRule =>
  (command, found) => {
    found.writes.push(write);
    found.reads.push(read);
    return write < command.args && read < command.args;
  };

/** Every `step`th argument from `first` on is a key that it writes; `after` arguments follow. */
export const writesFromOn =
  (first: number, step = 1, after = 0): KeyRule =>
  (command, found) => {
    const end = command.args - after;
    for (let arg = first; arg < end; arg += step) found.writes.push(arg);
    return end > first && (end - first) % step === 0;
  };

/** It writes one key by what it reads in all arguments from `read` on. */
export const writesFromAll =
  (write: number, read: number, least = 1): KeyRule =>
  (command, found) => {
    found.writes.push(write);
    for (let arg = read; arg < command.args; arg++) found.reads.push(arg);
    return command.args >= read + least;
  };

/** Adds the keys after the argument that has their number. */
function counted(command: StreamCommand, at: number, keys: number[], least = 1, step = 1): boolean {
  const count = at < command.args ? numberArg(command, at) : NaN;
  if (!(count >= least && count * step < command.args - at)) return false;
  for (let i = 0; i < count; i++) keys.push(at + 1 + i * step);
  return true;
}

/** As many keys that it writes as argument `at` says follow that. */
export const writesCounted =
  (at: number, step = 1): KeyRule =>
  (command, found) =>
    counted(command, at, found.writes, 1, step);

/** ZUNIONSTORE target number key …: writes argument 1. */
export const storeCounted: KeyRule = (command, found) => {
  found.writes.push(1);
  return counted(command, 2, found.reads);
};

/** EVAL script number key …: also without keys. */
export const scriptKeys: KeyRule = (command, found) => {
  found.undeclared = 'writes';
  return counted(command, 2, found.writes, 0);
};

/** It may write further keys that it does not name. */
export const andOthers =
  (rule: KeyRule): KeyRule =>
  (command, found) => {
    found.undeclared = 'writes';
    return rule(command, found);
  };

/** MIGRATE host port key|"" database timeout … [KEYS key …]. */
export const migrateKeys: KeyRule = (command, found) => {
  if (command.args < 6) return false;
  if (command.ends[3] > command.starts[3]) found.writes.push(3);
  else for (let arg = findWord(command, 'keys', 6) + 1; arg < command.args; arg++) found.writes.push(arg);
  return found.writes.length > 0;
};

/** XREADGROUP GROUP group consumer … STREAMS key … id …: it moves the group on, so it writes. */
export const readGroupKeys: KeyRule = (command, found) => {
  const first = findWord(command, 'streams', 4) + 1;
  const count = (command.args - first) / 2;
  for (let arg = first; arg < first + count; arg++) found.writes.push(arg);
  return count >= 1 && Number.isInteger(count);
};

/** GEORADIUS … [STORE key] [STOREDIST key], of which the last one counts; options begin at `from`. */
export const geoRadiusKeys =
  (from: number): KeyRule =>
  (command, found) => {
    let target = 0;
    for (let arg = from; arg < command.args - 1; arg++) {
      if (isWord(command, arg, 'store') || isWord(command, arg, 'storedist')) target = ++arg;
    }
    if (target > 0) found.writes.push(target);
    found.reads.push(1);
    return command.args >= from;
  };

/** SORT key … [STORE key], the last of which counts; BY and GET read keys whose names are in the values. */
export const sortKeys: KeyRule = (command, found) => {
  let target = 0;
  for (let arg = 2; arg < command.args; arg++) {
    if (isWord(command, arg, 'limit')) arg += 2;
    else if (isWord(command, arg, 'store')) target = ++arg;
    else if (isWord(command, arg, 'by') || isWord(command, arg, 'get')) {
      if (hasAsterisk(command, ++arg)) found.undeclared = 'reads';
    }
  }
  found.reads.push(1);
  if (target > 0) found.writes.push(target);
  return command.args > 1 && target < command.args;
};

function hasAsterisk(command: StreamCommand, arg: number): boolean {
  return arg < command.args && command.bytes.subarray(command.starts[arg], command.ends[arg]).includes(ASTERISK);
}
