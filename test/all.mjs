/*
 * All tests, in two runs of vitest: first those without servers, with a quarter of their random inputs unless RDBKIT_TEST_RUNS says
 * otherwise, then those with servers. Not both at a time: on a slow machine, what a test waits for would come too late. With arguments
 * it is one run of vitest with these.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const VITEST = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs');

/** Whether a run ended well. */
function passes(args, env = {}) {
  const run = spawn(process.execPath, [VITEST, 'run', ...args], { stdio: 'inherit', env: { ...env, ...process.env } });
  return new Promise((resolve) => run.on('close', (code) => resolve(code === 0)));
}

async function all() {
  const others = await passes(['--project', '!servers'], { RDBKIT_TEST_RUNS: '0.25' });
  return (await passes(['--project', 'servers'])) && others;
}

const args = process.argv.slice(2);
process.exitCode = (await (args.length > 0 ? passes(args) : all())) ? 0 : 1;
