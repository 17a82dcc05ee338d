/** What the command line needs to know of a comparison before the parts of it are loaded that read. */
export { type CountGroup, type CountRow, rowDiffers } from '../diff/count-rows.js';
export type { DiffLevel } from '../diff/fold-sink.js';
export type { Inside, ShownField, ShownText, Some } from '../diff/inside.js';
export type { Difference, DifferenceKind, KeyFacts } from '../diff/key-table.js';
export { formatText } from '../bytes/text.js';

export const DIFF_LEVELS = ['counts', 'keys', 'values'] as const;
export const DIFF_FORMATS = ['text', 'json'] as const;
/** What of a stream is compared. */
export const STREAMS = ['data', 'full'] as const;
