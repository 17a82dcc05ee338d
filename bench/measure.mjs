// Times whole processes, side by side, and writes the results as Markdown tables. No command of its own: see bench/decode.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';

/** A process that takes longer than this is run once: its first run is the result. */
const SLOW_SECONDS = 60;

export const TIME = '/usr/bin/time';
export const hasTime = existsSync(TIME) && /^\d+$/.test(spawnSync(TIME, ['-q', '-f', '%M', 'true'], { encoding: 'utf8' }).stderr.trim());

/** Runs a command: its seconds, the peak memory of its largest process (where GNU time is installed), and why it failed if it did. */
function run({ file, args, output, floods = false }, cwd) {
  if (output !== undefined) rmSync(output, { force: true });
  const [program, ...all] = hasTime ? [TIME, '-q', '-f', '%M', file, ...args] : [file, ...args];
  const start = performance.now();
  const result = spawnSync(program, all, { cwd, stdio: ['ignore', floods ? 'ignore' : 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 1 << 28 });
  const seconds = (performance.now() - start) / 1000;
  if (output !== undefined) rmSync(output, { force: true });
  if (result.error !== undefined) return { failure: result.error.message };
  const messages = result.stderr.trim().split('\n');
  const megabytes = hasTime ? Number(messages.pop()) / 1024 : NaN;
  const error = /^error: .*/im.exec(result.stdout ?? '')?.[0]; // some exit with 0 nevertheless
  if (result.status === 0 && error === undefined) return { seconds, megabytes };
  return { failure: error ?? messages.findLast((line) => line !== '') ?? `exit code ${result.status}` };
}

/** Runs the commands in turn, once to warm the caches and then `runs` times. */
export function compare(commands, runs, cwd) {
  const results = commands.map((command) => {
    process.stderr.write(`  ${command.name} … `);
    const first = run(command, cwd);
    process.stderr.write(`${first.failure ?? `${number(first.seconds)} s`}\n`);
    const once = first.failure !== undefined || first.seconds > SLOW_SECONDS;
    return { command, once, failure: first.failure, seconds: once ? [first.seconds] : [], peak: first.megabytes };
  });
  for (let i = 0; i < runs; i++) {
    for (const result of results.filter(({ once }) => !once)) {
      const { failure, seconds, megabytes } = run(result.command, cwd);
      if (failure !== undefined) Object.assign(result, { failure, once: true });
      result.seconds.push(seconds);
      result.peak = Math.max(result.peak, megabytes);
    }
  }
  return results.map(({ command: { name, about }, ...result }) => ({ name, label: about === undefined ? name : `${name} (${about})`, ...result, median: median(result.seconds) }));
}

/** The results as a Markdown table, with one column of ratios for each command named in `bases`. */
export function table(results, bytes, bases) {
  const present = bases.map((name) => results.find((result) => result.name === name && result.failure === undefined)).filter((base) => base !== undefined);
  const heads = ['command', 'seconds', 'least–most', ...present.map(({ name }) => `× ${name}`), 'MB/s in', 'peak MB'];
  const rows = results.map(({ label, failure, once, seconds, median, peak }) => {
    if (failure !== undefined) return [label, '–', `failed: ${failure.replaceAll('|', '\\|').slice(0, 100)}`, ...present.map(() => '–'), '–', '–'];
    const range = once ? 'one run' : `${number(Math.min(...seconds))}–${number(Math.max(...seconds))}`;
    return [label, number(median), range, ...present.map((base) => (median / base.median).toFixed(2)), (bytes / 1e6 / median).toFixed(0), whole(peak)];
  });
  return markdown([heads, ...rows]);
}

/** Rows, the heads first, as a Markdown table: the first column left, the others right. */
export function markdown([heads, ...rows]) {
  return [heads, heads.map((_, i) => (i === 0 ? '---' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Seconds, and whole megabytes, for people. */
export const number = (seconds) => seconds.toFixed(seconds < 1 ? 3 : 2);
export const whole = (megabytes) => (Number.isNaN(megabytes) ? '–' : megabytes.toFixed(0));

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
