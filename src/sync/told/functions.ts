import type { Redis } from 'ioredis';
import type { LiveSource } from '../../live/live-source.js';
import { ConnectionLost, reasonOf } from '../../redis/errors.js';
import type { Master, Servers } from '../../redis/servers.js';
import { libraryName } from '../../values/meta.js';

export interface FunctionsOptions {
  readonly source: LiveSource;
  readonly target: Servers;
  readonly onNote: ((text: string) => void) | undefined;
  /** Libraries that other sources of the same target have: they stay. */
  readonly others?: (() => Promise<ReadonlySet<string>>) | undefined;
}

/** Function libraries, which nothing tells of: looked at every round. */
export class Functions {
  /** Libraries that the target had before, by name. */
  private foreign: ReadonlySet<string> = new Set();
  /** What the source had last. */
  private last: string | undefined;
  private readonly told = new Set<string>();
  /** Libraries that are not the same at all masters of the source. */
  conflicts: readonly string[] = [];

  constructor(private readonly options: FunctionsOptions) {}

  /** To be called before the full copy. Libraries of the target are not ours, and stay. */
  async begin(): Promise<void> {
    const { target } = this.options;
    const all = await target.eachMaster((client) => librariesOf(client));
    this.foreign = new Set(all.flatMap((libraries) => [...(libraries ?? new Map<string, Buffer>()).keys()]));
  }

  /** Whether they have changed; the target then has the same ones. Throws ServerError and ConnectionLost. */
  async round(): Promise<boolean> {
    const { source, target } = this.options;
    const libraries = this.united(await lost(() => source.servers.eachMaster(librariesAt)));
    if (libraries === undefined) return false;
    const now = [...libraries].map(([name, code]) => `${name}\n${code.toString('latin1')}`).join('\n');
    if (now === this.last || (this.last === undefined && libraries.size === 0)) return false;
    const others = (await lost(async () => this.options.others?.())) ?? new Set<string>();
    await target.eachMaster(async (client) => {
      const there = (await librariesOf(client)) ?? new Map<string, Buffer>();
      for (const [name, code] of libraries) {
        if (there.get(name)?.equals(code) === true || (there.has(name) && others.has(name))) continue;
        await this.run(client, name, 'LOAD', 'REPLACE', code);
      }
      const isOurs = (name: string): boolean => !this.foreign.has(name) && !others.has(name);
      for (const name of there.keys()) if (!libraries.has(name) && isOurs(name)) await this.run(client, name, 'DELETE', name);
    });
    this.last = now;
    return true;
  }

  /** Those of any master; where they differ, that of the first one. Undefined if a master does not tell. */
  private united(all: readonly LibrariesAt[]): Map<string, Buffer> | undefined {
    const united = new Map<string, Buffer>();
    const from = new Map<string, string>();
    const conflicts: string[] = [];
    for (const { libraries, master } of all) {
      if (libraries === undefined) return undefined;
      for (const [name, code] of libraries) {
        const first = united.get(name);
        if (first === undefined) from.set(name, master);
        united.set(name, first ?? code);
        if (first?.equals(code) === false) conflicts.push(`function library ${name} at ${master} is not the one at ${from.get(name)}`);
      }
    }
    this.conflicts = conflicts;
    return united;
  }

  private async run(client: Redis, library: string, ...words: (string | Buffer)[]): Promise<void> {
    try {
      await client.callBuffer('FUNCTION', ...words);
    } catch (error) {
      if (!isReply(error)) throw error;
      const text = `the target refused FUNCTION ${String(words[0])} of library ${library}: ${reasonOf(error)}`;
      if (!this.told.has(text)) this.options.onNote?.(text);
      this.told.add(text);
    }
  }
}

interface LibrariesAt {
  readonly master: string;
  readonly libraries: Map<string, Buffer> | undefined;
}

const librariesAt = async (client: Redis, { name }: Master): Promise<LibrariesAt> => ({
  master: name,
  libraries: await librariesOf(client),
});

/** By name, with their code; undefined if the server does not tell. */
async function librariesOf(client: Redis): Promise<Map<string, Buffer> | undefined> {
  const reply: unknown = await client.callBuffer('FUNCTION', 'LIST', 'WITHCODE').catch((error: unknown) => {
    if (isReply(error)) return undefined;
    throw error;
  });
  if (!Array.isArray(reply)) return undefined;
  const found = new Map<string, Buffer>();
  for (const library of reply) {
    const fields: readonly unknown[] = Array.isArray(library) ? library : [];
    const at = fields.findIndex((field) => Buffer.isBuffer(field) && field.toString() === 'library_code');
    const code = at < 0 ? undefined : fields[at + 1];
    if (Buffer.isBuffer(code)) found.set(libraryName(code), code);
  }
  return found;
}

const isReply = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError';

async function lost<T>(asked: () => Promise<T>): Promise<T> {
  try {
    return await asked();
  } catch (error) {
    throw new ConnectionLost(reasonOf(error), { cause: error });
  }
}
