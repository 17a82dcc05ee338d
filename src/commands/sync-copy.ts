import { LateInput, readSeeds, seedsOf } from '../sync/seed.js';
import type { LiveOptions } from '../live/options.js';
import { slotsIn } from '../redis/topology.js';
import { checkApart } from '../restore/plan.js';
import { endedWell } from '../restore/summary.js';
import { takesFunctions } from '../values/filters.js';
import { SyncGap } from '../sync/errors.js';
import type { Lanes } from '../sync/lanes.js';
import type { Masters } from '../sync/masters.js';
import { exceptOf, type Session } from '../sync/session.js';
import { checkCopy } from '../sync/rights.js';
import { sweep } from '../sync/sweep.js';
import { labelOf, type LaneState } from '../sync/target/lane-records.js';
import { restore, type RestoreOptions, type RestoreSummary } from './restore.js';

/** The full copy of a sync, with the writes meanwhile going to the spools. */
export class FullCopy {
  private recorded = false;

  /** `agreed`: what is about to be done was agreed to before, by another attempt. */
  constructor(
    private readonly session: Session,
    private readonly lanes: Lanes,
    private readonly masters: Masters | undefined,
    private readonly agreed = false,
  ) {}

  /** `states`: those of an earlier run, of which the target has keys. */
  async run(states: ReadonlyMap<number, LaneState>): Promise<RestoreSummary> {
    const { lanes, session } = this;
    const { dry, facts, hold, keys, options, positions, servers, signal } = session;
    const { conflict, filter = {}, flush, group, onPlan } = options;
    const again = states.size > 0;
    const empty = facts.masters.every(({ counted, keys: there }) => counted && there.size === 0);
    if (!again && conflict !== 'replace') await checkCopy({ servers, keys, signal });
    const ours = again && [...states.values()].every(({ record }) => record.alone);
    session.alone = (empty || flush === true || ours) && this.plain && group === undefined;
    await group?.turn();
    const terms: RestoreOptions = {
      ...options,
      ...{ ttlShift: hold, fieldShift: hold, signal, functions: session.functions, conflict: again ? 'replace' : conflict },
      filter: { ...filter, notPrefix: [...(filter.notPrefix ?? []), ...positions.prefixes] },
      ...(group === undefined ? {} : { besides: group.mayMeet, flush: dry && flush }), // which is done once, before all copies
      except: exceptOf(session),
      connectionName: labelOf(`${keys.prefix}${keys.id}:copy`),
      onPlan: !dry
        ? this.agreed
          ? undefined
          : onPlan
        : async (plan) => {
            await onPlan?.(plan);
            return false;
          },
    };
    const restored = (await this.fromSeeds(terms)) ?? (await this.fromKept(terms)) ?? (await this.fromSource(terms));
    if (dry || !endedWell(restored)) return restored;
    if (again && flush !== true) await this.sweep();
    await this.masters?.assignSlots();
    for (const lane of lanes.all) await lanes.copied(lane);
    await lanes.forgetCopies();
    return restored;
  }

  private async fromSource(terms: RestoreOptions): Promise<RestoreSummary> {
    const { lanes, session } = this;
    const followers = new Map(lanes.all.map((lane) => [lane.name, lane.follower()]));
    await lanes.forgetCopies();
    if (!session.dry) await Promise.all([...followers.values()].map((follower) => follower.prepare()));
    const live: LiveOptions = {
      ...session.options.source,
      ...{ via: 'replication', reached: this.agreed ? session.source : undefined },
      onPosition: async (shard, position) => {
        await this.record();
        await followers.get(shard)?.onPosition(position);
      },
      onExactPosition: async (shard, position) => {
        await followers.get(shard)?.onExactPosition(position);
        const lane = lanes.all.find(({ name }) => name === shard);
        if (lane !== undefined) lane.copy = position;
      },
      through: (shard, how, open) => {
        const lane = lanes.all.find(({ name }) => name === shard);
        const kept = session.options.keepRdb === true ? lane?.spool.kept : undefined;
        if (lane === undefined || kept === undefined) return open(how);
        return lane.keeping(open({ ...how, allocate: undefined }), kept, how.allocate);
      },
    };
    return restore({ ...terms, live: new Map([[terms.sources[0], live]]) });
  }

  /** Undefined if there are no files, or they are too old and the source is to be copied instead. */
  private async fromSeeds(terms: RestoreOptions): Promise<RestoreSummary | undefined> {
    const { lanes, session } = this;
    const { seed, seedManifest } = session.options;
    if (seed === undefined) return undefined;
    this.checkApart(terms);
    const read = await readSeeds(seed);
    const histories = await Promise.all(lanes.all.map(async (lane) => ({ name: lane.name, history: await lane.history() })));
    const gaps: string[] = [];
    for (const [i, { path, position }] of seedsOf(read, histories).entries()) {
      const gap = await lanes.all[i].beginAt(position, histories[i].history);
      if (gap !== undefined) gaps.push(`${path} is at offset ${position.offset} of ${histories[i].name}: ${gap}`);
    }
    if (gaps.length > 0) {
      await insteadOfGap(session, lanes, gaps);
      return undefined;
    }
    return restore({
      ...terms,
      ...{ sources: seed, live: undefined, manifest: seedManifest },
      open: (source, how) => new LateInput(source, how, () => this.record()),
    });
  }

  /** Undefined if no earlier run has kept RDBs of all masters that its writes can go on from: then the source is to be copied. */
  private async fromKept(terms: RestoreOptions): Promise<RestoreSummary | undefined> {
    const { lanes, session } = this;
    const { fresh, onEvent } = session.options;
    const found = await lanes.copies();
    if (fresh === true || found.every((mark) => mark === undefined)) return undefined;
    this.checkApart(terms);
    for (const lane of lanes.all) {
      const reason = await lane.beginAtKept();
      if (reason === undefined) continue;
      for (const one of lanes.all) one.unlink();
      onEvent?.(`${lane.name}: ${reason}: the full copy begins again${lanes.all.length > 1 ? ', of all masters' : ''}`, true);
      return undefined;
    }
    const files = new Map(lanes.all.flatMap(({ shard, spool: { kept } }) => (kept === undefined ? [] : [[kept.path, shard] as const])));
    for (const [path, { facts }] of files) onEvent?.(`${facts.name}: its copy is taken from ${path}, which an earlier run kept`, true);
    const restored = await restore({
      ...terms,
      ...{ sources: [...files.keys()], live: undefined },
      open: (path, how) => new LateInput(path, how, () => this.record(), files.get(path)?.earlierPass),
    });
    if (restored.errors.length + restored.plan.errors.length > 0) {
      await lanes.forgetCopies();
      onEvent?.('what an earlier run kept is damaged, and deleted: run the same command again to copy the source', true);
    }
    return restored;
  }

  /** Throws ServerError if source and target have servers in common. */
  private checkApart(terms: RestoreOptions): void {
    checkApart({ ...terms, servers: new Map(this.lanes.all.map(({ name, shard }) => [name, shard])) }, this.session.facts);
  }

  /** The target learns that a full copy has begun: its keys are of no certain time until that is over. */
  private async record(): Promise<void> {
    if (this.recorded) return;
    this.recorded = true;
    for (const { number } of this.lanes.all) {
      await this.lanes.writeRecord(number, { phase: 'full', id: '', certain: 0, sent: 0, db: 0 });
    }
  }

  /** Keys that the source does not have any more are removed by the lanes. */
  private async sweep(): Promise<void> {
    const { alone, keys, options, positions, servers, signal, source } = this.session;
    const { group, keyPrefixMap } = options;
    const isOurs = group?.ours ?? alone;
    const swept = {
      ...{ servers, keys, signal, isPosition: (key: Uint8Array) => positions.has(key, 0, key.length) },
      ofNoOther: group && ((db: number, found: readonly Uint8Array[]) => group.origins.ofNoOther(db, found, group.number)),
      lanes: this.lanes.all.map(({ copy, name, number, shard }) => ({
        ...{ number, name, open: () => shard.connectMaster(), choice: this.session.choiceOf(shard), names: keyPrefixMap },
        offset: copy?.offset ?? 0,
        slots: source.facts.clustered ? new Set(slotsIn(shard.facts.slots)) : undefined,
      })),
    };
    const { stale, unsure } = await sweep(swept, isOurs);
    if (unsure > 0) {
      options.onNote?.(`${counted(unsure)} of the target were not looked for in the source, since their slots are moving there`);
    }
    if (stale === 0) return;
    const them = `${counted(stale)} of the target that the source does not have`;
    if (!isOurs && (await options.confirmSweep?.(stale)) !== true) {
      options.onNote?.(`${them} stay there: if they are left over from an earlier copy, they were deleted in the source since`);
      return;
    }
    if (!isOurs) await sweep(swept, true);
    options.onEvent?.(`${them}: they are deleted`, true);
  }

  /** Whether all keys are copied under their own numbers of databases, from one server. */
  private get plain(): boolean {
    const { options, source } = this.session;
    const { filter = {} } = options;
    return source.shards.length === 1 && takesFunctions({ filter }) && this.session.choiceOf(source.shards[0]).sameDatabases;
  }
}

/** A full copy is to be made since writes are missing. Throws SyncGap if that is not wanted. */
export async function insteadOfGap(session: Session, lanes: Lanes, gaps: readonly string[]): Promise<void> {
  const { confirmFull, onGap, phase } = session.options;
  const reason = gaps.join('; ');
  const agreed = phase !== 'changes' && (onGap === 'full' || (onGap === undefined && (await confirmFull?.(reason)) === true));
  if (!agreed) throw new SyncGap(lanes.all[0].name, reason);
  for (const lane of lanes.all) lane.unlink();
}

const counted = (keys: number): string => (keys === 1 ? 'a key' : `${keys} keys`);
