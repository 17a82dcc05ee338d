import { exitCodes } from './help-texts.js';

/** The long texts of `rdbkit encode --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const ENCODE_HELP = {
  description: `Makes an RDB file, which a server loads, of JSON lines: those of rdbkit decode, or others of that form.

Sources are read one after another; those compressed with gzip, LZ4 or zstd
(with Node 22.15 or later) are recognised and decompressed.`,
  after: `
A line:
  {"db":0,"key":"user:1","type":"hash","value":{"name":"Ada"}}
  key, type and value must be there, in any order; all fields and the values
  of all types are in docs/json-lines.md. Each key may come once.

Which server it is for:
  --target-version; else the server that the lines name before the first key
  ("redis-ver" or "valkey-ver", which decode --meta writes); else Redis 7.2,
  whose files Redis and Valkey load from 7.2 on. A hash with expiries of single
  fields needs redis-7.4 or valkey-9.0.

Examples:
  rdbkit encode users.jsonl -o dump.rdb
  rdbkit decode dump.rdb | jq -c 'select(.type == "hash")' |
    rdbkit encode - -o hashes.rdb
  rdbkit encode dump.jsonl.gz --target-version 6.2 -o old.rdb
${exitCodes('for some keys: each of them was named', 'a line is wrong; with --keep-going the other lines are in the output')}`,
} as const;
