import type { Amount, BaselineReport, Change, PrefixNode, Report } from './report.js';

/** Prefixes whose changes are listed. */
const MOST = 1000;
const NOTHING: Amount = { keys: 0, bytes: 0, memory: 0, elements: 0 };

/** What changed from one report to another. */
export function baselineReport(sources: readonly string[], before: Report, after: Report): BaselineReport {
  const types = new Map(before.types.map((type) => [type.type, amountOf(type)]));
  const names = new Set([...after.types.map(({ type }) => type), ...types.keys()]);
  return {
    sources,
    complete: before.complete,
    totals: { before: amountOf(before.totals), after: amountOf(after.totals) },
    types: [...names]
      .map((type) => ({
        type,
        before: types.get(type) ?? NOTHING,
        after: amountOf(after.types.find((row) => row.type === type) ?? NOTHING),
      }))
      .sort(byChange),
    prefixes: prefixChanges(before, after),
  };
}

const amountOf = ({ bytes, elements, keys, memory }: Amount): Amount => ({ keys, bytes, memory, elements });

const byChange = (a: Change, b: Change): number => changeOf(b) - changeOf(a);
const changeOf = ({ after, before }: Change): number => Math.abs(after.memory - before.memory);

/** Of prefixes that are in a report: one that is not in the other may only have been too small for it, and counts as nothing there. */
function prefixChanges(before: Report, after: Report): BaselineReport['prefixes'] {
  const changes = new Map<string, { prefix: string; before: Amount; after: Amount }>();
  for (const node of nodesOf(before.prefixes.root))
    changes.set(node.prefix, { prefix: node.prefix, before: amountOf(node), after: NOTHING });
  for (const node of nodesOf(after.prefixes.root)) {
    const change = changes.get(node.prefix);
    changes.set(node.prefix, { prefix: node.prefix, before: change?.before ?? NOTHING, after: amountOf(node) });
  }
  const sorted = [...changes.values()]
    .filter((change) => changeOf(change) > 0 || change.before.keys !== change.after.keys)
    .sort(byChange)
    .slice(0, 2 * MOST);
  return sorted.filter((change) => !sorted.some((other) => isAllOf(other, change))).slice(0, MOST);
}

/** Whether a longer prefix has all keys of a shorter one: only the longer one is listed. */
function isAllOf(longer: BaselineReport['prefixes'][number], { after, before, prefix }: BaselineReport['prefixes'][number]): boolean {
  return (
    longer.prefix.length > prefix.length &&
    longer.prefix.startsWith(prefix) &&
    longer.after.memory === after.memory &&
    longer.after.keys === after.keys &&
    longer.before.memory === before.memory &&
    longer.before.keys === before.keys
  );
}

function nodesOf(root: PrefixNode): PrefixNode[] {
  return (root.children ?? []).flatMap((child) => [child, ...nodesOf(child)]);
}
