// The data of the benchmarks, made where it is not there. No command of its own: see bench/decode.mjs.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dataSets } from './data.mjs';
import { saveRdb } from './server.mjs';

/** Where everything is that the benchmarks make. */
export const folder = join(import.meta.dirname, 'data');
mkdirSync(folder, { recursive: true });

export const size = (path) => statSync(path).size;
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** The data set's file, made if it is not there. */
export async function made(name, scale) {
  const rdb = join(folder, `${name}-${scale}.rdb`);
  if (existsSync(rdb)) return rdb;
  process.stderr.write(`making ${basename(rdb)} … `);
  const start = performance.now();
  await saveRdb(rdb, dataSets[name].commands(scale));
  process.stderr.write(`${megabytes(size(rdb))} in ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  return rdb;
}
