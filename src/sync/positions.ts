import { formatText } from '../bytes/text.js';
import { startsWith } from '../values/filters.js';
import { SyncError } from './errors.js';
import { parseRecord, RECORD_PREFIX, type RecordKeys } from './record.js';

/** The keys in which syncs keep their positions, as they come from a source: they are not copied. */
export class Positions {
  readonly prefixes: readonly Uint8Array[];

  constructor(
    private readonly keys: RecordKeys,
    /** Replication ids of the target. */
    private readonly targetIds: readonly string[],
  ) {
    this.prefixes = [...new Set([keys.prefix, RECORD_PREFIX])].map((prefix) => Buffer.from(prefix));
  }

  has(bytes: Uint8Array, start: number, end: number): boolean {
    for (let i = 0; i < this.prefixes.length; i++) if (startsWith(bytes, start, end, this.prefixes[i])) return true;
    return false;
  }

  /**
   * Looks at a command that writes one. Throws SyncError if that shows that what is written to the target comes back to the source.
   * @param lane name of the source master
   */
  check(lane: string, args: readonly Uint8Array[]): void {
    const [key, ...rest] = args.slice(1).map((arg) => Buffer.from(arg).toString('latin1'));
    const own = `${this.keys.prefix}${this.keys.id}`;
    const isOwn = key === own || key.startsWith(`${own}{`) || key.startsWith(`${own}:`);
    const isBack = rest.some((text) => text.startsWith('{') && this.targetIds.includes(parseRecord(text)?.id ?? ''));
    if (!isOwn && !isBack) return;
    const why = isOwn ? 'the positions of this sync come back in its writes' : 'another sync copies the target into it';
    const name = formatText(args[1], 0, args[1].length);
    throw new SyncError(lane, `${why} (key ${name}), so that writes would go round and round: a sync goes one way only`);
  }
}
