import type { Amount, PrefixNode } from '../inspect/report.js';

export type Measure = keyof Amount;

/** A node of the tree of prefixes: a prefix, the keys of its parent that are under none of the listed ones, or several small ones. */
export interface Item extends Amount {
  readonly kind: 'prefix' | 'rest' | 'small';
  readonly name: string;
  readonly prefix: string;
  readonly parent: Item | undefined;
  children: readonly Item[];
  readonly withExpiry: number;
  /** The part of its memory that each type has. */
  readonly types: Readonly<Record<string, number>>;
  readonly p99: number | undefined;
  /** Of `rest`: how many prefixes are not listed. Of `small`: how many it has. */
  readonly prefixes: number;
}

export function itemTree(node: PrefixNode, parent?: Item): Item {
  const { name, prefix, keys, bytes, memory, elements, withExpiry, p99, rest } = node;
  const own = { name, prefix, parent, keys, bytes, memory, elements, withExpiry, p99, types: shares(node.types) };
  const item: Item = { kind: 'prefix', children: [], prefixes: 0, ...own };
  const listed = node.children ?? [];
  item.children = listed.map((child) => itemTree(child, item));
  if (rest !== undefined) {
    const types = Object.entries(node.types).map(
      ([type, all]) => [type, listed.reduce((left, child) => left - ofType(child, type), all)] as const,
    );
    const expiring = listed.reduce((left, child) => left - child.withExpiry, withExpiry);
    item.children = [
      ...item.children,
      {
        kind: 'rest',
        name: '',
        prefix,
        parent: item,
        children: [],
        withExpiry: Math.max(0, Math.min(rest.keys, expiring)),
        types: shares(Object.fromEntries(types)),
        p99: undefined,
        ...rest,
      },
    ];
  }
  return item;
}

const ofType = ({ types }: Pick<PrefixNode, 'types'>, type: string): number =>
  (types as Readonly<Record<string, number | undefined>>)[type] ?? 0;

/** Parts of 1 of what is above 0. */
function shares(memory: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const found = Object.entries(memory).filter(([, value]) => value > 0);
  const sum = found.reduce((all, [, value]) => all + value, 0);
  return Object.fromEntries(found.map(([type, value]) => [type, value / sum]));
}

/** Small ones are drawn as one if they are less than this part of all. */
const MOST_GATHERED = 0.1;

/** The children, those with less than `least` of a measure, or if they are many less than a part of it, in one that has them as its own. */
export function gathered(parent: Item, measure: Measure, least: number): readonly Item[] {
  const all = parent.children.reduce((sum, child) => sum + child[measure], 0);
  let small: readonly Item[] = parent.children;
  for (let limit = Math.min(least, all); ; limit /= 2) {
    small = small.filter((child) => child.kind === 'prefix' && child[measure] < limit);
    if (small.reduce((sum, child) => sum + child[measure], 0) <= MOST_GATHERED * all) break;
  }
  if (small.length < 3 || small.length === parent.children.length) return parent.children;
  const types: Record<string, number> = {};
  for (const child of small) {
    for (const [type, share] of Object.entries(child.types)) types[type] = ofType({ types }, type) + share * child.memory;
  }
  const sum = (name: Measure | 'withExpiry'): number => small.reduce((all, child) => all + child[name], 0);
  const gathering: Item = {
    kind: 'small',
    name: '',
    prefix: parent.prefix,
    parent,
    children: small,
    keys: sum('keys'),
    bytes: sum('bytes'),
    memory: sum('memory'),
    elements: sum('elements'),
    withExpiry: sum('withExpiry'),
    types: shares(types),
    p99: undefined,
    prefixes: small.length,
  };
  const few = new Set(small);
  return [...parent.children.filter((child) => !few.has(child)), gathering];
}

export function ancestors(item: Item): Item[] {
  return item.parent === undefined ? [item] : [...ancestors(item.parent), item];
}

export function* descendants(item: Item): Generator<Item> {
  for (const child of item.children) {
    yield child;
    yield* descendants(child);
  }
}

export const ttlShare = ({ withExpiry, keys }: Item): number | undefined => (keys === 0 ? undefined : Math.min(1, withExpiry / keys));

/** The type that most of its memory has; undefined if none has three fifths of it. */
export function mainType({ types }: Item): string | undefined {
  return Object.entries(types).find(([, share]) => share >= 0.6)?.[0];
}

/** `session:*`: how a prefix is written in a sentence. */
export const pattern = (prefix: string): string => (prefix.endsWith('*') ? prefix : `${prefix}*`);
