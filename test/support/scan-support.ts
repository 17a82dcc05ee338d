import { openSocket } from '../../src/redis/connect.js';
import { parseServerUrl } from '../../src/redis/url.js';
import type { NodeScanTarget } from '../../src/live/scan/scan-terms.js';
import { ScanInput, type ScanInputOptions } from '../../src/live/scan/scan-input.js';
import { decodeBytes } from './support.js';

type Options = Omit<ScanInputOptions, 'name'>;

/** A server that listens at a port of this machine, as a target of scans; `onOpen` is called with each connection. */
export function scanTarget(port: number, onOpen?: () => void, login = '', withoutInfo = false): NodeScanTarget {
  const access = { url: parseServerUrl(`redis://${login}127.0.0.1:${port}`), withoutInfo };
  return {
    name: `127.0.0.1:${port}`,
    open: () => {
      onOpen?.();
      return openSocket(access);
    },
  };
}

export interface Scanned {
  readonly input: ScanInput;
  readonly rdb: Uint8Array;
  /** Its keys as lines of JSON. */
  readonly lines: string;
  readonly notes: string[];
  readonly events: string[];
  readonly problems: string[];
}

/** Scans to the end; `onChunk` is waited for after each chunk. */
export async function scan(
  target: NodeScanTarget,
  options: Options = {},
  onChunk?: (input: ScanInput, chunk: Uint8Array) => Promise<void>,
): Promise<Scanned> {
  const [notes, events, problems]: string[][] = [[], [], []];
  const input = new ScanInput(target, {
    name: 'source',
    onNote: (text) => notes.push(text),
    onEvent: (text) => events.push(text),
    onProblem: (db, key, reason) => problems.push(`${db} ${Buffer.from(key).toString('latin1')}: ${reason}`),
    ...options,
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of input.chunks()) {
    chunks.push(chunk.slice());
    await onChunk?.(input, chunk);
  }
  const rdb = new Uint8Array(Buffer.concat(chunks));
  return { input, rdb, lines: (await decodeBytes(rdb, { meta: true })).lines, notes, events, problems };
}
