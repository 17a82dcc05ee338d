import { EMPTY } from '../../encodings/element.js';
import { compileKeyFilter, type FilterOptions, type KeyPlace } from '../../values/filters.js';
import type { KeyPrefixes } from '../../values/key-prefixes.js';
import type { Choice } from '../choice.js';
import type { KeyName } from '../fences.js';
import type { Positions } from '../positions.js';

export interface NamesOptions {
  readonly choice: Choice;
  readonly filter: FilterOptions;
  /** Other names on the target. */
  readonly prefixes: KeyPrefixes | undefined;
  readonly positions: Positions;
}

/** Which keys of the source are wanted, and which of the target they become. */
export class Names {
  private readonly passes: ((key: KeyPlace) => boolean) | undefined;
  private readonly place: KeyPlace = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(private readonly options: NamesOptions) {
    this.passes = compileKeyFilter(options.filter);
  }

  /** Whether a name is, in some database. */
  wants(bytes: Uint8Array, start: number, end: number): boolean {
    const { passes, place } = this;
    if (this.options.positions.has(bytes, start, end)) return false;
    if (passes === undefined) return true;
    place.keyBytes = bytes;
    place.keyStart = start;
    place.keyEnd = end;
    return passes(place);
  }

  /** Keys of the target that this name becomes in these databases of the source. Its bytes are copied. */
  targets(databases: readonly number[], key: Uint8Array): KeyName[] {
    const { choice, prefixes } = this.options;
    const wanted = databases.filter((db) => choice.wants?.(db, key, 0, key.length) !== false);
    if (wanted.length === 0) return [];
    const { keyBytes, keyEnd, keyStart } = prefixes?.nameOf({ keyBytes: key, keyStart: 0, keyEnd: key.length }) ?? whole(key);
    const name = keyBytes.slice(keyStart, keyEnd);
    return [...new Set(wanted.map((db) => choice.target(db)))].map((db) => ({ db, key: name }));
  }

  /** The wanted keys of the source that become this one of the target. */
  sources({ db, key }: KeyName): KeyName[] {
    const { choice, positions, prefixes } = this.options;
    if (positions.has(key, 0, key.length)) return [];
    const names: Uint8Array[] = [];
    if (prefixes === undefined) names.push(key);
    else {
      prefixes.hadName(whole(key), ({ keyBytes, keyEnd, keyStart }) => {
        names.push(keyBytes.slice(keyStart, keyEnd));
        return false;
      });
    }
    const all = choice.sources(db).flatMap((from) => names.map((name) => ({ db: from, key: name })));
    const isWanted = (from: number, name: Uint8Array): boolean =>
      choice.wants?.(from, name, 0, name.length) !== false && !positions.has(name, 0, name.length);
    return all.filter((name) => isWanted(name.db, name.key));
  }
}

const whole = (key: Uint8Array): KeyPlace => ({ keyBytes: key, keyStart: 0, keyEnd: key.length });
