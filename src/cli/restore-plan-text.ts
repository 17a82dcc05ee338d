import type { Plan } from '../commands/restore.js';
import { slotsMissing, type SourceManifest } from '../commands/restore-terms.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { headObject, headText } from './source-text.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable, sourceName, word } from './printable.js';

/** The plan as text. `unwanted`: function libraries are left out because an option says so. */
export function planLines(plan: Plan, sourceNames: readonly string[], unwanted: boolean): string[] {
  const { intoDb, keysDeleted, keysThere, libraries, memoryLeft, memoryNeeded, sources, target, warnings } = plan;
  const lines: string[] = plan.manifest === undefined ? [] : [manifestLine(plan.manifest)];
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

/** `manifest backup.json: Redis 7.0.15, one server, read by scan, written 2026-…; 1 file with 9 keys, unchanged since`. */
function manifestLine({ manifest, path }: SourceManifest): string {
  const { clustered, created, files, server, via } = manifest;
  const shards = files.reduce((total, file) => total + file.shards.length, 0);
  const what = clustered ? `cluster of ${shards === 1 ? '1 master' : `${countText(shards)} masters`}` : 'one server';
  const keys = files.reduce((total, file) => total + file.keys, 0);
  const all = clustered && slotsMissing(manifest).length === 0 ? ', all slots' : '';
  const by = server === undefined ? '' : `${printable(server)}, `;
  return (
    `manifest ${word(path)}: ${by}${what}${all}, read by ${via}, written ${printable(created)}; ` +
    `${files.length === 1 ? '1 file' : `${countText(files.length)} files`} with ${keysText(keys)}, unchanged since`
  );
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
  manifest,
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
    manifest: manifest === undefined ? undefined : { path: manifest.path, ...manifest.manifest },
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
