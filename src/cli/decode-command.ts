import { type Command, Option } from 'commander';
import { DECODE_HELP } from './decode-help.js';
import { runDecode } from './decode-run.js';
import type { DecodeFlags } from './decode-options.js';
import type { Io } from './io.js';

/** An option with one value that may be given again: values gather. */
function list(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
}

/** `argv` is the command line as typed, which explains some mistakes; `onExit` takes the exit code. */
export function addDecode(program: Command, io: Io, argv: readonly string[], onExit: (code: number) => void): void {
  const decode = program
    .command('decode')
    .summary('decode RDB files to JSON lines')
    .description(DECODE_HELP.description)
    .argument('<source...>', 'RDB files, or - for standard input')
    .usage('<source...> [options]');

  decode
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write to this file instead of standard output; it gets its name when it is complete; after an error, what is there of it is in <file>.partial')
    .option('--meta', 'also write what is no key: file information, functions, module data, and a last line with the checksum');

  decode
    .optionsGroup('Which keys:')
    .addOption(list('--db <n>', 'in this database: 0, a list 0,3 or a range 0-3'))
    .addOption(list('--prefix <text>', 'key begins with this'))
    .addOption(list('--not-prefix <text>', 'key does not begin with this'))
    .addOption(list('--match <glob>', 'whole key fits this pattern, as in SCAN and KEYS: * ? [a-z] \\'))
    .addOption(list('--not-match <glob>', 'key does not fit this pattern'))
    .addOption(list('--regex <re>', 'this JavaScript regular expression is found in the key'))
    .addOption(list('--not-regex <re>', 'it is not found in the key'))
    .addOption(list('--type <name>', 'of this type, or list of types: string, list, set, zset, hash, stream, module, array'))
    .addOption(list('--not-type <name>', 'of any other type'))
    .addOption(list('--slot <n>', 'in this cluster slot: 5, a range 0-5460, or a list of them'))
    .option('--ttl <state>', 'none: without expiry, any: with one, expired: it is over, live: it is not over or there is none')
    .option('--min-size <bytes>', 'value takes at least this much in the file: 100, 10kb, 1.5mb (of 1024)')
    .option('--max-size <bytes>', 'value takes at most this much in the file')
    .option('--limit <n>', 'stop after this many keys');

  decode
    .optionsGroup('Damaged and unusual files:')
    .option('--no-checksum', 'do not verify the checksum of the file')
    .option('--strict', 'refuse what is only warned of: unknown versions, data behind the end')
    .option('--keep-going', 'go on with the next source after a damaged one');

  decode
    .optionsGroup('Speed:')
    .option('--threads <n>', 'decode large inputs with at most this many threads (default: as many as there are cores); 1: without any');

  decode
    .optionsGroup('Messages (on standard error):')
    .option('--progress <how>', 'auto: a bar on a terminal, plain: a line every few seconds, none')
    .option('--quiet', 'nothing but errors')
    .option('--json', 'the closing summary, with errors and warnings, as one JSON object')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', DECODE_HELP.after)
    .action(async (sources: string[], flags: DecodeFlags) => {
      onExit(await runDecode(sources, flags, io, argv));
    });
}
