// What the deep check costs beside decoding: both levels of it, and JSON lines that go nowhere, on one thread.
//
//     npm run build && node bench/check.mjs FILE… [--runs 3]
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { ValueCheck } from '../dist/check/value-check.js';
import { Kernels } from '../dist/kernels/kernels.js';
import { END, META, NEED } from '../dist/rdb/frame.js';
import { Framer } from '../dist/rdb/framer.js';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { runs: { type: 'string', default: '3' } } });

/** Seconds of the framer alone, or with a check. */
function checked(path, level) {
  const codec = Kernels.create();
  const framer = new Framer({ codec, buffer: codec.allocate(1 << 22), meta: false, checksum: false });
  const check = level === undefined ? undefined : new ValueCheck({ level, codec });
  const chunk = codec.allocate(1 << 20);
  const fd = openSync(path, 'r');
  let [keys, findings] = [0, 0];
  const started = performance.now();
  for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
    framer.push(chunk.subarray(0, read));
    for (let kind = framer.next(); kind !== NEED && kind !== END; kind = framer.next()) {
      if (kind === META) continue;
      check?.frame(kind, framer.frame);
      if (!framer.frame.last) continue;
      keys++;
      findings += check?.findings.size ?? 0;
    }
  }
  closeSync(fd);
  return { seconds: (performance.now() - started) / 1000, keys, findings };
}

function decoded(path) {
  const started = performance.now();
  spawnSync(process.execPath, [new URL('../bin/rdbkit.js', import.meta.url).pathname, 'decode', path, '--threads', '1', '--quiet', '-o', '/dev/null'], { stdio: 'ignore' });
  return { seconds: (performance.now() - started) / 1000 };
}

for (const path of positionals) {
  const megabytes = statSync(path).size / 1e6;
  const ways = { frames: () => checked(path), structure: () => checked(path, 'structure'), all: () => checked(path, 'all'), decode: () => decoded(path) };
  const best = {};
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [name, way] of Object.entries(ways)) {
      const result = way();
      if (best[name] === undefined || result.seconds < best[name].seconds) best[name] = result;
    }
  }
  for (const [name, { findings, keys, seconds }] of Object.entries(best)) {
    console.log(`${path}  ${name.padEnd(9)} ${seconds.toFixed(2)} s  ${(megabytes / seconds).toFixed(0)} MB/s  ${(seconds / best.decode.seconds).toFixed(2)} of decode${keys === undefined ? '' : `  ${keys} keys, ${findings} findings`}`);
  }
}
