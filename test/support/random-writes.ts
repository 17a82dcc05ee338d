import type { Redis } from 'ioredis';
import { BLOCKING, COMMON, LEFT_OUT, NOT_IN_CLUSTERS, ONLY_IN_CLUSTERS, PREPARATION, RARE } from './random-commands.js';
import { Draw, type DrawOptions, type Word } from './random-draw.js';

/** What a server answers to COMMAND: names in lower case, subcommands after a bar. */
export interface ServerCommands {
  readonly all: ReadonlySet<string>;
  /** Those that may change keys, functions or databases. */
  readonly writes: ReadonlySet<string>;
}

type CommandReply = [name: string, arity: number, flags: string[], ...rest: unknown[]];

/** Where the subcommands are in a reply, since 7.0. */
const SUBCOMMANDS = 9;

export async function commandsOf(client: Redis): Promise<ServerCommands> {
  const all = new Set<string>();
  const writes = new Set<string>();
  const add = (command: CommandReply): void => {
    const subcommands = (command[SUBCOMMANDS] ?? []) as CommandReply[];
    subcommands.forEach(add);
    if (subcommands.length > 0) return;
    const name = command[0].toLowerCase(); // those of modules come as the module wrote them
    all.add(name);
    if (command[2].includes('write')) writes.add(name);
  };
  ((await client.call('COMMAND')) as CommandReply[]).forEach(add);
  return { all, writes };
}

/** Servers before 7.0 do not list subcommands. */
const lists = (names: ReadonlySet<string>, name: string): boolean => names.has(name) || names.has(name.split('|', 1)[0]);

const MADE = new Set([COMMON, RARE, BLOCKING].flatMap((makers) => Object.keys(makers)));

/** Write commands that RandomWrites does not make, and no reason is given for. */
export function uncovered({ writes }: ServerCommands): string[] {
  const made = [...MADE].map((name) => name.split('|', 1)[0]);
  return [...writes].filter((name) => !MADE.has(name) && !made.includes(name) && !Object.hasOwn(LEFT_OUT, name));
}

export interface RandomWritesOptions extends Partial<Omit<DrawOptions, 'across'>> {
  /** What the server knows: nothing else is made. */
  readonly commands: Pick<ServerCommands, 'all'>;
  /** Commands that are not made. */
  readonly without?: readonly string[];
  /** For a node of a cluster: database 0, and no command that needs two. `tags` are then in slots of the node. */
  readonly cluster?: boolean;
  /** One in this number of commands is one that all keys of a database depend on, such as FLUSHDB. */
  readonly rareEvery?: number;
}

/** Takes commands: a RespWriter, or what looks at them. */
export interface Commands {
  command(...words: readonly Word[]): void;
}

/** An entry of a table that is drawn from. */
interface Entry {
  readonly name: string;
  readonly words: readonly string[];
  readonly make: (draw: Draw) => Word[];
}

/**
 * Random commands that write: all that a server has, on keys of a few hundred names, so that they meet. Most take effect. A unit is one
 * command, or MULTI, some, EXEC. The same seed makes the same commands, but for the times in them. Each connection needs one of its own,
 * since it knows which database is selected.
 */
export class RandomWrites {
  private readonly draw: Draw;
  private readonly common: readonly Entry[];
  private readonly rare: readonly Entry[];
  private readonly blocking: readonly Entry[];
  private readonly rareEvery: number;

  constructor({ commands, without = [], cluster = false, rareEvery = 5000, ...options }: RandomWritesOptions) {
    const databases = cluster ? [0] : (options.databases ?? [0, 1, 5, 15]);
    this.draw = new Draw({ seed: 1, tags: [''], prefix: '', hugeEvery: 5000, ...options, databases, across: !cluster });
    this.rareEvery = rareEvery;
    const left = [...without, ...(cluster ? NOT_IN_CLUSTERS : ONLY_IN_CLUSTERS)];
    const makes = (name: string): boolean => lists(commands.all, name) && !left.includes(name);
    [this.common, this.rare, this.blocking] = [COMMON, RARE, BLOCKING].map((makers) =>
      Object.entries(makers).flatMap(([name, [weight, make]]) =>
        makes(name) ? Array<Entry>(weight).fill({ name, words: wordsOf(name), make }) : [],
      ),
    );
  }

  /** What has to be sent before: it has as many replies as it returns. */
  prepare(out: Commands): number {
    for (const [name, ...words] of PREPARATION) out.command(...wordsOf(name), ...words);
    return PREPARATION.length + this.select(out, this.draw.options.databases[0]);
  }

  /** Writes the next unit, with a SELECT before some. Returns how many replies there will be. */
  next(out: Commands): number {
    const { draw } = this;
    const selected = draw.maybe(0.02) ? this.select(out, draw.otherDatabase()) : 0;
    draw.begin();
    if (!draw.maybe(0.04)) return selected + this.one(out, draw.maybe(1 / this.rareEvery) ? this.rare : this.common);
    return selected + this.transaction(out);
  }

  /** Writes a command that may wait for another client. */
  nextBlocking(out: Commands): number {
    const selected = this.draw.maybe(0.2) ? this.select(out, this.draw.otherDatabase()) : 0;
    this.draw.begin();
    return selected + this.one(out, this.blocking);
  }

  private transaction(out: Commands): number {
    const { draw } = this;
    const commands = draw.between(1, 6);
    out.command('MULTI');
    for (let i = 0; i < commands; i++) this.one(out, draw.maybe(0.2) ? this.blocking : this.common);
    out.command(draw.maybe(0.03) ? 'DISCARD' : 'EXEC');
    return commands + 2;
  }

  private one(out: Commands, entries: readonly Entry[]): number {
    if (entries.length === 0) return 0;
    const { make, words } = this.draw.one(entries);
    out.command(...words, ...make(this.draw));
    return 1;
  }

  /** Nothing where it is selected, or where the only one is 0. */
  private select(out: Commands, database: number): number {
    if (database === this.draw.database) return 0;
    this.draw.database = database;
    out.command('SELECT', database);
    return 1;
  }
}

const wordsOf = (name: string): string[] => name.toUpperCase().split('|');
