import { formatText } from '../bytes/text.js';
import { KeyList } from '../diff/key-list.js';
import { EMPTY } from '../encodings/element.js';
import type { KeyProblem } from '../pipeline/key-problem.js';
import type { Access } from '../redis/connect.js';
import { Servers } from '../redis/servers.js';
import { type DeleteCounts, deleteKeys } from '../restore/delete-keys.js';
import { compare, diff, type Difference, type DiffOptions, type DiffSummary } from './diff.js';
import { restore, type RestoreSummary } from './restore.js';

/** What becomes of a key of the target. */
export type RepairAction = 'restore' | 'delete';

export interface RepairOptions extends Omit<DiffOptions, 'line' | 'table'> {
  /** Whether the newer commands of an AOF do not matter. */
  readonly ignoreAofTail?: boolean | undefined;
  /** The line for a key, without its end. */
  readonly line: (difference: Difference, action: RepairAction) => string;
  /** How to change the target, which is the only one of `targets`; undefined: nothing is changed. */
  readonly apply?: RepairTarget | undefined;
}

export interface RepairTarget {
  readonly access: Access;
  /** Whether it is a cluster (default: what it says itself). */
  readonly cluster?: boolean | undefined;
  /** As in a restore. */
  readonly maxInFlight?: number | undefined;
  readonly parallel?: number | undefined;
  readonly retryFor: number;
  /** Called before the first change; `false` ends the repair. */
  readonly onPlan: (toRestore: number, toDelete: number) => Promise<boolean>;
  /** Called with what the user should know and need not act on. */
  readonly onNote: (text: string) => void;
  /** Called for each key that could not be restored or deleted. */
  readonly onProblem: (problem: KeyProblem) => void;
  /** Called for each key that differs after the repair. */
  readonly onStill: (difference: Difference) => void;
}

/** What a repair does, or would do. */
export interface Repair {
  readonly toRestore: number;
  readonly toDelete: number;
  /** Keys that differ, but were too many for one repair: a next one finds them. */
  readonly left: number;
  /** What was done; undefined if nothing was changed. */
  readonly applied: AppliedRepair | undefined;
}

export interface AppliedRepair {
  readonly restored: number;
  readonly deleted: number;
  /** Keys that did not differ any more right before the repair. */
  readonly settled: number;
  /** Keys that could not be restored or deleted. */
  readonly rejected: number;
  /** Keys that differ after the repair. */
  readonly still: number;
}

export interface RepairSummary extends DiffSummary {
  readonly repair: Repair;
}

const actionOf = ({ kinds }: Difference): RepairAction => (kinds[0] === 'extra' ? 'delete' : 'restore');

/**
 * Compares two sides, and makes the target equal to the source where they differ. What differs is compared again right before the target
 * is changed: a key that does not differ any more is left alone, and the values that are restored are those that the source has then.
 * What is written to the target in between is overwritten. Afterwards the keys are compared once more.
 *
 * Nothing is changed if a side was not read to its end, or keys may be missing of what was read: they would be deleted. Throws OutputError
 * and ServerError.
 */
export async function repair(options: RepairOptions): Promise<RepairSummary> {
  return new Repairing(options).run();
}

/** The same comparison, without what was told the first time. */
const QUIETLY = { onServer: undefined, onHead: undefined, onWarning: undefined, onAofTail: undefined, rounds: 1 } as const;

class Repairing {
  private readonly found = new KeyList();
  private readonly actions: Record<RepairAction, number> = { restore: 0, delete: 0 };
  private left = 0;
  private aofTails = 0;

  constructor(private readonly options: RepairOptions) {}

  async run(): Promise<RepairSummary> {
    const { apply, line, onAofTail } = this.options;
    const summary = await diff({
      ...this.options,
      line: (difference) => line(difference, this.take(difference)),
      onAofTail: (file, bytes) => {
        this.aofTails++;
        onAofTail?.(file, bytes);
      },
    });
    if (apply === undefined || !summary.complete || this.found.size === 0) return this.summary(summary, undefined);
    const missing = this.missingOf(summary);
    if (missing !== undefined) {
      apply.onNote(missing);
      return this.summary(summary, undefined);
    }
    if (!(await apply.onPlan(this.actions.restore, this.actions.delete))) return this.summary(summary, undefined);
    return this.apply(apply, summary);
  }

  private take(difference: Difference): RepairAction {
    const action = actionOf(difference);
    if (this.found.add(difference.db, difference.key) < 0) this.left++;
    else this.actions[action]++;
    return action;
  }

  /** Why keys of the target may only seem to be extra. */
  private missingOf({ gaps = [], met }: DiffSummary): string | undefined {
    if (met > 0) return 'nothing was repaired, as several keys of the source become one on the target';
    if (gaps.length > 0) return `nothing was repaired, as keys may be missing of what was read: ${gaps[0]}`;
    if (this.aofTails === 0 || this.options.ignoreAofTail === true) return undefined;
    return 'nothing was repaired, as the newer commands of an AOF were not read: its keys may only seem to differ';
  }

  private async apply(apply: RepairTarget, before: DiffSummary): Promise<RepairSummary> {
    const lists = { restore: new KeyList(Infinity), delete: new KeyList(Infinity) };
    const checked = await this.again((difference) => void lists[actionOf(difference)].add(difference.db, difference.key));
    const missing = this.missingOf(checked);
    if (missing !== undefined) apply.onNote(missing);
    if (!checked.complete || missing !== undefined) return this.broken(before, checked);
    const written = lists.restore.size === 0 ? undefined : await this.restore(apply, lists.restore);
    const isWhole = written === undefined || (written.errors.length === 0 && !written.interrupted && !written.declined);
    const deleted = isWhole ? await this.delete(apply, lists.delete) : undefined;
    const still = isWhole ? await this.again(apply.onStill) : undefined;
    const applied: AppliedRepair = {
      restored: (written?.total.restored ?? 0) + (written?.total.replaced ?? 0),
      deleted: deleted?.deleted ?? 0,
      settled: this.found.size - lists.restore.size - lists.delete.size,
      rejected: (written?.total.rejected ?? 0) + (deleted?.refused ?? 0),
      still: still?.different ?? this.found.size,
    };
    return this.broken(this.summary(before, applied), written, still);
  }

  private again(take: (difference: Difference) => void): Promise<DiffSummary> {
    return compare({ ...this.options, ...QUIETLY, only: this.found }, take);
  }

  /** Writes what the source has of these keys now. */
  private async restore(
    { access, cluster, maxInFlight, onNote, onProblem, parallel, retryFor }: RepairTarget,
    keys: KeyList,
  ): Promise<RestoreSummary> {
    const { checksum, dbMap, filter, ignoreAofTail, intoDb, keyPrefixMap, live, sources, strict, targets } = this.options;
    const { onError, onEvent, onProgress, signal, stdin, stdout } = this.options;
    const named = [...(live ?? [])].filter(([name]) => !targets.includes(name));
    const read = new Map(named.map(([name, how]) => [name, { ...how, via: 'scan' } as const])); // which leaves out all other keys
    const mapped = (db: number): number => intoDb ?? dbMap?.get(db) ?? db;
    const own = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
    const summary = await restore({
      ...{ checksum, dbMap, filter, ignoreAofTail, keyPrefixMap, sources, strict, onError, onEvent, onProgress, signal, stdin, stdout },
      ...{ ...access, cluster, maxInFlight, parallel, retryFor, onNote, conflict: 'replace', functions: false },
      url: { ...access.url, db: intoDb },
      live: read.size === 0 ? undefined : read,
      wants: (db, keyBytes, keyStart, keyEnd) => {
        const key = Object.assign(own, { keyBytes, keyStart, keyEnd });
        const name = keyPrefixMap?.nameOf(key) ?? key;
        return keys.has(mapped(db), name.keyBytes, name.keyStart, name.keyEnd);
      },
      onProblem: (problem) => {
        if (problem.key !== undefined) onProblem(problem); // other records of a file are no differences
      },
    });
    if (summary.failure === undefined) return summary;
    const { replaced, restored } = summary.total;
    onNote(`the repair ended early: ${restored + replaced} keys were restored, and none deleted`);
    throw summary.failure;
  }

  private async delete({ access, cluster, onProblem, retryFor }: RepairTarget, keys: KeyList): Promise<DeleteCounts> {
    if (keys.size === 0) return { deleted: 0, gone: 0, refused: 0 };
    const { onEvent, signal, targets } = this.options;
    const servers = await Servers.open(access, { cluster, onEvent });
    try {
      return await deleteKeys(servers, keys, {
        ...{ onEvent, retryFor, signal },
        onRefused: ({ db, key }, server, error) =>
          onProblem({ file: targets[0], db, key: formatText(key, 0, key.length), reason: `${server} answered: ${error}` }),
      });
    } finally {
      servers.close();
    }
  }

  private summary(summary: DiffSummary, applied: AppliedRepair | undefined): RepairSummary {
    const { restore: toRestore, delete: toDelete } = this.actions;
    return { ...summary, repair: { toRestore, toDelete, left: this.left, applied } };
  }

  /** With the errors of what was read after the comparison. */
  private broken(
    before: DiffSummary & { readonly repair?: Repair },
    ...later: readonly (Pick<DiffSummary, 'errors' | 'interrupted' | 'gaps'> | undefined)[]
  ): RepairSummary {
    const all = [before, ...later.filter((one) => one !== undefined)];
    return {
      ...this.summary(before, before.repair?.applied),
      errors: all.flatMap(({ errors }) => errors),
      interrupted: all.some(({ interrupted }) => interrupted),
      gaps: all.flatMap(({ gaps = [] }) => gaps),
    };
  }
}
