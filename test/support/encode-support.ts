import type { RdbError } from '../../src/bytes/errors.js';
import { formatText } from '../../src/bytes/text.js';
import { type EncodeCounts, EncodedInput, type Refusal } from '../../src/json/encoded-input.js';
import { openInput } from '../../src/io/input.js';
import { parseTarget } from '../../src/values/targets.js';
import { framesOf } from './transcode-support.js';

export interface EncodeOptions {
  target?: string;
  allowLoss?: boolean;
  lenient?: boolean;
  /** Bytes a chunk. */
  chunks?: number;
  /** Go on after bad lines. */
  keepGoing?: boolean;
}

export interface Encoded {
  rdb: Uint8Array;
  refusals: Refusal[];
  warnings: string[];
  errors: RdbError[];
  counts: EncodeCounts;
  unknown: number;
}

/** Lines as an RDB, without a checksum. */
export async function encodeLines(lines: string | Uint8Array, { allowLoss = false, chunks, keepGoing = false, lenient = false, target }: EncodeOptions = {}): Promise<Encoded> {
  const bytes = typeof lines === 'string' ? new TextEncoder().encode(lines) : lines;
  const [refusals, warnings, errors, unknown, counts] = [[] as Refusal[], [] as string[], [] as RdbError[], { lenient, left: 0 }, { refused: 0, others: 0, adapted: 0, lost: 0 }];
  const input = new EncodedInput(openInput(bytes, { chunkSize: chunks, text: true }), {
    chosen: { target: target === undefined ? undefined : parseTarget(target) },
    allowLoss,
    counts,
    unknown,
    wanted: () => true,
    onBadLine: keepGoing ? (error) => void errors.push(error) : undefined,
    onRefusal: (refusal) => void refusals.push(refusal),
    onWarning: (warning) => void warnings.push(warning),
  });
  const parts: Uint8Array[] = [];
  for await (const chunk of input.chunks()) parts.push(chunk.slice());
  return { rdb: new Uint8Array(Buffer.concat(parts)), refusals, warnings, errors, counts, unknown: unknown.left };
}

/** The type of every key, as the file has it. */
export function typesOf(rdb: Uint8Array): [string, string][] {
  return Array.from(framesOf(rdb), (frame) => [`${frame.db} ${formatText(frame.keyBytes, frame.keyStart, frame.keyEnd)}`, frame.type.name]);
}

type Line = Record<string, unknown> & { type: string; value: unknown };

/** Lines as values, those without an order in an order of their own. What no RDB has is left out. */
export function comparable(lines: string): unknown[] {
  return lines.split('\n').slice(0, -1).map((text) => {
    const line = JSON.parse(text) as Line;
    if (line.type === 'set') return { ...line, value: [...(line.value as string[])].sort() };
    if (line.type === 'zset' || line.type === 'hash') return { ...line, value: Object.entries(line.value as object).sort(([a], [b]) => (a < b ? -1 : 1)) };
    return line;
  });
}
