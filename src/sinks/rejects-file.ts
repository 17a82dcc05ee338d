import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { parsePayload } from '../rdb/payload.js';
import { TABLES } from '../rdb/types.js';
import { OutputError } from './output-error.js';
import type { Rejected } from './restore-progress.js';

/** Keys that are not on the target, as JSON lines: those of `dump --format payload`, with `error`, and `server` where one refused it. */
export class RejectsFile {
  bytes = 0;
  private readonly fd: number;

  /** Goes on behind the first `keep` bytes of what there is. Throws OutputError. */
  constructor(
    private readonly path: string,
    keep: number,
  ) {
    this.fd = this.guarded(() => openSync(path, keep > 0 ? 'r+' : 'w', 0o600));
    this.bytes = keep;
    this.guarded(() => ftruncateSync(this.fd, keep));
  }

  add(rejects: readonly Rejected[]): void {
    const text = rejects.map((rejected) => `${JSON.stringify(lineOf(rejected))}\n`).join('');
    const bytes = Buffer.from(text);
    this.guarded(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at, bytes.length - at, this.bytes + at);
    });
    this.bytes += bytes.length;
  }

  /** Begins anew. */
  clear(): void {
    this.guarded(() => ftruncateSync(this.fd, 0));
    this.bytes = 0;
  }

  sync(): void {
    this.guarded(() => fsyncSync(this.fd));
  }

  close(): void {
    closeSync(this.fd);
  }

  private guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw OutputError.from(this.path, error);
    }
  }
}

function lineOf({ db, error, expireAt, key, payload, server }: Rejected): object {
  const parsed = payload === undefined ? undefined : parsePayload(payload);
  const type = parsed === undefined ? undefined : TABLES[parsed.vendor].types[parsed.type]?.redisType;
  return { db, key, type, expireAt: expireAt === undefined ? undefined : Number(expireAt), payload: payload === undefined ? undefined : Buffer.from(payload).toString('base64'), error, server };
}
