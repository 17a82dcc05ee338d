import type { RdbFormat } from '../sinks/rdb-file.js';
import { fileSize, openInput } from '../sources/input.js';

const HEADER_SIZE = 9;

/** Up to this version, Redis and Valkey write the same. */
const COMMON_VERSION = 11;

/**
 * The highest version that the files say in their headers, of the first one's vendor that has versions of its own. What is wrong
 * with a file is said when its turn comes; standard input and pipes can be read only once and have no say.
 */
export async function highestFormat(sources: readonly string[]): Promise<RdbFormat | undefined> {
  let highest: RdbFormat | undefined;
  for (const source of sources) {
    const format = source === '-' || fileSize(source) === undefined ? undefined : await formatOf(source);
    if (format === undefined) continue;
    highest ??= format;
    const fits = format.vendor === highest.vendor || highest.version <= COMMON_VERSION;
    if (fits && format.version > highest.version) highest = format;
  }
  return highest;
}

async function formatOf(source: string): Promise<RdbFormat | undefined> {
  let header = '';
  try {
    for await (const chunk of openInput(source, { chunkSize: 1 << 12 }).chunks()) {
      header += String.fromCharCode(...chunk.subarray(0, HEADER_SIZE - header.length));
      if (header.length === HEADER_SIZE) break;
    }
  } catch {
    return undefined;
  }
  const match = /^(?:REDIS(\d{4})|VALKEY(\d{3}))$/.exec(header);
  const version = Number(match?.[1] ?? match?.[2] ?? 0);
  return version === 0 ? undefined : { vendor: match?.[2] === undefined ? 'redis' : 'valkey', version };
}
