import { DIFF_FORMATS, DIFF_LEVELS, STREAMS } from '../../commands/diff-terms.js';
import { flag, list, value } from './option.js';
import { dbPairs, delimiters, number, oneOf, path, percentage, time } from './words.js';
import { UsageError } from '../usage.js';

const commands = ['diff'] as const;

/** What is compared, and how differences are told. */
export const COMPARED = {
  level: value({
    ...{ commands, value: 'how', choices: DIFF_LEVELS, parse: oneOf(DIFF_LEVELS), default: 'keys' },
    help: 'counts: only numbers of keys; keys: which keys there are, their types and expiries; values: also their values',
  }),
  ttlTolerance: value({ commands, value: 'time', parse: time, default: '0ms', help: 'expiries may be this far apart: 100ms' }),
  streams: value({
    ...{ commands, value: 'what', choices: STREAMS, parse: oneOf(STREAMS), default: 'data' },
    help: 'data: entries and groups; full: also what is pending, the consumers, and the counters of newer servers',
  }),
  dbMap: list({
    commands,
    value: 'from:to',
    parse: dbPairs,
    help: 'compare the keys of one database with those of another on the target: 3:0, or a list of such pairs',
  }),
  delimiter: value({
    ...{ commands, value: 'chars', parse: (label: string, given: string) => prefixEnds(label, given), default: ':' },
    help: 'with --level counts: what ends the prefix of a key, any of these characters',
  }),
  slots: flag({
    commands,
    help: 'with --level counts: also by ranges of slots; where a side is a cluster, those of its masters are there anyway',
  }),
  sample: value({
    ...{ commands, value: 'share', parse: percentage },
    help: 'compare this share of the keys only, chosen by their hash, the same ones on both sides: 1%, 0.1%',
  }),
  rounds: value({
    ...{ commands, value: 'n', parse: number(1, 1000), default: '1' },
    help: 'look up to this often at what differs, and report what still does: for servers that are written to',
  }),
  settle: value({ commands, value: 'time', parse: time, default: '5s', help: 'wait this long between two rounds' }),
  showValues: flag({
    commands,
    help: 'say what differs inside values, of the first 1,000 keys: bytes, elements, members, fields, entries; implies --level values',
  }),
  rerun: value({
    ...{ commands, value: 'file', parse: path, noVariable: 'each comparison has its own' },
    help: 'compare only the keys in this file, which an earlier diff wrote with --format json',
  }),
  format: value({
    ...{ commands, value: 'name', choices: DIFF_FORMATS, parse: oneOf(DIFF_FORMATS) },
    help: 'differences as lines of text, or as JSON lines: text, json (default: text; json with --output)',
  }),
} as const;

function prefixEnds(label: string, given: string): Uint8Array {
  const found = delimiters(label, [given]);
  if (found === undefined) throw new UsageError(`${label} auto is for inspect: name the characters, like : or :/`);
  return found;
}
