/*
 * All tests, in two runs of vitest at the same time: those with servers wait most of the time, and the others compute
 * meanwhile, a quarter of their random inputs unless RDBKIT_TEST_RUNS says otherwise. What the others say comes when they
 * are done. With arguments it is one run of vitest with these.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const VITEST = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs');

const vitest = (args, stdio, env = {}) => spawn(process.execPath, [VITEST, 'run', ...args], { stdio, env: { ...env, ...process.env } });

/** Whether it ended well. */
const ended = (run) => new Promise((resolve) => run.on('close', (code) => resolve(code === 0)));

async function both() {
  const servers = vitest(['--project', 'servers'], 'inherit');
  const others = vitest(['--project', '!servers'], ['ignore', 'pipe', 'pipe'], { RDBKIT_TEST_RUNS: '0.25' });
  const said = [];
  for (const stream of [others.stdout, others.stderr]) stream.on('data', (chunk) => said.push(chunk));
  const othersEnded = ended(others).then((well) => {
    process.stdout.write(Buffer.concat(said));
    return well;
  });
  return (await Promise.all([ended(servers), othersEnded])).every(Boolean);
}

const args = process.argv.slice(2);
process.exitCode = (await (args.length > 0 ? ended(vitest(args, 'inherit')) : both())) ? 0 : 1;
