// Servers for bench/restore.mjs, bench/live.mjs and bench/sync.mjs, on free ports of the loopback interface. It is no command itself.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What redis-cli prints; throws where the server answers with an error. */
export function cli(port, ...args) {
  const { status, stderr, stdout } = spawnSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' });
  if (status !== 0 || /^(?:ERR|\(error\))/.test(stdout)) throw new Error(`redis-cli ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** The bus of a cluster node listens 10,000 ports above. */
async function freePort() {
  for (;;) {
    const listener = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => listener.once('listening', done));
    const { port } = listener.address();
    await new Promise((done) => listener.close(done));
    if (port < 55_000) return port;
  }
}

/** Tries, 50 ms apart, until a server answers: it may have a file to load. */
const TRIES = 2000;

const started = [];

/** The port of a server that has loaded the file, if there is one. */
export async function startServer(options = [], rdb = undefined) {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'rdbkit-bench-'));
  if (rdb !== undefined) copyFileSync(rdb, join(dir, 'dump.rdb'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no', ...options];
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  const gone = new Promise((done) => child.once('exit', done));
  started.push({ child, dir, gone });
  for (let attempt = 0; spawnSync('redis-cli', ['-p', String(port), 'PING'], { encoding: 'utf8' }).stdout.trim() !== 'PONG'; attempt++) {
    if (attempt === TRIES) throw new Error('redis-server does not start');
    await delay(50);
  }
  return port;
}

/** Three masters without replicas: their ports, in the order of their slots. */
export async function startCluster(options = []) {
  const ports = [];
  for (let i = 0; i < 3; i++) ports.push(await startServer(['--cluster-enabled', 'yes', ...options]));
  cli(ports[0], '--cluster', 'create', ...ports.map((port) => `127.0.0.1:${port}`), '--cluster-yes');
  while (ports.some((port) => !cli(port, 'CLUSTER', 'INFO').includes('cluster_state:ok'))) await delay(100);
  return ports;
}

export async function stopServers() {
  for (const { child, dir, gone } of started.splice(0)) {
    child.kill('SIGKILL');
    await gone;
    rmSync(dir, { recursive: true, force: true });
  }
}
