import { readFileSync } from 'node:fs';

/** Package and repository have the same layout above `src/cli` and `dist/cli`. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
