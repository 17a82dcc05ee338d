import { encodeCommand } from '../../redis/commands.js';
import type { Target } from '../../values/targets.js';
import type { Fetched } from './fetcher.js';

export interface FetchedWriterOptions {
  readonly target: Target;
  readonly hold: number;
  readonly allowLoss?: unknown;
}

export class FetchedWriter {
  constructor(private readonly options: FetchedWriterOptions) {}

  commands(key: Uint8Array, { expireAt, payload }: Fetched): Promise<Uint8Array[] | string> {
    if (payload === undefined) return Promise.resolve([encodeCommand(['DEL', key])]);
    const at = expireAt < 0 ? 0 : expireAt + this.options.hold;
    return Promise.resolve([encodeCommand(['RESTORE', key, `${at}`, payload, 'REPLACE', 'ABSTTL'])]);
  }
}
