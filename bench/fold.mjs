// How fast the first pass of a comparison is: a file folded into buckets.
//
//     npm run build && node bench/fold.mjs FILE values|keys|counts
import { FoldSink } from '../dist/diff/fold-sink.js';
import { randomSeed } from '../dist/diff/domains.js';
import { run } from '../dist/pipeline/run.js';

const [, , file, level = 'values'] = process.argv;
let sink;
const start = performance.now();
const summary = await run({ sources: [file], stdin: process.stdin, stdout: process.stdout }, (codec) => {
  sink = new FoldSink(codec, { seed: randomSeed(), level, now: -Infinity, tolerance: 0, streams: 'data' });
  return { sink, outputs: [], meta: false };
});
const seconds = (performance.now() - start) / 1000;
console.log(`${level}: ${summary.keys} keys, ${(summary.keys / seconds / 1e6).toFixed(2)} million a second`);
