/** Parsers of option values. All of them throw UsageError with the option, what was given, and what is allowed. */
import { existsSync, readFileSync } from 'node:fs';
import { KeyPrefixes, MAX_DB, parseKeys, parseSize } from '../../commands/terms.js';
import { parseTarget, type Target } from '../../commands/dump-terms.js';
import { type Address, addressText, parseAddress } from '../../commands/restore-terms.js';
import type { ListenAddress } from '../../commands/sync-terms.js';
import { printable, word } from '../printable.js';
import { checked, UsageError } from '../usage.js';

/** One of several words. */
export function oneOf<const T extends string>(
  allowed: readonly T[],
  advice: (given: string) => string | undefined = () => undefined,
): (label: string, given: string) => T {
  return (label, given) => {
    const known = allowed.find((name) => name === given);
    if (known === undefined) {
      const hint = advice(given);
      throw new UsageError(`${label} ${word(given)}: expected one of ${allowed.join(', ')}${hint === undefined ? '' : ` (${hint})`}`);
    }
    return known;
  };
}

/** Some of several words. */
export function ones<const T extends string>(allowed: readonly T[]): (label: string, given: readonly string[]) => readonly T[] {
  const one = oneOf(allowed);
  return (label, given) => given.map((name) => one(label, name));
}

/** A whole number. */
export function number(least: number, most = Infinity): (label: string, given: string) => number {
  return (label, given) => {
    const found = /^\d{1,12}$/.test(given) ? Number(given) : NaN;
    if (!(found >= least && found <= most)) {
      throw new UsageError(`${label} ${word(given)}: expected a number from ${least}${most === Infinity ? '' : ` to ${most}`}`);
    }
    return found;
  };
}

/** Bytes, perhaps none. */
export const sizeOrZero = (label: string, given: string): number => checked(() => parseSize(label, given));

export function size(label: string, given: string): number {
  const bytes = sizeOrZero(label, given);
  if (bytes < 1) throw new UsageError(`${label} ${word(given)}: expected at least one byte`);
  return bytes;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds. */
export function time(label: string, given: string): number {
  const match = /^(\d{1,12})(ms|s|m|h|d|)$/.exec(given);
  if (match === null) throw new UsageError(`${label} ${word(given)}: expected a time like 60s, 500ms, 2h or 1d`);
  return Number(match[1]) * UNITS[match[2] === '' ? 's' : match[2]];
}

/** Milliseconds, positive or negative. */
export function shift(label: string, given: string): number {
  const sign = given.startsWith('-') ? -1 : 1;
  return sign * time(label, given.replace(/^[+-]/, ''));
}

/** Any text. */
export const text = (_: string, given: string): string => given;

/** It may contain a password, so it is not shown. */
const URL = /^[a-z][a-z\d+.-]+:\/\//i;

export const isUrl = (given: string): boolean => URL.test(given);

export function path(label: string, given: string): string {
  if (given === '') throw new UsageError(`${label} "": expected the path of a file`);
  if (isUrl(given)) throw new UsageError(`${label} is a URL: expected the path of a file`);
  return given;
}

/** The text in a file. */
export function fileText(label: string, given: string): string {
  try {
    return readFileSync(given, 'utf8');
  } catch (error) {
    throw new UsageError(`${label} ${word(given)}: ${error instanceof Error ? printable(error.message) : 'it cannot be read'}`);
  }
}

/** The private key for TLS; in other tools, --key chooses keys. */
export function keyFile(label: string, given: string): string {
  if (existsSync(given)) return fileText(label, given);
  throw new UsageError(`${label} ${word(given)}: no such file, for the private key of TLS (did you mean --match or --prefix?)`);
}

/** The password in a file. */
export const fileLine = (label: string, given: string): string => fileText(label, given).replace(/\r?\n$/, '');

/** The name or address of a host, without a port. */
export function hostName(label: string, given: string): string {
  const bare = given.replace(/^\[(.*)\]$/, '$1');
  if (isUrl(given)) throw new UsageError(`${label} is a URL: write it after the sources, without ${label}`);
  if (/^[^:]*:\d+$/.test(bare)) throw new UsageError(`${label} ${word(given)}: expected a host alone, and its port with -p`);
  if (!/^[^\s/@[\]]+$/.test(bare)) throw new UsageError(`${label} ${word(given)}: expected the name or the address of a host`);
  return bare;
}

/** `127.0.0.1:9121`, `[::1]:9121`; `:9121` and `9121` are of this machine alone. */
export function listenAddress(label: string, given: string): ListenAddress {
  const match = /^(?:(?:\[([\da-f:.]+)\]|([\w.-]*)):)?(\d{1,5})$/i.exec(given);
  const port = Number(match?.[3] ?? NaN);
  if (match === null || port > 65535) {
    const shown = isUrl(given) ? 'is a URL' : word(given);
    throw new UsageError(`${label} ${shown}: expected an address and a port, like 127.0.0.1:9121 or :9121`);
  }
  return { host: [match[1], match[2]].find((host) => host) ?? '127.0.0.1', port };
}

export const database = number(0, MAX_DB);

export function server(label: string, given: string): Target {
  try {
    return parseTarget(given);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(`${label}: ${printable(error.message)}`) : error;
  }
}

/** `3:0,4:1`. */
export function dbPairs(label: string, words: readonly string[]): ReadonlyMap<number, number> {
  const map = new Map<number, number>();
  for (const pair of words.flatMap((given) => given.split(','))) {
    const match = /^(\d{1,10}):(\d{1,10})$/.exec(pair);
    const [from, to] = [Number(match?.[1]), Number(match?.[2])];
    if (!(from <= MAX_DB && to <= MAX_DB)) throw new UsageError(`${label} ${word(pair)}: expected two database numbers, like 3:0`);
    if (map.has(from)) throw new UsageError(`${label} ${word(pair)}: database ${from} is mapped already`);
    map.set(from, to);
  }
  return map;
}

/** Databases that become others, of one source or of all. */
export interface SourceDbPair {
  /** `host:port`; undefined: of all. */
  readonly source: string | undefined;
  readonly from: number;
  readonly to: number;
}

/** `3:0,host:6379/4:1`. */
export function sourceDbPairs(label: string, words: readonly string[]): readonly SourceDbPair[] {
  const pairs: SourceDbPair[] = [];
  for (const pair of words.flatMap((given) => given.split(','))) {
    const slash = pair.lastIndexOf('/');
    const [[from, to]] = dbPairs(label, [pair.slice(slash + 1)]);
    const source = slash < 0 ? undefined : sourceAddress(label, pair, pair.slice(0, slash));
    if (pairs.some((other) => other.source === source && other.from === from)) {
      throw new UsageError(`${label} ${word(pair)}: database ${from} is mapped already`);
    }
    pairs.push({ source, from, to });
  }
  return pairs;
}

function sourceAddress(label: string, pair: string, text: string): string {
  try {
    if (!isUrl(text)) return addressText(parseAddress(text, 6379));
  } catch {
    // said below
  }
  const shown = isUrl(text) ? 'names a source by a URL' : word(pair);
  throw new UsageError(`${label} ${shown}: expected the address of a source before the /, like 10.0.0.5:6379/3:0`);
}

/** `old:=new:`; base64 ends in `=` itself. */
const PREFIXES = /^(base64:(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=|)|[^=]*)=(.*)$/s;

/** `old:=new:`, one in a word. */
export function keyPrefixes(label: string, words: readonly string[]): KeyPrefixes {
  const pairs = words.map((given) => {
    const match = PREFIXES.exec(given);
    if (match === null) throw new UsageError(`${label} ${word(given)}: expected two prefixes, like old:=new:`);
    const [from, to] = checked(() => parseKeys(label, match.slice(1)));
    return { from, to };
  });
  const prefixes = new KeyPrefixes(pairs);
  const { useless } = prefixes;
  if (useless === undefined) return prefixes;
  const [pair, before] = [words[useless.pair], words[useless.before]].map(word);
  throw new UsageError(`${label} ${pair}: ${before} before it renames all keys that it could; the first that fits counts, so put it first`);
}

/** `10.0.0.5:6379=localhost:7001`. */
export function addressPairs(label: string, words: readonly string[]): ReadonlyMap<string, Address> {
  return new Map(
    words.map((pair) => {
      const at = pair.indexOf('=');
      try {
        return [addressText(parseAddress(pair.slice(0, Math.max(at, 0)))), parseAddress(pair.slice(at + 1))];
      } catch {
        throw new UsageError(`${label} ${word(pair)}: expected inner and outer address, like 10.0.0.5:6379=localhost:7001`);
      }
    }),
  );
}

/** `name`, or `host:port@name` for each node; several in a word, separated by commas. */
export function psyncNames(label: string, words: readonly string[]): string | ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const all = words.flatMap((given) => given.split(','));
  for (const given of all) {
    const at = given.lastIndexOf('@');
    const name = given.slice(at + 1);
    if (!/^[\w-]+$/.test(name) || (at < 0 && all.length > 1)) {
      throw new UsageError(`${label} ${word(given)}: expected the name of a command, or host:port@name for each node`);
    }
    if (at < 0) return name;
    try {
      names.set(addressText(parseAddress(given.slice(0, at))), name);
    } catch {
      throw new UsageError(`${label} ${word(given)}: expected host:port before the @`);
    }
  }
  return names;
}

export interface Share {
  readonly part: number;
  readonly parts: number;
}

/** `3/16`. */
export function share(label: string, given: string): Share {
  const match = /^(\d{1,5})\/(\d{1,5})$/.exec(given);
  const [part, parts] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  if (part < 1 || part > parts || parts > 16384) {
    throw new UsageError(`${label} ${word(given)}: expected a share like 3/16, the third of sixteen`);
  }
  return { part, parts };
}

/** `1%` as 0.01. */
export function percentage(label: string, given: string): number {
  const match = /^(\d{1,3}(?:\.\d{1,6})?)\s?%$/.exec(given);
  const part = Number(match?.[1]) / 100;
  if (!(part > 0 && part <= 1)) throw new UsageError(`${label} ${word(given)}: expected a percentage above 0%, like 1% or 0.1%`);
  return part;
}

/** Bytes that end a segment of a key, one or several in a word; undefined for `auto`. */
export function delimiters(label: string, words: readonly string[]): Uint8Array | undefined {
  if (words.includes('auto')) {
    if (words.length > 1) throw new UsageError(`${label} auto finds the delimiters out: no others can be given`);
    return undefined;
  }
  const wrong = words.find((given) => !/^[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e ]+$/.test(given));
  if (wrong !== undefined) throw new UsageError(`${label} ${word(wrong)}: expected punctuation characters of ASCII, like : or :/`);
  return Buffer.from([...new Set(words.join(''))].join(''));
}

/** Names of commands, one or several in a word. */
export function commandNames(label: string, words: readonly string[]): readonly string[] {
  const names = words.flatMap((given) => given.split(','));
  const wrong = names.find((name) => !/^[a-z][\w.-]*$/i.test(name));
  if (wrong !== undefined) throw new UsageError(`${label} ${word(wrong)}: expected names of commands, like set or set,del`);
  return names.map((name) => name.toLowerCase());
}

/** Part of names of keys, connections and folders. */
export function syncName(label: string, given: string): string {
  if (/^[a-z\d][\w.-]{0,63}$/i.test(given)) return given;
  throw new UsageError(`${label} ${word(given)}: expected up to 64 letters, digits and - _ . and a letter or digit first`);
}

/** The beginning of names of keys that have a hash tag after it. */
export function positionPrefix(label: string, given: string): string {
  if (/^[!-z|~]{1,128}$/.test(given)) return given;
  throw new UsageError(`${label} ${word(given)}: expected up to 128 printable ASCII characters, no spaces, { or }`);
}
