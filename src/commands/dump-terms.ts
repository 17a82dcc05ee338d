/** What the command line needs to check a dump before the parts of it are loaded that write. */
import { join, parse } from 'node:path';
import { slotRanges } from '../bytes/crc16.js';

export { joinsDatabases } from '../pipeline/meeting.js';
export { parseTarget, type Target } from '../values/targets.js';

export const DUMP_FORMATS = ['rdb', 'resp', 'payload'] as const;
export type DumpFormat = (typeof DUMP_FORMATS)[number];

/** What becomes of a key that comes twice: the later ones are told and left out; left out; written instead of the earlier ones. */
export const CONFLICTS = ['error', 'first', 'last'] as const;
export type Conflict = (typeof CONFLICTS)[number];

/** In an output, it stands for the server or master that is read. */
export const SHARD = '{shard}';

/** Whether each server, or master of a cluster, is written to a file of its own. */
export const isPerShard = (output: string | undefined): output is string => output?.includes(SHARD) === true;

interface Outputs {
  readonly output?: string | undefined;
  readonly splitSlots?: number | undefined;
}

/** Where the output goes: with `splitSlots`, `shard.rdb` becomes `shard.0-8191.rdb` and `shard.8192-16383.rdb`. */
export function outputPaths({ output, splitSlots = 1 }: Outputs): (string | undefined)[] {
  if (output === undefined || splitSlots === 1) return [output];
  const { dir, ext, name } = parse(output);
  return slotRanges(splitSlots).map(([from, to]) => join(dir, `${name}.${from}-${to}${ext}`));
}
