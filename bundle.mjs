/**
 * Bundles the command line into dist/bin: what every command needs in one file, since each further one costs start-up time. And the page
 * of `inspect --html` into one file, which waits for its data.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
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
await build({ ...options, entryPoints: [join(DIST, 'workers', 'decode-worker.js')] }); // shares nothing with the main thread

const SOURCE = join(import.meta.dirname, 'src', 'page');
const { outputFiles } = await build({
  entryPoints: [join(SOURCE, 'main.ts'), join(SOURCE, 'page.css')],
  bundle: true,
  minify: true,
  charset: 'utf8',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  legalComments: 'none', // the licences stand in the page
  tsconfig: join(SOURCE, 'tsconfig.json'),
  logLevel: 'warning',
  write: false,
  outdir: DIST,
});
const made = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text.trim();
const script = made('.js');
const style = readFileSync(join(import.meta.dirname, 'node_modules', 'uplot', 'dist', 'uPlot.min.css'), 'utf8').trim() + made('.css');
const licences = ['d3-hierarchy', 'uplot'].map((name) => `${name}\n\n${readFileSync(join(import.meta.dirname, 'node_modules', name, 'LICENSE'), 'utf8')}`);
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const parts = {
  policy: `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`,
  style,
  script,
  licences: licences.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
};
const page = readFileSync(join(SOURCE, 'page.html'), 'utf8').replace(/<!--(policy|style|script|licences)-->/g, (_, name) => parts[name]);
for (const folder of ['dist/bin', 'src/inspect']) writeFileSync(join(import.meta.dirname, folder, 'page.html'), page);
