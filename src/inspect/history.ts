import type { HistoryEntry, Report } from './report.js';

/** Top-level prefixes that an entry has. */
const PREFIXES = 20;

/** What is kept of a run. */
export function historyEntry({ at, memory, prefixes, sources, totals, types }: Report): HistoryEntry {
  const saved = sources.flatMap(({ savedAt }) => savedAt ?? []);
  const top = (prefixes.root.children ?? []).slice(0, PREFIXES);
  return {
    at,
    ...(saved.length === 0 ? {} : { savedAt: Math.max(...saved) }),
    sources: sources.map(({ name }) => name),
    keys: totals.keys,
    bytes: totals.bytes,
    memory: memory.dataset,
    withExpiry: totals.withExpiry,
    types: Object.fromEntries(types.map((type) => [type.type, type.memory])),
    prefixes: Object.fromEntries(top.map((node) => [node.prefix, node.memory])),
  };
}

/** What to append to a history file for an entry: a line, after the end of one that was cut. */
export function historyLine(earlier: string, entry: HistoryEntry): string {
  return `${earlier === '' || earlier.endsWith('\n') ? '' : '\n'}${JSON.stringify(entry)}\n`;
}

/** The entries in a history file. Lines that are none, such as one that a full disk has cut, are passed over. */
export function historyOf(text: string): HistoryEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const entry: unknown = JSON.parse(line);
      return isEntry(entry) ? [entry] : [];
    } catch {
      return [];
    }
  });
}

function isEntry(entry: unknown): entry is HistoryEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  const fields = entry as Partial<Record<keyof HistoryEntry, unknown>>;
  const { at, bytes, keys, memory, prefixes, savedAt = 0, sources, types, withExpiry } = fields;
  return (
    [at, savedAt, keys, bytes, memory, withExpiry].every(isNumber) &&
    [types, prefixes].every((value) => isObject(value) && Object.values(value).every(isNumber)) &&
    Array.isArray(sources) &&
    sources.every((source) => typeof source === 'string')
  );
}

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
