import { Framer } from '../rdb/framer.js';
import { VALKEY_VERSION } from '../rdb/payload.js';
import type { RdbFormat } from './rdb-file.js';
import { fileSize, openInput } from '../io/input.js';

/** Up to this version, the formats of Redis and Valkey are the same. */
const COMMON_VERSION = 11;

/**
 * The highest format version among the headers of the files, of the first vendor that has versions of its own. Bad files are
 * reported when they are read; standard input and pipes can be read only once and are not looked at.
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
    // everything before it is known
  }
  const { version } = framer;
  return version === 0 ? undefined : { vendor: version >= VALKEY_VERSION ? 'valkey' : 'redis', version };
}
