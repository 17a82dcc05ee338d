import type { Frame } from '../rdb/frame.js';
import { hasMisreadListpacks } from './listpack-borders.js';
import { acceptsVersion, hasKeyMeta, reads, type Target, TARGETS, targetName } from './targets.js';

/**
 * The servers whose RESTORE takes a payload with this value and version, in the order of TARGETS. The frame is that of the whole
 * value; its module metadata counts, but whether a server has the modules cannot be known.
 */
export function acceptingTargets(frame: Frame, version: number): readonly Target[] {
  const misread = new Map<boolean, boolean>();
  const misreads = (wide: boolean): boolean => {
    const known = misread.get(wide) ?? hasMisreadListpacks(frame, wide);
    misread.set(wide, known);
    return known;
  };
  return TARGETS.filter((target) => {
    if (!acceptsVersion(target, version) || !reads(target, frame.type)) return false;
    if (frame.metaBytes !== undefined && !hasKeyMeta(target)) return false;
    return !misreads(target.wide);
  });
}

/** `Redis 7.0 to 8.10, Valkey 9.1`: adjacent servers of one vendor in TARGETS are joined. */
export function targetRanges(targets: readonly Target[]): string {
  const runs: Target[][] = [];
  for (const target of targets) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    const follows = before?.vendor === target.vendor && TARGETS.indexOf(before) + 1 === TARGETS.indexOf(target);
    if (run !== undefined && follows) run.push(target);
    else runs.push([target]);
  }
  return runs.map((run) => (run.length === 1 ? targetName(run[0]) : `${targetName(run[0])} to ${run[run.length - 1].release}`)).join(', ');
}
