import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/**
 * Set up before tests that run the package: builds it from `src/`, once for all of them, into a folder that RDBKIT_TEST_PACKAGE names. So they
 * neither wait for nor disturb `dist/`. esbuild does it in a second, where tsc takes ten; types are checked elsewhere. Returns what removes it.
 */
export default function build(): (() => void) | undefined {
  if (process.env.RDBKIT_TEST_PACKAGE !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'rdbkit-package-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    buildInto(folder);
  } catch (error) {
    remove();
    throw error;
  }
  process.env.RDBKIT_TEST_PACKAGE = folder;
  return remove;
}

function buildInto(folder: string): void {
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  for (const file of ['package.json', 'bundle.mjs']) cpSync(join(root, file), join(folder, file));
  symlinkSync('rdbkit.js', join(folder, 'bin', 'rdbkit'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir');
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?<!\.d)\.ts$/.test(name) && !name.startsWith(join('kernels', 'assembly')) && !name.startsWith('page'))
    .map((name) => join('src', name));
  const form = ['--outbase=src', '--format=esm', '--target=node20', '--log-level=warning', `--outdir=${join(folder, 'dist')}`];
  execFileSync(join(root, 'node_modules', '.bin', 'esbuild'), [...sources, ...form], { cwd: root });
  execFileSync(process.execPath, ['bundle.mjs'], { cwd: folder });
  for (const to of ['kernels', 'bin']) cpSync(join(root, 'src', 'kernels', 'kernels.wasm'), join(folder, 'dist', to, 'kernels.wasm'));
  for (const [room, page] of [['inspect', 'page.html'], ['status', 'status-page.html']]) {
    cpSync(join(root, 'src', room, page), join(folder, 'dist', 'bin', page));
  }
}
