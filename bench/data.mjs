// Makes the benchmark's data: fills a redis-server of its own with a realistic mix of keys and saves it as an RDB.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Mulberry32: the same numbers from the same seed, everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Commands for `count` keys: sessions as JSON, counters, blobs, small and large hashes, lists, sets, sorted sets, streams. */
export function* mixedCommands(count, seed = 1) {
  const random = generator(seed);
  const int = (from, to) => from + Math.floor(random() * (to - from + 1));
  const letters = (n) => Array.from({ length: n }, () => String.fromCharCode(97 + int(0, 25))).join('');
  const vocabulary = Array.from({ length: 3000 }, () => letters(int(3, 9)));
  const word = () => vocabulary[int(0, 2999)];
  const words = (n) => Array.from({ length: n }, word).join(' ');
  const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
  for (let i = 0; i < count; i++) {
    const p = random();
    if (p < 0.35) {
      const roles = times(3, word);
      const value = { id: i, user: word(), email: `${word()}@example.com`, roles, bio: words(int(3, 30)), ts: int(1, 2 ** 40) };
      yield ['SET', `session:${i}`, JSON.stringify(value), ...(random() < 0.5 ? ['EX', int(100000, 10000000)] : [])];
    } else if (p < 0.45) yield ['SET', `counter:${i}`, int(0, 2 ** int(1, 52))];
    else if (p < 0.5) yield ['SET', `blob:${i}`, Buffer.from(times(int(10, 400), () => int(0, 255)))];
    else if (p < 0.7) yield ['HSET', `user:${i}`, ...times(int(2, 14), (j) => [word() + j, random() < 0.7 ? words(int(1, 4)) : int(0, 2 ** 30)]).flat()];
    else if (p < 0.71) yield ['HSET', `bighash:${i}`, ...times(300, (j) => [`field:${j}`, words(6)]).flat()];
    else if (p < 0.8) yield ['RPUSH', `queue:${i}`, ...times(int(1, 40), () => (random() < 0.6 ? words(int(1, 6)) : int(-70000, 2 ** 33)))];
    else if (p < 0.85) yield ['SADD', `tags:${i}`, ...times(int(1, 20), word)];
    else if (p < 0.89) yield ['SADD', `ids:${i}`, ...times(int(1, 60), () => int(0, 2 ** [14, 30, 50][int(0, 2)]))];
    else if (p < 0.97) yield ['ZADD', `rank:${i}`, ...times(int(1, 30), (j) => [random() < 0.5 ? int(0, 1000) : Math.round(random() * 1e6) / 1000, word() + j]).flat()];
    else if (p < 0.975) yield ['ZADD', `bigrank:${i}`, ...times(400, (j) => [random() * 1e6, `member:${j}:${word()}`]).flat()];
    else if (p < 0.98) yield ['SADD', `bigset:${i}`, ...times(500, (j) => `m:${j}:${word()}`)];
    else for (let j = 0; j < int(1, 20); j++) yield ['XADD', `events:${i}`, `${1700000000000 + j * 1000 + 1}-0`, 'type', word(), 'payload', words(5), 'n', j];
  }
}

function encode(command) {
  const parts = [`*${command.length}\r\n`];
  for (const argument of command) {
    const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument));
    parts.push(`$${bytes.length}\r\n`, bytes, '\r\n');
  }
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** Sends the commands to a redis-server started for it, and leaves what it saves at `path`. */
export async function saveRdb(path, commands) {
  const folder = mkdtempSync(join(tmpdir(), 'rdbkit-bench-'));
  const socketPath = join(folder, 'redis.sock');
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--save', ''], { stdio: 'ignore' });
  try {
    const socket = await connect(socketPath);
    let replies = '';
    let saved = false;
    socket.on('data', (data) => {
      replies = (replies + data.toString('latin1')).slice(-64);
      const error = /-[A-Z]+ [^\r]*/.exec(data.toString('latin1'));
      if (error !== null) throw new Error(error[0]);
      saved = replies.endsWith('saved\r\n');
    });
    let batch = [];
    let size = 0;
    const send = async () => {
      if (!socket.write(Buffer.concat(batch))) await once(socket, 'drain');
      batch = [];
      size = 0;
    };
    for (const command of commands) {
      const bytes = encode(command);
      batch.push(bytes);
      size += bytes.length;
      if (size > 1 << 20) await send();
    }
    batch.push(encode(['SAVE']), encode(['ECHO', 'saved']));
    await send();
    while (!saved) await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    renameSync(join(folder, 'dump.rdb'), path);
  } finally {
    server.kill('SIGKILL');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function connect(path) {
  for (let attempt = 0; ; attempt++) {
    try {
      const socket = createConnection(path);
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
