import {
  parseDbs,
  parseKeys,
  parseLimit,
  parseRegexes,
  parseSize,
  parseSlots,
  parseTtl,
  parseTypes,
  TTL_NAMES,
  TYPE_NAMES,
} from '../../commands/terms.js';
import { list, ONCE, SOURCES, value } from './option.js';
import { share } from './words.js';

const commands = SOURCES;
const SIZED = [...ONCE, 'sync'] as const;

/** Which keys: the names are those of FilterOptions. */
export const FILTERS = {
  db: list({ commands, value: 'n', parse: parseDbs, help: 'in this database: 0, a list 0,3 or a range 0-3' }),
  prefix: list({ commands, value: 'text', parse: parseKeys, help: 'key begins with this' }),
  notPrefix: list({ commands, value: 'text', parse: parseKeys, help: 'key does not begin with this' }),
  match: list({ commands, value: 'glob', parse: parseKeys, help: 'whole key matches this pattern, as in SCAN and KEYS: * ? [a-z] \\' }),
  notMatch: list({ commands, value: 'glob', parse: parseKeys, help: 'key does not match this pattern' }),
  regex: list({ commands, value: 're', parse: parseRegexes, help: 'key matches this JavaScript regular expression' }),
  notRegex: list({ commands, value: 're', parse: parseRegexes, help: 'key does not match this JavaScript regular expression' }),
  type: list({
    commands,
    value: 'name',
    choices: TYPE_NAMES,
    parse: parseTypes,
    help: `of this type, or list of types: ${TYPE_NAMES.join(', ')}`,
  }),
  notType: list({ commands, value: 'name', choices: TYPE_NAMES, parse: parseTypes, help: 'of any other type' }),
  slot: list({ commands, value: 'n', parse: parseSlots, help: 'in this cluster slot: 5, a range 0-5460, or a list of them' }),
  ttl: value({
    ...{ commands, value: 'state', choices: TTL_NAMES, parse: parseTtl },
    help: 'none: no expiry, any: with an expiry, expired: already expired, live: not expired',
  }),
  minSize: value({
    commands: SIZED,
    value: 'bytes',
    parse: parseSize,
    help: 'value has at least this size in the file: 100, 10kb, 1.5mb (of 1024)',
  }),
  maxSize: value({ commands: SIZED, value: 'bytes', parse: parseSize, help: 'value has at most this size in the file' }),
} as const;

export const SHARES = {
  partition: value({
    commands: ['restore'],
    value: 'n/of',
    parse: share,
    help: 'only this share of the slots: 3/16 is the third of sixteen',
  }),
} as const;

export const LIMITS = {
  limit: value({ commands: ONCE, value: 'n', parse: parseLimit, help: 'stop after this many keys' }),
} as const;
