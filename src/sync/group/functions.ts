import type { Servers } from '../../redis/servers.js';
import { libraryName } from '../../values/meta.js';
import { withReplace } from '../commands/split.js';
import type { StreamCommand } from '../stream-command.js';
import type { GroupMember } from './member.js';

export interface FunctionsContext {
  readonly group: GroupMember;
  /** The target. */
  readonly servers: Servers;
  readonly onNote: (text: string) => void;
  /** Runs a command on all masters of the target, and returns their errors. */
  readonly run: (command: Uint8Array | readonly Uint8Array[]) => Promise<string[]>;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const word = (text: string): Uint8Array => Buffer.from(text);

/** Applies FUNCTION of one of several sources: libraries that others have stay as they are. Throws ServerError. */
export async function followFunctions(command: StreamCommand, args: readonly Uint8Array[], context: FunctionsContext): Promise<void> {
  const { group, onNote, run, servers } = context;
  const verb = textOf(args[1] ?? word('')).toUpperCase();
  const others = await group.libraries();
  const run1 = async (words: Uint8Array | readonly Uint8Array[]): Promise<void> => {
    for (const error of await run(words)) {
      if (/^ERR (?:Library not found|No such library)/i.test(error)) continue;
      onNote(`${group.name}: the target refused FUNCTION ${verb}: ${error}`);
    }
  };
  const isOthers = (library: string): boolean => {
    if (!others.has(library)) return false;
    if (verb === 'LOAD' && group.replacesLibraries) {
      onNote(`${group.name}: FUNCTION LOAD of library ${library}, which another source has, too: the one that was loaded last counts`);
      return false;
    }
    onNote(`${group.name}: FUNCTION ${verb} is not applied to library ${library}, which another source has, too`);
    return true;
  };
  if (verb === 'DELETE' && args.length > 2) {
    if (!isOthers(textOf(args[2]))) await run1(args);
  } else if (verb === 'LOAD') {
    if (!isOthers(libraryName(args[args.length - 1]))) await run1(withReplace(command) ?? args);
  } else if (verb === 'FLUSH') {
    for (const library of await librariesOf(servers)) if (!isOthers(library)) await run1([args[0], word('DELETE'), word(library)]);
  } else if (verb === 'RESTORE' && args.length > 2) {
    await run1([args[0], args[1], args[2], word('REPLACE')]); // FLUSH would delete those of others
  } else await run1(args);
}

/** Names of function libraries; none where the server refuses to tell. */
export async function librariesOf(servers: Servers): Promise<Set<string>> {
  const all = await servers.eachMaster((client) => client.call('FUNCTION', 'LIST').catch(() => []));
  const names = new Set<string>();
  for (const list of all) {
    for (const library of Array.isArray(list) ? list : []) {
      const fields: readonly unknown[] = Array.isArray(library) ? library : [];
      const name = fields[fields.indexOf('library_name') + 1];
      if (typeof name === 'string') names.add(name);
    }
  }
  return names;
}
