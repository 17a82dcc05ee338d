/** What a format of other programs is here: the words for parentheses. */
export function formatAdvice(format: string | undefined): string | undefined {
  switch (format) {
    case 'csv':
      return "rdbkit decode writes JSON lines, and jq makes CSV of them: jq -r '[.db, .key, .type] | @csv'";
    case 'json':
    case 'jsonl':
    case 'ndjson':
      return 'rdbkit decode writes JSON lines, without an option';
    case 'aof':
    case 'protocol':
    case 'redis':
      return 'did you mean rdbkit dump --format resp?';
    case 'memory':
      return 'did you mean rdbkit decode --min-size 1mb? It has the large values';
    default:
      return undefined;
  }
}
