import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';

const folder = join(import.meta.dirname, '../nodes/node_modules');

/** Binaries of Node that know zstd, each with its version: this one if it does, and those that test/nodes/package.json names. */
export const NODES: readonly (readonly [version: string, path: string])[] = [
  ...('createZstdDecompress' in zlib ? [process.execPath] : []),
  ...(existsSync(folder) ? readdirSync(folder) : []).map((name) => join(folder, name, 'bin/node')).filter((path) => existsSync(path)),
].map((path) => [execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim(), path]);

if (NODES.length === 0) throw new Error('no Node that knows zstd: run `npm ci --prefix test/nodes`, or the tests with Node 22.15 or later');
