import { type FileEnds, fileEnds, type Manifest, type ManifestFile, type ManifestShard, writeManifest } from '../pipeline/manifest.js';
import type { LiveFacts, ShardFacts } from '../live/facts.js';
import { OutputError } from '../io/output-error.js';
import type { Edits } from '../pipeline/passes.js';
import type { RunSummary } from '../pipeline/run.js';
import type { SourceHead } from '../pipeline/source-heads.js';
import type { DumpSinkOptions } from '../dump/dump-sink.js';
import type { LiveRunOptions } from './live-sources.js';
import type { DumpedFile } from './shards.js';

/** The options of a dump that may change what its files have. */
type BackupOptions = LiveRunOptions &
  Pick<DumpSinkOptions, 'allowLoss' | 'dbMap' | 'functions' | 'stripTtl' | 'target'> &
  Pick<Edits, 'keyPrefixMap'>;

/** What a manifest tells of a dump: collected while it runs, written after it. */
export class Backup {
  private readonly heads = new Map<string, SourceHead>();
  private facts: LiveFacts | undefined;

  constructor(
    private readonly path: string,
    private readonly options: BackupOptions,
  ) {}

  /** What a source tells before its first key. */
  readonly head = (head: SourceHead): void => {
    this.heads.set(head.source, head);
    this.options.onHead?.(head);
  };

  /** The server that is going to be read, perhaps once more. */
  begin(facts: LiveFacts): void {
    this.facts = facts;
    this.heads.clear();
  }

  /** Writes the manifest of files that are complete. Throws OutputError. */
  async write({ files, gaps = [] }: RunSummary & { readonly files: readonly DumpedFile[] }): Promise<void> {
    const { facts } = this;
    if (facts === undefined) throw new TypeError('a manifest is for servers only');
    const options = changesOf(this.options, facts.name);
    const described: ManifestFile[] = [];
    for (const file of files) described.push(await this.described(file, facts));
    const manifest: Manifest = {
      created: new Date().toISOString(),
      source: facts.name,
      ...(facts.version === undefined ? {} : { server: facts.version }),
      clustered: facts.clustered,
      via: facts.way,
      ...(options.some(({ leavesOut }) => leavesOut) ? { filtered: true } : {}),
      ...(options.length > 0 ? { options: options.map(({ name }) => name) } : {}),
      ...(gaps.length > 0 ? { gaps } : {}),
      files: described,
    };
    try {
      await writeManifest(this.path, manifest);
    } catch (error) {
      if (error instanceof OutputError) error.advice = `The files of the backup are complete. ${error.advice ?? ''}`.trim();
      throw error;
    }
  }

  private async described({ damaged, keys, output, refused, shards }: DumpedFile, facts: LiveFacts): Promise<ManifestFile> {
    return {
      file: output,
      ...(await endsOf(output)),
      keys,
      ...(refused > 0 ? { refused } : {}),
      ...(damaged > 0 ? { damaged } : {}),
      shards: facts.shards.filter(({ name }) => shards.includes(name)).map((shard) => this.shard(shard)),
    };
  }

  private shard({ id, name, node, replicaOf, slots }: ShardFacts): ManifestShard {
    const { replication } = this.heads.get(name) ?? {};
    return {
      node,
      ...(replicaOf === undefined ? {} : { replicaOf }),
      ...(id === '' ? {} : { nodeId: id }),
      slots,
      ...(replication === undefined ? {} : { replicationId: replication.id, replicationOffset: replication.offset }),
      ...(replication?.streamDb === undefined ? {} : { streamDb: replication.streamDb }),
    };
  }
}

async function endsOf(path: string): Promise<FileEnds> {
  try {
    return await fileEnds(path);
  } catch (error) {
    throw OutputError.from(path, error);
  }
}

interface Change {
  readonly name: string;
  /** Whether it leaves out what the servers have. */
  readonly leavesOut: boolean;
}

/** The options that make the files differ from what the servers have. */
function changesOf(options: BackupOptions, source: string): Change[] {
  const { allowLoss, dbMap, functions, keyPrefixMap, limit, live, skipDamaged, stripTtl, target } = options;
  const filter = live?.get(source)?.filter ?? options.filter ?? {}; // with the database that the URL names
  const chosen = Object.entries(filter as Readonly<Record<string, unknown>>)
    .filter(([name, given]) => name !== 'now' && given !== undefined && !(Array.isArray(given) && given.length === 0))
    .map(([name]) => ({ name: optionName(name), leavesOut: true }));
  const others: readonly (readonly [name: string, given: boolean, leavesOut: boolean])[] = [
    ['limit', limit !== undefined, true],
    ['skipDamaged', skipDamaged === true, true],
    ['noFunctions', functions === false, true],
    ['allowLoss', allowLoss === true, true],
    ['stripTtl', stripTtl === true, false],
    ['dbMap', dbMap !== undefined, false],
    ['keyPrefixMap', keyPrefixMap !== undefined, false],
    ['targetVersion', target !== undefined, false],
  ];
  return [...chosen, ...others.flatMap(([name, given, leavesOut]) => (given ? [{ name: optionName(name), leavesOut }] : []))];
}

const optionName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
