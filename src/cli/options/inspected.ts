import { DELIMITERS, REPORT_FORMATS } from '../../commands/inspect-terms.js';
import { list, value } from './option.js';
import { delimiters, number, oneOf, path, percentage, server, size } from './words.js';

const commands = ['inspect'] as const;

/** What is reported, and where. */
export const INSPECTED = {
  format: value({
    ...{ commands, value: 'name', choices: REPORT_FORMATS, parse: oneOf(REPORT_FORMATS), default: 'text' },
    help: 'the report as text, as JSON, or as folded stacks of prefixes for flame graphs: text, json, folded',
  }),
  html: value({ commands, value: 'file', parse: path, help: 'also write the report as a page with charts, in one file' }),
  csv: value({ commands, value: 'file', parse: path, help: 'also write a row for each key, with the columns of redis-rdb-tools' }),
  parquet: value({ commands, value: 'file', parse: path, help: 'also write a row for each key, for DuckDB, Spark or Athena' }),
  history: value({
    commands,
    value: 'file',
    parse: path,
    help: 'append totals to this file, one JSON line for each run; the page draws them',
  }),
  baseline: list({
    ...{ commands, value: 'file', parse: (label: string, words: readonly string[]) => words.map((given) => path(label, given)) },
    help: 'compare with this older file: what grew, by type and prefix',
  }),
  top: value({ commands, value: 'n', parse: number(0, 10_000), default: '10', help: 'keys in each list of the largest ones' }),
  delimiter: list({
    commands,
    value: 'chars',
    parse: delimiters,
    help: `what ends a segment of a prefix (default: any of ${DELIMITERS}); auto: found out from the first keys`,
  }),
  depth: value({ commands, value: 'n', parse: number(1, 64), default: '5', help: 'segments of a prefix, at most' }),
  sample: value({
    ...{ commands, value: 'share', parse: percentage },
    help: 'look at this share of the keys only, chosen by their hash: 1%, 0.1%; amounts are scaled up',
  }),
  serverVersion: value({
    ...{ commands, value: 'server', parse: server },
    help: 'the server whose memory is estimated: 7.0, valkey-8.1 (default: the one that wrote the file)',
  }),
  targetVersion: value({ commands, value: 'server', parse: server, help: 'also report what this server could not take: 6.2, valkey-9.1' }),
  shards: value({ commands, value: 'n', parse: number(1, 1000), help: 'also report how a cluster of this many shards would be balanced' }),
  bigKey: value({ commands, value: 'bytes', parse: size, default: '1mb', help: 'warn of keys with more memory' }),
  bigElements: value({ commands, value: 'n', parse: number(1), default: '100000', help: 'warn of keys with more elements' }),
  hotSlot: value({
    ...{ commands, value: 'share', parse: percentage, default: '1%' },
    help: 'warn of slots with more than this share of the memory',
  }),
} as const;
