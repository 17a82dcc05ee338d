/** Bundles the command line into dist/bin: what every command needs in one file, since each further one costs start-up time. */
import { readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { build } from 'esbuild';

const DIST = join(import.meta.dirname, 'dist');
const MAIN = join(DIST, 'cli', 'main.js');

/** esbuild puts files into one chunk if the same entries reach them: so all of ours reach `main`, those loaded on demand too. */
const reachMain = {
  name: 'reach-main',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/ }, ({ path }) =>
      path.startsWith(DIST + sep) ? { contents: `${readFileSync(path, 'utf8')}\nimport ${JSON.stringify(MAIN)};` } : undefined,
    ),
};

const options = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
  outdir: join(DIST, 'bin'),
};

await build({ ...options, entryPoints: [join(DIST, 'cli', 'process.js')], splitting: true, plugins: [reachMain] });
// what threads run shares nothing with the main one
for (const [room, worker] of [['workers', 'decode-worker.js'], ['inspect', 'tally-worker.js']]) {
  await build({ ...options, entryPoints: [join(DIST, room, worker)] });
}
