/** The command line asks for something impossible. The text is one sentence without a full stop. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const NO_SOURCE = 'no source given: name an RDB file, or - for standard input';

/** Turns errors of `parse` about a command-line word into UsageErrors. */
export function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message, { cause: error }) : error;
  }
}

/** The text with credentials in URLs replaced. */
export const withoutPasswords = (text: string): string => text.replace(/(\w:\/\/)[^\s@]*@/g, '$1***@');

/** The words of a command line, without credentials in URLs and the values of -a. */
export function withoutSecrets(argv: readonly string[]): string[] {
  return argv.map((word, i) => {
    if (i > 0 && /^(?:-[a-z]*a|--pass)$/.test(argv[i - 1])) return '***';
    return withoutPasswords(word.replace(/^(--pass=|-[cqv]*a).+$/s, '$1***'));
  });
}
