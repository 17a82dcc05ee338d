import type { Plan } from '../commands/restore.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { headObject, headText } from './source-text.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable, sourceName } from './printable.js';

/** The plan as text. `unwanted`: function libraries are left out because an option says so. */
export function planLines(plan: Plan, sourceNames: readonly string[], unwanted: boolean): string[] {
  const { intoDb, keysDeleted, keysThere, libraries, memoryLeft, memoryNeeded, sources, target, warnings } = plan;
  const lines: string[] = [];
  for (const head of sources) {
    if (head === undefined) continue;
    lines.push(`source ${sourceName(head.source)}: ${headText(head)}`);
  }
  const { clustered, databases, masters, modules, version } = target;
  const how = clustered
    ? `cluster of ${masters.length} masters`
    : `one server, ${databases === 1 ? '1 database' : `${databases} databases`}`;
  lines.push(
    `target ${printable(masters[0].name)}: ${printable(version)}, ${how}, ${keysText(allKeys(plan))}` +
      (modules.length === 0 ? '' : `, modules ${printable(modules.join(' '))}`),
  );
  if (clustered) {
    for (const { keys, name, replicas, slots } of masters)
      lines.push(
        `  ${printable(name)}: ${countText(slots)} slots, ${keysText(sum(keys))}, ` +
          `${countText(replicas)} ${replicas === 1 ? 'replica' : 'replicas'}`,
      );
  if (memoryNeeded !== undefined && memoryLeft !== undefined)
    lines.push(`memory: the sources' servers used ${bytesText(memoryNeeded)}, the target has ${bytesText(memoryLeft)} left`);
  }
  if (intoDb !== undefined) lines.push(`all keys go to database ${intoDb}, as the target URL says`);
  lines.push(...librariesLines(libraries, { planned: true, sources: sourceNames, unwanted }));
  if (keysThere > 0) lines.push(`${keysText(keysThere)} already in the databases written to`);
  if (keysDeleted > 0) lines.push(`${keysText(keysDeleted)} to be deleted first`);
  for (const warning of warnings) lines.push(`warning: ${printable(warning)}.`);
  return lines;
}

const sum = (keys: ReadonlyMap<number, number>): number => [...keys.values()].reduce((a, b) => a + b, 0);

const allKeys = ({ target }: Plan): number => target.masters.reduce((total, { keys }) => total + sum(keys), 0);

/** For `--json`. */
export function planObject({
  aofTails,
  intoDb,
  keysDeleted,
  keysThere,
  libraries,
  memoryLeft,
  memoryNeeded,
  sources,
  target,
  warnings,
}: Plan): object {
  const { clustered, databases, masters, modules, version } = target;
  return {
    sources: sources.map((head) => (head === undefined ? null : headObject(head))),
    target: {
      version,
      clustered,
      databases,
      modules,
      masters: masters.map(({ keys, ...master }) => ({ ...master, keys: Object.fromEntries(keys) })),
    },
    functions: librariesObject(libraries),
    intoDb,
    keysThere,
    keysDeleted,
    memoryNeeded,
    memoryLeft,
    aofTails,
    warnings,
  };
}
