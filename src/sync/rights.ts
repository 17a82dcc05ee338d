import { type Answer, ErrorAnswer, ReplyLink } from '../redis/reply-link.js';
import type { LiveSource } from '../live/live-source.js';
import type { Way } from '../live/options.js';
import type { OpenedNode } from '../live/replication-input.js';
import { encodeCommand } from '../redis/commands.js';
import { mayPass, ServerError } from '../redis/errors.js';
import { abortedBy, isUnknownCommand, refusalOf } from '../redis/refusals.js';
import type { Servers } from '../redis/servers.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import type { RecordKeys } from './record.js';
import { assertNotifies, type Events } from './told/told-link.js';

/*
 * A sync runs for days, and some commands are only needed when something happens: a key has to be fetched, expiries are released at the
 * end. So all of them are asked for at the beginning: after MULTI a server says whether it would take a command, and does nothing.
 */

type Command = readonly [name: string, ...args: string[]];

/** A command that a server does not take, and its error reply. */
interface Refused {
  readonly command: Command;
  readonly error: string;
}

/** Commands whose subcommands are rights of their own. */
const CONTAINERS: ReadonlySet<string> = new Set(['CLIENT', 'CLUSTER', 'FUNCTION', 'OBJECT']);

/** `CLIENT KILL`. */
const nameOf = ([name, ...args]: Command): string => (CONTAINERS.has(name) ? `${name} ${args[0]}` : name);
/** `+client|kill`. */
const ruleOf = (command: Command): string => `+${nameOf(command).toLowerCase().replace(' ', '|')}`;

/** Whether the user lacks a right to keys, and not to the command. */
const isOfKeys = (error: string): boolean => error.startsWith('NOPERM') && /\bkeys?\b/.test(error) && !/run the '/.test(error);

/** Whether the server does not take a command at all, whatever it is about. */
const isRefusal = (error: string): boolean => error.startsWith('NOPERM') || (error.startsWith('ERR') && refusalOf(error) === 'stop');

/** Which of these commands a server refuses. Nothing is run, unless `runs`. Throws ConnectionLost and the reason of the signal. */
async function refusedOf({ socket }: OpenedNode, commands: readonly Command[], signal: AbortSignal, runs = false): Promise<Refused[]> {
  const link = new ReplyLink(socket, () => undefined, signal);
  const ask = async (...asked: Command[]): Promise<Refused[]> => {
    link.write(Buffer.concat(asked.map(encodeCommand)));
    const answers: Answer[] = [];
    for (let i = 0; i < asked.length; i++) answers.push(await link.answer());
    return answers.flatMap((answer, i) => (answer instanceof ErrorAnswer ? [{ command: asked[i], error: abortedBy(answer.text) }] : []));
  };
  try {
    if (runs) return (await ask(...commands)).filter(({ error }) => isRefusal(error));
    const around = await ask(['MULTI'], ['EXEC']);
    // without MULTI, the commands would be run
    if (around.some(({ command: [name] }) => name === 'MULTI')) return around.slice(0, 1);
    if ((await ask(['MULTI'])).length > 0) return [];
    return [...around, ...(await ask(...commands))].filter(({ error }) => isRefusal(error));
  } finally {
    link.close(); // which discards the transaction
  }
}

/** Those that a server is asked for now; none if it cannot be reached, which is for what comes next. Throws the reason of the signal. */
async function refusedAt(
  open: () => Promise<OpenedNode>,
  commands: readonly Command[],
  signal: AbortSignal,
  runs = false,
): Promise<Refused[]> {
  try {
    return await refusedOf(await unlessAborted(open(), signal, (late) => late.socket.destroy()), commands, signal, runs);
  } catch (error) {
    signal.throwIfAborted();
    if (!mayPass(error)) throw error;
    return [];
  }
}

function refusal(server: string, refused: readonly Refused[], pattern: string, where = 'Rights'): ServerError {
  const [{ error }] = refused;
  const of = (is: (one: Refused) => boolean): Command[] => refused.filter(is).map(({ command }) => command);
  const lacking = of((one) => one.error.startsWith('NOPERM') && !isOfKeys(one.error)).map((one) =>
    one[0] === 'PSUBSCRIBE' ? `${ruleOf(one)} allchannels` : ruleOf(one),
  );
  const rules = new Set([...(refused.some((one) => isOfKeys(one.error)) ? [pattern] : []), ...lacking]);
  const missing = of((one) => !one.error.startsWith('NOPERM')).map(nameOf);
  const advice = [
    ...(rules.size === 0 ? [] : [`A sync needs more rights there: ACL SETUSER NAME ${[...rules].join(' ')} gives them.`]),
    ...(missing.length === 0 ? [] : [`A sync does not work with a server that does not take ${missing.join(', ')}.`]),
    `All that it needs is in docs/sync.md, "${where}".`,
  ];
  return new ServerError('REFUSED', server, error, undefined, advice.join(' '));
}

export interface SourceRights {
  readonly open: () => Promise<OpenedNode>;
  /** For messages. */
  readonly name: string;
  readonly clustered: boolean;
  /** Whether keys of other databases than 0 may have to be fetched. */
  readonly selects: boolean;
  readonly signal: AbortSignal;
  readonly onNote: ((text: string) => void) | undefined;
}

/** A key that is asked for. It does not have to exist, nor to be in a slot of the server. */
const PROBE = 'rdbkit:probe';

/** What is needed to fetch keys. Throws ServerError if a master of the source refuses some of it; PSYNC is asked for elsewhere. */
export async function checkSource({ clustered, name, onNote, open, selects, signal }: SourceRights): Promise<void> {
  const commands: Command[] = [
    ['REPLCONF', 'listening-port', '0'],
    ['INFO', 'replication'],
    ['DUMP', PROBE],
    ['PEXPIRETIME', PROBE],
    ['PTTL', PROBE],
    ['TIME'],
    ['EXISTS', PROBE],
    ...(selects ? [['SELECT', '0'] as const] : []),
    ...(clustered ? ([['ASKING'], ['SCAN', '0'], ['CLUSTER', 'SLOTS'], ['CLUSTER', 'NODES']] as const) : []),
  ];
  const all = await refusedAt(open, commands, signal);
  const isOlder = all.some(({ command: [word], error }) => word === 'PEXPIRETIME' && isUnknownCommand(error));
  const unneeded = isOlder ? ['PEXPIRETIME'] : ['PTTL', 'TIME'];
  const refused = all.filter(({ command: [word], error }) => !unneeded.includes(word) && !isOfKeys(error));
  if (refused.length > 0) throw ofSource(refusal(name, refused, '~*'));
  if (all.some(({ error }) => isOfKeys(error))) {
    onNote?.(`${name}: its user may not read all keys: the sync ends with NOPERM at a key outside of ~PATTERN that has to be fetched`);
  }
}

/** The same for all masters of a source. `db`: the databases that are wanted; none for all. */
export async function checkSources(
  { facts: { clustered }, shards }: LiveSource,
  { db = [], onNote, signal }: Pick<SourceRights, 'onNote' | 'signal'> & { readonly db: readonly number[] | undefined },
): Promise<void> {
  const ofShards = shards.map((shard) => {
    const selects = !clustered && shard.db !== 0 && (db.length === 0 || db.some((of) => of !== 0));
    return checkSource({ name: shard.facts.name, open: () => shard.connectMaster(), clustered, selects, signal, onNote });
  });
  await Promise.all(ofShards);
}

/**
 * What is needed to read a source by scan, and to let it tell which keys are written. These commands are run: they change nothing, and
 * such a user need not have MULTI. Throws ServerError if a master refuses some of it.
 */
export async function checkTold(
  { servers }: LiveSource,
  { events = 'tracking', onNote, signal }: Pick<SourceRights, 'onNote' | 'signal'> & { readonly events?: Events | undefined },
): Promise<void> {
  const telling: readonly Command[] = events === 'tracking' ? [['HELLO'], ['CLIENT', 'TRACKING', 'OFF']] : [['PSUBSCRIBE', PROBE]];
  const commands: Command[] = [
    ...([['INFO', 'replication'], ['SELECT', '0'], ['SCAN', '0', 'COUNT', '1'], ['DUMP', PROBE], ['PEXPIRETIME', PROBE]] as const),
    ...([['PTTL', PROBE], ['TIME'], ['EXISTS', PROBE], ['PING']] as const),
    ...(servers.clustered ? ([['CLUSTER', 'SLOTS'], ['CLUSTER', 'NODES']] as const) : []),
    ...telling,
  ];
  await Promise.all(
    servers.masters.map(async (master) => {
      const { name } = master;
      const all = await refusedAt(async () => ({ ...(await servers.openSocket(master)), name }), commands, signal, true);
      const isOlder = all.some(({ command: [word], error }) => word === 'PEXPIRETIME' && isUnknownCommand(error));
      const unneeded = [...(isOlder ? ['PEXPIRETIME'] : ['PTTL', 'TIME']), ...(servers.clustered ? ['SELECT'] : [])];
      const refused = all.filter(({ command: [word], error }) => !unneeded.includes(word) && !isOfKeys(error));
      if (refused.length > 0) throw ofSource(refusal(name, refused, '~*', SCAN_RIGHTS));
      if (all.some(({ error }) => isOfKeys(error))) {
        onNote?.(`${name}: its user may not read all keys: those outside of ~PATTERN are named, and not brought over`);
      }
      if (events === 'notifications') await assertNotifies(name, await servers.client(master), onNote);
    }),
  );
}

const SCAN_RIGHTS = 'The least rights for a scan';

/** The error of a server that is read. */
export function ofSource(error: ServerError): ServerError {
  error.readAs = 'source';
  return error;
}

export interface TargetRights {
  readonly servers: Servers;
  readonly keys: RecordKeys;
  /** How the source is read (default: by replication). */
  readonly way?: Way | undefined;
  /** Whether expiries are released in the end. */
  readonly holds: boolean;
  readonly signal: AbortSignal;
}

/**
 * What is needed for positions, values that were fetched, and expiries; which commands the source will send is not known. Returns what it
 * means that some of it is refused. Throws ServerError if a sync cannot go without.
 */
export async function checkTarget({ holds: held, keys, servers, signal, way }: TargetRights): Promise<string[]> {
  const { clustered, masters, owners } = servers;
  const byScan = way === 'scan';
  const holds = held && !byScan;
  const notes = await Promise.all(
    masters.map(async (master, index) => {
      const slot = clustered ? (owners?.indexOf(index) ?? 0) : -1;
      const [key, fences] = [keys.records(slot), keys.fences(slot)];
      const needed: Command[] = [
        ['INFO'],
        ['HSET', key, 'f', 'v'],
        ['HSET', fences, 'f', 'v'],
        ['HGET', key, 'f'],
        ['HGETALL', key],
        ['HKEYS', key],
        ['HDEL', key, 'f'],
        ['DEL', key],
        ['RESTORE', key, '0', ''],
        ['SCAN', '0'],
        ...(clustered || byScan ? ([['EXISTS', key]] as const) : []),
        ...(clustered ? ([['ASKING']] as const) : []),
      ];
      const forKeys: Command[] = [['PEXPIRETIME', key], ['PEXPIREAT', key, '1'], ['PTTL', key], ['PEXPIRE', key, '1'], ['TIME']];
      const forFields: Command[] = [
        ['HPEXPIRETIME', key, 'FIELDS', '1', 'f'],
        ['HPEXPIREAT', key, '1', 'FIELDS', '1', 'f'],
        ['HSCAN', key, '0'],
        ['OBJECT', 'ENCODING', key],
      ];
      const ending: Command[] = [['CLIENT', 'SETNAME', 'rdbkit'], ['CLIENT', 'LIST'], ['CLIENT', 'KILL', 'ID', '1']];
      const commands = [...needed, ...(holds ? [...forKeys, ...forFields] : []), ...ending];
      const refused = await refusedAt(async () => ({ ...(await servers.openSocket(master)), name: master.name }), commands, signal);
      const hasNot = (word: string): boolean => refused.some(({ command, error }) => command[0] === word && isUnknownCommand(error));
      const unneeded = new Set([
        ...(hasNot('PEXPIRETIME') ? ['PEXPIRETIME', 'PEXPIREAT'] : ['PTTL', 'PEXPIRE', 'TIME']),
        ...(hasNot('HPEXPIRETIME') ? forFields.map(([word]) => word) : []),
        ...(byScan ? ['MULTI', 'EXEC', 'HDEL', 'ASKING'] : []), // no transactions, and one record
        'CLIENT',
      ]);
      const fatal = refused.filter(({ command: [word] }) => !unneeded.has(word));
      if (fatal.length > 0) throw refusal(master.name, fatal, `~${keys.prefix}*`, byScan ? SCAN_RIGHTS : undefined);
      const first = refused.find(({ command: [word] }) => word === 'CLIENT');
      return first === undefined ? [] : [`${master.name} refuses ${nameOf(first.command)} (${first.error}): ${RISK}`];
    }),
  );
  return notes.flat();
}

/** What a full copy needs beside that to tell keys of its own from others after a connection was lost: as `checkTarget`. */
export async function checkCopy({ keys, servers, signal }: Omit<TargetRights, 'holds'>): Promise<void> {
  await Promise.all(
    servers.masters.map(async (master, index) => {
      const key = keys.records(servers.clustered ? (servers.owners?.indexOf(index) ?? 0) : -1);
      const commands: Command[] = ['DUMP', 'STRLEN', 'LLEN', 'SCARD', 'ZCARD', 'HLEN', 'XLEN'].map((name) => [name, key]);
      const refused = await refusedAt(async () => ({ ...(await servers.openSocket(master)), name: master.name }), commands, signal);
      const fatal = refused.filter(({ error }) => !isUnknownCommand(error) && !isOfKeys(error));
      if (fatal.length > 0) throw refusal(master.name, fatal, '');
    }),
  );
}

const RISK = 'a run that was killed may still be writing when the next one begins, so that writes may be applied twice';
