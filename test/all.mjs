/*
 * All tests, in two runs of vitest: first those without servers, with a quarter of their random inputs unless RDBKIT_TEST_RUNS says
 * otherwise, then those with servers. Not both at a time: on a slow machine, what a test waits for would come too late. What failed
 * is said once more at the end, where nobody has to look for it among thousands of lines. With arguments it is one run of vitest.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const REPORTERS = ['--reporter=default', `--reporter=${join(import.meta.dirname, 'support/failures.mjs')}`];

/** How a run of vitest ended: its exit code, or the name of the signal that ended it. */
function ending(args, env = {}) {
  const run = spawn(process.execPath, [VITEST, 'run', ...args], { cwd: ROOT, stdio: 'inherit', env: { ...env, ...process.env } });
  return new Promise((resolve) => run.on('close', (code, signal) => resolve(code ?? signal)));
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return 'The run did not come to its end.\n';
  }
}

async function all() {
  const folder = mkdtempSync(join(tmpdir(), 'rdbkit-failures-'));
  let failures = '';
  for (const [name, project, env] of [
    ['without servers', '!servers', { RDBKIT_TEST_RUNS: '0.25' }],
    ['with servers', 'servers', {}],
  ]) {
    const path = join(folder, project);
    const end = await ending(['--project', project, ...REPORTERS], { ...env, RDBKIT_TEST_FAILURES: path });
    if (end !== 0) {
      failures += `\nTests ${name}: vitest ended with ${end}. ${read(path)}`;
    }
  }
  rmSync(folder, { recursive: true });
  process.stdout.write(failures);
  return failures === '';
}

const args = process.argv.slice(2);
process.exitCode = (args.length > 0 ? (await ending(args)) === 0 : await all()) ? 0 : 1;
