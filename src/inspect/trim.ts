import type { PrefixNode, Report } from './report.js';

/** What the page gets. */
export interface PageData {
  readonly report: Report;
  readonly cut: Cut;
}

export interface Cut {
  /** Entries that were left out of lists, by path: `top.memory`, `sources.warnings`. */
  readonly lists: Readonly<Record<string, number>>;
  /** Texts that were shortened. */
  readonly texts: number;
}

export interface Limits {
  /** Prefixes in the tree. */
  readonly nodes: number;
  /** Entries of any other list that stands in no other; slots are never left out. */
  readonly list: number;
  /** UTF-16 units of a text. */
  readonly text: number;
}

export const LIMITS: Limits = { nodes: 2000, list: 200, text: 500 };

/** Entries of lists in lists. */
const NESTED = 20;

/** Fields of an object: more than any interface of the report has, so it is entries of a dictionary that are left out. */
const FIELDS = 40;

/** Lists whose end counts, not their beginning. */
const NEWEST_LAST = new Set(['history']);

/** A copy of the report within the limits. Prefixes that are left out are added to the `rest` of their parent. */
export function trimmed(report: Report, limits: Limits): PageData {
  const lists: Record<string, number> = {};
  let texts = 0;
  const root = trimmedTree(report.prefixes.root, limits.nodes);

  const copy = (value: unknown, path: string, isNested: boolean): unknown => {
    if (typeof value === 'string') {
      if (value.length <= limits.text) return value;
      texts++;
      return `${value.slice(0, limits.text).replace(/[\uD800-\uDBFF]$/, '')}… (${value.length} characters)`;
    }
    if (typeof value !== 'object' || value === null || path === 'slots.slots') return value;
    if (Array.isArray(value)) {
      const limit = isNested ? Math.min(NESTED, limits.list) : limits.list;
      const left = path.startsWith('prefixes.root') ? 0 : value.length - limit;
      if (left > 0) lists[path] = (lists[path] ?? 0) + left;
      const kept: unknown[] = left <= 0 ? value : NEWEST_LAST.has(path) ? value.slice(left) : value.slice(0, limit);
      return kept.map((entry) => copy(entry, path, true));
    }
    const entries = Object.entries(value);
    const left = entries.length - FIELDS;
    if (left > 0) lists[path] = (lists[path] ?? 0) + left;
    return Object.fromEntries(
      entries
        .slice(0, FIELDS)
        .map(([name, entry]) => [copy(name, path, true), copy(entry, path === '' ? name : `${path}.${name}`, isNested)]),
    );
  };
  return { report: copy({ ...report, prefixes: { ...report.prefixes, root } }, '', false) as Report, cut: { lists, texts } };
}

const AMOUNTS = ['keys', 'bytes', 'memory', 'elements'] as const;

/** Keeps the nodes with the largest share of memory, keys, bytes or elements. A child has no more than its parent, so paths stay whole. */
function trimmedTree(root: PrefixNode, limit: number): PrefixNode {
  const share = (node: PrefixNode): number => Math.max(...AMOUNTS.map((name) => (root[name] > 0 ? node[name] / root[name] : 0)));
  const shares: number[] = [];
  const collect = (node: PrefixNode): void => {
    shares.push(share(node));
    node.children?.forEach(collect);
  };
  collect(root);
  if (shares.length <= limit) return root;
  const least = shares.sort((a, b) => b - a)[limit - 1];
  let left = limit - 1; // below the root; many nodes may have just the least share

  const trim = (node: PrefixNode): PrefixNode => {
    if (node.children === undefined) return node;
    const kept = node.children.filter((child) => share(child) >= least && left-- > 0);
    if (kept.length === node.children.length) return { ...node, children: kept.map(trim) };
    const rest = { keys: 0, bytes: 0, memory: 0, elements: 0, prefixes: 0, ...node.rest };
    const set = new Set(kept);
    for (const child of node.children) {
      if (set.has(child)) continue;
      for (const name of AMOUNTS) rest[name] += child[name];
      rest.prefixes++;
    }
    return { ...node, children: kept.map(trim), rest };
  };
  return trim(root);
}
