import { keySlot } from '../bytes/crc16.js';
import type { Servers } from '../redis/servers.js';
import { withReplace } from './commands/split.js';
import { databasesOf, eachKey } from './each-key.js';
import { SyncGap } from './errors.js';
import type { Crossing } from './crossing.js';
import type { Fences, KeyName } from './fences.js';
import { followFunctions } from './group/functions.js';
import type { GroupMember } from './group/member.js';
import type { Pause, Planner } from './planner.js';
import type { RecordKeys } from './record.js';
import type { StreamCommand } from './stream-command.js';
import type { ChangeWriter } from './target/change-writer.js';

/** How commands that concern no single keys are treated. */
export interface PauseOptions {
  /** The target has nothing but what comes from this one source, unfiltered: FLUSHALL and the like can be sent as they are. */
  readonly alone: boolean;
  readonly functions: boolean;
  readonly publish: boolean;
  /** Where other sources go into the target, too. */
  readonly group?: GroupMember | undefined;
  /** Which slots are the lane's, where it is one of a cluster's. */
  readonly crossing: Pick<Crossing, 'isInTransit' | 'isOf'> | undefined;
}

export interface PauseContext {
  readonly name: string;
  readonly lane: number;
  readonly writer: ChangeWriter;
  readonly planner: Planner;
  readonly fences: Fences;
  readonly servers: Servers;
  readonly keys: RecordKeys;
  readonly command: StreamCommand;
  readonly options: PauseOptions;
  readonly sameDatabases: boolean;
  readonly target: (db: number) => number;
  /** The wanted keys of the source that may be this one of the target. */
  readonly sourceNames: (db: number, key: Uint8Array) => readonly KeyName[];
  /** What commands may have read wrongly, since others were refused, is wanted then. */
  readonly spreadDoubt: () => Promise<void>;
  /** Tells the target that these keys of the source have no fences any more. */
  readonly unfence: (names: readonly KeyName[]) => Promise<void>;
  /** Waits for something that other lanes do, and does meanwhile what they wait for. `isFlushed`: keys that are gone by this command. */
  readonly during: <T>(work: Promise<T>, isFlushed: (name: KeyName) => boolean) => Promise<T>;
  readonly onNote: (text: string) => void;
  readonly onIgnored: () => void;
}

/** Applies a command that concerns no single keys, with everything before it done. */
export async function applyPause(pause: Pause, context: PauseContext): Promise<void> {
  const { onIgnored, options } = context;
  switch (pause.kind) {
    case 'publish':
      if (options.publish) publish(pause, context);
      else onIgnored();
      return undefined;
    case 'functions':
    case 'indexes':
      if (options.functions) return everywhere(pause, context);
      onIgnored();
      return undefined;
    case 'flushall':
    case 'flushdb':
    case 'flushslot':
      return flush(pause, pause.kind, context);
    case 'swapdb':
      return swap(pause, context);
    case 'unknown':
      return undefined;
  }
}

/** A message is not repeated after a loss, and may be lost with it. */
function publish({ args }: Pause, { onIgnored, writer }: PauseContext): void {
  const channel = args.at(1);
  if (channel === undefined || args.length !== 3 || Buffer.from(channel).toString('latin1').startsWith('__sentinel__:')) {
    onIgnored();
    return;
  }
  const sharded = Buffer.from(args[0]).toString('latin1').toLowerCase() === 'spublish';
  writer.aside(sharded ? writer.ownerOfKey(channel) : 0, args);
}

/** Libraries are loaded with REPLACE, so that it does no harm to do it twice. */
async function everywhere(pause: Pause, context: PauseContext): Promise<void> {
  const { command, name, onNote, options, planner, servers, target, writer } = context;
  const { args, db } = pause;
  planner.releaseUnit();
  await writer.doubt(command.offset);
  if (options.group !== undefined && pause.kind === 'functions') {
    await followFunctions(command, args, { group: options.group, servers, onNote, run: (words) => writer.alone(target(db), words) });
    return;
  }
  const replaced = withReplace(command);
  const errors = await writer.alone(target(db), replaced ?? args);
  const text = args
    .slice(0, 2)
    .map((arg) => Buffer.from(arg).toString('latin1').toUpperCase())
    .join(' ');
  for (const error of errors)
    if (!/^ERR (?:Library not found|No such library)/i.test(error)) onNote(`${name}: the target refused ${text}: ${error}`);
}

async function flush(pause: Pause, kind: 'flushall' | 'flushdb' | 'flushslot', context: PauseContext): Promise<void> {
  const { command, fences, options, planner, target, unfence, writer } = context;
  planner.releaseUnit();
  await writer.doubt(command.offset);
  const { db } = pause;
  const concerned = (of: number): boolean => kind === 'flushall' || of === db;
  if (options.alone && kind !== 'flushslot') await writer.flushTarget(kind, target(db), command.offset, planner);
  else await deleteKeys(pause, context);
  // what the stream says from here on is about keys that do not exist
  await unfence(fences.forget((name) => concerned(name.db) && (kind !== 'flushslot' || keySlot(name.key) === slotOf(pause))));
}

const slotOf = ({ args }: Pause): number => Number(Buffer.from(args.at(-1) ?? []).toString('latin1'));

/** Deletes the keys that are the source's: of its slots, chosen by the filters, in the databases that these go to. */
async function deleteKeys(
  pause: Pause,
  { during, fences, keys, lane, options, servers, sourceNames, target, writer }: PauseContext,
): Promise<void> {
  const { db, kind } = pause;
  const { crossing } = options;
  const only = kind === 'flushslot' ? slotOf(pause) : undefined;
  const { group } = options;
  const isFlushed = (name: KeyName): boolean =>
    (kind === 'flushall' || name.db === db) && (only === undefined || keySlot(name.key) === only);
  const all = kind === 'flushall' ? await databasesOf(servers) : [target(db)];
  const databases = group === undefined ? all : all.filter((at) => group.used.has(group.number, at));
  for (const at of databases) {
    await eachKey(servers, at, async (owner, some) => {
      const concerned = some.filter(
        (key) =>
          !Buffer.from(key.subarray(0, keys.prefix.length)).equals(Buffer.from(keys.prefix)) &&
          (only === undefined || keySlot(key) === only) &&
          sourceNames(at, key).some((name) => kind === 'flushall' || name.db === db),
      );
      // what another master has by now is not known
      for (const key of concerned) if (crossing?.isInTransit(keySlot(key)) === true) fences.want(0, key);
      const ours = concerned.filter((key) => crossing?.isOf(lane, keySlot(key)) !== false);
      if (ours.length === 0) return;
      if (group === undefined) await writer.deleteKeys(owner, at, ours);
      else await deleteUnlessOthers(group, { owner, db: at, keys: ours }, { during, isFlushed, writer });
    });
  }
}

/**
 * Deletes the keys that no other source has. What another one has just deleted may still be read by commands of it that were not applied
 * yet, so that its own lane brings such keys to what it has. One that is read by scan has no such commands, and rests meanwhile.
 */
async function deleteUnlessOthers(
  group: GroupMember,
  { db, keys, owner }: { readonly owner: number; readonly db: number; readonly keys: readonly Buffer[] },
  { during, isFlushed, writer }: Pick<PauseContext, 'during' | 'writer'> & { readonly isFlushed: (name: KeyName) => boolean },
): Promise<void> {
  const gone = await group.origins.ofNoOther(db, keys, group.number);
  const rest = await during(group.bring(db, gone), isFlushed);
  if (rest.length === 0) return;
  await group.alone(async () => {
    const still = await group.origins.ofNoOther(db, rest, group.number);
    if (still.length > 0) await writer.deleteKeys(owner, db, still);
  });
}

/** SWAPDB is done once: the transaction that does it also says that it is done. */
async function swap({ args }: Pause, context: PauseContext): Promise<void> {
  const { command, fences, name, options, planner, sameDatabases, servers, writer } = context;
  const [first, second] = args.slice(1, 3).map((arg) => Number(Buffer.from(arg).toString('latin1')));
  if (!options.alone || !sameDatabases || servers.clustered || planner.inUnit) {
    const why = planner.inUnit ? 'within a transaction' : 'with filters, mapped databases, a cluster, or other keys on the target';
    throw new SyncGap(name, `the source ran SWAPDB ${first} ${second}, which cannot be followed ${why}`);
  }
  await writer.drained();
  await context.spreadDoubt();
  const isSwapped = ({ db }: KeyName): boolean => db === first || db === second;
  const beyond = [...fences.forget(isSwapped), ...[...fences.wanted.values()].filter(isSwapped)];
  for (const { key } of beyond) for (const db of [first, second]) fences.want(db, key);
  await writer.swapTarget(first, second, command.offset, planner.db);
}
