import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addDecode } from './decode-command.js';
import { addDump } from './dump-command.js';
import { addRestore } from './restore-command.js';
import { addEncode } from './encode-command.js';
import { columns, type Io } from './io.js';
import { addPayload } from './payload-command.js';

/** Package and repository have the same layout above `src/cli` and `dist/cli`. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const EXAMPLES = `
Examples:
  rdbkit decode dump.rdb                        each key as a line of JSON
  rdbkit decode dump.rdb.gz -o dump.jsonl       compressed file to file
  rdbkit decode dump.rdb --prefix user: | jq .  only some keys

rdbkit decode --help shows all options and more examples.`;

/** The commander tree. `onExit` takes the exit code of the command that ran. */
export function createProgram(io: Io, argv: readonly string[], onExit: (code: number) => void): Command {
  const program = new Command('rdbkit')
    .description('Reads the RDB files of Redis and Valkey.')
    .usage('<command> [options]')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => undefined, // main writes it, as one line
      getOutHelpWidth: () => columns(io.stdout),
      getErrHelpWidth: () => columns(io.stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', EXAMPLES);
  addDecode(program, io, argv, onExit);
  addDump(program, io, argv, onExit);
  addRestore(program, io, argv, onExit);
  addEncode(program, io, argv, onExit);
  addPayload(program, io, onExit);
  return program;
}
