/** Parts of help texts that several commands share. Lines of at most 80 characters. */

export const SOURCES_WORDS = [
  '[source...]',
  'RDB files, URLs of servers, or - for standard input; a pipe is read without it, too',
] as const;

export const FILTERS_HELP = `
How filters combine:
  Each option takes one value and may be given again: --prefix a: --prefix b:
  (--db, --type and --slot also take lists: --type hash,zset). Values of one
  option are alternatives, different options must all hold. Keys and patterns
  that are not UTF-8 are given in the text form: base64: and the bytes.
`;

/** `one`: the meaning of exit code 1; `wrong`: that of 3. */
export const exitCodes = (one: string, wrong = 'a source is damaged, incomplete, not an RDB file, or not supported'): string => `
Exit codes:
  0    done; also when the reader of the output has gone (| head)
  1    done, but ${one}
  2    wrong usage, or a source that does not exist or cannot be read
  3    ${wrong}
  4    the output could not be written, or a server refused or was lost
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`;

export const ENVIRONMENT_HELP = `

Environment:
  Variables set options, too: RDBKIT_VERBOSE=1 is --verbose. What is typed comes
  first. All of them are in docs/options.md and in man rdbkit.`;
