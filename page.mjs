/** Bundles each page of src/page into one file: that of `inspect --html`, which waits for its data, and that of `sync --status`. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = import.meta.dirname;
const PAGE = join(ROOT, 'src', 'page');
const packaged = (...path) => readFileSync(join(ROOT, 'node_modules', ...path), 'utf8').trim();
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** @param more what the policy of the page allows beside its own script and style */
async function makePage(name, out, packages, more) {
  const { outputFiles } = await build({
    entryPoints: [join(PAGE, `${name}.ts`), join(PAGE, `${name}.css`)],
    bundle: true,
    minify: true,
    charset: 'utf8',
    target: ['chrome111', 'firefox113', 'safari16.4'],
    legalComments: 'none', // the licences stand in the page
    tsconfig: join(PAGE, 'tsconfig.json'),
    logLevel: 'warning',
    write: false,
    outdir: PAGE,
  });
  const made = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text.trim();
  const script = made('.js');
  const style = packaged('uplot', 'dist', 'uPlot.min.css') + made('.css');
  const licences = packages.map((name) => `${name}\n\n${packaged(name, 'LICENSE')}`).join('\n\n');
  const parts = {
    policy:
      `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; ${more}` +
      "base-uri 'none'; form-action 'none'",
    style,
    script,
    licences: licences.replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
  };
  const skeleton = readFileSync(join(PAGE, `${name}.html`), 'utf8');
  const page = skeleton.replace(/<!--(policy|style|script|licences)-->/g, (_, part) => parts[part]);
  writeFileSync(join(ROOT, 'src', ...out), page);
}

await makePage('report', ['inspect', 'page.html'], ['d3-hierarchy', 'uplot'], '');
await makePage('status', ['status', 'status-page.html'], ['uplot'], "connect-src 'self'; ");
