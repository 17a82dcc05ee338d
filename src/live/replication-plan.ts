import type { Redis } from 'ioredis';

/** What a server tells of how it would send its RDB; what it does not tell is undefined. */
export interface ReplicationFacts {
  readonly usedMemory: number | undefined;
  /** It is writing an RDB, or rewriting its AOF, in a child process. */
  readonly saving: boolean | undefined;
  /** It sends the RDB while it writes it, instead of a file that is complete. */
  readonly diskless: boolean | undefined;
  /** Seconds that it waits for other replicas before it begins with a diskless transfer. */
  readonly disklessDelay: number | undefined;
  /** Seconds. */
  readonly timeout: number | undefined;
  /** Bytes of the latest writes that it keeps for replicas that come back. */
  readonly backlog: number | undefined;
  /** Where it ends the link of a replica for which writes pile up; 0 for no limit. Undefined also where none pile up. */
  readonly outputLimit: { readonly hard: number; readonly soft: number; readonly seconds: number } | undefined;
}

/** The release from which on servers keep no writes for a replica that only wants the RDB. */
const RDB_ONLY_SINCE = [6, 2] as const;

/** Asks a server; where it refuses, that is not known. */
export async function replicationFacts(client: Redis): Promise<ReplicationFacts> {
  const info = await client.info().catch(() => '');
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const settings = new Map<string, string>();
  for (const pattern of ['repl-*', 'client-output-buffer-limit']) {
    const reply: unknown = await client.call('CONFIG', 'GET', pattern).catch(() => []);
    const words = Array.isArray(reply) ? reply.map(String) : [];
    for (let i = 0; i + 1 < words.length; i += 2) settings.set(words[i], words[i + 1]);
  }
  const children = ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress'].map(field);
  return {
    usedMemory: numberOf(field('used_memory')),
    saving: children.every((value) => value === undefined) ? undefined : children.includes('1'),
    diskless: settings.has('repl-diskless-sync') ? settings.get('repl-diskless-sync') === 'yes' : undefined,
    disklessDelay: numberOf(settings.get('repl-diskless-sync-delay')),
    timeout: numberOf(settings.get('repl-timeout')),
    backlog: numberOf(settings.get('repl-backlog-size')),
    outputLimit: keepsWrites(field('redis_version')) ? limitOf(settings.get('client-output-buffer-limit')) : undefined,
  };
}

const numberOf = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined);

function keepsWrites(version: string | undefined): boolean {
  const [major, minor] = version?.split('.').map(Number) ?? [];
  return major < RDB_ONLY_SINCE[0] || (major === RDB_ONLY_SINCE[0] && minor < RDB_ONLY_SINCE[1]);
}

/** From `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`. */
function limitOf(text: string | undefined): ReplicationFacts['outputLimit'] {
  const numbers = /\b(?:slave|replica) (\d+) (\d+) (\d+)/.exec(text ?? '');
  return numbers === null ? undefined : { hard: Number(numbers[1]), soft: Number(numbers[2]), seconds: Number(numbers[3]) };
}

/** What that means for the server and for this reader, a clause each; `bytes` formats numbers of bytes. */
export function replicationNotes(facts: ReplicationFacts, bytes: (count: number) => string): string[] {
  const { diskless, disklessDelay = 0, outputLimit, saving, timeout, usedMemory } = facts;
  const memory = usedMemory === undefined ? '' : `: it uses ${bytes(usedMemory)}, and memory for what changes meanwhile comes on top`;
  const notes = [`it forks to write the RDB${memory}`];
  if (saving === true) notes.push('it is saving in the background, and may begin with the RDB only after that');
  if (diskless === true) {
    const delay = disklessDelay === 0 ? '' : `, after waiting ${disklessDelay} s for other replicas`;
    const limit = timeout === undefined ? '' : `; if this reader stands still for ${timeout} s (repl-timeout), it ends the transfer`;
    notes.push(`it sends the RDB while writing it (repl-diskless-sync)${delay}${limit}`);
  }
  if (diskless === false) notes.push('it writes the RDB to its disk first, and then sends the file (repl-diskless-sync is off)');
  if (outputLimit !== undefined && outputLimit.hard + outputLimit.soft > 0) {
    const limits = [
      ...(outputLimit.hard > 0 ? [`at ${bytes(outputLimit.hard)}`] : []),
      ...(outputLimit.soft > 0 ? [`at ${bytes(outputLimit.soft)} for ${outputLimit.seconds} s`] : []),
    ];
    notes.push(`it keeps the writes meanwhile for this reader, and ends the transfer ${limits.join(', or ')} (client-output-buffer-limit)`);
  }
  return notes;
}
