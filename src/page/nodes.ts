import type { Amount, PrefixNode } from '../inspect/report.js';

export type Measure = keyof Amount;

/** A node of the tree of prefixes: a prefix, those of its children that are not listed, or the keys that no child of it has. */
export interface Item extends Amount {
  readonly kind: 'prefix' | 'rest' | 'own';
  readonly name: string;
  /** Unique for each kind below one parent. */
  readonly prefix: string;
  readonly parent: Item | undefined;
  children: readonly Item[];
  /** Unknown for `rest`. */
  readonly withExpiry: number | undefined;
  /** The part of its memory that each type has; unknown for `rest`. */
  readonly types: Readonly<Record<string, number>> | undefined;
  readonly p99: number | undefined;
  /** Of `rest`: how many. */
  readonly prefixes: number;
}

export function itemTree(node: PrefixNode, parent?: Item): Item {
  const { name, prefix, keys, bytes, memory, elements, withExpiry, types } = node;
  const item: Item = {
    kind: 'prefix',
    name,
    prefix,
    parent,
    children: [],
    keys,
    bytes,
    memory,
    elements,
    withExpiry,
    types,
    p99: node.p99,
    prefixes: 0,
  };
  const children = (node.children ?? []).map((child) => itemTree(child, item));
  if (node.rest !== undefined && node.rest.prefixes > 0) {
    children.push({
      kind: 'rest',
      name: '',
      prefix,
      parent: item,
      children: [],
      withExpiry: undefined,
      types: undefined,
      p99: undefined,
      ...node.rest,
    });
  }
  const own = ownKeys(item, children);
  if (own !== undefined) children.push(own);
  item.children = children;
  return item;
}

/** Amounts that were counted roughly may be more than those of the parent: what is left is then nothing. */
function ownKeys(parent: Item, children: readonly Item[]): Item | undefined {
  if (children.length === 0) return undefined;
  const left = (of: (item: Item) => number): number =>
    Math.max(
      0,
      children.reduce((rest, child) => rest - of(child), of(parent)),
    );
  const keys = left((item) => item.keys);
  const memory = left((item) => item.memory);
  if (keys < 1 || memory < 1) return undefined;
  const known = children.every((child) => child.types !== undefined);
  const types: Record<string, number> = {};
  for (const type of known ? Object.keys(parent.types ?? {}) : []) {
    const share = left((item) => (item.types?.[type] ?? 0) * item.memory) / memory;
    if (share > 0.001) types[type] = Math.min(1, share);
  }
  return {
    kind: 'own',
    name: '',
    prefix: parent.prefix,
    parent,
    children: [],
    keys,
    memory,
    bytes: left((item) => item.bytes),
    elements: left((item) => item.elements),
    withExpiry: known
      ? Math.min(
          keys,
          left((item) => item.withExpiry ?? 0),
        )
      : undefined,
    types: known ? types : undefined,
    p99: undefined,
    prefixes: 0,
  };
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

export const ttlShare = ({ withExpiry, keys }: Item): number | undefined =>
  withExpiry === undefined || keys === 0 ? undefined : Math.min(1, withExpiry / keys);

/** The type that most of its memory has; undefined if none has three fifths of it. */
export function mainType({ types }: Item): string | undefined {
  return Object.entries(types ?? {}).find(([, share]) => share >= 0.6)?.[0];
}

/** `session:*`: how a prefix is written in a sentence. */
export const pattern = (prefix: string): string => (prefix.endsWith('*') ? prefix : `${prefix}*`);
