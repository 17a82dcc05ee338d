import { open, rename, unlink } from 'node:fs/promises';
import { OutputError } from './output-error.js';

export interface JsonFileOptions {
  /** Permissions of the file (default: those that the process gives new files). */
  readonly mode?: number | undefined;
  /** Only write it beside, and remove that again. */
  readonly trial?: boolean | undefined;
}

/** Replaces a file of JSON atomically. Throws OutputError. */
export async function writeJsonFile(path: string, content: unknown, { mode = 0o666, trial = false }: JsonFileOptions = {}): Promise<void> {
  const beside = `${path}.tmp`;
  try {
    const file = await open(beside, 'w', mode);
    try {
      await file.writeFile(`${JSON.stringify(content, undefined, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await (trial ? unlink(beside) : rename(beside, path));
  } catch (error) {
    await unlink(beside).catch(() => undefined);
    throw OutputError.from(path, error);
  }
}
