/* The WebAssembly twins of hot loops; each names the TypeScript that is its reference. */
export { crcHi, crcInit, crcLo, crcRan, crcRunning, crcSet, crcUpdate } from './crc64';
export { checkRows } from './check';
export { copies, copiedExpiring, copiedKeys, copiesOut } from './copies';
export { countedExpired, countedFiltered, countedKeys, countRows, filterRows } from './filter';
export { frames } from './frames';
export { digestRows, foldRows } from './digest';
export { digest } from './hash';
export { lzf } from './lzf';
export { measureRows } from './measure';
export { powersTable } from './numbers';
export { recordForms, records, recordsOut } from './records';
export { renamedTo, renameRows } from './rename';
export { ownedExpired, ownedLength, ownedTo, ownRows } from './rows';
export { restores, restoresDb } from './restores';
export { runItems, runPairs, runScores, runScratch, runWalked } from './run';
export { scratchAt } from './scratch';
export { slotsInit } from './slots';
export { tallyInit, tallyRows } from './tally';
export { text } from './text';

/** Where the memory begins that the host may use. */
export function memoryStart(): usize {
  return (__heap_base + 4095) & ~4095;
}

export function move(to: usize, from: usize, size: usize): void {
  memory.copy(to, from, size);
}
