import type { StreamCommand } from '../stream-command.js';
import { findWord, isWord, numberArg } from './args.js';
import { Effect } from './effects.js';
import type { CommandSpec, KeyRule } from './spec.js';
import { makeSpec } from './specs.js';

/** Specs of commands that the table does not have, from what a server says of them. */

/**
 * From an entry of the reply to COMMAND INFO: arrays, with strings, bytes or numbers in them. Undefined where it is none of a command that
 * writes. Where a server before 7.0, or a module, does not say where all keys are, `keys` finds the others `undeclared`.
 */
export function specFromServer(entry: unknown): CommandSpec | undefined {
  if (!Array.isArray(entry) || entry.length < 6) return undefined;
  const name = text(entry[0]).toLowerCase();
  const parts = list(entry[9]).filter(Array.isArray);
  const rules = new Map(parts.filter(writes).map((part) => [text(part[0]).toLowerCase().split('|').at(-1) ?? '', entryRule(part)]));
  if (name === '' || (rules.size === 0 && !writes(entry))) return undefined;
  if (rules.size > 0) return makeSpec(name, { keys: partRule(rules), effect: Effect.NEVER });
  const [only, ...more] = list(entry[8]);
  const alone = more.length === 0 && only !== undefined ? onlyKey(dictionary(only)) : 0;
  return makeSpec(name, { keys: alone > 0 ? alone : entryRule(entry), effect: Effect.NEVER });
}

function writes(entry: readonly unknown[]): boolean {
  return list(entry[2]).some((flag) => text(flag) === 'write');
}

/** By the second word of a command. */
function partRule(rules: ReadonlyMap<string, KeyRule>): KeyRule {
  return (command, found) => {
    for (const [word, rule] of rules) if (command.args > 1 && isWord(command, 1, word)) return rule(command, found);
    return false;
  };
}

function entryRule(entry: readonly unknown[]): KeyRule {
  const specs = list(entry[8]).map(dictionary);
  if (specs.length === 0) return rangeRule(entry);
  const rules = specs.map(specRule);
  return (command, found) => hasArity(command, Number(entry[1])) && rules.map((rule) => rule(command, found)).every((fits) => fits);
}

/** First, last and step, as all versions have them. */
function rangeRule(entry: readonly unknown[]): KeyRule {
  const [first, last, step] = [entry[3], entry[4], entry[5]].map(Number);
  const movable = list(entry[2]).some((flag) => text(flag) === 'movablekeys');
  return (command, found) => {
    if (movable) found.undeclared = 'writes';
    if (!hasArity(command, Number(entry[1]))) return false;
    return first === 0 || addRange(command, found.writes, first, last < 0 ? command.args + last : last, step);
  };
}

/** Whether it has that many arguments, or if `arity` is negative at least as many. */
function hasArity(command: StreamCommand, arity: number): boolean {
  return arity < 0 ? command.args >= -arity : command.args === arity;
}

type Dictionary = ReadonlyMap<string, unknown>;

/** One of the key specifications of Redis 7.0 and later. */
function specRule(spec: Dictionary): KeyRule {
  const flags = list(spec.get('flags')).map(text);
  const begin = dictionary(spec.get('begin_search'));
  const find = dictionary(spec.get('find_keys'));
  const unknown = flags.includes('incomplete') || text(begin.get('type')) === 'unknown' || text(find.get('type')) === 'unknown';
  const reads = flags.includes('RO');
  return (command, found) => {
    if (unknown) found.undeclared = reads && found.undeclared === 'none' ? 'reads' : 'writes';
    const first = firstKey(command, begin);
    return first === 0 || addKeys(command, reads ? found.reads : found.writes, first, find);
  };
}

/** Where its keys begin; 0 if it has none of these. */
function firstKey(command: StreamCommand, begin: Dictionary): number {
  const spec = dictionary(begin.get('spec'));
  if (text(begin.get('type')) === 'index') return Number(spec.get('index'));
  if (text(begin.get('type')) !== 'keyword') return 0;
  const word = text(spec.get('keyword')).toLowerCase();
  const from = Number(spec.get('startfrom'));
  if (from >= 0) return (findWord(command, word, from) + 1) % (command.args + 1);
  for (let arg = command.args + from; arg > 0; arg--) if (isWord(command, arg, word)) return arg + 1;
  return 0;
}

function addKeys(command: StreamCommand, keys: number[], first: number, find: Dictionary): boolean {
  const spec = dictionary(find.get('spec'));
  const step = Number(spec.get('keystep'));
  if (text(find.get('type')) === 'range') {
    const last = Number(spec.get('lastkey'));
    const limit = Math.max(1, Number(spec.get('limit')));
    return addRange(command, keys, first, last >= 0 ? first + last : first + Math.floor((command.args - first) / limit) + last, step);
  }
  if (text(find.get('type')) !== 'keynum') return true;
  const at = first + Number(spec.get('keynumidx'));
  const count = at < command.args ? numberArg(command, at) : NaN;
  if (!(count >= 0 && count <= command.args)) return false;
  const from = first + Number(spec.get('firstkey'));
  return count === 0 || addRange(command, keys, from, from + (count - 1) * step, step);
}

function addRange(command: StreamCommand, keys: number[], first: number, last: number, step: number): boolean {
  if (!(first > 0 && last < command.args && step > 0)) return false;
  for (let arg = first; arg <= last; arg += step) keys.push(arg);
  return true;
}

/** The argument that is all there is, and written; 0 if there may be more. */
function onlyKey(spec: Dictionary): number {
  const begin = dictionary(spec.get('begin_search'));
  const find = dictionary(spec.get('find_keys'));
  const readsOrMore = list(spec.get('flags')).some((flag) => text(flag) === 'RO' || text(flag) === 'incomplete');
  if (readsOrMore || text(begin.get('type')) !== 'index' || text(find.get('type')) !== 'range') return 0;
  const more = Number(dictionary(find.get('spec')).get('lastkey')) !== 0;
  return more ? 0 : Number(dictionary(begin.get('spec')).get('index'));
}

/** A map of RESP 3, or its names and values in turn. */
function dictionary(value: unknown): Dictionary {
  const entries = list(value);
  const pairs = new Map<string, unknown>();
  for (let i = 0; i + 1 < entries.length; i += 2) pairs.set(text(entries[i]), entries[i + 1]);
  return pairs;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? String.fromCharCode(...value.subarray(0, 64)) : '';
}
