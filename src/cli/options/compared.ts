import { DIFF_FORMATS, DIFF_LEVELS, STREAMS } from '../../commands/diff-terms.js';
import { flag, list, value } from './option.js';
import { dbPairs, delimiters, keyPrefixes, number, oneOf, path, percentage, time } from './words.js';
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
  keyPrefixMap: list({
    commands,
    value: 'old=new',
    parse: keyPrefixes,
    help:
      'compare keys of the source that begin with old with keys of the target that begin with new: old:=new:; ' +
      'of several, the first that fits a key counts; filters look at the names in the source',
  }),
  delimiter: value({
    ...{ commands, value: 'chars', parse: (label: string, given: string) => prefixEnds(label, given), default: ':' },
    help: 'with --level counts: what ends the prefix of a key, any of these characters',
  }),
  slots: flag({ commands, help: 'with --level counts: also by ranges of slots, as is done for clusters anyway' }),
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
  repair: flag({
    ...{ commands, against: ['showValues'], noVariable: 'it changes the target' },
    help: 'say what would make the target equal to the source, a line for each key: restore or delete; --apply does it',
  }),
  apply: flag({
    ...{ commands, noVariable: 'it changes the target' },
    help: 'with --repair: restore and delete these keys on the target, a server, and compare them again',
  }),
  format: value({
    ...{ commands, value: 'name', choices: DIFF_FORMATS, parse: oneOf(DIFF_FORMATS) },
    help: 'differences as lines of text, or as JSON lines: text, json (default: text; json with --output)',
  }),
  html: value({ commands, value: 'file', parse: path, help: 'also write the comparison as a page, in one file, for those who sign it' }),
} as const;

function prefixEnds(label: string, given: string): Uint8Array {
  const found = delimiters(label, [given]);
  if (found === undefined) throw new UsageError(`${label} auto is for inspect: name the characters, like : or :/`);
  return found;
}
