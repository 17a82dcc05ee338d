import { CHECK_LEVELS } from '../../commands/check-terms.js';
import { CONFLICTS, DUMP_FORMATS } from '../../commands/dump-terms.js';
import { VERIFY_LEVELS } from '../../commands/diff-terms.js';
import { RESTORE_CONFLICTS, SANITIZE_LEVELS, WRITE_AS } from '../../commands/restore-terms.js';
import { formatAdvice } from './formats.js';
import { flag, list, toggle, value } from './option.js';
import { dbPairs, keyPrefixes, number, oneOf, path, server, shift, sizeOrZero } from './words.js';

const FILE =
  'write to this file instead of standard output; it is renamed into place when complete; ' +
  'after an error, the incomplete output is in <file>.partial';
const SHARDED_FILE = `${FILE}; {shard} in its name: a file for each server or master that is read`;

export const OUTPUT = {
  format: value({
    commands: ['dump'],
    value: 'name',
    choices: DUMP_FORMATS,
    parse: oneOf(DUMP_FORMATS, formatAdvice),
    default: 'rdb',
    help: `what to write: ${DUMP_FORMATS.join(', ')}`,
  }),
  output: value({
    ...{ commands: ['decode', 'dump', 'encode', 'check', 'inspect', 'diff'], short: 'o', value: 'file' },
    parse: (label, given) => (given === '-' ? undefined : path(label, given)),
    help: FILE,
    helpIn: {
      decode: SHARDED_FILE,
      dump: SHARDED_FILE,
      inspect: 'write the report to this file instead of standard output',
    },
  }),
  manifest: value({
    ...{ commands: ['dump', 'restore'], value: 'file', parse: path, noVariable: 'each backup has its own' },
    help: 'also write a JSON file that says which files belong together, with their sizes, checksums, slots and replication offsets',
    helpIn: { restore: 'restore the files that this manifest of dump names, after a check that all are there and unchanged' },
  }),
  meta: flag({
    commands: ['decode'],
    help: 'also write what is not a key: file information, functions, module data, and a last line with the checksum',
  }),
  splitSlots: value({
    ...{ commands: ['dump'], value: 'n', parse: number(2, 128) }, // each file has its own buffers and handle
    help: 'with --format rdb: this many files, one per range of cluster slots; each is named as --output with the range added',
  }),
  rejects: value({
    commands: ['restore', 'sync'],
    value: 'file',
    parse: path,
    help: 'write keys that the target refuses to this file, like dump --format payload',
    helpIn: { sync: 'write keys of the full copy that the target refuses to this file, like dump --format payload' },
  }),
  checkpoint: value({
    commands: ['restore'],
    value: 'file',
    parse: path,
    help: 'record progress in this file; run again with the same file to resume',
  }),
} as const;

const FINDING_FORMATS = ['text', 'json'] as const;

/** What is looked for, and how it is told. */
export const CHECKED = {
  level: value({
    ...{ commands: ['check'], value: 'how', choices: CHECK_LEVELS, parse: oneOf(CHECK_LEVELS), default: 'all' },
    help: 'structure: what can crash a server; all: also members and fields that come twice',
  }),
  format: value({
    ...{ commands: ['check'], value: 'name', choices: FINDING_FORMATS, parse: oneOf(FINDING_FORMATS), default: 'text' },
    help: 'findings as lines of text, or as JSON lines: text, json',
  }),
} as const;

/** What becomes of keys on their way to another server. */
export const WRITTEN = {
  onConflict: value({
    ...{ commands: ['dump', 'encode'], value: 'how', choices: CONFLICTS, parse: oneOf(CONFLICTS), default: 'error' },
    help: 'for a key in two sources, error: keep the first and report it, first: keep the first, last: keep the last',
    helpIn: { encode: 'for a repeated key, error: keep the first and report it, first: keep the first, last: keep that of the last file' },
  }),
  dbMap: list({
    commands: ['dump', 'restore'],
    value: 'from:to',
    parse: dbPairs,
    help: 'write the keys of one database into another: 3:0, or a list of such pairs',
  }),
  keyPrefixMap: list({
    commands: ['decode', 'dump', 'restore', 'sync'],
    value: 'old=new',
    parse: keyPrefixes,
    help:
      'write keys that begin with old under names that begin with new: old:=new:, =new: adds a prefix to all, old:= removes one; ' +
      'of several, the first that fits a key counts; filters look at the names in the source',
  }),
  functions: toggle({
    commands: ['dump', 'restore', 'sync'],
    help: 'with --format rdb and resp: write function libraries even if only some keys are chosen',
    helpIn: {
      restore: 'load function libraries even if only some keys are chosen',
      sync: 'load and follow function libraries even if only some keys are chosen',
    },
    noHelp: 'leave function libraries out',
  }),
  stripTtl: flag({ commands: ['dump', 'restore'], help: 'write keys without expiry' }),
  targetVersion: value({
    ...{ commands: ['dump', 'restore', 'encode', 'sync'], value: 'server', parse: server },
    help: 'write for this server: 6.2, redis-7.4, valkey-9.1; values that it cannot read are written in another encoding',
    helpIn: {
      restore: 'write for this version instead of the one that the target reports',
      sync: 'write for this version instead of the one that the target reports',
      encode: 'write for this server: 6.2, redis-7.4, valkey-9.1 (default: see below)',
    },
  }),
  allowLoss: flag({
    commands: ['dump', 'restore', 'encode', 'sync'],
    help: 'write keys without what the target server cannot hold; by default, such keys are reported and not written',
  }),
  maxPayload: value({
    ...{ commands: ['dump', 'restore', 'sync'], value: 'bytes', parse: sizeOrZero, default: '512mb' },
    help: 'larger values are written with plain commands; 0: all values',
    helpIn: {
      dump: 'with --format resp: larger values become plain commands, in batches',
      sync: 'larger values of the full copy are written with plain commands; 0: all values',
    },
  }),
} as const;

/** The same, for restore only. */
export const RESTORED = {
  onConflict: value({
    ...{ commands: ['restore', 'sync'], value: 'how', choices: RESTORE_CONFLICTS, parse: oneOf(RESTORE_CONFLICTS), default: 'error' },
    help: 'error: the target must be empty; skip: keep existing keys; replace: replace existing keys',
    helpIn: { sync: 'for the full copy, error: the target must be empty; skip: keep existing keys; replace: replace existing keys' },
  }),
  writeAs: value({
    ...{ commands: ['restore'], value: 'how', choices: WRITE_AS, parse: oneOf(WRITE_AS), default: 'restore' },
    help: 'restore: with RESTORE; commands: with SET, RPUSH, HMSET, …, for servers without RESTORE; the same as --max-payload 0',
  }),
  flush: flag({
    commands: ['restore', 'sync'],
    help: 'delete the keys of the target first: all, or those of the databases that --db or the target names',
    helpIn: {
      sync: 'before a full copy, delete the keys of the target: all, or those of the databases that --db or the target names',
    },
    noVariable: 'it deletes keys',
  }),
  yes: flag({
    ...{ commands: ['restore', 'diff', 'sync'], help: 'do not ask before --flush', noVariable: 'it deletes keys' },
    helpIn: { diff: 'do not ask before --apply', sync: 'do not ask: before --flush and --forget, and before a new full copy after a gap' },
  }),
  sanitize: value({
    ...{ commands: ['restore', 'sync'], value: 'level', choices: SANITIZE_LEVELS, parse: oneOf(SANITIZE_LEVELS), default: 'auto' },
    help: 'reject damaged values instead of sending them. auto: damage that can crash servers; all: duplicate members, too; none: send all',
  }),
  verify: value({
    ...{ commands: ['restore', 'sync'], value: 'how', choices: VERIFY_LEVELS, parse: oneOf(VERIFY_LEVELS) },
    help: 'afterwards compare the sources with the target. keys: which keys there are, their types and expiries; values: also their values',
    helpIn: { sync: 'with --pause-source, what is compared then. keys: names, types and expiries (default); values: also their values' },
  }),
  dryRun: flag({
    commands: ['restore', 'sync'],
    help: 'read everything and report what would be written, but write nothing',
    helpIn: { sync: 'show the plan and end: nothing is read or written' },
  }),
  ttlShift: value({
    commands: ['restore'],
    value: 'time',
    parse: shift,
    help: 'make expiries this much later: 90s, 2h, 1d; or earlier: -90s',
  }),
  noTtl: flag({ commands: ['restore'], help: 'the same as --strip-ttl', noVariable: 'RDBKIT_STRIP_TTL does the same' }),
} as const;
