/** What the command line needs to know of a report before the parts of it are loaded that read. */
export type { Amount, Bucket, Change, Group, Key, PrefixNode, Report, SourceReport } from '../inspect/report.js';

export const REPORT_FORMATS = ['text', 'json', 'folded'] as const;

/** What ends a segment of a key unless something else is given. */
export const DELIMITERS = ':;,_-+@=|#';
