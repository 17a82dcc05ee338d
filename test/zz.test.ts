import { test } from 'vitest';
import { RedisNode, until } from './redis-node.js';
import { faultData } from './fault-data.js';
import { FaultProxy } from './fault-proxy.js';
import { Link } from '../src/redis/link.js';
import { rdbkit, Folder, Collector } from './cli-support.js';
test('x', async () => {
  const d = await faultData(20000);
  const f = new Folder(); const p = f.file('a.rdb', d.rdb);
  const s = await RedisNode.start();
  const err = new Collector();
  const proxy = await FaultProxy.start(s.port, { random: Math.random, drops: 0 });
  const links: Link[] = [];
  const send = Link.prototype.send;
  Link.prototype.send = function (b) { if (!links.includes(this)) links.push(this); send.call(this, b); };
  const running = rdbkit(['restore', p, s.url, '--max-keys-per-second', '15000', '--max-in-flight', '64kb', '--max-payload', '2mb'], {stderr: err});
  await until('k', async () => (await s.client.dbsize()) > 5000);
  await s.shutdown(); console.log('shut'); await s.restart('--key-load-delay', '20'); console.log('again');
  const iv = setInterval(() => { const b = (links[0] as any)?.events; console.log(JSON.stringify({ last: b.lastError, retries: b.retries.length, rb: b.retryBytes, waiting: b.comparer.waiting, working: b.comparer.working, recovering: b.recovering, stale: b.stale })); }, 1000);
  const r = await Promise.race([running, new Promise(r => setTimeout(r, 8000))]);
  console.log(r, err.text, await s.client.dbsize());
  clearInterval(iv);
  for (const l of links) { const { queue, flying, unsettled, working, taken, socket, closed, barriers } = l as any; console.log({ queue: queue.length, flying: flying.map((x: any) => [x.constructor.name, x.units, x.answered, x.due, x.came]), unsettled: unsettled.length, working, taken, socket: socket && [socket.destroyed, socket.writableLength, socket.isPaused()], closed }); }
  proxy.stop(); await s.stop(); f.remove();
});
