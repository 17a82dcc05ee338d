import { openInput } from '../io/input.js';

/** Bytes in which the first line of a file is looked for. */
const MOST = 1 << 20;

/** Which of these files are JSON lines with values, as `decode` writes them, and neither an RDB nor lines of payloads. */
export async function linesOfKeys(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const path of paths) if (await isLines(path)) found.add(path);
  return found;
}

/** What is wrong with a file is said by whoever reads it. */
async function isLines(path: string): Promise<boolean> {
  let text = '';
  try {
    for await (const chunk of openInput(path, { chunkSize: 1 << 16, text: true }).chunks()) {
      text += Buffer.from(chunk).toString('latin1');
      if (!/^\s*(?:\{|$)/.test(text)) return false;
      if (text.trimStart().includes('\n') || text.length > MOST) break;
    }
  } catch {
    return false;
  }
  const line = text.trimStart().split('\n', 1)[0];
  return line.startsWith('{') && !/"payload"\s*:\s*"/.test(line);
}
