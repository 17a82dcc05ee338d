import { plain } from '../bytes/plain.js';

/** All bytes of a source in one array. While they are put together, there are twice as many. */
export async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    all.push(chunk);
    size += chunk.length;
  }
  if (all.length === 1) return all[0];
  return plain(Buffer.concat(all, size));
}

const NEWLINE = 0x0a;

/** The lines of a source, without their ends; a last one that does not end, too, unless it is empty. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let begun: Uint8Array[] = [];
  const line = (end: Uint8Array): Uint8Array => {
    if (begun.length === 0) return end;
    const bytes = plain(Buffer.concat([...begun, end]));
    begun = [];
    return bytes;
  };
  for await (const chunk of chunks) {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      const whole = line(chunk.subarray(at, end));
      at = end + 1;
      yield whole;
    }
    if (at < chunk.length) begun.push(chunk.slice(at));
  }
  const rest = line(new Uint8Array(0));
  if (rest.length > 0) yield rest;
}
