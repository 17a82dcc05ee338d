import { Framer } from '../rdb/framer.js';
import { VALKEY_VERSION } from '../rdb/payload.js';
import type { RdbFormat } from './rdb-file.js';
import { fileSize, openInput } from '../io/input.js';

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
  const framer = new Framer({ checksum: false });
  try {
    for await (const chunk of openInput(source, { chunkSize: 1 << 12 }).chunks()) {
      framer.push(chunk);
      framer.next();
      if (framer.version > 0) break;
    }
  } catch {
    // what stands before it is known
  }
  const { version } = framer;
  return version === 0 ? undefined : { vendor: version >= VALKEY_VERSION ? 'valkey' : 'redis', version };
}
