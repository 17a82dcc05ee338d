/** Numbers and texts as people read them. Units are decimal: 1 MB is 1,000,000 bytes. */

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'];
/** Not broken, between number and unit. */
const GAP = '\u00a0';

export function bytes(value: number): string {
  if (value < 0) return `−${bytes(-value)}`;
  if (value < 999.5) return `${Math.round(value)}${GAP}B`;
  let unit = -1;
  let size = value;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${digits(size)}${GAP}${UNITS[unit]}`;
}

/** Three digits at most. */
const digits = (size: number): string => size.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);

/** For the scale of a chart: `7.5 GB`, `10 GB`. */
export const scaled = (text: string): string => text.replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');

/** `12,412,345`. */
export const count = (value: number): string =>
  (value < 0 ? '−' : '') +
  Math.abs(Math.round(value))
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

const THOUSANDS = ['', 'k', 'M', 'G', 'T', 'P'];

/** `12.4 M`: for narrow columns. */
export function short(value: number): string {
  if (value < 0) return `−${short(-value)}`;
  if (value < 9999.5) return count(value);
  let unit = 0;
  let size = value;
  while (size >= 999.5 && unit < THOUSANDS.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${digits(size)}${GAP}${THOUSANDS[unit]}`;
}

/** `12.4 million`: for sentences. */
export function words(value: number): string {
  if (value < 999_500) return count(value);
  if (value < 999_500_000) return `${plain(value / 1e6)} million`;
  return `${plain(value / 1e9)} billion`;
}

const plain = (size: number): string => size.toFixed(size < 99.95 ? 1 : 0).replace(/\.0$/, '');

/** A part of 1. */
export function percent(part: number): string {
  if (!Number.isFinite(part)) return '–';
  const value = part * 100;
  if (value === 0) return `0${GAP}%`;
  if (value < 0.1) return `<${GAP}0.1${GAP}%`;
  if (value < 9.95) return `${value.toFixed(1)}${GAP}%`;
  if (value > 99 && value < 100) return value > 99.9 ? `>${GAP}99.9${GAP}%` : `${value.toFixed(1)}${GAP}%`;
  return `${count(value)}${GAP}%`;
}

/** `+12 %`, for changes; `new` from nothing. */
export function change(before: number, after: number): string {
  if (before === after) return `±0${GAP}%`;
  if (before === 0) return 'new';
  const part = after / before - 1;
  return part > 9.995 ? `×${GAP}${plain(after / before)}` : (part > 0 ? '+' : '−') + percent(Math.abs(part));
}

export const signed = (value: number, format: (value: number) => string): string => (value > 0 ? `+${format(value)}` : format(value));

export const part = (value: number, whole: number): number => (whole > 0 ? value / whole : 0);

export const plural = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`;

const TIMES: readonly (readonly [seconds: number, unit: string])[] = [
  [365 * 86_400, 'y'],
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** `5 min`, `24 h`, `1.5 d`; up to two days in hours. */
export function seconds(value: number): string {
  if (value < 1) return value <= 0 ? `0${GAP}s` : `${Math.round(value * 1000)}${GAP}ms`;
  const [size, unit] = TIMES.find(([size]) => value >= (size === 86_400 ? 2 * size : size) || size === 1) ?? [1, 's'];
  return `${plain(value / size)}${GAP}${unit}`;
}

export const millis = (value: number): string => seconds(value / 1000);

/** `2026-03-14 02:05 UTC`. */
export function date(at: number): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? `${at} ms` : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Control and format characters (bidi, zero width), separators, lone surrogates, private ones, and spaces other than the plain one. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]|(?! )\p{Zs}/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(character: string): string {
  let out = '';
  for (let i = 0; i < character.length; i++) out += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return out;
}

/** Text from the file on one line: what cannot be seen becomes a JSON escape. */
export const visible = (text: string): string => text.replace(HIDDEN, (hidden) => SHORT[hidden] ?? escaped(hidden));

/** The same in pieces; every second one, from 1 on, is an escape. */
export function pieces(text: string): string[] {
  const out: string[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    out.push(text.slice(from, match.index), SHORT[match[0]] ?? escaped(match[0]));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out;
}

/** As it is if all of it can be seen, and else as the JSON string of JSON lines: no line break reaches a shell by way of the clipboard. */
export const copyText = (text: string): string => (visible(text) === text ? text : visible(JSON.stringify(text)));
