/*
 * What servers make of what `rdbkit dump --target-version` writes for them: the numbers of docs/compatibility.md.
 *
 *     node bench/servers.mjs redis-server /opt/valkey-9.1/bin/valkey-server …
 *
 * Every file of fixtures/servers, for each server, is written as RDB, as commands and as payloads for the server's own release, and
 * loaded. Judge is DEBUG DIGEST, of the same server with the original, or of another of those given where it does not load that.
 * Prints a JSON line for each file and server, and what is wrong on standard error.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'fixtures', 'servers');
const files = readdirSync(folder).filter((name) => name.endsWith('.rdb') && !name.includes('modules'));
const binaries = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'rdbkit-servers-'));

function freePort() {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

/** A server of its own, started again where a file was too much for it. */
class Server {
  constructor(binary) {
    this.binary = binary;
    this.dir = mkdtempSync(join(work, 'server-'));
  }

  async start() {
    this.port = await freePort();
    const args = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.dir, '--save', '', '--enable-debug-command', 'yes'];
    rmSync(join(this.dir, 'dump.rdb'), { force: true });
    this.child = spawn(this.binary, args.map(String), { stdio: 'ignore' });
    this.gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.client = new Redis({ port: this.port, host: '127.0.0.1', protocol: 2, retryStrategy: (times) => (times < 100 ? 50 : null), maxRetriesPerRequest: 100 });
    this.client.on('error', () => undefined);
    const info = await this.client.info('server');
    const valkey = /valkey_version:(\S+)/.exec(info)?.[1];
    this.name = valkey === undefined ? `redis-${/redis_version:(\S+)/.exec(info)[1]}` : `valkey-${valkey}`;
    return this;
  }

  async stop() {
    this.client.disconnect();
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await this.gone;
    }
  }

  /** Replaces what it has by what the file has. Returns why not, if it does not load it. */
  async load(path) {
    writeFileSync(join(this.dir, 'dump.rdb'), readFileSync(path));
    const reload = this.client.call('DEBUG', 'RELOAD', 'NOSAVE').then(() => undefined, (error) => error.message);
    const error = await Promise.race([reload, this.gone.then(() => 'the server ended')]);
    if (error === undefined) return undefined;
    await delay(50);
    await this.stop();
    await this.start();
    return error;
  }

  digest() {
    return this.client.call('DEBUG', 'DIGEST');
  }

  /**
   * Of every key its DEBUG DIGEST-VALUE. Servers make that differently of a hash (field expiries) and of a sorted set (scores are
   * texts of up to 17 digits until 7.0, the shortest ones since): of these, what they answer.
   */
  async values() {
    const found = new Map();
    for (const db of await this.databases()) {
      await this.client.select(db);
      for (const key of await this.client.callBuffer('KEYS', '*')) {
        const type = await this.client.type(key);
        const answer = type === 'hash' ? this.fields(key) : type === 'zset' ? this.scores(key) : this.client.call('DEBUG', 'DIGEST-VALUE', key);
        found.set(`${db} ${key.toString('base64')}`, String(await answer));
      }
    }
    return found;
  }

  async scores(key) {
    const flat = await this.client.callBuffer('ZRANGE', key, 0, -1, 'WITHSCORES');
    const score = (text) => (/inf|nan/.test(text) ? text : Object.is(Number(text), -0) ? '-0' : String(Number(text)));
    return flat.map((item, i) => (i % 2 === 0 ? item.toString('base64') : score(item.toString()))).join(' ');
  }

  async fields(key) {
    const flat = (await this.client.callBuffer('HGETALL', key)).map((item) => item.toString('base64'));
    const names = await this.client.callBuffer('HKEYS', key);
    const expiries = await this.client.call('HPEXPIRETIME', key, 'FIELDS', names.length, ...names).catch(() => names.map(() => -1)); // unknown before 7.4
    return names.map((_, i) => `${flat[2 * i]}:${flat[2 * i + 1]}:${expiries[i]}`).sort().join(' ');
  }

  async databases() {
    return [...(await this.client.info('keyspace')).matchAll(/^db(\d+):/gm)].map((match) => Number(match[1]));
  }
}

function dump(file, format, target, out, ...more) {
  const args = [join(root, 'bin/rdbkit.js'), 'dump', join(folder, file), '--format', format, '--target-version', target, '-o', out, '--json', ...more];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  return { status, ...JSON.parse(stderr.trim().split('\n').at(-1)) };
}

const differing = (got, want) => [...got].filter(([key, digest]) => want.get(key) !== digest).map(([key]) => key);

/** What the original is, by a server that loads it. */
async function references(servers) {
  const found = new Map();
  for (const file of files) {
    for (const server of [...servers].reverse()) {
      if ((await server.load(join(folder, file))) !== undefined) continue;
      const values = await server.values();
      const digest = await server.digest();
      const persisted = new Map([...values].map(([key, value]) => [key, value.replaceAll(/:\d+(?= |$)/g, ':-1')]));
      found.set(file, { by: server.name, digest, values, persisted });
      break;
    }
  }
  return found;
}

async function restorePayloads(server, path) {
  let errors = 0;
  await server.client.flushall();
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const { db, expireAt = 0, freq, idle, key, payload } = JSON.parse(line);
    await server.client.select(db);
    const raw = key.startsWith('base64:') ? Buffer.from(key.slice(7), 'base64') : Buffer.from(key);
    const eviction = idle === undefined ? (freq === undefined ? [] : ['FREQ', freq]) : ['IDLETIME', idle];
    try {
      await server.client.call('RESTORE', raw, expireAt, Buffer.from(payload, 'base64'), 'REPLACE', 'ABSTTL', ...eviction);
    } catch (error) {
      errors++;
      process.stderr.write(`${server.name}: ${key}: ${error.message}\n`);
    }
  }
  return errors;
}

async function pipeCommands(server, path) {
  await server.client.flushall();
  const { stderr, stdout } = spawnSync('redis-cli', ['-p', server.port, '--pipe'], { input: readFileSync(path), encoding: 'utf8' });
  const count = /errors: (\d+), replies/.exec(stdout)?.[1];
  if (count !== '0') process.stderr.write(`${server.name}: ${stderr}${stdout}\n`);
  return count === undefined ? -1 : Number(count);
}

async function judge(server, file, reference) {
  const path = join(work, 'out');
  const original = (await server.load(join(folder, file))) ?? 'loaded';
  const own = original === 'loaded' ? await server.digest() : undefined;
  const written = dump(file, 'rdb', server.name, path);
  const { keys, keysAdapted, keysRefused, refused } = written;
  const failed = await server.load(path);
  const digest = await server.digest();
  const values = await server.values();
  const result = { file, server: server.name, original, keys, adapted: keysAdapted, refused: keysRefused, reasons: tally(refused), loaded: failed ?? values.size };
  result.sameDigest = own === undefined ? `${digest === reference.digest}, as of ${reference.by}` : digest === own;
  result.differing = differing(values, reference.values);
  const lossy = dump(file, 'rdb', server.name, path, '--allow-loss');
  const lossyFailed = await server.load(path);
  const all = await server.values();
  result.allowLoss = { keys: lossy.keys, lossy: lossy.keysLossy, refused: lossy.keysRefused, loaded: lossyFailed ?? all.size, differing: differing(all, lossy.keysLossy > 0 ? reference.persisted : reference.values) };
  dump(file, 'resp', server.name, path);
  result.pipeErrors = await pipeCommands(server, path);
  result.pipeSame = (await server.digest()) === digest;
  dump(file, 'payload', server.name, path);
  result.restoreErrors = await restorePayloads(server, path);
  result.restoreSame = (await server.digest()) === digest;
  return result;
}

function tally(refused) {
  const counts = {};
  for (const { reason } of refused) {
    const kind = reason.replace(/\d+ of \d+/, 'n of m');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

const servers = await Promise.all(binaries.map((binary) => new Server(binary).start()));
try {
  const known = await references(servers);
  for (const server of servers) {
    for (const file of files) process.stdout.write(`${JSON.stringify(await judge(server, file, known.get(file)))}\n`);
  }
} finally {
  for (const server of servers) await server.stop();
  rmSync(work, { recursive: true, force: true });
}
