/*
 * Reads a zstd file with the library, cut at many places, and with a bit flipped at many places; prints what became of it.
 * Usage: node zstd-damage.mjs dist/index.js FILE
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [, , library, file] = process.argv;
const { frames } = await import(pathToFileURL(library).href);
const whole = readFileSync(file);

async function* pieces(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function read(bytes, size) {
  const keys = [];
  try {
    for await (const frame of frames(pieces(bytes, size))) keys.push(`${frame.key.toString('latin1')} ${Buffer.from(frame.bytes).toString('latin1')}`);
    return { keys, error: undefined };
  } catch (error) {
    return { keys, error: `${error.code}: ${error.got}` };
  }
}

const all = await read(whole, whole.length);
const isBeginning = (keys) => keys.every((key, i) => key === all.keys[i]);
// of fewer runs of all tests (factor.ts): fewer places between the beginning and the end
const step = (whole.length >> 7) * Math.round(1 / Number(process.env.RDBKIT_TEST_RUNS ?? 1));
const places = [...whole.keys()].filter((at) => at % step === 0 || at < 40 || at >= whole.length - 40);
const report = { keys: all.keys.length, error: all.error, cuts: {}, keysOfLastCut: [], otherKeysOfCuts: 0, flips: 0, flipsWithoutError: 0, otherKeysWithoutError: 0 };

for (const at of places.slice(4)) {
  for (const size of [7919, at]) {
    const { keys, error } = await read(whole.subarray(0, at), size);
    report.cuts[error] = (report.cuts[error] ?? 0) + 1;
    if (!isBeginning(keys)) report.otherKeysOfCuts++;
    if (at === whole.length - 1) report.keysOfLastCut.push(keys.length);
  }
}
for (const at of places) {
  const damaged = Buffer.from(whole);
  damaged[at] ^= 1 << at % 8;
  const { keys, error } = await read(damaged, 7919);
  report.flips++;
  if (error !== undefined) continue;
  report.flipsWithoutError++;
  if (!isBeginning(keys) || keys.length !== all.keys.length) report.otherKeysWithoutError++;
}
process.stdout.write(JSON.stringify(report));
