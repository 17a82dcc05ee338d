/** The options that decide which databases keys go to. */
export interface Meeting {
  readonly sources: readonly string[];
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  readonly filter?: { readonly db?: readonly number[] | undefined } | undefined;
  /** All keys go to this database. */
  readonly intoDb?: number | undefined;
}

/** Whether keys of two sources, or of two databases, may end up in one database. */
export function mayMeet({ dbMap, filter, intoDb, sources }: Meeting): boolean {
  const chosen = new Set(filter?.db);
  if (sources.length > 1) return true;
  if (intoDb !== undefined) return chosen.size !== 1;
  return chosen.size === 0 ? joinsDatabases(dbMap) : new Set([...chosen].map((db) => dbMap?.get(db) ?? db)).size < chosen.size;
}

/** Whether two databases may be merged into one. */
export function joinsDatabases(dbMap: ReadonlyMap<number, number> | undefined): boolean {
  if (dbMap === undefined) return false;
  const targets = [...dbMap.values()];
  return new Set(targets).size < targets.length || targets.some((target) => !dbMap.has(target));
}
