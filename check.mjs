/*
 * Build, types and lint, then all tests: `npm run check`. Lint takes longest, and needs one core as the others do: it runs beside them, and
 * what it says comes when they are done. Tests begin only when all of it is well.
 */
import { spawn } from 'node:child_process';

const npm = (script, stdio = 'inherit') => spawn('npm', ['run', script], { stdio });

/** Whether it ended well. */
const ended = (run) => new Promise((resolve) => run.on('close', (code) => resolve(code === 0)));

async function check() {
  const lint = npm('lint', ['ignore', 'pipe', 'pipe']);
  const said = [];
  for (const stream of [lint.stdout, lint.stderr]) stream.on('data', (chunk) => said.push(chunk));
  const lintEnded = ended(lint);
  const built = (await ended(npm('build'))) && (await ended(npm('types')));
  const linted = await lintEnded;
  process.stdout.write(Buffer.concat(said));
  return built && linted && ended(npm('test'));
}

process.exitCode = (await check()) ? 0 : 1;
